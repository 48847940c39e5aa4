"""Trails and windows on arrays that can be worked by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from fraudml.features.windows import NO_KEY, EventIndex, Windows, distinct, extreme

NAN = np.nan
KEY = [1, 0, 1, NO_KEY, 0, 1, 1]
MOMENT = [30, 10, 10, 20, 20, 10, 40]
ROWS = [1, 4, 2, 5, 0, 6]
"""The trail of the two: key 0 at 10 and 20, key 1 at 10, 10, 30 and 40."""


def ints(values: list[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def floats(values: list[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def trail(key: list[int] = KEY, moment: list[int] = MOMENT) -> EventIndex:
    return EventIndex.of(ints(key), ints(moment))


def windows(over: EventIndex, length: int, *, present: bool = True) -> Windows:
    return Windows.over(over, over, length, over.until(over, inclusive=present))


def one_key(moment: list[int]) -> EventIndex:
    return trail([0] * len(moment), moment)


EMPTY = [trail([], []), trail([NO_KEY] * 3, [1, 2, 3])]


def test_a_trail_is_sorted_by_key_and_moment_without_the_keyless() -> None:
    made = trail()
    assert len(made) == 6
    assert made.rows.tolist() == ROWS
    assert made.key.tolist() == [0, 0, 1, 1, 1, 1]
    assert made.moment.tolist() == [10, 20, 10, 10, 30, 40]
    assert made.clock.tolist() == [10, 10, 10, 20, 30, 40]


def test_a_place_is_one_number_for_key_and_moment() -> None:
    rank = trail().rank
    assert rank[2] == rank[3]
    assert np.unique(rank).size == 5
    assert (np.diff(rank) >= 0).all()


def test_a_trail_of_some_rows_keeps_their_order_among_equals() -> None:
    made = EventIndex.of(ints(KEY), ints(MOMENT), ints([5, 3, 2, 6]))
    assert made.rows.tolist() == [5, 2, 6]


def test_keys_and_moments_may_be_large_or_before_1970() -> None:
    made = trail([70_000, 3, 70_000, 3], [-5, -(10**15), 10**15, -9])
    assert made.rows.tolist() == [1, 3, 0, 2]
    assert windows(made, 10**16).count().tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("back", "inclusive", "ends"),
    [
        (0, True, [1, 2, 4, 4, 5, 6]),
        (0, False, [0, 1, 2, 2, 4, 5]),
        (10, True, [0, 1, 2, 2, 4, 5]),
        (10, False, [0, 0, 2, 2, 4, 4]),
        (-10, True, [2, 2, 4, 4, 6, 6]),
    ],
)
def test_until_is_where_the_events_of_a_key_end(
    back: int, inclusive: bool, ends: list[int]
) -> None:
    assert trail().until(trail(), back, inclusive=inclusive).tolist() == ends


def test_a_trail_can_be_asked_by_another() -> None:
    asked = trail([0, 1, 5, 0], [15, 10, 99, 5])
    assert asked.rows.tolist() == [3, 0, 1, 2]
    assert trail().until(asked, inclusive=True).tolist() == [0, 1, 4, 6]
    assert EMPTY[0].until(asked, inclusive=True).tolist() == [0, 0, 0, 0]


def test_the_values_of_equal_events_stand_in_one_order() -> None:
    made = trail()
    for values in ([5, 4, 9, 2, 1, 0], [5, 4, 2, 9, 1, 0]):
        assert made.in_one_order(floats(values)).tolist() == [5, 4, 2, 9, 1, 0]
    missing = made.in_one_order(floats([5, 4, NAN, 2, 1, 0]))
    np.testing.assert_array_equal(missing, [5, 4, 2, NAN, 1, 0])


@pytest.mark.parametrize(
    ("length", "present", "counts"),
    [
        (10, True, [1, 1, 2, 2, 1, 1]),
        (11, True, [1, 2, 2, 2, 1, 2]),
        (20, True, [1, 2, 2, 2, 1, 2]),
        (21, True, [1, 2, 2, 2, 3, 2]),
        (99, True, [1, 2, 2, 2, 3, 4]),
        (10, False, [0, 0, 0, 0, 0, 0]),
        (11, False, [0, 1, 0, 0, 0, 1]),
        (99, False, [0, 1, 0, 0, 2, 3]),
    ],
)
def test_a_window_opens_after_its_length_and_ends_now(
    length: int, present: bool, counts: list[int]
) -> None:
    assert windows(trail(), length, present=present).count().tolist() == counts


def test_counts_of_those_that_are_chosen() -> None:
    chosen = np.array([True, False, True, True, False, True])
    assert windows(trail(), 99).count(chosen).tolist() == [1, 1, 2, 2, 2, 3]
    assert windows(trail(), 99, present=False).count(chosen).tolist() == [0, 1, 0, 0, 2, 2]
    assert windows(trail(), 99).count(np.zeros(6, dtype=bool)).tolist() == [0] * 6


@pytest.mark.parametrize(
    ("length", "present", "totals"),
    [
        (11, True, [1, 3, 4, 4, 8, 24]),
        (99, True, [1, 3, 4, 4, 12, 28]),
        (11, False, [0, 1, 0, 0, 0, 8]),
        (99, False, [0, 1, 0, 0, 4, 12]),
    ],
)
def test_totals_take_what_is_missing_for_0(length: int, present: bool, totals: list[float]) -> None:
    values = floats([1, 2, 4, NAN, 8, 16])
    assert windows(trail(), length, present=present).total(values).tolist() == totals


def test_moments_are_count_mean_and_squared_deviations() -> None:
    values = floats([1, 3, NAN, 2, 4, 9])
    count, mean, squares = windows(trail(), 99).moments(values)
    assert count.tolist() == [1, 2, 1, 1, 2, 3]
    assert mean.tolist() == [1, 2, 2, 2, 3, 5]
    assert squares.tolist() == [0, 2, 0, 0, 2, 26]
    count, mean, squares = windows(trail(), 99, present=False).moments(values)
    assert count.tolist() == [0, 1, 0, 0, 1, 2]
    assert mean.tolist() == [0, 1, 0, 0, 2, 3]
    assert squares.tolist() == [0, 0, 0, 0, 0, 2]


def test_a_window_over_two_stretches_of_the_clock_is_whole() -> None:
    made = one_key([-12, -7, -1, 0, 3, 9, 10, 11, 25])
    found = windows(made, 10)
    assert found.count().tolist() == [1, 2, 2, 3, 3, 3, 3, 4, 1]
    assert found.total(2.0 ** np.arange(9)).tolist() == [1, 3, 6, 14, 28, 56, 112, 240, 256]


def test_equal_values_do_not_deviate() -> None:
    made = one_key(list(range(50)))
    assert not windows(made, 20).moments(np.full(50, 0.1))[2].any()


def test_a_total_knows_nothing_of_what_was_large_before() -> None:
    made = one_key([0, 1, 2, 3])
    assert windows(made, 2).total(floats([1e300, 1e-3, 2e-3, 4e-3]))[2] == 3e-3


@pytest.mark.parametrize(
    ("statistic", "present", "found"),
    [
        ("max", True, [1, 3, 7, 7, 7, 4]),
        ("min", True, [1, 1, 5, 5, 4, 2]),
        ("median", True, [1, 2, 6, 6, 5, 3]),
        ("max", False, [NAN, 1, NAN, NAN, 7, 4]),
        ("min", False, [NAN, 1, NAN, NAN, 5, 4]),
        ("median", False, [NAN, 1, NAN, NAN, 6, 4]),
    ],
)
def test_extremes_are_of_the_window(statistic: str, present: bool, found: list[float]) -> None:
    values = floats([1, 3, 5, 7, 4, 2])
    made = extreme(trail(), values, 25, statistic, present=present)
    np.testing.assert_array_equal(made, found)


@pytest.mark.parametrize("statistic", ["max", "min", "median"])
def test_extremes_pass_over_what_is_missing(statistic: str) -> None:
    made = extreme(trail(), floats([NAN, 3, NAN, 7, NAN, NAN]), 25, statistic)
    np.testing.assert_array_equal(made, [NAN, 3, 7, 7, 7, NAN])


@pytest.mark.parametrize(
    ("length", "counts"),
    [(1, [1, 1, 2, 2, 1, 1]), (20, [1, 1, 2, 2, 1, 2]), (21, [1, 1, 2, 2, 2, 2])],
)
def test_a_partner_counts_once_from_its_last_event(length: int, counts: list[int]) -> None:
    partner = ints([3, 3, 3, 4, 3, 7])
    assert distinct(trail(), partner, length).tolist() == counts


def test_nobody_is_no_partner() -> None:
    partner = ints([NO_KEY, 2, NO_KEY, 2, 2, NO_KEY])
    assert distinct(trail(), partner, 99).tolist() == [0, 1, 1, 1, 1, 1]
    assert distinct(trail(), ints([NO_KEY] * 6), 99).tolist() == [0] * 6


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_events_of_one_moment_see_all_of_it_in_any_order(order: tuple[int, ...]) -> None:
    made = one_key([5, 5, 5, 5])
    values = floats([0.1, 0.2, 0.4, 0.8])[list(order)]
    assert windows(made, 1).total(values).tolist() == [(0.1 + 0.2) + (0.4 + 0.8)] * 4
    assert windows(made, 1, present=False).total(values).tolist() == [0.0] * 4
    assert extreme(made, values, 1, "max").tolist() == [0.8] * 4
    assert distinct(made, ints([0, 1, 1, 2])[list(order)], 1).tolist() == [3] * 4


@pytest.mark.parametrize("empty", EMPTY, ids=["no rows", "no keys"])
def test_an_empty_trail_has_empty_answers(empty: EventIndex) -> None:
    nothing = floats([])
    over = windows(empty, 10)
    assert len(empty) == 0
    assert over.count().tolist() == over.count(np.zeros(0, dtype=bool)).tolist() == []
    assert over.total(nothing).tolist() == []
    assert [one.tolist() for one in over.moments(nothing)] == [[], [], []]
    assert distinct(empty, ints([]), 10).tolist() == []
    for statistic in ("max", "min", "median"):
        assert extreme(empty, nothing, 10, statistic).tolist() == []


def test_windows_over_an_empty_trail_are_empty() -> None:
    asked, empty = trail(), EMPTY[1]
    over = Windows.over(empty, asked, 10, empty.until(asked, inclusive=True))
    assert over.count().tolist() == [0] * 6
    assert over.count(np.zeros(0, dtype=bool)).tolist() == [0] * 6
