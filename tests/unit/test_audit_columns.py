"""Gaps, constants and twins: what is found, and what is left in peace."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.audit import columns as module
from fraudml.audit.columns import (
    find_constant,
    find_duplicate_columns,
    find_missing,
    find_missing_by_month,
)
from fraudml.audit.finding import Finding
from fraudml.data.schema import Schema
from fraudml.data.settings import ColumnRoles

ROWS = 600
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=ROWS)
DAYS = datetime(2026, 1, 1) + pl.Series(np.arange(ROWS) // 4) * timedelta(days=1)
MONTH = DAYS.dt.month().to_numpy()
CALENDAR = Schema(ColumnRoles(time="t"))


def about(findings: Any) -> list[tuple[str, str | None]]:
    return [(one.kind, one.column) for one in findings]


@pytest.mark.parametrize("values", [[1.0, None, np.nan, 4.0], ["a", None, None, "b"]])
def test_missing_values_are_counted_and_nan_is_one(values: list[Any]) -> None:
    frame = pl.DataFrame({"x": values, "y": [1, 2, 3, 4]})
    [found] = find_missing(frame, frame.columns)
    assert (found.kind, found.column, found.severity, found.count) == ("missing", "x", "note", 2)
    assert "2 of 4 rows (50%)" in found.message


def test_nothing_is_missing_in_other_columns_or_where_all_is() -> None:
    frame = pl.DataFrame({"x": [1, None], "never": [None, None], "l": [[1], None]})
    assert about(find_missing(frame, ["never"])) == []
    assert about(find_missing(frame, [])) == []
    assert about(find_missing(frame, ["l"])) == [("missing", "l")]


def by_month(missing: Any, schema: Schema = CALENDAR, time: pl.Series = DAYS) -> list[Finding]:
    values = pl.select(pl.when(~pl.Series(missing)).then(1.0)).to_series()
    frame = pl.DataFrame({"x": values, "whole": NOISE})
    return list(find_missing_by_month(frame, frame.columns, time, schema))


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (MONTH == 3, "100% of the 124 rows of 2026-03, and in 0% of those of other months."),
        (MONTH != 2, "0% of the 112 rows of 2026-02, and in 100% of those of other months."),
        (MONTH < 3, "100% of the 124 rows of 2026-01, and in 0% of those of other months (but"),
        ((MONTH == 4) & (np.arange(ROWS) % 5 == 0), "20% of the 120 rows of 2026-04"),
    ],
    ids=["one month", "all but one", "from some month on", "a fifth of one"],
)
def test_a_month_in_which_a_column_is_missing_is_named(missing: Any, said: str) -> None:
    [found] = by_month(missing)
    assert (found.kind, found.column, found.severity) == ("missing_by_month", "x", "warning")
    assert said in found.message


def test_further_months_are_named_and_counted() -> None:
    [found] = by_month(MONTH < 3)
    assert "(but for '2026-02')" in found.message
    assert found.count == (MONTH < 3).sum()


@pytest.mark.parametrize(
    "missing",
    [
        np.zeros(ROWS, dtype=bool),
        np.ones(ROWS, dtype=bool),
        RNG.random(ROWS) < 0.3,
        (MONTH == 3) & (np.arange(ROWS) % 31 == 0),
        np.arange(ROWS) < 3,
    ],
    ids=["never", "always", "at random", "a few of one month", "three rows"],
)
def test_a_column_that_is_missing_as_often_in_each_month_is_not_named(missing: Any) -> None:
    assert by_month(missing) == []


def test_a_time_that_is_a_number_has_periods_of_thirty_days() -> None:
    seconds = Schema(ColumnRoles(time="t"), numeric_time=True, time_unit="d")
    days = pl.Series(np.arange(ROWS) // 4 + 7)
    time = (days * 86_400_000_000).cast(pl.Datetime("us"))
    [found] = by_month((days >= 37) & (days < 67), seconds, time)
    assert "100% of the 120 rows of the 30 days from 37, and in 0%" in found.message


def test_one_month_is_compared_with_none() -> None:
    assert by_month(MONTH == 3, time=DAYS.dt.truncate("1y")) == []


@pytest.mark.parametrize(
    "values",
    [
        [7] * 4,
        ["a"] * 4,
        [True] * 4,
        [None] * 4,
        [np.nan] * 4,
        [date(2026, 1, 1)] * 4,
        pl.Series(["a"] * 4, dtype=pl.Categorical),
        pl.Series([1] * 4).cast(pl.Decimal(9, 2)),
    ],
)
def test_a_column_of_one_value_is_constant(values: Any) -> None:
    frame = pl.DataFrame({"x": values})
    [found] = find_constant(frame, ["x"])
    assert (found.kind, found.column, found.severity, found.count) == ("constant", "x", "note", 4)


@pytest.mark.parametrize("values", [[1, 1, 2], ["a", None, "a"], [1.0, np.nan, 1.0], [[1]] * 3])
def test_a_column_that_tells_rows_apart_is_not_constant(values: Any) -> None:
    assert about(find_constant(pl.DataFrame({"x": values}), ["x"])) == []


def twins(first: Any, second: Any, clock: str | None = None) -> list[Finding]:
    frame = pl.DataFrame({"a": first, "b": second, "noise": NOISE})
    features = [name for name in frame.columns if name != clock]
    return list(find_duplicate_columns(frame, features, [clock] if clock else [], clock))


WORDS = pl.Series(RNG.choice(["x", "y", "z", None], ROWS).tolist(), dtype=pl.String)
HOLED = np.where(RNG.random(ROWS) < 0.3, np.nan, RNG.normal(size=ROWS))
FLAGS = RNG.random(ROWS) < 0.01
EQUAL = {
    "numbers": (HOLED, HOLED.copy()),
    "widths": (pl.Series(HOLED.astype(np.float32)), pl.Series(HOLED.astype(np.float32))),
    "whole numbers": (pl.Series(MONTH, dtype=pl.Int8), pl.Series(MONTH, dtype=pl.Int64)),
    "flags": (FLAGS, FLAGS.astype(int)),
    "text": (WORDS, WORDS.cast(pl.Categorical)),
    "dates": (DAYS, DAYS.clone()),
    "decimals": (pl.Series(MONTH).cast(pl.Decimal(9, 2)),) * 2,
    "NaN and null": (HOLED, pl.Series(HOLED).fill_nan(None)),
}


@pytest.mark.parametrize(("first", "second"), EQUAL.values(), ids=EQUAL.keys())
def test_equal_columns_are_found_once(first: Any, second: Any) -> None:
    [found] = twins(first, second)
    assert (found.kind, found.column, found.severity) == ("twin", "b", "note")
    assert "holds the same as column 'a' in every row" in found.message


FOLLOWING = {
    "scaled": (HOLED, HOLED * -3 + 7),
    "rounded": (NOISE[::-1], np.round(NOISE[::-1], 2)),
    "float and whole": (MONTH * 1.0, MONTH),
    "with gaps of its own": (HOLED, np.where(FLAGS, np.nan, HOLED * 2)),
    "huge": (HOLED, HOLED * 1e30),
}


@pytest.mark.parametrize(("first", "second"), FOLLOWING.values(), ids=FOLLOWING.keys())
def test_a_number_that_follows_another_is_found(first: Any, second: Any) -> None:
    [found] = twins(first, second)
    assert (found.kind, found.column) == ("twin", "b")
    assert "follows column 'a' (correlation" in found.message


DIFFERENT = {
    "noise": (RNG.normal(size=ROWS), RNG.normal(size=ROWS)),
    "related": (NOISE[::-1], NOISE[::-1] + 0.2 * RNG.normal(size=ROWS)),
    "one row differs": (WORDS, pl.concat([pl.Series(["q"]), WORDS[1:]])),
    "another order": (pl.Series(np.arange(ROWS) % 7), pl.Series(np.arange(ROWS)[::-1] % 7)),
    "never both": (np.where(FLAGS, np.nan, NOISE[::-1]), np.where(FLAGS, NOISE[::-1], np.nan)),
    "constants": ([1] * ROWS, [1] * ROWS),
    "nothing": ([None] * ROWS, [None] * ROWS),
    "lists": ([[1]] * ROWS, [[1]] * ROWS),
    "dates that go on": (DAYS, DAYS + timedelta(days=3)),
}


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_columns_that_differ_are_no_twins(first: Any, second: Any) -> None:
    assert twins(first, second) == []


def test_what_follows_the_clock_is_a_warning() -> None:
    [found] = twins(DAYS, np.arange(ROWS) // 4, clock="a")
    assert (found.kind, found.column, found.severity) == ("clock_column", "b", "warning")
    [copied] = twins(DAYS, DAYS, clock="a")
    assert (copied.kind, copied.column) == ("twin", "b")


def test_a_clock_that_is_text_is_compared_as_it_was_read() -> None:
    days = pl.Series("a", DAYS)
    frame = pl.DataFrame({"a": days.dt.strftime("%d.%m.%Y %H:%M"), "b": np.arange(ROWS) // 4})
    [found] = find_duplicate_columns(frame, ["b"], ["a"], "a", days)
    assert (found.kind, found.column) == ("clock_column", "b")


def test_of_many_twins_each_is_told_once_and_roles_never() -> None:
    frame = pl.DataFrame({"id": MONTH, "a": MONTH, "b": MONTH, "c": MONTH * 2})
    found = list(find_duplicate_columns(frame, ["a", "b", "c"], ["id"], None))
    assert about(found) == [("twin", "a"), ("twin", "b"), ("twin", "c")]
    assert all("column 'id'" in one.message for one in found)


def test_wide_tables_are_correlated_on_fewer_rows_and_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_NUMBERS", 3)
    monkeypatch.setattr(module, "_MOST_ROWS", 50)
    made = RNG.normal(size=(ROWS, 3))
    frame = pl.DataFrame(
        {**{f"x{i}": made[:, i] for i in range(3)}, "late": made[:, 0] * 2, "same": made[:, 1]}
    )
    assert about(find_duplicate_columns(frame, frame.columns, [], None)) == [("twin", "same")]
    monkeypatch.setattr(module, "_MOST_NUMBERS", 5)
    found = about(find_duplicate_columns(frame, frame.columns, [], None))
    assert found == [("twin", "late"), ("twin", "same")]


def test_what_follows_on_the_sample_alone_is_no_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ROWS", 60)
    second = NOISE[::-1].copy()
    sample = np.linspace(0, ROWS - 1, 60).astype(np.int64)
    others = np.setdiff1d(np.arange(ROWS), sample)
    second[others] = RNG.normal(size=len(others))
    assert twins(NOISE[::-1], second) == []


def test_few_rows_follow_by_chance() -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0]})
    assert list(find_duplicate_columns(frame, ["a", "b"], [], None)) == []
