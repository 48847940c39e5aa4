"""train from_run=… refit=latest: the same settings on all that is known, and whose numbers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fraudml
from builders import CapSys, cards, errors, execute, metrics_of, printed, read_json, repeat
from fraudml.bundle import bundle_digest, read_bundle
from fraudml.cli import main
from fraudml.config import load_settings
from fraudml.decisions.policies import Constraint, TunedPolicy
from fraudml.pipeline.fit import fit_bundle


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the first 5,000 rows."""
    folder = tmp_path_factory.mktemp("run")
    cards()[:5000].write_parquet(folder / "cards.parquet")
    command = [
        *("data.simulate=null", f"data.path={folder / 'cards.parquet'}", "threads=1"),
        *("learner.num_iterations=30", "evaluation.replicates=0", "seed=3", "proof=false"),
        *("split.label_delay=0", "data.columns.label_time=null"),
        "data.columns.exclude=[label_time]",
    ]
    return execute(folder / "judged", "train", *command)


def refit(run: Path, output: Path, *more: str) -> int:
    return main(["train", f"from_run={run}", "refit=latest", f"output_dir={output}", *more])


def test_it_fits_all_rows_and_keeps_the_numbers_of_its_run(run: Path, tmp_path: Path) -> None:
    assert refit(run, tmp_path / "live") == 0
    before, after = metrics_of(run), metrics_of(tmp_path / "live")
    known = after["data"]["blocks"]["development"]
    assert known["rows"] == 5000
    assert known["end"] == before["data"]["blocks"]["test"]["end"]
    assert list(after["data"]["blocks"]) == ["development"]
    for name in ("test", "proof", "baselines", "fairness", "guard"):
        assert after[name] == before[name]
    assert after["policy"]["test"] == before["policy"]["test"]
    assert after["refit"]["run"] == "judged"
    assert after["refit"]["bundle"] == bundle_digest(run / "bundle")
    assert after["refit"]["test_block"] == before["data"]["blocks"]["test"]
    assert not (tmp_path / "live" / "test_scores.parquet").exists()
    one, other = (read_bundle(folder / "bundle") for folder in (run, tmp_path / "live"))
    assert other.record["refit"] == after["refit"]
    assert other.reference_distribution is not None
    assert one.reference_distribution is not None
    assert other.reference_distribution.score == one.reference_distribution.score
    assert other.reference_distribution.features != one.reference_distribution.features
    manifest = (tmp_path / "live" / "bundle" / "manifest.json").read_text()
    assert str(run.parent) not in manifest


def test_a_run_that_calls_its_baselines_rivals_is_read(
    run: Path, tmp_path: Path, capsys: CapSys
) -> None:
    old = tmp_path / "old"
    shutil.copytree(run, old)
    record = metrics_of(old)
    (old / "metrics.json").write_text(json.dumps(record | {"rivals": record.pop("baselines")}))
    config = (old / "config.yaml").read_text()
    assert config.count("  baselines: true\n") == 1
    (old / "config.yaml").write_text(config.replace("  baselines: true\n", "  rivals: true\n"))
    assert refit(old, tmp_path / "live") == 0
    assert metrics_of(tmp_path / "live")["baselines"] == metrics_of(run)["baselines"]
    both = f"runs=[{old},{run}]"
    assert main(["compare", both, "evaluation.replicates=100", f"output_dir={tmp_path / 'c'}"]) == 0
    assert main(["show", f"bundle={old}"]) == 0
    assert "average precision" in capsys.readouterr().out


def test_it_is_the_model_of_a_run_whose_window_are_the_same_rows(run: Path, tmp_path: Path) -> None:
    whole = cards()
    whole.write_parquet(tmp_path / "today.parquet")
    start = whole["time"][5000]
    assert start > whole["time"][4999]
    again = ["train", *repeat(run), "threads=1"]
    cut = [f"data.path={tmp_path / 'today.parquet'}", f"split.test_start='{start}'"]
    assert main([*again, *cut, f"output_dir={tmp_path / 'cut'}"]) == 0
    assert refit(run, tmp_path / "live") == 0
    one, other = (metrics_of(tmp_path / name) for name in ("cut", "live"))
    assert one["data"]["blocks"]["development"] == other["data"]["blocks"]["development"]
    assert one["development"] == other["development"]
    assert one["policy"]["threshold"] == other["policy"]["threshold"]
    manifests = [
        read_json(tmp_path / name / "bundle" / "manifest.json") for name in ("cut", "live")
    ]
    for name in ("schema", "features", "learner", "calibrator", "costs", "files"):
        assert manifests[0][name] == manifests[1][name], name


