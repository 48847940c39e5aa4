"""Laws that hold for every metric of the list; a new entry is tested on arrival."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fraudml.errors import DataError
from fraudml.metrics import METRICS, Clusters, Metric, ScoredRows, bootstrap, find_metric, measure
from fraudml.metrics._replicates import draw, per_replicate
from fraudml.metrics.metric import Ranked, Sums

EVERY = [
    *METRICS,
    find_metric("precision_at_7"),
    find_metric("card_precision_at_2"),
    find_metric("card_precision_at_3"),
    find_metric("recall_at_fpr_0.3"),
    find_metric("recall_at_fpr_0"),
    find_metric("partial_auc_0.4"),
    find_metric("recall_at_precision_1"),
    find_metric("f_beta_0.5"),
    find_metric("f_beta_2"),
]
RANKED = [metric for metric in EVERY if isinstance(metric.form, Ranked)]
EXACT = [metric for metric in EVERY if not isinstance(metric.form, Sums) or metric.form.exact]
ON_ENTITIES = [metric for metric in EVERY if "entity" in (*metric.needs, *metric.uses)]
ON_SCORES = [metric for metric in EVERY if "y_score" in metric.needs]

every_metric = pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)


@st.composite
def samples(draw_value: st.DrawFn, max_rows: int = 40) -> ScoredRows:
    """Draw small samples, with many ties, of either class or both."""
    n_rows = draw_value(st.integers(1, max_rows))
    random = np.random.default_rng(draw_value(st.integers(0, 2**32 - 1)))
    levels = draw_value(st.sampled_from([1, 2, 5, 1000]))
    score = random.integers(0, levels, n_rows) / levels
    amount = np.round(random.normal(20, 30, n_rows), 2)
    return ScoredRows(
        y_true=random.random(n_rows) < draw_value(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        y_score=score - 0.5,
        p_fraud=score,
        alert=score > draw_value(st.sampled_from([-1.0, 0.5, 0.8, 1.0])),
        amount=amount,
        day=random.integers(0, 4, n_rows),
        entity=random.integers(0, draw_value(st.sampled_from([1, 4, 12])), n_rows),
        tp_cost=random.normal(5, 1, n_rows),
        fp_cost=5.0,
        fn_cost=amount,
        tn_cost=draw_value(st.sampled_from([0.0, -1.0])),
    )


def value(metric: Metric, rows: ScoredRows, weight: np.ndarray | None = None) -> float | None:
    """Return the value, or None where there is none; never NaN."""
    try:
        found = metric.value(rows, weight)
    except DataError:
        return None
    assert isinstance(found, float)
    assert np.isfinite(found)
    return found


def same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.isclose(one, other, rtol=1e-9, atol=1e-9))


def card_weights(rows: ScoredRows, random: np.random.Generator) -> np.ndarray:
    """Draw weights that are equal within an entity, some of them 0, not all."""
    weights = random.integers(0, 4, rows.entity.max() + 1)
    weights[rows.entity[0]] += 1
    return weights[rows.entity].astype(float)


def repeat(rows: ScoredRows, weight: np.ndarray) -> ScoredRows:
    """Return each row as often as it weighs, its copies on cards of their own."""
    times = weight.astype(int)
    copies = rows.take(np.repeat(np.arange(len(rows)), times))
    copy = np.concatenate([np.arange(n) for n in times])
    return dataclasses.replace(
        copies, entity=copies.entity * 100 + copy, n_days=float(len(np.unique(copies.day)))
    )


@every_metric
@settings(max_examples=12, deadline=None)
@given(rows=samples())
def test_a_value_is_finite_and_in_the_domain_or_refused_by_name(
    metric: Metric, rows: ScoredRows
) -> None:
    found = measure(rows, metric)
    if found.value is None:
        assert found.reason
        return
    low, high = metric.domain
    assert low - 1e-12 <= found.value <= high + 1e-12
    assert all(np.isfinite(number) for number in found.reference_values.values())


@every_metric
@settings(max_examples=12, deadline=None)
@given(rows=samples(), seed=st.integers(0, 1000))
def test_order_and_equal_weights_change_nothing(
    metric: Metric, rows: ScoredRows, seed: int
) -> None:
    shuffled = rows.take(np.random.default_rng(seed).permutation(len(rows)))
    assert same(value(metric, rows), value(metric, shuffled))
    assert same(value(metric, rows), value(metric, rows, np.ones(len(rows))))


@pytest.mark.parametrize("metric", ON_ENTITIES, ids=lambda metric: metric.name)
@settings(max_examples=25, deadline=None)
@given(rows=samples(), seed=st.integers(0, 1000))
def test_the_codes_of_entities_change_nothing(metric: Metric, rows: ScoredRows, seed: int) -> None:
    codes = np.random.default_rng(seed).permutation(1000)[: rows.entity.max() + 1]
    renamed = dataclasses.replace(rows, entity=codes[rows.entity])
    assert same(value(metric, rows), value(metric, renamed))


@every_metric
@settings(max_examples=12, deadline=None)
@given(rows=samples(), seed=st.integers(0, 1000))
def test_weights_equal_repetition(metric: Metric, rows: ScoredRows, seed: int) -> None:
    weight = card_weights(rows, np.random.default_rng(seed))
    repeated = repeat(rows, weight)
    rows = dataclasses.replace(rows, n_days=repeated.n_days)
    assert same(value(metric, rows, weight), value(metric, repeated))


@pytest.mark.parametrize("metric", EXACT, ids=lambda metric: metric.name)
@settings(max_examples=12, deadline=None)
@given(rows=samples(), seed=st.integers(0, 1000))
def test_replicates_equal_the_function_with_weights(
    metric: Metric, rows: ScoredRows, seed: int
) -> None:
    distinct, codes = np.unique(rows.entity, return_inverse=True)
    assume(len(distinct) > 1)
    clusters = Clusters(codes, len(distinct), "entity", "entity")
    found = bootstrap(rows, [metric], clusters, replicates=6, seed=seed)
    assert same(found.values[metric.name], value(metric, rows))
    counts = per_replicate(draw(seed, range(6), len(distinct)))
    for drawn, count in zip(found.draws.get(metric.name, []), counts, strict=False):
        expected = value(metric, rows, count[codes].astype(float))
        assert same(None if np.isnan(drawn) else drawn, expected)


@pytest.mark.parametrize(
    "metric", [one for one in EVERY if one not in EXACT], ids=lambda metric: metric.name
)
@pytest.mark.parametrize("seed", range(4))
def test_replicates_that_are_not_exact_are_near(metric: Metric, seed: int) -> None:
    random = np.random.default_rng(seed)
    entity = np.arange(6000) % 300
    odds = random.normal(-5, 1.5, 6000) + random.normal(0, 1, 300)[entity]
    y_true = random.random(6000) < 1 / (1 + np.exp(-odds))
    assert 60 < y_true.sum() < 300
    rows = ScoredRows(y_true, p_fraud=1 / (1 + np.exp(-1.3 * odds - 1)))
    clusters = Clusters(entity, 300, "entity", "entity")
    found = bootstrap(rows, [metric], clusters, replicates=200, seed=seed)
    counts = per_replicate(draw(seed, range(200), 300))
    expected = [value(metric, rows, count[entity].astype(float)) for count in counts]
    interval = found.interval(metric.name)
    width = interval.high - interval.low
    assert found.draws[metric.name] == pytest.approx(expected, abs=0.02 * width)


@pytest.mark.parametrize("metric", ON_SCORES, ids=lambda metric: metric.name)
@settings(max_examples=12, deadline=None)
@given(rows=samples())
def test_a_rising_transform_of_the_score_changes_nothing(metric: Metric, rows: ScoredRows) -> None:
    for transform in (np.exp, np.cbrt, lambda s: 3 * s - 2, lambda s: np.where(s > 0, np.inf, s)):
        moved = transform(rows.y_score)
        assume(len(np.unique(moved)) == len(np.unique(rows.y_score)))
        moved_rows = dataclasses.replace(rows, y_score=moved)
        assert same(value(metric, rows), value(metric, moved_rows))


@pytest.mark.parametrize("metric", ON_SCORES, ids=lambda metric: metric.name)
@settings(max_examples=12, deadline=None)
@given(rows=samples())
def test_no_score_beats_the_labels_themselves(metric: Metric, rows: ScoredRows) -> None:
    found = value(metric, rows)
    perfect = value(metric, dataclasses.replace(rows, y_score=rows.y_true.astype(float)))
    assert found is None or perfect is not None
    if found is not None and "card" not in metric.name:
        assert found <= perfect + 1e-12


@pytest.mark.parametrize("metric", RANKED, ids=lambda metric: metric.name)
def test_one_fraud_and_all_ties_have_a_value(metric: Metric) -> None:
    y_true = np.arange(50) == 17
    top = ScoredRows(y_true, y_score=y_true.astype(float))
    tied = ScoredRows(y_true, y_score=np.zeros(50))
    low, high = value(metric, tied), value(metric, top)
    assert low is not None
    assert high is not None
    assert low <= high


def test_names_are_distinct_and_found() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(find_metric(name) is metric for name, metric in zip(names, METRICS, strict=True))
