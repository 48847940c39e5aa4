"""A metric that is added by its entry alone: every place where a reader looks for it."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.cli import main
from fraudml.errors import DataError
from fraudml.metrics import Metric, registry
from fraudml.report.numbers import ranged

SMALL = (
    "data.simulate.rows=6000",
    "data.simulate.prevalence=0.05",
    "data.simulate.cards=400",
    "data.simulate.terminals=60",
    "learner.num_iterations=20",
    "evaluation.replicates=100",
    "threads=1",
)
NAME, TITLE = "mean_fraud_probability", "mean fraud probability"


def mean_fraud_probability(*, y_true: Any, p_fraud: Any, weight: Any = None) -> float:
    """Return the mean probability of the frauds."""
    mass = y_true if weight is None else y_true * weight
    if not mass.sum():
        raise DataError("There is no fraud.")
    return float(np.average(p_fraud, weights=mass))


@pytest.fixture(scope="module", autouse=True)
def added() -> Iterator[None]:
    needs = ("y_true", "p_fraud")
    metric = Metric(NAME, mean_fraud_probability, needs, "higher", (0.0, 1.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_ADDED", {})
        registry.add(metric)
        registry.add(metric)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metric") / "run"
    assert main(["train", *SMALL, f"output_dir={folder}"]) == 0
    return folder


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_it_stands_in_the_record_with_its_interval(run: Path) -> None:
    entry = json.loads((run / "metrics.json").read_text())["test"][NAME]
    scores = pl.read_parquet(run / "test_scores.parquet").filter(pl.col("label") == 1)
    assert entry["value"] == pytest.approx(scores["score"].mean())
    assert entry["low"] < entry["value"] < entry["high"]


def test_the_terminal_and_the_report_show_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["train", *SMALL, f"output_dir={tmp_path / 'run'}"]) == 0
    entry = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"][NAME]
    assert f"{TITLE} {ranged(entry)}" in shown(capsys)
    for report in ("report.md", "report.html"):
        assert TITLE in (tmp_path / "run" / report).read_text(encoding="utf-8")


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


def test_show_and_compare_know_it(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["show", f"bundle={run}"]) == 0
    assert f"test: {TITLE}" in shown(capsys)
    other = tmp_path / "other"
    assert main(["train", *SMALL, "learner.num_leaves=3", f"output_dir={other}"]) in (0, 4)
    runs = f"runs=[{run},{other}]"
    command = ["compare", runs, "evaluation.replicates=100", f"output_dir={tmp_path / 'both'}"]
    assert main(command) == 0
    record = json.loads((tmp_path / "both" / "compare.json").read_text())
    assert set(record["metrics"][NAME]["values"]) == {"run", "other"}
    assert TITLE in (tmp_path / "both" / "report.md").read_text(encoding="utf-8")


def test_a_backtest_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ("data.simulate.rows=9000", "data.simulate.days=60", "data.simulate.prevalence=0.04")
    folder = tmp_path / "run"
    command = ["backtest", *SMALL, *small, "backtest.folds=2", f"output_dir={folder}"]
    assert main(command) == 0
    assert NAME in json.loads((folder / "backtest.json").read_text())["mean"]
    assert f"{TITLE} " in shown(capsys)
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert report.count(f"| {TITLE} |") == 2
