"""Laws of what looks back: as a slow loop says, no future, no order, pieces are the whole."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fraudml.data.check import check_table, conform_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.features.history import HistoryFeature
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.features.settings import STATISTICS, Aggregate, FeatureSettings

SOME = settings(max_examples=15, deadline=None)
MORE = settings(max_examples=30, deadline=None)
MANY = settings(max_examples=50, deadline=None)
MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1)
STARTS = (datetime(2026, 1, 1), datetime(1969, 12, 30, 5, 0, 0, 1))
DELAYS = (timedelta(0), timedelta(hours=12), timedelta(days=5))
KEYS = ("card", "shop", "word")
HORIZON = timedelta(days=3)
TRAILING, RATIO, RISK = STATISTICS["aggregate"], STATISTICS["ratio"], STATISTICS["fraud_rate"]

LOOKS: dict[str, tuple[Aggregate, ...]] = {
    "aggregate": (
        Aggregate("aggregate", ("card",), columns=("amount",), statistics=TRAILING),
        Aggregate("aggregate", ("card",), columns=("amount",), statistics=TRAILING, present=False),
        Aggregate("aggregate", ("shop",), columns=("price", "amount"), windows=("1h", "1us")),
        Aggregate(
            "aggregate", ("word",), columns=("price",), statistics=("std", "median", "count")
        ),
    ),
    "ratio": (
        Aggregate("ratio", ("card", "word"), columns=("price",), statistics=RATIO),
        Aggregate("ratio", ("shop",), columns=("amount",), statistics=RATIO[1:], windows=("6h",)),
    ),
    "distinct": (Aggregate("distinct", ("card", "shop"), partners=("word", "shop")),),
    "time_since": (
        Aggregate("time_since", KEYS),
        Aggregate("time_since", ("card",), partners=("shop", "word")),
    ),
    "first_seen": (Aggregate("first_seen", ("card", "shop"), partners=("word",)),),
    "fraud_rate": (
        Aggregate("fraud_rate", ("card",), statistics=RISK),
        Aggregate("fraud_rate", ("shop",), statistics=RISK, smoothing=10.0),
        Aggregate(
            "fraud_rate",
            ("shop",),
            statistics=("rate",),
            windows=("1d",),
            smoothing=0.5,
            empty=0.25,
        ),
        Aggregate("fraud_rate", ("word",), statistics=("rate",), empty=-1.0),
    ),
    "recent_labels": (
        Aggregate("recent_labels", ("card", "word")),
        Aggregate("recent_labels", ("shop",), lasts=(2, 7), empty=0.5),
    ),
    "since_label": (Aggregate("since_label", ("card", "word")),),
    "frequency": (Aggregate("frequency", KEYS, windows=("6h", "3d")),),
}
COMPOSED = (
    Aggregate(
        "aggregate", ("card",), columns=("price over median 3d by card",), statistics=TRAILING[1:]
    ),
    Aggregate("ratio", ("card",), columns=("fraud rate 2d by card",), statistics=("mean",)),
    Aggregate(
        "aggregate", ("card",), columns=("days since last by card",), statistics=("mean", "min")
    ),
)
EVERY = (*(look for looks in LOOKS.values() for look in looks), *COMPOSED)


@dataclass(frozen=True)
class Case:
    """Rows of a few keys on a coarse clock, in the order of time, and when labels arrive."""

    frame: pl.DataFrame
    told: bool
    delay: timedelta

    def checked(self, frame: pl.DataFrame | None = None) -> Dataset:
        roles = ColumnRoles(id="id", time="t", label_time="known" if self.told else None)
        return check_table(self.frame if frame is None else frame, DataSettings(columns=roles))

    def fitted(
        self, looks: Iterable[Aggregate] = EVERY, windows: tuple[str, ...] = ("2d",)
    ) -> FittedFeatures:
        table, looks = self.checked(), tuple(looks)
        chosen = FeatureSettings(
            keys=KEYS, history=looks, windows=windows, horizon="3d", time_parts=()
        )
        return fit_features(table, np.arange(len(table)), chosen, label_delay=self.delay)

    @property
    def arrival(self) -> pl.Series:
        told = self.frame["known"] if self.told else self.frame["t"] + self.delay
        usual, soonest = self.frame["t"] + self.delay, self.frame["t"] + MICROSECOND
        return pl.select(pl.max_horizontal(told.fill_null(usual), soonest)).to_series()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Tables in which nothing, or all, or much happens at one moment, and a part is missing."""
    rows = draw(st.sampled_from([2, 12, 30, 60]))
    hours = draw(st.sampled_from([0, 6, 60, 300]))
    keys = draw(st.sampled_from([1, 2, 12]))
    missing = draw(st.sampled_from([0.0, 0.2, 0.8]))
    start = draw(st.sampled_from(STARTS))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def holed(values: Any, share: float = missing) -> pl.Series:
        gone = pl.Series(generator.random(rows) < share)
        return pl.select(pl.when(~gone).then(pl.Series(values))).to_series()

    def hollow(values: Any) -> pl.Series:
        return holed(np.where(generator.random(rows) < missing / 4, np.nan, values))

    def some(values: Any) -> Any:
        return generator.choice(values, rows)

    moments = start + pl.Series(np.sort(generator.integers(0, hours + 1, rows))) * HOUR
    late = [
        timedelta(0),
        MICROSECOND,
        7 * HOUR,
        30 * HOUR,
        HORIZON,
        HORIZON + MICROSECOND,
        3 * HORIZON,
    ]
    known = moments + pl.Series(some(np.array(late, dtype="timedelta64[us]")))
    label = holed(generator.integers(0, 2, rows).astype(np.int8), min(missing, 0.4)).to_list()
    spread = np.where(generator.random(rows) < 0.7, generator.lognormal(2, 1, rows), some([0, 2.5]))
    frame = pl.DataFrame(
        {
            "id": generator.permutation(rows),
            "label": pl.Series([0, 1, *label[2:]], dtype=pl.Int8),
            "t": moments,
            "known": holed(known),
            "card": holed(generator.integers(0, keys, rows)),
            "shop": holed(generator.integers(-1, keys, rows)),
            "word": holed(some(np.array(["a", "b", "", "é", "1"]))),
            "amount": hollow(spread * some([-1.0, 1.0])),
            "price": holed(spread),
        },
        strict=False,
    )
    told = draw(st.booleans())
    return Case(frame if told else frame.drop("known"), told, draw(st.sampled_from(DELAYS)))


