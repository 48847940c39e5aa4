"""Moments and durations."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest

from fraudml.data.clock import (
    MOMENT,
    format_moment,
    parse_duration,
    parse_moment,
    read_moments,
    to_moment,
)
from fraudml.errors import ConfigError, DataError

NOON = datetime(2026, 5, 31, 12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", timedelta(days=7)),
        ("36h", timedelta(hours=36)),
        ("90m", timedelta(minutes=90)),
        ("1.5s", timedelta(seconds=1.5)),
        ("2w", timedelta(weeks=2)),
        ("5ms", timedelta(milliseconds=5)),
        ("5us", timedelta(microseconds=5)),
        (" 7 d ", timedelta(days=7)),
        ("0", timedelta(0)),
        (0, timedelta(0)),
        ("0d", timedelta(0)),
    ],
)
def test_durations(text: Any, expected: timedelta) -> None:
    assert parse_duration(text, "split.label_delay") == expected


@pytest.mark.parametrize("text", ["7", "-7d", "d", "7 days", "1e3d", "", "nan", "9" * 12 + "d"])
def test_what_is_no_duration_is_refused_with_its_key(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^split\.label_delay is '") as refused:
        parse_duration(text, "split.label_delay")
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([NOON], dtype=pl.Datetime("us")),
        pl.Series([NOON], dtype=pl.Datetime("ms")),
        pl.Series([NOON], dtype=pl.Datetime("ns")),
        pl.Series([NOON]).dt.replace_time_zone("UTC"),
        pl.Series([NOON + timedelta(hours=2)]).dt.replace_time_zone("Europe/Madrid"),
        pl.Series([NOON - timedelta(hours=4)]).dt.replace_time_zone("America/New_York"),
    ],
)
def test_date_times_of_any_unit_and_zone_are_utc(column: pl.Series) -> None:
    made = to_moment(column, "s")
    assert made.dtype == MOMENT
    assert made.to_list() == [NOON]


def test_a_date_is_its_midnight() -> None:
    assert to_moment(pl.Series([date(2026, 5, 31), None]), "s").to_list() == [
        datetime(2026, 5, 31),
        None,
    ]


@pytest.mark.parametrize(
    ("unit", "number"),
    [
        ("us", 86_400_000_000),
        ("ms", 86_400_000),
        ("s", 86_400),
        ("m", 1440),
        ("h", 24),
        ("d", 1),
    ],
)
@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64, pl.Float64])
def test_numbers_count_from_1970(unit: Any, number: int, dtype: Any) -> None:
    made = to_moment(pl.Series([number, 0, None], dtype=dtype), unit)
    assert made.to_list() == [datetime(1970, 1, 2), datetime(1970, 1, 1), None]


def test_small_numbers_of_any_type_and_sign_count() -> None:
    assert to_moment(pl.Series([-1], dtype=pl.Int8), "d").to_list() == [datetime(1969, 12, 31)]
    assert to_moment(pl.Series([0.5]), "d").to_list() == [datetime(1970, 1, 1, 12)]
    decimals = pl.Series([1]).cast(pl.Decimal(10, 2))
    assert to_moment(decimals, "d").to_list() == [datetime(1970, 1, 2)]


def test_whole_numbers_keep_every_microsecond() -> None:
    late = 2**53 + 1
    made = to_moment(pl.Series([late]), "us")
    assert made.dt.epoch("us").to_list() == [late]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused_and_counted(bad: float) -> None:
    with pytest.raises(DataError, match="column 't' holds 2 values that are not finite"):
        to_moment(pl.Series("t", [1.0, bad, bad]), "s")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([5, 1_780_000_000_000], pl.Int64),
        ([5, 2**63 - 1], pl.Int64),
        ([5, -(2**63)], pl.Int64),
        ([5, 2**64 - 1], pl.UInt64),
        ([5, 1e300], pl.Float64),
    ],
)
def test_a_number_beyond_the_calendar_is_refused_with_the_unit(values: Any, dtype: Any) -> None:
    with pytest.raises(DataError) as refused:
        to_moment(pl.Series("t", values, dtype=dtype), "s")
    told = str(refused.value)
    assert "column 't'" in told
    assert "1 of 2 rows (first at row 1" in told
    assert "data.time_unit" in told


def test_what_cannot_be_a_time_is_refused_with_its_type() -> None:
    for column in (pl.Series("t", [True]), pl.Series("t", [time(1)]), pl.Series("t", [[1]])):
        with pytest.raises(DataError, match=r"column 't' is of type .* cannot be read as time"):
            to_moment(column, "s")


def test_a_column_of_nothing_is_all_null() -> None:
    for dtype in (pl.Null, pl.String, pl.Int64):
        made = read_moments(pl.Series([None, None], dtype=dtype), "s")
        assert made.dtype == MOMENT
        assert made.null_count() == 2


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-31 12:00:00",
        "2026-05-31T12:00:00",
        "2026-05-31T12:00",
        "2026-05-31 12:00:00.000",
        "2026-05-31T12:00:00Z",
        "2026-05-31T14:00:00+02:00",
        "2026/05/31 12:00",
    ],
)
def test_iso_text_is_read_with_offsets_in_utc(text: str) -> None:
    assert read_moments(pl.Series([None, text]), "s").to_list() == [None, NOON]


@pytest.mark.parametrize("text", ["31/05/2026", "05/06/2026", "5-6-2026", "tomorrow", "17", ""])
def test_text_that_is_not_iso_is_refused_and_counted(text: str) -> None:
    with pytest.raises(DataError) as refused:
        read_moments(pl.Series("t", ["2026-05-31", None, text]), "s")
    assert f"1 of 3 rows (first at row 2: '{text}')" in str(refused.value)
    assert "data.csv.time_format" in str(refused.value)


def test_zones_that_are_mixed_with_none_are_refused() -> None:
    mixed = pl.Series("t", ["2026-05-31T12:00:00Z", "2026-05-31 12:00:00"])
    for column in (mixed, mixed.reverse()):
        with pytest.raises(DataError, match="1 of 2 rows"):
            read_moments(column, "s")


@pytest.mark.parametrize(
    ("text", "time_format"),
    [
        ("31/05/2026 12:00", "%d/%m/%Y %H:%M"),
        ("05-31-26 12:00:00 PM", "%m-%d-%y %I:%M:%S %p"),
        ("31/05/2026 14:00 +0200", "%d/%m/%Y %H:%M %z"),
    ],
)
def test_a_format_of_its_own(text: str, time_format: str) -> None:
    assert read_moments(pl.Series([text]), "s", time_format).to_list() == [NOON]


def test_text_that_does_not_fit_its_format_is_refused_with_the_format() -> None:
    with pytest.raises(DataError, match="Expected %d/%m/%Y"):
        read_moments(pl.Series("t", ["31/05/2026", "05/31/2026"]), "s", "%d/%m/%Y")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-31", datetime(2026, 5, 31)),
        ("2026-05-31 12:00", NOON),
        ("2026-05-31T12:00:00Z", NOON),
        ("2026-05-31T14:00:00+02:00", NOON),
    ],
)
def test_a_moment_in_the_config_is_utc(text: str, expected: datetime) -> None:
    assert parse_moment(text, "data.as_of", unit="s", numeric=False) == expected


def test_a_moment_on_a_clock_of_numbers_is_in_its_unit() -> None:
    made = parse_moment("1.5", "data.as_of", unit="d", numeric=True)
    assert made == datetime(1970, 1, 2, 12)
    assert format_moment(made, unit="d", numeric=True) == 1.5


@pytest.mark.parametrize("text", ["soon", "31/05/2026", "12", ""])
def test_what_is_no_moment_is_refused_with_its_key(text: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.as_of is '.*Expected a date such as 2026-05-31"):
        parse_moment(text, "data.as_of", unit="s", numeric=False)


@pytest.mark.parametrize("text", ["2026-05-31", "nan", "inf", "1e30"])
def test_what_is_no_number_is_refused_on_a_clock_of_numbers(text: str) -> None:
    with pytest.raises(ConfigError, match=r"Expected a number \(in s\)"):
        parse_moment(text, "split.test_start", unit="s", numeric=True)


def test_moments_are_written_as_they_came() -> None:
    assert format_moment(NOON, unit="s", numeric=False) == "2026-05-31 12:00:00"
    assert format_moment(NOON, unit="s", numeric=True) == 1780228800.0
    assert format_moment(None, unit="s", numeric=True) is None
