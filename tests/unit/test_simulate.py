"""The simulated table: what is asked for, the same every time, and neither trivial nor hopeless."""

from __future__ import annotations

import datetime as dt
import time

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

from fraudml.data.fingerprint import fingerprint
from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate
from fraudml.errors import ConfigError

DEFAULT = SimulateSettings(rows=100_000)
FEATURES = (
    "amount",
    "merchant_category",
    "entry_mode",
    "country",
    "device",
    "card_age_days",
    "customer_age",
    "minutes_since_login",
)


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return simulate(DEFAULT)


def frauds(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("label") == 1)


def test_columns(table: pl.DataFrame) -> None:
    moment = pl.Datetime("us")
    assert table.schema == {
        "transaction_id": pl.Int64,
        "time": moment,
        "card_id": pl.String,
        "terminal_id": pl.String,
        "amount": pl.Float64,
        "merchant_category": pl.String,
        "entry_mode": pl.String,
        "country": pl.String,
        "device": pl.String,
        "card_age_days": pl.Float64,
        "customer_age": pl.Float64,
        "minutes_since_login": pl.Float64,
        "label": pl.Int8,
        "label_time": moment,
    }


def test_size_order_and_span(table: pl.DataFrame) -> None:
    assert table.height == DEFAULT.rows
    assert table["time"].is_sorted()
    assert table["transaction_id"].to_list() == list(range(1, DEFAULT.rows + 1))
    days = table["time"].dt.date().unique()
    assert len(days) == DEFAULT.days
    assert (days.max() - days.min()).days == DEFAULT.days - 1
    assert table["card_id"].n_unique() > 0.98 * DEFAULT.cards
    assert table["terminal_id"].n_unique() > 0.98 * DEFAULT.terminals
    assert table["amount"].min() >= 0.5


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (SimulateSettings(rows=500, prevalence=0.2), 100),
        (SimulateSettings(rows=20_000), 100),
        (SimulateSettings(rows=1), 1),
        (SimulateSettings(rows=3, days=1, cards=1, terminals=1, prevalence=0.4), 1),
        (SimulateSettings(rows=1_000, days=1, prevalence=0.49), 490),
    ],
)
def test_rows_and_frauds_are_as_asked(settings: SimulateSettings, count: int) -> None:
    table = simulate(settings)
    assert table.height == settings.rows
    assert table["label"].sum() == count
    days = table["time"].dt.date()
    assert (days.max() - days.min()).days < settings.days


def test_seed_decides() -> None:
    settings = SimulateSettings(rows=5_000)
    again = SimulateSettings(rows=5_000)
    assert fingerprint(simulate(settings)) == fingerprint(simulate(again))
    other = simulate(SimulateSettings(rows=5_000, seed=1))
    assert fingerprint(simulate(settings)) != fingerprint(other)
    assert not simulate(settings)["amount"].equals(other["amount"])


def test_labels_arrive_late(table: pl.DataFrame) -> None:
    assert table.filter(pl.col("label") == 0)["label_time"].null_count() == DEFAULT.rows - 500
    delay = frauds(table).select(pl.col("label_time") - pl.col("time")).to_series()
    assert delay.null_count() == 0
    assert delay.min() > dt.timedelta(hours=1)
    assert dt.timedelta(days=1) < delay.median() < dt.timedelta(days=5)
    assert delay.max() <= dt.timedelta(days=31)


def test_missing_values(table: pl.DataFrame) -> None:
    missing = {
        name: table[name].null_count() / table.height for name in table.columns if name in FEATURES
    }
    assert {name for name, share in missing.items() if share} == {
        "merchant_category",
        "device",
        "customer_age",
        "minutes_since_login",
    }
    online = table.filter(pl.col("entry_mode").is_in(["online", "wallet"]))
    shares = online.group_by("label").agg(pl.col("minutes_since_login").is_null().mean())
    guest = dict(shares.iter_rows())
    assert guest[1] > 1.5 * guest[0]
    assert table.filter(pl.col("entry_mode") == "chip")["device"].null_count() == (
        table.filter(pl.col("entry_mode") == "chip").height
    )


def test_three_patterns_of_fraud(table: pl.DataFrame) -> None:
    """Bursts on cards, periods at terminals, small payments at night."""
    found = frauds(table)
    near = found.with_columns(
        (pl.col("time") - pl.col("time").shift()).over("card_id").alias("since")
    )
    assert (near["since"] < dt.timedelta(days=1.5)).sum() > 0.4 * found.height
    times = found.group_by("terminal_id").agg(
        pl.len(), pl.col("card_id").n_unique().alias("cards"),
        (pl.col("time").max() - pl.col("time").min()).alias("span"),
    )  # fmt: skip
    held = times.filter((pl.col("cards") >= 5) & (pl.col("span") < dt.timedelta(days=30)))
    assert held["len"].sum() > 0.15 * found.height
    tests = pl.col("time").dt.hour().is_between(0, 6) & (pl.col("amount") < 5)
    assert found.select(tests.mean()).item() > 20 * table.select(tests.mean()).item()


