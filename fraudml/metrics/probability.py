"""Calibration of probabilities: losses, calibration in the large, slope, reliability.

Equal-width bins and the expected calibration error are left out on purpose: at a prevalence of
.1 % all rows fall into the first bin and any model looks calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fraudml.errors import DataError
from fraudml.metrics._checks import (
    Flags,
    Float,
    at_least_one,
    checked,
    in_open_range,
    weights_or_ones,
)
from fraudml.metrics._slope import SMALLEST_P, fit_line, log_odds
from fraudml.metrics.ranking import NO_FRAUD, ONE_CLASS


@dataclass(frozen=True)
class Reliability:
    """Predicted and observed fraud in bins of the probability, lowest first; no bin is empty.

    Parameters
    ----------
    low, high : ndarray of float64
        A bin holds low ≤ p < high, the last one also p = 1.
    rows, frauds : ndarray of float64
        Weighted counts.
    mean_p, observed : ndarray of float64
        The mean probability and the share of fraud.
    """

    low: Float
    high: Float
    rows: Float
    frauds: Float
    mean_p: Float
    observed: Float


def brier(y_true: ArrayLike, p_fraud: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return the Brier score: the mean of (p − y)².

    The smaller the better, from 0 to 1. Always predicting the prevalence π gets π (1 − π).

    Parameters
    ----------
    y_true : array-like of 0/1 or bool, shape (n_rows,)
        1 is fraud.
    p_fraud : array-like of float, shape (n_rows,)
        Probabilities of fraud, from 0 to 1.
    weight : array-like of float, shape (n_rows,), optional
        How often each row counts.

    Examples
    --------
    >>> brier([0, 1], [0.25, 0.75])
    0.0625
    """
    fraud, p, weights = checked(y_true=y_true, p_fraud=p_fraud, weight=weight)
    return float(np.average(squared_error(fraud, p), weights=weights))


def log_loss(y_true: ArrayLike, p_fraud: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return the mean of −log of the probability given to what happened.

    The smaller the better, from 0; at most 34.6, as probabilities are clipped at 1e-15.

    Parameters
    ----------
    y_true, p_fraud, weight
        As in `brier`.

    Notes
    -----
    Equal to `sklearn.metrics.log_loss` where no probability is below 1e-15 or above 1 − 1e-15.

    Examples
    --------
    >>> round(log_loss([0, 1], [0.5, 0.5]), 6)
    0.693147
    """
    fraud, p, weights = checked(y_true=y_true, p_fraud=p_fraud, weight=weight)
    return float(np.average(surprise(fraud, p), weights=weights))


def calibration_in_the_large(
    y_true: ArrayLike, p_fraud: ArrayLike, *, weight: ArrayLike | None = None
) -> float:
    """Return the mean probability over the base rate: 1 is right, 2 is twice too high.

    Take it on untouched rows. With under 100 frauds it is mostly noise: read its interval.

    Parameters
    ----------
    y_true, p_fraud, weight
        As in `brier`.

    Raises
    ------
    DataError
        There is no fraud.

    Examples
    --------
    >>> calibration_in_the_large([0, 0, 0, 1], [0.1, 0.1, 0.1, 0.2])
    0.5
    """
    fraud, p, weights = checked(y_true=y_true, p_fraud=p_fraud, weight=weight)
    rate = float(np.average(fraud, weights=weights))
    if not rate:
        raise DataError(NO_FRAUD)
    return float(np.average(p, weights=weights)) / rate


def calibration_slope(
    y_true: ArrayLike, p_fraud: ArrayLike, *, weight: ArrayLike | None = None
) -> float:
    """Return the slope of a logistic regression of the label on the log-odds of p.

    1 is right; below 1 the probabilities are too extreme, above 1 too timid.

    Parameters
    ----------
    y_true, p_fraud, weight
        As in `brier`; probabilities are clipped at 1e-15.

    Raises
    ------
    DataError
        There is one class only, the probabilities are all equal, or they separate the classes so
        that no finite slope is best.

    Notes
    -----
    Without a penalty, by Newton steps, each one pass over the rows. Replicates of a bootstrap shift
    the line of the sample by its fifth-order expansion, which from some 75 frauds on is within 2 %
    of the interval's width of a fit of their own. Cox (1958), 'Two further
    applications of a model for binary regression'.

    Examples
    --------
    >>> p = [0.2] * 5 + [0.8] * 5
    >>> round(calibration_slope([1, 0, 0, 0, 0, 1, 1, 1, 1, 0], p), 6)
    1.0
    """
    fraud, p, weights = checked(y_true=y_true, p_fraud=p_fraud, weight=weight)
    weights = weights_or_ones(weights, p)
    counted = weights > 0
    fraud, odds = fraud[counted], log_odds(p[counted])
    _refuse_no_slope(fraud, odds)
    return fit_line(fraud, odds, weights[counted])[2]


def reliability(
    y_true: ArrayLike,
    p_fraud: ArrayLike,
    *,
    per_decade: int = 3,
    lowest: float = 1e-4,
    weight: ArrayLike | None = None,
) -> Reliability:
    """Return predicted and observed fraud in bins of equal width on a logarithmic scale.

    Parameters
    ----------
    y_true, p_fraud, weight
        As in `brier`.
    per_decade : int
        How many bins from one power of ten to the next.
    lowest : float
        All below it is one bin; in (0, 1].

    Examples
    --------
    >>> table = reliability([0, 0, 1, 1], [0.02, 0.04, 0.3, 0.9], per_decade=1)
    >>> table.rows.tolist(), table.observed.tolist()
    ([2.0, 2.0], [0.0, 1.0])
    """
    per_decade = at_least_one("per_decade", per_decade)
    lowest = in_open_range("lowest", lowest, 1.0)
    fraud, p, weights = checked(y_true=y_true, p_fraud=p_fraud, weight=weight)
    weights = weights_or_ones(weights, p)
    edges = _log_edges(lowest, per_decade)
    bins = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, len(edges) - 2)
    table = np.stack(
        [
            np.bincount(bins, value, minlength=len(edges) - 1).astype(np.float64)
            for value in (weights, weights * fraud, weights * p)
        ]
    )
    filled = table[0] > 0
    low, high, (rows, frauds, mass) = edges[:-1][filled], edges[1:][filled], table[:, filled]
    return Reliability(low, high, rows, frauds, mass / rows, frauds / rows)


def squared_error(fraud: Flags, p: Float) -> Float:
    """Return (p − y)² of each row."""
    return np.square(p - fraud)


def surprise(fraud: Flags, p: Float) -> Float:
    """Return −log of the probability given to each row's label."""
    return -np.log(np.maximum(np.where(fraud, p, 1 - p), SMALLEST_P))


def _log_edges(lowest: float, per_decade: int) -> Float:
    steps = int(np.ceil(-np.log10(lowest) * per_decade - 1e-9))
    inner = 10.0 ** (-np.arange(steps, -1, -1) / per_decade)
    return np.append(0.0, inner) if steps else np.array([0.0, 1.0])


def _refuse_no_slope(fraud: Flags, odds: Float) -> None:
    if fraud.all() or not fraud.any():
        raise DataError(ONE_CLASS)
    if odds.min() == odds.max():
        raise DataError(
            "p_fraud is the same in every row. A slope needs at least two probabilities."
        )
    frauds, legit = odds[fraud], odds[~fraud]
    if frauds.min() >= legit.max() or frauds.max() <= legit.min():
        raise DataError(
            "p_fraud separates the frauds from the legitimate rows. No finite slope is the best."
        )
