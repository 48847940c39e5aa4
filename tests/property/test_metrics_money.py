"""Costs, savings and thresholds against loops over every threshold and every choice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudml import metrics as fm
from fraudml.errors import DataError

CARD = {"tp_cost": 10.0, "fp_cost": 10.0, "tn_cost": 0.0}


@st.composite
def decisions(draw: st.DrawFn) -> dict[str, Any]:
    """Draw rows with costs of their own, whole so that sums are exact; some negative."""
    n_rows = draw(st.integers(1, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return {
        "y_true": random.random(n_rows) < draw(st.sampled_from([0.0, 0.2, 0.6, 1.0])),
        "score": random.integers(0, draw(st.sampled_from([1, 4, 100])), n_rows) / 100,
        "costs": {
            "tp_cost": random.integers(-3, 9, n_rows).astype(float),
            "fp_cost": random.integers(4, 9, n_rows).astype(float),
            "fn_cost": random.integers(-5, 60, n_rows).astype(float),
            "tn_cost": random.integers(-2, 4, n_rows).astype(float),
        },
    }


def loop_cost(y_true: np.ndarray, alert: np.ndarray, costs: dict[str, np.ndarray]) -> float:
    total = 0.0
    for i, (fraud, alerted) in enumerate(zip(y_true, alert, strict=True)):
        name = (
            ("tp_cost" if alerted else "fn_cost") if fraud else "fp_cost" if alerted else "tn_cost"
        )
        total += costs[name][i]
    return total


@settings(max_examples=80, deadline=None)
@given(decisions())
def test_the_best_threshold_costs_least_of_all(sample: dict[str, Any]) -> None:
    y_true, score, costs = sample["y_true"], sample["score"], sample["costs"]
    tried = {
        threshold: loop_cost(y_true, score >= threshold, costs)
        for threshold in [np.inf, *np.unique(score)]
    }
    found = fm.best_threshold(y_true, score, **costs)
    assert found.cost == min(tried.values())
    assert found.threshold == max(t for t, total in tried.items() if total == found.cost)
    assert found.alerts == np.sum(score >= found.threshold)
    assert found.cost == fm.cost(y_true, score >= found.threshold, **costs)


@settings(max_examples=80, deadline=None)
@given(decisions(), st.sampled_from([0.0, 0.01, 0.5, 2.0]))
def test_cost_and_savings_equal_a_loop(sample: dict[str, Any], threshold: float) -> None:
    y_true, costs = sample["y_true"], sample["costs"]
    alert = sample["score"] >= threshold
    found = fm.savings(y_true, alert, **costs)
    assert fm.cost(y_true, alert, **costs) == found.cost == loop_cost(y_true, alert, costs)
    assert fm.benefit(y_true, alert, **costs) == found.benefit == -found.cost
    never, always = np.zeros(len(alert), bool), np.ones(len(alert), bool)
    assert found.cost_never == loop_cost(y_true, never, costs)
    assert found.cost_always == loop_cost(y_true, always, costs)
    cheaper = min(found.cost_never, found.cost_always)
    assert found.gain == cheaper - found.cost
    if cheaper > 0:
        assert found.value == pytest.approx(1 - found.cost / cheaper)
        assert found.reason is None
    else:
        assert found.value is None
        assert "benefit" in (found.reason or "")


@settings(max_examples=80, deadline=None)
@given(decisions())
def test_minimum_risk_decides_each_row_at_least_expected_cost(sample: dict[str, Any]) -> None:
    costs, p = sample["costs"], sample["score"]
    found = fm.minimum_risk_threshold(**costs)
    alert = p >= found.threshold
    per_row = [
        [
            fm.expected_cost(p[i : i + 1], [choice], **{n: c[i : i + 1] for n, c in costs.items()})
            for choice in (False, True)
        ]
        for i in range(len(p))
    ]
    chosen = np.array(per_row)[np.arange(len(p)), alert.astype(int)]
    pays = costs["fn_cost"] > costs["tp_cost"]
    assert (chosen[pays] <= np.min(per_row, axis=1)[pays] + 1e-12).all()
    assert not alert[~pays].any()
    assert found.never_pays == np.sum(~pays)
    assert fm.expected_cost(p, alert, **costs) == pytest.approx(chosen.sum())


def test_expected_cost_of_certain_labels_is_the_cost() -> None:
    y_true, alert, amount = [1, 0, 1, 0], [1, 1, 0, 0], [30.0, 5.0, 80.0, 9.0]
    expected = fm.expected_cost(y_true, alert, fn_cost=amount, **CARD)
    assert expected == fm.cost(y_true, alert, fn_cost=amount, **CARD) == 100.0


def test_the_card_threshold_is_the_review_cost_over_the_amount() -> None:
    found = fm.minimum_risk_threshold(fn_cost=[10.0, 20.0, 0.0, -5.0, 1000.0], **CARD)
    assert found.threshold.tolist() == [np.inf, 0.5, np.inf, np.inf, 0.01]
    assert found.never_pays == 3


def test_a_missed_fraud_that_earns_more_than_an_alert_never_pays_even_at_p_one() -> None:
    found = fm.minimum_risk_threshold(tp_cost=0, fp_cost=10, fn_cost=-5, tn_cost=0)
    assert found.threshold.tolist() == [np.inf]


def test_free_false_alerts_are_refused_with_row_and_count() -> None:
    with pytest.raises(DataError, match=r"-1 in row 1 \(2 such of 3 rows\)"):
        fm.minimum_risk_threshold(tp_cost=0, fp_cost=[5.0, 1.0, 2.0], fn_cost=9.0, tn_cost=2.0)
    with pytest.raises(DataError, match="fn_cost is inf in row 1"):
        fm.minimum_risk_threshold(tp_cost=0, fp_cost=1, fn_cost=[1.0, np.inf])


def test_value_recall_counts_refunds_as_nothing() -> None:
    y_true, amount = [1, 1, 1, 0], [60.0, 20.0, -500.0, 7.0]
    assert fm.value_recall(y_true, [1, 0, 0, 1], amount) == 0.75
    assert fm.value_recall(y_true, [1, 0, 1, 1], amount) == 0.75
    with pytest.raises(DataError, match="No fraud has an amount above 0"):
        fm.value_recall([1, 0], [1, 1], [-3.0, 5.0])


def test_savings_of_perfect_alerts_and_of_the_trivial_policies() -> None:
    y_true, amount = np.array([1, 0, 0, 1, 0]), np.array([90.0, 5.0, 60.0, 50.0, 10.0])
    never, always = np.zeros(5), np.ones(5)
    assert fm.savings(y_true, y_true, fn_cost=amount, **CARD).value == pytest.approx(1 - 20 / 50)
    assert fm.savings(y_true, always, fn_cost=amount, **CARD).value == 0.0
    assert fm.savings(y_true, never, fn_cost=amount, **CARD).value == pytest.approx(1 - 140 / 50)
