"""Cost models: what each outcome costs on each row, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.decisions.costs import (
    COST_KINDS,
    DEFAULT_REVIEW_COST,
    Affine,
    Card,
    Columns,
    CostMatrix,
    CostModel,
    Fixed,
    Line,
    check_amounts,
    describe,
)
from fraudml.errors import ConfigError, DataError

TABLE = pl.DataFrame({"review": [1.0, 2.0, 3.0], "loss": [10, 20, 30], "caught": [0.5, 0.5, 1.0]})
AMOUNT = np.array([100.0, 0.0, 7.5])

MODELS: dict[str, CostModel] = {
    "card": Card(),
    "card, own": Card(4.0),
    "fixed": Fixed(),
    "fixed, own": Fixed(tp_cost=1, fp_cost=2, fn_cost=30, tn_cost=-0.5),
    "columns": Columns("review", "loss"),
    "columns, four": Columns("review", "loss", tp="caught", tn="caught"),
    "affine": Affine(),
    "affine, own": Affine(tp=Line(5, 0.1), fp=Line(6), fn=Line(1, 0.9), tn=Line(-1.0)),
}


def as_rows(costs: CostMatrix) -> list[tuple[float, float, float, float]]:
    columns = costs.as_mapping()
    names = ("tp_cost", "fp_cost", "fn_cost", "tn_cost")
    return list(zip(*(columns[name].tolist() for name in names), strict=True))


EXPECTED = {
    "card": [(10, 10, 100, 0), (10, 10, 0, 0), (10, 10, 7.5, 0)],
    "card, own": [(4, 4, 100, 0), (4, 4, 0, 0), (4, 4, 7.5, 0)],
    "fixed": [(10, 10, 100, 0)] * 3,
    "fixed, own": [(1, 2, 30, -0.5)] * 3,
    "columns": [(0, 1, 10, 0), (0, 2, 20, 0), (0, 3, 30, 0)],
    "columns, four": [(0.5, 1, 10, 0.5), (0.5, 2, 20, 0.5), (1, 3, 30, 1)],
    "affine": [(10, 10, 100, 0), (10, 10, 0, 0), (10, 10, 7.5, 0)],
    "affine, own": [(15, 6, 91, -1), (5, 6, 1, -1), (5.75, 6, 7.75, -1)],
}


@pytest.mark.parametrize("name", MODELS)
def test_costs_of_rows(name: str) -> None:
    amount = AMOUNT if MODELS[name].needs_amount else None
    found = np.array(as_rows(MODELS[name].costs(TABLE, amount)))
    assert found == pytest.approx(np.array(EXPECTED[name]))


@pytest.mark.parametrize("name", MODELS)
def test_a_row_costs_the_same_alone(name: str) -> None:
    model = MODELS[name]
    whole = model.costs(TABLE, AMOUNT)
    for i in range(3):
        alone = model.costs(TABLE[i : i + 1], AMOUNT[i : i + 1])
        assert as_rows(alone) == [as_rows(whole)[i]] == as_rows(whole.take(np.array([i])))


@pytest.mark.parametrize("name", MODELS)
def test_no_row_costs_nothing(name: str) -> None:
    costs = MODELS[name].costs(TABLE[:0], AMOUNT[:0])
    assert len(costs) == 0
    assert not costs.differ


@pytest.mark.parametrize("name", MODELS)
def test_plain_data_tell_the_whole_model(name: str) -> None:
    model = MODELS[name]
    content: dict[str, Any] = json.loads(json.dumps(describe(model), allow_nan=False))
    kind = content.pop("kind")
    lines = {key: Line(**v) if isinstance(v, dict) else v for key, v in content.items()}
    assert COST_KINDS[kind](**lines) == model


def test_only_untouched_costs_are_the_default() -> None:
    assert [name for name, model in MODELS.items() if model.is_default] == [
        "card",
        "fixed",
        "affine",
    ]
    assert not Card(DEFAULT_REVIEW_COST).is_default


def test_costs_differ_where_one_of_them_does() -> None:
    same = np.full(4, 2.0)
    other = np.array([2.0, 2.0, 2.0, 3.0])
    assert not CostMatrix(same, same, same, same).differ
    for at in range(4):
        assert CostMatrix(*(other if i == at else same for i in range(4))).differ


@pytest.mark.parametrize("cost", [0.0, -1.0, float("nan"), float("inf")])
def test_a_review_costs_something(cost: float) -> None:
    with pytest.raises(ConfigError, match=r"costs\.review_cost"):
        Card(cost)


@pytest.mark.parametrize(("fp", "tn"), [(0.0, 0.0), (1.0, 2.0), (-3.0, -2.0)])
def test_a_false_alert_costs_more_than_none(fp: float, tn: float) -> None:
    with pytest.raises(ConfigError, match=r"costs\.fp_cost"):
        Fixed(fp_cost=fp, tn_cost=tn)
    with pytest.raises(DataError, match="In 3 of 3 rows"):
        Affine(fp=Line(fp), tn=Line(tn)).costs(TABLE, AMOUNT)
    with pytest.raises(DataError, match="In 3 of 3 rows"):
        Columns("f", "loss", tn="t").costs(TABLE.with_columns(f=pl.lit(fp), t=pl.lit(tn)), None)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["tp_cost", "fp_cost", "fn_cost", "tn_cost"])
def test_fixed_costs_are_finite(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        Fixed(**{name: value})


@pytest.mark.parametrize("name", ["fixed", "share"])
def test_lines_are_finite(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is nan"):
        Line(**{name: float("nan")})


def test_a_margin_may_be_earned() -> None:
    assert as_rows(Fixed(tn_cost=-2.0).costs(TABLE, None))[0][3] == -2


@pytest.mark.parametrize(
    "values", [[1.0, None, 3.0], [1.0, float("nan"), 3.0], [1.0, float("inf"), 3.0]]
)
def test_a_cost_that_is_not_there_is_named_with_its_row(values: list[float | None]) -> None:
    table = TABLE.with_columns(review=pl.Series(values))
    with pytest.raises(DataError, match=r"'review'.* 1 of 3 rows \(first at row 1\)"):
        Columns("review", "loss").costs(table, None)


def test_a_column_of_costs_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="'fee' holds costs and is not in the table"):
        Columns("fee", "loss").costs(TABLE, None)


def test_text_is_no_cost() -> None:
    with pytest.raises(DataError, match="'review' holds costs and is of type String"):
        Columns("review", "loss").costs(TABLE.with_columns(review=pl.lit("1")), None)


def test_columns_name_what_is_never_a_feature() -> None:
    assert Columns("review", "loss").columns == ("review", "loss")
    assert Columns("review", "loss", "caught", "caught").columns[-1] == "caught"
    assert all(model.columns == () for name, model in MODELS.items() if "columns" not in name)


def test_a_missing_amount_is_counted_and_its_first_row_named() -> None:
    amount = np.array([1.0, np.nan, np.nan])
    with pytest.raises(DataError, match=r"'EUR' is null in 2 of 3 rows \(first at row 4\)"):
        check_amounts(amount, "EUR", np.array([7, 9, 4]))
    check_amounts(AMOUNT, "EUR", np.arange(3))


def test_costs_by_amount_need_the_role() -> None:
    with pytest.raises(ConfigError, match=r"data\.columns\.amount"):
        check_amounts(None, None, np.arange(3))
