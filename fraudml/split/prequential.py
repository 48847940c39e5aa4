"""Prequential folds: train, wait for labels, test; then slide forward (Le Borgne et al., ch. 5).

Nothing is fitted here; a fold's steps are those of any development window.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fraudml.data.clock import parse_moment
from fraudml.data.schema import Dataset
from fraudml.data.settings import DataSettings
from fraudml.errors import ConfigError, DataError
from fraudml.split.blocks import (
    Block,
    Fold,
    SplitSettings,
    block_of,
    forward_steps,
    too_few,
)
from fraudml.split.moments import (
    Rows,
    entry_moments,
    label_moments,
    row_moments,
    to_microseconds,
    usable_rows,
)

_log = logging.getLogger(__name__)

_DAY = 86_400_000_000


@dataclass(frozen=True)
class BacktestSettings:
    """How a table is walked through: train, wait, test, and on by a step.

    Parameters
    ----------
    folds : int
        How many test periods there are, one after the other.
    train_days : float, optional
        How many days a model is fitted on; by default all that came before.
    delay_days : float, optional
        How many days labels need, between training and test; by default `split.label_delay`.
    test_days : float
        How many days a model is tested on.
    step_days : float, optional
        How many days later the next fold starts; by default as many as it is tested on.
    end : str, optional
        The moment at which the last test period ends; by default the midnight after the
        last row with a known label.
    remove_compromised : bool
        Whether an entity leaves the test period once a fraud of its is known.
    compromised_days : float, optional
        How many days before the label delay such a fraud may lie; by default as many as are trained
        on, so that runs with other training days have other test rows.
    refit : str
        `each` fits a model for every fold; `never` also shows how the first fold's model does on
        all of them.
    """

    folds: int = 4
    train_days: float | None = None
    delay_days: float | None = None
    test_days: float = 7.0
    step_days: float | None = None
    end: str | None = None
    remove_compromised: bool = True
    compromised_days: float | None = None
    refit: Literal["each", "never"] = "each"

    def __post_init__(self) -> None:
        if self.folds < 1:
            raise ConfigError(f"backtest.folds is {self.folds}. It is at least 1.")
        for name in ("train_days", "test_days", "step_days", "compromised_days"):
            days = getattr(self, name)
            if days is not None and days <= 0:
                raise ConfigError(f"backtest.{name} is {days}. It is above 0.")
        if self.delay_days is not None and self.delay_days < 0:
            raise ConfigError(f"backtest.delay_days is {self.delay_days}. It is at least 0.")

    def delay(self, split: SplitSettings) -> timedelta:
        """Return how long labels need, in the folds and in the features."""
        return split.delay if self.delay_days is None else timedelta(days=self.delay_days)


@dataclass(frozen=True)
class BacktestFold:
    """One fold: a model is fitted on `train` and judged on `test`.

    Parameters
    ----------
    number : int
        From 0, the earliest first.
    train, test : Block
        Rows of the dataset; every label of `train` was known when the test period starts.
    steps : tuple of Fold
        Out-of-fold steps inside `train`.
    delay_kept : bool
        Whether the label delay stands inside the steps too.
    removed : int
        Rows of the test period that are left out, their entity being known for a fraud.
    """

    number: int
    train: Block
    test: Block
    steps: tuple[Fold, ...]
    delay_kept: bool
    removed: int


def prequential_folds(
    dataset: Dataset, settings: BacktestSettings, split: SplitSettings, data: DataSettings
) -> tuple[BacktestFold, ...]:
    """Cut a dataset into prequential folds.

    From each day of a test period those entities are left out that had a fraud that was known when
    the period started, or became known before that day began.

    Parameters
    ----------
    dataset : Dataset
        In the order of its clock.
    settings : BacktestSettings
        Lengths, number, end.
    split : SplitSettings
        Label delay and steps.
    data : DataSettings
        `as_of` and `labels_complete`.

    Returns
    -------
    tuple of BacktestFold
        The earliest first.

    Raises
    ------
    ConfigError
        There is no clock.
    DataError
        A fold reaches before the table, or has too few frauds.
    """
    if not dataset.has_time:
        raise ConfigError("backtest needs data.columns.time, which is not set. Name the column.")
    removes = settings.remove_compromised and dataset.schema.roles.entity is not None
    if settings.remove_compromised and not removes:
        _log.info("No column plays the role 'entity': nobody is left out as compromised.")
    table = _Table.of(dataset, settings, split, data, removes)
    folds = tuple(table.fold(number) for number in range(settings.folds))
    if problems := [problem for fold in folds if (problem := _problem(dataset, fold)) is not None]:
        raise DataError(f"{problems[0]} {_NEXT_STEP}")
    if not all(fold.delay_kept for fold in folds):
        _log.warning(
            "The training periods are too short for labels to arrive inside their out-of-fold "
            "steps: these go without the label delay."
        )
    return folds


_NEXT_STEP = (
    "Set fewer backtest.folds, more train_days or test_days, another backtest.end, or bring more "
    "rows."
)


def _problem(dataset: Dataset, fold: BacktestFold) -> str | None:
    problem = too_few(dataset, fold.train, fold.test, fold.steps)
    if problem is None:
        return None
    period = f", from {fold.test.start} to {fold.test.end}" if len(fold.test.rows) else ""
    return f"Fold {fold.number}{period}: {problem[0].lower()}{problem[1:]}"


@dataclass(frozen=True)
class _Table:
    """A dataset on its clock, in microseconds, and the lengths of a fold."""

    dataset: Dataset
    settings: BacktestSettings
    split: SplitSettings
    time: NDArray[np.int64]
    known_at: NDArray[np.int64]
    enters_at: NDArray[np.int64]
    usable: Rows
    entity: NDArray[np.int64] | None
    delay: int
    end: int

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        settings: BacktestSettings,
        split: SplitSettings,
        data: DataSettings,
        removes: bool,
    ) -> _Table:
        delay = settings.delay(split)
        known_at, enters_at = label_moments(dataset, delay), entry_moments(dataset, delay)
        assert known_at is not None
        assert enters_at is not None
        usable = usable_rows(dataset, enters_at, data)
        if not len(usable):
            raise DataError(
                f"None of the {len(dataset):,} rows has a label that is known by now. Set "
                "data.labels_complete=true if every label has arrived, or bring older rows."
            )
        time = row_moments(dataset)
        return cls(
            dataset=dataset,
            settings=settings,
            split=split,
            time=time,
            known_at=known_at,
            enters_at=enters_at,
            usable=usable,
            entity=dataset.entity_codes() if removes else None,
            delay=delay // timedelta(microseconds=1),
            end=_end(dataset, settings, int(time[usable[-1]])),
        )

    def fold(self, number: int) -> BacktestFold:
        settings = self.settings
        step = _days(settings.test_days if settings.step_days is None else settings.step_days)
        test_end = self.end - (settings.folds - 1 - number) * step
        test_start = test_end - _days(settings.test_days)
        train_end = test_start - self.delay
        table_start = int(self.time[0]) // _DAY * _DAY
        train_start = table_start
        if settings.train_days is not None:
            train_start = train_end - _days(settings.train_days)
        if train_start < table_start or train_end <= self.time[0]:
            first = self.dataset.facts["time"][0]
            raise DataError(
                f"Fold {number} would be fitted on rows from before the table's first, {first}. "
                f"{_NEXT_STEP}"
            )
        when = self.time[self.usable]
        rows = self.usable[(when >= train_start) & (when < train_end)]
        train = rows[self.enters_at[rows] <= test_start]
        period = self.usable[(when >= test_start) & (when < test_end)]
        since = train_start
        if settings.compromised_days is not None:
            since = train_end - _days(settings.compromised_days)
        test = period[~self._compromised(since, test_start, period)]
        steps, delay_kept = forward_steps(self.dataset, self.enters_at, train, self.split)
        return BacktestFold(
            number=number,
            train=block_of("train", self.dataset, train),
            test=block_of("test", self.dataset, test),
            steps=steps,
            delay_kept=delay_kept,
            removed=len(period) - len(test),
        )

    def _compromised(self, since: int, test_start: int, period: Rows) -> NDArray[np.bool_]:
        """Whether a row's entity was known for a fraud before the row's day began."""
        if self.entity is None:
            return np.zeros(len(period), dtype=bool)
        frauds = np.flatnonzero((self.dataset.label == 1) & (self.time >= since))
        # A label that arrives at the very moment that the period starts is learnt from.
        known_at = self.known_at[frauds] - (self.known_at[frauds] == test_start)
        earliest = np.full(int(self.entity.max()) + 1, np.iinfo(np.int64).max)
        np.minimum.at(earliest, self.entity[frauds], known_at)
        day_start = test_start + (self.time[period] - test_start) // _DAY * _DAY
        compromised: NDArray[np.bool_] = earliest[self.entity[period]] < day_start
        return compromised


def _days(days: float) -> int:
    return round(days * _DAY)


def _end(dataset: Dataset, settings: BacktestSettings, last: int) -> int:
    if settings.end is None:
        return (last // _DAY + 1) * _DAY
    schema = dataset.schema
    return to_microseconds(
        parse_moment(
            settings.end, "backtest.end", unit=schema.time_unit, numeric=schema.numeric_time
        )
    )
