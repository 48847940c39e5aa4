"""Paired comparisons: the same clusters for both models, and the verdict of the whole interval."""

from __future__ import annotations

import numpy as np
import pytest

from fraudml.errors import ConfigError
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.paired import (
    Difference,
    PairedComparison,
    Sample,
    bootstrap_blocks,
    compare_paired,
)
from fraudml.metrics import Clusters, ScoredRows, average_precision, choose_clusters
from fraudml.metrics.registry import names_in
from fraudml.records.sentences import ablation_sentence

RANDOM = np.random.default_rng(0)
ROWS = 4000
FRAUD = RANDOM.random(ROWS) < 0.05
CARD = RANDOM.integers(0, 400, ROWS)
NOISE = RANDOM.normal(size=ROWS)


def rows(strength: float) -> ScoredRows:
    score = strength * FRAUD + NOISE
    p_fraud = 1 / (1 + np.exp(3 - score))
    return ScoredRows(FRAUD, y_score=score, p_fraud=p_fraud, entity=CARD)


CLUSTERS = choose_clusters(entity=CARD)
OPTIONS = BootstrapOptions(replicates=200)


def sample(rows: ScoredRows, seed: int = 0) -> Sample:
    options = BootstrapOptions(replicates=200, seed=seed)
    return bootstrap_blocks([(rows, CLUSTERS)], names_in("ablation"), options)


def differences(model: Sample, reference: Sample) -> dict[str, Difference]:
    return PairedComparison({0: model, 1: reference}, OPTIONS).differences(0, 1)


def compared(model: ScoredRows, reference: ScoredRows) -> dict[str, Difference]:
    paired = compare_paired({0: [model], 1: [reference]}, [CLUSTERS], names_in("ablation"), OPTIONS)
    return paired.differences(0, 1)


@pytest.mark.parametrize(
    ("strength", "plain", "verdict"),
    [(2.0, 1.0, "keep"), (1.0, 2.0, "drop"), (1.0, 1.0, "undecided")],
)
def test_the_verdict_follows_the_whole_interval(
    strength: float, plain: float, verdict: str
) -> None:
    precision = compared(rows(strength), rows(plain))["average_precision"]
    assert precision.verdict == verdict
    if verdict != "undecided":
        assert precision.low is not None
        assert precision.high is not None
        assert precision.low * precision.high > 0
        assert precision.probability_better is not None
        assert precision.probability_better > 0.975


def test_two_models_that_are_alike_are_undecided() -> None:
    other = ScoredRows(FRAUD, y_score=FRAUD + np.random.default_rng(9).normal(size=ROWS))
    found = compared(rows(1.0), other)["average_precision"]
    assert found.verdict == "undecided"
    assert found.value != 0


def test_less_loss_is_better() -> None:
    found = compared(rows(2.0), rows(0.0))["log_loss"]
    assert found.value is not None
    assert found.value < 0
    assert found.verdict == "keep"


def test_the_value_is_the_difference_on_the_rows() -> None:
    found = compared(rows(2.0), rows(1.0))["average_precision"]
    one, other = (average_precision(FRAUD, strength * FRAUD + NOISE) for strength in (2.0, 1.0))
    assert found.value == pytest.approx(one - other)


def test_a_pair_is_narrower_than_its_two_ends() -> None:
    one, other = sample(rows(2.0)), sample(rows(1.9))
    paired = differences(one, other)["average_precision"]
    alone = one[0].interval("average_precision")
    assert paired.low is not None
    assert paired.high is not None
    assert alone.low is not None
    assert alone.high is not None
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_over_blocks_it_is_the_mean_of_their_differences() -> None:
    half = ROWS // 2
    parts = [slice(0, half), slice(half, ROWS)]
    whole = [
        [
            (
                one.take(np.arange(ROWS)[part]),
                Clusters(CLUSTERS.codes[part], CLUSTERS.count, "entity", "entity"),
            )
            for part in parts
        ]
        for one in (rows(2.0), rows(1.0))
    ]
    options = BootstrapOptions(replicates=100)
    samples = [bootstrap_blocks(blocks, ["average_precision"], options) for blocks in whole]
    found = differences(*samples)["average_precision"]
    by_hand = [
        np.mean([average_precision(block.y_true, block.y_score) for block, _ in blocks])
        for blocks in whole
    ]
    assert found.value == pytest.approx(by_hand[0] - by_hand[1])


def test_a_metric_without_a_value_says_why() -> None:
    found = compared(rows(2.0), rows(1.0))["savings"]
    assert (found.value, found.low, found.verdict) == (None, None, "undecided")
    assert found.reason is not None
    assert "alert" in found.reason
    record = {**found.to_dict(), "metric": "savings", "test_difference": None}
    assert ablation_sentence(record).startswith("undecided: savings has no interval")


def test_a_sentence_says_what_decides_and_what_does_not() -> None:
    found = compared(rows(1.0), rows(2.0))["average_precision"]
    record = {**found.to_dict(), "metric": "average_precision", "test_difference": 0.01}
    text = ablation_sentence(record)
    assert text.startswith("drop: average precision −0.")
    assert text.endswith("on test +0.0100, reported only")


def test_models_of_other_draws_are_not_compared() -> None:
    with pytest.raises(ConfigError, match="same draws"):
        differences(sample(rows(2.0)), sample(rows(1.0), seed=1))


def test_without_replicates_there_is_a_difference_and_no_interval() -> None:
    models = {"good": [rows(2.0)], "bad": [rows(1.0)]}
    paired = compare_paired(models, [CLUSTERS], ["roc_auc"], BootstrapOptions(replicates=0))
    area = paired.differences("good", "bad")["roc_auc"]
    assert area.value is not None
    assert area.value > 0
    assert (area.low, area.high, area.verdict) == (None, None, "undecided")
    assert area.probability_better is None
