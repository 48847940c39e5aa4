"""Which rows and columns can be scored: judged row by row, all columns at once."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

from fraudml.data.clock import read_moments, try_moments
from fraudml.data.schema import Schema
from fraudml.data.settings import ColumnRoles, CsvSettings
from fraudml.errors import DataError
from fraudml.scoring.columns import RequiredColumn, check_columns
from fraudml.scoring.rows import MOMENT, REASON, ROW, RowValidator

SCHEMA = Schema(ColumnRoles(time="at", amount="amount"))
WANTS = (
    RequiredColumn("at", "date", "no time in 'at'"),
    RequiredColumn("amount", "number", "no amount in 'amount'"),
    RequiredColumn("age", "number"),
    RequiredColumn("shop", "category", levels=("till", "web")),
    RequiredColumn("card", "name", "no key in 'card'"),
)
FINE: dict[str, Any] = {
    "at": datetime(2026, 1, 1),
    "amount": 3.5,
    "age": 41.0,
    "shop": "web",
    "card": 17,
}


def sorted_out(*changes: dict[str, Any], text: bool = False) -> pl.DataFrame:
    rows = [{**FINE, **change} for change in changes]
    if text:
        spelt = [
            {name: None if value is None else str(value) for name, value in row.items()}
            for row in rows
        ]
        frame = pl.DataFrame(spelt, schema=dict.fromkeys(FINE, pl.String))
        return RowValidator(WANTS, SCHEMA, CsvSettings()).read(frame, 100)
    return RowValidator(WANTS, SCHEMA).read(pl.DataFrame(rows, strict=False), 100)


@pytest.mark.parametrize("text", [False, True])
def test_each_row_has_the_reason_of_its_own(text: bool) -> None:
    made = sorted_out(
        *({}, {"at": None}, {"amount": None}, {"card": None}, {"age": None}, {"shop": None}),
        *({"age": math.inf}, {"age": 1e39}, {"amount": -5.0}),
        text=text,
    )
    assert made[REASON].to_list() == [
        None,
        "no time in 'at'",
        "no amount in 'amount'",
        "no key in 'card'",
        None,
        None,
        "'age' is infinite or beyond 3.4e38",
        "'age' is infinite or beyond 3.4e38",
        None,
    ]
    assert made[ROW].to_list() == list(range(100, 109))
    assert made[MOMENT].null_count() == 1


def test_not_a_number_is_missing() -> None:
    made = sorted_out({"amount": math.nan}, {"age": math.nan})
    assert made[REASON].to_list() == ["no amount in 'amount'", None]


def test_text_is_read_value_by_value() -> None:
    made = sorted_out(
        *({"amount": " 7 "}, {"age": "true"}, {"amount": "7,5"}, {"amount": " "}),
        *({"at": "01/02/2026"}, {"at": "2026-01-02"}),
        text=True,
    )
    zoned = sorted_out({"at": "2026-01-02T03:04:05+01:00"}, text=True)
    assert made[REASON].to_list() == [
        *(None, None, "'amount' is not a number", "no amount in 'amount'", "'at' is not a time"),
        None,
    ]
    assert zoned[REASON].to_list() == [None]
    assert made["amount"].to_list()[:2] == [7.0, 3.5]
    assert made["age"][1] == 1.0
    assert made[MOMENT].to_list()[5:] == [datetime(2026, 1, 2)]
    assert zoned[MOMENT].to_list() == [datetime(2026, 1, 2, 2, 4, 5)]
    with pytest.raises(DataError, match="names an offset"):
        sorted_out({}, {"at": "2026-01-02T03:04:05+01:00"}, text=True)


def test_one_reason_a_row_the_first_column_first() -> None:
    made = sorted_out({"amount": None, "at": None, "card": None})
    assert made[REASON].to_list() == ["no time in 'at'"]


def test_rows_in_pieces_are_read_as_together() -> None:
    changes = [
        *({}, {"amount": "x"}, {"amount": "4"}, {"at": "2026-01-02 10:00"}, {"at": "2026-01-02"}),
        *({"at": "soon"}, {"age": "false"}),
    ]
    whole = sorted_out(*changes, text=True)
    for number, change in enumerate(changes):
        alone = sorted_out(change, text=True)
        for name in ("amount", "age", MOMENT, REASON):
            assert alone[name].cast(whole[name].dtype)[0] == whole[name][number], (name, change)


@pytest.mark.parametrize(
    "written",
    ["2026-05-31 23:59:00", "2026-05-31T23:59", "2026-05-31", "2026/05/31 23:59:01.25"],
)
def test_moments_one_by_one_are_those_of_training(written: str) -> None:
    column = pl.Series("at", [written])
    assert try_moments(column, "s").equals(read_moments(column, "s"))


def test_moments_of_a_format_and_numbers() -> None:
    text = pl.Series("at", ["31.05.2026", "2026-05-31", None])
    assert try_moments(text, "s", "%d.%m.%Y").to_list() == [datetime(2026, 5, 31), None, None]
    numbers = pl.Series("at", [86_400.0, math.nan, 1e30, None])
    assert try_moments(numbers, "s").to_list() == [datetime(1970, 1, 2), None, None, None]
    assert try_moments(pl.Series("at", [1]), "d").to_list() == [datetime(1970, 1, 2)]


def checked(**types: Any) -> tuple[RequiredColumn, ...]:
    whole = {"at": pl.Datetime(), "amount": pl.Float64(), "age": pl.Int8(), "shop": pl.String(),
             "card": pl.Int64(), **types}  # fmt: skip
    found = pl.Schema({name: dtype for name, dtype in whole.items() if dtype is not None})
    wants = (*WANTS, RequiredColumn("label", "label", optional=True))
    return check_columns(wants, found, SCHEMA, "input", text=False)


@pytest.mark.parametrize(
    "types",
    [
        {},
        {"at": pl.Date(), "age": pl.Boolean(), "shop": pl.Categorical(), "card": pl.String()},
        {"at": pl.String(), "age": pl.Null(), "amount": pl.UInt32(), "label": pl.Int8()},
        {"at": pl.Datetime("ns", "UTC")},
    ],
    ids=str,
)
def test_types_that_mean_the_same_are_taken(types: dict[str, Any]) -> None:
    assert len(checked(**types)) == 5 + ("label" in types)


def test_all_that_is_missing_or_of_another_type_is_named() -> None:
    with pytest.raises(DataError) as caught:
        checked(at=pl.Int64(), amount=pl.String(), age=pl.Date(), shop=pl.Float64(), card=None,
                cart=pl.Int64())  # fmt: skip
    told = str(caught.value)
    assert told.startswith("5 columns")
    for name in ("at", "amount", "age", "shop"):
        assert f"column '{name}' is of type" in told
    assert "column 'card' is not in input. Did you mean 'cart'?" in told


@pytest.mark.parametrize(
    ("dtype", "levels", "fits"),
    [
        (pl.Int64(), ("1", "2"), True),
        (pl.Int64(), ("a", "2"), True),
        (pl.Int64(), ("a", "b"), False),
        (pl.Boolean(), ("false", "true"), True),
        (pl.Boolean(), ("a", "b"), False),
        (pl.List(pl.String()), ("a",), False),
        (pl.Int64(), (), True),
    ],
)
def test_a_category_is_of_another_type_where_no_value_can_be_a_level(
    dtype: pl.DataType, levels: tuple[str, ...], fits: bool
) -> None:
    wants, found = (RequiredColumn("shop", "category", levels=levels),), pl.Schema({"shop": dtype})
    if fits:
        check_columns(wants, found, SCHEMA, "input", text=False)
        return
    with pytest.raises(DataError, match="is of type"):
        check_columns(wants, found, SCHEMA, "input", text=False)


def test_a_numeric_clock_is_not_taken_for_a_date() -> None:
    numeric = Schema(ColumnRoles(time="at"), numeric_time=True)
    check_columns(WANTS[:1], pl.Schema({"at": pl.Int64()}), numeric, "input", text=False)
    with pytest.raises(DataError, match="trained with a number"):
        check_columns(WANTS[:1], pl.Schema({"at": pl.Date()}), numeric, "input", text=False)
    made = RowValidator(WANTS[:1], numeric).read(pl.DataFrame({"at": [1.0, None, math.inf]}))
    assert made[REASON].to_list() == [None, "no time in 'at'", "'at' is not a time"]
    assert made[MOMENT][0] == datetime(1970, 1, 1, 0, 0, 1)
    assert made["at"][0] == 1.0


def test_dates_are_moments() -> None:
    made = RowValidator(WANTS[:1], SCHEMA).read(pl.DataFrame({"at": [date(2026, 1, 2)]}))
    assert made[MOMENT].to_list() == [datetime(2026, 1, 2)]
