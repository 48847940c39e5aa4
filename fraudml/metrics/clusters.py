"""What is resampled together: entities, else blocks of time, else rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from fraudml.errors import ConfigError, DataError
from fraudml.metrics._checks import Codes, checked

Kind = Literal["entity", "time", "rows"]
"""The kinds of clusters."""

MINIMUM_CLUSTERS = 20
"""With fewer, clusters of another kind are chosen."""
_MINUTE = 60_000_000
_BLOCKS = (
    (1440 * _MINUTE, "day"),
    (360 * _MINUTE, "6 hours"),
    (60 * _MINUTE, "hour"),
    (10 * _MINUTE, "10 minutes"),
    (_MINUTE, "minute"),
)


@dataclass(frozen=True, eq=False)
class Clusters:
    """The rows that are resampled together.

    Parameters
    ----------
    codes : ndarray of int64, shape (n_rows,)
        The cluster of each row, from 0 to `count` − 1.
    count : int
        How many clusters there are.
    kind : {'entity', 'time', 'rows'}
        What a cluster is.
    unit : str
        The same in words: 'entity', 'row', or how long a block of time is.
    """

    codes: Codes
    count: int
    kind: Kind
    unit: str

    @property
    def text(self) -> str:
        """How many there are of what, as `4,990 × entity`."""
        return f"{self.count:,} × {self.unit}"


def choose_clusters(
    *,
    entity: ArrayLike | None = None,
    time: ArrayLike | None = None,
    n_rows: int | None = None,
    minimum: int = MINIMUM_CLUSTERS,
) -> Clusters:
    """Choose what to resample: entities, else the longest blocks of time, else rows.

    A choice needs at least `minimum` clusters. Blocks are tried from a day down to a minute, and
    start at whole multiples of their length.

    Parameters
    ----------
    entity : array-like of int, shape (n_rows,), optional
        The card or customer of each row, as a code.
    time : array-like of datetime64 or int, shape (n_rows,), optional
        When each row happened; whole numbers are microseconds.
    n_rows : int, optional
        How many rows there are, where neither is known.
    minimum : int
        How many clusters are enough.

    Raises
    ------
    ConfigError
        Nothing was given.

    Examples
    --------
    >>> day = 24 * 3_600_000_000
    >>> clusters = choose_clusters(entity=[1, 2, 2], time=[0, day, 2 * day], minimum=2)
    >>> clusters.kind, clusters.count, clusters.codes.tolist()
    ('entity', 2, [0, 1, 1])
    >>> choose_clusters(time=[0, 1, day], minimum=2).unit
    'day'
    """
    if entity is not None:
        chosen = _clusters(checked(entity=entity)[0], "entity", "entity")
        if chosen.count >= minimum:
            return chosen
        n_rows = len(chosen.codes)
    if time is not None:
        clock = _microseconds(time)
        for length, unit in _BLOCKS:
            chosen = _clusters(clock // length, "time", unit)
            if chosen.count >= minimum:
                return chosen
        n_rows = len(clock)
    if n_rows is None:
        raise ConfigError("No clusters can be chosen. One of entity, time, n_rows was expected.")
    return Clusters(np.arange(n_rows), n_rows, "rows", "row")


def _clusters(values: Codes, kind: Kind, unit: str) -> Clusters:
    distinct, codes = np.unique(values, return_inverse=True)
    return Clusters(codes.astype(np.int64), len(distinct), kind, unit)


def _microseconds(time: ArrayLike) -> Codes:
    clock = np.asarray(time)
    if clock.dtype.kind != "M":
        return np.asarray(checked(day=clock)[0])
    if np.isnat(clock).any():
        raise DataError("time is null in some rows. A moment in every row was expected.")
    return clock.astype("datetime64[us]").astype(np.int64)
