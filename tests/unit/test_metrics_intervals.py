"""Clusters, replicates and intervals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from fraudml.errors import ConfigError, DataError
from fraudml.metrics import (
    METRICS,
    Clusters,
    Metric,
    ScoredRows,
    average_precision,
    bootstrap,
    choose_clusters,
)
from fraudml.metrics import _replicates as replicates
from fraudml.metrics._replicates import draw, per_replicate

HOUR = 3_600_000_000
DAY = 24 * HOUR


def make_rows(n_rows: int = 3000, cards: int = 300, seed: int = 0, ties: bool = True) -> ScoredRows:
    random = np.random.default_rng(seed)
    entity = random.integers(0, cards, n_rows)
    y_true = random.random(n_rows) < np.where(entity % 10 == 0, 0.3, 0.005)
    score = random.normal(size=n_rows) + 1.5 * y_true + random.normal(size=cards)[entity]
    score = np.round(score, 1) if ties else score
    p = 1 / (1 + np.exp(2 - score))
    amount = random.gamma(1.0, 50.0, n_rows)
    return ScoredRows(
        y_true,
        y_score=score,
        p_fraud=p,
        alert=p > 0.3,
        amount=amount,
        day=np.sort(random.integers(0, 10, n_rows)),
        entity=entity,
        tp_cost=10.0,
        fp_cost=10.0,
        fn_cost=amount,
        tn_cost=0.0,
    )


ROWS = make_rows()
CARDS = choose_clusters(entity=ROWS.entity)
FAST = [metric for metric in METRICS if metric.form is not None]


@pytest.mark.parametrize("ties", [True, False])
def test_replicates_equal_copied_rows_and_scikit_learn(ties: bool) -> None:
    rows = make_rows(ties=ties)
    names = ["average_precision", "roc_auc", "recall_at_fpr_0.05", "savings", "value_recall"]
    found = bootstrap(rows, names, CARDS, replicates=24, seed=5)
    counts = per_replicate(draw(5, range(24), CARDS.count))
    for i, count in enumerate(counts):
        copied = np.repeat(np.arange(len(rows)), count[CARDS.codes])
        y, score = rows.y_true[copied], rows.y_score[copied]
        alert, amount = rows.alert[copied], rows.amount[copied]
        fpr, tpr, _ = roc_curve(y, score, drop_intermediate=False)
        cost = np.where(alert, 10.0, y * amount).sum()
        expected = [
            average_precision_score(y, score),
            roc_auc_score(y, score),
            tpr[fpr <= 0.05].max(),
            1 - cost / min((y * amount).sum(), 10.0 * len(y)),
            (y * amount * alert).sum() / (y * amount).sum(),
        ]
        drawn = [found.draws[name][i] for name in names]
        assert drawn == pytest.approx(expected, rel=0, abs=1e-12)


def test_the_same_draws_whatever_threads_and_other_metrics() -> None:
    one = bootstrap(ROWS, FAST, CARDS, replicates=50, seed=3)
    two = bootstrap(ROWS, FAST, CARDS, replicates=50, seed=3, threads=3)
    for metric in FAST:
        assert one.draws[metric.name].tobytes() == two.draws[metric.name].tobytes()
    alone = bootstrap(ROWS, ["average_precision"], CARDS, replicates=21, seed=3)
    drawn = alone.draws["average_precision"]
    assert drawn.tobytes() == one.draws["average_precision"][:21].tobytes()
    other = bootstrap(ROWS, ["average_precision"], CARDS, replicates=50, seed=4)
    assert (other.draws["average_precision"] != one.draws["average_precision"]).any()


def test_a_chunk_of_any_size_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["average_precision", "card_precision_at_3", "recall_at_fpr_0.05"]
    usual = bootstrap(ROWS, names, CARDS, replicates=30)
    monkeypatch.setattr("fraudml.metrics.intervals._CHUNK_CELLS", 1)
    small = bootstrap(ROWS, names, CARDS, replicates=30)
    assert all(usual.draws[name].tobytes() == small.draws[name].tobytes() for name in names)


def test_counts_are_draws_with_replacement() -> None:
    counts = per_replicate(draw(0, range(400), 50))
    assert (counts.sum(axis=1) == 50).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.3)
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.05)


def test_sums_do_not_overflow_where_many_rows_share_a_cluster() -> None:
    n_rows = 200_000
    random = np.random.default_rng(0)
    y_true = random.random(n_rows) < 0.4
    tied = ScoredRows(y_true, y_score=np.zeros(n_rows))
    spread = ScoredRows(y_true, y_score=random.integers(0, 2, n_rows))
    clusters = choose_clusters(entity=random.integers(0, 20, n_rows))
    counts = per_replicate(draw(0, range(8), 20))
    for rows in (tied, spread):
        drawn = bootstrap(rows, ["average_precision"], clusters, replicates=8)
        for value, count in zip(drawn.draws["average_precision"], counts, strict=True):
            weight = count[clusters.codes].astype(float)
            assert value == pytest.approx(
                average_precision(rows.y_true, rows.y_score, weight=weight), abs=1e-12
            )


@pytest.mark.parametrize("alone", [1, 600, 1 << 18])
def test_products_in_blocks_equal_the_whole_product(
    monkeypatch: pytest.MonkeyPatch, alone: int
) -> None:
    monkeypatch.setattr(replicates, "_BLAS_ALONE", alone)
    counts = draw(0, range(8), 31)
    totals = np.random.default_rng(0).normal(size=(31, 5))
    whole = per_replicate(counts).astype(float) @ totals
    assert replicates._weighted_totals(counts, totals) == pytest.approx(whole, abs=1e-12)


def test_a_cluster_drawn_too_often_for_its_lane_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replicates, "_LARGEST_COUNT", 1)
    with pytest.raises(AssertionError):
        draw(0, range(4), 50)


def test_interval_and_bounds_are_percentiles() -> None:
    found = bootstrap(ROWS, ["average_precision"], CARDS, replicates=400)
    drawn = found.draws["average_precision"]
    interval = found.interval("average_precision", confidence=0.9)
    assert interval.value == average_precision(ROWS.y_true, ROWS.y_score)
    assert (interval.low, interval.high) == pytest.approx(np.percentile(drawn, [5, 95]))
    assert interval.low < interval.value < interval.high
    assert found.lower_bound("average_precision", 0.95) == pytest.approx(interval.low)
    assert found.upper_bound("average_precision", 0.95) == pytest.approx(interval.high)
    assert found.interval("average_precision").low < interval.low
    with pytest.raises(KeyError):
        found.interval("roc_auc")


def test_cards_give_wider_intervals_than_rows() -> None:
    by_cards = bootstrap(ROWS, ["recall"], CARDS, replicates=400).interval("recall")
    rows = choose_clusters(n_rows=len(ROWS))
    by_rows = bootstrap(ROWS, ["recall"], rows, replicates=400).interval("recall")
    assert by_cards.high - by_cards.low > 1.1 * (by_rows.high - by_rows.low)


def test_differences_are_paired() -> None:
    names = ["average_precision", "roc_auc", "cost"]
    noise = np.random.default_rng(1).normal(size=len(ROWS)) / 20
    near = dataclasses.replace(ROWS, y_score=ROWS.y_score + noise)
    one = bootstrap(ROWS, names, CARDS, replicates=200, seed=2)
    two = bootstrap(near, names, CARDS, replicates=200, seed=2)
    apart = two.minus(one)
    interval = apart.interval("average_precision")
    assert interval.value == pytest.approx(
        two.values["average_precision"] - one.values["average_precision"]
    )
    assert interval.high - interval.low < 0.3 * (
        one.interval("average_precision").high - one.interval("average_precision").low
    )
    assert apart.interval("cost").low == apart.interval("cost").high == 0.0
    itself = one.minus(one).interval("roc_auc")
    assert (itself.value, itself.low, itself.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("change", ["seed", "replicates", "clusters"])
def test_results_of_other_draws_are_not_subtracted(change: str) -> None:
    one = bootstrap(ROWS, ["roc_auc"], CARDS, replicates=20)
    shuffled = dataclasses.replace(CARDS, codes=CARDS.codes[::-1])
    other = {
        "seed": bootstrap(ROWS, ["roc_auc"], CARDS, replicates=20, seed=1),
        "replicates": bootstrap(ROWS, ["roc_auc"], CARDS, replicates=24),
        "clusters": bootstrap(ROWS, ["roc_auc"], shuffled, replicates=20),
    }[change]
    with pytest.raises(ConfigError, match="same draws"):
        one.minus(other)


def test_replicates_without_a_value_are_left_out_and_counted() -> None:
    y_true = np.arange(100) == 3
    rows = ScoredRows(y_true, y_score=y_true * 1.0)
    found = bootstrap(rows, ["average_precision"], choose_clusters(n_rows=100), replicates=400)
    interval = found.interval("average_precision")
    assert (interval.value, interval.low, interval.high) == (1.0, 1.0, 1.0)
    assert 0.3 < interval.undefined / 400 < 0.45  # (1 − 1/100)^100


def test_a_metric_without_a_value_has_a_reason_and_no_interval() -> None:
    rows = ScoredRows([0, 0, 1, 1], y_score=[0.1, 0.2, 0.3, 0.4], alert=[0, 0, 0, 0])
    found = bootstrap(
        rows, ["precision", "cost", "recall"], choose_clusters(n_rows=4), replicates=20
    )
    assert found.interval("precision").value is None
    assert "No row is alerted" in (found.interval("precision").reason or "")
    assert "cost needs tp_cost" in (found.interval("cost").reason or "")
    assert found.interval("recall").value == 0.0


def test_split_cards_have_a_value_and_the_reason_for_no_interval() -> None:
    clusters = choose_clusters(n_rows=len(ROWS))
    found = bootstrap(ROWS, ["card_precision_at_5", "roc_auc"], clusters, replicates=20)
    interval = found.interval("card_precision_at_5")
    assert interval.value is not None
    assert interval.low is None
    assert "clusters of whole entities" in (interval.reason or "")
    assert found.interval("roc_auc").low is not None


def test_cards_of_one_customer_are_drawn_together() -> None:
    customers = choose_clusters(entity=ROWS.entity // 3)
    found = bootstrap(ROWS, ["card_precision_at_5"], customers, replicates=8)
    metric = found.draws["card_precision_at_5"]
    counts = per_replicate(draw(0, range(8), customers.count))
    for value, count in zip(metric, counts, strict=True):
        kept = count[customers.codes] > 0
        if (count[customers.codes][kept] == 1).all():
            continue
        # Copies of a card are cards of their own.
        times = count[customers.codes]
        copies = ROWS.take(np.repeat(np.arange(len(ROWS)), times))
        copy = np.concatenate([np.arange(n) for n in times])
        apart = dataclasses.replace(copies, entity=copies.entity * 100 + copy)
        again = bootstrap(
            apart, ["card_precision_at_5"], choose_clusters(entity=apart.entity), replicates=1
        )
        assert value == pytest.approx(again.values["card_precision_at_5"], abs=1e-12)


def test_a_metric_of_ones_own_gets_an_interval() -> None:
    def mean_amount(y_true: np.ndarray, amount: np.ndarray, weight: np.ndarray | None) -> float:
        return float(np.average(amount[y_true], weights=None if weight is None else weight[y_true]))

    own = Metric("mean_fraud", mean_amount, ("y_true", "amount"), "none", (0.0, np.inf))
    interval = bootstrap(ROWS, [own], CARDS, replicates=100).interval("mean_fraud")
    assert interval.low < interval.value < interval.high


def test_clusters_are_entities_then_blocks_of_time_then_rows() -> None:
    n_rows = 600
    entity = np.arange(n_rows) % 30
    days = np.arange(n_rows) * DAY // 20
    assert choose_clusters(entity=entity, time=days).kind == "entity"
    few = entity % 19
    chosen = choose_clusters(entity=few, time=days)
    assert (chosen.kind, chosen.unit, chosen.count) == ("time", "day", 30)
    hours = np.arange(n_rows) * HOUR // 25
    assert choose_clusters(entity=few, time=hours).unit == "hour"
    assert choose_clusters(time=hours * 6).unit == "6 hours"
    moment = np.full(n_rows, 5 * DAY)
    chosen = choose_clusters(entity=few, time=moment)
    assert (chosen.kind, chosen.count) == ("rows", n_rows)
    assert choose_clusters(entity=few).kind == "rows"
    stamps = days.astype("datetime64[us]")
    assert (choose_clusters(time=stamps).codes == choose_clusters(time=days).codes).all()
    assert choose_clusters(time=stamps.astype("datetime64[s]")).count == 30


def test_blocks_start_at_midnight_also_before_1970() -> None:
    time = np.array([-DAY - 1, -DAY, -1, 0, DAY - 1, DAY])
    assert choose_clusters(time=time, minimum=2).codes.tolist() == [0, 1, 1, 2, 2, 3]


def test_bad_input_is_named() -> None:
    with pytest.raises(ConfigError, match="No clusters"):
        choose_clusters()
    with pytest.raises(DataError, match="time is null"):
        choose_clusters(time=np.array(["NaT", "2020-01-01"], dtype="datetime64[us]"))
    with pytest.raises(DataError, match="4 rows, the scores 3,000"):
        bootstrap(ROWS, ["roc_auc"], choose_clusters(n_rows=4))
    with pytest.raises(DataError, match="one cluster only"):
        bootstrap(ROWS, ["roc_auc"], Clusters(np.zeros(3000, int), 1, "entity", "entity"))
    with pytest.raises(ConfigError, match="replicates is 0"):
        bootstrap(ROWS, ["roc_auc"], CARDS, replicates=0)
    with pytest.raises(ConfigError, match="seed is -1"):
        bootstrap(ROWS, ["roc_auc"], CARDS, seed=-1)
