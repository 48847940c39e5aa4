"""Groups of metrics: what is listed where, in which order, and what an entry may not say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fraudml.errors import ConfigError
from fraudml.metrics import METRICS, Metric, find_metric, measure, registry
from fraudml.metrics.metric import GROUPS
from fraudml.metrics.rows import ScoredRows

LISTED = {
    "test": (
        "average_precision roc_auc card_precision_at_100 recall_at_fpr_0.01 recall_at_fpr_0.05 "
        "precision_at_100 value_recall cost savings benefit brier log_loss "
        "calibration_in_the_large calibration_slope accuracy_of_never"
    ),
    "policy": (
        "precision recall alert_rate alerts_per_day false_positive_rate false_positive_ratio"
    ),
    "ablation": (
        "average_precision roc_auc card_precision_at_100 recall_at_fpr_0.01 value_recall savings "
        "log_loss"
    ),
    "baselines": "average_precision recall_at_fpr_0.01",
    "study": "average_precision roc_auc card_precision_at_100 recall_at_fpr_0.01",
    "compare": (
        "average_precision roc_auc recall_at_fpr_0.01 precision_at_100 card_precision_at_100 "
        "precision recall value_recall alerts_per_day cost savings log_loss brier "
        "calibration_in_the_large"
    ),
    "headline": "average_precision value_recall cost",
    "objective": (
        "average_precision savings card_precision_at_100 recall_at_fpr_0.01 recall_at_fpr_0.05 "
        "precision_at_100 value_recall log_loss brier"
    ),
    "terminal": "average_precision alerts_per_day precision recall value_recall savings",
    "backtest": (
        "average_precision roc_auc card_precision_at_100 recall_at_fpr_0.01 precision recall "
        "alerts_per_day value_recall savings calibration_in_the_large"
    ),
    "folds": (
        "average_precision precision recall alerts_per_day value_recall savings "
        "card_precision_at_100 calibration_in_the_large"
    ),
    "show": (
        "average_precision roc_auc card_precision_at_100 precision_at_100 precision recall "
        "false_positive_rate alerts_per_day value_recall cost savings brier "
        "calibration_in_the_large accuracy_of_never"
    ),
}
"""What a reader finds where, in order; it changes with intent alone."""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ADDED", {})


def zero(**_: object) -> float:
    """Return 0."""
    return 0.0


MINE = Metric("mine", zero, ("y_true",), "none", (0.0, 0.0))


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_its_metrics_in_order(group: str) -> None:
    assert registry.names_in(group) == tuple(LISTED[group].split())
    assert [find_metric(name) for name in registry.names_in(group)] == [*registry.metrics_in(group)]


def test_an_added_metric_is_the_last_of_its_groups_and_found_by_name() -> None:
    registry.add(MINE)
    registry.add(MINE)
    assert registry.all_metrics() == (*METRICS, MINE)
    for group in GROUPS:
        assert (registry.names_in(group)[-1] == "mine") == (group in MINE.groups)
    assert measure(ScoredRows([0, 1]), "mine").value == 0.0
    with pytest.raises(ConfigError, match="Did you mean 'mine'"):
        find_metric("minee")


def test_an_added_metric_may_follow_another() -> None:
    registry.add(replace(MINE, after={"test": "roc_auc"}))
    assert registry.names_in("test")[1:3] == ("roc_auc", "mine")
    assert registry.names_in("show")[-1] == "mine"


def test_two_metrics_of_one_name_are_refused() -> None:
    registry.add(MINE)
    for metric in (replace(MINE, direction="higher"), replace(MINE, name="roc_auc")):
        with pytest.raises(ConfigError, match=f"Two metrics are named '{metric.name}'"):
            registry.add(metric)
    assert registry.all_metrics() == (*METRICS, MINE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ("tests",)}, "metric 'mine': 'tests' is not a group. Did you mean 'test'"),
        ({"after": {"shows": "cost"}}, "'shows' is not a group. Did you mean 'show'"),
        ({"groups": ("show",)}, "in the group 'show' and in neither 'test' nor 'policy'"),
    ],
)
def test_groups_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(MINE, **changes)  # type: ignore[arg-type]


def test_a_metric_follows_only_what_is_listed() -> None:
    with pytest.raises(ConfigError, match="follows 'benefit' in the group 'show', where that is"):
        registry.add(replace(MINE, after={"show": "benefit"}))
    assert registry.all_metrics() == METRICS
    with pytest.raises(ConfigError, match="'nowhere' is not a group"):
        registry.metrics_in("nowhere")
