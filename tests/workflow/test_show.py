"""What `show` says of a bundle, and of the folder of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from builders import CapSys, metrics_of, printed, read_json
from fraudml.cli import main


def shown(path: Path, capsys: CapSys) -> str:
    capsys.readouterr()
    assert main(["show", f"bundle={path}"]) == 0
    return printed(capsys)


def test_a_bundle_is_shown_for_a_person(budget_run: Path, capsys: CapSys) -> None:
    told = shown(budget_run / "bundle", capsys)
    manifest = read_json(budget_run / "bundle" / "manifest.json")
    data = manifest["record"]["data"]
    for part in (
        "A lightgbm (",
        "6,000 rows, 300 frauds",
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


def test_the_folder_of_a_run_is_shown_as_its_bundle(budget_run: Path, capsys: CapSys) -> None:
    assert shown(budget_run, capsys) == shown(budget_run / "bundle", capsys)


def test_a_run_whose_model_was_refused_is_shown_with_the_reasons(
    budget_run: Path, tmp_path: Path, capsys: CapSys
) -> None:
    metrics = metrics_of(budget_run)
    metrics["guard"] = {"passed": False, "reasons": ["it is no better than chance"]}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    told = shown(tmp_path, capsys)
    assert "refused: it is no better than chance" in told
    assert "6,000 rows, 300 frauds" in told


def test_what_is_no_bundle_or_damaged_is_refused(
    budget_run: Path, tmp_path: Path, capsys: CapSys
) -> None:
    assert main(["show"]) == 2
    assert "bundle is not set" in capsys.readouterr().err
    assert main(["show", f"bundle={tmp_path / 'none'}"]) == 6
    assert main(["show", f"bundle={tmp_path}"]) == 6
    copy = Path(shutil.copytree(budget_run / "bundle", tmp_path / "bundle"))
    (copy / "more.txt").write_text("more")
    assert main(["show", f"bundle={copy}"]) == 6
    assert "not listed" in capsys.readouterr().err
