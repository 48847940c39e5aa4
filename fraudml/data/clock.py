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

MICROSECONDS = {
    "ns": 1e-3,
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
    "excel": 86_400_000_000,
}
"""How many there are in each unit of time; Excel counts days."""
_ZERO = {"excel": -25_569 * MICROSECONDS["d"]}
"""Where a unit counts from, in microseconds from 1970: Excel from 1899-12-30."""
_ISO_DATE = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_ISO_EXAMPLE = "ISO 8601, as 2026-05-31 23:59:00"
_EPOCH = datetime(1970, 1, 1)
# A year is left at either end, so that a delay can be added to any moment.
_EARLIEST = int((datetime(2, 1, 1) - _EPOCH) / timedelta(microseconds=1))
_LATEST = int((datetime(9999, 1, 1) - _EPOCH) / timedelta(microseconds=1))
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
    try:
        return timedelta(microseconds=float(number) * MICROSECONDS[unit])
    except OverflowError as error:
        raise ConfigError(f"{key} is '{text}', longer than any clock. Shorten it.") from error


def read_moments(column: pl.Series, unit: TimeUnit, time_format: str | None = None) -> pl.Series:
    """Turn a column of dates, date-times, numbers or text into moments.

    Parameters
    ----------
    column : Series
        As in `to_moment`, or text: ISO 8601, all of it with an offset or none of it.
    unit : str
        The unit of a number.
    time_format : str, optional
        How text, or a number such as 20260531, is written; as in strftime.

    Returns
    -------
    Series of Datetime('us')
        Zones are converted to UTC and dropped; nulls stay.

    Raises
    ------
    DataError
        Text that does not parse (counted), and what `to_moment` refuses. Text with the day or the
        month first is never guessed at: 05/06/2026 has two readings.
    """
    if is_written(column, time_format):
        column = digits(column)
    if column.dtype != pl.String:
        return to_moment(column, unit)
    if time_format is not None:
        moments, guessed = parse_text(column, time_format), pl.Series([False])
    else:
        moments, guessed = _parsed_iso(column), ~column.str.contains(_ISO_DATE)
    failed = column.is_not_null() & (moments.is_null() | guessed)
    if failed.any():
        raise DataError(
            _mixed_zones(column)
            or f"column '{column.name}' does not parse as time in {failed.sum():,} of "
            f"{len(column):,} rows (first at row {failed.arg_max():,}: "
            f"'{column.filter(failed)[0]}'). Expected {time_format or _ISO_EXAMPLE}. "
            "Set data.csv.time_format to how it is written, for example '%d/%m/%Y %H:%M'."
        )
    return to_moment(moments, unit)


def is_written(column: pl.Series, time_format: str | None) -> bool:
    """Whether a number is a date in digits, such as 20260531, by the format that is set."""
    return time_format is not None and column.dtype.is_numeric()


def digits(column: pl.Series) -> pl.Series:
    """Write numbers that are dates in digits as text, whatever type a file gave them."""
    whole = column.cast(pl.Int64, strict=False)
    text = pl.when(whole == column).then(whole.cast(pl.String)).otherwise(column.cast(pl.String))
    return pl.select(text.alias(column.name)).to_series()


def parse_text(text: pl.Series, time_format: str) -> pl.Series:
    """Read text by a format of strftime, as moments of the clock that it shows; null where not.

    Raises
    ------
    ConfigError
        The format is none.
    """
    written = re.sub(r"%%|\.%f|%f", lambda match: _FRACTIONS.get(match[0], match[0]), time_format)
    if re.search(r"%[HI]", written) and not re.search(r"%[MTRXcs]", written):
        # polars reads hours with minutes alone.
        text, written = text + " 00", f"{written} %M"
    try:
        return text.str.to_datetime(written, time_unit="us", strict=False)
    except pl.exceptions.ComputeError as error:
        if text.null_count() == len(text):
            return pl.Series(text.name, [None], MOMENT).new_from_index(0, len(text))
        raise ConfigError(
            f"data.csv.time_format is '{time_format}', which cannot be used: "
            f"{str(error).splitlines()[0]}. Expected a format of strftime, as %d/%m/%Y %H:%M:%S."
        ) from error


_FRACTIONS = {".%f": "%.f", "%f": "%6f"}
"""What chrono calls the fractions of strftime."""


def _parsed_iso(text: pl.Series) -> pl.Series:
    try:
        return text.str.to_datetime(time_unit="us", strict=False)
    except pl.exceptions.ComputeError:  # no value is like any format that polars knows
        return pl.Series(text.name, [None], MOMENT).new_from_index(0, len(text))


_OFFSET = r"\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-]\d\d:?(\d\d)?)\s*$"


