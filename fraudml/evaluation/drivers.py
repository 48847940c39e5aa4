"""What drives a score: how much each feature adds on rows that the model has not seen, and which
way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from fraudml.errors import ConfigError
from fraudml.learners.protocol import FittedLearner
from fraudml.matrix import DesignMatrix

Floats = NDArray[np.float64]

MOST_ROWS = 600
"""Rows at even steps of the block that are explained, at most."""

MOST_ALERTS = 200
"""Alerted rows that are explained besides, at most."""

CLEAR = 0.3
"""From this rank correlation on a direction is named."""


@dataclass(frozen=True)
class Drivers:
    """What drives a score.

    Parameters
    ----------
    table : DataFrame
        The heaviest feature first: `feature`; `weight`, its mean absolute contribution in log-odds;
        `share`, of the weights of all; `in_alerts`, by how much it lifts alerted rows above the
        others, null without alerts; `correlation`, the rank correlation of value and contribution
        (null for a category, or where a column does not vary); `direction`, which values are
        more suspicious. Empty where there is a reason.
    rows, alerts : int
        How many rows, and how many alerted ones besides, were looked at.
    reason : str, optional
        Why there is nothing to say.
    """

    table: pl.DataFrame
    rows: int
    alerts: int
    reason: str | None = None


def find_drivers(
    model: FittedLearner, matrix: DesignMatrix, alert: NDArray[np.bool_], score: Floats
) -> Drivers:
    """Explain some rows of a block by the learner's own contributions.

    Parameters
    ----------
    model : FittedLearner
        The model; one without contributions gives a reason instead.
    matrix : DesignMatrix
        Rows that it has not seen.
    alert : ndarray of bool
        What the policy decided; of the alerted rows those of the highest score are looked at.
    score : ndarray of float64
        Of the same rows.
    """
    even = np.unique(np.linspace(0, len(matrix) - 1, MOST_ROWS).astype(np.int64))
    flagged = np.flatnonzero(alert)
    flagged = np.sort(flagged[np.argsort(-score[flagged], kind="stable")][:MOST_ALERTS])
    try:
        added = model.contributions(matrix.take(even))[:, :-1]
        in_alerts = model.contributions(matrix.take(flagged))[:, :-1] if len(flagged) else None
    except ConfigError as error:
        return Drivers(pl.DataFrame(), 0, 0, str(error))
    weight = np.abs(added).mean(axis=0)
    values = matrix.values[even].astype(np.float64)
    correlation = [
        None if position in matrix.categorical else _correlation(values[:, position], one)
        for position, one in enumerate(added.T)
    ]
    lift = None if in_alerts is None else in_alerts.mean(axis=0) - added.mean(axis=0)
    table = pl.DataFrame(
        {
            "feature": matrix.names,
            "weight": weight,
            "share": weight / max(weight.sum(), np.finfo(float).tiny),
            "in_alerts": [None] * len(weight) if lift is None else lift,
            "correlation": correlation,
            "direction": [
                _direction(one, position in matrix.categorical)
                for position, one in enumerate(correlation)
            ],
        },
        schema_overrides={"in_alerts": pl.Float64, "correlation": pl.Float64},
    )
    ordered = table.filter(pl.col("weight") > 0).sort(
        "weight", descending=True, maintain_order=True
    )
    return Drivers(ordered, len(even), len(flagged))


def _correlation(values: Floats, added: Floats) -> float | None:
    """The rank correlation over rows where the value is known; None where one does not vary."""
    known = ~np.isnan(values)
    if known.sum() < 3:
        return None
    one, other = rankdata(values[known]), rankdata(added[known])
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _direction(correlation: float | None, categorical: bool) -> str:
    if categorical:
        return "by category"
    if correlation is None:
        return "not seen here"
    if correlation >= CLEAR:
        return "higher"
    return "lower" if correlation <= -CLEAR else "not one way"