def test_it_may_name_the_table_of_today(run: Path, tmp_path: Path, capsys: CapSys) -> None:
    cards().write_parquet(tmp_path / "today.parquet")
    assert refit(run, tmp_path / "live", f"data.path={tmp_path / 'today.parquet'}") == 0
    after = metrics_of(tmp_path / "live")
    assert after["data"]["rows"] == 6000
    assert after["refit"]["data"] == metrics_of(run)["data"]["fingerprint"]
    assert "seed: 3" in (tmp_path / "live" / "config.yaml").read_text()
    capsys.readouterr()
    assert main(["show", f"bundle={tmp_path / 'live'}"]) == 0
    said = printed(capsys)
    assert "refitted on 6,000 rows up to" in said
    assert "metrics are those of run judged (bundle sha256:" in said
    assert refit(tmp_path / "live", tmp_path / "more") == 2
    assert "Name that run" in capsys.readouterr().err


def test_rows_whose_label_is_not_known_yet_stay_out(run: Path, tmp_path: Path) -> None:
    cards().write_parquet(tmp_path / "today.parquet")
    config = run.parent / "waiting"
    config.mkdir()
    for name in ("metrics.json", "config.yaml"):
        (config / name).write_bytes((run / name).read_bytes())
    (config / "bundle").symlink_to(run / "bundle")
    text = (config / "config.yaml").read_text()
    assert "labels_complete: true" in text
    text = text.replace("labels_complete: true", "labels_complete: false")
    assert "label_delay: '0'" in text
    (config / "config.yaml").write_text(text.replace("label_delay: '0'", "label_delay: 7d"))
    place = f"data.path={tmp_path / 'today.parquet'}"
    assert refit(config, tmp_path / "live", place) == 0
    after, last = metrics_of(tmp_path / "live"), cards()["time"][-1]
    block = after["data"]["blocks"]["development"]
    assert 5000 < block["rows"] < 6000
    early = cards()["time"][4500]
    assert refit(config, tmp_path / "early", place, f"data.as_of='{early}'") == 0
    assert metrics_of(tmp_path / "early")["data"]["blocks"]["development"]["rows"] < 4500
    assert str(last) > block["end"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("learner.num_leaves=7",), "'learner.num_leaves' are set"),
        (("resampling=smote", "seed=1"), "'resampling', 'seed' are set"),
        (("refit=null",), "from_run and refit go together"),
        (("refit=all",), "refit"),
    ],
)
def test_other_settings_are_another_model(
    run: Path, more: tuple[str, ...], said: str, tmp_path: Path, capsys: CapSys
) -> None:
    assert refit(run, tmp_path / "live", *more) == 2
    assert said in errors(capsys)
    assert not list(tmp_path.iterdir())


def test_a_model_that_was_refused_is_not_refitted(
    run: Path, tmp_path: Path, capsys: CapSys
) -> None:
    refused = tmp_path / "refused"
    refused.mkdir()
    (refused / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    found = {**metrics_of(run), "guard": {"passed": False, "reasons": ["no better than chance"]}}
    (refused / "metrics.json").write_text(json.dumps(found))
    assert refit(refused, tmp_path / "live") == 4
    assert "no better than chance" in errors(capsys)
    assert not (tmp_path / "live").exists()


def test_a_promise_that_the_longer_window_breaks_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CapSys
) -> None:
    broken = Constraint("precision", "at least", 0.9, 0.95, False, 0.8, 0.7, 9, "entity")

    def fit(*arguments: Any, **named: Any) -> Any:
        bundle, scores = fit_bundle(*arguments, **named)
        return replace(bundle, policy=TunedPolicy("precision_floor", 0.5, broken)), scores

    monkeypatch.setattr("fraudml.workflows.refit.fit_bundle", fit)
    assert refit(run, tmp_path / "live") == 4
    assert "on the longer window" in errors(capsys)
    assert metrics_of(tmp_path / "live")["guard"]["passed"] is False
    assert not (tmp_path / "live" / "bundle").exists()


def test_a_damaged_bundle_is_not_refitted(run: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    (damaged / "bundle" / "manifest.sha256").write_text("0\n")
    assert refit(damaged, tmp_path / "live") == 6


@pytest.mark.parametrize("command", ["sweep", "backtest"])
def test_a_run_of_another_command_is_said(command: str, tmp_path: Path, capsys: CapSys) -> None:
    (tmp_path / f"{command}.json").write_text("{}")
    assert refit(tmp_path, tmp_path / "live") == 2
    assert f"is of {command}. Train with its settings" in errors(capsys)


def test_from_python_it_takes_a_frame(run: Path, tmp_path: Path) -> None:
    settings = load_settings("train", [f"from_run={run}", "refit=latest"])
    made = fraudml.train(pl.read_parquet(run.parent / "cards.parquet"), settings)
    assert refit(run, tmp_path / "live") == 0
    ours, theirs = made.metrics, metrics_of(tmp_path / "live")
    # A frame comes whole; of a file the excluded column is never read, and not in its fingerprint.
    assert ours["data"].pop("fingerprint") != theirs["data"].pop("fingerprint")
    assert {**ours, "run": 0} == {**theirs, "run": 0}
    assert made.summary()[1][0][0] == "refitted on"


def test_a_folder_of_no_run_is_said(tmp_path: Path, capsys: CapSys) -> None:
    assert refit(tmp_path / "nothing", tmp_path / "live") == 2
    assert "Expected the folder of a run of train" in errors(capsys)
