"""Weeks and months of a table: by the calendar or, where time is a number, from its first row."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import polars as pl

from fraudml.data.clock import format_moment
from fraudml.data.schema import Schema

Period = Literal["week", "month"]

_CALENDAR = {"week": "1w", "month": "1mo"}
_DAYS = {"week": 7, "month": 30}
_DAY = 86_400_000_000


def period_starts(time: pl.Series, period: Period, schema: Schema) -> pl.Series:
    """Return when the period of each row started.

    Parameters
    ----------
    time : Series of Datetime('us')
        When each row happened.
    period : str
        Weeks start on Mondays. Where time is a number there are none, nor months: periods of 7 or
        30 days are counted from the first row.
    schema : Schema
        Whether the time is a number.
    """
    if schema.calendar:
        return time.dt.truncate(_CALENDAR[period])
    moments = time.dt.epoch("us")
    first, length = moments.min(), _DAYS[period] * _DAY
    starts: pl.Series = (moments - first) // length * length + first
    return starts.cast(pl.Datetime("us"))


def period_name(start: datetime, period: Period, schema: Schema) -> str:
    """Write a period as its user would call it."""
    if not schema.calendar:
        first = format_moment(start, unit=schema.time_unit, numeric=True)
        return f"the {_DAYS[period]} days from {first:.10g}"
    return f"{start:%Y-%m}" if period == "month" else f"the week of {start:%Y-%m-%d}"
