"""Devices as a run meets them: refused before anything is read, chosen, and written down."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import fraudml
from fraudml.cli import main
from fraudml.config import load_settings
from fraudml.learners import devices
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.probe import device_problem

SMALL = (
    "data.simulate.rows=6000",
    "data.simulate.prevalence=0.05",
    "data.simulate.cards=400",
    "data.simulate.terminals=60",
    "learner.num_iterations=20",
    "evaluation.replicates=100",
    "threads=1",
)


def without_cuda() -> None:
    if device_problem(LightGBM(), "cuda") is None:
        pytest.skip("needs a machine where LightGBM finds no CUDA")


@pytest.mark.parametrize("command", ["train", "backtest"])
def test_a_device_that_is_not_there_ends_a_run_before_it_reads(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without_cuda()
    # Reading it would end with 3.
    words = ["data=table", "data.path=/nowhere.csv", "data.columns.time=time", "device=cuda"]
    assert main([command, *words, f"output_dir={tmp_path / 'run'}"]) == 2
    said = capsys.readouterr().err
    assert "device is 'cuda', and LightGBM cannot be fitted there: CUDA Tree Learner" in said
    assert "--config-settings=cmake.define.USE_CUDA=ON" in said
    assert not list(tmp_path.iterdir())


def test_auto_on_a_processor_trains_as_cpu_does(tmp_path: Path) -> None:
    without_cuda()
    found = []
    for device in ("auto", "cpu"):
        folder = tmp_path / device
        assert main(["train", *SMALL, f"device={device}", f"output_dir={folder}"]) == 0
        found.append(json.loads((folder / "metrics.json").read_text()))
        assert found[-1].pop("run")["device"] == "cpu"
    assert found[0] == found[1]
    log = (tmp_path / "auto" / "run.log").read_text()
    assert log.count("device=auto chose cpu: LightGBM cannot be fitted on cuda") == 1
    assert "device=" not in (tmp_path / "cpu" / "run.log").read_text()


def test_each_learner_of_a_study_has_its_own_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def nothing_there(learner: object, device: str, _: bool) -> str:
        tried.append((type(learner).__name__, device))
        return "no card."

    monkeypatch.setattr(devices, "device_problem", nothing_there)
    words = [
        "study.resampling={none: {_target_: null}, again: {_target_: null}}",
        "study.learners={trees: {_target_: fraudml.learners.lightgbm.LightGBM, "
        "num_iterations: 5}, lines: {_target_: sklearn.linear_model.LogisticRegression}}",
        *("backtest.folds=1", "backtest.test_days=21", "device=auto"),
    ]
    small = [word for word in SMALL if not word.startswith("learner")]
    folder = tmp_path / "run"
    assert main(["backtest", *small, *words, f"output_dir={folder}"]) == 0
    run = json.loads((folder / "study.json").read_text())["run"]
    assert run["device"] == "cpu"
    assert run["device_by_learner"] == {"trees": "cpu", "lines": "cpu"}
    assert tried == [("LightGBM", "cuda")]


@pytest.mark.slow
def test_a_run_on_opencl_scores_on_the_processor(tmp_path: Path) -> None:
    problem = device_problem(LightGBM().on("opencl"), "opencl")
    if problem is not None:
        pytest.skip(
            f"needs an OpenCL platform ({problem}); on Debian and Ubuntu, without a GPU too: "
            "apt-get install pocl-opencl-icd ocl-icd-libopencl1"
        )
    folder = tmp_path / "run"
    words = ["device=opencl", "device.deterministic=true"]
    assert main(["train", *SMALL, *words, f"output_dir={folder}"]) == 0
    assert json.loads((folder / "metrics.json").read_text())["run"]["device"] == "opencl"
    log = (folder / "run.log").read_text()
    assert log.count("learner.max_bin is 255 instead of 4095") == 1
    settings = load_settings("train", list(SMALL))
    from fraudml.data.read import load_table

    scored = fraudml.load_bundle(folder / "bundle").score(load_table(settings.data))
    known = pl.read_parquet(folder / "test_scores.parquet")
    pairs = known.join(scored.rename({scored.columns[0]: "id"}), on="id", suffix="_again")
    assert pairs.height == known.height
    assert (pairs["score"] == pairs["score_again"]).all()
