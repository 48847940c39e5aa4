"""Blocks: where they are cut, what is said, and what is refused."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.data.check import check_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.errors import ConfigError, DataError
from fraudml.split import MIN_FRAUDS, Split, SplitSettings, split_blocks

START = datetime(2026, 1, 1)


def dataset(label: Any, *, hours: Any = None, **columns: Any) -> Dataset:
    """A row an hour unless `hours` says when; without a clock where it is False."""
    frame = pl.DataFrame({"label": label, **columns})
    if hours is not False:
        when = np.arange(len(frame)) if hours is None else np.asarray(hours)
        frame = frame.with_columns(t=START + pl.Series(when) * timedelta(hours=1))
    roles = ColumnRoles(
        time=None if hours is False else "t",
        entity="card" if "card" in columns else None,
        label_time="known" if "known" in columns else None,
    )
    return check_table(frame, DataSettings(columns=roles))


def cut(table: Dataset, data: DataSettings | None = None, seed: int = 0, **given: Any) -> Split:
    data = DataSettings(labels_complete=True) if data is None else data
    return split_blocks(table, SplitSettings(**given), data, seed)


def every(period: int, rows: int) -> list[int]:
    return [int(row % period == 0) for row in range(rows)]


def frauds(table: Dataset, rows: Any) -> int:
    return int((table.label[rows] == 1).sum())


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.5, 0.7])
def test_the_test_block_is_the_last_share(share: float) -> None:
    made = cut(dataset(every(5, 1000)), test_share=share)
    first = round(1000 * (1 - share))
    assert made.kind == "time"
    np.testing.assert_array_equal(made.test.rows, np.arange(first, 1000))
    np.testing.assert_array_equal(made.development.rows, np.arange(first))
    assert made.test.start == START + timedelta(hours=first)
    assert made.test.end == START + timedelta(hours=999)
    assert made.left_out == 0


def test_the_test_block_starts_at_a_moment_where_one_is_named() -> None:
    made = cut(dataset(every(5, 1000)), test_start="2026-01-31")
    assert made.test.start == datetime(2026, 1, 31)
    assert len(made.test.rows) == 1000 - 30 * 24


def test_the_delay_stands_before_the_test_block() -> None:
    made = cut(dataset(every(5, 1000)), label_delay="24h")
    assert len(made.test.rows) == 200
    assert made.development.rows[-1] == 800 - 24
    assert made.left_out == 23


def test_young_rows_enter_no_block_unless_labels_are_complete() -> None:
    table = dataset(every(5, 1000))
    young = cut(table, DataSettings(), label_delay="100h")
    assert young.test.rows[-1] == 999 - 100
    complete = cut(table, DataSettings(labels_complete=True), label_delay="100h")
    assert complete.test.rows[-1] == 999


def test_as_of_decides_what_is_young() -> None:
    made = cut(dataset(every(5, 1000)), DataSettings(as_of="2026-01-31"), label_delay="24h")
    assert made.test.end == datetime(2026, 1, 30)


def test_a_row_without_a_label_enters_no_block() -> None:
    label = [None if row % 7 == 0 else int(row % 5 == 0) for row in range(1000)]
    made = cut(dataset(label))
    used = np.concatenate([made.development.rows, made.test.rows])
    assert not np.any(used % 7 == 0)
    assert made.left_out == len(range(0, 1000, 7))


def test_a_label_time_stands_in_for_the_delay_where_there_is_one() -> None:
    known: list[Any] = [START + timedelta(hours=row + 1) for row in range(1000)]
    known[790] = START + timedelta(hours=805)
    known[700] = None
    made = cut(dataset(every(5, 1000), known=known), label_delay="150h")
    assert 790 not in made.development.rows
    assert 799 in made.development.rows
    assert 700 not in made.development.rows, "without a label time it is the time and the delay"


def test_a_fraud_that_is_reported_early_waits_for_the_legitimate_rows_of_its_time() -> None:
    labels = every(5, 1000)
    known: list[Any] = [
        START + timedelta(hours=row + 1) if labels[row] else None for row in range(1000)
    ]
    made = cut(dataset(labels, known=known), label_delay="150h")
    np.testing.assert_array_equal(made.development.rows, np.arange(651))
    for fold in made.folds:
        assert np.array(labels)[fold.fit].mean() == pytest.approx(0.2, abs=0.01)


def test_rows_of_one_instant_stay_together_at_the_cut() -> None:
    made = cut(dataset(every(5, 1000), hours=np.arange(1000) // 300))
    np.testing.assert_array_equal(made.test.rows, np.arange(600, 1000))
    assert made.test.start == START + timedelta(hours=2)


def test_steps_go_forward_and_score_each_row_once() -> None:
    made = cut(dataset(every(5, 1000)), oof_folds=4, initial_train_share=0.4)
    assert len(made.folds) == 4
    scored = np.concatenate([fold.score for fold in made.folds])
    np.testing.assert_array_equal(scored, np.arange(320, 800))
    for fold in made.folds:
        np.testing.assert_array_equal(fold.fit, np.arange(fold.score[0]))


def test_steps_that_would_start_with_no_fit_are_left_out() -> None:
    hours = np.where(np.arange(1000) < 500, 0, np.arange(1000))
    made = cut(dataset(every(5, 1000), hours=hours))
    assert all(len(fold.fit) >= 500 for fold in made.folds)


def test_where_the_window_is_too_short_the_steps_go_without_the_delay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "fraudml"):
        made = cut(dataset(every(5, 1000)), label_delay="400h")
    assert not made.delay_kept
    assert caplog.text.count("too short for labels to arrive") == 1
    assert made.development.rows[-1] == 400, "the delay before the test block stays"
    for fold in made.folds:
        assert fold.fit[-1] + 1 == fold.score[0]


def test_where_label_times_are_too_late_the_steps_go_without_them() -> None:
    known = [START + timedelta(hours=max(row, 799)) for row in range(1000)]
    made = cut(dataset(every(5, 1000), known=known))
    assert not made.delay_kept
    assert all(len(fold.fit) for fold in made.folds)


def test_without_a_delay_the_delay_is_kept_whatever_the_frauds() -> None:
    label = np.zeros(1000, int)
    label[[1, 2, 3, *range(400, 800, 20), *range(800, 1000, 10)]] = 1
    assert cut(dataset(label)).delay_kept


def test_a_cut_at_random_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fraudml"):
        cut(dataset(every(5, 1000), hours=False))
        cut(dataset(every(5, 1000), hours=False, card=list(range(1000))))
    assert caplog.text.count("say nothing about the future") == 2
    assert caplog.text.count("at random by entity") == 1


def test_a_stratified_cut_keeps_the_prevalence() -> None:
    table = dataset(every(20, 2000), hours=False)
    made = cut(table)
    assert made.kind == "stratified"
    assert (len(made.test.rows), frauds(table, made.test.rows)) == (400, 20)
    assert len(made.folds) == 5
    scored = np.sort(np.concatenate([fold.score for fold in made.folds]))
    np.testing.assert_array_equal(scored, made.development.rows)
    assert {frauds(table, fold.score) for fold in made.folds} == {16}
    assert made.test.start is None


def test_the_seed_of_a_split_is_a_seed_even_where_it_is_0() -> None:
    table = dataset(every(20, 2000), hours=False)
    complete = DataSettings(labels_complete=True)

    def test_rows(own: int | None, seed: int) -> list[int]:
        rows = split_blocks(table, SplitSettings(seed=own), complete, seed).test.rows
        return [int(row) for row in rows]

    assert test_rows(None, 1) == test_rows(None, 1)
    assert test_rows(None, 1) != test_rows(None, 2)
    assert test_rows(0, 1) == test_rows(0, 2)
    assert test_rows(0, 1) != test_rows(3, 1)


def test_a_clock_can_be_left_aside() -> None:
    made = cut(dataset(every(20, 2000)), kind="stratified")
    assert made.kind == "stratified"
    assert made.test.rows[0] < 1000


@pytest.mark.parametrize("given", [{"kind": "time"}, {"test_start": "2026-01-05"}])
def test_what_needs_a_clock_says_so(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"needs data\.columns\.time"):
        cut(dataset(every(5, 1000), hours=False), **given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"test_share": 0.0}, "split.test_share is 0.0"),
        ({"test_share": 1.0}, "split.test_share is 1.0"),
        ({"initial_train_share": 1.5}, "split.initial_train_share is 1.5"),
        ({"oof_folds": 0}, "split.oof_folds is 0"),
        ({"label_delay": "a week"}, "split.label_delay is 'a week'"),
        ({"kind": "stratified", "test_start": "2026-01-05"}, "split.test_start needs split=time"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        SplitSettings(**given)


def refusal(table: Dataset, data: DataSettings | None = None, **given: Any) -> str:
    with pytest.raises(DataError) as refused:
        cut(table, data, **given)
    return str(refused.value)


def early(rows: int = 1000, last: int = 700) -> list[int]:
    """A fraud in each tenth row, none after `last`."""
    return [int(row % 10 == 0 and row < last) for row in range(rows)]


@pytest.mark.parametrize(
    ("table", "given"),
    [
        (dataset(early()), {}),
        (dataset(early(last=870)), {}),
        (dataset(early()), {"test_start": "2026-02-10"}),
        (dataset(early()), {"label_delay": "48h"}),
        (dataset(early(last=1000)), {"test_share": 0.95}),
        (dataset(early(last=1000)), {"test_share": 0.02}),
        (dataset(early(last=400), hours=False), {"test_share": 0.1}),
        (dataset(early(last=450), hours=False, card=list(range(1000))), {"test_share": 0.1}),
    ],
)
def test_the_share_that_a_refusal_names_works(table: Dataset, given: Any) -> None:
    told = refusal(table, **given)
    found = re.search(r"Set split\.test_share=(0\.\d\d)( and split\.test_start=null)?\.$", told)
    assert found is not None, told
    assert bool(found[2]) == ("test_start" in given)
    made = cut(table, **{**given, "test_share": float(found[1]), "test_start": None})
    assert frauds(table, made.test.rows) >= MIN_FRAUDS


def test_no_fraud_in_the_test_block_is_counted() -> None:
    told = refusal(dataset(early()))
    assert told.startswith("The test block has 0 frauds in 200 rows; at least 10 are needed.")
    assert "Of 1,000 rows 1,000 have a label that is known by now, 70 of them frauds." in told


def test_no_fraud_to_fit_on_is_counted() -> None:
    late = [int(row % 10 == 0 and row > 700) for row in range(1000)]
    told = refusal(dataset(late))
    assert "The development window has too few frauds to tune and calibrate on" in told
    assert "0 in the rows of a step's fit (at least 2)" in told


def test_too_few_frauds_anywhere_ask_for_more_rows() -> None:
    told = refusal(dataset([1] * 8 + [0] * 500))
    assert "No other split.test_share helps. Bring more rows" in told
    without_clock = refusal(dataset([1] + [0] * 500, hours=False))
    assert "Bring more rows" in without_clock


def test_a_table_of_one_instant_cannot_be_cut_by_time() -> None:
    told = refusal(dataset(every(5, 1000), hours=[0] * 1000))
    assert "The development window is empty" in told


def test_a_delay_longer_than_the_table_points_at_complete_labels() -> None:
    told = refusal(dataset(every(5, 1000)), DataSettings(), label_delay="1000h")
    assert "Of 1,000 rows 0 have a label that is known by now" in told
    assert "data.labels_complete=true" in told


def test_a_moment_after_the_last_row_is_refused_with_a_way_out() -> None:
    told = refusal(dataset(every(5, 1000)), test_start="2030-01-01")
    assert "The test block has 0 frauds in 0 rows" in told
    assert "split.test_start=null" in told