def _mixed_zones(text: pl.Series) -> str | None:
    """Say that some stamps have an offset and others have none, where that is so."""
    zoned = text.str.contains(_OFFSET).fill_null(value=False)
    if not zoned.any():
        return None
    plain = text.is_not_null() & ~zoned & text.str.contains(r"\d\d:\d\d").fill_null(value=False)
    if not plain.any():
        return None
    first, other = zoned.arg_max() or 0, plain.arg_max() or 0
    return (
        f"column '{text.name}' names an offset (or Z) in {zoned.sum():,} of {len(text):,} rows "
        f"(first at row {first:,}: '{text[first]}') and none in {plain.sum():,} (first at row "
        f"{other:,}: '{text[other]}'), so that their order is not known. Expected one clock. Write "
        "every time with its offset, or none with one."
    )


def try_moments(column: pl.Series, unit: TimeUnit, time_format: str | None = None) -> pl.Series:
    """Turn a column into moments value by value: what cannot be read becomes null.

    Unlike `read_moments` no value depends on those beside it, so that a table may come in pieces;
    but one that names offsets in some values alone is refused.

    Parameters
    ----------
    column, unit, time_format
        As in `read_moments`.

    Raises
    ------
    DataError
        The type is none that can be read as time, or only some values name an offset.
    """
    if is_written(column, time_format):
        column = digits(column)
    if column.dtype == pl.String:
        if time_format is None and (mixed := _mixed_zones(column)):
            raise DataError(mixed)
        return _text_moments(column, time_format)
    if not column.dtype.is_numeric():
        return to_moment(column, unit)
    microseconds = _microseconds(column, unit)
    readable = microseconds.is_finite() & (microseconds >= _EARLIEST) & (microseconds <= _LATEST)
    selected = pl.select(pl.when(readable).then(column)).to_series()
    return to_moment(selected.alias(column.name), unit)


def _microseconds(column: pl.Series, unit: TimeUnit) -> pl.Series:
    return column.cast(pl.Float64) * MICROSECONDS[unit] + _ZERO.get(unit, 0)


_DAY_FORMATS = ("%Y-%m-%d",)
_CLOCK_FORMATS = ("%H:%M:%S%.f", "%H:%M", "%H:%M:%S%.f%#z")


def _text_moments(column: pl.Series, time_format: str | None) -> pl.Series:
    """Read text as moments, by the one format or by those of ISO 8601, the first that fits."""
    text = column.str.strip_chars()
    text = pl.select(pl.when(text != "").then(text)).to_series().alias(column.name)
    if time_format is not None:
        return to_moment(parse_text(text, time_format), "us")
    text = text.str.replace(r"^(\d{4})/(\d{1,2})/", "$1-$2-").str.replace("T", " ", literal=True)
    clocks = tuple(f"%Y-%m-%d {clock}" for clock in _CLOCK_FORMATS)
    moments = pl.Series(column.name, [None], MOMENT).new_from_index(0, len(column))
    for written in (*clocks, *_DAY_FORMATS):
        if moments.null_count() == text.null_count():
            break
        read = to_moment(text.str.to_datetime(written, time_unit="us", strict=False), "us")
        moments = pl.select(pl.coalesce(moments, read)).to_series().alias(column.name)
    return moments


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
    if kind in (pl.Date, pl.Null):
        return column.cast(MOMENT)
    if kind.is_numeric():
        return _from_numbers(column, unit)
    raise DataError(
        f"column '{column.name}' is of type {kind} and cannot be read as time. Expected a date, a "
        "date-time or a number. Name another column under data.columns."
    )


def _from_numbers(column: pl.Series, unit: TimeUnit) -> pl.Series:
    floating = column.cast(pl.Float64)
    endless = int((~floating.is_finite()).sum())
    if endless:
        raise DataError(
            f"column '{column.name}' holds {endless:,} values that are not finite. "
            "A time is a finite number. Remove these rows or set them to null."
        )
    microseconds = _microseconds(column, unit)
    beyond = (microseconds < _EARLIEST) | (microseconds > _LATEST)
    if beyond.any():
        first = f"first at row {beyond.arg_max():,}: {column.filter(beyond)[0]}"
        raise DataError(
            f"column '{column.name}' is outside the years 2 to 9998 in {beyond.sum():,} of "
            f"{len(column):,} rows ({first}), read as data.time_unit={unit} since 1970. "
            "Set data.time_unit to the unit it is in."
        )
    if column.dtype.is_integer() and unit == "ns":
        return (column.cast(pl.Int64) // 1_000).cast(MOMENT)
    if column.dtype.is_integer():
        return (column.cast(pl.Int64) * MICROSECONDS[unit] + _ZERO.get(unit, 0)).cast(MOMENT)
    if unit == "excel":  # whose days, since 1900, hold no microseconds
        return ((microseconds / 1_000).round().cast(pl.Int64) * 1_000).cast(MOMENT)
    return microseconds.round().cast(pl.Int64).cast(MOMENT)


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
            return _EPOCH + timedelta(
                microseconds=float(text) * MICROSECONDS[unit] + _ZERO.get(unit, 0)
            )
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
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
        passed = (moment - _EPOCH) / timedelta(microseconds=1)
        return (passed - _ZERO.get(unit, 0)) / MICROSECONDS[unit]
    return moment.isoformat(sep=" ")
