"""What decisions cost: totals, savings, and the thresholds that cost least.

Costs are losses (positive = lost) in a single currency, and may be negative where something is
earned. Each of `tp_cost`, `fp_cost`, `fn_cost` and `tn_cost` is a number, or an array with a number
a row. For card fraud `fn_cost` is the amount, `tp_cost` and `fp_cost` are the cost of a review, and
`tn_cost` is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fraudml.errors import DataError
from fraudml.metrics._checks import Flags, Float, checked, weights_or_ones
from fraudml.metrics.curves import tie_ends

NO_VALUE = "No fraud has an amount above 0. At least one such fraud was expected."
"""Why the value recall has no value."""
NO_SAVINGS = (
    "the cheaper of alerting never and alerting always costs 0 or less, so a share of it means "
    "nothing; read the benefit"
)
"""Why savings have no value."""


@dataclass(frozen=True)
class Savings:
    """The cost of the alerts against those of the two trivial policies.

    Parameters
    ----------
    value : float or None
        1 − cost / min(cost of never, cost of always): 1 where nothing is lost, 0 for the cheaper
        trivial policy, negative where that is better. None where the cheaper one costs ≤ 0.
    cost, cost_never, cost_always : float
        Totals.
    reason : str or None
        Why `value` is None.
    """

    value: float | None
    cost: float
    cost_never: float
    cost_always: float
    reason: str | None = None

    @property
    def benefit(self) -> float:
        """What is earned: −cost."""
        return -self.cost

    @property
    def gain(self) -> float:
        """How much less is lost than by the cheaper trivial policy."""
        return min(self.cost_never, self.cost_always) - self.cost


@dataclass(frozen=True)
class RiskThresholds:
    """The probability from which an alert pays, for each row.

    Parameters
    ----------
    threshold : ndarray of float64, shape (n_rows,)
        Alert where the calibrated probability is at least that; infinite where no alert pays, 0
        or less where every alert does.
    never_pays : int
        In how many rows no alert pays.
    """

    threshold: Float
    never_pays: int


@dataclass(frozen=True)
class BestThreshold:
    """The threshold of least total cost on the rows it was searched on.

    Parameters
    ----------
    threshold : float
        Alert where the score is at least that; infinite for no alert, else one of the scores.
    cost : float
        The total cost with it.
    alerts : float
        How many rows it alerts (weighted).
    """

    threshold: float
    cost: float
    alerts: float


def cost(
    y_true: ArrayLike,
    alert: ArrayLike,
    *,
    tp_cost: ArrayLike,
    fp_cost: ArrayLike,
    fn_cost: ArrayLike,
    tn_cost: ArrayLike = 0.0,
    weight: ArrayLike | None = None,
) -> float:
    """Return the total cost of the alerts: Σ y (a c11 + (1−a) c01) + (1−y) (a c10 + (1−a) c00).

    The smaller the better. Count it on rows at natural prevalence: resampled rows cost otherwise.

    Parameters
    ----------
    y_true : array-like of 0/1 or bool, shape (n_rows,)
        1 is fraud.
    alert : array-like of 0/1 or bool, shape (n_rows,)
        Whether each row is alerted.
    tp_cost, fp_cost, fn_cost, tn_cost : float or array-like of float, shape (n_rows,)
        c11, c10, c01 and c00. A caught fraud costs its review too.
    weight : array-like of float, shape (n_rows,), optional
        How often each row counts.

    Notes
    -----
    Elkan (2001), 'The Foundations of Cost-Sensitive Learning'.

    Examples
    --------
    >>> cost([1, 1, 0], [1, 0, 1], tp_cost=10, fp_cost=10, fn_cost=[80.0, 50.0, 20.0])
    70.0
    """
    columns = {"y_true": y_true, "alert": alert, "weight": weight}
    (fraud, alerted, weights), costs = _prepare(columns, tp_cost, fp_cost, fn_cost, tn_cost)
    return _total(row_costs(fraud, alerted, costs), weights)


def benefit(
    y_true: ArrayLike,
    alert: ArrayLike,
    *,
    tp_cost: ArrayLike,
    fp_cost: ArrayLike,
    fn_cost: ArrayLike,
    tn_cost: ArrayLike = 0.0,
    weight: ArrayLike | None = None,
) -> float:
    """Return what the alerts earn, −`cost`: for costs that are mostly negative (a margin earned).

    Examples
    --------
    >>> benefit([1, 0], [1, 0], tp_cost=0, fp_cost=10, fn_cost=100, tn_cost=-2)
    2.0
    """
    columns = {"y_true": y_true, "alert": alert, "weight": weight}
    (fraud, alerted, weights), costs = _prepare(columns, tp_cost, fp_cost, fn_cost, tn_cost)
    return -_total(row_costs(fraud, alerted, costs), weights)


def savings(
    y_true: ArrayLike,
    alert: ArrayLike,
    *,
    tp_cost: ArrayLike,
    fp_cost: ArrayLike,
    fn_cost: ArrayLike,
    tn_cost: ArrayLike = 0.0,
    weight: ArrayLike | None = None,
) -> Savings:
    """Return the cost saved against the cheaper of alerting never and alerting always, as a share.

    Arguments and errors are those of `cost`.

    Notes
    -----
    Correa Bahnsen et al. (2013–2015), with both trivial policies.

    Examples
    --------
    >>> savings([1, 1, 0], [1, 0, 0], tp_cost=10, fp_cost=10, fn_cost=[80.0, 15.0, 20.0]).value
    0.16666666666666663
    """
    columns = {"y_true": y_true, "alert": alert, "weight": weight}
    (fraud, alerted, weights), costs = _prepare(columns, tp_cost, fp_cost, fn_cost, tn_cost)
    terms = savings_terms(fraud, alerted, costs)
    spent, never, always = (_total(term, weights) for term in terms)
    value = float(savings_of(np.array([spent, never, always])))
    if np.isnan(value):
        return Savings(None, spent, never, always, NO_SAVINGS)
    return Savings(value, spent, never, always)


def expected_cost(
    p_fraud: ArrayLike,
    alert: ArrayLike,
    *,
    tp_cost: ArrayLike,
    fp_cost: ArrayLike,
    fn_cost: ArrayLike,
    tn_cost: ArrayLike = 0.0,
    weight: ArrayLike | None = None,
) -> float:
    """Return the total cost that the probabilities expect of the alerts; no label is needed.

    It is as accurate as the probabilities are calibrated.

    Parameters
    ----------
    p_fraud : array-like of float, shape (n_rows,)
        Calibrated probabilities of fraud.
    alert, tp_cost, fp_cost, fn_cost, tn_cost, weight
        As in `cost`, with its errors.

    Examples
    --------
    >>> expected_cost([0.5, 0.1], [1, 0], tp_cost=10, fp_cost=10, fn_cost=[80.0, 50.0])
    15.0
    """
    columns = {"p_fraud": p_fraud, "alert": alert, "weight": weight}
    (p, alerted, weights), costs = _prepare(columns, tp_cost, fp_cost, fn_cost, tn_cost)
    tp, fp, fn, tn = costs
    return _total(np.where(alerted, p * tp + (1 - p) * fp, p * fn + (1 - p) * tn), weights)


def value_recall(
    y_true: ArrayLike, alert: ArrayLike, amount: ArrayLike, *, weight: ArrayLike | None = None
) -> float:
    """Return the share of the fraud amount that is alerted.

    The larger the better, from 0 to 1.

    Parameters
    ----------
    y_true, alert, weight
        As in `cost`.
    amount : array-like of float, shape (n_rows,)
        The amount of each row; an amount ≤ 0 (a refund) counts 0.

    Raises
    ------
    DataError
        No fraud has an amount above 0.

    Examples
    --------
    >>> value_recall([1, 1, 1, 0], [1, 0, 1, 1], [30.0, 10.0, -5.0, 99.0])
    0.75
    """
    *columns, weights = checked(y_true=y_true, alert=alert, amount=amount, weight=weight)
    caught, lost = (_total(term, weights) for term in value_terms(*columns))
    if not lost:
        raise DataError(NO_VALUE)
    return caught / lost


def minimum_risk_threshold(
    *, tp_cost: ArrayLike, fp_cost: ArrayLike, fn_cost: ArrayLike, tn_cost: ArrayLike = 0.0
) -> RiskThresholds:
    """Return, for each row, the probability from which an alert costs less than none.

    t = (c10 − c00) / (c10 − c00 + c01 − c11); for card fraud the review cost over the amount.

    Parameters
    ----------
    tp_cost, fp_cost, fn_cost, tn_cost : float or array-like of float, shape (n_rows,)
        As in `cost`; four scalars give one row.

    Returns
    -------
    RiskThresholds
        Infinite where c01 ≤ c11, as a missed fraud then costs no more than a caught one; counted.

    Raises
    ------
    DataError
        c10 ≤ c00 in a row (a false alert would cost nothing), or a cost is not finite.

    Examples
    --------
    >>> rows = minimum_risk_threshold(tp_cost=10, fp_cost=10, fn_cost=[40.0, 5.0])
    >>> rows.threshold.tolist(), rows.never_pays
    ([0.25, inf], 1)
    """
    _, costs = _prepare({}, tp_cost, fp_cost, fn_cost, tn_cost)
    tp, fp, fn, tn = np.broadcast_arrays(*costs)
    false_alert, missed = np.atleast_1d(fp - tn), np.atleast_1d(fn - tp)
    _refuse_free_alerts(false_alert)
    pays = missed > 0
    threshold = np.full(len(pays), np.inf)
    np.divide(false_alert, false_alert + missed, out=threshold, where=pays)
    return RiskThresholds(threshold, int(len(pays) - np.count_nonzero(pays)))


def best_threshold(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    tp_cost: ArrayLike,
    fp_cost: ArrayLike,
    fn_cost: ArrayLike,
    tn_cost: ArrayLike = 0.0,
    weight: ArrayLike | None = None,
) -> BestThreshold:
    """Return the one threshold on the score whose total cost on these rows is least.

    Every distinct score is tried, and alerting nothing; the lowest score alerts everything.

    Parameters
    ----------
    y_true : array-like of 0/1 or bool, shape (n_rows,)
        1 is fraud.
    y_score : array-like of float, shape (n_rows,)
        Any score that rises with suspicion.
    tp_cost, fp_cost, fn_cost, tn_cost, weight
        As in `cost`, with its errors.

    Notes
    -----
    One sort. Equal scores are alerted together; among thresholds of equal cost the highest is
    taken, so that no alert is raised for nothing. With one class the answer is still right: never
    or always. It was picked on these rows: its cost on new rows is higher.

    Examples
    --------
    >>> best_threshold([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8], tp_cost=1, fp_cost=1, fn_cost=5)
    BestThreshold(threshold=0.4, cost=3.0, alerts=3.0)
    """
    columns = {"y_true": y_true, "y_score": y_score, "weight": weight}
    (fraud, score, weights), costs = _prepare(columns, tp_cost, fp_cost, fn_cost, tn_cost)
    weights = weights_or_ones(weights, fraud)
    nothing = np.zeros(len(fraud), dtype=np.bool_)
    never = row_costs(fraud, nothing, costs)
    # Alerting from a score on changes the cost by the sum over the rows at it and above.
    change = weights * (row_costs(fraud, ~nothing, costs) - never)
    order = np.argsort(-score, kind="stable")
    ends = tie_ends(score[order])
    totals = np.append(0.0, np.cumsum(change[order])[ends])
    best = int(np.argmin(totals))
    threshold = float(score[order][ends][best - 1]) if best else float("inf")
    alerts = float(weights[score >= threshold].sum()) if best else 0.0
    return BestThreshold(threshold, float(never @ weights + totals[best]), alerts)


def row_costs(fraud: Flags, alerted: Flags, costs: Sequence[Float]) -> Float:
    """Return the cost of each row under its alert; costs of TP, FP, FN, TN."""
    tp, fp, fn, tn = costs
    return np.where(fraud, np.where(alerted, tp, fn), np.where(alerted, fp, tn))


def savings_terms(
    fraud: Flags, alerted: Flags, costs: Sequence[Float]
) -> tuple[Float, Float, Float]:
    """Return the cost of each row under its alert, under never, and under always."""
    nothing = np.zeros(len(fraud), dtype=np.bool_)
    return (
        row_costs(fraud, alerted, costs),
        row_costs(fraud, nothing, costs),
        row_costs(fraud, ~nothing, costs),
    )


def savings_of(sums: Float) -> Float:
    """Return savings from the totals on the last axis; NaN where they mean nothing."""
    cheaper = np.minimum(sums[..., 1], sums[..., 2])
    out = np.full(cheaper.shape, np.nan)
    np.divide(sums[..., 0], cheaper, out=out, where=cheaper > 0)
    return 1 - out


def value_terms(y_true: Flags, alert: Flags, amount: Float) -> tuple[Float, Float]:
    """Return the fraud amount of each row that is caught, and that there is."""
    at_stake = np.where(y_true, np.maximum(amount, 0.0), 0.0)
    return at_stake * alert, at_stake


def _prepare(columns: dict[str, Any], *costs: ArrayLike) -> tuple[list[Any], list[Float]]:
    """Check columns together with the costs of TP, FP, FN and TN."""
    names = ("tp_cost", "fp_cost", "fn_cost", "tn_cost")
    arrays = checked(**columns, **dict(zip(names, costs, strict=True)))
    return arrays[: len(columns)], arrays[len(columns) :]


def _total(term: Float, weight: Float | None) -> float:
    return float(term.sum() if weight is None else term @ weight)


def _refuse_free_alerts(false_alert: Float) -> None:
    free = false_alert <= 0
    count = int(np.count_nonzero(free))
    if count:
        first = int(np.argmax(free))
        raise DataError(
            f"fp_cost − tn_cost is {false_alert[first]:g} in row {first:,} ({count:,} such of "
            f"{len(free):,} rows). A false alert was expected to cost more than leaving the row "
            "alone. Check the signs of the costs: a loss is positive."
        )
