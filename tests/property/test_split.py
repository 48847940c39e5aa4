"""Laws of the blocks: no row in two of them, and no label before it was known."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudml.data.check import check_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.errors import DataError
from fraudml.split import Split, SplitSettings, split_blocks

START = datetime(2026, 1, 1)
HOUR = timedelta(hours=1)
LONG = settings(max_examples=30, deadline=None)

Case = tuple[Dataset, SplitSettings, DataSettings]


@st.composite
def tables(draw: st.DrawFn, *, clock: bool) -> Dataset:
    """A few hundred rows, many of one instant, some labels unknown, in any order."""
    rows = draw(st.integers(250, 500))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    label = (generator.random(rows) < draw(st.floats(0.2, 0.5))).astype(float)
    label[generator.random(rows) < draw(st.sampled_from([0.0, 0.2]))] = np.nan
    hours = generator.integers(0, draw(st.sampled_from([12, 200, 2000])), rows)
    frame = pl.DataFrame({"label": label})
    roles: dict[str, Any] = {}
    if clock:
        frame = frame.with_columns(t=START + pl.Series(hours) * HOUR)
        roles["time"] = "t"
        if draw(st.booleans()):
            arrival = pl.Series(hours + generator.integers(0, 60, rows)) * HOUR + START
            known = generator.random(rows) < 0.7
            frame = frame.with_columns(known=pl.when(pl.Series(known)).then(arrival))
            roles["label_time"] = "known"
    if draw(st.booleans()):
        frame = frame.with_columns(card=generator.integers(0, draw(st.integers(60, 200)), rows))
        roles["entity"] = "card"
    return check_table(frame, DataSettings(columns=ColumnRoles(**roles)))


def asked() -> st.SearchStrategy[SplitSettings]:
    return st.builds(
        SplitSettings,
        test_share=st.floats(0.1, 0.5),
        label_delay=st.sampled_from(["0", "1h", "5h", "30h", "90h"]),
        oof_folds=st.integers(1, 5),
        initial_train_share=st.floats(0.2, 0.7),
    )


def read() -> st.SearchStrategy[DataSettings]:
    return st.builds(
        DataSettings,
        labels_complete=st.booleans(),
        as_of=st.sampled_from([None, "2026-01-08", "2026-02-20"]),
    )


def cut(case: Case, seed: int = 0) -> Split | None:
    """The blocks, or None where a refusal says that there are too few frauds."""
    try:
        return split_blocks(case[0], case[1], case[2], seed)
    except DataError:
        return None


def moments(table: Dataset) -> np.ndarray[Any, Any]:
    return table.facts["time"].to_numpy()


def known_at(table: Dataset, asked: SplitSettings) -> np.ndarray[Any, Any]:
    delayed = pl.col("time") + asked.delay
    arrival = pl.coalesce("label_time", delayed)
    if table.facts.select(((pl.col("label") == 0) & pl.col("label_time").is_null()).any()).item():
        arrival = pl.max_horizontal(arrival, delayed)
    return table.facts.select(arrival).to_series().to_numpy()


def by_time() -> st.SearchStrategy[Case]:
    return st.tuples(tables(clock=True), asked(), read())


def at_random() -> st.SearchStrategy[Case]:
    return st.tuples(tables(clock=False), asked(), read())


@LONG
@given(st.one_of(by_time(), at_random()))
def test_no_row_is_in_two_blocks_and_all_positions_increase(case: Case) -> None:
    made = cut(case)
    if made is None:
        return
    development, test = made.development.rows, made.test.rows
    assert not np.intersect1d(development, test).size
    assert made.left_out == len(case[0]) - len(development) - len(test)
    scored = np.concatenate([fold.score for fold in made.folds])
    assert len(np.unique(scored)) == len(scored)
    for fold in made.folds:
        assert not np.intersect1d(fold.fit, fold.score).size
        assert np.isin(fold.fit, development).all()
        assert np.isin(fold.score, development).all()
    for rows in (development, test, *(part for f in made.folds for part in (f.fit, f.score))):
        assert (np.diff(rows) > 0).all()


@LONG
@given(by_time())
def test_every_label_of_the_development_window_was_known_when_the_test_starts(case: Case) -> None:
    table, asked, _ = case
    made = cut(case)
    if made is None:
        return
    assert known_at(table, asked)[made.development.rows].max() <= moments(table)[made.test.rows[0]]
    assert moments(table)[made.development.rows].max() < moments(table)[made.test.rows[0]]


@LONG
@given(by_time())
def test_every_label_of_a_fit_was_known_when_its_scored_rows_start(case: Case) -> None:
    table, asked, _ = case
    made = cut(case)
    if made is None:
        return
    for fold in made.folds:
        start = moments(table)[fold.score].min()
        assert moments(table)[fold.fit].max() < start
        if made.delay_kept:
            assert known_at(table, asked)[fold.fit].max() <= start


@LONG
@given(by_time())
def test_rows_without_a_label_or_too_young_enter_no_block(case: Case) -> None:
    table, asked, data = case
    made = cut(case)
    if made is None:
        return
    used = np.concatenate([made.development.rows, made.test.rows])
    assert (table.label[used] >= 0).all()
    if not data.labels_complete:
        now = moments(table)[-1] if data.as_of is None else np.datetime64(data.as_of)
        assert (known_at(table, asked)[used] <= now).all()


@LONG
@given(by_time())
def test_rows_of_one_instant_stay_together(case: Case) -> None:
    table, *_ = case
    made = cut(case)
    if made is None:
        return
    parts = [made.development.rows, made.test.rows]
    instants = [np.unique(moments(table)[rows]) for rows in parts]
    assert not np.intersect1d(*instants).size
    scored = [np.unique(moments(table)[fold.score]) for fold in made.folds]
    assert len(np.unique(np.concatenate(scored))) == sum(map(len, scored))


@LONG
@given(by_time())
def test_blocks_and_steps_are_in_time_order(case: Case) -> None:
    table, *_ = case
    made = cut(case)
    if made is None:
        return
    order = [*(fold.score for fold in made.folds), made.test.rows]
    for earlier, later in pairwise(order):
        assert moments(table)[earlier].max() < moments(table)[later].min()
    assert made.development.start is not None
    assert made.development.end is not None
    assert made.test.start is not None
    assert made.development.start <= made.development.end < made.test.start


@LONG
@given(by_time())
def test_all_rows_that_a_fit_may_see_are_in_it(case: Case) -> None:
    table, asked, _ = case
    made = cut(case)
    if made is None or not made.delay_kept:
        return
    rows = made.development.rows
    for fold in made.folds:
        start = moments(table)[fold.score].min()
        may = (moments(table)[rows] < start) & (known_at(table, asked)[rows] <= start)
        np.testing.assert_array_equal(fold.fit, rows[may])


@LONG
@given(at_random(), st.integers(0, 5))
def test_no_entity_is_in_two_blocks_of_a_stratified_cut(case: Case, seed: int) -> None:
    table, *_ = case
    made = cut(case, seed)
    cards = table.entity_codes()
    if made is None or cards is None:
        return
    assert made.kind == "stratified"
    assert not np.intersect1d(cards[made.development.rows], cards[made.test.rows]).size
    for fold in made.folds:
        assert not np.intersect1d(cards[fold.fit], cards[fold.score]).size


@LONG
@given(st.one_of(by_time(), at_random()), st.integers(0, 5))
def test_the_same_seed_cuts_the_same_blocks(case: Case, seed: int) -> None:
    first, second = cut(case, seed), cut(case, seed)
    if first is None or second is None:
        assert first is second
        return
    np.testing.assert_array_equal(first.test.rows, second.test.rows)
    for one, other in zip(first.folds, second.folds, strict=True):
        np.testing.assert_array_equal(one.score, other.score)


def test_most_drawn_cases_are_cut() -> None:
    """The laws above return early on a refusal: they must not all do so."""
    seen: list[bool] = []

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(st.one_of(by_time(), at_random()))
    def draw(case: Case) -> None:
        seen.append(cut(case) is not None)

    draw()
    assert sum(seen) > len(seen) / 3
