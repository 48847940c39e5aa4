"""The best k cases of each day: for a whole file, after it was scored; never for a single row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import ConfigError, DataError


def daily_top_k(
    score: NDArray[np.float64],
    day: NDArray[np.int64],
    *,
    k: int,
    entity: NDArray[np.int64] | None = None,
    reviewable: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Alert the k most suspicious entities of each day, one row each.

    An entity is as suspicious as its highest score of the day, and that row is alerted. Ties go to
    the row that comes first, between the rows of an entity and between entities. Unlike a policy
    this depends on which rows stand together: a day's file must be whole. Without entities every
    row is a case; `reviewable` says which rows may be alerted at all (`policies.may_review`). Costs
    a sort of the rows.

    Examples
    --------
    >>> score, card = np.array([0.9, 0.8, 0.7, 0.7]), np.array([5, 5, 6, 7])
    >>> daily_top_k(score, np.zeros(4, dtype=np.int64), k=2, entity=card).tolist()
    [True, False, True, False]
    """
    if k < 1:
        raise ConfigError(f"daily_top_k is {k}. It is a whole number from 1.")
    if np.isnan(score).any():
        raise DataError(f"{int(np.isnan(score).sum()):,} of {len(score):,} scores are NaN.")
    rows = np.arange(len(score)) if reviewable is None else np.flatnonzero(reviewable)
    rows = rows[np.lexsort((rows, -score[rows], day[rows]))]
    if entity is not None:
        pairs = np.stack([day[rows], entity[rows]])
        rows = rows[np.sort(np.unique(pairs, axis=1, return_index=True)[1])]
    chosen = np.zeros(len(score), dtype=bool)
    days = day[rows]
    rank = np.arange(len(rows)) - np.searchsorted(days, days)  # within the day
    chosen[rows[rank < k]] = True
    return chosen
