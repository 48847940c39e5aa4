"""Training from Python: the same run as the command's, with no Hydra and no output."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fraudml
from builders import CapSys, metrics_of, read_json
from fraudml.config.components import Component
from fraudml.config.settings import Settings
from fraudml.data.settings import ColumnRoles, DataSettings, SimulateSettings
from fraudml.data.simulate import simulate
from fraudml.errors import DataError, RefusedError
from fraudml.evaluation.guard import GuardSettings
from fraudml.evaluation.intervals import IntervalSettings
from fraudml.features.settings import FeatureSettings
from fraudml.files import write_json
from fraudml.records.results import Run
from fraudml.scoring import Scorer
from fraudml.split import SplitSettings

ROLES = ColumnRoles(
    time="time", id="transaction_id", entity="card_id", amount="amount", label_time="label_time"
)
SETTINGS = Settings(
    data=DataSettings(columns=ROLES, labels_complete=True),
    features=FeatureSettings(keys=("terminal_id",)),
    split=SplitSettings(label_delay="7d"),
    learner=Component("fraudml.learners.lightgbm.LightGBM", {"num_iterations": 30}),
    evaluation=IntervalSettings(replicates=100),
    threads=1,
)


@cache
def table() -> pl.DataFrame:
    return simulate(SimulateSettings(rows=4000, prevalence=0.05, cards=300, terminals=50))


@cache
def trained() -> Run:
    return fraudml.train(table(), SETTINGS)


def outside_run(run: Run) -> dict[str, Any]:
    return {name: part for name, part in run.metrics.items() if name != "run"}


def test_the_same_call_gives_the_same_run() -> None:
    one, again = trained(), fraudml.train(table(), SETTINGS)
    assert one.verdict.passed
    assert outside_run(one) == outside_run(again)
    assert one.test_scores.equals(again.test_scores)
    assert one.bundle is not None
    assert again.bundle is not None
    assert one.bundle.record == again.bundle.record


def test_another_seed_gives_another_model() -> None:
    other = fraudml.train(table(), replace(SETTINGS, seed=1))
    assert not other.test_scores["margin"].equals(trained().test_scores["margin"])
    assert other.test_scores["id"].equals(trained().test_scores["id"])


def test_rows_in_any_order_and_pandas_give_the_same_scores() -> None:
    rows = table().sample(fraction=1.0, shuffle=True, seed=0).to_pandas()
    run = fraudml.train(rows, SETTINGS)
    columns = ["id", "margin", "score", "alert"]
    assert (
        run.test_scores.select(columns)
        .sort("id")
        .equals(trained().test_scores.select(columns).sort("id"))
    )


def test_test_scores_are_those_of_the_bundle_on_the_raw_rows() -> None:
    run = trained()
    assert run.bundle is not None
    scores = run.test_scores
    raw = scores.select(transaction_id="id").join(table(), on="transaction_id", how="left")
    for rows in (raw, raw.drop("label", "label_time", "card_id", "terminal_id")):
        made = Scorer(run.bundle).score(rows)
        assert made["score"].to_numpy().tobytes() == scores["score"].to_numpy().tobytes()
        assert made["alert"].equals(scores["alert"], check_names=False)


def test_test_scores_keep_the_roles_as_they_came() -> None:
    scores = trained().test_scores
    assert scores.columns == [
        "id",
        "time",
        "entity",
        "amount",
        "label",
        "margin",
        "score",
        "alert",
    ]
    raw = scores.select(transaction_id="id").join(table(), on="transaction_id", how="left")
    for name, column in (("time", "time"), ("entity", "card_id"), ("amount", "amount")):
        assert scores[name].equals(raw[column], check_names=False)
    assert scores["time"].is_sorted()
    assert len(scores) == trained().metrics["data"]["blocks"]["test"]["rows"]


def test_metrics_are_json_and_count_their_rows() -> None:
    metrics = trained().metrics
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert metrics["data"]["rows"] == 4000
    assert metrics["data"]["frauds"] == table()["label"].sum()
    blocks = metrics["data"]["blocks"]
    assert sum(block["rows"] for block in blocks.values()) + metrics["data"]["left_out"] == 4000
    assert metrics["proof"] == {}


def test_nothing_is_written_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CapSys
) -> None:
    monkeypatch.chdir(tmp_path)
    run = fraudml.train(table(), SETTINGS)
    assert run.folder is None
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr() == ("", "")


def test_a_folder_that_is_asked_for_is_that_of_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    level = logging.getLogger("fraudml").level
    run = fraudml.train(table(), replace(SETTINGS, output_dir=str(folder)))
    assert run.folder == str(folder)
    stored = metrics_of(folder)
    del stored["run"]
    write_json(tmp_path / "expected.json", outside_run(trained()))
    assert stored == read_json(tmp_path / "expected.json")
    assert pl.read_parquet(folder / "test_scores.parquet").equals(trained().test_scores)
    scorer = fraudml.load_bundle(folder / "bundle")
    assert run.bundle is not None
    assert scorer.score(table()).equals(Scorer(run.bundle).score(table()))
    assert logging.getLogger("fraudml").level == level


def shuffled(seed: int) -> pl.DataFrame:
    label = table()["label"].shuffle(seed=seed)
    return table().with_columns(label=label).drop("label_time")


def test_shuffled_labels_are_refused_and_get_no_bundle(tmp_path: Path) -> None:
    roles = replace(ROLES, label_time=None)
    folder = tmp_path / "run"
    settings = replace(
        SETTINGS, data=DataSettings(columns=roles, labels_complete=True), output_dir=str(folder)
    )
    run = fraudml.train(shuffled(1), settings)
    assert not run.verdict.passed
    assert run.bundle is None
    assert isinstance(run.refusal, RefusedError)
    assert any("average precision" in reason for reason in run.verdict.reasons)
    assert run.metrics["guard"] == run.verdict.to_dict()
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml",
        "metrics.json",
        "report.html",
        "report.md",
        "run.log",
        "test_scores.parquet",
    }


def test_a_strict_guard_refuses_a_good_model() -> None:
    run = fraudml.train(table(), replace(SETTINGS, guard=GuardSettings(margin=25.0)))
    assert run.bundle is None
    assert "guard.margin" in str(run.refusal)


def test_the_test_block_decides_nothing() -> None:
    """Labels of the test block are turned over: model, threshold and calibration stay."""
    ids = trained().test_scores["id"].implode()
    turned = table().with_columns(
        label=pl.when(pl.col("transaction_id").is_in(ids))
        .then(1 - pl.col("label"))
        .otherwise("label")
        .cast(pl.Int8),
        label_time=pl.when(pl.col("transaction_id").is_in(ids)).then(None).otherwise("label_time"),
    )
    run = fraudml.train(turned, SETTINGS)
    for name in ("margin", "score", "alert"):
        assert run.test_scores[name].equals(trained().test_scores[name])
    assert run.metrics["development"] == trained().metrics["development"]
    assert run.metrics["policy"]["threshold"] == trained().metrics["policy"]["threshold"]


def test_thinning_changes_the_fit_and_no_measured_row() -> None:
    run = fraudml.train(table(), replace(SETTINGS, data=replace(SETTINGS.data, keep_legit=0.3)))
    assert run.metrics["data"] == trained().metrics["data"]
    assert run.test_scores["label"].equals(trained().test_scores["label"])
    assert not run.test_scores["margin"].equals(trained().test_scores["margin"])
    assert 0.5 < run.metrics["test"]["calibration_in_the_large"]["value"] < 2


def test_without_any_role_but_the_label() -> None:
    rows = table().drop("time", "label_time", "transaction_id", "card_id", "terminal_id")
    settings = replace(SETTINGS, data=DataSettings(), features=FeatureSettings())
    run = fraudml.train(rows, replace(settings, split=SplitSettings()))
    assert run.verdict.passed
    assert run.metrics["test"]["card_precision_at_100"]["value"] is None
    assert run.metrics["test"]["card_precision_at_100"]["reason"]
    assert run.test_scores["time"].null_count() == len(run.test_scores)
    assert run.test_scores["id"].is_unique().all()


def test_few_entities_without_a_clock() -> None:
    """A stratified split by an entity of three values leaves steps without a row."""
    rows = table().with_columns(region=pl.int_range(pl.len()) % 3).drop("time", "label_time")
    data = DataSettings(columns=ColumnRoles(entity="region", amount="amount", id="transaction_id"))
    settings = replace(SETTINGS, data=data, split=SplitSettings(test_share=0.3))
    assert fraudml.train(rows, settings).metrics["development"]["rows"] > 0


def test_a_table_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match="list"):
        fraudml.train([1, 2], SETTINGS)


def test_neither_hydra_nor_plots_are_imported(tmp_path: Path) -> None:
    table().write_parquet(tmp_path / "table.parquet")
    code = """
import sys
import polars as pl
import fraudml
from fraudml.config.components import Component
from fraudml.config.settings import DataSettings
from fraudml.data.settings import ColumnRoles
from fraudml.evaluation.intervals import IntervalSettings
settings = fraudml.Settings(
    data=DataSettings(columns=ColumnRoles(time="time", amount="amount"), labels_complete=True),
    learner=Component("fraudml.learners.lightgbm.LightGBM", {"num_iterations": 5}),
    threads=1,
    evaluation=IntervalSettings(replicates=0),
)
frame = pl.read_parquet(sys.argv[1]).drop("label_time", "card_id", "terminal_id")
fraudml.train(frame, settings)
heavy = ("hydra", "omegaconf", "optuna", "matplotlib", "imblearn")
print(sorted(name for name in heavy if name in sys.modules))
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "table.parquet")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr
