"""The proof: paired, clustered, on the better side of 0 or not."""

from __future__ import annotations

import numpy as np
import pytest

from fraudml.evaluation.proof import Drawn, differences, draw, sentence
from fraudml.metrics import Clusters, ScoredRows, average_precision, choose_clusters

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


def drawn(*blocks: ScoredRows, clusters: Clusters = CLUSTERS, seed: int = 0) -> Drawn:
    return draw([(one, clusters) for one in blocks], replicates=200, seed=seed, threads=1)


@pytest.mark.parametrize(
    ("helped", "plain", "verdict"),
    [(2.0, 1.0, "keep"), (1.0, 2.0, "drop"), (1.0, 1.0, "undecided")],
)
def test_the_verdict_follows_the_whole_interval(helped: float, plain: float, verdict: str) -> None:
    found = differences(drawn(rows(helped)), drawn(rows(plain)), level=0.95)
    one = found["average_precision"]
    assert one.verdict == verdict
    if verdict != "undecided":
        assert one.low is not None
        assert one.high is not None
        assert one.low * one.high > 0


def test_two_models_that_are_alike_are_undecided() -> None:
    other = ScoredRows(FRAUD, y_score=FRAUD + np.random.default_rng(9).normal(size=ROWS))
    found = differences(drawn(rows(1.0)), drawn(other), level=0.95)["average_precision"]
    assert found.verdict == "undecided"
    assert found.value != 0


def test_less_loss_is_better() -> None:
    found = differences(drawn(rows(2.0)), drawn(rows(0.0)), level=0.95)["log_loss"]
    assert found.value is not None
    assert found.value < 0
    assert found.verdict == "keep"


def test_the_value_is_the_difference_on_the_rows() -> None:
    found = differences(drawn(rows(2.0)), drawn(rows(1.0)), level=0.95)["average_precision"]
    one, other = (average_precision(FRAUD, strength * FRAUD + NOISE) for strength in (2.0, 1.0))
    assert found.value == pytest.approx(one - other)


def test_a_pair_is_narrower_than_its_two_ends() -> None:
    one, other = drawn(rows(2.0)), drawn(rows(1.9))
    paired = differences(one, other, level=0.95)["average_precision"]
    alone = one.blocks[0].interval("average_precision")
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
    made = [draw(blocks, replicates=100, seed=0, threads=1) for blocks in whole]
    found = differences(*made, level=0.95)["average_precision"]
    by_hand = [
        np.mean([average_precision(block.y_true, block.y_score) for block, _ in blocks])
        for blocks in whole
    ]
    assert found.value == pytest.approx(by_hand[0] - by_hand[1])


def test_a_metric_without_a_value_says_why() -> None:
    found = differences(drawn(rows(2.0)), drawn(rows(1.0)), level=0.95)["savings"]
    assert (found.value, found.low, found.verdict) == (None, None, "undecided")
    assert found.reason is not None
    assert "alert" in found.reason
    record = {**found.to_dict(), "metric": "savings", "test_difference": None}
    assert sentence(record).startswith("undecided: savings has no interval")


def test_a_sentence_says_what_decides_and_what_does_not() -> None:
    found = differences(drawn(rows(1.0)), drawn(rows(2.0)), level=0.95)["average_precision"]
    said = sentence({**found.to_dict(), "metric": "average_precision", "test_difference": 0.01})
    assert said.startswith("drop: average precision -0.")
    assert said.endswith("on test +0.010, which decides nothing")


def test_models_of_other_draws_are_not_compared() -> None:
    from fraudml.errors import ConfigError

    with pytest.raises(ConfigError, match="same draws"):
        differences(drawn(rows(2.0)), drawn(rows(1.0), seed=1), level=0.95)
