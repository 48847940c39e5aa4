"""Checking a table against its roles: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import json
import logging
import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.data.check import check_table, conform_table, inspect_table
from fraudml.data.frames import as_polars
from fraudml.data.schema import Dataset, Schema
from fraudml.data.settings import ColumnRoles, CsvSettings, DataSettings
from fraudml.errors import ConfigError, DataError

AWKWARD = [
    "Amount (€)",
    "is fraud?",
    "two words",
    'with "double" quotes',
    "it's",
    "a\nnew line",
    "a,comma",
    "{brace}",
    "^caret",
    "2*3",
    "",
]


def settings(**given: Any) -> DataSettings:
    """Settings from roles, and from `positive`, `time_unit` and `time_format`."""
    names = "positive", "null_label", "time_unit"
    others = {name: given.pop(name) for name in names if name in given}
    csv = CsvSettings(time_format=given.pop("time_format", None))
    return DataSettings(columns=ColumnRoles(**given), csv=csv, **others)


def table(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"label": [0, 1, 0, 1], **columns})


def refusal(frame: pl.DataFrame, **given: Any) -> str:
    with pytest.raises(DataError) as refused:
        check_table(frame, settings(**given))
    assert refused.value.exit_code == 3
    return str(refused.value)


def label_of(values: Any, dtype: Any = None, **given: Any) -> list[int]:
    frame = pl.DataFrame({"label": pl.Series(values, dtype=dtype)})
    return check_table(frame, settings(**given)).label.tolist()


@pytest.mark.parametrize(
    ("values", "dtype", "positive"),
    [
        ([0, 1, None], None, None),
        ([0.0, 1.0, float("nan")], None, None),
        ([False, True, None], None, None),
        (["0", "1", None], None, None),
        (["0", "1", None], pl.Categorical, None),
        (["1.0", "0.0", None], pl.Enum(["0.0", "1.0"]), 0),
        (["ok", "chargeback", None], None, "chargeback"),
        ([1, 2, None], None, 2),
        ([1, 2, None], None, "2"),
        ([0.0, 1.0, None], None, 1),
        ([False, True, None], None, "true"),
        ([False, True, None], None, True),
    ],
)
def test_a_label_is_read_whatever_its_type(values: Any, dtype: Any, positive: Any) -> None:
    assert label_of(values, dtype, positive=positive) == [0, 1, -1]


def test_the_positive_value_may_be_the_smaller_one() -> None:
    assert label_of([0, 1, 1], positive=0) == [1, 0, 0]


def test_three_label_values_are_refused_with_the_values() -> None:
    told = refusal(pl.DataFrame({"is fraud?": [0, 1, 2, 1]}), label="is fraud?")
    assert "'is fraud?'" in told
    assert "3 values: '0', '1', '2'" in told
    assert "to null at the source" in told


def test_three_label_values_are_refused_with_a_positive_one_too() -> None:
    told = refusal(pl.DataFrame({"label": ["a", "b", "c"]}), positive="a")
    assert "3 values" in told


def test_a_label_of_many_values_lists_five() -> None:
    told = refusal(pl.DataFrame({"label": range(2000)}))
    assert "2,000 values: '0', '1', '2', '3', '4' and 1995 more" in told


def test_two_words_need_the_positive_one() -> None:
    told = refusal(pl.DataFrame({"label": ["bad", "good"]}))
    assert "'bad', 'good'" in told
    assert "data.positive" in told
    assert label_of(["no", "yes"], positive="yes") == [0, 1]


@pytest.mark.parametrize(
    ("legitimate", "fraud"),
    [("No", "Yes"), ("n", "Y"), ("F", "T"), ("legit", "fraud"), ("FALSE", "true"), (" 0", "1.00")],
)
def test_words_of_one_reading_need_no_positive_one(legitimate: str, fraud: str) -> None:
    assert label_of([legitimate, fraud, None, " "]) == [0, 1, -1, -1]


@pytest.mark.parametrize("words", [["Y", "y"], ["fraud", "yes"], ["1", "no"]])
def test_words_that_have_no_one_reading_need_the_positive_one(words: list[str]) -> None:
    assert "data.positive" in refusal(pl.DataFrame({"label": words}))


def test_a_decimal_label_is_0_and_1() -> None:
    values = [Decimal("0E-10"), Decimal(1), None]
    assert label_of(values, pl.Decimal(38, 10)) == [0, 1, -1]


def test_a_boolean_positive_value_is_said_to_be_one_of_yaml() -> None:
    told = refusal(pl.DataFrame({"label": ["no", "yes"]}), positive=True)
    assert "In YAML yes, no, on and off are booleans: write positive: 'yes', in quotes." in told


def test_null_is_legitimate_where_the_settings_say_so() -> None:
    told = refusal(pl.DataFrame({"label": [1, None, None]}))
    assert "The other 2 are null, which means that their label is not known" in told
    assert "set data.null_label=legitimate" in told
    assert label_of([1, None, None], null_label="legitimate") == [1, 0, 0]
    assert label_of(["Y", "N", None], null_label="legitimate") == [1, 0, 0]


def test_labels_are_read_by_the_words_of_training() -> None:
    schema = check_table(pl.DataFrame({"label": ["N", "Y"]}), settings()).schema
    assert schema.label_words == ("N", "Y")
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    later = pl.DataFrame({"label": ["N ", None, "N"]})
    assert conform_table(later, schema, frozenset(), labelled=True).label.tolist() == [0, -1, 0]
    for other in (["n", "y", "n"], [False, True, False], [0, 1, 0]):
        with pytest.raises(DataError, match=r"'.+' in 2 rows, '.+' in 1 rows. Expected 'Y' for"):
            conform_table(pl.DataFrame({"label": other}), schema, frozenset(), labelled=True)


def test_true_is_1_whatever_the_table_of_training_held() -> None:
    schema = check_table(pl.DataFrame({"label": [0, 1]}), settings()).schema
    for values in ([True, False], ["True", "FALSE"], [1.0, 0.0], ["1.0", "0"]):
        later = pl.DataFrame({"label": values})
        assert conform_table(later, schema, frozenset(), labelled=True).label.tolist() == [1, 0]


def test_a_positive_value_that_is_never_there_is_refused_with_those_that_are() -> None:
    told = refusal(pl.DataFrame({"label": ["no", "yes"]}), positive="Yes")
    assert "never holds data.positive='Yes'" in told
    assert "'no', 'yes'" in told


@pytest.mark.parametrize("values", [[0, 0, None], [1, 1, 1], ["1", "1.0", None], [True]])
def test_one_class_alone_is_refused(values: list[Any]) -> None:
    told = refusal(pl.DataFrame({"label": values}))
    known = len([value for value in values if value is not None])
    assert f"{known} of {len(values)} rows" in told
    assert "Bring the rows of the other class" in told


@pytest.mark.parametrize("dtype", [pl.Int64, pl.String, pl.Null, pl.Boolean])
def test_a_label_that_is_never_known_is_refused(dtype: Any) -> None:
    told = refusal(pl.DataFrame({"label": pl.Series([None, None], dtype=dtype)}))
    assert "holds no value, in 0 of 2 rows" in told


def test_a_table_without_rows_is_refused() -> None:
    assert "no rows" in refusal(table().clear())


@pytest.mark.parametrize(
    ("role", "wrong", "near"),
    [
        ("label", "lable", "label"),
        ("time", "evnt_time", "event_time"),
        ("amount", "AMOUNT", "Amount"),
        ("entity", "card id", "card_id"),
    ],
)
def test_a_missing_column_comes_with_the_nearest_names(role: str, wrong: str, near: str) -> None:
    frame = table(event_time=[1, 2, 3, 4], Amount=[1.0] * 4, card_id=[1, 2, 3, 4])
    told = refusal(frame, **{role: wrong})
    assert f"column '{wrong}' is not in the table. Did you mean '{near}'" in told
    assert "data.columns" in told


def test_all_missing_columns_are_told_together() -> None:
    told = refusal(table(), time="when", id="key", categorical=("shop",))
    assert told.startswith("3 columns are missing.")
    assert all(f"'{name}'" in told for name in ("when", "key", "shop"))


def test_all_problems_of_a_table_are_told_together() -> None:
    frame = pl.DataFrame(
        {"label": [0, 1, 2], "id": [7, 7, 8], "x": [1.0, np.inf, 2.0], "t": ["x", "y", "z"]}
    )
    told = refusal(frame, id="id", time="t")
    assert told.startswith("4 problems in the table.")
    assert all(f"column '{name}'" in told for name in ("label", "id", "x", "t"))


def test_ids_that_stand_twice_are_counted() -> None:
    told = refusal(table(key=["a", "b", "a", "a"]), id="key")
    assert "column 'key' is the id and 3 of 4 rows share theirs" in told
    assert "'a'" in told
    assert "Remove the copies" in told


def test_null_ids_are_no_duplicates_of_each_other() -> None:
    told = refusal(table(key=[1, None, None, 2]), id="key")
    assert "null in 2 of 4 rows (first at row 1)" in told
    assert "share" not in told


@pytest.mark.parametrize("endless", [np.inf, -np.inf, 1e39])
def test_endless_values_are_counted_with_their_first_row(endless: float) -> None:
    told = refusal(table(**{"Amount (€)": [1.0, 2.0, endless, endless]}))
    assert "column 'Amount (€)' is infinite" in told
    assert "2 of 4 rows (first at row 2)" in told
    assert "exclude" in told


def test_nan_is_missing_and_not_endless() -> None:
    checked = check_table(table(x=[1.0, np.nan, 2.0, np.nan]), settings(amount="x"))
    assert checked.amount is not None
    assert np.isnan(checked.amount).tolist() == [False, True, False, True]


def test_endless_values_in_an_excluded_column_do_no_harm() -> None:
    checked = check_table(table(x=[np.inf] * 4), settings(exclude=("x",)))
    assert checked.frame.columns == ["label"]


def test_an_amount_that_is_text_names_its_type_and_the_decimal_comma() -> None:
    told = refusal(table(amount=["3,145", "1,000", "2", "3"]), amount="amount")
    assert "column 'amount'" in told
    assert "String" in told
    assert "data.csv.decimal_comma" in told


def test_refunds_count_nothing_and_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fraudml"):
        checked = check_table(table(amount=[-5, 0, 3, None]), settings(amount="amount"))
    assert checked.amount is not None
    np.testing.assert_array_equal(checked.amount, [0.0, 0.0, 3.0, np.nan])
    assert "2 rows of 'amount'" in caplog.text


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([date(2026, 5, 31)] * 3, pl.Date),
        ([datetime(2026, 5, 31)] * 3, pl.Datetime("ms")),
        (["2026-05-31 00:00:00"] * 3, pl.String),
    ],
)
def test_null_times_are_counted_with_their_first_row(values: list[Any], dtype: Any) -> None:
    told = refusal(table(t=pl.Series([values[0], None, *values[1:]], dtype=dtype)), time="t")
    assert "column 't' is null in 1 of 4 rows (first at row 1)" in told
    assert "Remove these rows" in told


def test_a_time_that_does_not_parse_is_counted_with_its_first_value() -> None:
    told = refusal(table(t=["2026-05-31", "yesterday", "2026-06-01", "soon"]), time="t")
    assert "column 't' does not parse as time in 2 of 4 rows (first at row 1: 'yesterday')" in told
    assert "data.csv.time_format" in told


def test_dates_with_the_day_first_are_never_guessed_at() -> None:
    frame = table(t=["05/06/2026 10:00", "06/06/2026 10:00", "07/06/2026 10:00", "31/05/2026 9:00"])
    assert "4 of 4 rows (first at row 0: '05/06/2026 10:00')" in refusal(frame, time="t")
    checked = check_table(frame, settings(time="t", time_format="%d/%m/%Y %H:%M"))
    assert checked.facts["time"].to_list() == [
        datetime(2026, 5, 31, 9),
        *(datetime(2026, 6, day, 10) for day in (5, 6, 7)),
    ]


def test_rows_are_put_in_time_order_and_ties_stay_as_they_came() -> None:
    frame = table(t=[3, 1, 3, 1], name=["c", "a", "d", "b"])
    checked = check_table(frame, settings(time="t"))
    assert checked.frame["name"].to_list() == ["a", "b", "c", "d"]
    assert checked.facts["row"].to_list() == [1, 3, 0, 2]
    assert checked.label.tolist() == [1, 1, 0, 0]


def test_without_a_time_rows_stay_as_they_came() -> None:
    checked = check_table(table(x=[3, 1, 3, 1]), settings())
    assert checked.frame["x"].to_list() == [3, 1, 3, 1]
    assert not checked.has_time
    assert checked.facts["time"].null_count() == 4


def test_every_role_that_is_missing_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fraudml"):
        check_table(table(), settings())
    for role in ("time", "id", "entity", "amount"):
        assert caplog.text.count(f"No column plays the role '{role}'") == 1


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_play_any_role(name: str) -> None:
    numbers = [1, 2, 3, 4]
    for role in ("time", "id", "entity", "amount"):
        checked = check_table(table(**{name: numbers}), settings(**{role: name}))
        assert checked.frame[name].to_list() == numbers
    relabelled = table().rename({"label": name})
    assert check_table(relabelled, settings(label=name)).label.tolist() == [0, 1, 0, 1]


def test_a_name_that_polars_reads_as_a_pattern_is_refused_unless_excluded() -> None:
    frame = table(**{"^pattern.*$": [1] * 4, "*": [1] * 4})
    assert "2 of 3 columns" in refusal(frame)
    assert "'^pattern.*$', '*'. Rename" in refusal(frame)


@pytest.mark.parametrize("name", [*AWKWARD, "^.*$", "*"])
def test_excluding_an_awkward_name_excludes_that_column_alone(name: str) -> None:
    checked = check_table(table(**{name: [1] * 4, "kept": [2] * 4}), settings(exclude=(name,)))
    assert checked.frame.columns == ["label", "kept"]


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        (["b", "a", "b", "c"], [1, 0, 1, 2]),
        (pl.Series(["b", "a", "b", "c"], dtype=pl.Categorical), [1, 0, 1, 2]),
        ([7, 5, 7, 9], [1, 0, 1, 2]),
    ],
)
def test_entities_are_numbered_from_zero(values: Any, codes: list[int]) -> None:
    found = check_table(table(card=values), settings(entity="card")).entity_codes()
    assert found is not None
    assert found.tolist() == codes


def test_a_row_without_an_entity_is_one_of_its_own() -> None:
    found = check_table(table(card=["a", None, None, "a"]), settings(entity="card")).entity_codes()
    assert found is not None
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 3


def test_a_column_plays_one_role() -> None:
    with pytest.raises(ConfigError, match=r"two roles to 'card'"):
        ColumnRoles(id="card", entity="card")
    assert ColumnRoles(entity="card", categorical=("card",)).named == ("label", "card")


def test_a_schema_survives_json() -> None:
    schema = Schema(
        ColumnRoles("is fraud?", time="t", categorical=("a", "b"), exclude=("c",)),
        positive="yes",
        time_unit="h",
        numeric_time=True,
        time_format="%d/%m/%Y",
    )
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_no_role_but_the_amount_is_a_feature() -> None:
    roles = ColumnRoles("y", "t", "i", "e", "a", "l", "g", categorical=("c",), exclude=("x",))
    assert Schema(roles).never_features == {"y", "t", "i", "e", "l", "g", "x"}


@pytest.fixture
def trained() -> Dataset:
    start = datetime(2026, 5, 1)
    frame = table(
        t=[start + timedelta(hours=hour) for hour in range(4)],
        key=[1, 2, 3, 4],
        amount=[1.0, 2.0, 3.0, 4.0],
    )
    return check_table(frame, settings(time="t", id="key", amount="amount"))


def test_rows_to_score_need_no_label_and_keep_their_order(trained: Dataset) -> None:
    rows = trained.frame.drop("label").reverse()
    made = conform_table(rows, trained.schema, frozenset({"t", "amount"}))
    assert made.facts["row"].to_list() == [0, 1, 2, 3]
    assert made.facts["label"].null_count() == 4
    assert made.facts["time"].to_list() == rows["t"].to_list()


def test_rows_to_score_that_lack_columns_are_refused_with_all_of_them(trained: Dataset) -> None:
    with pytest.raises(DataError) as refused:
        conform_table(pl.DataFrame({"amonut": [1.0]}), trained.schema, frozenset({"t", "amount"}))
    assert "'t'" in str(refused.value)
    assert "Did you mean 'amonut'" in str(refused.value)
    assert "trained" in str(refused.value)


def test_rows_to_score_with_endless_values_are_refused(trained: Dataset) -> None:
    rows = trained.frame.with_columns(amount=pl.lit(np.inf), unused=pl.lit(np.inf))
    with pytest.raises(DataError, match="column 'amount' is infinite") as refused:
        conform_table(rows, trained.schema, frozenset({"amount"}))
    assert "unused" not in str(refused.value)


def test_rows_to_score_need_no_role_that_is_not_used(trained: Dataset) -> None:
    made = conform_table(pl.DataFrame({"amount": [1.0]}), trained.schema, frozenset({"amount"}))
    assert not made.has_time
    assert made.schema.roles.id is None


def test_pandas_becomes_polars_with_null_for_nan_and_zones_kept() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is in the extra [dev]")
    moments = pandas.to_datetime(["2026-05-31 12:00", None]).tz_localize("Europe/Madrid")
    frame = pandas.DataFrame(
        {"x": [1.0, None], "s": ["a", None], "c": pandas.Categorical(["u", None]), "t": moments},
        index=[7, 8],
    )
    made = as_polars(frame)
    assert made.columns == ["x", "s", "c", "t"]
    assert made.null_count().row(0) == (1, 1, 1, 1)
    facts = check_table(
        pl.concat([made.head(1)] * 4).with_columns(label=pl.Series([0, 1, 0, 1])),
        settings(time="t"),
    ).facts
    assert facts["time"][0] == datetime(2026, 5, 31, 10)


def test_a_pandas_table_that_polars_cannot_hold_is_refused() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is in the extra [dev]")
    mixed = pandas.DataFrame({"x": pandas.Series([1, "a", [2]], dtype=object)})
    twice = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    for frame in (mixed, twice):
        with pytest.raises(DataError, match="cannot be turned into polars"):
            as_polars(frame)


def test_a_lazy_frame_is_collected_and_anything_else_refused() -> None:
    assert as_polars(table().lazy()).equals(table())
    with pytest.raises(DataError, match="type ndarray"):
        as_polars(np.zeros((2, 2)))


def test_an_inspection_tells_problems_instead_of_raising() -> None:
    frame = table(
        t=["2026-05-31", "soon", "2026-06-01", None], key=[1, 1, 2, 3], rate=[math.inf] * 4
    )
    seen = inspect_table(frame, settings(time="t", id="key", amount="amuont", entity="^all$"))
    assert [(problem.kind, problem.column) for problem in seen.problems] == [
        ("missing_column", "^all$"),
        ("missing_column", "amuont"),
        ("time", "t"),
        ("duplicate_id", "key"),
        ("infinite", "rate"),
    ]
    assert seen.schema.roles == ColumnRoles(time="t", id="key")
    assert seen.facts["label"].to_list() == [0, 1, 0, 1]
    assert seen.facts["time"].null_count() == 4
    with pytest.raises(DataError, match="5 problems in the table"):
        seen.dataset()


def test_an_inspection_keeps_the_order_of_the_rows() -> None:
    seen = inspect_table(table(t=[4, 3, 2, 1]), settings(time="t"))
    assert not seen.problems
    assert seen.facts["time"].dt.epoch("s").to_list() == [4, 3, 2, 1]
    assert seen.dataset().facts["row"].to_list() == [3, 2, 1, 0]


def test_an_inspection_goes_without_the_label_and_without_patterns() -> None:
    frame = pl.DataFrame({"*": [1, 2], "x": [1, 2]})
    seen = inspect_table(frame, settings(label="fraud"))
    assert [problem.kind for problem in seen.problems] == ["missing_column", "column_name"]
    assert seen.frame.columns == ["x"]
    assert seen.facts["label"].null_count() == 2
    assert [problem.kind for problem in inspect_table(frame[:0], settings()).problems] == [
        "empty_table"
    ]