def values(
    features: FittedFeatures, table: Dataset, history: Dataset | None = None, **given: Any
) -> NDArray[np.float64]:
    made = features.transform(table, history, **given)
    return made.select(made.columns[len(features.own) :]).to_numpy()


def assert_same_bits(found: NDArray[Any], expected: NDArray[Any]) -> None:
    assert found.dtype == expected.dtype
    bits = np.dtype(f"i{found.dtype.itemsize}")
    np.testing.assert_array_equal(
        np.ascontiguousarray(found).view(bits), np.ascontiguousarray(expected).view(bits)
    )


def int64(positions: Any) -> NDArray[np.int64]:
    return np.asarray(positions, dtype=np.int64)


@dataclass(frozen=True)
class Row:
    """What the slow loop looks at; moments in microseconds."""

    at: int
    label: int | None
    known: int
    cells: dict[str, Any]


def rows_of(case: Case) -> list[Row]:
    def stamp(moment: datetime) -> int:
        return (moment - EPOCH) // MICROSECOND

    def cell(value: Any) -> Any:
        return None if value == "" or (isinstance(value, float) and math.isnan(value)) else value

    return [
        Row(
            stamp(row["t"]),
            row["label"],
            stamp(known),
            {name: cell(value) for name, value in row.items()},
        )
        for row, known in zip(case.frame.iter_rows(named=True), case.arrival, strict=True)
    ]


SLOW: dict[str | None, Callable[[list[float]], float | None]] = {
    "sum": lambda seen: math.fsum(seen) if seen else None,
    "mean": lambda seen: statistics.fmean(seen) if seen else None,
    "std": lambda seen: statistics.stdev(seen) if len(seen) > 1 else None,
    "min": lambda seen: min(seen, default=None),
    "max": lambda seen: max(seen, default=None),
    "median": lambda seen: statistics.median(seen) if seen else None,
}


