"""When each row happened, when its label is known, and which rows that lets into a block."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.data.clock import parse_moment
from fraudml.data.schema import Dataset
from fraudml.data.settings import DataSettings

Rows = NDArray[np.int64]
"""Positions in a `Dataset`."""


def label_moments(dataset: Dataset, delay: timedelta) -> NDArray[np.int64] | None:
    """Return when each row's label is known, in microseconds; None without a clock.

    Parameters
    ----------
    dataset : Dataset
        Its `label_time` comes first.
    delay : timedelta
        How long after the row, where there is none.
    """
    if not dataset.has_time:
        return None
    arrival = pl.coalesce("label_time", pl.col("time") + delay)
    return dataset.facts.select(arrival.dt.epoch("us")).to_series().to_numpy()


def entry_moments(dataset: Dataset, delay: timedelta) -> NDArray[np.int64] | None:
    """Return from when on each row may enter a block: its label is known, and others' would be.

    Where legitimate rows are known by the delay alone, a fraud waits for its delay too, however
    early it was reported: of the youngest rows only frauds would be known, and whatever is fitted
    or tuned on them would think fraud common.

    Parameters
    ----------
    dataset, delay
        As for `label_moments`.
    """
    known_at = label_moments(dataset, delay)
    if known_at is None:
        return None
    waits = (dataset.label == 0) & dataset.facts["label_time"].is_null().to_numpy()
    if not waits.any():
        return known_at
    over: NDArray[np.int64] = row_moments(dataset) + delay // timedelta(microseconds=1)
    return np.maximum(known_at, over)


def usable_rows(dataset: Dataset, known_at: NDArray[np.int64] | None, data: DataSettings) -> Rows:
    """Return the rows that may enter a block by the moment that the table was taken."""
    known = dataset.label >= 0
    if known_at is None:
        return np.flatnonzero(known)
    as_of = _as_of(dataset, data)
    known &= row_moments(dataset) <= as_of
    if not data.labels_complete:
        known &= known_at <= as_of
    return np.flatnonzero(known)


def _as_of(dataset: Dataset, data: DataSettings) -> int:
    if data.as_of is None or not len(dataset):
        return int(row_moments(dataset).max(initial=0))
    schema = dataset.schema
    moment = parse_moment(
        data.as_of, "data.as_of", unit=schema.time_unit, numeric=schema.numeric_time
    )
    return to_microseconds(moment)


def row_moments(dataset: Dataset) -> NDArray[np.int64]:
    """Return when each row happened, in microseconds."""
    return dataset.facts["time"].dt.epoch("us").to_numpy()


def to_microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since 1970."""
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
