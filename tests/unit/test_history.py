"""What looks back, by hand: values, names, the default plan, and what is refused."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest

from fraudml.data.check import check_table, conform_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.errors import ConfigError, DataError
from fraudml.features.history import upgrade_plan
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.features.settings import STATISTICS, Aggregate, FeatureSettings, HistoryKind

START = datetime(2026, 1, 1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
N = None

DAYS = [0, 0.5, 1, 1, 2, 2, 3, 3.5, 4, 4, 6, 9]
COLUMNS: dict[str, list[Any]] = {
    "card": ["a", "b", "a", "a", N, "a", "b", "a", "a", "b", "a", "a"],
    "shop": ["x", "x", "y", "x", "x", N, "x", "x", "y", "y", "x", "y"],
    "amount": [10, 20, 30, 50, 70, N, 40, 20, 60, 0, 80, 10],
    "label": [0, 1, 0, 1, 0, N, 0, 0, 1, 1, 0, 0],
}
"""Twelve rows, of which two pairs are at one moment; labels arrive a day later."""


def dataset(days: list[Any], *, roles: dict[str, Any] | None = None, **columns: Any) -> Dataset:
    """Rows at days from the start, with every second one a fraud where nothing else is said."""
    moments = [START + day * DAY for day in days]
    label = [row % 2 for row in range(len(days))]
    frame = pl.DataFrame({"label": label, "t": moments} | columns, strict=False)
    return check_table(frame, DataSettings(columns=ColumnRoles(**{"time": "t"} | (roles or {}))))


def fitted(
    table: Dataset, *looks: Aggregate, delay: timedelta = DAY, never: str = "", **given: Any
) -> FittedFeatures:
    chosen: dict[str, Any] = {"history": looks, "windows": ("2d",), "horizon": "4d"}
    rows = np.arange(len(table))
    made = FeatureSettings(**chosen | {"time_parts": ()} | given)
    return fit_features(table, rows, made, label_delay=delay, never=frozenset({never}))


def twelve(**given: Any) -> Dataset:
    return dataset(DAYS, **COLUMNS | given)


def history_values(table: Dataset, *looks: Aggregate, **given: Any) -> dict[str, list[Any]]:
    features = fitted(table, *looks, **given)
    made = features.transform(table)
    return {name: made[name].to_list() for name in features.history.names}


def of_card(kind: Any, *statistics: str, **given: Any) -> Aggregate:
    return Aggregate(kind, ("card",), statistics=statistics, **given)


def with_amount(kind: Any, *statistics: str, **given: Any) -> Aggregate:
    return of_card(kind, *statistics, columns=("amount",), **given)


SHOP: dict[str, Any] = {"partners": ("shop",)}
BEFORE: dict[str, Any] = {"present": False}
BY_HAND: list[tuple[Aggregate, str, list[Any]]] = [
    (of_card("aggregate"), "count 2d by card", [1, 1, 3, 3, N, 3, 1, 2, 2, 2, 1, 1]),
    (
        with_amount("aggregate", "sum"),
        "amount sum 2d by card",
        [10, 20, 90, 90, N, 80, 40, 20, 80, 40, 80, 10],
    ),
    (
        with_amount("aggregate"),
        "amount mean 2d by card",
        [10, 20, 30, 30, N, 40, 40, 20, 40, 20, 80, 10],
    ),
    (
        with_amount("aggregate", "std"),
        "amount std 2d by card",
        [N, N, 20, 20, N, 200**0.5, N, N, 800**0.5, 800**0.5, N, N],
    ),
    (
        with_amount("aggregate", "min"),
        "amount min 2d by card",
        [10, 20, 10, 10, N, 30, 40, 20, 20, 0, 80, 10],
    ),
    (
        with_amount("aggregate", "max"),
        "amount max 2d by card",
        [10, 20, 50, 50, N, 50, 40, 20, 60, 40, 80, 10],
    ),
    (
        with_amount("aggregate", "median"),
        "amount median 2d by card",
        [10, 20, 30, 30, N, 40, 40, 20, 40, 20, 80, 10],
    ),
    (
        of_card("aggregate", **BEFORE),
        "count 2d before by card",
        [0, 0, 1, 1, N, 2, 0, 1, 1, 1, 0, 0],
    ),
    (
        with_amount("aggregate", "sum", **BEFORE),
        "amount sum 2d before by card",
        [N, N, 10, 10, N, 80, N, N, 20, 40, N, N],
    ),
    (
        with_amount("aggregate", "std", **BEFORE),
        "amount std 2d before by card",
        [N, N, N, N, N, 200**0.5, N, N, N, N, N, N],
    ),
    (
        with_amount("ratio"),
        "amount over mean 4d by card",
        [N, N, 3, 5, N, N, 2, 2 / 3, 1.8, 0, 2, 0.125],
    ),
    (
        with_amount("ratio", "median"),
        "amount over median 4d by card",
        [N, N, 3, 5, N, N, 2, 2 / 3, 2, 0, 2, 0.125],
    ),
    (
        with_amount("ratio", "max"),
        "amount over max 4d by card",
        [N, N, 3, 5, N, N, 2, 0.4, 1.2, 0, 4 / 3, 0.125],
    ),
    (
        of_card("distinct", **SHOP),
        "distinct shop 2d by card",
        [1, 1, 2, 2, N, 2, 1, 1, 2, 2, 1, 1],
    ),
    (
        of_card("time_since"),
        "days since last by card",
        [N, N, 1, 1, N, 1, 2.5, 1.5, 0.5, 1, 2, 3],
    ),
    (
        of_card("time_since", **SHOP),
        "days since last shop by card",
        [N, N, N, 1, N, N, 2.5, 2.5, 3, N, 2.5, N],
    ),
    (of_card("first_seen", **SHOP), "new shop by card", [1, 1, 1, 0, N, N, 0, 0, 0, 1, 0, 1]),
    (
        of_card("fraud_rate", "known"),
        "known labels 2d by card",
        [0, 0, 1, 1, N, 3, 1, 2, 0, 1, 2, 0],
    ),
    (
        of_card("fraud_rate", "frauds"),
        "known frauds 2d by card",
        [0, 0, 0, 0, N, 1, 1, 1, 0, 0, 1, 0],
    ),
    (
        of_card("fraud_rate", "rate"),
        "fraud rate 2d by card",
        [N, N, 0, 0, N, 1 / 3, 1, 0.5, N, 0, 0.5, N],
    ),
    (
        of_card("fraud_rate", "rate", empty=0.0),
        "fraud rate 2d by card",
        [0, 0, 0, 0, N, 1 / 3, 1, 0.5, 0, 0, 0.5, 0],
    ),
    (
        of_card("fraud_rate", "rate", smoothing=2.0),
        "fraud rate 2d by card",
        [N, N, 0, 0, N, 0.4, 7 / 9, 0.5, 0, 0, 7 / 12, N],
    ),
    (
        of_card("fraud_rate", "rate", smoothing=2.0, empty=0.01),
        "fraud rate 2d by card",
        [0.01, 0.01, 0, 0, N, 0.4, 7 / 9, 0.5, 0, 0, 7 / 12, 0.01],
    ),
    (
        of_card("recent_labels", lasts=(1,)),
        "fraud rate of last 1 by card",
        [N, N, 0, 0, N, 1, 1, 1, 1, 0, 1, 0],
    ),
    (
        of_card("recent_labels", lasts=(3,)),
        "fraud rate of last 3 by card",
        [N, N, 0, 0, N, 1 / 3, 1, 1 / 3, 1 / 3, 0.5, 0.5, 0],
    ),
    (
        of_card("recent_labels", lasts=(3,), empty=-1.0),
        "fraud rate of last 3 by card",
        [-1, -1, 0, 0, N, 1 / 3, 1, 1 / 3, 1 / 3, 0.5, 0.5, 0],
    ),
    (
        of_card("since_label", "fraud"),
        "days since known fraud by card",
        [N, N, N, N, N, 1, 2.5, 2.5, 3, 3.5, 2, N],
    ),
    (
        of_card("since_label", "legitimate"),
        "days since known legitimate by card",
        [N, N, 1, 1, N, 1, N, 2.5, 3, 1, 2.5, 3],
    ),
    (
        of_card("frequency", windows=("2d",)),
        "frequency 2d by card",
        [1, 0.5, 0.75, 0.75, N, 0.75, 0.5, 2 / 3, 0.5, 0.5, 1, 1],
    ),
]


@pytest.mark.parametrize(("look", "name", "expected"), BY_HAND)
def test_twelve_rows_by_hand(look: Aggregate, name: str, expected: list[Any]) -> None:
    assert history_values(twelve(), look) == {name: pytest.approx(expected)}


def test_a_statistic_of_an_earlier_feature() -> None:
    above = "amount over median 4d by card"
    over = of_card("aggregate", "mean", "max", columns=(above,))
    made = history_values(twelve(), with_amount("ratio", "median"), over)
    assert made[f"{above} mean 2d by card"] == pytest.approx(
        [N, N, 4, 4, N, 4, 2, 2 / 3, 4 / 3, 1, 2, 0.125]
    )
    assert made[f"{above} max 2d by card"] == pytest.approx(
        [N, N, 5, 5, N, 5, 2, 2 / 3, 2, 2, 2, 0.125]
    )


def test_a_usual_amount_that_is_not_above_0_is_no_measure() -> None:
    table = dataset([0, 1, 2, 3], card=[1] * 4, amount=[-5.0, 5.0, 0.0, 7.0])
    made = history_values(table, with_amount("ratio", *STATISTICS["ratio"]))
    assert made["amount over mean 4d by card"] == [N, N, N, N]
    assert made["amount over median 4d by card"] == [N, N, N, N]
    assert made["amount over max 4d by card"] == [N, N, 0.0, 1.4]


def test_a_column_may_hold_flags_decimals_or_nothing() -> None:
    flags, money = [True, False, True, N], pl.Series([1, 2, 3, 4]).cast(pl.Decimal(9, 2))
    table = dataset(
        [0, 1, 2, 2], card=[1] * 4, flag=flags, money=money, gap=pl.Series([N] * 4, dtype=pl.Int8)
    )
    made = history_values(table, of_card("aggregate", "sum", columns=("flag", "money", "gap")))
    assert made["flag sum 2d by card"] == [1, 1, 1, 1]
    assert made["money sum 2d by card"] == [1, 3, 9, 9]
    assert made["gap sum 2d by card"] == [N] * 4


@pytest.mark.parametrize(
    "key",
    [
        [1, 1, N, 2],
        [1.5, 1.5, math.nan, 2.5],
        [True, True, N, False],
        [date(2026, 1, 1), date(2026, 1, 1), N, date(2026, 1, 2)],
        pl.Series(["a", "a", N, "b"], dtype=pl.Categorical),
        pl.Series(["a", "a", N, "b"], dtype=pl.Enum(["b", "a"])),
    ],
    ids=str,
)
def test_a_key_may_be_of_any_type(key: Any) -> None:
    table = dataset([0, 1, 1, 1.5], card=key)
    features = fitted(table, of_card("aggregate"))
    assert features.transform(table)["count 2d by card"].to_list() == [1, 2, N, 1]
    piece, history = table.take(np.arange(1, 4)), table.take(np.arange(1))
    assert features.transform(piece, history)["count 2d by card"].to_list() == [2, N, 1]


def test_minus_zero_is_zero_in_any_order() -> None:
    look = of_card("aggregate", "min", "max", columns=("amount",))
    for amounts in ([0.0, -0.0], [-0.0, 0.0]):
        made = history_values(dataset([0, 0], card=[1, 1], amount=amounts), look)
        assert [math.copysign(1, one) for found in made.values() for one in found] == [1] * 4


def told(days: list[Any], known: list[Any], **columns: Any) -> Dataset:
    moments = pl.Series([None if day is None else START + day * DAY for day in known])
    known_at = moments.cast(pl.Datetime("us"))
    soonest = pl.Series([START + day * DAY for day in days])
    valid = pl.select(pl.when(known_at.is_not_null()).then(soonest)).to_series()
    table = dataset(days, roles={"label_time": "known"}, known=valid, **columns)
    return replace(table, facts=table.facts.with_columns(label_time=known_at))


def known_frauds(table: Dataset, delay: timedelta = DAY) -> list[Any]:
    made = history_values(table, of_card("fraud_rate", "frauds", windows=("4d",)), delay=delay)
    return made["known frauds 4d by card"]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (2, [0, 0, 1, 1, 1]),
        (2 + 1e-6 / 86_400, [0, 0, 0, 1, 1]),
        (N, [0, 1, 1, 1, 1]),
        (0, [0, 1, 1, 1, 1]),
        (-3, [0, 1, 1, 1, 1]),
        (4, [0, 0, 0, 0, 1]),
        (4 + 1e-6 / 86_400, [0, 0, 0, 0, 0]),
    ],
)
def test_a_label_is_known_from_its_arrival_on(known: Any, expected: list[Any]) -> None:
    table = told([0, 1, 2, 3, 4], [known, 99, 99, 99, 99], card=[1] * 5, label=[1, 0, 0, 0, 0])
    assert known_frauds(table) == expected


@pytest.mark.parametrize(
    ("delay", "expected"),
    [(timedelta(0), [0, 0, 1, 1]), (DAY, [0, 0, 0, 1]), (2 * DAY, [0, 0, 0, 0])],
)
def test_a_label_is_known_after_the_delay_and_never_at_its_own_moment(
    delay: timedelta, expected: list[Any]
) -> None:
    days = [0, 0, 1e-6 / 86_400, 1]
    table = dataset(days, card=[1] * 4, label=[1, 0, 0, 0])
    assert known_frauds(table, delay) == expected


def test_the_latest_row_counts_whose_label_is_known_in_whatever_order_they_arrive() -> None:
    table = told([0, 1, 2, 3], [2.5, 1.5, 99, 99], card=[1] * 4, label=[1, 1, 0, 0])
    assert history_values(table, of_card("since_label", "fraud")) == {
        "days since known fraud by card": [N, N, 1, 2]
    }


def test_what_lies_as_far_back_as_the_horizon_is_out_of_reach() -> None:
    days = [0, 4 - 1e-6 / 86_400, 4]
    table = dataset(days, card=[1, 2, 1], shop=[1, 2, 1], label=[1, 0, 0])
    looks = of_card("time_since"), of_card("first_seen", **SHOP), of_card("since_label", "fraud")
    assert [made[2] for made in history_values(table, *looks).values()] == [N, 1, N]
    nearer = dataset(days[:2], card=[1, 1], shop=[1, 1])
    assert [made[1] for made in history_values(nearer, *looks[:2]).values()] == [
        pytest.approx(4),
        0,
    ]


def test_a_delay_beyond_the_horizon_still_brings_labels() -> None:
    table = dataset([0, 4, 6, 9], card=[1] * 4, label=[1, 0, 0, 0])
    assert known_frauds(table, 6 * DAY) == [0, 0, 1, 1]


def test_the_labels_of_all_null_are_none() -> None:
    table = twelve()
    features = fitted(
        table, *(of_card(kind) for kind in ("fraud_rate", "recent_labels", "since_label"))
    )
    nobody = conform_table(table.frame, table.schema, features.columns)
    made = features.transform(nobody)
    assert made["known labels 2d by card"].drop_nulls().unique().to_list() == [0]
    for name in features.history.names[1:]:
        assert made[name].null_count() == len(table)


def test_no_row_has_a_key() -> None:
    table = twelve(card=pl.Series([N] * 12, dtype=pl.String))
    looks = [look for look, _, _ in BY_HAND[:20]]
    for values in history_values(table, *looks).values():
        assert values == [N] * 12


def test_no_rows_have_no_values() -> None:
    table = twelve()
    features = fitted(table, *(look for look, _, _ in BY_HAND[:20]))
    none = table.take(np.arange(0))
    assert features.transform(none).shape == (0, len(features.names))
    assert features.transform(none, table).shape == (0, len(features.names))
    assert features.transform(table, none).equals(features.transform(table))


EXPLAINED = [
    (of_card("aggregate"), "rows of the same card over 2 days"),
    (
        of_card("aggregate", windows=("36h",), **BEFORE),
        "rows of the same card over 1.5 days before",
    ),
    (of_card("aggregate", windows=("1h",)), "rows of the same card over 1 hour"),
    (with_amount("aggregate", "max"), "amount, its max, of the same card over 2 days"),
    (
        with_amount("aggregate", "std", **BEFORE),
        "amount, its std, of the same card over 2 days before",
    ),
    (with_amount("ratio", "max"), "amount over its max of the same card in the 4 days before"),
    (of_card("distinct", **SHOP), "different shop of the same card over 2 days"),
    (of_card("time_since"), "days since the row before of the same card, up to 4 days"),
    (
        of_card("time_since", **SHOP),
        "days since the row before of the same card and shop, up to 4 days",
    ),
    (
        of_card("first_seen", **SHOP),
        "1 where the same card has not met this shop in the 4 days before",
    ),
    (
        of_card("fraud_rate", "frauds", windows=("1d",)),
        "known frauds of the same card, of those labels that arrived over 1 day",
    ),
    (
        of_card("recent_labels", lasts=(3,)),
        "share of frauds among the last 3 known labels of the same card",
    ),
    (
        of_card("since_label", "fraud"),
        "days since the last fraud row of the same card that is known",
    ),
    (of_card("frequency"), "share of all rows over 4 days that are of the same card"),
]


@pytest.mark.parametrize(("look", "said"), EXPLAINED)
def test_each_kind_says_what_it_is(look: Aggregate, said: str) -> None:
    features = fitted(twelve(), look)
    assert dict(features.explained())[features.history.names[0]] == said


def test_a_look_is_spelt_out_over_all_that_it_names() -> None:
    features = fitted(
        twelve(),
        Aggregate("aggregate", ("card", "shop"), columns=("amount",), statistics=("count", "mean")),
        of_card("fraud_rate", windows=("1d", "3d")),
        of_card("recent_labels"),
        Aggregate("first_seen", ("card",), partners=("shop",)),
        of_card("since_label"),
    )
    assert features.history.names == (
        "count 2d by card",
        "amount mean 2d by card",
        "count 2d by shop",
        "amount mean 2d by shop",
        "known labels 1d by card",
        "fraud rate 1d by card",
        "known labels 3d by card",
        "fraud rate 3d by card",
        "fraud rate of last 1 by card",
        "fraud rate of last 3 by card",
        "fraud rate of last 5 by card",
        "new shop by card",
        "days since known fraud by card",
        "days since known legitimate by card",
    )
    assert features.history.columns == {"card", "shop", "amount"}
    assert features.history.numbers == {"amount"}
    assert features.history.uses_labels
    assert not fitted(twelve(), of_card("aggregate")).history.uses_labels


def test_features_can_have_other_names() -> None:
    rename = {"count 2d by card": "visits", "shop": "visits", "amount": "€"}
    features = fitted(twelve(), of_card("aggregate"), rename=rename)
    assert features.names == ("card", "visits", "€", "visits of the time")
    assert features.history.names == ("count 2d by card",)
    assert tuple(features.transform(twelve()).columns) == features.names


def default_names(roles: dict[str, Any], delay: timedelta = DAY, **given: Any) -> tuple[str, ...]:
    table = dataset(DAYS, roles=roles, **COLUMNS)
    settings: dict[str, Any] = {"history": None, "windows": ("1d", "2d")}
    return fitted(table, delay=delay, **settings | given).history.names


def usual_names(key: str) -> tuple[str, ...]:
    risks = [f"{what} {over}" for over in ("1d", "2d") for what in RISKS]
    lasts = [f"fraud rate of last {last}" for last in (1, 2, 3, 5, 10)]
    since = ["days since known fraud", "days since known legitimate"]
    return tuple(f"{what} by {key}" for what in (*risks, *lasts, *since))


RISKS = ("known labels", "known frauds", "fraud rate")
COUNTS = ("count 1d by card", "count 2d by card", "days since last by card")
AMOUNTS = (
    "amount mean 1d by card",
    "amount mean 2d by card",
    "amount std 2d by card",
    "amount max 2d by card",
    "amount over mean 4d by card",
    "amount over median 4d by card",
    "amount over max 4d by card",
    "amount over median 4d by card mean 1d by card",
    "amount over median 4d by card max 1d by card",
    "amount over median 4d by card mean 2d by card",
    "amount over median 4d by card max 2d by card",
)
ENCODED = ("frequency 4d by shop", "fraud rate 4d by shop")


def test_the_default_plan_follows_from_the_roles() -> None:
    assert default_names({"entity": "card"}) == COUNTS + usual_names("card")
    assert default_names({"entity": "card", "amount": "amount"}) == (
        COUNTS + AMOUNTS + usual_names("card")
    )
    assert default_names({"entity": "card", "categorical": ("shop",)}) == (
        COUNTS + usual_names("card") + ENCODED
    )
    assert default_names({"categorical": ("shop",)}) == ENCODED


def test_the_default_plan_looks_at_partners_where_there_are_two_keys() -> None:
    both = default_names({"entity": "card", "categorical": ("shop",)}, keys=("shop",))
    partners = ("distinct shop 2d by card", "new shop by card")
    assert both[: len(COUNTS) + 2] == COUNTS + partners
    assert {"distinct card 2d by shop", "new card by shop"} < set(both)
    assert not set(ENCODED) & set(both)
    one = default_names({}, keys=("shop",))
    assert set(one) == {name for name in both if name.endswith("by shop") and "card" not in name}


def test_the_default_plan_runs_and_comes_back_from_json() -> None:
    roles = {"entity": "card", "amount": "amount", "categorical": ("shop",)}
    table = dataset(DAYS, roles=roles, **COLUMNS)
    features = fitted(table, history=None)
    made = features.transform(table)
    assert tuple(made.columns) == features.names
    assert set(made.dtypes) == {pl.Float64}
    assert FittedFeatures.from_dict(features.to_dict()) == features


RATE = of_card("fraud_rate", "rate")


@pytest.mark.parametrize(
    ("looks", "delay", "has_times", "days"),
    [
        ((), 1, False, 0),
        ((of_card("aggregate"),), 1, True, 2),
        ((of_card("time_since"),), 1, True, 4),
        ((of_card("aggregate", windows=("1d", "3d")), of_card("aggregate")), 1, False, 3),
        ((RATE,), 1, False, 3),
        ((RATE,), 0, False, 2),
        ((RATE,), 1, True, 6),
        ((RATE,), 5, False, 7),
        ((RATE,), 5, True, 7),
        ((of_card("recent_labels"),), 1, False, 5),
        ((of_card("since_label"),), 1, False, 5),
        ((with_amount("ratio"), of_card("aggregate", "max", columns=BY_HAND[10][1:2])), 1, True, 6),
        ((RATE, of_card("ratio", columns=("fraud rate 2d by card",))), 1, False, 7),
    ],
)
def test_as_much_history_is_needed_as_the_deepest_feature_reaches(
    looks: tuple[Aggregate, ...], delay: int, has_times: bool, days: float
) -> None:
    known: list[Any] = [N] * 12
    table = told(DAYS, known, **COLUMNS) if has_times else twelve()
    features = fitted(table, *looks, delay=delay * DAY)
    assert features.history_needed == days * 86_400
    again = FittedFeatures.from_dict(features.to_dict())
    assert again.history_needed == features.history_needed


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: of_card("aggregate", "mode"), r"has no statistic 'mode'. It has 'count', 'sum'"),
        (lambda: with_amount("ratio", "sum"), r"has no statistic 'sum'. It has 'mean', 'median'"),
        (
            lambda: of_card("first_seen", "mean", **SHOP),
            r"has no use for 'statistics'. It uses 'partners'",
        ),
        (lambda: of_card("aggregate", "count", "max"), r"needs 'columns' for 'count', 'max'"),
        (lambda: of_card("ratio"), r"kind 'ratio' needs 'columns'"),
        (lambda: of_card("distinct"), r"kind 'distinct' needs 'partners'"),
        (lambda: of_card("first_seen"), r"kind 'first_seen' needs 'partners'"),
        (lambda: Aggregate("aggregate", ()), r"kind 'aggregate' has no keys. Name the columns"),
        (lambda: of_card("aggregate", **SHOP), r"has no use for 'partners'. It uses 'columns'"),
        (lambda: of_card("time_since", windows=("1d",)), r"has no use for 'windows'"),
        (lambda: of_card("distinct", **SHOP, columns=("x",)), r"has no use for 'columns'"),
        (lambda: of_card("fraud_rate", lasts=(2,)), r"has no use for 'lasts'"),
        (lambda: of_card("recent_labels", smoothing=1.0), r"has no use for 'smoothing'"),
        (lambda: of_card("aggregate", empty=0.0), r"has no use for 'empty'"),
        (lambda: with_amount("ratio", present=False), r"has no use for 'present'"),
        (lambda: of_card("aggregate", windows=("0",)), r"holds '0'. A window is longer"),
        (lambda: of_card("aggregate", windows=("0d",)), r"holds '0d'. A window is longer"),
        (lambda: of_card("aggregate", windows=("-1d",)), r"windows is '-1d'. A length of time"),
        (lambda: of_card("recent_labels", lasts=(0,)), r"lasts are '0'. Each is at least 1"),
        (lambda: of_card("fraud_rate", smoothing=-1.0), r"smoothing is -1.0. It is at least 0"),
        (lambda: FeatureSettings(windows=("0h",)), r"features.windows holds '0h'"),
        (lambda: FeatureSettings(horizon="0"), r"features.horizon holds '0'"),
        (lambda: FeatureSettings(horizon="soon"), r"features.horizon is 'soon'"),
        (
            lambda: FeatureSettings(history=None, windows=("7d",), horizon="3d"),
            r"a window of 7d reaches beyond features.horizon=3d. Shorten the window",
        ),
        (
            lambda: FeatureSettings(
                history=(of_card("aggregate", windows=("9d",)),), windows=("1d",), horizon="3d"
            ),
            r"a window of 9d reaches beyond features.horizon=3d",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make()


def test_all_that_is_wrong_with_a_look_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        Aggregate("ratio", (), statistics=("sum",), windows=("0d",), lasts=(0,), smoothing=-1.0)
    said = str(refused.value)
    assert said.startswith("8 problems in features.history.")
    for one in ("no keys", "'lasts'", "'smoothing'", "'columns'", "'sum'", "'0d'", "at least 0"):
        assert one in said


def test_windows_beyond_the_horizon_are_no_matter_where_nothing_looks_back() -> None:
    assert FeatureSettings(history=(), windows=("7d",), horizon="3d").horizon == "3d"


def test_looking_back_needs_a_clock() -> None:
    table = dataset(DAYS, roles={"time": None}, **COLUMNS)
    with pytest.raises(ConfigError, match=r"data\.columns\.time is not set"):
        fitted(table, of_card("aggregate"))


def test_the_default_plan_needs_somebody_to_look_back_on() -> None:
    with pytest.raises(ConfigError, match=r"Set data\.columns\.entity, or features\.keys"):
        fitted(twelve(), history=None)


SECRETS: dict[str, dict[str, Any]] = {
    "label": {},
    "id": {"id": "hidden"},
    "group": {"group": "hidden"},
    "exclude": {"exclude": ("hidden",)},
    "label_time": {"label_time": "hidden"},
    "cost": {},
}


@pytest.mark.parametrize("role", SECRETS)
@pytest.mark.parametrize("place", ["keys", "columns", "partners"])
def test_what_is_never_a_feature_is_not_looked_at(role: str, place: str) -> None:
    hidden = pl.int_range(12, eager=True)
    values = hidden * DAY + START if role == "label_time" else hidden
    table = dataset(DAYS, roles=SECRETS[role], hidden=values, **COLUMNS)
    named = ("label" if role == "label" else "hidden",)
    look = {
        "keys": Aggregate("aggregate", named),
        "columns": of_card("aggregate", "sum", columns=named),
        "partners": of_card("distinct", partners=named),
    }[place]
    with pytest.raises(ConfigError, match=rf"features\.history looks at '{named[0]}', which is"):
        fitted(table, look, never="hidden" if role == "cost" else "")


def test_columns_that_are_not_there_come_with_the_nearest_names() -> None:
    with pytest.raises(DataError) as refused:
        fitted(
            twelve(),
            Aggregate("aggregate", ("crd",), columns=("amont",), statistics=("sum",)),
            Aggregate("distinct", ("card",), partners=("zzz",)),
        )
    said = str(refused.value)
    assert said.startswith("3 columns are missing.")
    assert "features.history names column 'crd', which is not in the table" in said
    assert "Did you mean 'card'?" in said
    assert "Did you mean 'amount'?" in said
    assert "'zzz'" in said


@pytest.mark.parametrize("place", ["keys", "partners"])
def test_a_feature_is_no_key_and_no_partner(place: str) -> None:
    name = ("count 2d by card",)
    look = Aggregate("aggregate", name) if place == "keys" else of_card("distinct", partners=name)
    with pytest.raises(DataError, match="names column 'count 2d by card', which is not in the tab"):
        fitted(twelve(), of_card("aggregate"), look)


def test_statistics_are_made_of_numbers() -> None:
    with pytest.raises(DataError) as refused:
        fitted(twelve(), of_card("aggregate", "sum", columns=("shop", "t")))
    said = str(refused.value)
    assert "statistics of column 'shop', which is of type String. Expected a number" in said
    assert "statistics of column 't', which is of type Datetime" in said


@pytest.mark.parametrize("where", ["table", "history"])
def test_text_that_is_no_number_is_refused_when_scoring(where: str) -> None:
    table = twelve()
    features = fitted(table, with_amount("aggregate"), drop=("amount", "shop"))
    words = twelve(amount=list("abcdefghijkl"))
    tables = (words, table) if where == "table" else (table, words)
    with pytest.raises(DataError, match=r"is text in 12 of 12 rows here \(first at row 0: 'a'\)"):
        features.transform(*tables)


def test_text_that_is_a_number_is_read() -> None:
    table = twelve()
    features = fitted(table, with_amount("aggregate", "sum"), drop=("amount", "shop"))
    words = twelve(amount=table.frame["amount"].cast(pl.String))
    assert features.transform(words).equals(features.transform(table))
    piece, history = words.take(np.arange(6, 12)), table.take(np.arange(6))
    assert features.transform(piece, history).equals(features.transform(table)[6:])


def test_a_feature_is_not_made_of_another_keys_nor_of_a_later_one() -> None:
    usual = with_amount("ratio", "median")
    above = ("amount over median 4d by card",)
    of_shop = Aggregate("aggregate", ("shop",), columns=above, statistics=("max",))
    of_same = of_card("aggregate", "max", columns=above)
    told = f"of the feature '{above[0]}', which is of another key or comes after it"
    for looks in ((usual, of_shop), (of_same, usual)):
        with pytest.raises(ConfigError, match=told):
            fitted(twelve(), *looks)


def test_two_features_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"makes 'count 2d by card' twice"):
        fitted(twelve(), of_card("aggregate"), of_card("aggregate", windows=("1d", "2d")))


def test_an_unknown_name_in_rename_comes_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as refused:
        fitted(twelve(), of_card("aggregate"), rename={"count 2d by crd": "visits"})
    said = str(refused.value)
    assert "features.rename has 'count 2d by crd', and no feature is called so" in said
    assert "Did you mean 'count 2d by card'" in said


@pytest.mark.parametrize(("horizon", "said"), [("90d", 1), ("9d", 0)])
def test_a_look_longer_than_the_table_is_said_once(
    horizon: str, said: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "fraudml.features"):
        fitted(twelve(), of_card("time_since"), of_card("recent_labels"), horizon=horizon)
    told = "The longest look back is 90 days, and the table 9 days long: no row sees more."
    assert caplog.text.count(told) == said
    assert caplog.text.count("The longest look back") == said


EVERY = tuple(
    Aggregate(
        kind,
        ("card",),
        columns=("amount",) if kind in ("aggregate", "ratio") else (),
        partners=("shop",) if kind in ("distinct", "first_seen") else (),
        statistics=STATISTICS.get(kind, ()),
    )
    for kind in get_args(HistoryKind)
    if kind != "frequency"
)


@pytest.mark.parametrize("days", [0.0, 1e-3], ids=["one moment", "one key"])
def test_twenty_thousand_rows_of_one_key_take_no_time(days: float) -> None:
    rows = 20_000
    amount = np.random.default_rng(0).lognormal(3, 1, rows)
    table = dataset(
        [days * row for row in range(rows)],
        card=[1] * rows,
        shop=np.arange(rows) % 7,
        amount=amount,
    )
    features = fitted(table, *EVERY)
    start = time.process_time()
    made = features.transform(table)
    assert time.process_time() - start < 10
    count = made["count 2d by card"].to_list()
    if days:
        inside = 2_000
        assert count == [min(row + 1, inside) for row in range(rows)]
        sums = np.cumsum(amount)
        sums[inside:] -= sums[:-inside].copy()
        np.testing.assert_allclose(made["amount sum 2d by card"], sums, rtol=1e-9)
    else:
        assert count == [rows] * rows
        assert made["amount std 2d by card"][0] == pytest.approx(amount.std(ddof=1), rel=1e-12)
        assert set(made["known labels 2d by card"]) == {0}


def test_the_kinds_of_format_1_become_those_of_today() -> None:
    kinds = "trailing", "since", "new", "risk", "streak", "ratio"
    old = {"own": [], "history": {"features": [{"kind": kind} for kind in kinds], "horizon": 1}}
    upgraded = upgrade_plan(old)
    names = [feature["kind"] for feature in upgraded["history"]["features"]]
    assert names == [
        "aggregate",
        "time_since",
        "first_seen",
        "fraud_rate",
        "recent_labels",
        "ratio",
    ]
    assert old["history"]["features"][0]["kind"] == "trailing"
    assert upgrade_plan(upgraded) == upgraded
