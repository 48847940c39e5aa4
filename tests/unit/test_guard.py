"""The guard: what it refuses, and what it lets pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from fraudml.errors import ConfigError
from fraudml.evaluation.guard import GuardSettings, Verdict, judge
from fraudml.metrics import ScoredRows, average_precision, bootstrap, choose_clusters

GOOD: dict[str, Any] = {
    "average_precision_bound": 0.3,
    "prevalence": 0.01,
    "alerts": 20,
    "rows": 1000,
    "settings": GuardSettings(),
}


def judged(**changes: Any) -> Verdict:
    return judge(**{**GOOD, **changes})


def test_a_good_model_passes_without_a_reason() -> None:
    assert judged() == Verdict(True, ())


@pytest.mark.parametrize("bound", [0.0, 0.01, 0.0125, float("nan")])
def test_average_precision_must_exceed_the_margin(bound: float) -> None:
    verdict = judged(average_precision_bound=bound)
    assert not verdict.passed
    assert len(verdict.reasons) == 1
    assert "average precision" in verdict.reasons[0]
    assert "guard.margin" in verdict.reasons[0]


def test_just_above_the_margin_passes() -> None:
    assert judged(average_precision_bound=np.nextafter(1.25 * 0.01, 1)).passed
    assert not judged(average_precision_bound=0.019, settings=GuardSettings(margin=2)).passed


def test_no_alert_is_the_majority_class() -> None:
    verdict = judged(alerts=0)
    assert not verdict.passed
    assert verdict.reasons == ("the policy alerts no row: it predicts the majority class",)


def test_alerting_every_row_is_refused() -> None:
    assert judged(alerts=999).passed
    assert judged(alerts=1000).reasons == ("the policy alerts every row",)


def test_costs_must_be_below_those_of_the_cheaper_trivial_policy() -> None:
    assert judged(cost=99.0, trivial_cost=100.0).passed
    assert judged(cost=-2.0, trivial_cost=-1.0).passed
    for cost in (100.0, 101.0):
        verdict = judged(cost=cost, trivial_cost=100.0)
        assert not verdict.passed
        assert f"costs {cost:.2f}" in verdict.reasons[0]


def test_costs_count_only_where_both_are_given() -> None:
    assert judged(cost=1e9).passed
    assert judged(trivial_cost=0.0).passed


def test_all_reasons_are_given_at_once() -> None:
    verdict = judged(average_precision_bound=0.0, alerts=0, cost=2.0, trivial_cost=1.0)
    assert len(verdict.reasons) == 3
    assert verdict.to_dict() == {"passed": False, "reasons": list(verdict.reasons)}


@pytest.mark.parametrize("margin", [0.99, 0.0, -1.0, float("nan"), float("inf")])
def test_a_margin_is_at_least_1(margin: float) -> None:
    with pytest.raises(ConfigError, match=r"guard\.margin"):
        GuardSettings(margin=margin)


@pytest.mark.parametrize("level", [0.49, 1.0, 1.5, float("nan")])
def test_a_level_is_a_confidence(level: float) -> None:
    with pytest.raises(ConfigError, match=r"guard\.level"):
        GuardSettings(level=level)


def passes(
    y_true: NDArray[np.int8], score: NDArray[np.float64], seed: int, replicates: int = 100
) -> bool:
    """What a run does: the one-sided bound of the bootstrap, then the guard."""
    drawn = bootstrap(
        ScoredRows(y_true, y_score=score),
        ["average_precision"],
        choose_clusters(n_rows=len(y_true)),
        replicates=replicates,
        seed=seed,
    )
    bound = drawn.lower_bound("average_precision", GuardSettings().level)
    assert bound is not None
    prevalence = float(y_true.mean())
    return judged(average_precision_bound=bound, prevalence=prevalence, rows=len(y_true)).passed


@pytest.mark.parametrize(
    ("shuffles", "rows", "replicates"),
    [(50, 1500, 100), pytest.param(200, 4000, 200, marks=pytest.mark.slow)],
)
def test_shuffled_labels_do_not_pass(shuffles: int, rows: int, replicates: int) -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=rows)
    labels = np.repeat(np.array([0, 1], np.int8), [rows - 75, 75])
    lucky = sum(passes(rng.permutation(labels), score, i, replicates) for i in range(shuffles))
    assert lucky <= 0.05 * shuffles


def test_a_weak_model_passes_with_enough_frauds() -> None:
    rng = np.random.default_rng(0)
    passed, lifts = 0, []
    for seed in range(20):
        score = rng.normal(size=2000)
        y_true = (rng.random(2000) < expit(score - 3.5)).astype(np.int8)
        lifts.append(average_precision(y_true, score) / y_true.mean())
        passed += passes(y_true, score, seed)
    assert np.mean(lifts) < 4
    assert passed >= 18


@pytest.mark.slow
def test_a_model_three_times_as_good_as_chance_passes_with_400_frauds() -> None:
    rng = np.random.default_rng(0)
    y_true = (np.arange(40_000) < 400).astype(np.int8)
    passed, lifts = 0, []
    for seed in range(50):
        score = rng.normal(size=40_000) + 0.76 * y_true
        lifts.append(average_precision(y_true, score) / 0.01)
        passed += passes(y_true, score, seed, 200)
    assert 2.7 < np.mean(lifts) < 3.3
    assert passed == 50
