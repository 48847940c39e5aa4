"""Expected metrics of alerts and of a ranking, from probabilities, before labels arrive.

Confidence-based performance estimation: a row of probability p counts as p frauds and 1 − p
legitimate rows. That is right where the probabilities are calibrated on the very rows, which a
calibrator fitted earlier gives only as long as P(fraud | features) has not changed: under covariate
shift alone. It is blind to a new kind of fraud (concept drift): the model does not suspect it, so
nothing is expected and nothing seems missing. Never show it as a measured value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fraudml.metrics import _groups
from fraudml.metrics._checks import checked, known, weights_or_ones
from fraudml.metrics.alerts import NO_ALERT, Confusion

NO_SUSPICION = "p_fraud is 0 in every row. At least one probability above 0 was expected."
"""Why what divides by the expected frauds has no value."""


def expected_confusion(
    p_fraud: ArrayLike, alert: ArrayLike, *, weight: ArrayLike | None = None
) -> Confusion:
    """Return the counts that the probabilities expect: Σ p and Σ (1 − p), alerted and not.

    Valid under covariate shift alone, with calibrated probabilities; blind to concept drift.

    Parameters
    ----------
    p_fraud : array-like of float, shape (n_rows,)
        Calibrated probabilities of fraud.
    alert : array-like of 0/1 or bool, shape (n_rows,)
        Whether each row is alerted.
    weight : array-like of float, shape (n_rows,), optional
        How often each row counts.

    Notes
    -----
    Known as CBPE, after NannyML's documentation.

    Examples
    --------
    >>> counts = expected_confusion([0.75, 0.5, 0.25], [1, 1, 0])
    >>> counts.tp, counts.fp, counts.fn, counts.tn
    (1.25, 0.75, 0.25, 0.75)
    """
    p, alerted, weights = checked(p_fraud=p_fraud, alert=alert, weight=weight)
    weights = weights_or_ones(weights, p)
    fraud, legit = weights * p, weights * (1 - p)
    return Confusion(
        tp=float(fraud[alerted].sum()),
        fp=float(legit[alerted].sum()),
        fn=float(fraud[~alerted].sum()),
        tn=float(legit[~alerted].sum()),
    )


def expected_precision(
    p_fraud: ArrayLike, alert: ArrayLike, *, weight: ArrayLike | None = None
) -> float:
    """Return the expected share of fraud among the alerts: their mean probability.

    As `expected_confusion`; a `DataError` without an alert.

    Examples
    --------
    >>> expected_precision([0.75, 0.5, 0.25], [1, 1, 0])
    0.625
    """
    return known(expected_confusion(p_fraud, alert, weight=weight).precision, NO_ALERT)


def expected_recall(
    p_fraud: ArrayLike, alert: ArrayLike, *, weight: ArrayLike | None = None
) -> float:
    """Return the expected share of the frauds that is alerted.

    As `expected_confusion`; a `DataError` where every probability is 0.

    Examples
    --------
    >>> round(expected_recall([0.75, 0.5, 0.25], [1, 1, 0]), 4)
    0.8333
    """
    return known(expected_confusion(p_fraud, alert, weight=weight).recall, NO_SUSPICION)


def expected_average_precision(
    p_fraud: ArrayLike, y_score: ArrayLike | None = None, *, weight: ArrayLike | None = None
) -> float:
    """Return the average precision of the ranking where a row counts as p frauds.

    Valid under covariate shift alone, with calibrated probabilities; blind to concept drift. A
    ratio of expected counts, which is near the expected ratio where frauds are many.

    Parameters
    ----------
    p_fraud : array-like of float, shape (n_rows,)
        Calibrated probabilities of fraud.
    y_score : array-like of float, shape (n_rows,), optional
        What ranks the rows; by default the probabilities.
    weight : array-like of float, shape (n_rows,), optional
        How often each row counts.

    Raises
    ------
    DataError
        Every probability is 0.

    Examples
    --------
    >>> expected_average_precision([0.5, 0.25])
    0.4583333333333333
    """
    score = p_fraud if y_score is None else y_score
    p, order, weights = checked(p_fraud=p_fraud, y_score=score, weight=weight)
    weights = weights_or_ones(weights, p)
    # Each row is counted twice, as fraud and as legitimate, with the weight of either.
    label = np.arange(2 * len(p)) < len(p)
    mass = np.concatenate([weights * p, weights * (1 - p)])
    groups = _groups.fraud_groups(label, np.concatenate([order, order]), mass)
    return known(_groups.average_precision(groups), NO_SUSPICION)
