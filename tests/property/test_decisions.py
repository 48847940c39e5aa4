"""Laws of calibrators and policies, whatever the scores."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from fraudml.decisions import calibration as calibrators
from fraudml.decisions.calibration import Calibration, FittedCalibrator, Kind, Prior
from fraudml.decisions.costs import CostMatrix
from fraudml.decisions.policies import MinimumCost, TuningRows
from fraudml.metrics import card_precision_at_k, cost

CALIBRATIONS: tuple[Calibration, ...] = tuple(
    made() for made in vars(calibrators).values() if is_dataclass(made) and hasattr(made, "fit")
)
"""Every calibrator of the module; a new one is tested on arrival."""
every_calibration = pytest.mark.parametrize(
    "calibration", CALIBRATIONS, ids=lambda one: type(one).__name__
)
few = settings(max_examples=25, deadline=None)

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]


@st.composite
def scored(draw: st.DrawFn, widest: float = 30.0) -> tuple[Floats, Labels]:
    """Margins and labels that go forwards, backwards or nowhere; both classes are there."""
    size = draw(st.integers(2, 60))
    step = widest / 1000  # scores differ by a thousandth of their range or are the same
    places = draw(hnp.arrays(np.int64, size, elements=st.integers(-1000, 1000)))
    margin = places * step
    kind = draw(st.sampled_from(["random", "separable", "backwards"]))
    if kind == "random":
        y_true = draw(hnp.arrays(np.int8, size, elements=st.integers(0, 1)))
    else:
        cut = draw(st.integers(-1000, 1000))
        y_true = ((places > cut) == (kind == "separable")).astype(np.int8)
    y_true[0], y_true[-1] = 1, 0
    return margin, y_true


def steps_of(margin: Floats) -> NDArray[np.int64]:
    return np.arange(len(margin)) % 4


@every_calibration
@given(rows=scored())
@few
def test_log_odds_rise_strictly_with_the_margin(
    calibration: Calibration, rows: tuple[Floats, Labels]
) -> None:
    margin, y_true = rows
    fitted = calibration.fit(margin, y_true, steps_of(margin))
    wider = np.linspace(margin.min() - 50, margin.max() + 50, 400)
    for sorted_margin in (np.unique(margin), wider):
        assert (np.diff(fitted.log_odds(sorted_margin)) > 0).all()
    p = fitted.probability(wider)
    assert ((p >= 0) & (p <= 1)).all()
    assert (np.diff(p) >= 0).all()


@every_calibration
@given(rows=scored(widest=15.0))
@few
def test_average_precision_is_the_same_on_margin_and_probability(
    calibration: Calibration, rows: tuple[Floats, Labels]
) -> None:
    margin, y_true = rows
    p = calibration.fit(margin, y_true, steps_of(margin)).probability(margin)
    assert average_precision_score(y_true, p) == pytest.approx(
        average_precision_score(y_true, margin), abs=1e-9
    )


@every_calibration
@given(rows=scored(widest=15.0), k=st.integers(1, 5))
@few
def test_card_precision_and_alert_budgets_are_the_same_on_margin_and_probability(
    calibration: Calibration, rows: tuple[Floats, Labels], k: int
) -> None:
    margin, y_true = rows
    p = calibration.fit(margin, y_true, steps_of(margin)).probability(margin)
    day, entity = np.arange(len(margin)) % 3, np.arange(len(margin)) % 7
    assert card_precision_at_k(y_true, p, day, entity, k) == card_precision_at_k(
        y_true, margin, day, entity, k
    )
    # Whatever number of alerts is allowed, the same rows are alerted by either threshold.
    for place in np.argsort(margin):
        assert ((p >= p[place]) == (margin >= margin[place])).all()


def test_every_kind_of_calibrator_obeys_these_laws() -> None:
    margin = np.linspace(-3, 3, 40)
    y_true = (np.arange(40) % 3 == 0).astype(np.int8)
    kinds = {one.fit(margin, y_true, steps_of(margin)).kind for one in CALIBRATIONS}
    assert kinds == set(get_args(Kind))


@every_calibration
@given(rows=scored())
@few
def test_json_brings_back_the_same_bits(
    calibration: Calibration, rows: tuple[Floats, Labels]
) -> None:
    margin, y_true = rows
    fitted = calibration.fit(margin, y_true, steps_of(margin))
    again = FittedCalibrator.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert again == fitted
    assert again.probability(margin).tobytes() == fitted.probability(margin).tobytes()


@pytest.mark.parametrize(
    "calibration",
    [one for one in CALIBRATIONS if not isinstance(one, Prior)],
    ids=lambda one: type(one).__name__,
)
@given(rows=scored())
@few
def test_the_mean_probability_is_the_base_rate_of_the_fit(
    calibration: Calibration, rows: tuple[Floats, Labels]
) -> None:
    margin, y_true = rows
    p = calibration.fit(margin, y_true, steps_of(margin)).probability(margin)
    assert p.mean() == pytest.approx(y_true.mean(), abs=1e-6)


@every_calibration
@given(rows=scored())
@few
def test_a_row_is_calibrated_by_itself(
    calibration: Calibration, rows: tuple[Floats, Labels]
) -> None:
    margin, y_true = rows
    fitted = calibration.fit(margin, y_true, steps_of(margin))
    alone = np.concatenate([fitted.probability(margin[i : i + 1]) for i in range(len(margin))])
    assert alone.tobytes() == fitted.probability(margin).tobytes()


money = st.integers(-200, 200).map(lambda cents: cents / 4)


@st.composite
def priced(draw: st.DrawFn) -> tuple[Floats, Labels, CostMatrix]:
    """Probabilities on a coarse grid, with ties; a false alert always costs something."""
    size = draw(st.integers(2, 40))
    p = draw(hnp.arrays(np.int64, size, elements=st.integers(0, 16))) / 16
    y_true = draw(hnp.arrays(np.int8, size, elements=st.integers(0, 1)))
    y_true[:2] = (0, 1)
    tp, fn, tn = (draw(hnp.arrays(np.float64, size, elements=money)) for _ in range(3))
    extra = draw(hnp.arrays(np.float64, size, elements=st.integers(1, 99).map(float)))
    return p, y_true, CostMatrix(tp_cost=tp, fp_cost=tn + extra, fn_cost=fn, tn_cost=tn)


@given(rows=priced())
@few
def test_each_row_is_alerted_where_that_is_expected_to_cost_no_more(
    rows: tuple[Floats, Labels, CostMatrix],
) -> None:
    p, y_true, costs = rows
    policy = MinimumCost().tune(TuningRows(p, y_true, costs))
    if policy.threshold is not None:
        assert not costs.differ
        return
    for i, alerted in enumerate(policy.alerts(p, costs)):
        gain = p[i] * (costs.fn_cost[i] - costs.tp_cost[i])
        loss = (1 - p[i]) * (costs.fp_cost[i] - costs.tn_cost[i])
        never_pays = costs.fn_cost[i] <= costs.tp_cost[i]
        if abs(gain - loss) > 1e-9 or never_pays:
            assert alerted == (gain > loss and not never_pays), i


@given(rows=priced())
@few
def test_no_other_single_threshold_costs_less(rows: tuple[Floats, Labels, CostMatrix]) -> None:
    p, y_true, costs = rows
    policy = MinimumCost(per_amount=False).tune(TuningRows(p, y_true, costs))
    assert policy.threshold is not None
    tuned = cost(y_true, policy.alerts(p, costs), **costs.as_mapping())
    for threshold in (*np.unique(p), -1.0, 2.0):  # every distinct score, always, never
        assert tuned <= cost(y_true, p >= threshold, **costs.as_mapping()) + 1e-9