def share(rows: list[Row], empty: float | None) -> float | None:
    return sum(row.label == 1 for row in rows) / len(rows) if rows else empty


def known_at(made: HistoryFeature, now: Row, rows: list[Row], delay: timedelta) -> list[Row]:
    """Rows whose label arrived in the window, in the order of arrival."""
    reach = max(HORIZON // MICROSECOND, delay // MICROSECOND + 1)
    known = [
        row
        for row in rows
        if row.label is not None
        and row.known - row.at <= reach
        and now.at - made.window < row.known <= now.at
    ]
    return sorted(known, key=lambda row: (row.known, row.at, row.label))


def days_since(made: HistoryFeature, now: Row, rows: list[Row]) -> float | None:
    past = [now.at - row.at for row in rows if now.at - row.at < made.window]
    return min(past) / 86_400e6 if past else None


def fraud_rate(
    made: HistoryFeature, now: Row, own: list[Row], rows: list[Row], delay: timedelta
) -> float | None:
    known = known_at(made, now, own, delay)
    frauds = sum(row.label == 1 for row in known)
    if made.statistic == "known":
        return len(known)
    if made.statistic == "frauds":
        return frauds
    usual = share(known_at(made, now, rows, delay), None)
    if not made.smoothing or usual is None:
        return share(known, made.empty)
    return (frauds + made.smoothing * usual) / (len(known) + made.smoothing)


def slow(made: HistoryFeature, now: Row, rows: list[Row], delay: timedelta) -> float | None:
    """Compute one value as the docstrings of `Aggregate` and `HistoryFeature` say it."""
    if now.cells[made.key] is None:
        return None
    rows = [row for row in rows if row.cells[made.key] is not None]
    own = [row for row in rows if row.cells[made.key] == now.cells[made.key]]
    upto = [row for row in own if now.at - made.window < row.at <= now.at]
    before = [row for row in upto if row.at < now.at]
    inside = upto if made.kind not in ("aggregate", "ratio") or made.present else before
    mine = now.cells.get(made.column or "")
    with_whom = now.cells.get(made.partner or "")
    met = [row for row in before if row.cells.get(made.partner or "") == with_whom]

    def cells(seen: list[Row]) -> list[float]:
        return [row.cells[made.column] for row in seen if row.cells[made.column] is not None]

    value: float | None = None
    match made.kind:
        case "aggregate" if made.statistic == "count":
            value = len(inside)
        case "aggregate":
            value = SLOW[made.statistic](cells(inside))
        case "ratio":
            usual = SLOW[made.statistic](cells(before))
            if mine is not None and usual is not None and usual > 0:
                value = mine / usual
        case "distinct":
            value = len({row.cells[made.partner] for row in upto} - {None})
        case "time_since" if made.partner is None or with_whom is not None:
            value = days_since(made, now, met)
        case "first_seen" if with_whom is not None:
            value = float(not met)
        case "fraud_rate":
            value = fraud_rate(made, now, own, rows, delay)
        case "recent_labels":
            value = share(known_at(made, now, own, delay)[-(made.last or 0) :], made.empty)
        case "since_label":
            wanted = int(made.statistic == "fraud")
            known = known_at(replace(made, window=10**18), now, own, delay)
            value = days_since(made, now, [row for row in known if row.label == wanted])
        case "frequency":
            value = len(upto) / sum(now.at - made.window < row.at <= now.at for row in rows)
    return value


ROUNDED = ("sum", "mean", "std", "median")


def assert_as_slow(case: Case, looks: Iterable[Aggregate]) -> None:
    features, rows = case.fitted(looks, windows=("6h", "2d")), rows_of(case)
    found = features.transform(case.checked())
    for made in features.history.features:
        expected = [slow(made, row, rows, case.delay) for row in rows]
        for row, value in zip(rows, expected, strict=True):
            row.cells[made.name] = value
        composed = made.column in features.history.names
        near = 1e-9 if composed or made.statistic in ROUNDED else 0.0
        np.testing.assert_allclose(
            found[made.name].to_numpy(),
            np.array(expected, dtype=np.float64),
            rtol=near,
            atol=near,
            err_msg=str(made),
        )


@MANY
@pytest.mark.parametrize("kind", LOOKS)
@given(case=cases())
def test_each_kind_is_what_a_slow_loop_says(kind: str, case: Case) -> None:
    assert_as_slow(case, LOOKS[kind])


@SOME
@given(case=cases())
def test_what_is_made_of_features_is_what_a_slow_loop_says(case: Case) -> None:
    below = (*LOOKS["ratio"], *LOOKS["fraud_rate"], *LOOKS["time_since"])
    assert_as_slow(case, (*below, *COMPOSED))


def with_both_classes(frame: pl.DataFrame, after: datetime) -> pl.DataFrame:
    """Two rows far ahead, so that a table of any labels is one to train on."""
    ahead = pl.DataFrame(
        {"id": [-1, -2], "label": [0, 1], "t": [after + 10 * HORIZON] * 2},
        schema_overrides={name: frame.schema[name] for name in ("id", "label", "t")},
    )
    return pl.concat([frame, ahead], how="diagonal")


@SOME
@given(case=cases(), data=st.data())
def test_no_future(case: Case, data: st.DataObject) -> None:
    now = data.draw(st.sampled_from(case.frame["t"].unique().sort().to_list()))
    frame, features = case.frame, case.fitted()
    until = int((frame["t"] <= now).sum())
    expected = values(features, case.checked())[:until]
    later, unknown = frame["t"] > now, case.arrival > now
    other = frame.sample(fraction=1, shuffle=True, seed=len(frame))
    moved = {"label": pl.when(unknown | later).then(other["label"]).otherwise(pl.col("label"))}
    if case.told:
        moved["known"] = pl.when(unknown | later).then(now + HOUR).otherwise(pl.col("known"))
    for name in (*KEYS, "amount", "price"):
        moved[name] = pl.when(later).then(other[name]).otherwise(pl.col(name))
    moved["t"] = pl.when(later).then(now + MICROSECOND).otherwise(pl.col("t"))
    turned = frame.with_columns(label=pl.when(unknown).then(1 - pl.col("label")).otherwise("label"))
    removed = frame.with_columns(label=pl.when(~unknown).then("label")).head(until)
    for changed in (frame.with_columns(**moved), turned, removed):
        table = case.checked(with_both_classes(changed, frame["t"][-1]))
        assert_same_bits(values(features, table)[:until], expected)


@SOME
@given(case=cases())
def test_a_label_later_than_the_horizon_is_never_used(case: Case) -> None:
    features, frame = case.fitted(), case.frame
    late = case.arrival - frame["t"] > max(HORIZON, case.delay)
    turned = frame.with_columns(label=pl.when(late).then(1 - pl.col("label")).otherwise("label"))
    one, other = (
        values(features, case.checked(with_both_classes(some, frame["t"][-1])))
        for some in (frame, turned)
    )
    assert_same_bits(other, one)


@SOME
@given(case=cases(), seed=st.integers(0, 99))
def test_the_order_of_the_rows_changes_no_value(case: Case, seed: int) -> None:
    table, features = case.checked(), case.fitted()
    expected = values(features, table)[table.frame["id"].arg_sort()]
    order = np.random.default_rng(seed).permutation(len(table))
    sorted_again, as_it_comes = case.checked(case.frame[order]), table.take(order)
    for turned in (sorted_again, as_it_comes):
        found = values(features, turned)[turned.frame["id"].arg_sort()]
        assert_same_bits(found, expected)
    conformed, turned = (
        conform_table(frame, table.schema, features.columns)
        for frame in (case.frame, case.frame[order])
    )
    assert_same_bits(values(features, turned), values(features, conformed)[order])


@MORE
@given(case=cases(), data=st.data())
def test_pieces_with_as_much_history_as_is_needed_are_the_whole(
    case: Case, data: st.DataObject
) -> None:
    looks = data.draw(
        st.sampled_from([EVERY, LOOKS["aggregate"], LOOKS["fraud_rate"], LOOKS["recent_labels"]])
    )
    table, features = case.checked(), case.fitted(looks)
    whole, times = values(features, table), table.facts["time"]
    moments = times.unique().sort().to_list()
    chosen = data.draw(st.sets(st.sampled_from(moments), min_size=1, max_size=3))
    starts = sorted({0, *(int((times < moment).sum()) for moment in chosen)})
    for first, last in pairwise([*starts, len(table)]):
        piece = table.take(int64(range(first, last)))
        enough = times[first] - timedelta(seconds=features.history_needed)
        for earlier in (range(first), range(int((times < enough).sum()), first)):
            found = values(features, piece, table.take(int64(earlier)))
            assert_same_bits(found, whole[first:last])


@SOME
@given(case=cases())
def test_rows_of_one_moment_are_scored_without_their_labels(case: Case) -> None:
    table, features = case.checked(), case.fitted()
    now = table.facts["time"] == table.facts["time"][-1]
    history = table.take(int64((~now).arg_true()))
    to_score = case.frame.filter(now).drop("label")
    piece = conform_table(to_score, table.schema, features.columns)
    expected = values(features, table)[now.to_numpy()]
    assert_same_bits(values(features, piece, history), expected)


@SOME
@given(case=cases())
def test_json_and_back_gives_equal_objects_and_the_same_bits(case: Case) -> None:
    table, features = case.checked(), case.fitted()
    content: Any = json.loads(json.dumps(features.to_dict(), allow_nan=False))
    again = FittedFeatures.from_dict(content)
    assert again == features
    assert again.names == features.names
    assert_same_bits(values(again, table), values(features, table))


@SOME
@given(case=cases(), data=st.data())
def test_the_matrix_is_the_transform_in_float32_whatever_the_threads(
    case: Case, data: st.DataObject
) -> None:
    table, features = case.checked(), case.fitted()
    made = features.transform(table)
    expected = made.cast(pl.Float32).to_numpy()
    history_values = features.compute_history(table, threads=3)
    some = data.draw(st.sets(st.integers(0, len(table) - 1)))
    rows = int64(sorted(some))
    assert_same_bits(values(features, table, threads=3), values(features, table, threads=1))
    assert_same_bits(history_values, features.compute_history(table, threads=1))
    assert_same_bits(history_values, expected[:, len(features.own) :])
    assert_same_bits(features.matrix(table, threads=3).values, expected)
    assert_same_bits(features.matrix(table, rows, threads=1).values, expected[rows])
    assert_same_bits(
        features.matrix(table, rows, history_values=history_values).values, expected[rows]
    )


def retyped(frame: pl.DataFrame, dtype: Any) -> pl.DataFrame:
    typed = frame.with_columns(pl.col("card", "shop").cast(dtype))
    if dtype == pl.Float64:
        typed = typed.with_columns(pl.col("card").fill_null(math.nan))
    return typed


KEY_TYPES = (pl.Float64, pl.Float32, pl.Int8, pl.String)


@SOME
@given(case=cases(), dtype=st.sampled_from(KEY_TYPES))
def test_keys_are_the_same_in_every_type(case: Case, dtype: Any) -> None:
    features = case.fitted()
    frame = case.frame.with_columns(pl.col("word").cast(pl.Categorical))
    found = values(features, case.checked(retyped(frame, dtype)))
    assert_same_bits(found, values(features, case.checked()))


@SOME
@given(case=cases())
def test_keys_by_other_names_have_the_same_past(case: Case) -> None:
    features = case.fitted()
    renamed = case.frame.with_columns(
        card=10**15 - 7 * pl.col("card"),
        word=pl.when(pl.col("word") != "").then(pl.concat_str(pl.lit("z"), pl.col("word"))),
    )
    found = values(features, case.checked(renamed))
    assert_same_bits(found, values(features, case.checked()))


@SOME
@given(case=cases(), dtype=st.sampled_from(KEY_TYPES), swapped=st.booleans())
def test_history_may_hold_its_keys_in_another_type(case: Case, dtype: Any, swapped: bool) -> None:
    table, features = case.checked(), case.fitted()
    times = table.facts["time"]
    first = int((times < times[len(times) // 2]).sum())
    other = case.checked(retyped(case.frame, dtype))
    earlier, later = (other, table) if swapped else (table, other)
    found = values(
        features,
        later.take(int64(range(first, len(table)))),
        earlier.take(int64(range(first))),
    )
    assert_same_bits(found, values(features, table)[first:])
