"""Policies: how they are tuned, and that they decide each row by itself."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.decisions.policies import Fixed, MinimumCost, Policy, TunedPolicy
from fraudml.errors import ConfigError
from fraudml.metrics import cost

POLICIES: dict[str, Policy] = {
    "minimum cost": MinimumCost(),
    "one threshold": MinimumCost(per_amount=False),
    "fixed": Fixed(0.3),
}
every_policy = pytest.mark.parametrize("name", POLICIES)

Rows = tuple[NDArray[np.float64], NDArray[np.int8], CostMatrix]


def rows(size: int = 400, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(0.3, 3, size), 2)  # with ties
    y_true = (rng.random(size) < p).astype(np.int8)
    amount = np.round(rng.gamma(0.5, 80, size), 2)
    review = np.full(size, 10.0)
    return p, y_true, CostMatrix(review, review, amount, np.zeros(size))


def alike(size: int, *, tp: float, fp: float, fn: float, tn: float = 0.0) -> CostMatrix:
    return CostMatrix(*(np.full(size, value) for value in (tp, fp, fn, tn)))


def test_minimum_cost_alerts_exactly_where_an_alert_is_expected_to_cost_less() -> None:
    p, y_true, costs = rows()
    alerts = MinimumCost().tune(p, y_true, costs).alerts(p, costs)
    assert 10 < alerts.sum() < 200
    for i, alerted in enumerate(alerts):
        tp, fp, fn, tn = (Fraction(float(column[i])) for column in costs.as_mapping().values())
        share = Fraction(float(p[i]))
        gain, loss = share * (fn - tp), (1 - share) * (fp - tn)
        if abs(gain - loss) > Fraction(1, 10**9):
            assert alerted == (gain > loss), i


def test_where_a_missed_fraud_costs_no_more_than_an_alert_no_alert_is_raised() -> None:
    costs = CostMatrix(
        *(np.array(column) for column in ([10.0] * 3, [10.0] * 3, [4.0, 10, 11])), np.zeros(3)
    )
    policy = TunedPolicy("minimum_cost")
    assert policy.thresholds(costs)[:2].tolist() == [np.inf, np.inf]
    assert policy.alerts(np.ones(3), costs).tolist() == [False, False, True]


@pytest.mark.parametrize("seed", range(5))
def test_one_threshold_costs_at_most_every_other_never_and_always(seed: int) -> None:
    p, y_true, costs = rows(seed=seed)
    policy = MinimumCost(per_amount=False).tune(p, y_true, costs)
    tuned = cost(y_true, policy.alerts(p, costs), **costs.as_mapping())
    others = [
        cost(y_true, p >= threshold, **costs.as_mapping())
        for threshold in (-np.inf, *np.unique(p), np.inf)
    ]
    assert tuned == pytest.approx(min(others))


def test_costs_that_are_the_same_on_every_row_have_one_threshold() -> None:
    p, y_true, _ = rows()
    policy = MinimumCost().tune(p, y_true, alike(len(p), tp=1, fp=1, fn=9))
    assert policy.threshold is not None
    assert policy.threshold in p


def test_a_threshold_that_never_alerts_is_a_number() -> None:
    p = np.linspace(0, 1, 50)
    policy = MinimumCost().tune(p, np.zeros(50, np.int8), alike(50, tp=1, fp=1, fn=9))
    assert policy.threshold == 2.0
    assert not policy.alerts(np.ones(50), alike(50, tp=1, fp=1, fn=9)).any()


def test_a_single_threshold_alerts_at_it_and_above() -> None:
    policy = TunedPolicy("fixed", 0.5)
    costs = alike(3, tp=1, fp=1, fn=2)
    assert policy.alerts(np.array([np.nextafter(0.5, 0), 0.5, 0.6]), costs).tolist() == [
        False,
        True,
        True,
    ]


@every_policy
def test_a_row_is_decided_by_itself(name: str) -> None:
    p, y_true, costs = rows()
    policy = POLICIES[name].tune(p, y_true, costs)
    whole = policy.alerts(p, costs)
    for i in range(0, len(p), 7):
        here = np.array([i])
        assert policy.alerts(p[here], costs.take(here)).tolist() == [bool(whole[i])]


@every_policy
def test_no_row_is_decided_too(name: str) -> None:
    p, y_true, costs = rows()
    policy = POLICIES[name].tune(p, y_true, costs)
    assert policy.alerts(p[:0], costs.take(np.arange(0))).shape == (0,)


@every_policy
def test_the_order_of_the_tuning_rows_changes_nothing(name: str) -> None:
    p, y_true, costs = rows()
    order = np.random.default_rng(1).permutation(len(p))
    policy = POLICIES[name]
    assert policy.tune(p, y_true, costs) == policy.tune(p[order], y_true[order], costs.take(order))


@every_policy
def test_json_brings_back_the_same_policy(name: str) -> None:
    policy = POLICIES[name].tune(*rows())
    assert (
        TunedPolicy.from_dict(json.loads(json.dumps(policy.to_dict(), allow_nan=False))) == policy
    )


def test_only_minimum_cost_goes_by_costs() -> None:
    assert [name for name, policy in POLICIES.items() if policy.uses_costs] == [
        "minimum cost",
        "one threshold",
    ]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_fixed_threshold_is_a_probability(threshold: float) -> None:
    with pytest.raises(ConfigError, match=r"policy\.threshold"):
        Fixed(threshold)


def test_a_threshold_that_is_no_number_is_refused() -> None:
    content = {"kind": "fixed", "threshold": "high", "constraint": None}
    with pytest.raises(ValueError, match="high"):
        TunedPolicy.from_dict(content)
