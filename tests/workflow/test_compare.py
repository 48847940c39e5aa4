"""The compare command: the same rows, paired differences, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from builders import CapSys, execute, metrics_of, quick, read_json, simulated
from fraudml.cli import main
from fraudml.metrics import average_precision

FEW = (*simulated(), *quick(), "proof=false")


def train(folder: Path, *more: str) -> Path:
    return execute(folder, "train", *FEW, *more, codes=(0, 4))


@pytest.fixture
def runs(history_run: Path, logistic_run: Path) -> tuple[Path, Path]:
    return history_run, logistic_run


def compare(*words: str) -> int:
    return main(["compare", "threads=1", "evaluation.replicates=200", *words])


def test_runs_are_compared_by_paired_differences(
    runs: tuple[Path, Path], tmp_path: Path, capsys: CapSys
) -> None:
    out = tmp_path / "out"
    assert compare(f"runs=[{runs[0]},{runs[1]}]", f"output_dir={out}") == 0
    record = read_json(out / "compare.json")
    assert record["models"] == ["trees", "line"]
    tables = [pl.read_parquet(run / "test_scores.parquet") for run in runs]
    values = [average_precision(one["label"], one["margin"]) for one in tables]
    found = record["metrics"]["average_precision"]
    pair = found["pairs"][0]
    assert found["values"]["trees"]["value"] == pytest.approx(values[0])
    assert pair["difference"] == pytest.approx(values[0] - values[1])
    assert pair["low"] <= pair["difference"] <= pair["high"]
    assert pair["better"] == "trees"
    assert pair["probability_better"] > 0.9
    # Each by itself has a wider range than their difference has where they are alike.
    costs = record["metrics"]["cost"]["pairs"][0]
    ahead = "trees" if costs["difference"] < 0 else "line"
    assert costs["better"] in (None, ahead)
    assert record["metrics"]["alerts_per_day"]["pairs"][0]["better"] is None
    assert {path.name for path in out.iterdir()} == {
        *("compare.json", "config.yaml", "report.html", "report.md", "run.log"),
    }
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "trees is better than line in average precision by" in text
    assert "Precision over recall" in text
    told = capsys.readouterr().out
    assert "average precision" in told
    assert "trees" in told


def test_the_numbers_are_those_of_the_run(runs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert compare(f"runs=[{runs[0]},{runs[1]}]", f"output_dir={out}") == 0
    record = read_json(out / "compare.json")["metrics"]
    metrics = metrics_of(runs[0])
    for name in ("card_precision_at_100", "value_recall", "cost", "savings", "brier"):
        assert record[name]["values"]["trees"]["value"] == pytest.approx(
            metrics["test"][name]["value"]
        ), name
    for name in ("precision", "recall", "alerts_per_day"):
        assert record[name]["values"]["trees"]["value"] == pytest.approx(
            metrics["policy"]["test"][name]["value"]
        ), name


def test_bundles_are_compared_on_a_table(
    runs: tuple[Path, Path], tmp_path: Path, capsys: CapSys
) -> None:
    out = tmp_path / "out"
    bundles = f"bundles=[{runs[0] / 'bundle'},{runs[1]}]"
    assert compare(bundles, *simulated(), "data.simulate.seed=5", f"output_dir={out}") == 0
    record = read_json(out / "compare.json")
    assert record["models"] == ["trees", "line"]
    assert record["rows"] == 6000
    # The simulated table is of the same months as that of the training.
    assert len(record["notes"]) == 2
    assert "was fitted on rows up to" in record["notes"][0]
    assert "was fitted on rows up to" in capsys.readouterr().err


def test_a_model_beside_itself_differs_in_nothing(runs: tuple[Path, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    out = tmp_path / "out"
    assert compare(f"runs=[{runs[0]},{copy}]", f"output_dir={out}") == 0
    record = read_json(out / "compare.json")
    for name, entry in record["metrics"].items():
        pair = entry["pairs"][0]
        assert (pair["difference"], pair["low"], pair["high"]) in ((0, 0, 0), (None, None, None))
        assert pair["better"] is None
        assert pair["probability_better"] in (None, 0.5), name


def test_other_costs_are_said(runs: tuple[Path, Path], tmp_path: Path, capsys: CapSys) -> None:
    dear = train(tmp_path / "dear", "costs.review_cost=25")
    out = tmp_path / "out"
    assert compare(f"runs=[{runs[0]},{dear}]", f"output_dir={out}") == 0
    notes = read_json(out / "compare.json")["notes"]
    assert any(note.startswith("The costs of dear are not those of trees") for note in notes)
    assert "The costs of dear" in (out / "report.html").read_text(encoding="utf-8")


def test_three_runs_give_three_pairs(runs: tuple[Path, Path], tmp_path: Path) -> None:
    third = train(tmp_path / "third", "learner.num_iterations=5")
    out = tmp_path / "out"
    assert compare(f"runs=[{runs[0]},{runs[1]},{third}]", f"output_dir={out}") == 0
    record = read_json(out / "compare.json")
    assert len(record["metrics"]["roc_auc"]["pairs"]) == 3


def test_a_refused_model_may_be_compared_and_is_called_refused(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    refused_run = train(tmp_path / "silent", "policy=fixed", "policy.threshold=1")
    assert not (refused_run / "bundle").exists()
    out = tmp_path / "out"
    assert compare(f"runs=[{runs[0]},{refused_run}]", f"output_dir={out}") == 0
    record = read_json(out / "compare.json")
    assert record["notes"] == ["The guard refused silent: it has no bundle to score with."]
    assert record["metrics"]["precision"]["pairs"][0]["difference"] is None


@pytest.mark.slow
def test_backtests_are_compared_over_their_folds(tmp_path: Path) -> None:
    rows = [*FEW, "data.simulate.rows=12000", "backtest.folds=2"]
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, leaves in zip(folders, (31, 3), strict=True):
        more = [f"learner.num_leaves={leaves}", f"output_dir={folder}"]
        assert main(["backtest", *rows, *more]) == 0
    out = tmp_path / "out"
    assert compare(f"runs=[{folders[0]},{folders[1]}]", f"output_dir={out}") == 0
    record = read_json(out / "compare.json")
    mean = read_json(folders[0] / "backtest.json")["mean"]
    assert record["blocks"] == 2
    for name in ("average_precision", "cost", "recall"):
        value = record["metrics"][name]["values"]["one"]["value"]
        assert value == pytest.approx(mean[name]), name


def refused(capsys: CapSys, out: Path, code: int, *words: str) -> str:
    capsys.readouterr()
    assert compare(*words, f"output_dir={out}") == code
    assert not out.exists()
    assert not out.with_name(out.name + ".partial").exists()
    lines = capsys.readouterr().err.splitlines()
    return next(line for line in lines if line.startswith("error: "))


def test_what_cannot_be_compared_is_refused(
    runs: tuple[Path, Path], tmp_path: Path, capsys: CapSys
) -> None:
    first, out = runs[0], tmp_path / "out"
    assert "Neither runs nor bundles" in refused(capsys, out, 2)
    assert "alone" in refused(capsys, out, 2, f"runs=[{first}]")
    assert "alone" in refused(capsys, out, 2, f"bundles=[{first}]")
    assert "same folder twice" in refused(capsys, out, 2, f"runs=[{first},{first}]")
    both = refused(capsys, out, 2, f"runs=[{first},{runs[1]}]", f"bundles=[{first},{runs[1]}]")
    assert "both set" in both
    gone = refused(capsys, out, 3, f"runs=[{first},{tmp_path / 'gone'}]")
    assert f"there is no folder '{tmp_path / 'gone'}'" in gone
    (tmp_path / "empty").mkdir()
    told = refused(capsys, out, 3, f"runs=[{first},{tmp_path / 'empty'}]")
    assert "is no finished run of train, backtest or sweep" in told
    shutil.copytree(first, tmp_path / "going.partial")
    told = refused(capsys, out, 3, f"runs=[{first},{tmp_path / 'going.partial'}]")
    assert "is not finished" in told
    assert "error: bundle" in refused(capsys, out, 6, f"bundles=[{first},{tmp_path / 'gone'}]")
    assert "replicates" in refused(
        capsys, out, 2, f"runs=[{first},{runs[1]}]", "evaluation.replicates=0"
    )


def test_runs_on_other_rows_are_refused(
    runs: tuple[Path, Path], tmp_path: Path, capsys: CapSys
) -> None:
    out = tmp_path / "out"
    fewer = train(tmp_path / "fewer", "split.test_share=0.3")
    told = refused(capsys, out, 3, f"runs=[{runs[0]},{fewer}]")
    assert "Models are compared on the same rows" in told
    other = train(tmp_path / "other", "data.simulate.seed=9")
    told = refused(capsys, out, 3, f"runs=[{runs[0]},{other}]")
    assert "were not tested on the same rows" in told
    # One label that was corrected since is enough.
    changed = tmp_path / "changed"
    shutil.copytree(runs[0], changed)
    scores = pl.read_parquet(changed / "test_scores.parquet")
    label = scores["label"].to_numpy().copy()
    label[7] = 1 - label[7]
    scores.with_columns(label=pl.Series(label)).write_parquet(changed / "test_scores.parquet")
    told = refused(capsys, out, 3, f"runs=[{runs[0]},{changed}]")
    assert "label differs in 1 of 1,200" in told


def test_a_damaged_file_of_scores_is_refused(
    runs: tuple[Path, Path], tmp_path: Path, capsys: CapSys
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(runs[0], damaged)
    (damaged / "test_scores.parquet").write_bytes(b"PAR1" + bytes(np.arange(50, dtype=np.uint8)))
    told = refused(capsys, tmp_path / "out", 3, f"runs=[{runs[0]},{damaged}]")
    assert "cannot be read" in told
    (damaged / "config.yaml").write_text("lerner: 1\n")
    shutil.copy(runs[0] / "test_scores.parquet", damaged)
    told = refused(capsys, tmp_path / "out", 2, f"runs=[{runs[0]},{damaged}]")
    assert "is not a config of this version" in told
