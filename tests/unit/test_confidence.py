"""Bounds that hold with confidence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fraudml.decisions.confidence import (
    clustered_share_bound,
    look_sizes,
    rate_bound,
    rows_if_alike,
    share_bound,
)


@pytest.mark.parametrize(("hits", "rows"), [(0, 1), (1, 1), (3, 10), (10, 10), (59, 60), (0, 500)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_exact_bound_is_scipys(hits: int, rows: int, level: float) -> None:
    lower = stats.binomtest(hits, rows, alternative="greater").proportion_ci(level)
    upper = stats.binomtest(hits, rows, alternative="less").proportion_ci(level)
    assert share_bound(hits, rows, level=level, side="lower") == pytest.approx(lower.low)
    assert share_bound(hits, rows, level=level, side="upper") == pytest.approx(upper.high)


def test_of_no_rows_nothing_is_known() -> None:
    nothing = np.zeros(3, dtype=np.int64)
    assert share_bound(0, 0, level=0.9, side="lower") == 0
    assert share_bound(0, 0, level=0.9, side="upper") == 1
    assert clustered_share_bound(nothing, nothing, level=0.9, side="upper") == 1


def test_clusters_of_one_row_are_rows() -> None:
    hits = np.array([1] * 30 + [0] * 10)
    for side in ("lower", "upper"):
        made = clustered_share_bound(hits, np.ones(40, dtype=np.int64), level=0.95, side=side)
        assert made == pytest.approx(share_bound(30, 40, level=0.95, side=side))


def test_cards_that_are_all_or_nothing_count_once_each() -> None:
    three = np.full(40, 3)
    hits = np.where(np.arange(40) < 30, 3, 0)
    made = clustered_share_bound(hits, three, level=0.95, side="lower")
    rows = share_bound(90, 120, level=0.95, side="lower")
    cards = share_bound(30, 40, level=0.95, side="lower")
    assert made < rows
    assert made == pytest.approx(cards, abs=0.01)


def test_all_hits_are_worth_no_more_than_their_cards() -> None:
    made = clustered_share_bound(np.full(10, 4), np.full(10, 4), level=0.95, side="lower")
    assert made == pytest.approx(share_bound(10, 10, level=0.95, side="lower"))


def test_clusters_without_a_row_change_nothing() -> None:
    hits, rows = np.array([2, 1, 0]), np.array([3, 1, 2])
    more = np.array([0, 0])
    for side in ("lower", "upper"):
        assert clustered_share_bound(hits, rows, level=0.9, side=side) == clustered_share_bound(
            np.concatenate([hits, more]), np.concatenate([rows, more]), level=0.9, side=side
        )


def test_rows_if_alike_lie_between_clusters_of_one_size_and_rows() -> None:
    assert rows_if_alike(np.full(7, 5)) == 7
    assert 1 < rows_if_alike(np.array([9, 1])) < 2


def test_the_rate_of_even_days_is_close_to_their_mean() -> None:
    assert rate_bound(np.full(30, 100), days=30, level=0.95) == pytest.approx(103, abs=0.3)


def test_the_rate_of_uneven_days_is_bounded_further_away() -> None:
    uneven = np.tile([0, 200], 15)
    student = 100 + stats.t.ppf(0.95, 29) * np.std(uneven, ddof=1) / np.sqrt(30)
    assert rate_bound(uneven, days=30, level=0.95) >= student > 130


def test_a_single_day_is_taken_as_a_poisson_count() -> None:
    expected = stats.chi2.ppf(0.95, 2 * 11) / 2
    assert rate_bound(np.array([10]), days=1, level=0.95) == pytest.approx(expected)


def test_looks_grow_by_a_tenth_to_the_last() -> None:
    sizes = look_sizes(8, 1000)
    assert sizes[:4].tolist() == [8, 9, 10, 11]
    assert sizes[-1] == 1000
    assert (np.diff(sizes) > 0).all()
    assert (sizes[1:] <= np.floor(sizes[:-1] * 1.1) + 1).all()
    assert look_sizes(8, 7).tolist() == []
    assert look_sizes(1, 3).tolist() == [1, 2, 3]
