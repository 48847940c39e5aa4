"""Money as text: which readings there are, and what is refused with the key that works."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.data.check import check_table, conform_table, inspect_table
from fraudml.data.numbers import Style, find_money, read_money
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, CsvSettings, DataSettings
from fraudml.errors import DataError

POINT = {
    "$1,234.50": 1234.5,
    "€ 12": 12.0,
    "12.00 EUR": 12.0,
    "USD 7.25": 7.25,
    "US$5.10": 5.1,
    "(2.50)": -2.5,
    "$(2.50)": -2.5,
    "($2.50)": -2.5,
    "2.50-": -2.5,
    "-$3": -3.0,
    "$-3": -3.0,
    "−4.5": -4.5,
    "1,23,456.00": 123456.0,
    "1'234.50": 1234.5,
    "0.99": 0.99,
    ".5": 0.5,
}
COMMA = {
    "1.234,50": 1234.5,
    "2,50": 2.5,
    "1 234,50 €": 1234.5,
    "1\u202f234,50": 1234.5,
    "12,5 zł": 12.5,
    "R$ 1.234.567,00": 1234567.0,
    "-0,5": -0.5,
    "(2,50)": -2.5,
    "€2,5-": -2.5,
}
NO_MONEY = [
    "POS001",
    "007",
    "10.0.0.1",
    "1,2,3",
    "12-34",
    "555 123 4567",
    "2026-01-05",
    "1e5",
    "$",
    "",
]


@pytest.mark.parametrize(("style", "values"), [("point", POINT), ("comma", COMMA)])
def test_money_is_read_in_every_usual_way(style: Style, values: dict[str, float]) -> None:
    for text, value in values.items():
        assert read_money(pl.Series([text]), style).to_list() == [value], text


def test_what_is_no_money_is_none() -> None:
    for style in ("point", "comma"):
        assert read_money(pl.Series(NO_MONEY), style).to_list() == [None] * len(NO_MONEY)  # type: ignore[arg-type]


def table(*amounts: str | None, **given: Any) -> tuple[pl.DataFrame, DataSettings]:
    rows = 2 * len(amounts)
    frame = pl.DataFrame({"label": [0, 1] * len(amounts), "paid": amounts * 2, "n": range(rows)})
    csv = CsvSettings(decimal_comma=given.pop("decimal_comma", None))
    return frame, DataSettings(columns=ColumnRoles(**({"amount": "paid"} | given)), csv=csv)


def checked(*amounts: str | None, **given: Any) -> Dataset:
    return check_table(*table(*amounts, **given))


def test_the_one_reading_that_fits_all_values_is_taken() -> None:
    assert checked("1.234,50", "2,50").schema.money == {"paid": "comma"}
    assert checked("$1,234", "2.5").amount.tolist() == [1234.0, 2.5] * 2  # type: ignore[union-attr]
    assert checked("12.345", "1.5").amount.tolist() == [12.345, 1.5] * 2  # type: ignore[union-attr]
    missing = checked("$5", "?", None, "-").amount
    assert missing is not None
    np.testing.assert_array_equal(missing[:4], [5.0, np.nan, np.nan, np.nan])


def test_two_readings_are_refused_and_either_key_works() -> None:
    with pytest.raises(DataError) as refused:
        checked("$1,234", "$5")
    told = "in 2 of 4 rows (first at row 0: '$1,234' is 1234 or 1.234)"
    assert told in str(refused.value)
    assert "Set data.csv.decimal_comma=false for the first, or true for the second" in str(
        refused.value
    )
    for comma, value in ((False, 1234.0), (True, 1.234)):
        amount = checked("$1,234", "$5", decimal_comma=comma).amount
        assert amount is not None
        assert amount.tolist() == [value, 5.0] * 2


def test_a_value_that_is_no_money_is_refused_with_row_and_count_and_the_key_works() -> None:
    many = [f"${n}.50" for n in range(12)]
    with pytest.raises(DataError) as refused:
        checked(*many, "free")
    assert "in 2 of 26 rows (first at row 12: 'free')" in str(refused.value)
    assert "set data.columns.amount=null" in str(refused.value)
    kinds = [problem.kind for problem in inspect_table(*table(*many, "free")).problems]
    assert kinds == ["amount"]
    with pytest.raises(DataError, match=r"set data\.columns\.categorical=\['paid'\]"):
        checked(*many, "free", amount=None)
    as_names = checked(*many, "free", amount=None, categorical=("paid",))
    assert as_names.frame["paid"].dtype == pl.String


def test_columns_without_a_role_are_money_too_but_names_are_not() -> None:
    as_money = checked("$1,234.50", "$2", amount=None)
    assert as_money.frame["paid"].to_list() == [1234.5, 2.0] * 2
    assert checked("$1,234.50", "$2", amount=None, entity="paid").frame["paid"].dtype == pl.String
    for words in (("a", "b"), ("1", "2"), ("POS001", "POS002"), ("030 123 456", "030 123 457")):
        assert checked(*words, amount=None).frame["paid"].dtype == pl.String


def test_scoring_reads_money_as_training_did() -> None:
    trained = checked("1.234,50", "2,50")
    later = pl.DataFrame({"paid": ["1,234", "-", None]})
    read = conform_table(later, trained.schema, frozenset({"paid"}))
    assert read.frame["paid"].to_list() == [1.234, None, None]
    with pytest.raises(DataError, match=r"in 1 of 1 rows \(first at row 0: '1,234.50'\)"):
        conform_table(pl.DataFrame({"paid": ["1,234.50"]}), trained.schema, frozenset({"paid"}))
    numbers = pl.DataFrame({"paid": [1.5]})
    assert conform_table(numbers, trained.schema, frozenset({"paid"})).frame["paid"][0] == 1.5


def test_a_column_of_numbers_alone_is_no_money() -> None:
    assert find_money(pl.Series(["1", "2.5", None]), is_amount=False, comma=None) is None
    assert find_money(pl.Series([None, None], dtype=pl.String), is_amount=False, comma=None) is None
