"""Every experiment that comes with fraudml runs its own command on a small table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

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
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small table of the Handbook's columns and dates."""
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
    return folder


@pytest.mark.parametrize("path", experiments())
def test_an_experiment_runs(
    path: Path, handbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUDML_DATA", str(handbook))
    content = OmegaConf.load(path)
    sizes = () if "handbook" in path.stem else SIMULATED
    output = tmp_path / "run"
    command = [content.command, f"+experiment={path.stem}", *sizes, *FEW, *MORE.get(path.stem, ())]
    command.append(f"output_dir={output}")
    assert main(command) in (0, 4)
    assert (output / "config.yaml").exists()
