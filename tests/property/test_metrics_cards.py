"""Card precision at k against a slow loop over cards, days and orders of ties."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fraudml.errors import ConfigError, DataError
from fraudml.metrics import attainable_card_precision_at_k, card_precision_at_k


class Rows(NamedTuple):
    y_true: np.ndarray
    y_score: np.ndarray
    day: np.ndarray
    entity: np.ndarray


@st.composite
def rows(draw: st.DrawFn, max_rows: int = 60, days: int = 5, cards: int = 9) -> Rows:
    """Draw rows whose scores are all different."""
    n_rows = draw(st.integers(1, max_rows))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Rows(
        random.random(n_rows) < draw(st.sampled_from([0.0, 0.1, 0.3, 0.9])),
        random.permutation(n_rows).astype(float),
        random.integers(0, days, n_rows) * 3 - 4,
        random.integers(0, cards, n_rows) * 7,
    )


def by_loop(sample: Rows, k: int) -> float:
    """Check k cards a day by a loop; who is found leaves."""
    gone: set[int] = set()
    shares = []
    for day in sorted(set(sample.day.tolist())):
        best: dict[int, tuple[float, bool]] = {}
        for label, score, when, card in zip(*sample, strict=True):
            if when == day and card not in gone:
                highest, compromised = best.get(card, (-np.inf, False))
                best[card] = max(highest, score), compromised or bool(label)
        checked = sorted(best, key=lambda card: -best[card][0])[:k]
        found = {card for card in checked if best[card][1]}
        gone |= found
        shares.append(len(found) / k)
    return float(np.mean(shares))


def most_attainable(sample: Rows, k: int) -> float:
    """Try every way to check compromised cards, by recursion over days."""
    days = sorted(set(sample.day.tolist()))
    on_day = [
        frozenset(sample.entity[(sample.day == day) & sample.y_true].tolist()) for day in days
    ]

    def best(position: int, gone: frozenset[int]) -> int:
        if position == len(days):
            return 0
        left = on_day[position] - gone
        ways = itertools.combinations(sorted(left), min(k, len(left)))
        return max(len(way) + best(position + 1, gone | set(way)) for way in ways)

    return best(0, frozenset()) / (k * len(days))


@settings(max_examples=60, deadline=None)
@given(rows(), st.integers(1, 12))
def test_equals_a_loop(sample: Rows, k: int) -> None:
    assert card_precision_at_k(*sample, k) == pytest.approx(by_loop(sample, k), abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 3, 40]))
def test_equals_a_loop_where_few_cards_are_looked_at(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    n_rows = 1500
    y_true = random.random(n_rows) < 0.2
    score = random.permutation(n_rows) / n_rows + 0.50003 * y_true
    sample = Rows(y_true, score, random.integers(0, 4, n_rows), random.integers(0, 500, n_rows))
    assert card_precision_at_k(*sample, k) == pytest.approx(by_loop(sample, k), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(rows(max_rows=6, days=1, cards=6), st.integers(1, 7), st.integers(0, 100))
def test_ties_of_a_day_get_the_mean_over_their_orders(sample: Rows, k: int, seed: int) -> None:
    score = np.random.default_rng(seed).integers(0, 2, len(sample.y_true)).astype(float)
    tied = sample._replace(y_score=score)
    _, card = np.unique(sample.entity, return_inverse=True)
    orders = [
        by_loop(sample._replace(y_score=score + np.array(order)[card] / 100), k)
        for order in itertools.permutations(range(card.max() + 1))
    ]
    assert card_precision_at_k(*tied, k) == pytest.approx(np.mean(orders), abs=1e-12)


def test_a_card_found_by_half_leaves_by_half() -> None:
    # Day 0: cards 1 and 2 share one place. Day 1: card 1 has half a place's worth left.
    y_true, day, entity = [1, 0, 1, 0], [0, 0, 1, 1], [1, 2, 1, 2]
    assert card_precision_at_k(y_true, [0.5, 0.5, 0.9, 0.1], day, entity, k=1) == 0.5


def test_cards_that_left_make_room_for_the_next_far_down_the_list() -> None:
    days, cards = (codes.ravel() for codes in np.meshgrid(np.arange(60), np.arange(60)))
    everywhere = np.ones(len(days))
    assert card_precision_at_k(everywhere, -cards, days, cards, k=1) == 1.0
    assert card_precision_at_k(everywhere, -cards, days, cards, k=2) == 0.5


def test_attainable_takes_first_who_will_not_be_compromised_again() -> None:
    # Card 1 is compromised on both days, card 2 on the first alone; one is checked a day.
    assert attainable_card_precision_at_k([1, 1, 1], [0, 0, 1], [1, 2, 1], k=1) == 1.0


@settings(max_examples=60, deadline=None)
@given(rows(), st.integers(1, 12))
def test_attainable_bounds_every_score_and_is_reached(sample: Rows, k: int) -> None:
    attainable = attainable_card_precision_at_k(sample.y_true, sample.day, sample.entity, k)
    day_card = sample.day * 1000 + sample.entity
    crowded = max(
        len(set(day_card[sample.y_true & (sample.day == day)])) for day in set(sample.day)
    )
    assume(crowded <= k)
    assert card_precision_at_k(*sample, k) <= attainable + 1e-12
    assert attainable == pytest.approx(by_loop(sample._replace(y_score=sample.y_true * 1.0), k))


@settings(max_examples=40, deadline=None)
@given(rows(max_rows=14, days=3, cards=5), st.integers(1, 2))
def test_attainable_is_close_to_the_best_of_all_ways_on_crowded_days(sample: Rows, k: int) -> None:
    attainable = attainable_card_precision_at_k(sample.y_true, sample.day, sample.entity, k)
    best = most_attainable(sample, k)
    assert best - 1 / (k * len(set(sample.day))) - 1e-12 <= attainable <= best + 1e-12


def test_bad_input_is_named() -> None:
    with pytest.raises(ConfigError, match="k is 0"):
        card_precision_at_k([1], [0.5], [0], [0], k=0)
    with pytest.raises(DataError, match="weight differs within 1 entities"):
        card_precision_at_k([1, 0], [0.5, 0.1], [0, 0], [7, 7], k=1, weight=[1, 2])
    with pytest.raises(DataError, match="entity has dtype <U1"):
        card_precision_at_k([1, 0], [0.5, 0.1], [0, 0], ["a", "b"], k=1)
