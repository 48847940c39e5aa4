"""Losses and calibration against scikit-learn and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from fraudml import metrics as fm
from fraudml.errors import DataError


@st.composite
def predicted(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n_rows = draw(st.integers(2, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    p = 1 / (1 + np.exp(-random.normal(-1, 2, n_rows)))
    y_true = random.random(n_rows) < p
    assume(y_true.any() and not y_true.all())
    return y_true, p, random.integers(1, 4, n_rows).astype(float)


@settings(max_examples=40, deadline=None)
@given(predicted())
def test_losses_equal_scikit_learn(sample: tuple[np.ndarray, ...]) -> None:
    y_true, p, weight = sample
    for w in (None, weight):
        theirs = sk.brier_score_loss(y_true, p, sample_weight=w)
        assert fm.brier(y_true, p, weight=w) == pytest.approx(theirs, abs=1e-12)
        theirs = sk.log_loss(y_true, p, sample_weight=w)
        assert fm.log_loss(y_true, p, weight=w) == pytest.approx(theirs, abs=1e-12)
        theirs = np.average(p, weights=w) / np.average(y_true, weights=w)
        assert fm.calibration_in_the_large(y_true, p, weight=w) == pytest.approx(theirs)


@settings(max_examples=30, deadline=None)
@given(predicted())
def test_the_slope_equals_an_unpenalised_logistic_regression(
    sample: tuple[np.ndarray, ...],
) -> None:
    y_true, p, weight = sample
    odds = np.log(p / (1 - p))
    assume(odds[y_true].min() < odds[~y_true].max() - 0.1)
    assume(odds[y_true].max() > odds[~y_true].min() + 0.1)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    theirs.fit(odds[:, None], y_true, sample_weight=weight)
    found = fm.calibration_slope(y_true, p, weight=weight)
    assert found == pytest.approx(theirs.coef_[0, 0], rel=1e-4, abs=1e-4)


def test_the_slope_tells_extreme_from_timid() -> None:
    random = np.random.default_rng(0)
    odds = random.normal(-3, 1.5, 20_000)
    y_true = random.random(20_000) < 1 / (1 + np.exp(-odds))
    for factor in (0.5, 1.0, 2.0):
        p = 1 / (1 + np.exp(-factor * odds))
        assert fm.calibration_slope(y_true, p) == pytest.approx(1 / factor, rel=0.05)


def test_the_slope_survives_extreme_probabilities() -> None:
    found = fm.calibration_slope([0, 1, 0, 1, 1, 0], [0.0, 1.0, 1.0, 0.0, 0.999, 0.001])
    assert np.isfinite(found)


def test_a_slope_without_a_finite_best_is_refused() -> None:
    with pytest.raises(DataError, match="separates"):
        fm.calibration_slope([0, 0, 1], [0.1, 0.2, 0.3])
    with pytest.raises(DataError, match="separates"):
        fm.calibration_slope([1, 1, 0], [0.1, 0.2, 0.2])
    with pytest.raises(DataError, match="separates"):
        fm.calibration_slope([0, 0, 1], [0.1, 0.2, 0.2])
    with pytest.raises(DataError, match="the same in every row"):
        fm.calibration_slope([0, 1, 1], [0.5, 0.5, 0.5])
    with pytest.raises(DataError, match="one class only"):
        fm.calibration_slope([1, 1, 1], [0.1, 0.2, 0.2])


def test_certain_and_wrong_costs_a_bounded_log_loss() -> None:
    assert fm.log_loss([1, 0], [0.0, 1.0]) == pytest.approx(-np.log(1e-15))
    assert fm.log_loss([1, 0], [1.0, 0.0]) == 0.0


@settings(max_examples=40, deadline=None)
@given(predicted(), st.integers(1, 4), st.sampled_from([1e-4, 0.03, 1.0]))
def test_the_reliability_table_holds_every_row_once(
    sample: tuple[np.ndarray, ...], per_decade: int, lowest: float
) -> None:
    y_true, p, weight = sample
    p[:2] = 0.0, 1.0
    table = fm.reliability(y_true, p, per_decade=per_decade, lowest=lowest, weight=weight)
    assert (table.rows > 0).all()
    assert table.low[0] == 0.0
    assert table.high[-1] == 1.0
    for i in range(len(table.rows)):
        inside = (p >= table.low[i]) & ((p < table.high[i]) | (table.high[i] == 1.0))
        assert table.rows[i] == pytest.approx(weight[inside].sum())
        assert table.frauds[i] == pytest.approx(weight[inside & y_true].sum())
        assert table.mean_p[i] == pytest.approx(np.average(p[inside], weights=weight[inside]))
        assert table.observed[i] == pytest.approx(table.frauds[i] / table.rows[i])
    assert table.rows.sum() == pytest.approx(weight.sum())
    widths = np.log10(table.high[1:] / table.low[1:])
    assert widths == pytest.approx(np.full(len(widths), 1 / per_decade))


def test_a_probability_on_an_edge_belongs_to_the_upper_bin() -> None:
    table = fm.reliability([0, 0, 1, 1], [0.01, 0.05, 0.1, 1.0], per_decade=1, lowest=0.01)
    assert table.low.tolist() == [0.01, 0.1]
    assert table.rows.tolist() == [2.0, 2.0]


def test_probabilities_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match=r"p_fraud is 1.2 in row 1"):
        fm.brier([0, 1], [0.1, 1.2])


@settings(max_examples=60, deadline=None)
@given(predicted(), st.sampled_from([0.0, 0.3, 0.7]), st.booleans())
def test_what_probabilities_expect_equals_a_loop(
    sample: tuple[np.ndarray, ...], threshold: float, weighted: bool
) -> None:
    _, p, weight = sample
    p = np.round(p, 1)
    assume(p.any() and (p >= threshold).any())
    w = weight if weighted else np.ones(len(p))
    given_weight = weight if weighted else None
    alert = p >= threshold
    caught = alerts = frauds = 0.0
    for p_i, alerted, w_i in zip(p, alert, w, strict=True):
        frauds += w_i * p_i
        caught += w_i * p_i * alerted
        alerts += w_i * alerted
    assert fm.expected_precision(p, alert, weight=given_weight) == pytest.approx(caught / alerts)
    assert fm.expected_recall(p, alert, weight=given_weight) == pytest.approx(caught / frauds)
    area = before = 0.0
    for score in np.unique(p)[::-1]:
        above = p >= score
        recall = (w * p)[above].sum() / frauds
        area += (recall - before) * (w * p)[above].sum() / w[above].sum()
        before = recall
    assert fm.expected_average_precision(p, weight=given_weight) == pytest.approx(area)
    ranked = fm.expected_average_precision(p, np.log(p + 1), weight=given_weight)
    assert ranked == pytest.approx(area)


def test_calibrated_probabilities_expect_what_comes() -> None:
    random = np.random.default_rng(0)
    p = 1 / (1 + np.exp(-random.normal(-4, 2, 300_000)))
    y_true, alert = random.random(300_000) < p, p > 0.2
    assert fm.expected_precision(p, alert) == pytest.approx(fm.precision(y_true, alert), rel=0.02)
    assert fm.expected_recall(p, alert) == pytest.approx(fm.recall(y_true, alert), rel=0.02)
    expected = fm.average_precision(y_true, p)
    assert fm.expected_average_precision(p) == pytest.approx(expected, rel=0.03)


def test_nothing_suspected_and_nothing_alerted_are_refused() -> None:
    with pytest.raises(DataError, match="p_fraud is 0"):
        fm.expected_recall([0.0, 0.0], [1, 0])
    with pytest.raises(DataError, match="p_fraud is 0"):
        fm.expected_average_precision([0.0, 0.0])
    with pytest.raises(DataError, match="No row is alerted"):
        fm.expected_precision([0.5, 0.1], [0, 0])
