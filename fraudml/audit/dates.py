"""Moments: rows out of order or in the future, and dates that a row cannot have known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import polars as pl

from fraudml.audit.finding import Finding, percent, rows_of
from fraudml.data.clock import format_moment, parse_moment, read_moments
from fraudml.data.schema import Schema
from fraudml.errors import DataError

_LIKE_A_DATE = r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})(\D|$)"
_LOOK = 200


def find_disorder(time: pl.Series, column: str) -> Iterator[Finding]:
    """Find rows that happened before the row above them.

    Parameters
    ----------
    time : Series of Datetime('us')
        When each row happened, in the order of the file.
    column : str
        What the time is called.
    """
    back = (time.diff() < timedelta(0)).fill_null(value=False)
    if count := int(back.sum()):
        message = (
            f"column '{column}' goes back in {rows_of(count, len(time), back.arg_max())}. "
            "fraudml sorts by it, and keeps rows of one moment as they "
            "stand. Write the file in the order of time where that order matters."
        )
        yield Finding("disorder", column, "note", count, message)


def find_future(
    time: pl.Series, column: str, schema: Schema, as_of: str | None, now: datetime
) -> Iterator[Finding]:
    """Find moments after the table was taken.

    Parameters
    ----------
    time : Series of Datetime('us')
        When each row happened, or its label arrived; null where that is not known.
    column : str
        What it is called.
    schema : Schema
        What the time is.
    as_of : str, optional
        When the table was taken: `data.as_of`.
    now : datetime
        The present in UTC, without a zone; it stands in for `as_of` on a clock with a calendar,
        with a day's grace for clocks of other zones.
    """
    if as_of is None and not schema.calendar:
        return
    if as_of is None:
        until, named = now + timedelta(days=1), "is in the future"
    else:
        until = parse_moment(
            as_of, "data.as_of", unit=schema.time_unit, numeric=schema.numeric_time
        )
        named = f"is later than data.as_of={as_of}"
    late = (time > until).fill_null(value=False)
    if count := int(late.sum()):
        latest = format_moment(time.max(), unit=schema.time_unit, numeric=schema.numeric_time)  # type: ignore[arg-type]
        message = (
            f"column '{column}' {named} in {rows_of(count, len(time), late.arg_max())}, "
            f"the latest {latest}. Check its format, its unit and its "
            "zone, and remove rows that have not happened."
        )
        yield Finding("future", column, "warning", count, message)


def find_late_dates(
    dates: Iterable[pl.Series], facts: pl.DataFrame, schema: Schema
) -> Iterator[Finding]:
    """Find columns of dates that lie after the row's own time: near certain leaks of the future.

    Where every time is a midnight, dates of the same day count as known.

    Parameters
    ----------
    dates : iterable of Series of Date or Datetime
        The columns.
    facts : DataFrame
        When each row happened and its label arrived, as in `Dataset`, in the same order.
    schema : Schema
        What the time is; where it is a number, no date can be compared with it.
    """
    columns = list(dates)
    if not schema.calendar or not columns:
        return
    time, label_time = facts["time"], facts["label_time"]
    by_day = bool((time.dt.truncate("1d") == time).all())
    until = time.dt.offset_by("1d") - timedelta(microseconds=1) if by_day else time
    for column in columns:
        date = read_moments(column, schema.time_unit)
        late = (date > until).fill_null(value=False)
        if count := int(late.sum()):
            with_label = int((late & (date >= label_time).fill_null(value=False)).sum())
            first = facts["row"][int(late.arg_max() or 0)]
            yield _late(date, count, with_label, first)


def date_columns(frame: pl.DataFrame, columns: Collection[str]) -> Iterator[pl.Series]:
    """Return those columns that are dates by their type."""
    for name in columns:
        if frame[name].dtype in (pl.Date, pl.Datetime):
            yield frame[name]


def _late(date: pl.Series, count: int, with_label: int, first: int) -> Finding:
    name, known = date.name, len(date) - date.null_count()
    label = f", in {with_label:,} of them not before the label arrived" if with_label else ""
    message = (
        f"column '{name}' is later than the row's own time in {count:,} of the {known:,} rows that "
        f"have it ({percent(count / known)}; first at row {first:,}){label}. What happens "
        "later is not known when the row is scored. Name it under data.columns.exclude, or, if it "
        f"is a date set in advance, such as an expiry, set audit.allow=['{name}']."
    )
    return Finding("late_date", name, "warning", count, message)


def text_dates(frame: pl.DataFrame, columns: Collection[str]) -> dict[str, pl.Series | None]:
    """Return the columns of text that look like dates, read as such where that can be done.

    Parameters
    ----------
    frame : DataFrame
        The table.
    columns : collection of str
        Which columns; the first 200 values of a text decide.
    """
    texts = [frame[name] for name in columns if frame[name].dtype == pl.String]
    return {column.name: _as_dates(column) for column in texts if _looks_like_dates(column)}


def _looks_like_dates(column: pl.Series) -> bool:
    first = column.drop_nulls().head(_LOOK)
    return not first.is_empty() and bool(first.str.contains(_LIKE_A_DATE).all())


def _as_dates(column: pl.Series) -> pl.Series | None:
    try:
        return read_moments(column, "s")
    except DataError:
        return None


def find_text_dates(columns: Mapping[str, pl.Series | None]) -> Iterator[Finding]:
    """Say which columns hold dates as text, which to a model are names.

    Parameters
    ----------
    columns : mapping
        From `text_dates`.
    """
    for name, dates in columns.items():
        step = "as ISO 8601 (2026-05-31 23:59:00) or " if dates is None else ""
        message = (
            f"column '{name}' is text and looks like dates. Text is a name to a model, where a "
            f"date becomes the days from it to the row. Write it {step}as a date, in Parquet, or "
            "leave it out."
        )
        yield Finding("text_date", name, "note", None, message)
