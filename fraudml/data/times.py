"""Whether times can be believed: the unit of a number, the present of a table, arrival of labels.

Each check says what is wrong with how many rows, what the values look like, and which key to set;
`check` makes problems of it, so that `audit` and `train` speak in the same words.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from fraudml.data.clock import (
    MICROSECONDS,
    MOMENT,
    format_moment,
    is_written,
    parse_moment,
    parse_text,
    read_moments,
    to_moment,
)
from fraudml.data.numbers import without_markers
from fraudml.data.schema import Schema
from fraudml.data.settings import TimeUnit
from fraudml.errors import DataError

_ENOUGH = 100
"""Of fewer rows neither a span nor an outlier means anything."""

_DAY = 86_400
_OUTLIERS = 0.001
_FAR = timedelta(days=730)
"""A label may arrive so long after the last row, or as long as the table spans."""
_WRITTEN = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_UNITS: dict[TimeUnit, str] = {
    "ns": "nanoseconds since 1970",
    "us": "microseconds since 1970",
    "ms": "milliseconds since 1970",
    "d": "days",
    "h": "hours",
    "m": "minutes",
    "excel": "Excel's days since 1900",
}


_SINCE: tuple[tuple[TimeUnit, float, str], ...] = (
    ("ns", 1e17, _UNITS["ns"]),
    ("us", 1e14, _UNITS["us"]),
    ("ms", 1e11, _UNITS["ms"]),
    ("s", 1e8, "seconds since 1970"),
)
_LONGEST = 1e16
"""Of a delay, in microseconds: 300 years."""


def check_unit(time: pl.Series) -> str | None:
    """Say what numbers that are times without a unit look like, where that is not seconds.

    Parameters
    ----------
    time : Series
        Numbers.
    """
    values = time.cast(pl.Float64).fill_nan(None).drop_nulls()
    if values.is_empty():
        return None
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    where = f"column '{time.name}' is the time and holds numbers from {low:.15g} to {high:.15g}"
    if written := _written(values, low, high):
        return (
            f"{where}, which look like dates written as digits. Expected the unit of a number. Set "
            f"data.csv.time_format='{written}'."
        )
    unit = _unit(low, high, len(values))
    if unit is None:
        return None
    span = "" if unit not in ("d", "h", "m") else f": as seconds they span {_words(high - low)}"
    return (
        f"{where}, and data.time_unit is not set{span}. They look like {_UNITS[unit]}. Set "
        f"data.time_unit={unit}, or another unit (s, m, h, d) if they are not."
    )


def _written(values: pl.Series, low: float, high: float) -> str | None:
    """The format of numbers that are all dates in digits."""
    length = len(f"{low:.0f}")
    if (
        length not in _WRITTEN
        or len(f"{high:.0f}") != length
        or not (values == values.floor()).all()
    ):
        return None
    text = values.cast(pl.Int64).unique().cast(pl.String)
    year = text.str.slice(0, 4).cast(pl.Int64)
    read = parse_text(text, _WRITTEN[length])
    return _WRITTEN[length] if year.is_between(1900, 2100).all() and not read.null_count() else None


def _unit(low: float, high: float, rows: int) -> TimeUnit | None:
    """The unit that numbers look to be in; None for seconds, since 1970 or from any start."""
    for unit, least, _ in _SINCE[:-1]:
        if low >= least:
            return unit
    span = high - low
    if rows < _ENOUGH or span >= _DAY or low >= 1e8:
        return None
    if low >= 30_000 and high < 60_000:
        return "excel"
    if low >= 10_000 and high < 30_000:
        return "d"
    return "d" if span <= 400 else "h" if span <= 20_000 else "m"


def are_dates(time: pl.Series) -> bool:
    """Whether moments that were numbers are dates, rather than counted from any start."""
    first = time.min()
    return isinstance(first, datetime) and first >= _FIRST_DATE


_FIRST_DATE = datetime(1973, 3, 3, 9, 46, 40)
"""A hundred million seconds since 1970: numbers of less count from a start of their own."""


def _words(seconds: float) -> str:
    for length, unit in ((_DAY, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def check_present(time: pl.Series, column: str, schema: Schema) -> tuple[str, int] | None:
    """Say that a few rows come after a gap longer than the span of all others; and how many.

    They would be 'now': every label would be known, and the delay switched off.

    Parameters
    ----------
    time : Series of Datetime('us')
        When each row happened, in the order of the file.
    column : str
        What it is called.
    schema : Schema
        What the time is.
    """
    start = believable_end(time)
    if start is None:
        return None
    last = time.filter(time <= start).max()
    beyond = (time > start).fill_null(value=False)
    rows, latest = beyond.arg_true().to_list(), time.max()
    assert isinstance(last, datetime)
    assert isinstance(latest, datetime)
    as_of = _shown(last, schema)
    shown = ", ".join(f"{row:,}" for row in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    message = (
        f"column '{column}' is later than {as_of} in {len(rows):,} of {len(time):,} rows (at row "
        f"{shown}{more}; the latest {_shown(latest, schema)}), after a gap longer than all other "
        "rows span. The last time is the moment at which the table was taken, by which labels are "
        f"known. Correct or remove these rows, or set data.as_of='{as_of}'."
    )
    return message, len(rows)


def believable_end(time: pl.Series) -> datetime | None:
    """Return the last moment before a gap that only outliers come after; None where none do."""
    moments = time.dt.epoch("us").drop_nulls()
    if len(moments) < _ENOUGH:
        return None
    few = max(1, int(_OUTLIERS * len(moments)))
    # Outliers are alone beyond the middle between the last row and a usual one: mostly a cheap no.
    usual = moments.gather_every(len(moments) // _ENOUGH).median()
    if (moments > (usual + moments.max()) / 2).sum() > few:  # type: ignore[operator]
        return None
    latest = moments.top_k(few + 1).sort().to_numpy()
    # Outliers at the start must not make the span of the others look long.
    start = moments.bottom_k(few + 1).max()
    jumps = np.flatnonzero(np.diff(latest) > np.maximum(latest[:-1] - start, 0))
    if not len(jumps):
        return None
    last = latest[jumps[0]]
    return datetime(1970, 1, 1) + timedelta(microseconds=int(last))


def check_arrival(
    time: pl.Series, label_time: pl.Series, column: str, schema: Schema
) -> tuple[str, int] | None:
    """Say that labels arrived before their rows or in a far future; and in how many rows.

    Parameters
    ----------
    time, label_time : Series of Datetime('us')
        When each row happened and its label arrived; null where that is not known.
    column : str
        What the latter is called.
    schema : Schema
        What the time is.
    """
    first, last = time.min(), believable_end(time) or time.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return None
    limit = last + max(_FAR, last - first)
    early = (label_time < time).fill_null(value=False)
    far = (label_time > limit).fill_null(value=False)
    wrong = early | far
    count = int(wrong.sum())
    if not count:
        return None
    parts = [
        f"{text} in {int(mask.sum()):,} of {len(time):,} rows (first at row {mask.arg_max():,}: "
        f"{_shown(label_time[mask.arg_max() or 0], schema)})"
        for mask, text in ((early, "before its own row"), (far, "in a far future"))
        if mask.any()
    ]
    message = (
        f"column '{column}' is when the label arrived, and lies {' and '.join(parts)}. Expected a "
        f"moment after the row. {_arrival_step(label_time.filter(wrong), schema)}"
    )
    return message, count


def _shown(moment: datetime, schema: Schema) -> str:
    return str(format_moment(moment, unit=schema.time_unit, numeric=schema.numeric_time))


def _arrival_step(wrong: pl.Series, schema: Schema) -> str:
    """What to do: a value that stands again and again means 'not known'."""
    usual = wrong.value_counts(sort=True).rows()
    without = "data.columns.label_time=null split.label_delay=7d"
    if len(usual) > 3 or any(count < max(2, len(wrong) / 100) for _, count in usual):
        return f"Correct it at the source, or go by a delay: set {without}."
    values = ",".join(f"'{_shown(moment, schema)}'" for moment, _ in usual)
    return (
        f"So few values look like 'not known': set data.label_time_unknown=[{values}] if they mean "
        "that."
    )


def read_arrival(
    column: pl.Series, time: pl.Series, schema: Schema, *, is_delay: bool
) -> pl.Series:
    """Read when labels arrived, from moments or from the delay after each row.

    Parameters
    ----------
    column : Series
        Moments; or durations, or numbers of `label_unit`.
    time : Series of Datetime('us')
        When each row happened.
    schema : Schema
        Units, formats, and the values that mean 'not known'.
    is_delay : bool
        Whether it holds delays.

    Raises
    ------
    DataError
        It holds neither, or numbers without a unit.
    """
    moments = time + _delays(column, schema) if is_delay else _moments(column, schema)
    unknown = [
        parse_moment(
            value, "data.label_time_unknown", unit=schema.time_unit, numeric=schema.numeric_time
        )
        for value in schema.label_time_unknown
    ]
    known = ~moments.is_in(pl.Series(unknown, dtype=MOMENT).implode())
    moments = pl.select(pl.when(known).then(moments)).to_series() if unknown else moments
    return moments.dt.offset_by("1d") if schema.label_days else moments


def are_days(moments: pl.Series) -> bool:
    """Whether moments are all midnights: days, of which the hour is not known."""
    for known in (moments.head(100).drop_nulls(), moments.drop_nulls()):
        if not (known.dt.truncate("1d") == known).all():
            return False
    return moments.null_count() < len(moments)


def _moments(column: pl.Series, schema: Schema) -> pl.Series:
    numeric = column.dtype.is_numeric() and not is_written(column, schema.time_format)
    if numeric == schema.numeric_time or column.dtype == pl.Null:
        column = without_markers(column) if column.dtype == pl.String else column
        return read_moments(column, schema.time_unit, schema.time_format)
    if not numeric:
        raise DataError(
            f"column '{column.name}' is when the label arrived and of type {column.dtype}, and the "
            "time is a number. Expected a number of the same clock. Convert it at the source, or "
            "go by a delay: set data.columns.label_time=null split.label_delay=7d."
        )
    if schema.label_unit is not None:
        return to_moment(column, schema.label_unit)
    values = column.cast(pl.Float64).fill_nan(None)
    known = values.drop_nulls()
    if known.is_empty():
        return pl.Series(column.name, [None], MOMENT).new_from_index(0, len(column))
    low, high = float(known.min()), float(known.max())  # type: ignore[arg-type]
    raise DataError(
        f"column '{column.name}' is when the label arrived and holds numbers from {low:.15g} to "
        f"{high:.15g} in {len(known):,} of {len(column):,} rows (first at row "
        f"{values.is_not_null().arg_max():,}), and the time is a date-time. Expected a moment of "
        f"the same clock. {_number_step(column.name, low, high)}"
    )


def _number_step(column: str, low: float, high: float) -> str:
    """What numbers beside date-times look like, and what to write."""
    for unit, least, name in _SINCE:
        if low >= least:
            return f"These look like {name}: set data.label_unit={unit}."
    if low >= 30_000 and high < 60_000:
        return f"These look like {_UNITS['excel']}: set data.label_unit=excel."
    unit = "d" if high <= 1_000 else "h" if high <= 24_000 else "m"
    return (
        f"These look like {_UNITS[unit]} after the row: set data.columns.label_time=null "
        f"data.columns.label_delay='{column}' data.label_unit={unit}."
    )


def _delays(column: pl.Series, schema: Schema) -> pl.Series:
    """The time from each row to its label, as durations."""
    if isinstance(column.dtype, pl.Duration) or column.dtype == pl.Null:
        return column.cast(pl.Duration("us"))
    if not column.dtype.is_numeric():
        raise DataError(
            f"column '{column.name}' is how long the label took and of type {column.dtype}. "
            "Expected numbers, of which data.label_unit names the unit, or durations. Convert it, "
            "or name another column under data.columns.label_delay."
        )
    if schema.label_unit is None or schema.label_unit == "excel":
        raise DataError(
            f"column '{column.name}' is how long the label took and holds numbers, of which the "
            "unit is not known. Set data.label_unit, for example data.label_unit=d for days."
        )
    delays = column.cast(pl.Float64).fill_nan(None) * MICROSECONDS[schema.label_unit]
    if (delays.abs() > _LONGEST).any():
        beyond = (delays.abs() > _LONGEST).fill_null(value=False)
        raise DataError(
            f"column '{column.name}' is how long the label took, and more than 300 years in "
            f"{beyond.sum():,} of {len(column):,} rows (first at row {beyond.arg_max():,}: "
            f"{column.filter(beyond)[0]}), read as data.label_unit={schema.label_unit}. Correct "
            "data.label_unit, or set these values to null."
        )
    return delays.round().cast(pl.Int64).cast(pl.Duration("us"))
