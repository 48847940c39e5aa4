"""Single rows: the bits of a table, from plain Python values, from any thread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import polars as pl
import pytest

from builders import CALIBRATORS, COSTS, make_bundle
from fraudml.data.check import check_table
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.decisions.costs import CostModel
from fraudml.decisions.policies import TunedPolicy
from fraudml.errors import DataError
from fraudml.features.plan import fit_features
from fraudml.features.settings import FeatureSettings
from fraudml.learners.lightgbm import LightGBM
from fraudml.scoring import Scorer

PARTS = (
    *("hour", "weekday", "day_of_month", "weekend", "night"),
    *("hour_sin", "hour_cos", "weekday_sin", "weekday_cos"),
)


def table(size: int = 600, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    label = (rng.random(size) < 0.2).astype(np.int8)
    start = datetime(2026, 1, 1)
    return pl.DataFrame(
        {
            "ref": [f"t{i}" for i in range(size)],
            "time": [start + timedelta(seconds=int(s)) for s in rng.integers(0, 9e6, size)],
            "amount": np.round(rng.gamma(1.0, 60, size) * (1 + label), 2) - 5,
            "shop": pl.Series(np.where(rng.random(size) < 0.4 + 0.4 * label, "web", "till")),
            "grade": rng.integers(0, 4, size),
            "since": [start - timedelta(hours=int(h)) for h in rng.integers(1, 9000, size)],
            "age": pl.Series(rng.normal(40, 9, size)).scatter(range(0, size, 9), None),
            "fee": rng.uniform(1, 3, size),
            "loss": rng.uniform(0, 90, size),
            "label": label,
        }
    )


def made(
    costs: CostModel = COSTS["card"], policy: TunedPolicy | None = None, **roles: Any
) -> Scorer:
    columns = ColumnRoles(time="time", id="ref", amount="amount", categorical=("grade",), **roles)
    data = check_table(table().sort("time"), DataSettings(columns=columns))
    settings = FeatureSettings(time_parts=PARTS)  # type: ignore[arg-type]
    rows = np.arange(len(data))
    fitted = fit_features(data, rows, settings, never=frozenset({"fee", "loss"}))
    learner = LightGBM(num_iterations=30, learning_rate=0.3, boost_from_average=True)
    policy = TunedPolicy("minimum_cost") if policy is None else policy
    parts = {"offset": -0.123, "calibrator": CALIBRATORS["sigmoid"]}
    return Scorer(make_bundle(data, fitted, learner, costs=costs, policy=policy, **parts))


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return made()


def in_a_table(scorer: Scorer, row: Mapping[str, Any]) -> dict[str, Any]:
    return scorer.score(pl.DataFrame({name: [value] for name, value in row.items()})).row(
        0, named=True
    )


@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize(
    "policy", [None, TunedPolicy("fixed", 0.3), TunedPolicy("fixed", 0.2, value_floor=20.0)]
)
def test_rows_one_by_one_have_the_bits_of_the_table(costs: str, policy: TunedPolicy | None) -> None:
    scorer, rows = made(COSTS[costs], policy), table(200, seed=1)
    expected = scorer.score(rows)
    one_by_one = pl.DataFrame([scorer.score_one(row) for row in rows.to_dicts()])
    for name in ("score", "threshold"):
        assert one_by_one[name].to_numpy().tobytes() == expected[name].to_numpy().tobytes()
    assert one_by_one["alert"].equals(expected["alert"])
    assert one_by_one["ref"].equals(expected["ref"])
    assert 0 < expected["alert"].sum() < 200


def test_such_rows_take_the_short_way(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    row = table(1, seed=3).row(0, named=True)

    def long_way(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(Scorer, "score", long_way)
    for time in (row["time"], row["time"].isoformat(), "2026-03-01 10:11:12+02:00"):
        assert scorer.score_one({**row, "time": time})["score"] > 0


ODD: dict[str, dict[str, Any]] = {
    "no number": {"age": None},
    "nan": {"age": math.nan},
    "a whole number": {"age": 41},
    "a truth": {"age": True},
    "a number as text": {"age": "41.5"},
    "no name": {"shop": None},
    "a new name": {"shop": "kiosk"},
    "a grade as a number": {"grade": 2},
    "a grade as a float": {"grade": 2.0},
    "a grade as text": {"grade": "2"},
    "no date": {"since": None},
    "a date as text": {"since": "2025-12-01"},
    "a zone": {"time": datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=5)))},
    "utc": {"time": datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)},
    "text with a fraction": {"time": "2026-02-03T04:05:06.250"},
    "text with a zone": {"time": "2026-02-03T04:05:06+01:30"},
    "a date alone": {"time": "2026-02-03"},
    "seconds": {"time": 1_770_000_000},
    "before 1970": {"time": datetime(1969, 12, 31, 23, 59, 59, 999_999)},
    "a refund": {"amount": -12.5},
    "no id": {"ref": None},
}


@pytest.mark.parametrize("what", ODD)
def test_odd_values_are_those_of_a_table(what: str, scorer: Scorer) -> None:
    row = {**table(1, seed=3).row(0, named=True), **ODD[what]}
    assert scorer.score_one(row) == in_a_table(scorer, row)


@pytest.mark.parametrize(
    "change",
    [{"time": None}, {"time": "soon"}, {"amount": None}, {"age": "old"}, {"age": math.inf},
     {"time": 10**15}, {"amount": math.nan}],
    ids=str,
)  # fmt: skip
def test_what_a_table_refuses_is_refused(change: dict[str, Any], scorer: Scorer) -> None:
    row = {**table(1, seed=3).row(0, named=True), **change}
    with pytest.raises(DataError):
        scorer.score(pl.DataFrame({name: [value] for name, value in row.items()}))
    with pytest.raises(DataError):
        scorer.score_one(row)


def test_all_missing_columns_are_named(scorer: Scorer) -> None:
    with pytest.raises(DataError, match=r"(?s)'age'.*'shop'"):
        scorer.score_one({"time": datetime(2026, 1, 1), "amount": 3.0, "grade": 1, "since": None})


def test_threads_may_share_a_scorer(scorer: Scorer) -> None:
    rows = table(400, seed=2)
    expected = scorer.score(rows)
    dicts = rows.to_dicts()
    shared = Scorer(scorer.bundle)
    with ThreadPoolExecutor(8) as pool:
        singles = list(pool.map(shared.score_one, dicts))
        tables = list(pool.map(shared.score, [rows] * 16))
    assert [one["score"] for one in singles] == expected["score"].to_list()
    assert all(one.equals(expected) for one in tables)
