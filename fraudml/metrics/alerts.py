"""Counts and rates of a set of alerts, and the accuracy of never alerting.

Alerts are booleans, one a row, whichever policy raised them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fraudml.errors import ConfigError
from fraudml.metrics._checks import Codes, Flags, Float, checked, in_open_range, known
from fraudml.metrics.ranking import NO_FRAUD

NO_ALERT = "No row is alerted. At least one alert was expected."
"""Why a share of the alerts has no value."""
NO_LEGITIMATE = "y_true holds no legitimate row. At least one row labelled 0 was expected."
"""Why the false-positive rate has no value."""
NOTHING_TO_FIND = "There is neither a fraud nor an alert. At least one of either was expected."
"""Why precision and recall have no mean."""
NONE_CAUGHT = "No fraud is alerted. At least one fraud caught was expected."
"""Why false alerts per fraud caught have no value."""


@dataclass(frozen=True)
class Confusion:
    """The four counts of a set of alerts, and the rates that follow from them.

    A rate is None where what it divides by is 0.

    Parameters
    ----------
    tp, fp, fn, tn : float
        Frauds alerted, legitimate rows alerted, frauds missed, legitimate rows left alone
        (weighted, where there are weights).
    """

    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def rows(self) -> float:
        """How many rows there are."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def alerts(self) -> float:
        """How many rows are alerted."""
        return self.tp + self.fp

    @property
    def precision(self) -> float | None:
        """The share of the alerts that are fraud; None without an alert."""
        return _share(self.tp, self.alerts)

    @property
    def recall(self) -> float | None:
        """The share of the frauds that are alerted; None without a fraud."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def false_positive_rate(self) -> float | None:
        """The share of the legitimate rows that are alerted; None without one."""
        return _share(self.fp, self.fp + self.tn)

    @property
    def false_positive_ratio(self) -> float | None:
        """How many false alerts there are for each fraud caught; None where none is."""
        return _share(self.fp, self.tp)

    def f_beta(self, beta: float) -> float | None:
        """Precision and recall in one number, recall `beta` times as dear; None with neither."""
        square = beta**2
        return _share((1 + square) * self.tp, square * (self.tp + self.fn) + self.alerts)

    @property
    def alert_rate(self) -> float:
        """The share of the rows that are alerted."""
        return self.alerts / self.rows

    @property
    def prevalence(self) -> float:
        """The share of the rows that are fraud."""
        return (self.tp + self.fn) / self.rows


def confusion(y_true: ArrayLike, alert: ArrayLike, *, weight: ArrayLike | None = None) -> Confusion:
    """Count frauds and legitimate rows, alerted and not.

    Parameters
    ----------
    y_true : array-like of 0/1 or bool, shape (n_rows,)
        1 is fraud.
    alert : array-like of 0/1 or bool, shape (n_rows,)
        Whether each row is alerted.
    weight : array-like of float, shape (n_rows,), optional
        How often each row counts.

    Examples
    --------
    >>> counts = confusion([0, 1, 0, 1], [0, 0, 1, 1])
    >>> counts.precision, counts.recall, counts.false_positive_rate
    (0.5, 0.5, 0.5)
    """
    fraud, alerted, weights = checked(y_true=y_true, alert=alert, weight=weight)
    cell = 2 * fraud.astype(np.int64) + alerted
    tn, fp, fn, tp = np.bincount(cell, weights, minlength=4).astype(float).tolist()
    return Confusion(tp=tp, fp=fp, fn=fn, tn=tn)


def precision(y_true: ArrayLike, alert: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return the share of the alerts that are fraud; a `DataError` without an alert."""
    return known(confusion(y_true, alert, weight=weight).precision, NO_ALERT)


