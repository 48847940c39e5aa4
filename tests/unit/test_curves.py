"""What a report draws: the tables against hand-worked numbers and slow loops."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from fraudml.decisions.costs import CostMatrix
from fraudml.evaluation.curves import BAND_REPLICATES, OUTCOMES, Curves, draw_curves
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.scored import ScoredFrame
from fraudml.metrics import (
    ScoredRows,
    alerts_per_day,
    bootstrap,
    choose_clusters,
    cost,
    value_recall,
)
from fraudml.metrics.intervals import Cut, bootstrap_counts, bootstrap_sums

DAY = 86_400_000_000
OPTIONS = BootstrapOptions(replicates=200, seed=3)


def frame(rows: int = 900, seed: int = 1, **columns: object) -> ScoredFrame:
    """Scored rows of 60 cards over thirty days, one in ten of them fraud."""
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < 0.1).astype(np.int8)
    p = np.clip(np.round(0.05 + 0.4 * label + 0.2 * rng.random(rows), 2), 0, 1)
    time = np.sort(rng.integers(0, 30 * DAY, rows))
    made = {
        "row": np.arange(rows),
        "margin": p,
        "p": p,
        "label": label,
        "amount": rng.exponential(50, rows).round(2),
        "day": time // DAY,
        "time": pl.Series(time).cast(pl.Datetime("us")),
        "entity": rng.integers(0, 60, rows),
        **columns,
    }
    return ScoredFrame(pl.DataFrame(made, strict=False))


def costs_of(scored: ScoredFrame) -> CostMatrix:
    rows = len(scored)
    amount = np.ones(rows) if scored.amount is None else scored.amount
    return CostMatrix(np.full(rows, 5.0), np.full(rows, 5.0), amount, np.zeros(rows))


def curves(
    scored: ScoredFrame, threshold: float | None = 0.3, options: BootstrapOptions = OPTIONS
) -> Curves:
    alert = scored.p >= (0.3 if threshold is None else threshold)
    return draw_curves(scored, alert, costs_of(scored), options, threshold=threshold)


def test_every_threshold_gives_what_the_metrics_give_there() -> None:
    scored = frame()
    costs = costs_of(scored)
    table = curves(scored).by_threshold
    assert 0.3 in table["threshold"].to_list()
    assert table["threshold"].is_sorted(descending=True)
    assert table["alerts"][-1] == len(scored)
    for row in table.iter_rows(named=True):
        alert = scored.p >= row["threshold"]
        caught = int((alert & (scored.label == 1)).sum())
        assert row["alerts"] == alert.sum()
        assert row["precision"] == pytest.approx(caught / alert.sum())
        assert row["recall"] == pytest.approx(caught / (scored.label == 1).sum())
        assert row["value_recall"] == pytest.approx(
            value_recall(scored.label, alert, scored.amount)
        )
        assert row["cost"] == pytest.approx(cost(scored.label, alert, **costs.as_mapping()))
        pace = alerts_per_day(alert, scored.day, entity=scored.entity, n_days=scored.days)
        assert row["alerts_per_day"] == pytest.approx(pace)


def test_the_ends_are_those_of_the_intervals_of_single_numbers() -> None:
    scored = frame()
    found = curves(scored, options=replace(OPTIONS, replicates=BAND_REPLICATES))
    row = found.by_threshold.filter(pl.col("threshold") == 0.3).row(0, named=True)
    rows = ScoredRows(
        scored.label,
        alert=scored.p >= 0.3,
        amount=scored.amount,
        **costs_of(scored).as_mapping(),
    )
    drawn = bootstrap(
        rows,
        ["precision", "recall", "value_recall", "cost"],
        choose_clusters(entity=scored.entity),
        replicates=BAND_REPLICATES,
        seed=3,
    )
    for name in ("precision", "recall", "value_recall", "cost"):
        interval = drawn.interval(name, 0.95)
        assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx(
            (interval.low, interval.high)
        )


def test_outcomes_add_up_to_the_block() -> None:
    scored = frame()
    table = curves(scored).outcomes
    alert = scored.p >= 0.3
    assert table["outcome"].to_list() == list(OUTCOMES)
    assert table["rows"].sum() == len(scored)
    assert scored.amount is not None
    assert table["amount"].sum() == pytest.approx(scored.amount.sum())
    whole = cost(scored.label, alert, **costs_of(scored).as_mapping())
    assert table["cost"].sum() == pytest.approx(whole)
    assert table["rows"][0] == (alert & (scored.label == 1)).sum()
    assert (table["rows_low"] <= table["rows"]).all()
    assert (table["rows"] <= table["rows_high"]).all()


def test_periods_hold_every_row_once() -> None:
    scored = frame()
    table = curves(scored).over_time
    assert table.height <= 31
    assert table["rows"].sum() == len(scored)
    assert table["frauds"].sum() == (scored.label == 1).sum()
    for end, start in pairwise(zip(table["start"], table["end"], strict=True)):
        assert end[1] == start[0]
    alert = scored.p >= 0.3
    first = scored.time < np.datetime64(table["end"][0], "us")  # type: ignore[operator]
    caught = (alert & (scored.label == 1))[first].sum()
    assert table["precision"][0] == pytest.approx(caught / alert[first].sum())


@pytest.mark.parametrize(("days", "most"), [(0.4, 24), (2, 31), (29, 31), (200, 31), (3000, 31)])
def test_periods_are_few_however_long_the_block(days: float, most: int) -> None:
    time = np.linspace(0, days * DAY, 900).astype(np.int64)
    table = curves(frame(time=pl.Series(time).cast(pl.Datetime("us")), day=time // DAY)).over_time
    assert 1 <= table.height <= most
    assert table["rows"].sum() == 900


def test_what_a_table_lacks_is_null_and_not_zero() -> None:
    scored = frame(amount=[None] * 900, time=[None] * 900, day=[None] * 900, entity=[None] * 900)
    scored = ScoredFrame(
        scored.frame.cast({"amount": pl.Float64, "time": pl.Datetime("us"), "day": pl.Int64})
    )
    found = curves(scored)
    assert found.over_time.is_empty()
    assert found.by_threshold["value_recall"].null_count() == found.by_threshold.height
    assert found.by_threshold["alerts_per_day"].null_count() == found.by_threshold.height
    assert found.outcomes["amount"].null_count() == 4
    assert found.by_threshold["precision"].null_count() == 0


def test_without_replicates_there_are_values_and_no_ends() -> None:
    found = curves(frame(), options=BootstrapOptions(replicates=0))
    for table in (found.by_threshold, found.over_time, found.outcomes):
        for name in table.columns:
            if name.endswith(("_low", "_high")):
                assert table[name].null_count() == table.height
    assert found.by_threshold["cost"].null_count() == 0


def test_a_policy_that_never_alerts_has_no_precision() -> None:
    scored = frame()
    found = draw_curves(
        scored,
        np.zeros(len(scored), dtype=np.bool_),
        costs_of(scored),
        OPTIONS,
        threshold=2.0,
    )
    assert found.over_time["precision"].null_count() == found.over_time.height
    assert found.over_time["recall"].drop_nulls().sum() == 0
    assert found.by_threshold["threshold"].max() <= 1  # type: ignore[operator]


def test_curves_stay_small_however_many_rows() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    scored = frame(20_000, p=p, margin=p, entity=rng.integers(0, 3000, 20_000))
    assert curves(scored).by_threshold.height <= 242


def test_sums_by_cell_are_those_of_a_loop_and_of_counts() -> None:
    rng = np.random.default_rng(5)
    cell, entity = rng.integers(0, 4, 200), rng.integers(0, 30, 200)
    value = rng.normal(size=200)
    clusters = choose_clusters(entity=entity)
    how = {"replicates": 7, "seed": 9}
    cuts = [Cut(cell, 4, [np.ones(200), value]), Cut(entity % 3, 3, [np.abs(value)])]
    found, other = bootstrap_sums(cuts, clusters, **how)
    assert (found.shape, other.shape) == ((8, 4, 2), (8, 3, 1))
    counts = bootstrap_counts(cell, clusters, cells=4, **how)
    assert found[1:, :, 0] == pytest.approx(counts)
    assert found[0, :, 1] == pytest.approx([value[cell == one].sum() for one in range(4)])
    assert other[0].sum() == pytest.approx(np.abs(value).sum())
    again = bootstrap_sums(cuts, clusters, **how, threads=2)
    assert (again[0] == found).all()
    alone = bootstrap_sums(cuts[1:], clusters, **how)
    assert alone[0] == pytest.approx(other)
