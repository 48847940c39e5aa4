"""Curves over all thresholds of a score, one point a distinct score; for plots and searches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fraudml.errors import DataError
from fraudml.metrics._checks import Codes, Flags, Float, checked
from fraudml.metrics._groups import positive
from fraudml.metrics.ranking import NO_FRAUD, ONE_CLASS


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision and recall of alerting at each distinct score, highest score first.

    Parameters
    ----------
    threshold : ndarray of float64
        The distinct scores, falling; a row is alerted where its score is at least that.
    precision, recall : ndarray of float64
        Of the alerts at each threshold.
    alerts, caught : ndarray of float64
        How many rows, and how many frauds, are alerted (weighted).
    """

    threshold: Float
    precision: Float
    recall: Float
    alerts: Float
    caught: Float


@dataclass(frozen=True)
class PrecisionRecallGainCurve:
    """Precision gain and recall gain, from a recall gain of 0 on, threshold falling.

    Parameters
    ----------
    threshold : ndarray of float64
        The distinct scores. The first point lies on the line to the score it names.
    precision_gain, recall_gain : ndarray of float64
        Finite, at most 1; the precision gain may be negative.
    """

    threshold: Float
    precision_gain: Float
    recall_gain: Float


def precision_recall_curve(
    y_true: ArrayLike, y_score: ArrayLike, *, weight: ArrayLike | None = None
) -> PrecisionRecallCurve:
    """Return precision and recall at each distinct score, highest first.

    Parameters
    ----------
    y_true : array-like of 0/1 or bool, shape (n_rows,)
        1 is fraud.
    y_score : array-like of float, shape (n_rows,)
        Any score that rises with suspicion.
    weight : array-like of float, shape (n_rows,), optional
        How often each row counts.

    Raises
    ------
    DataError
        There is no fraud.

    Notes
    -----
    One sort. There is no point for alerting nothing, where the precision has no value.

    Examples
    --------
    >>> curve = precision_recall_curve([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8])
    >>> curve.threshold.tolist(), curve.recall.tolist()
    ([0.8, 0.4, 0.1], [0.5, 1.0, 1.0])
    """
    threshold, caught, alerts = by_score(*checked(y_true=y_true, y_score=y_score, weight=weight))
    if not caught[-1]:
        raise DataError(NO_FRAUD)
    return PrecisionRecallCurve(threshold, caught / alerts, caught / caught[-1], alerts, caught)


def precision_recall_gain_curve(
    y_true: ArrayLike, y_score: ArrayLike, *, weight: ArrayLike | None = None
) -> PrecisionRecallGainCurve:
    """Return the precision–recall gain curve where the recall gain is at least 0.

    Parameters
    ----------
    y_true, y_score, weight
        As in `precision_recall_curve`.

    Raises
    ------
    DataError
        There is one class only.

    Notes
    -----
    Both gains are −∞ where nothing is caught; the curve starts at a recall gain of 0, on the
    straight line in TP and FP between two thresholds. Flach and Kull (2015), NeurIPS 28.

    Examples
    --------
    >>> curve = precision_recall_gain_curve([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8])
    >>> curve.recall_gain.tolist()
    [0.0, 0.0, 1.0, 1.0]
    >>> curve.precision_gain.tolist()
    [1.0, 0.0, 0.5, 0.0]
    """
    threshold, caught, alerts = by_score(*checked(y_true=y_true, y_score=y_score, weight=weight))
    total, legit = caught[-1], alerts[-1] - caught[-1]
    if not total or not legit:
        raise DataError(ONE_CLASS)
    threshold, caught, false = _from_no_gain(threshold, caught, alerts - caught)
    odds = total / legit
    recall_gain = 1 - odds * (total - caught) / caught
    recall_gain[0] = 0.0
    return PrecisionRecallGainCurve(threshold, 1 - odds * false / caught, recall_gain)


def by_score(y_true: Flags, y_score: Float, weight: Float | None) -> tuple[Float, Float, Float]:
    """Return the distinct scores, falling, with the frauds and the rows at each score or above."""
    y_true, y_score, weight = positive(y_true, y_score, weight)
    order = np.argsort(-y_score)
    ends = tie_ends(y_score[order])
    caught = np.cumsum(np.where(y_true, weight, 0.0)[order])[ends]
    return y_score[order][ends], caught, np.cumsum(weight[order])[ends]


def tie_ends(ordered: Float) -> Codes:
    """Return the last position of each run of equal values."""
    return np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)


def _from_no_gain(threshold: Float, caught: Float, false: Float) -> tuple[Float, Float, Float]:
    """Cut the curve where the recall gain is 0, TP = π P, on the line between two thresholds."""
    total = caught[-1]
    origin = total * total / (total + false[-1])
    first = int(np.searchsorted(caught, origin))
    rest = threshold[first:], caught[first:], false[first:]
    if caught[first] == origin:
        return rest
    before_caught, before_false = (caught[first - 1], false[first - 1]) if first else (0.0, 0.0)
    along = (origin - before_caught) / (caught[first] - before_caught)
    start = threshold[first], origin, before_false + along * (false[first] - before_false)
    cut = [np.append(value, column) for value, column in zip(start, rest, strict=True)]
    return cut[0], cut[1], cut[2]
