"""Every policy by its name on the command line: what it promises, writes and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import CapSys, errors, execute, metrics_of, printed, quick, simulated
from fraudml import load_bundle
from fraudml.cli import main
from fraudml.config.sources import packaged_conf
from fraudml.data.settings import SimulateSettings

TABLE = SimulateSettings(rows=12000, prevalence=0.0165, cards=2000, terminals=60)
SMALL = (*simulated(TABLE), *quick(rounds=40, replicates=100))
KEPT = {
    "minimum_cost": (),
    "precision_floor": ("policy.floor=0.03",),
    "recall_floor": ("policy.floor=0.3",),
    "fpr_cap": ("policy.cap=0.1",),
    "alert_budget": ("policy.alerts_per_day=10",),
    "f_beta": ("policy.beta=2",),
    "fixed": ("policy.threshold=0.05",),
}


def trained(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    return metrics_of(execute(folder, "train", *SMALL, *words, codes=(code,)))


def test_every_policy_is_tried_here() -> None:
    assert {path.stem for path in (packaged_conf() / "policy").glob("*.yaml")} == set(KEPT)


@pytest.mark.parametrize("kind", KEPT)
def test_a_policy_by_its_name(kind: str, tmp_path: Path) -> None:
    policy = trained(tmp_path / "run", f"policy={kind}", *KEPT[kind])["policy"]
    assert policy["kind"] == kind
    promised = kind in ("precision_floor", "recall_floor", "fpr_cap", "alert_budget")
    assert (policy["constraint"] is not None) == promised
    assert not promised or policy["constraint"]["met"]
    assert policy["test"]["alert_rate"]["value"] > 0
    kept = load_bundle(tmp_path / "run" / "bundle").bundle.policy.to_dict()
    assert kept == {name: policy[name] for name in kept}


def test_an_unmet_floor_refuses_the_model(tmp_path: Path, capsys: CapSys) -> None:
    words = ("policy=precision_floor", "policy.floor=0.99")
    metrics = trained(tmp_path / "run", *words, code=4)
    assert not metrics["policy"]["constraint"]["met"]
    assert "precision at least 0.99 with 95% confidence is not met" in capsys.readouterr().err
    assert not (tmp_path / "run" / "bundle").exists()
    assert (tmp_path / "run" / "test_scores.parquet").exists()


def test_the_closest_is_kept_where_asked_for(tmp_path: Path, capsys: CapSys) -> None:
    words = ("policy=precision_floor", "policy.floor=0.99", "policy.unmet=closest")
    metrics = trained(tmp_path / "run", *words)
    assert not metrics["policy"]["constraint"]["met"]
    assert (tmp_path / "run" / "bundle").exists()
    assert "is not met" in printed(capsys)


def test_small_amounts_are_never_alerted(tmp_path: Path) -> None:
    import polars as pl

    trained(tmp_path / "run", "policy=fpr_cap", "policy.cap=0.1", "policy.value_floor=40")
    scores = pl.read_parquet(tmp_path / "run" / "test_scores.parquet")
    assert scores.filter("alert")["amount"].min() >= 40


def test_baselines_are_recorded(tmp_path: Path) -> None:
    metrics = trained(tmp_path / "run")
    assert set(metrics["baselines"]) == {"constant", "random", "amount", "best_column", "logistic"}
    for baseline in metrics["baselines"].values():
        ahead = baseline["average_precision"]["ahead"]
        assert ahead["low"] <= ahead["difference"] <= ahead["high"]
    assert trained(tmp_path / "bare", "evaluation.baselines=false")["baselines"] == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("policy=alert_budget", "policy.alerts_per_day=0"), "policy.alerts_per_day is 0"),
        (("policy=precision_floor", "policy.floor=1.2"), "policy.floor is 1.2"),
        (("policy=precision_floor", "policy.unmet=ignore"), "policy.unmet"),
        (("policy.value_floor=-3",), "policy.value_floor is -3"),
        (("policy=f_beta", "policy.beta=0"), "policy.beta is 0"),
    ],
)
def test_a_policy_that_makes_no_sense_exits_2(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: CapSys
) -> None:
    assert main(["train", *SMALL, *words, f"output_dir={tmp_path / 'run'}"]) == 2
    assert said in errors(capsys)
    assert not (tmp_path / "run").exists()
