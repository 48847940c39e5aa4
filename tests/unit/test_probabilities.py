"""Whether probabilities are called right, wrong, or undecided."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from fraudml.evaluation.probabilities import (
    bin_metrics,
    exact_interval,
    judge_calibration,
    reliability_record,
)
from fraudml.metrics import ScoredRows, bootstrap, choose_clusters, reliability


def entry(value: float | None) -> dict[str, float | None]:
    ends = (None, None) if value is None else (value - 0.1, value + 0.1)
    return {"value": value, "low": ends[0], "high": ends[1]}


@pytest.mark.parametrize(
    ("ratio", "fitted", "judged", "verdict"),
    [
        (1.0, 500, 500, "right"),
        (0.85, 200, 200, "right"),
        (1.18, 200, 200, "right"),
        (0.84, 500, 500, "wrong"),
        (1.19, 500, 500, "wrong"),
        (1.0, 199, 500, "undecided"),
        (1.0, 500, 199, "undecided"),
        (5.0, 500, 75, "undecided"),
        (None, 500, 500, "undecided"),
    ],
)
def test_few_frauds_decide_nothing(
    ratio: float | None, fitted: int, judged: int, verdict: str
) -> None:
    made = judge_calibration(entry(ratio), fitted_frauds=fitted, judged_frauds=judged)
    assert made.verdict == verdict
    assert made.sentence().startswith(verdict)


def test_the_sentence_has_the_interval_and_the_count() -> None:
    made = judge_calibration(entry(1.3), fitted_frauds=900, judged_frauds=75)
    assert made.sentence() == (
        "undecided: their mean over the base rate is 1.30 (1.20 to 1.40), from 75 frauds"
    )


@pytest.mark.parametrize(("hits", "tries"), [(0, 1), (1, 1), (0, 40), (3, 40), (40, 40)])
def test_the_exact_interval_is_that_of_clopper_and_pearson(hits: int, tries: int) -> None:
    low, high = exact_interval(np.array([float(hits)]), np.array([float(tries)]), 0.9)
    expected = binomtest(hits, tries).proportion_ci(0.9, "exact")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def series() -> tuple[ScoredRows, np.ndarray]:
    """Frauds in series of one card, and a bin whose rows are all legitimate."""
    random = np.random.default_rng(0)
    entity = np.repeat(np.arange(200), 20)
    bad = random.random(200) < 0.1
    p = np.where(random.random(4000) < 0.3, 2e-3, np.where(bad[entity], 0.3, 0.02))
    y_true = (random.random(4000) < 0.8) & bad[entity] & (p > 0.01)
    return ScoredRows(y_true, p_fraud=p), entity


def test_bins_have_intervals_of_clusters_and_no_narrower_than_the_binomial() -> None:
    rows, entity = series()
    table = reliability(rows.y_true, rows.p_fraud, per_decade=1)
    clusters = choose_clusters(entity=entity)
    drawn = bootstrap(rows, bin_metrics(table), clusters, replicates=400)
    records = reliability_record(table, drawn, 0.95)
    exact = np.column_stack(exact_interval(table.frauds, table.rows, 0.95))
    assert [record["rows"] for record in records] == table.rows.tolist()
    assert sum(record["frauds"] for record in records) == rows.y_true.sum()
    for record, (low, high) in zip(records, exact, strict=True):
        assert record["rate_low"] <= low <= record["rate"] <= high <= record["rate_high"]
    empty = records[0]
    assert (empty["frauds"], empty["rate_low"]) == (0, 0.0)
    assert empty["rate_high"] == exact[0, 1] > 0


def test_a_bin_is_drawn_as_copied_rows() -> None:
    rows, entity = series()
    table = reliability(rows.y_true, rows.p_fraud, per_decade=1)
    clusters = choose_clusters(entity=entity)
    drawn = bootstrap(rows, bin_metrics(table), clusters, replicates=8)
    for i, metric in enumerate(bin_metrics(table)):
        assert drawn.values[metric.name] == pytest.approx(table.observed[i])
        assert len(drawn.draws[metric.name]) == 8


def test_without_draws_bins_have_no_intervals() -> None:
    rows, _ = series()
    records = reliability_record(reliability(rows.y_true, rows.p_fraud), None, 0.95)
    assert {record["rate_low"] for record in records} == {None}
