"""The backtest command: folds, files, numbers, a model that is never refitted, exit codes."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

import fraudml
from builders import TWO_MONTHS, CapSys, cards, quick, read_json, simulated, without_run
from fraudml.cli import main
from fraudml.metrics import average_precision, card_precision_at_k

SMALL = (*simulated(TWO_MONTHS), *quick(replicates=100), "backtest.folds=2")
SVG = "{http://www.w3.org/2000/svg}"


def read(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = read_json(folder / "backtest.json")
    return record


def test_the_folder_is_whole(backtest_run: Path) -> None:
    names = {path.name for path in backtest_run.iterdir()}
    assert names == {
        "config.yaml",
        "run.log",
        "backtest.json",
        "backtest_scores.parquet",
        "over_time.svg",
        "report.html",
        "report.md",
        "bundle",
    }
    drawing = ElementTree.parse(backtest_run / "over_time.svg").getroot()
    assert drawing.tag == f"{SVG}svg"
    titles = [panel.findtext(f"{SVG}title") for panel in drawing.findall(f"{SVG}g")]
    assert titles == ["Average precision, fold after fold", "Alerts per day, fold after fold"]
    report = (backtest_run / "report.html").read_text(encoding="utf-8")
    assert all(f"<strong>{title}</strong>" in report for title in titles)


def test_mean_and_sd_are_those_of_the_folds(backtest_run: Path) -> None:
    found = read(backtest_run)
    for name in ("average_precision", "roc_auc", "cost", "alerts_per_day"):
        values = [fold["metrics"][name]["value"] for fold in found["folds"]]
        assert found["mean"][name] == pytest.approx(np.mean(values))
        assert found["sd"][name] == pytest.approx(np.std(values))


def test_the_scores_give_the_metrics_again(backtest_run: Path) -> None:
    scores = pl.read_parquet(backtest_run / "backtest_scores.parquet")
    for fold in read(backtest_run)["folds"]:
        rows = scores.filter(pl.col("fold") == fold["fold"])
        assert (rows.height, rows["label"].sum()) == (fold["rows"], fold["frauds"])
        label, margin = rows["label"].to_numpy(), rows["margin"].to_numpy()
        day = rows["time"].dt.epoch("d").to_numpy()
        card = rows["entity"].rank("dense").to_numpy()
        metrics = fold["metrics"]
        assert metrics["average_precision"]["value"] == average_precision(label, margin)
        assert metrics["card_precision_at_100"]["value"] == pytest.approx(
            card_precision_at_k(label, margin, day, card, 100)
        )


def test_a_test_period_comes_after_the_labels_of_its_fit(backtest_run: Path) -> None:
    for fold in read(backtest_run)["folds"]:
        gap = np.datetime64(fold["start"]) - np.datetime64(fold["train"]["end"])
        assert gap >= np.timedelta64(7 * 86_400 - 1, "s")


def test_compromised_cards_are_left_out_of_the_test_rows(backtest_run: Path) -> None:
    table = cards(TWO_MONTHS)
    frauds = table.filter(pl.col("label") == 1)
    scores = pl.read_parquet(backtest_run / "backtest_scores.parquet")
    assert sum(fold["removed"] for fold in read(backtest_run)["folds"]) > 0
    known = scores.join(frauds, left_on="entity", right_on="card_id", suffix=" fraud").filter(
        pl.col("label_time") < pl.col("time").dt.truncate("1d")
    )
    assert known.is_empty()


def test_the_first_fold_has_one_model_and_the_last_two(backtest_run: Path) -> None:
    found = read(backtest_run)
    first, last = found["folds"]
    assert first["metrics"] == first["without_refit"]
    assert last["metrics"]["brier"] != last["without_refit"]["brier"]
    scores = pl.read_parquet(backtest_run / "backtest_scores.parquet")
    same = (scores["score"] == scores["score_without_refit"]).to_numpy()
    np.testing.assert_array_equal(same[scores["fold"].to_numpy() == 0], True)


def test_the_bundle_of_the_last_fold_scores_its_rows_to_the_bit(backtest_run: Path) -> None:
    table = cards(TWO_MONTHS)
    scores = pl.read_parquet(backtest_run / "backtest_scores.parquet").filter(pl.col("fold") == 1)
    start = scores["time"].min()
    assert start is not None
    period = table.filter(pl.col("time") >= pl.lit(start).dt.truncate("1d"))
    history = table.filter(pl.col("time") < pl.lit(start).dt.truncate("1d"))
    made = fraudml.load_bundle(backtest_run / "bundle").score(period, history=history)
    both = scores.join(made, left_on="id", right_on="transaction_id", suffix=" again")
    assert both.height == scores.height
    assert both["score"].equals(both["score again"].alias("score"))


def test_the_same_from_python(backtest_run: Path) -> None:
    from fraudml.config import load_settings
    from fraudml.workflows.backtest import backtest

    command = ["features=transactions", "backtest.refit=never", *SMALL]
    settings = load_settings("backtest", command)
    done = backtest(cards(TWO_MONTHS), settings)
    metrics = json.loads(json.dumps(done.metrics))
    assert without_run(metrics) == without_run(read(backtest_run))
    assert done.folder is None


def test_the_table_on_the_terminal(capsys: CapSys, tmp_path: Path) -> None:
    assert main(["backtest", *SMALL, "backtest.folds=1", f"output_dir={tmp_path / 'run'}"]) in (
        0,
        4,
    )
    shown = capsys.readouterr().out
    for word in ("mean ± sd", "average precision", "at most", "guard"):
        assert word in shown


@pytest.mark.parametrize(
    ("override", "code", "words"),
    [
        ("backtest.folds=0", 2, "backtest.folds is 0"),
        ("backtest.train_days=-1", 2, "backtest.train_days is -1"),
        ("backtest.delay_days=-1", 2, "backtest.delay_days is -1"),
        ("backtest.end=soon", 2, "backtest.end is 'soon'"),
        ("backtest.refit=sometimes", 2, "each"),
        ("data.columns.time=null", 2, "needs data.columns.time"),
        ("backtest.train_days=200", 3, "before the table's first"),
        ("backtest.folds=20", 3, "before the table's first"),
        ("backtest.test_days=0.02", 3, "frauds"),
        ("backtest.end=2030-01-01", 3, "The test block has 0 frauds".lower()),
    ],
)
def test_what_is_wrong_is_said(
    override: str, code: int, words: str, tmp_path: Path, capsys: CapSys
) -> None:
    assert main(["backtest", *SMALL, override, f"output_dir={tmp_path / 'run'}"]) == code
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_budget_that_runs_out_leaves_whole_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CapSys
) -> None:
    path = tmp_path / "run"
    monkeypatch.setattr("fraudml.workflows.backtest._is_over", lambda _: True)
    assert main(["backtest", *SMALL, f"output_dir={path}"]) in (0, 4)
    found = read(path)
    assert (len(found["folds"]), found["folds_left_out"]) == (1, 1)
    assert "1 of 2 folds" in capsys.readouterr().err


def test_a_delay_of_the_backtest_is_the_delay_of_its_features(tmp_path: Path) -> None:
    path = tmp_path / "run"
    more = ("features=transactions", "backtest.delay_days=3", "backtest.folds=1")
    assert main(["backtest", *SMALL, *more, f"output_dir={path}"]) in (0, 4)
    manifest = read_json(path / "bundle" / "manifest.json")
    delay = manifest["features"]["history"]["label_delay"]
    assert delay == timedelta(days=3) // timedelta(microseconds=1)
