"""What drives a score: the contribution of each feature on held-out rows, and its direction."""

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

MAX_ROWS = 600
"""Rows at even steps of the block that are explained, at most."""

MAX_ALERTS = 200
"""Alerted rows that are explained besides, at most."""

CLEAR = 0.3
"""From this rank correlation on, a direction is named."""


@dataclass(frozen=True)
class Drivers:
    """What drives a score, from `rows` rows and `alerts` alerted ones; or the reason for nothing.

    `table` has the heaviest feature first: `feature`; `weight`, its mean absolute contribution in
    log-odds; `share`, of the weights of all; `in_alerts`, by how much it lifts alerted rows above
    the others, null without alerts; `correlation`, the rank correlation of value and contribution
    (null for a category, or where a column does not vary); `direction`, which values are more
    suspicious.
    """

    table: pl.DataFrame
    rows: int
    alerts: int
    reason: str | None = None


def find_drivers(
    model: FittedLearner, matrix: DesignMatrix, alert: NDArray[np.bool_], score: Floats
) -> Drivers:
    """Explain some held-out rows, and the alerted ones of the highest score, by contributions."""
    even = np.unique(np.linspace(0, len(matrix) - 1, MAX_ROWS).astype(np.int64))
    alerted = np.flatnonzero(alert)
    alerted = np.sort(alerted[np.argsort(-score[alerted], kind="stable")][:MAX_ALERTS])
    try:
        added = model.contributions(matrix.take(even))[:, :-1]
        in_alerts = model.contributions(matrix.take(alerted))[:, :-1] if len(alerted) else None
    except ConfigError as error:
        return Drivers(pl.DataFrame(), 0, 0, str(error))
    lift = None if in_alerts is None else in_alerts.mean(axis=0) - added.mean(axis=0)
    return Drivers(_table(matrix, even, added, lift), len(even), len(alerted))


def _table(
    matrix: DesignMatrix, rows: NDArray[np.int64], added: Floats, lift: Floats | None
) -> pl.DataFrame:
    weight, values = np.abs(added).mean(axis=0), matrix.values[rows].astype(np.float64)
    categorical = [position in matrix.categorical for position in range(len(weight))]
    correlation = [
        None if is_category else _correlation(values[:, position], added[:, position])
        for position, is_category in enumerate(categorical)
    ]
    table = pl.DataFrame(
        {
            "feature": matrix.names,
            "weight": weight,
            "share": weight / max(weight.sum(), np.finfo(float).tiny),
            "in_alerts": [None] * len(weight) if lift is None else lift,
            "correlation": correlation,
            "direction": list(map(_direction, correlation, categorical)),
        },
        schema_overrides={"in_alerts": pl.Float64, "correlation": pl.Float64},
    )
    known = table.filter(pl.col("weight") > 0)
    return known.sort("weight", descending=True, maintain_order=True)


def _correlation(values: Floats, added: Floats) -> float | None:
    """The rank correlation over rows with a known value; None where a column does not vary."""
    known = ~np.isnan(values)
    if known.sum() < 3:
        return None
    ranks = rankdata(values[known]), rankdata(added[known])
    if any(np.ptp(rank) == 0 for rank in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def _direction(correlation: float | None, categorical: bool) -> str:
    if categorical:
        return "by category"
    if correlation is None:
        return "not seen here"
    if correlation >= CLEAR:
        return "higher"
    return "lower" if correlation <= -CLEAR else "not one way"
