"""Every experiment that comes with fraudml runs its own command on a small table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omegaconf import OmegaConf

from fraudml.cli import main
from fraudml.config.sources import packaged_conf
from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate

SMALL = SimulateSettings(rows=12_000, prevalence=0.0165, cards=2000, terminals=60)
SIMULATED = (
    f"data.simulate.rows={SMALL.rows}",
    f"data.simulate.prevalence={SMALL.prevalence}",
    f"data.simulate.cards={SMALL.cards}",
    f"data.simulate.terminals={SMALL.terminals}",
)
FEW = ("evaluation.replicates=100", "threads=1", "proof=false")
LONG = {
    "resampling_study",
    "handbook_resampling",
    "handbook",
    "easy_ensemble",
    "gmsc_costs",
    "ulb_costs",
    "rusboost",
    "balanced_random_forest",
    "balanced_bagging",
}


MORE = {"resampling_study": ("backtest.folds=1", "backtest.test_days=21")}


def experiments() -> list[object]:
    paths = sorted((packaged_conf() / "experiment").glob("*.yaml"))
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LONG else [])
        for path in paths
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small tables with the columns, and the dates, of the known data sets."""
    folder = tmp_path_factory.mktemp("data")
    table = simulate(SimulateSettings(rows=20_000, days=183, prevalence=0.05, cards=4000))
    shift = pl.lit(datetime(2018, 4, 1)) - pl.lit(datetime(2026, 1, 5))
    table.select(
        TRANSACTION_ID="transaction_id",
        TX_DATETIME=pl.col("time") + shift,
        CUSTOMER_ID="card_id",
        TERMINAL_ID="terminal_id",
        TX_AMOUNT="amount",
        TX_FRAUD="label",
        TX_FRAUD_SCENARIO="label",
        TX_TIME_SECONDS=pl.int_range(pl.len()),
        TX_TIME_DAYS=pl.int_range(pl.len()),
    ).write_parquet(folder / "handbook.parquet")
    rng = np.random.default_rng(0)
    label = table["label"].to_numpy()
    columns = rng.normal(size=(len(label), 28)) + label[:, None]
    amount = table["amount"].to_numpy()
    pl.DataFrame(
        {
            "Time": np.linspace(0, 172_000, len(label)),
            **{f"V{one + 1}": columns[:, one] for one in range(28)},
            "Amount": amount,
            "Class": label,
        }
    ).write_parquet(folder / "ulb.parquet")
    pl.DataFrame(
        {
            "id": np.arange(len(label)),
            "label": label,
            **{f"feature {one}": columns[:, one] for one in range(10)},
            "cost_fp": 1 + amount / 50,
            "cost_fn": amount,
        }
    ).write_parquet(folder / "gmsc.parquet")
    return folder


@pytest.mark.parametrize("path", experiments())
def test_an_experiment_runs(
    path: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUDML_DATA", str(folder))
    content = OmegaConf.load(path)
    sizes = () if path.stem.split("_")[0] in ("handbook", "ulb", "gmsc") else SIMULATED
    output = tmp_path / "run"
    command = [content.command, f"+experiment={path.stem}", *sizes, *FEW, *MORE.get(path.stem, ())]
    command.append(f"output_dir={output}")
    assert main(command) in (0, 4)
    assert (output / "config.yaml").exists()
