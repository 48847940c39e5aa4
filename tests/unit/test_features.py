"""What each column becomes, what is left out, and what is refused."""

from __future__ import annotations

import logging
import string
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.data.check import check_table, conform_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, CsvSettings, DataSettings
from fraudml.errors import ConfigError, DataError
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.features.settings import FeatureSettings

START = datetime(2026, 1, 1)


def dataset(rows: int = 4, *, clock: Any = True, **columns: Any) -> Dataset:
    """Rows an hour apart; `categorical` and `amount_role` are roles, everything else a column."""
    roles = {name: columns.pop(name) for name in ("categorical", "amount_role") if name in columns}
    frame = pl.DataFrame({"label": [0, 1] * (rows // 2), **columns})
    if clock is True:
        frame = frame.with_columns(t=START + pl.Series(range(rows)) * timedelta(hours=1))
    elif clock is not False:
        frame = frame.with_columns(t=clock)
    return check_table(
        frame,
        DataSettings(
            columns=ColumnRoles(
                time=None if clock is False else "t",
                categorical=roles.get("categorical", ()),
                amount=roles.get("amount_role"),
            )
        ),
    )


def fitted(table: Dataset, rows: int | None = None, **given: Any) -> FittedFeatures:
    rows = len(table) if rows is None else rows
    return fit_features(table, np.arange(rows), FeatureSettings(**given))


def kinds(table: Dataset, **given: Any) -> dict[str, str]:
    return {made.column: made.kind for made in fitted(table, **given).own}


FOUR: list[Any] = [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (FOUR, "number"),
        ([1.5, 2.5, None, None], "number"),
        (pl.Series(FOUR).cast(pl.Decimal(9, 2)), "number"),
        ([True, False, None, True], "number"),
        (["a", "b", "a", None], "category"),
        (pl.Series(["a", "b", "a", None], dtype=pl.Categorical), "category"),
        (pl.Series(["a", "b", "a", None], dtype=pl.Enum(["b", "a"])), "category"),
        ([date(2025, 1, day) for day in FOUR], "age"),
        ([datetime(2025, 1, day) for day in FOUR], "age"),
        (pl.Series([datetime(2025, 1, day) for day in FOUR]).dt.replace_time_zone("UTC"), "age"),
    ],
)
def test_what_a_column_becomes(values: Any, kind: str) -> None:
    assert kinds(dataset(x=values)) == {"x": kind}


@pytest.mark.parametrize(
    "values",
    [
        [[1], [2], [3], [4]],
        [{"a": 1}, {"a": 2}, {"a": 3}, {"a": 4}],
        [b"a", b"b", b"a", b"b"],
        [timedelta(1), timedelta(2)] * 2,
        pl.Series([object() for _ in FOUR], dtype=pl.Object),
    ],
)
def test_a_type_that_is_no_feature_is_left_out_and_said(
    values: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for categorical in ((), ("x",)):
        assert kinds(dataset(x=values, b=FOUR, categorical=categorical)) == {"b": "number"}
    assert "Column 'x' is of type" in caplog.text


@pytest.mark.parametrize(
    "values",
    [
        [7] * 4,
        [None] * 4,
        [np.nan] * 4,
        ["a"] * 4,
        [None, None, np.nan, np.nan],
        [date(2025, 1, 1)] * 4,
        pl.Series(["a"] * 4, dtype=pl.Categorical),
    ],
)
def test_one_value_alone_is_left_out(values: Any) -> None:
    assert kinds(dataset(x=values, b=FOUR)) == {"b": "number"}


@pytest.mark.parametrize("missing", [None, np.nan])
def test_one_value_beside_missing_ones_is_kept(missing: Any) -> None:
    assert kinds(dataset(x=[7.0, missing, 7.0, 7.0])) == {"x": "number"}


def test_a_column_that_varies_only_after_the_fit_rows_is_left_out() -> None:
    assert fitted(dataset(x=[1, 1, 1, 9], b=FOUR), rows=3).columns == {"b"}


def test_near_unique_columns_are_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    rows = 200
    table = dataset(
        rows,
        number=range(rows),
        text=[str(row) for row in range(rows)],
        real=np.linspace(0, 1, rows),
        cents=range(rows),
        amount_role="cents",
    )
    assert kinds(table) == {"real": "number", "cents": "number"}
    for name in ("number", "text"):
        assert f"Column '{name}' has another value in nearly every row" in caplog.text


def test_near_unique_text_that_is_named_categorical_is_kept() -> None:
    table = dataset(200, text=[str(row) for row in range(200)], categorical=("text",))
    assert len(fitted(table).own[0].levels) == 200


@pytest.mark.parametrize(("limit", "kept"), [(3, True), (2, False)])
def test_text_up_to_the_limit_of_levels_is_kept(
    limit: int, kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    table = dataset(x=["a", "b", "c", None], b=FOUR)
    assert ("x" in kinds(table, max_levels=limit)) is kept
    assert ("features.max_levels=2" in caplog.text) is not kept


def test_a_time_with_a_calendar_has_an_hour_and_a_weekday() -> None:
    when = pl.Series([datetime(2026, 5, 31, 23, 30), datetime(2026, 6, 1, 0, 15)] * 2)
    made = fitted(dataset(b=FOUR, clock=when)).transform(dataset(b=FOUR, clock=when))
    assert made["hour"].to_list() == [23.5, 23.5, 0.25, 0.25]
    assert made["weekday"].to_list() == [7.0, 7.0, 1.0, 1.0]


def test_a_time_that_is_a_number_has_no_parts() -> None:
    assert fitted(dataset(b=FOUR, clock=pl.Series(FOUR))).names == ("b",)
    assert fitted(dataset(b=FOUR), time_parts=()).names == ("b",)
    assert fitted(dataset(b=FOUR, clock=False)).names == ("b",)


def test_made_names_give_way_to_the_tables_own() -> None:
    days = [date(2025, 1, day) for day in FOUR]
    names = {"since": days, "days since since": FOUR, "hour": FOUR, "weekday": FOUR}
    for order in (list(names), list(names)[::-1]):
        table = dataset(**{name: names[name] for name in order})
        features = fitted(table)
        made = features.transform(table)
        assert len(set(features.names)) == 6
        assert tuple(made.columns) == features.names
        for name in ("days since since", "hour", "weekday"):
            assert made[name].to_list() == [1.0, 2.0, 3.0, 4.0]


def test_a_date_becomes_the_days_before_the_row() -> None:
    table = dataset(d=[date(2025, 12, 31), None, date(2026, 1, 2), date(2025, 12, 31)])
    made = fitted(table).transform(table)
    expected = [1.0, None, -1 + 2 / 24, 1 + 3 / 24]
    assert made["days since d"].to_list() == pytest.approx(expected)


def test_a_date_with_a_zone_counts_in_utc() -> None:
    zoned = START + pl.Series(range(4)) * timedelta(hours=1)
    table = dataset(d=zoned.dt.replace_time_zone("Europe/Madrid"))
    made = fitted(table).transform(table)
    assert made["days since d"].to_list() == pytest.approx([1 / 24] * 4)


def test_dates_to_score_may_come_as_text_or_all_missing() -> None:
    table = dataset(d=[date(2025, 12, day) for day in (28, 29, 30, 31)])
    features = fitted(table)
    for values in (table.frame["d"].cast(pl.String), table.frame["d"]):
        again = conform_table(
            table.frame.with_columns(d=values), table.schema, frozenset({"d", "t"})
        )
        assert features.transform(again).equals(features.transform(table))
    for nothing in (pl.Null, pl.String):
        empty = table.frame.with_columns(d=pl.lit(None, nothing))
        made = features.transform(conform_table(empty, table.schema, frozenset({"d", "t"})))
        assert made["days since d"].null_count() == 4


def test_a_date_without_a_calendar_to_compare_with_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    days = [date(2025, 1, day) for day in FOUR]
    for clock in (False, pl.Series(FOUR)):
        assert kinds(dataset(d=days, b=FOUR, clock=clock)) == {"b": "number"}
    assert caplog.text.count("Column 'd' is a date without a clock") == 2


def test_a_named_number_is_a_category_and_nan_is_missing() -> None:
    table = dataset(x=[10.0, 2.0, np.nan, 2.5], categorical=("x",))
    features = fitted(table)
    assert features.own[0].levels == ("10", "2", "2.5")
    assert features.transform(table)["x"].to_list() == [2.0, 3.0, 0.0, 4.0]
    assert features.categorical == (0,)


def test_a_number_that_comes_as_text_is_read_and_other_text_refused() -> None:
    table = dataset(clock=False, **{"Amount (€)": FOUR, "b": FOUR})
    features = fitted(table)
    text = table.frame.with_columns(pl.col("Amount (€)").cast(pl.String))
    again = conform_table(text, table.schema, features.columns)
    assert features.transform(again).equals(features.transform(table))
    broken = text.with_columns(
        pl.Series("Amount (€)", ["1", "3,14", "x", None]), b=pl.lit(date(2026, 1, 1))
    )
    with pytest.raises(DataError) as refused:
        features.transform(conform_table(broken, table.schema, features.columns))
    told = str(refused.value)
    assert "column 'Amount (€)'" in told
    assert "text in 2 of 4 rows here (first at row 1: '3,14')" in told
    assert "column 'b' was a number when the features were fitted and is of type Date" in told


def test_roles_keys_and_what_is_left_out_are_no_features() -> None:
    table = dataset(a=FOUR, b=FOUR, c=FOUR, d=FOUR)
    features = fit_features(
        table,
        np.arange(4),
        FeatureSettings(keys=("a",), drop=("b",), time_parts=()),
        never=frozenset({"c"}),
    )
    assert features.names == ("d",)


def test_named_columns_that_are_not_there_come_with_the_nearest_names() -> None:
    with pytest.raises(DataError) as refused:
        fitted(dataset(terminal=FOUR), keys=("terminl",), drop=("zzz",))
    told = str(refused.value)
    assert "features.keys names column 'terminl'" in told
    assert "Did you mean 'terminal'?" in told
    assert "features.drop names column 'zzz'" in told


def test_a_constant_table_is_refused_with_its_size() -> None:
    with pytest.raises(DataError) as refused:
        fitted(dataset(a=[1] * 4, b=["x"] * 4, clock=False))
    assert "each of the 3 columns" in str(refused.value)
    assert "4 rows" in str(refused.value)
    assert "Bring columns that vary" in str(refused.value)


def test_no_levels_are_no_setting() -> None:
    with pytest.raises(ConfigError, match=r"features\.max_levels is 0"):
        FeatureSettings(max_levels=0)


@pytest.mark.parametrize(
    "name", ["Amount (€)", "is fraud?", "two words", 'a "b"', "it's", "a\nb", "2*3", "^a", ""]
)
@pytest.mark.parametrize(
    "values", [FOUR, list("abca"), [date(2025, 1, day) for day in FOUR]], ids=str
)
def test_awkward_names_are_features_like_any_other(name: str, values: list[Any]) -> None:
    plain, awkward = dataset(x=values), dataset(**{name: values})
    np.testing.assert_array_equal(
        fitted(plain).matrix(plain).values, fitted(awkward).matrix(awkward).values
    )


def test_the_matrix_is_the_transform_in_float32_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = dataset(26, x=np.linspace(0, 1, 26), letter=list(string.ascii_lowercase))
    features = fitted(table)
    whole = features.matrix(table)
    monkeypatch.setattr("fraudml.features.plan._CHUNK", 7)
    pieces = features.matrix(table)
    assert whole.values.dtype == np.float32
    assert pieces.values.tobytes() == whole.values.tobytes()
    np.testing.assert_array_equal(
        whole.values, features.transform(table).to_numpy().astype(np.float32)
    )
    assert whole.names == features.names
    assert whole.categorical == (1,)


def test_no_rows_are_a_matrix_without_rows() -> None:
    table = dataset(x=FOUR)
    features = fitted(table)
    assert features.matrix(table, np.array([], dtype=np.int64)).values.shape == (0, 3)
    empty = conform_table(table.frame.clear(), table.schema, frozenset({"x", "t"}))
    assert features.matrix(empty).values.shape == (0, 3)


def test_what_is_left_out_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fraudml.features"):
        fitted(dataset(x=[7] * 4, b=FOUR))
    assert caplog.text.count("Column 'x' has one value and is left out.") == 1


def test_a_format_of_its_own_reads_dates_to_score() -> None:
    frame = pl.DataFrame(
        {
            "label": [0, 1, 0, 1],
            "t": [f"{day:02}/01/2026" for day in FOUR],
            "d": [date(2025, 1, day) for day in FOUR],
        }
    )
    roles = ColumnRoles(time="t")
    csv = CsvSettings(time_format="%d/%m/%Y")
    table = check_table(frame, DataSettings(columns=roles, csv=csv))
    text = frame.with_columns(pl.col("d").dt.strftime("%d/%m/%Y"))
    again = conform_table(text, table.schema, frozenset({"d", "t"}))
    assert fitted(table).transform(again).equals(fitted(table).transform(table))


def test_a_row_alone_has_the_same_bits_as_among_others() -> None:
    rows = 60
    minutes = START + pl.Series(range(rows)) * timedelta(minutes=1)
    table = dataset(rows, d=[date(2025, 1, 1)] * 59 + [date(2025, 1, 2)], clock=minutes)
    features = fitted(table)
    whole = features.transform(table)
    alone = pl.concat(
        features.transform(table.take(np.array([row], dtype=np.int64))) for row in range(rows)
    )
    assert alone.equals(whole)
