"""A metric that is added by its entry alone: every place where a reader looks for it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from builders import TWO_MONTHS, CapSys, execute, metrics_of, printed, quick, read_json, simulated
from fraudml.cli import main
from fraudml.errors import DataError
from fraudml.metrics import Metric, registry
from fraudml.report.numbers import ranged

SMALL = (*simulated(), *quick(20, 100))
NAME, TITLE = "mean_fraud_probability", "mean fraud probability"


def mean_fraud_probability(*, y_true: Any, p_fraud: Any, weight: Any = None) -> float:
    """Return the mean probability of the frauds."""
    mass = y_true if weight is None else y_true * weight
    if not mass.sum():
        raise DataError("There is no fraud.")
    return float(np.average(p_fraud, weights=mass))


@pytest.fixture(scope="module", autouse=True)
def added() -> Iterator[None]:
    metric = Metric(NAME, mean_fraud_probability, ("y_true", "p_fraud"), "higher", (0.0, 1.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_ADDED", {})
        registry.add(metric)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return execute(tmp_path_factory.mktemp("metric") / "run", "train", *SMALL)


def test_it_stands_in_the_record_with_its_interval(run: Path) -> None:
    entry = metrics_of(run)["test"][NAME]
    scores = pl.read_parquet(run / "test_scores.parquet").filter(pl.col("label") == 1)
    assert entry["value"] == pytest.approx(scores["score"].mean())
    assert entry["low"] < entry["value"] < entry["high"]


def test_the_terminal_and_the_report_show_it(tmp_path: Path, capsys: CapSys) -> None:
    run = execute(tmp_path / "run", "train", *SMALL)
    assert f"{TITLE} {ranged(metrics_of(run)['test'][NAME])}" in printed(capsys)
    for report in ("report.md", "report.html"):
        assert TITLE in (run / report).read_text(encoding="utf-8")


def test_the_reference_lists_it() -> None:
    path = Path(__file__).parents[2] / "scripts" / "write_reference.py"
    spec = importlib.util.spec_from_file_location("write_reference_again", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script
    spec.loader.exec_module(script)
    assert f"| `{NAME}` | the higher the better | 0 to 1 |" in script.metrics_page()
    assert "Return the mean probability of the frauds." in script.metrics_page()


def test_show_and_compare_know_it(run: Path, tmp_path: Path, capsys: CapSys) -> None:
    assert main(["show", f"bundle={run}"]) == 0
    assert f"test: {TITLE}" in printed(capsys)
    other = execute(tmp_path / "other", "train", *SMALL, "learner.num_leaves=3", codes=(0, 4))
    runs = (f"runs=[{run},{other}]", "evaluation.replicates=100")
    both = execute(tmp_path / "both", "compare", *runs)
    assert set(read_json(both / "compare.json")["metrics"][NAME]["values"]) == {"run", "other"}
    assert TITLE in (both / "report.md").read_text(encoding="utf-8")


def test_a_backtest_shows_it(tmp_path: Path, capsys: CapSys) -> None:
    few = (*simulated(TWO_MONTHS), *quick(20, 100), "backtest.folds=2")
    run = execute(tmp_path / "run", "backtest", *few)
    assert NAME in read_json(run / "backtest.json")["mean"]
    assert f"{TITLE} " in printed(capsys)
    assert (run / "report.md").read_text(encoding="utf-8").count(f"| {TITLE} |") == 2
