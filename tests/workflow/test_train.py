"""The train command as a user and a nightly job meet it: files, numbers, exit codes, messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import fraudml
from builders import FEW_CARDS, CapSys, cards, metrics_of, quick, repeat, simulated, without_run
from fraudml.cli import main

FEW = quick()
SMALL = (*simulated(), *FEW)
TEST_METRICS = {
    "average_precision",
    "roc_auc",
    "card_precision_at_100",
    "recall_at_fpr_0.01",
    "recall_at_fpr_0.05",
    "precision_at_100",
    "value_recall",
    "cost",
    "savings",
    "brier",
    "log_loss",
    "calibration_in_the_large",
    "accuracy_of_never",
}


def outside_run(folder: Path) -> dict[str, Any]:
    return without_run(metrics_of(folder))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A small table of the user's own, with its label in words."""
    made = cards(FEW_CARDS)
    path = tmp_path / "purchases.csv"
    made.drop("label_time").with_columns(
        label=pl.when(pl.col("label") == 1).then(pl.lit("yes")).otherwise(pl.lit("no"))
    ).write_csv(path)
    return path


def own(path: Path, *more: str) -> list[str]:
    return [
        "train",
        "data=table",
        f"data.path={path}",
        "data.positive=yes",
        "data.columns.time=time",
        "data.columns.id=transaction_id",
        "data.columns.entity=card_id",
        "data.columns.amount=amount",
        "data.labels_complete=true",
        *FEW,
        f"output_dir={path.parent / 'run'}",
        *more,
    ]


def test_the_run_folder_is_complete(smote_run: Path) -> None:
    names = {
        path.relative_to(smote_run).as_posix() for path in smote_run.rglob("*") if path.is_file()
    }
    assert names >= {
        "config.yaml",
        "metrics.json",
        "test_scores.parquet",
        "run.log",
        "bundle/manifest.json",
        "bundle/manifest.sha256",
        "bundle/learner/model.txt",
    }
    assert not smote_run.with_name("run.partial").exists()


def test_the_metrics_are_those_of_the_contract(smote_run: Path) -> None:
    metrics = metrics_of(smote_run)
    assert set(metrics) >= {"schema_version", "run", "data", "test", "policy", "proof", "guard"}
    assert set(metrics["test"]) >= TEST_METRICS
    assert metrics["proof"]["resampling"]["verdict"] in {"keep", "drop", "undecided"}
    assert metrics["calibration"]["verdict"] in {"right", "wrong", "undecided"}
    assert set(metrics["calibration"]["slope"]) == {"value", "low", "high"}
    assert set(metrics["calibration"]["reliability"][0]) == {
        *("low", "high", "rows", "frauds", "mean_p", "rate", "rate_low", "rate_high"),
    }
    assert metrics["fairness"]["column"] is None
    assert "data.columns.group" in metrics["fairness"]["reason"]
    assert metrics["guard"] == {"passed": True, "reasons": []}
    precision = metrics["test"]["average_precision"]
    assert precision["low"] < precision["value"] < precision["high"]
    assert precision["baseline"] == pytest.approx(
        metrics["data"]["blocks"]["test"]["frauds"] / metrics["data"]["blocks"]["test"]["rows"]
    )
    assert metrics["policy"]["test"]["alerts_per_day"]["value"] > 0


def with_group(table: Path, levels: int) -> Path:
    """Give cards a group; levels that could not stand anywhere else by chance."""
    code = pl.col("card_id").rank("dense") % levels
    made = pl.read_csv(table).with_columns(clan=pl.format("clan<{}>", code))
    missing = pl.col("card_id").rank("dense") % 5 == 0
    made = made.with_columns(clan=pl.when(missing).then(None).otherwise("clan"))
    made.write_csv(table)
    return table


def test_groups_are_compared_and_stand_in_no_artefact(table: Path, tmp_path: Path) -> None:
    with_group(table, 2)
    assert main(own(table, "data.columns.group=clan")) == 0
    run = tmp_path / "run"
    metrics = metrics_of(run)
    found = metrics["fairness"]
    assert found["column"] == "clan"
    assert set(found["groups"]) == {"clan<0>", "clan<1>", "not known"}
    block = metrics["data"]["blocks"]["test"]
    for part in ("rows", "frauds"):
        assert sum(group[part] for group in found["groups"].values()) == block[part]
    scores = pl.read_parquet(run / "test_scores.parquet")
    alerts = int(scores["alert"].sum())
    assert sum(group["alerts"] for group in found["groups"].values()) == alerts
    assert found["equal_rates"]["today"]["alerts"] == alerts
    assert found["equal_rates"]["equal"]["alerts"] <= alerts
    cost = metrics["test"]["cost"]["value"]
    assert found["equal_rates"]["today"]["cost"] == pytest.approx(cost)
    assert "clan" not in scores.columns
    for path in run.rglob("*"):
        if path.is_file() and path.name != "metrics.json":
            assert b"clan<" not in path.read_bytes(), path


