"""Policies that promise something: worked by hand, and against a slow, obviously right version."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fraudml.decisions.confidence import look_sizes
from fraudml.decisions.constraints import AlertBudget, FprCap, PrecisionFloor, RecallFloor
from fraudml.decisions.costs import CostMatrix
from fraudml.decisions.policies import NEVER, Constraint, TunedPolicy, TuningRows
from fraudml.errors import ConfigError, DataError

Floats = NDArray[np.float64]


def ranked(labels: list[int], **more: object) -> TuningRows:
    """Rows whose probabilities fall from the first to the last."""
    size = len(labels)
    nothing = np.zeros(size)
    p = np.linspace(0.9, 0.1, size)
    costs = CostMatrix(nothing, nothing, nothing, nothing)
    return TuningRows(p, np.array(labels, dtype=np.int8), costs, **more)  # type: ignore[arg-type]


def alerts(rows: TuningRows, policy: TunedPolicy) -> int:
    return int(policy.alerts(rows.p_fraud, rows.costs, rows.amount).sum())


def constraint(policy: TunedPolicy) -> Constraint:
    assert policy.constraint is not None
    return policy.constraint


def test_precision_floor_keeps_the_last_look_that_holds() -> None:
    # Of the first 8, 9 and 10 alerts 8 are fraud: at an error of .04 the first two hold. The second
    # start, at 24 alerts of which 8 are fraud, does not.
    rows = ranked([1] * 8 + [0] * 16 + [1, 0] * 8 + [0] * 60)
    policy = PrecisionFloor(0.5).tune(rows)
    found = constraint(policy)
    assert alerts(rows, policy) == 9
    assert found.met
    assert found.value == pytest.approx(8 / 9)
    assert found.bound == pytest.approx(stats.beta.ppf(0.04, 8, 2))
    assert found.alerts == 9
    assert found.drawn == "row"


def test_unlucky_first_alerts_leave_a_second_start() -> None:
    rows = ranked([0] * 3 + [1] * 40 + [0] * 100)
    policy = PrecisionFloor(0.5).tune(rows)
    assert constraint(policy).met
    assert alerts(rows, policy) > 40


def test_precision_floor_takes_all_it_can() -> None:
    rows = ranked([1, 1, 1, 0] * 100 + [0] * 600)
    policy = PrecisionFloor(0.5).tune(rows)
    assert 400 < alerts(rows, policy) <= 600
    assert constraint(policy).bound >= 0.5


def test_a_floor_that_nothing_reaches_is_unmet_and_says_what_came_closest() -> None:
    rows = ranked(([1, 0, 0] * 40) + [0] * 200)
    policy = PrecisionFloor(0.5).tune(rows)
    found = constraint(policy)
    assert not found.met
    assert found.refuses
    assert found.bound < 0.5
    assert found.sentence().startswith(
        "precision at least 0.5 with 95% confidence is not met: at least 0."
    )
    closest = PrecisionFloor(0.5, unmet="closest").tune(rows)
    assert closest.threshold == policy.threshold
    assert not constraint(closest).refuses


def test_too_few_rows_for_any_look_alert_nothing() -> None:
    rows = ranked([1, 1, 0])
    policy = PrecisionFloor(0.5).tune(rows)
    assert policy.threshold == NEVER
    assert constraint(policy).bound is None
    assert "nothing to alert" in constraint(policy).sentence()


def test_rows_of_one_card_prove_less_than_rows_of_many() -> None:
    labels = [1] * 80 + [0] * 8 + [1] * 8 + [0] * 8 + [1, 1, 1, 1, 0, 0, 0, 0] * 20 + [0] * 600
    alone = PrecisionFloor(0.5).tune(ranked(labels))
    together = PrecisionFloor(0.5).tune(ranked(labels, entity=np.arange(len(labels)) // 4))
    assert constraint(alone).met
    assert constraint(together).met
    assert constraint(together).drawn == "entity"
    assert constraint(together).alerts < constraint(alone).alerts


def test_recall_floor_misses_as_many_frauds_as_the_bound_allows() -> None:
    labels = [1, 0] * 100 + [0] * 300
    rows = ranked(labels)
    policy = RecallFloor(0.8).tune(rows)
    found = constraint(policy)
    caught = round(found.value * 100)
    assert stats.beta.ppf(0.05, caught, 101 - caught) >= 0.8
    assert stats.beta.ppf(0.05, caught - 2, 103 - caught) < 0.8
    assert alerts(rows, policy) == 2 * caught - 1  # the last alert is a fraud


def test_recall_floor_with_too_few_frauds_is_unmet_even_where_all_are_alerted() -> None:
    rows = ranked([1] * 10 + [0] * 90)
    policy = RecallFloor(0.9, unmet="closest").tune(rows)
    assert not constraint(policy).met
    assert constraint(policy).value == 1.0
    assert alerts(rows, policy) == 10


def test_frauds_under_the_value_floor_count_as_missed() -> None:
    labels = [1] * 100 + [0] * 100
    amount = np.where(np.arange(200) % 2 == 0, 100.0, 1.0)
    policy = RecallFloor(0.8, value_floor=50).tune(ranked(labels, amount=amount))
    assert not constraint(policy).met
    assert constraint(policy).value == 0.5


def test_fpr_cap_allows_as_many_false_alerts_as_the_bound_does() -> None:
    rows = ranked([1] * 20 + [0] * 1000)
    policy = FprCap(0.01).tune(rows)
    false = alerts(rows, policy) - 20
    assert stats.beta.ppf(0.95, false + 1, 1000 - false) <= 0.01
    assert stats.beta.ppf(0.95, false + 2, 999 - false) > 0.01
    assert constraint(policy).value == false / 1000


def test_fpr_cap_with_too_few_legitimate_rows_alerts_above_them_all() -> None:
    rows = ranked([1] * 20 + [0] * 100)
    policy = FprCap(0.01, unmet="closest").tune(rows)
    assert not constraint(policy).met
    assert alerts(rows, policy) == 20


def test_alert_budget_counts_a_card_once_a_day() -> None:
    # 20 days of 50 rows, all by cards that have five rows a day.
    size, rng = 1000, np.random.default_rng(0)
    label = (rng.random(size) < 0.1).astype(int).tolist()
    day = rng.integers(0, 20, size)
    rows = ranked(label, day=day, entity=day * 10 + rng.integers(0, 10, size), days=20.0)
    single = ranked(label, day=day, days=20.0)
    by_card, by_row = AlertBudget(5).tune(rows), AlertBudget(5).tune(single)
    assert constraint(by_row).value <= constraint(by_row).bound <= 5
    assert constraint(by_card).value <= constraint(by_card).bound <= 5
    assert alerts(rows, by_card) > alerts(single, by_row)
    chosen = rows.p_fraud >= by_card.threshold
    cases = len({(d, e) for d, e in zip(day[chosen], rows.entity[chosen], strict=True)})
    assert constraint(by_card).value == pytest.approx(cases / 20)


def test_a_budget_that_one_alert_breaks_is_unmet() -> None:
    rows = ranked([1, 0] * 20, day=np.arange(40) // 20, days=2.0)
    found = constraint(AlertBudget(0.01).tune(rows))
    assert found.refuses
    assert found.value == 0


def test_a_budget_needs_days() -> None:
    with pytest.raises(DataError, match=r"data\.columns\.time"):
        AlertBudget(5).tune(ranked([1, 0]))
    with pytest.raises(DataError, match=r"span 12\.0 hours.*at least one day"):
        AlertBudget(5).tune(ranked([1, 0], day=np.zeros(2, np.int64), days=0.5))


@pytest.mark.parametrize("budget", [0, -1, float("inf"), float("nan")])
def test_a_budget_is_above_0(budget: float) -> None:
    with pytest.raises(ConfigError, match=r"policy\.alerts_per_day is .* above 0"):
        AlertBudget(budget)


@pytest.mark.parametrize("make", [PrecisionFloor, RecallFloor, FprCap])
@pytest.mark.parametrize("limit", [0, 1, 1.5, float("nan")])
def test_a_limit_is_a_share(make: type, limit: float) -> None:
    with pytest.raises(ConfigError, match=r"policy\.(floor|cap) is .* between 0 and 1"):
        make(limit)


@pytest.mark.parametrize("make", [PrecisionFloor, RecallFloor, FprCap, AlertBudget])
def test_other_settings_are_checked(make: type) -> None:
    with pytest.raises(ConfigError, match=r"policy\.confidence is 1\.0"):
        make(confidence=1.0)
    with pytest.raises(
        ConfigError, match=r"policy\.unmet is 'ignore'. Choose one of refuse, close"
    ):
        make(unmet="ignore")


@pytest.mark.parametrize("seed", range(40))
def test_precision_floor_is_that_of_a_slow_walk(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = 300
    p = np.round(rng.beta(0.5, 2, size), 2)  # with ties
    label = (rng.random(size) < p).astype(np.int8)
    nothing = np.zeros(size)
    rows = TuningRows(p, label, CostMatrix(nothing, nothing, nothing, nothing))
    falling = np.sort(p)[::-1]
    kept, carried = None, 0.0
    sizes = look_sizes(6, size)  # 5 of 6 hold .4 with an error of .08; 4 of 5 do not
    again = min(int(k) for k in sizes if k >= 18)
    own = {falling[5]: 0.08} | {falling[again - 1]: 0.02}
    for threshold in dict.fromkeys(falling[k - 1] for k in sizes):
        error = carried + own.get(threshold, 0.0)
        hits, total = label[p >= threshold].sum(), (p >= threshold).sum()
        carried = 0.0
        if error and hits and stats.beta.ppf(error, hits, total - hits + 1) >= 0.4:
            kept, carried = threshold, error
    found = PrecisionFloor(0.4, confidence=0.9).tune(rows)
    assert constraint(found).met == (kept is not None)
    if kept is not None:
        assert found.threshold == kept