def test_no_column_gives_the_label_away(table: pl.DataFrame) -> None:
    label = table["label"].to_numpy()
    for name in FEATURES:
        column = table[name]
        if column.dtype == pl.String:
            share = pl.col("label").mean().over(name)
            scores = [table.select(share).to_series().to_numpy()]
        else:
            values = column.to_numpy()
            scores = [sign * np.nan_to_num(values, nan=-1.0) for sign in (1, -1)]
        reached = max(average_precision_score(label, score) for score in scores)
        assert reached < 0.3, name


def test_drift_changes_frauds_of_the_second_half_alone() -> None:
    plain = simulate(SimulateSettings(rows=50_000, prevalence=0.02))
    drifted = simulate(SimulateSettings(rows=50_000, prevalence=0.02, drift=1.0))
    middle = plain["time"].min() + dt.timedelta(days=45)

    def part(table: pl.DataFrame, late: bool, label: int) -> pl.DataFrame:
        when = pl.col("time") >= middle if late else pl.col("time") < middle - dt.timedelta(days=1)
        return table.filter(when, pl.col("label") == label).drop("transaction_id")

    for late in (False, True):
        assert part(plain, late, 0).equals(part(drifted, late, 0))
    assert part(plain, False, 1).equals(part(drifted, False, 1))
    before, after = part(plain, True, 1), part(drifted, True, 1)
    stripe = pl.col("entry_mode") == "magstripe"
    assert after.select(stripe.mean()).item() < 0.5 * before.select(stripe.mean()).item()
    night = pl.col("time").dt.hour() < 6
    assert after.select(night.mean()).item() < 0.6 * before.select(night.mean()).item()
    high, highest = (t["amount"].quantile(0.9) for t in (after, before))
    assert high < 0.7 * highest


def test_half_a_drift_lies_between() -> None:
    def stripes(drift: float) -> float:
        late = frauds(simulate(SimulateSettings(rows=50_000, prevalence=0.02, drift=drift)))[500:]
        return late.select((pl.col("entry_mode") == "magstripe").mean()).item()

    none, half, full = stripes(0.0), stripes(0.5), stripes(1.0)
    assert full < half < none


def test_is_fast() -> None:
    started = time.process_time()
    simulate(SimulateSettings())
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    ("key", "value"),
    [("rows", 0), ("cards", 0), ("prevalence", 0.0), ("prevalence", 0.5), ("drift", 2.0)],
)
def test_impossible_settings(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"data.simulate.{key}"):
        SimulateSettings(**{key: value})


@pytest.mark.slow
def test_history_says_more_than_the_columns() -> None:
    """Columns alone rank far above chance, and what a card did before lifts that by a third."""
    import lightgbm as lgb

    table = simulate(SimulateSettings(rows=80_000, cards=2_000, terminals=400)).with_columns(
        pl.col("time").dt.hour().alias("hour"),
        (pl.col("amount").log() - pl.col("amount").log().cum_sum().shift() / pl.int_range(pl.len()))
        .over("card_id").alias("over_usual"),
        pl.int_range(pl.len()).over("card_id", "terminal_id").alias("visits"),
        pl.lit(1).alias("one"),
    )  # fmt: skip
    table = table.with_columns(
        pl.col("one").rolling_sum_by("time", "1h").over("card_id").alias("hour_of_card"),
        pl.col("one").rolling_sum_by("time", "1d").over("card_id").alias("day_of_card"),
    )
    label, cut = table["label"].to_numpy(), int(0.8 * table.height)

    def reached(names: list[str]) -> float:
        codes = pl.col(pl.String).cast(pl.Categorical).to_physical()
        X = table.select(names).with_columns(codes).cast(pl.Float64).to_numpy()
        model = lgb.train(
            {"num_leaves": 8, "learning_rate": 0.1, "lambda_l2": 10, "objective": "binary",
             "feature_fraction": 0.5, "num_threads": 2, "verbosity": -1, "seed": 0},
            lgb.Dataset(X[:cut], label[:cut]), 100,
        )  # fmt: skip
        return float(average_precision_score(label[cut:], model.predict(X[cut:])))

    columns = [*FEATURES, "hour"]
    alone = reached(columns)
    assert 20 * DEFAULT.prevalence < alone < 0.6
    history = ["over_usual", "visits", "hour_of_card", "day_of_card"]
    assert reached(columns + history) > 1.3 * alone
