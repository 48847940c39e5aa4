"""Moments and durations: how text and numbers become time.

Inside fraudml a moment is a polars `Datetime('us')` without zone, in UTC; a time that is a number
is counted from 1970.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import polars as pl

from fraudml.data.settings import TimeUnit
from fraudml.errors import ConfigError, DataError

MOMENT = pl.Datetime("us")

_MICROSECONDS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*(us|ms|s|m|h|d|w)\s*")


def parse_duration(text: str | int, key: str) -> timedelta:
    """Read a length of time such as `7d`, `36h` or `90m`.

    Parameters
    ----------
    text : str or int
        A number and a unit: us, ms, s, m (minutes), h, d or w; a plain 0 needs none.
    key : str
        The config key, for the error.

    Raises
    ------
    ConfigError
        The text is no duration.

    Examples
    --------
    >>> parse_duration("36h", "split.label_delay")
    datetime.timedelta(days=1, seconds=43200)
    """
    if str(text).strip() in {"0", "0.0"}:
        return timedelta(0)
    match = _DURATION.fullmatch(str(text))
    if match is None:
        raise ConfigError(
            f"{key} is '{text}'. A length of time is a number and a unit: us, ms, s, m, h, d or w. "
            f"Write for example {key}=7d."
        )
    number, unit = match.groups()
    return timedelta(microseconds=float(number) * _MICROSECONDS[unit])


def to_moment(column: pl.Series, unit: TimeUnit) -> pl.Series:
    """Turn a column of dates, date-times or numbers into moments.

    Parameters
    ----------
    column : Series
        Date, Datetime of any unit and zone, or a number in `unit` since 1970 (or any other zero).
    unit : str
        The unit of a number.

    Returns
    -------
    Series of Datetime('us')
        Zones are converted to UTC and dropped; nulls stay.

    Raises
    ------
    DataError
        The type is none of these, or a number is not finite.
    """
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        utc = column.dt.convert_time_zone("UTC") if kind.time_zone else column
        return utc.dt.replace_time_zone(None).cast(MOMENT)
    if kind == pl.Date:
        return column.cast(MOMENT)
    if kind.is_integer():
        return (column.cast(pl.Int64) * _MICROSECONDS[unit]).cast(MOMENT)
    if kind.is_float():
        endless = column.is_infinite().sum() + column.is_nan().sum()
        if endless:
            raise DataError(
                f"column '{column.name}' holds {endless} values that are not finite. "
                "A time is a finite number. Remove these rows or set them to null."
            )
        return (column.cast(pl.Float64) * _MICROSECONDS[unit]).round().cast(pl.Int64).cast(MOMENT)
    raise DataError(
        f"column '{column.name}' is of type {kind} and cannot be read as time. Expected a date, a "
        "date-time or a number. For text in a format of its own set data.csv.time_format, "
        "for example '%d/%m/%Y %H:%M'."
    )


def parse_moment(text: str, key: str, *, unit: TimeUnit, numeric: bool) -> datetime:
    """Read a moment that the config names, on the clock of the table.

    Parameters
    ----------
    text : str
        ISO 8601, or a number where the table's time is a number.
    key : str
        The config key, for the error.
    unit : str
        The unit of a number.
    numeric : bool
        Whether the table's time is a number.
    """
    try:
        if numeric:
            return datetime(1970, 1, 1) + timedelta(microseconds=float(text) * _MICROSECONDS[unit])
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        wanted = f"a number (in {unit})" if numeric else "a date such as 2026-05-31"
        raise ConfigError(
            f"{key} is '{text}'. Expected {wanted}, as in the time column."
        ) from error
    return moment if moment.tzinfo is None else (moment - moment.utcoffset()).replace(tzinfo=None)  # type: ignore[operator]


def format_moment(moment: datetime | None, *, unit: TimeUnit, numeric: bool) -> str | float | None:
    """Write a moment as the table's user would: ISO 8601, or a number in the table's unit."""
    if moment is None:
        return None
    if numeric:
        return (moment - datetime(1970, 1, 1)) / timedelta(microseconds=_MICROSECONDS[unit])
    return moment.isoformat(sep=" ")
