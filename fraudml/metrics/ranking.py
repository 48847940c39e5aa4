"""Metrics of how a score ranks fraud above legitimate rows, without a threshold of its own.

Labels and scores in, a number out. What needs alerts is in `alerts`, curves are in `curves`, cards
in `cards`. Everything here takes `(y_true, y_score)` first and an optional `weight`, has the same
value whatever the order of the rows, treats equal scores as one threshold, and gives a row of
weight w what w copies of it would get. The cost is one binary search a row among the fraud scores.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from fraudml.metrics import _groups
from fraudml.metrics._checks import at_least_one, checked, in_open_range, in_range, known
from fraudml.metrics._groups import FraudGroups

NO_FRAUD = "y_true holds no fraud. At least one row labelled 1 was expected."
"""Why a metric that divides by the number of frauds has no value."""
ONE_CLASS = "y_true holds one class only. At least one row of each label was expected."
"""Why a metric that compares frauds with legitimate rows has no value."""


def average_precision(
    y_true: ArrayLike, y_score: ArrayLike, *, weight: ArrayLike | None = None
) -> float:
    """Return the average precision: Σ (R_n − R_{n−1}) P_n over the distinct scores.

    The larger the better, up to 1; a random score gets the prevalence, not 0.5. Values at
    different prevalences do not compare: see `precision_recall_gain_area`.

    Parameters
    ----------
    y_true : array-like of 0/1 or bool, shape (n_rows,)
        1 is fraud.
    y_score : array-like of float, shape (n_rows,)
        Any score that rises with suspicion; infinite values are allowed, NaN is not. Do not round
        it first.
    weight : array-like of float, shape (n_rows,), optional
        How often each row counts, at least 0.

    Raises
    ------
    DataError
        There is no fraud.

    Notes
    -----
    Equal to `sklearn.metrics.average_precision_score`. All rows fraud: 1.

    Examples
    --------
    >>> average_precision([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8])
    0.8333333333333333
    """
    groups = _prepare(y_true, y_score, weight)
    return known(_groups.average_precision(groups), NO_FRAUD)


def roc_auc(y_true: ArrayLike, y_score: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return the area under the ROC curve: the chance that a fraud outranks a legitimate row.

    The larger the better, up to 1; a random score gets .5. Ties count one half. On rare fraud it
    stays high for models that no review team could work with.

    Parameters
    ----------
    y_true, y_score, weight
        As in `average_precision`.

    Raises
    ------
    DataError
        There is one class only.

    Examples
    --------
    >>> roc_auc([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8])
    0.75
    """
    return known(_groups.standardised_area(_prepare(y_true, y_score, weight), 1.0), ONE_CLASS)


def partial_auc(
    y_true: ArrayLike, y_score: ArrayLike, max_fpr: float = 0.05, *, weight: ArrayLike | None = None
) -> float:
    """Return the area under the ROC curve up to a false-positive rate, standardised by McClish.

    0.5 is chance and 1 the best, so it is not a plain area. The larger the better.

    Parameters
    ----------
    y_true, y_score, weight
        As in `average_precision`.
    max_fpr : float
        Where to cut the curve, in (0, 1].

    Raises
    ------
    DataError
        There is one class only.

    Notes
    -----
    Equal to `sklearn.metrics.roc_auc_score(..., max_fpr=max_fpr)`. McClish (1989), 'Analyzing a
    portion of the ROC curve'.

    Examples
    --------
    >>> partial_auc([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8], max_fpr=0.5)
    0.6666666666666666
    """
    max_fpr = in_open_range("max_fpr", max_fpr, 1.0)
    groups = _prepare(y_true, y_score, weight)
    return known(_groups.standardised_area(groups, max_fpr), ONE_CLASS)


def precision_recall_gain_area(
    y_true: ArrayLike, y_score: ArrayLike, *, weight: ArrayLike | None = None
) -> float:
    """Return the area under the precision–recall gain curve.

    Comparable between prevalences. The larger the better, up to 1; alerting always gets 0 and a
    score that is worse than that falls below 0, without a lower bound.

    Parameters
    ----------
    y_true, y_score, weight
        As in `average_precision`.

    Raises
    ------
    DataError
        There is one class only.

    Notes
    -----
    precG = 1 − FP P/(TP N) and recG = 1 − FN P/(TP N) are −∞ where nothing is caught. The curve
    starts where recG is 0, found on the straight line in TP and FP, so all that enters is finite.
    Flach and Kull (2015), 'Precision-Recall-Gain Curves: PR Analysis Done Right', NeurIPS 28.

    Examples
    --------
    >>> precision_recall_gain_area([0, 1, 1, 1], [0.1, 0.4, 0.5, 0.8])
    1.0
    """
    return known(_groups.gain_area(_prepare(y_true, y_score, weight)), ONE_CLASS)


def recall_at_fpr(
    y_true: ArrayLike, y_score: ArrayLike, cap: float = 0.05, *, weight: ArrayLike | None = None
) -> float:
    """Return the largest recall whose false-positive rate is at most a cap.

    The larger the better, from 0 (where even the highest score breaks the cap) to 1. At a
    prevalence of .1 %, a cap of 5 % allows about 50 false alerts a fraud. The threshold that gives
    it was picked on these rows.

    Parameters
    ----------
    y_true, y_score, weight
        As in `average_precision`.
    cap : float
        The highest false-positive rate, from 0 to 1.

    Raises
    ------
    DataError
        There is no fraud.

    Notes
    -----
    No line is drawn between thresholds: equal scores are alerted together or not at all. All rows
    fraud: 1, as no false alert is possible.

    Examples
    --------
    >>> recall_at_fpr([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8], cap=0.4)
    0.5
    """
    cap = in_range("cap", cap, 0.0, 1.0)
    groups = _prepare(y_true, y_score, weight)
    return known(_groups.recall_at_fpr(groups, cap), NO_FRAUD)


def recall_at_precision(
    y_true: ArrayLike, y_score: ArrayLike, floor: float = 0.5, *, weight: ArrayLike | None = None
) -> float:
    """Return the largest recall whose precision is at least a floor.

    The larger the better, from 0 (where no threshold reaches the floor) to 1. A threshold picked
    this way breaks its floor on new rows more often than not; a policy needs a bound.

    Parameters
    ----------
    y_true, y_score, weight
        As in `average_precision`.
    floor : float
        The lowest precision, from 0 to 1.

    Raises
    ------
    DataError
        There is no fraud.

    Examples
    --------
    >>> recall_at_precision([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8], floor=0.6)
    1.0
    """
    floor = in_range("floor", floor, 0.0, 1.0)
    groups = _prepare(y_true, y_score, weight)
    return known(_groups.recall_at_precision(groups, floor), NO_FRAUD)


def precision_at_k(
    y_true: ArrayLike, y_score: ArrayLike, k: int = 100, *, weight: ArrayLike | None = None
) -> float:
    """Return the share of fraud among the k rows of the highest scores.

    The larger the better, from 0 to 1; a random score gets the prevalence.

    Parameters
    ----------
    y_true, y_score, weight
        As in `average_precision`.
    k : int
        How many rows are checked; all of them where there are fewer.

    Notes
    -----
    Where the k-th place is tied, the value is the mean over all orders of the tied rows: they
    share the places that are left. No fraud: 0.

    Examples
    --------
    >>> precision_at_k([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1], k=2)
    0.75
    """
    k = at_least_one("k", k)
    return float(_groups.precision_at_k(_prepare(y_true, y_score, weight), k))


def _prepare(y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None) -> FraudGroups:
    return _groups.fraud_groups(*checked(y_true=y_true, y_score=y_score, weight=weight))
