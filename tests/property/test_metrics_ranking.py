"""Ranking metrics against scikit-learn and against slow loops over thresholds."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from fraudml import metrics as fm
from fraudml.errors import DataError

LEVELS = np.array([-2.5, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 7.5])


@st.composite
def scored(draw: st.DrawFn, both: bool = True, max_rows: int = 30) -> tuple[np.ndarray, ...]:
    """Draw labels, scores with ties, and weights."""
    n_rows = draw(st.integers(2, max_rows))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y_true = random.random(n_rows) < draw(st.sampled_from([0.1, 0.5, 0.8]))
    assume(not both or (y_true.any() and not y_true.all()))
    score = LEVELS[random.integers(0, draw(st.integers(1, len(LEVELS))), n_rows)]
    return y_true, score, random.choice([0.5, 1.0, 2.0, 3.0], n_rows)


def thresholds(y_true: np.ndarray, score: np.ndarray) -> list[tuple[int, int]]:
    """Return (caught, false) for each threshold from none to all, by a loop."""
    points = [(0, 0)]
    for threshold in sorted(set(score.tolist()), reverse=True):
        alert = score >= threshold
        points.append((int((alert & y_true).sum()), int((alert & ~y_true).sum())))
    return points


@settings(max_examples=50, deadline=None)
@given(scored())
def test_equals_scikit_learn(sample: tuple[np.ndarray, ...]) -> None:
    y_true, score, weight = sample
    for w in (None, weight):
        ours = fm.average_precision(y_true, score, weight=w)
        theirs = sk.average_precision_score(y_true, score, sample_weight=w)
        assert ours == pytest.approx(theirs, abs=1e-12)
        ours = fm.roc_auc(y_true, score, weight=w)
        assert ours == pytest.approx(sk.roc_auc_score(y_true, score, sample_weight=w), abs=1e-12)
        for cap in (0.05, 0.3, 0.8):
            ours = fm.partial_auc(y_true, score, cap, weight=w)
            theirs = sk.roc_auc_score(y_true, score, max_fpr=cap, sample_weight=w)
            assert ours == pytest.approx(theirs, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(scored(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
def test_recall_under_a_constraint_equals_a_loop(
    sample: tuple[np.ndarray, ...], bound: float
) -> None:
    y_true, score, _ = sample
    frauds, legit = int(y_true.sum()), int((~y_true).sum())
    points = thresholds(y_true, score)
    best = max(tp for tp, fp in points if fp / legit <= bound)
    assert fm.recall_at_fpr(y_true, score, bound) == best / frauds
    best = max([0, *(tp for tp, fp in points if tp + fp and tp / (tp + fp) >= bound)])
    assert fm.recall_at_precision(y_true, score, bound) == best / frauds


@settings(max_examples=40, deadline=None)
@given(scored(both=False, max_rows=6), st.integers(1, 8))
def test_precision_at_k_is_the_mean_over_all_orders_of_ties(
    sample: tuple[np.ndarray, ...], k: int
) -> None:
    y_true, score, _ = sample
    hits = []
    for order in itertools.permutations(range(len(score))):
        ranked = sorted(order, key=lambda row: -score[row])[:k]
        hits.append(Fraction(int(y_true[ranked].sum()), len(ranked)))
    expected = float(sum(hits) / len(hits))
    assert fm.precision_at_k(y_true, score, k) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(scored(both=False))
def test_the_curve_equals_a_loop(sample: tuple[np.ndarray, ...]) -> None:
    y_true, score, _ = sample
    assume(y_true.any())
    curve = fm.precision_recall_curve(y_true, score)
    points = thresholds(y_true, score)[1:]
    assert curve.threshold.tolist() == sorted(set(score.tolist()), reverse=True)
    assert curve.caught.tolist() == [tp for tp, _ in points]
    assert curve.alerts.tolist() == [tp + fp for tp, fp in points]
    assert curve.precision.tolist() == [tp / (tp + fp) for tp, fp in points]
    assert curve.recall.tolist() == [tp / y_true.sum() for tp, _ in points]
    area = np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision)
    assert fm.average_precision(y_true, score) == pytest.approx(area, abs=1e-12)


def test_rows_of_no_weight_are_no_points_of_the_curve() -> None:
    y_true, score = [0, 1, 0, 1], [0.9, 0.8, 0.5, 0.4]
    curve = fm.precision_recall_curve(y_true, score, weight=[0, 1, 0, 2])
    assert curve.threshold.tolist() == [0.8, 0.4]
    assert curve.precision.tolist() == [1.0, 1.0]
    assert curve.alerts.tolist() == [1.0, 3.0]


def gain_area_by_steps(y_true: np.ndarray, score: np.ndarray, steps: int = 1000) -> float:
    """Sum the precision gain over many small steps of the recall gain, on the lines of the ROC."""
    points = np.array(thresholds(y_true, score), dtype=float)
    frauds, legit = points[-1]
    gains = (np.arange(steps) + 0.5) / steps
    caught = frauds**2 / (frauds + legit * (1 - gains))  # solves recG = 1 − P (P − TP) / (N TP)
    false = np.empty(steps)
    for i, tp in enumerate(caught):
        j = int(np.searchsorted(points[:, 0], tp))
        (tp0, fp0), (tp1, fp1) = points[j - 1], points[j]
        false[i] = fp0 + (tp - tp0) / (tp1 - tp0) * (fp1 - fp0)
    return float(np.mean(1 - frauds * false / (legit * caught)))


@settings(max_examples=40, deadline=None)
@given(scored())
def test_the_gain_area_equals_many_small_steps(sample: tuple[np.ndarray, ...]) -> None:
    y_true, score, _ = sample
    expected = gain_area_by_steps(y_true, score)
    found = fm.precision_recall_gain_area(y_true, score)
    assert found == pytest.approx(expected, abs=1e-2 * max(1.0, abs(expected)))
    curve = fm.precision_recall_gain_curve(y_true, score)
    assert np.isfinite(curve.precision_gain).all()
    assert (np.diff(curve.recall_gain) >= -1e-12).all()
    assert (curve.recall_gain >= -1e-12).all()
    assert curve.recall_gain[-1] == pytest.approx(1.0)
    area = np.trapezoid(curve.precision_gain, curve.recall_gain)
    assert found == pytest.approx(area, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(scored(both=False), st.integers(-2, 7))
def test_a_confusion_equals_scikit_learn(sample: tuple[np.ndarray, ...], threshold: int) -> None:
    y_true, score, weight = sample
    alert = score >= threshold
    found = fm.confusion(y_true, alert, weight=weight)
    theirs = sk.confusion_matrix(y_true, alert, labels=[0, 1], sample_weight=weight)
    assert [[found.tn, found.fp], [found.fn, found.tp]] == pytest.approx(theirs)
    assert found.rows == pytest.approx(weight.sum())
    share = sk.accuracy_score(y_true, np.zeros(len(y_true)), sample_weight=weight)
    assert fm.accuracy_of_never(y_true, weight=weight) == pytest.approx(share)


@settings(max_examples=40, deadline=None)
@given(scored(both=False), st.integers(-2, 7), st.sampled_from([0.5, 1.0, 2.0]))
def test_f_beta_equals_scikit_learn(
    sample: tuple[np.ndarray, ...], threshold: int, beta: float
) -> None:
    y_true, score, weight = sample
    alert = score >= threshold
    if not (y_true.any() or alert.any()):
        with pytest.raises(DataError, match="neither a fraud nor an alert"):
            fm.f_beta(y_true, alert, beta)
        return
    theirs = sk.fbeta_score(y_true, alert, beta=beta, sample_weight=weight, zero_division=0)
    assert fm.f_beta(y_true, alert, beta, weight=weight) == pytest.approx(theirs)
