"""Prequential folds against a slow walk through the rows, as the Handbook's chapter 5 tells it."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudml.data.check import check_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.errors import DataError
from fraudml.split import BacktestFold, BacktestSettings, SplitSettings, prequential_folds

START = datetime(2026, 1, 1)
DAY = timedelta(days=1)
SOME = settings(max_examples=40, deadline=None)
COMPLETE = DataSettings(labels_complete=True)


def table(seed: int, *, label_time: bool = False, cards: int = 1500, days: int = 20) -> Dataset:
    """Many frauds, on moments that often are midnight."""
    random = np.random.default_rng(seed)
    rows = 1500
    quarter = np.sort(random.integers(0, days * 4, rows))
    moments = [START + int(one) * DAY / 4 for one in quarter]
    columns: dict[str, object] = {
        "label": (random.random(rows) < 0.3).astype(int),
        "t": moments,
        "card": random.integers(0, cards, rows),
    }
    if label_time:
        late = random.integers(0, 24, rows)
        told = [moment + int(one) * DAY / 4 for moment, one in zip(moments, late, strict=True)]
        columns["known"] = [one if random.random() < 0.7 else None for one in told]
    roles = ColumnRoles(time="t", entity="card", label_time="known" if label_time else None)
    return check_table(pl.DataFrame(columns), DataSettings(columns=roles, labels_complete=True))


def walked(
    dataset: Dataset, fold: int, asked: BacktestSettings, delay: timedelta
) -> tuple[list[int], list[int]]:
    """The rows of a fold's training and test, by reading every row."""
    rows = list(
        zip(
            dataset.facts["time"],
            dataset.facts["label_time"],
            dataset.label,
            dataset.frame["card"],
            strict=True,
        )
    )
    assert asked.train_days is not None
    step = asked.step_days or asked.test_days
    end = datetime.fromisoformat(str(asked.end)) - (asked.folds - 1 - fold) * step * DAY
    test_start = end - asked.test_days * DAY
    train_end = test_start - delay
    train_start = train_end - asked.train_days * DAY
    since = (
        train_start if asked.compromised_days is None else train_end - asked.compromised_days * DAY
    )

    def known(row: tuple[datetime, datetime | None, int, int]) -> datetime:
        return row[1] if row[1] is not None else row[0] + delay

    waits = any(row[2] == 0 and row[1] is None for row in rows)

    def enters(row: tuple[datetime, datetime | None, int, int]) -> datetime:
        return max(known(row), row[0] + delay) if waits else known(row)

    train = [
        i
        for i, row in enumerate(rows)
        if train_start <= row[0] < train_end and enters(row) <= test_start
    ]
    test = []
    for i, row in enumerate(rows):
        if not test_start <= row[0] < end:
            continue
        day = test_start + (row[0] - test_start) // DAY * DAY
        compromised = any(
            other[2] == 1
            and other[3] == row[3]
            and other[0] >= since
            and (known(other) <= test_start or known(other) < day)
            for other in rows
        )
        if not (asked.remove_compromised and compromised):
            test.append(i)
    return train, test


@SOME
@given(
    seed=st.integers(0, 999),
    label_time=st.booleans(),
    train_days=st.sampled_from([2.0, 4.0]),
    delay_days=st.sampled_from([0.0, 1.0, 2.5]),
    step_days=st.sampled_from([None, 1.0]),
    compromised_days=st.sampled_from([None, 1.0]),
    remove=st.booleans(),
)
def test_folds_are_those_of_a_slow_walk(
    seed: int,
    label_time: bool,
    train_days: float,
    delay_days: float,
    step_days: float | None,
    compromised_days: float | None,
    remove: bool,
) -> None:
    dataset = table(seed, label_time=label_time, cards=400 if remove else 40)
    asked = BacktestSettings(
        folds=2,
        train_days=train_days,
        delay_days=delay_days,
        test_days=3.0,
        step_days=step_days,
        compromised_days=compromised_days,
        end="2026-01-20",
        remove_compromised=remove,
    )
    try:
        folds = prequential_folds(dataset, asked, SplitSettings(oof_folds=2), COMPLETE)
    except DataError as error:
        assert "frauds" in str(error)  # noqa: PT017 - some tables leave a fold without them
        return
    for fold in folds:
        train, test = walked(dataset, fold.number, asked, timedelta(days=delay_days))
        np.testing.assert_array_equal(fold.train.rows, train)
        np.testing.assert_array_equal(fold.test.rows, test)


def folds(dataset: Dataset, **asked: object) -> tuple[BacktestFold, ...]:
    given_ = BacktestSettings(**{"folds": 2, "test_days": 3.0, **asked})  # type: ignore[arg-type]
    split = SplitSettings(label_delay="1d", oof_folds=2)
    return prequential_folds(dataset, given_, split, COMPLETE)


def test_all_history_grows_from_fold_to_fold() -> None:
    first, last = folds(table(0))
    assert first.train.rows[0] == last.train.rows[0] == 0
    assert len(first.train.rows) < len(last.train.rows)


def test_the_last_period_ends_at_the_midnight_after_the_last_row() -> None:
    dataset = table(0)
    *_, last = folds(dataset)
    assert last.test.end is not None
    assert last.test.end >= START + 19 * DAY
    assert last.test.start is not None
    assert last.test.start >= START + 17 * DAY


def test_the_delay_of_the_split_is_the_delay_of_the_folds() -> None:
    dataset = table(0)
    moments = dataset.facts["time"]
    for fold in folds(dataset):
        assert moments[int(fold.train.rows[-1])] < START + (14 + 3 * fold.number - 1) * DAY


def test_steps_lie_inside_the_training_rows() -> None:
    for fold in folds(table(0)):
        for step in fold.steps:
            assert set(step.fit) | set(step.score) <= set(fold.train.rows)
            assert step.fit.max() < step.score.min()


def test_no_label_that_is_not_known_by_now_is_tested_on() -> None:
    dataset = table(0)
    split = SplitSettings(label_delay="1d", oof_folds=2)
    *_, last = prequential_folds(
        dataset, BacktestSettings(folds=1, test_days=3.0), split, DataSettings()
    )
    newest, tested = dataset.facts["time"].max(), last.test.end
    assert newest is not None
    assert tested is not None
    assert tested <= newest - DAY  # type: ignore[operator]


@pytest.mark.parametrize("days", [30.0, 18.0])
def test_a_fold_never_reaches_before_the_table(days: float) -> None:
    with pytest.raises(DataError, match="before the table's first"):
        folds(table(0), train_days=days)
