"""Rows out of order or in the future, and dates that a row cannot have known."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.audit.dates import (
    date_columns,
    find_disorder,
    find_future,
    find_late_dates,
    find_text_dates,
    text_dates,
)
from fraudml.audit.finding import Finding
from fraudml.data.schema import Schema
from fraudml.data.settings import ColumnRoles

ROWS = 40
TIME = (datetime(2026, 1, 1, 12) + pl.Series(range(ROWS)) * timedelta(hours=7)).cast(
    pl.Datetime("us")
)
NEVER = pl.Series([None] * ROWS, dtype=pl.Datetime("us"))
CALENDAR = Schema(ColumnRoles(time="t"))
NUMBERS = Schema(ColumnRoles(time="t"), numeric_time=True)
NOW = datetime(2026, 11, 24, 15)
SOME = pl.Series(np.arange(ROWS) % 10 == 3)


def test_rows_before_the_row_above_are_counted() -> None:
    order = np.arange(ROWS)
    order[[5, 20]] = order[[20, 5]]
    [found] = find_disorder(TIME[order], "t")
    assert (found.kind, found.column, found.severity, found.count) == ("disorder", "t", "note", 2)
    assert "2 of 40 rows (5%; first at row 6)" in found.message


def test_rows_in_order_and_of_one_moment_are_fine() -> None:
    assert list(find_disorder(TIME, "t")) == []
    assert list(find_disorder(pl.concat([TIME[:5], TIME[4:]]), "t")) == []
    assert list(find_disorder(TIME[:1], "t")) == []


def future(time: pl.Series, as_of: str | None = None, schema: Schema = CALENDAR) -> list[Finding]:
    return list(find_future(time, "t", schema, as_of, NOW))


def test_moments_in_the_future_are_found_with_the_latest() -> None:
    late = pl.Series([NOW - timedelta(days=1), None, datetime(2031, 1, 1)])
    [found] = future(late)
    assert (found.kind, found.column, found.severity, found.count) == ("future", "t", "warning", 1)
    assert "is in the future in 1 of 3 rows (33.3%; first at row 2)" in found.message
    assert "the latest 2031-01-01 00:00:00" in found.message


def test_other_zones_have_a_day_of_grace() -> None:
    assert future(pl.Series([NOW + timedelta(hours=14)])) == []
    assert future(TIME) == []


def test_the_moment_that_the_user_names_comes_first() -> None:
    [found] = future(TIME, "2026-01-05")
    assert found.count == TIME.is_between(datetime(2026, 1, 5), NOW, closed="right").sum()
    assert "is later than data.as_of=2026-01-05" in found.message
    assert future(pl.Series([datetime(2031, 1, 1)]), "2032-01-01") == []


def test_a_clock_of_numbers_has_a_future_only_where_one_is_named() -> None:
    time = pl.Series([10, 20, 30]).cast(pl.Int64) * 1_000_000
    moments = time.cast(pl.Datetime("us"))
    assert future(moments, None, NUMBERS) == []
    [found] = future(moments, "15", NUMBERS)
    assert found.count == 2
    assert "the latest 30.0" in found.message


def late(
    values: Any, time: pl.Series = TIME, label_time: pl.Series = NEVER, schema: Schema = CALENDAR
) -> list[Finding]:
    frame = pl.DataFrame({"d": values})
    return list(find_late_dates(date_columns(frame, ["d"]), facts(time, label_time), schema))


def facts(time: pl.Series, label_time: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"row": range(ROWS), "time": time, "label_time": label_time})


LATE = {
    "date-times": pl.select(pl.when(SOME).then(TIME + timedelta(days=3))).to_series(),
    "milliseconds": (TIME + SOME.cast(pl.Int8) * timedelta(days=1)).cast(pl.Datetime("ms")),
    "with a zone": (TIME + SOME.cast(pl.Int8) * timedelta(days=1)).dt.replace_time_zone("UTC"),
    "dates": (TIME + SOME.cast(pl.Int8) * timedelta(days=3)).dt.date(),
}


@pytest.mark.parametrize("values", LATE.values(), ids=LATE.keys())
def test_dates_after_the_row_are_found(values: pl.Series) -> None:
    [found] = late(values)
    assert (found.kind, found.column, found.severity) == ("late_date", "d", "warning")
    assert found.count == 4
    known = ROWS - values.null_count()
    assert f"4 of the {known} rows that have it" in found.message
    assert "first at row 3" in found.message
    assert "label" not in found.message


EARLY = {
    "earlier": TIME - timedelta(days=3),
    "the row's own time": TIME,
    "the row's own day": TIME.dt.date(),
    "missing": NEVER,
    "a zone ahead": TIME.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
    "numbers": pl.Series(range(ROWS)) * 10**15,
    "text": (TIME + timedelta(days=3)).dt.to_string(),
}


@pytest.mark.parametrize("values", EARLY.values(), ids=EARLY.keys())
def test_what_a_row_can_know_is_fine(values: pl.Series) -> None:
    assert late(values) == []


def test_dates_that_come_with_the_label_are_told_as_such() -> None:
    label_time = pl.select(pl.when(SOME).then(TIME + timedelta(days=2))).to_series()
    [found] = late(TIME + timedelta(days=2), label_time=label_time)
    assert found.count == ROWS
    assert "in 4 of them not before the label arrived" in found.message


def test_where_times_are_days_dates_of_the_same_day_are_known() -> None:
    days = TIME.dt.truncate("1d")
    assert late(TIME, time=days) == []
    [found] = late(TIME + timedelta(days=1), time=days)
    assert found.count == ROWS


def test_a_clock_of_numbers_compares_with_no_date() -> None:
    assert late(TIME + timedelta(days=9), schema=NUMBERS) == []


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["2026-05-31", "2026-06-01", None], True),
        (["2026-05-31 10:00:00", "2026-06-01 00:00:00", None], True),
        (["31/05/2026", "01/06/2026", None], False),
        (["31.05.2026 10:00", " 1.6.2026 11:00", None], False),
        (["2026-05-31", "2026-06-99", None], False),
    ],
)
def test_text_that_looks_like_dates_is_told(values: list[str | None], read: bool) -> None:
    found = text_dates(pl.DataFrame({"x": values}), ["x"])
    assert (found["x"] is not None) is read
    [finding] = find_text_dates(found)
    assert (finding.kind, finding.column, finding.severity) == ("text_date", "x", "note")
    assert ("ISO 8601" in finding.message) is not read
    assert "2026-05-31 " not in finding.message.replace("(2026-05-31 23:59:00)", "")


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b"],
        ["10.0.0.1", "10.0.0.2"],
        ["2026-05-31", "soon"],
        [None, None],
        [date(2026, 1, 1)] * 2,
        ["1.2.3", "1.2.4"],
        ["2026", "2027"],
    ],
)
def test_other_text_is_not(values: list[Any]) -> None:
    assert text_dates(pl.DataFrame({"x": values}), ["x"]) == {}


def test_dates_in_text_may_be_late_too() -> None:
    frame = pl.DataFrame({"x": (TIME + timedelta(days=3)).dt.to_string("iso")})
    [dates] = text_dates(frame, ["x"]).values()
    assert dates is not None
    [found] = find_late_dates([dates], facts(TIME, NEVER), CALENDAR)
    assert (found.column, found.count) == ("x", ROWS)