def recall(y_true: ArrayLike, alert: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return the share of the frauds that are alerted; a `DataError` without a fraud."""
    return known(confusion(y_true, alert, weight=weight).recall, NO_FRAUD)


def false_positive_rate(
    y_true: ArrayLike, alert: ArrayLike, *, weight: ArrayLike | None = None
) -> float:
    """Return the share of the legitimate rows that are alerted; a `DataError` without one."""
    return known(confusion(y_true, alert, weight=weight).false_positive_rate, NO_LEGITIMATE)


def false_positive_ratio(
    y_true: ArrayLike, alert: ArrayLike, *, weight: ArrayLike | None = None
) -> float:
    """Return the false alerts for each fraud caught; a `DataError` where none is caught."""
    return known(confusion(y_true, alert, weight=weight).false_positive_ratio, NONE_CAUGHT)


def f_beta(
    y_true: ArrayLike, alert: ArrayLike, beta: float = 1.0, *, weight: ArrayLike | None = None
) -> float:
    """Return the weighted harmonic mean of precision and recall of the alerts.

    The larger the better, from 0 to 1. A missed fraud counts as β² false alerts; where costs are
    known, `cost` says it in money instead.

    Parameters
    ----------
    y_true, alert, weight
        As in `confusion`.
    beta : float
        How many times as dear as precision recall is, in (0, 100].

    Raises
    ------
    DataError
        There is neither a fraud nor an alert.

    Notes
    -----
    Equal to `sklearn.metrics.fbeta_score`. Its expected value depends on the threshold more than
    on the model: compare models at thresholds that were each tuned for it.

    Examples
    --------
    >>> f_beta([0, 1, 0, 1], [0, 0, 1, 1], beta=2)
    0.5
    """
    beta = in_open_range("beta", beta, 100.0)
    return known(confusion(y_true, alert, weight=weight).f_beta(beta), NOTHING_TO_FIND)


def alert_rate(alert: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return the share of the rows that are alerted.

    Examples
    --------
    >>> alert_rate([1, 0, 0, 0])
    0.25
    """
    alerted, weights = checked(alert=alert, weight=weight)
    return float(np.average(alerted, weights=weights))


def alerts_per_day(
    alert: ArrayLike,
    day: ArrayLike,
    *,
    entity: ArrayLike | None = None,
    n_days: float | None = None,
    weight: ArrayLike | None = None,
) -> float:
    """Return the mean number of alerts a day: of distinct entities where they are known.

    A card that is alerted five times on one day is one case for the review team.

    Parameters
    ----------
    alert : array-like of 0/1 or bool, shape (n_rows,)
        Whether each row is alerted.
    day : array-like of int, shape (n_rows,)
        The day of each row, as a code.
    entity : array-like of int, shape (n_rows,), optional
        The card or customer of each row, as a code. Without it, rows are counted.
    n_days : float, optional
        How many days the rows span; by default the number of distinct days among them.
    weight : array-like of float, shape (n_rows,), optional
        How often each row counts; with entities, the weight of an entity's alert of a day is the
        largest of its alerted rows.

    Examples
    --------
    >>> alerts_per_day([1, 1, 1, 0], [0, 0, 1, 1], entity=[7, 7, 7, 8])
    1.0
    """
    flags, days, entities, weights = checked(alert=alert, day=day, entity=entity, weight=weight)
    if n_days is not None and not n_days > 0:
        raise ConfigError(f"n_days is {n_days!r}. A number above 0 was expected.")
    if weights is not None:
        counted = weights > 0
        flags, days, weights = flags[counted], days[counted], weights[counted]
        entities = None if entities is None else entities[counted]
    cases = case_rows(flags, days, entities, weights)
    count = len(cases) if weights is None else weights[cases].sum()
    return float(count / (n_days or len(np.unique(days))))


def case_rows(alert: Flags, day: Codes, entity: Codes | None, weight: Float | None = None) -> Codes:
    """Return one alerted row for each day and entity (the heaviest), or all without entities."""
    rows: Codes = np.flatnonzero(alert)
    if entity is None or not len(rows):
        return rows
    heaviest = np.zeros(len(rows)) if weight is None else -weight[rows]
    order = np.lexsort((heaviest, entity[rows], day[rows]))
    rows = rows[order]
    new = (np.diff(day[rows]) != 0) | (np.diff(entity[rows]) != 0)
    cases: Codes = rows[np.append(True, new)]
    return cases


def accuracy_of_never(y_true: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return the accuracy of never alerting, 1 − prevalence: report it with any accuracy.

    Examples
    --------
    >>> accuracy_of_never([0] * 999 + [1])
    0.999
    """
    fraud, weights = checked(y_true=y_true, weight=weight)
    return 1.0 - float(np.average(fraud, weights=weights))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
