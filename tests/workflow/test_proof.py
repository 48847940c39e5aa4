"""What train says of its helps, and what a study ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import (
    TWO_MONTHS,
    CapSys,
    execute,
    metrics_of,
    printed,
    quick,
    read_json,
    repeat,
    simulated,
)
from fraudml.cli import main
from fraudml.metrics.registry import names_in

SMALL = (*simulated(), *quick(rounds=20, replicates=100))


def trained(folder: Path, *more: str) -> dict[str, Any]:
    return metrics_of(execute(folder, "train", *SMALL, *more, codes=(0, 4)))


@pytest.fixture
def both(budget_run: Path) -> dict[str, Any]:
    return metrics_of(budget_run)


def test_each_help_has_its_proof(both: dict[str, Any]) -> None:
    assert set(both["proof"]) == {"resampling", "weighting"}
    for one in both["proof"].values():
        assert set(one["metrics"]) == set(names_in("ablation"))
        assert one["metric"] == "average_precision"
        assert one["verdict"] in ("keep", "drop", "undecided")
        assert one["low"] <= one["high"]
        assert one["difference"] == one["metrics"]["average_precision"]["difference"]


def test_the_test_difference_is_that_of_the_model_without(
    both: dict[str, Any], budget_run: Path, tmp_path: Path
) -> None:
    without = ("resampling=none", "proof=false")
    plain = metrics_of(execute(tmp_path / "plain", "train", *repeat(budget_run), *without))
    for name in ("average_precision", "roc_auc", "savings"):
        expected = both["test"][name]["value"] - plain["test"][name]["value"]
        found = both["proof"]["resampling"]["metrics"][name]["test_difference"]
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_help_that_does_nothing_is_undecided(tmp_path: Path) -> None:
    found = trained(tmp_path / "run", "weighting=class_weight", "weighting.ratio=1")
    one = found["proof"]["weighting"]
    assert (one["difference"], one["test_difference"]) == (0.0, 0.0)
    assert one["verdict"] == "undecided"


@pytest.mark.parametrize("more", [(), ("resampling=smote", "proof=false")])
def test_without_a_help_or_by_the_switch_there_is_none(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    assert trained(tmp_path / "run", *more)["proof"] == {}


def test_the_verdict_is_said_in_a_sentence(tmp_path: Path, capsys: CapSys) -> None:
    trained(tmp_path / "run", "resampling=random_under")
    shown = printed(capsys)
    assert "out of fold, with minus without; on test" in shown


STUDY = (
    *simulated(TWO_MONTHS),
    *("backtest.folds=2", "backtest.train_days=21", "evaluation.replicates=100", "threads=1"),
)


def variants(**samplers: str) -> str:
    each = ", ".join(f"{name}: {{{component}}}" for name, component in samplers.items())
    return f"study.resampling={{{each}}}"


SAMPLERS = variants(
    none="_target_: null",
    smote="_target_: imblearn.over_sampling.SMOTE, fraud_share: 0.2",
    impossible="_target_: imblearn.over_sampling.SMOTEN",
)
LEARNERS = (
    "study.learners={tree: {_target_: fraudml.learners.sklearn.SklearnLearner, "
    "classifier: sklearn.tree.DecisionTreeClassifier, preprocess: impute, max_depth: 4}}"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    left_out = "features.drop=[merchant_category,entry_mode,country,device]"
    folder = tmp_path_factory.mktemp("study") / "run"
    return execute(folder, "backtest", *STUDY, SAMPLERS, LEARNERS, left_out)


def test_a_study_ranks_its_variants(study: Path) -> None:
    found = read_json(study / "study.json")
    ranked = found["variants"]
    values = [one["mean"]["average_precision"] for one in ranked if "failed" not in one]
    assert len(values) == 2
    assert values == sorted(values, reverse=True)
    by_name = {one["resampling"]: one for one in ranked}
    assert "difference" not in by_name["none"]
    change = by_name["smote"]["difference"]["average_precision"]
    means = [by_name[name]["mean"]["average_precision"] for name in ("smote", "none")]
    assert change["difference"] == pytest.approx(means[0] - means[1])
    assert change["low"] <= change["difference"] <= change["high"]


def test_a_study_has_a_report(study: Path) -> None:
    found = read_json(study / "study.json")
    text = (study / "report.html").read_text(encoding="utf-8")
    verdict = next(one for one in found["variants"] if one["resampling"] == "smote")
    assert "Against doing without, better with 95 % confidence: 0; worse: 0; undecided: 1" in text
    for part in ("tree with smote", "tree with impossible", "± ", "no difference"):
        assert part in text, part
    assert verdict["difference"]["average_precision"]["verdict"] in text
    assert (study / "report.md").read_text(encoding="utf-8").count("tree with smote") == 2


def test_a_sampler_that_cannot_is_left_out_and_said(study: Path) -> None:
    found = read_json(study / "study.json")
    last = found["variants"][-1]
    assert last["resampling"] == "impossible"
    assert "categorical" in last["failed"]
    assert "impossible is left out" in (study / "run.log").read_text()


def test_a_sampler_that_does_not_exist_is_refused_at_once(tmp_path: Path, capsys: CapSys) -> None:
    wrong = variants(none="_target_: null", mine="_target_: imblearn.over_sampling.SMOTT")
    assert main(["backtest", *STUDY, wrong, f"output_dir={tmp_path / 'run'}"]) == 2
    said = capsys.readouterr().err
    assert "with mine" in said
    assert "SMOTE" in said
