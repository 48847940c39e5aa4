"""Policies: how they are tuned, and that they decide each row by itself."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from fraudml.decisions.constraints import AlertBudget, FprCap, PrecisionFloor, RecallFloor
from fraudml.decisions.costs import CostMatrix
from fraudml.decisions.policies import FBeta, Fixed, MinimumCost, Policy, TunedPolicy, TuningRows
from fraudml.errors import ConfigError, DataError
from fraudml.metrics import cost

POLICIES: dict[str, Policy] = {
    "minimum cost": MinimumCost(),
    "one threshold": MinimumCost(per_amount=False),
    "fixed": Fixed(0.3),
    "f beta": FBeta(2),
    "precision floor": PrecisionFloor(0.3),
    "recall floor": RecallFloor(0.5),
    "fpr cap": FprCap(0.2),
    "alert budget": AlertBudget(5),
    "minimum cost, large rows": MinimumCost(value_floor=20),
    "fixed, large rows": Fixed(0.3, value_floor=20),
    "f beta, large rows": FBeta(value_floor=20),
    "precision floor, large rows": PrecisionFloor(0.3, value_floor=20),
    "recall floor, large rows": RecallFloor(0.2, value_floor=20),
    "fpr cap, large rows": FprCap(0.1, value_floor=20),
    "alert budget, large rows": AlertBudget(3, value_floor=20),
}
every_policy = pytest.mark.parametrize("name", POLICIES)


def rows(size: int = 400, seed: int = 0) -> TuningRows:
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(0.3, 3, size), 2)  # with ties
    y_true = (rng.random(size) < p).astype(np.int8)
    amount = np.round(rng.gamma(0.5, 80, size), 2)
    review = np.full(size, 10.0)
    return TuningRows(
        p,
        y_true,
        CostMatrix(review, review, amount, np.zeros(size)),
        amount=amount,
        entity=np.arange(size) // 2,
        day=np.arange(size) // 20,
        days=size / 20,
    )


def alike(size: int, *, tp: float, fp: float, fn: float, tn: float = 0.0) -> CostMatrix:
    return CostMatrix(*(np.full(size, value) for value in (tp, fp, fn, tn)))


def test_minimum_cost_alerts_exactly_where_an_alert_is_expected_to_cost_less() -> None:
    given = rows()
    p, costs = given.p_fraud, given.costs
    alerts = MinimumCost().tune(given).alerts(p, costs)
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
    given = rows(seed=seed)
    p, y_true, costs = given.p_fraud, given.y_true, given.costs
    policy = MinimumCost(per_amount=False).tune(given)
    tuned = cost(y_true, policy.alerts(p, costs), **costs.as_mapping())
    others = [
        cost(y_true, p >= threshold, **costs.as_mapping())
        for threshold in (-np.inf, *np.unique(p), np.inf)
    ]
    assert tuned == pytest.approx(min(others))


def test_costs_that_are_the_same_on_every_row_have_one_threshold() -> None:
    given = rows()
    alike_costs = alike(len(given.p_fraud), tp=1, fp=1, fn=9)
    policy = MinimumCost().tune(TuningRows(given.p_fraud, given.y_true, alike_costs))
    assert policy.threshold is not None
    assert policy.threshold in given.p_fraud


def test_a_threshold_that_never_alerts_is_a_number() -> None:
    p = np.linspace(0, 1, 50)
    hopeless = (np.arange(50) == 0).astype(np.int8)
    policy = MinimumCost().tune(TuningRows(p, hopeless, alike(50, tp=9, fp=9, fn=9.5)))
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
    given = rows()
    policy = POLICIES[name].tune(given)
    p, costs, amount = given.p_fraud, given.costs, given.amount
    assert amount is not None
    whole = policy.alerts(p, costs, amount)
    assert 0 < whole.sum() < len(p)
    for i in range(0, len(p), 7):
        here = np.array([i])
        alone = policy.alerts(p[here], costs.take(here), amount[here])
        assert alone.tolist() == [bool(whole[i])]


@pytest.mark.parametrize("name", [name for name in POLICIES if "large" in name])
def test_no_row_under_the_value_floor_is_alerted(name: str) -> None:
    given = rows()
    assert given.amount is not None
    policy = POLICIES[name].tune(given)
    alerts = policy.alerts(given.p_fraud, given.costs, given.amount)
    assert policy.needs_amount
    assert alerts.any()
    assert given.amount[alerts].min() >= 20
    with pytest.raises(ConfigError, match=r"value_floor is 20.*data\.columns\.amount"):
        policy.alerts(given.p_fraud, given.costs)


def test_a_row_whose_amount_is_not_known_is_under_the_floor() -> None:
    policy = TunedPolicy("fixed", 0.5, value_floor=1.0)
    costs = alike(2, tp=1, fp=1, fn=9)
    assert policy.alerts(np.ones(2), costs, np.array([np.nan, 1.0])).tolist() == [False, True]


@every_policy
def test_no_row_is_decided_too(name: str) -> None:
    policy, nothing = POLICIES[name].tune(rows()), np.arange(0)
    assert policy.alerts(np.empty(0), rows().costs.take(nothing), np.empty(0)).shape == (0,)


@every_policy
def test_the_order_of_the_tuning_rows_changes_nothing(name: str) -> None:
    given, policy = rows(), POLICIES[name]
    order = np.random.default_rng(1).permutation(len(given.p_fraud))
    assert policy.tune(given) == policy.tune(given.take(order))


@every_policy
def test_json_brings_back_the_same_policy(name: str) -> None:
    policy = POLICIES[name].tune(rows())
    assert (
        TunedPolicy.from_dict(json.loads(json.dumps(policy.to_dict(), allow_nan=False))) == policy
    )


def test_only_minimum_cost_goes_by_costs() -> None:
    assert [name for name, policy in POLICIES.items() if policy.uses_costs] == [
        "minimum cost",
        "one threshold",
        "minimum cost, large rows",
    ]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_fixed_threshold_is_a_probability(threshold: float) -> None:
    with pytest.raises(ConfigError, match=r"policy\.threshold"):
        Fixed(threshold)


def test_a_threshold_that_is_no_number_is_refused() -> None:
    content = {"kind": "fixed", "threshold": "high", "constraint": None, "value_floor": 0}
    with pytest.raises(ValueError, match="high"):
        TunedPolicy.from_dict(content)


def test_a_constraint_of_another_shape_is_refused() -> None:
    content = {"kind": "fpr_cap", "threshold": 0.5, "constraint": {"a": 1}, "value_floor": 0}
    with pytest.raises(ValueError, match="not a policy"):
        TunedPolicy.from_dict(content)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("make", [MinimumCost, Fixed, FBeta, PrecisionFloor, AlertBudget])
def test_a_value_floor_is_an_amount(make: type, value: float) -> None:
    with pytest.raises(ConfigError, match=r"policy\.value_floor"):
        make(value_floor=value)


def test_probabilities_that_are_none_tune_nothing() -> None:
    given = rows()
    p = given.p_fraud.copy()
    p[[3, 7]] = np.nan
    with pytest.raises(DataError, match="2 of 400 out-of-fold probabilities are no number"):
        TuningRows(p, given.y_true, given.costs)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_tunes_nothing(label: int) -> None:
    given = rows()
    with pytest.raises(DataError, match=f"hold {400 * label} frauds, and so one class alone"):
        TuningRows(given.p_fraud, np.full(400, label, np.int8), given.costs)


def test_f_beta_is_the_highest_of_all_thresholds() -> None:
    from sklearn.metrics import fbeta_score

    given = rows()
    for beta in (0.5, 1, 2):
        threshold = FBeta(beta).tune(given).threshold
        every = {
            float(one): fbeta_score(given.y_true, given.p_fraud >= one, beta=beta)
            for one in np.unique(given.p_fraud)
        }
        best = max(every.values())
        assert threshold == max(one for one, worth in every.items() if worth >= best - 1e-12)


def test_f_beta_is_above_0() -> None:
    with pytest.raises(ConfigError, match=r"policy\.beta is 0"):
        FBeta(0)
