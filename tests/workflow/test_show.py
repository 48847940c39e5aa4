"""What `show` says of a bundle, and of the folder of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fraudml.cli import main

CapSys = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("show") / "run"
    command = [
        *("train", f"output_dir={folder}", "threads=1", "features=transactions"),
        *("data.simulate.rows=4000", "data.simulate.prevalence=0.06", "data.simulate.cards=300"),
        *("learner.num_iterations=20", "evaluation.replicates=100", "proof=false"),
        *("policy=alert_budget", "policy.alerts_per_day=5", "policy.unmet=closest"),
    ]
    assert main(command) == 0
    return folder


def shown(path: Path, capsys: CapSys) -> str:
    capsys.readouterr()
    assert main(["show", f"bundle={path}"]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_a_bundle_is_shown_for_a_person(run: Path, capsys: CapSys) -> None:
    told = shown(run / "bundle", capsys)
    manifest = json.loads((run / "bundle" / "manifest.json").read_text())
    data = manifest["record"]["data"]
    for part in (
        "A lightgbm (",
        "4,000 rows, 240 frauds",
        f"{data['start']} to {data['end']}",
        "test: average precision",
        "alerts on test: precision",
        "policy alert_budget: p ≥",
        "constraint alerts per day at most 5",
        "costs card",
        "id transaction_id, entity card_id",
        "needs a history 180 days of",
        "feature amount column amount",
        "file learner/model.txt",
    ):
        assert part in told, part


def test_the_folder_of_a_run_is_shown_as_its_bundle(run: Path, capsys: CapSys) -> None:
    assert shown(run, capsys) == shown(run / "bundle", capsys)


def test_a_run_whose_model_was_refused_is_shown_with_the_reasons(
    run: Path, tmp_path: Path, capsys: CapSys
) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["guard"] = {"passed": False, "reasons": ["it is no better than chance"]}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    told = shown(tmp_path, capsys)
    assert "refused: it is no better than chance" in told
    assert "4,000 rows, 240 frauds" in told


def test_what_is_no_bundle_or_damaged_is_refused(run: Path, tmp_path: Path, capsys: CapSys) -> None:
    assert main(["show"]) == 2
    assert "bundle is not set" in capsys.readouterr().err
    assert main(["show", f"bundle={tmp_path / 'none'}"]) == 6
    assert main(["show", f"bundle={tmp_path}"]) == 6
    copy = Path(shutil.copytree(run / "bundle", tmp_path / "bundle"))
    (copy / "more.txt").write_text("more")
    assert main(["show", f"bundle={copy}"]) == 6
    assert "not listed" in capsys.readouterr().err