def test_groups_of_too_many_levels_are_refused_before_any_fit(table: Path, capsys: CapSys) -> None:
    assert main(own(with_group(table, 80), "data.columns.group=clan")) == 3
    assert "'clan' plays the role 'group'" in capsys.readouterr().err


def test_metrics_are_on_untouched_rows(smote_run: Path) -> None:
    from sklearn.metrics import average_precision_score

    scores = pl.read_parquet(smote_run / "test_scores.parquet")
    metrics = metrics_of(smote_run)
    block = metrics["data"]["blocks"]["test"]
    assert scores.columns == [
        *("id", "time", "entity", "amount", "label", "margin", "score", "alert"),
    ]
    assert scores.height == block["rows"]
    assert scores["label"].sum() == block["frauds"]
    expected = average_precision_score(scores["label"], scores["margin"])
    assert metrics["test"]["average_precision"]["value"] == pytest.approx(expected, abs=1e-12)
    again = average_precision_score(scores["label"], scores["score"])
    assert again == pytest.approx(expected, abs=1e-9)


def test_the_config_of_a_run_repeats_it(smote_run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    arguments = [*repeat(smote_run), f"output_dir={again}"]
    assert main(["train", *arguments]) == 0
    assert outside_run(again) == outside_run(smote_run)
    first, second = (
        (folder / "bundle/learner/model.txt").read_bytes() for folder in (smote_run, again)
    )
    assert first == second


def assert_the_bundle_scores_to_the_bit(run: Path) -> None:
    raw = cards()
    told = pl.read_parquet(run / "test_scores.parquet")
    rows = told.select(transaction_id="id").join(
        raw.drop("label", "label_time"), on="transaction_id", how="left", maintain_order="left"
    )
    scored = fraudml.load_bundle(run / "bundle").score(rows)
    assert scored["transaction_id"].equals(told["id"].rename("transaction_id"))
    assert scored["score"].to_numpy().tobytes() == told["score"].to_numpy().tobytes()
    assert scored["alert"].equals(told["alert"].rename("alert"))


def test_the_bundle_scores_the_raw_rows_to_the_bit(smote_run: Path) -> None:
    assert_the_bundle_scores_to_the_bit(smote_run)


def test_the_log_and_the_bundle_hold_no_ids(smote_run: Path) -> None:
    card = pl.read_parquet(smote_run / "test_scores.parquet")["entity"][0]
    for path in [smote_run / "run.log", *(smote_run / "bundle").rglob("*")]:
        if path.is_file():
            assert str(card) not in path.read_text()


def test_a_table_of_ones_own(table: Path) -> None:
    assert main(own(table)) == 0
    assert (table.parent / "run" / "bundle").is_dir()


@pytest.mark.parametrize(
    ("learner", "more"),
    [
        ("logistic", []),
        ("random_forest", ["learner.n_estimators=20"]),
        ("bagged_lightgbm", ["learner.num_iterations=30", "learner.n_members=2"]),
        ("balanced_random_forest", ["learner.n_estimators=20"]),
        ("balanced_bagging", ["learner.n_estimators=10"]),
        ("easy_ensemble", ["learner.n_estimators=2"]),
        ("rusboost", ["learner.n_estimators=10"]),
    ],
)
def test_other_learners_go_the_same_way(learner: str, more: list[str], tmp_path: Path) -> None:
    few = [*simulated(), *quick(None)]
    folder = tmp_path / "run"
    assert main(["train", f"learner={learner}", *few, *more, f"output_dir={folder}"]) == 0
    assert_the_bundle_scores_to_the_bit(folder)


def test_a_scikit_learn_estimator_by_target(tmp_path: Path) -> None:
    few = [*simulated(), *quick(None)]
    words = ["learner=logistic", "learner.classifier=sklearn.naive_bayes.GaussianNB"]
    drop = ["~learner.max_iter"]
    assert main(["train", *words, *drop, *few, f"output_dir={tmp_path / 'run'}"]) == 0


def test_shuffled_labels_are_refused(tmp_path: Path, capsys: CapSys) -> None:
    made = cards()
    label = np.random.default_rng(1).permutation(made["label"].to_numpy())
    path = tmp_path / "shuffled.parquet"
    made.drop("label_time").with_columns(label=label).write_parquet(path)
    words = [word for word in own(path) if not word.startswith("data.positive")]
    assert main(words) == 4
    folder = tmp_path / "run"
    guard = metrics_of(folder)["guard"]
    assert not guard["passed"]
    assert "average precision" in guard["reasons"][0]
    assert not (folder / "bundle").exists()
    assert "The guard refused the model" in capsys.readouterr().err


def change(table: Path, **columns: pl.Expr) -> None:
    pl.read_csv(table).with_columns(**columns).write_csv(table)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["data.path=nowhere.parquet"], 3, "nowhere.parquet"),
        (["data.columns.amount=amuont"], 3, "'amount'"),
        (["data.positive=maybe"], 3, "maybe"),
        (["split.tset_share=0.3"], 2, "test_share"),
        (["resampling=smoet"], 2, "smote"),
        (["+experiment=nonesuch"], 2, "baseline"),
        (["objective=accuracy"], 2, "accuracy"),
        (["objective=roc_auc"], 2, "average_precision"),
        (["split.test_share=0.001"], 3, "split.test_share="),
        (["split.label_delay=week"], 2, "7d"),
        (["learner.num_leafs=7"], 2, "num_leaves"),
        (["costs.review_cost=-1"], 2, "review_cost"),
        (["data.csv.time_format='%d/%m/%Y'"], 3, "time"),
    ],
)
def test_wrong_words_have_their_exit_code(
    words: list[str], code: int, said: str, table: Path, capsys: CapSys
) -> None:
    given = [
        word for word in own(table) if not any(word.split("=")[0] == w.split("=")[0] for w in words)
    ]
    assert main([*given, *words]) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (table.parent / "run").exists()
    assert not (table.parent / "run.partial").exists()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"label": pl.Series(["yes", "no", "maybe", "no"] * 1000)}, "3 values"),
        ({"label": pl.lit("no")}, "data.positive"),
        ({"transaction_id": pl.lit(7)}, "4,000 of 4,000"),
        ({"copy": pl.col("label") == "yes"}, "column 'copy'"),
        ({"ratio": pl.lit(float("inf"))}, "infinite"),
        ({"time": pl.lit("soon")}, "time"),
        ({"amount": pl.when(pl.int_range(4000) == 7).then(None).otherwise("amount")}, "null in 1"),
    ],
)
def test_wrong_data_have_exit_code_3(
    columns: dict[str, pl.Expr], said: str, table: Path, capsys: CapSys
) -> None:
    change(table, **columns)
    assert main(own(table)) == 3
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (table.parent / "run").exists()
    assert not (table.parent / "run.partial").exists()


def test_a_leak_may_be_allowed(table: Path) -> None:
    change(table, copy=pl.col("label") == "yes")
    assert main(own(table, "audit.allow=[copy]")) == 0


def test_an_empty_table(table: Path) -> None:
    pl.read_csv(table).clear().write_csv(table)
    assert main(own(table)) == 3


def test_a_constant_table(table: Path, capsys: CapSys) -> None:
    kept = pl.read_csv(table).select("transaction_id", "time", "card_id", "label", amount=1.0)
    kept.with_columns(one=pl.lit(1)).write_csv(table)
    assert main(own(table, "features.time_parts=[]")) == 3
    assert "No column is left" in capsys.readouterr().err


def test_a_finished_folder_is_never_overwritten(smote_run: Path, capsys: CapSys) -> None:
    before = (smote_run / "metrics.json").read_bytes()
    assert main(["train", *SMALL, f"output_dir={smote_run}"]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert (smote_run / "metrics.json").read_bytes() == before


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CapSys) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    # A full file system cannot be had in a test; the last file to be written fails like one.
    monkeypatch.setattr("fraudml.records.folder.write_json", full)
    assert main(["train", *SMALL, f"output_dir={tmp_path / 'run'}"]) == 7
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_budget_that_is_too_short(tmp_path: Path) -> None:
    few = [*simulated(), *quick(None)]
    words = ["budget.seconds=0.01", "learner.num_iterations=2000", *few]
    assert main(["train", *words, f"output_dir={tmp_path / 'run'}"]) == 5
    assert list(tmp_path.iterdir()) == []


def test_multirun_gives_each_run_a_folder(tmp_path: Path) -> None:
    words = ["train", "--multirun", "seed=0,1", *SMALL, f"output_dir={tmp_path / 'runs'}"]
    assert main(words) == 0
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"0", "1"}


def test_thinning_touches_the_fit_alone(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("all", "thin")]
    for folder, share in zip(folders, ("1.0", "0.3"), strict=True):
        assert main(["train", *SMALL, f"data.keep_legit={share}", f"output_dir={folder}"]) == 0
    whole, thin = (outside_run(folder) for folder in folders)
    assert whole["data"] == thin["data"]
    large = thin["test"]["calibration_in_the_large"]
    assert 0.5 < large["value"] < 2.0


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "fraudml", "train", "learner.num_iterations=100000"),
            *("threads=1", f"output_dir={folder}"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "out-of-fold scores" in line:
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("data", ["ulb", "handbook", "gmsc"])
@pytest.mark.parametrize("experiment", ["baseline", "smote", "undersample", "cost_sensitive"])
def test_the_experiments_run_on_real_data(data: str, experiment: str, tmp_path: Path) -> None:
    if not (Path(os.environ.get("FRAUDML_DATA", "data")) / f"{data}.parquet").exists():
        pytest.skip(f"needs {data}.parquet in FRAUDML_DATA")
    # Few rounds: that each way is open is what is tested here, not how good the model is.
    words = ["learner.num_iterations=40", "evaluation.replicates=100"]
    folder = tmp_path / "run"
    code = main(
        ["train", f"data={data}", f"+experiment={experiment}", *words, f"output_dir={folder}"]
    )
    assert code == 0
    assert set(outside_run(folder)["test"]) >= TEST_METRICS
