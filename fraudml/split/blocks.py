"""Blocks in the order of the as-of clock: the development window, the test block, and the steps
that give every development decision scores of rows that its model has not seen.

Rows are positions in a `Dataset`. Nothing is fitted here.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fraudml.data.clock import parse_duration, parse_moment
from fraudml.data.schema import Dataset
from fraudml.data.settings import DataSettings
from fraudml.errors import ConfigError, DataError
from fraudml.seeds import child_generator, child_seed
from fraudml.split.moments import (
    Rows,
    entry_moments,
    row_moments,
    to_microseconds,
    usable_rows,
)

_log = logging.getLogger(__name__)

MIN_FRAUDS = 10
"""Fewer frauds than this in a block, and no number about it means anything."""

_SHARES = tuple(percent / 100 for percent in range(5, 75, 5))


@dataclass(frozen=True)
class SplitSettings:
    """How the table is cut into blocks.

    Parameters
    ----------
    kind : str
        `time`, `stratified` (at random, by entity where there is one), or `auto`: by time where
        there is a time.
    test_share : float
        Share of the rows in the test block; by time the last ones.
    test_start : str, optional
        The moment at which the test block starts, instead of a share.
    label_delay : str
        How long a label takes to arrive, as `7d` or `36h`.
    oof_folds : int
        How many out-of-fold steps there are in the development window.
    initial_train_share : float
        Share of the development window that the first step is fitted on.
    seed : int, optional
        The seed of a stratified split; by default a child of the run's seed.
    """

    kind: Literal["auto", "time", "stratified"] = "auto"
    test_share: float = 0.2
    test_start: str | None = None
    label_delay: str = "0"
    oof_folds: int = 4
    initial_train_share: float = 0.4
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("test_share", "initial_train_share"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"split.{name} is {getattr(self, name)}. It lies in (0, 1).")
        if self.oof_folds < 1:
            raise ConfigError(f"split.oof_folds is {self.oof_folds}. It is at least 1.")
        if self.test_start is not None and self.kind == "stratified":
            raise ConfigError("split.test_start needs split=time. Set one of the two.")
        parse_duration(self.label_delay, "split.label_delay")

    @property
    def delay(self) -> timedelta:
        """The label delay."""
        return parse_duration(self.label_delay, "split.label_delay")


@dataclass(frozen=True)
class Block:
    """Rows that are used together.

    Parameters
    ----------
    name : str
        `development` or `test`.
    rows : ndarray of int64
        Positions in the dataset, increasing.
    start, end : datetime, optional
        The first and the last time; None without a clock.
    """

    name: str
    rows: Rows
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Fold:
    """One step: a model is fitted on `fit` and scores `score`.

    Both are positions in the dataset, increasing, and share none. By time, every label of `fit`
    was known when the first row of `score` happened (without the delay where the development
    window is too short for it: `Split.delay_kept`).
    """

    fit: Rows
    score: Rows


@dataclass(frozen=True)
class Split:
    """The blocks of a run.

    Parameters
    ----------
    kind : str
        `time` or `stratified`.
    development, test : Block
        All that choices may see; all that they may not.
    folds : tuple of Fold
        Out-of-fold steps inside the development window, forward in time.
    delay_kept : bool
        Whether the label delay stands inside the steps too.
    left_out : int
        Rows that enter no block: label not known, or not yet.
    """

    kind: Literal["time", "stratified"]
    development: Block
    test: Block
    folds: tuple[Fold, ...]
    delay_kept: bool
    left_out: int


def split_blocks(dataset: Dataset, settings: SplitSettings, data: DataSettings, seed: int) -> Split:
    """Cut a dataset into development window, test block and out-of-fold steps.

    Parameters
    ----------
    dataset : Dataset
        In the order of its clock.
    settings : SplitSettings
        Shares, delay, steps.
    data : DataSettings
        `as_of` and `labels_complete`.
    seed : int
        The run's seed; used only without a clock.

    Returns
    -------
    Split

    Raises
    ------
    ConfigError
        `split=time` or a `test_start` without a time column, or one that is no moment.
    DataError
        Under 10 frauds in the test block, or in what the steps score; the message names a share
        that gives more, where there is one.
    """
    kind = split_kind(dataset, settings)
    known_at = entry_moments(dataset, settings.delay)
    usable = usable_rows(dataset, known_at, data)

    def cut_as(proposal: SplitSettings) -> Split:
        if kind == "time":
            return _by_time(dataset, known_at, usable, proposal)
        return _stratified(dataset, usable, proposal, seed)

    cut = cut_as(settings)
    if (problem := too_few(dataset, cut.development, cut.test, cut.folds)) is not None:
        frauds = int((dataset.label[usable] == 1).sum())
        raise DataError(
            f"{problem} Of {len(dataset):,} rows {len(usable):,} have a label that is known by "
            f"now, {frauds:,} of them frauds. {_next_step(dataset, settings, data, cut_as)}"
        )
    say_what_gave_way(dataset, cut, settings)
    return cut


def split_kind(dataset: Dataset, settings: SplitSettings) -> Literal["time", "stratified"]:
    """Say how a dataset is cut, which `auto` leaves to whether it has a clock.

    Raises
    ------
    ConfigError
        `split=time` or a `test_start` without a time column.
    """
    if not dataset.has_time and (settings.kind == "time" or settings.test_start is not None):
        key = "split=time" if settings.kind == "time" else "split.test_start"
        raise ConfigError(
            f"{key} needs data.columns.time, which is not set. Name the column, or set "
            "split=stratified."
        )
    if settings.kind == "auto":
        return "time" if dataset.has_time else "stratified"
    return settings.kind


def say_what_gave_way(dataset: Dataset, cut: Split, settings: SplitSettings) -> None:
    """Log that blocks are at random, or that steps go without the label delay."""
    if cut.kind == "stratified":
        _log.info(
            "Blocks are stratified at random%s: they say nothing about the future.",
            " by entity" if dataset.schema.roles.entity else "",
        )
    elif not cut.delay_kept:
        _log.warning(
            "The development window is too short for labels to arrive inside the out-of-fold "
            "steps: they go without the label delay (%s).",
            settings.label_delay,
        )


def _by_time(
    dataset: Dataset, known_at: NDArray[np.int64] | None, usable: Rows, settings: SplitSettings
) -> Split:
    assert known_at is not None
    time = row_moments(dataset)
    cutoff = _test_cutoff(dataset, time, usable, settings)
    test = usable[time[usable] >= cutoff]
    before = usable[time[usable] < cutoff]
    development = before[known_at[before] <= cutoff]
    folds, delay_kept = forward_steps(dataset, known_at, development, settings)
    return Split(
        "time",
        block_of("development", dataset, development),
        block_of("test", dataset, test),
        folds,
        delay_kept=delay_kept,
        left_out=len(dataset) - len(development) - len(test),
    )


def forward_steps(
    dataset: Dataset, known_at: NDArray[np.int64], development: Rows, settings: SplitSettings
) -> tuple[tuple[Fold, ...], bool]:
    """Chain out-of-fold steps forward through a development window.

    Parameters
    ----------
    dataset : Dataset
        The table.
    known_at : ndarray of int64
        From `entry_moments`.
    development : ndarray of int64
        The rows of the window, increasing.
    settings : SplitSettings
        How many steps, and where the first starts.

    Returns
    -------
    tuple
        The steps, and whether the label delay stands inside them: it does wherever that leaves
        enough frauds to fit on.
    """
    time = row_moments(dataset)
    steps = _cutoffs(time[development], settings)
    folds = tuple(_forward(time, known_at, development, steps))
    late = bool((known_at[development] > time[development]).any())
    if not late or _enough(dataset, folds):
        return folds, True
    return tuple(_forward(time, time, development, steps)), False


def _test_cutoff(
    dataset: Dataset, time: NDArray[np.int64], usable: Rows, settings: SplitSettings
) -> int:
    if settings.test_start is None:
        first = int(np.floor(len(usable) * (1 - settings.test_share) + 1e-9))
        return int(time[usable[min(first, len(usable) - 1)]]) if len(usable) else 0
    schema = dataset.schema
    return to_microseconds(
        parse_moment(
            settings.test_start,
            "split.test_start",
            unit=schema.time_unit,
            numeric=schema.numeric_time,
        )
    )


def _cutoffs(time: NDArray[np.int64], settings: SplitSettings) -> NDArray[np.int64]:
    """Moments at which steps start, and the end; rows of one instant stay together."""
    shares = np.linspace(settings.initial_train_share, 1.0, settings.oof_folds + 1)[:-1]
    if not len(time):
        return np.empty(0, np.int64)
    starts = time[(shares * len(time)).astype(np.int64)]
    return np.unique(np.append(starts[starts > time[0]], time[-1] + 1))


def _forward(
    time: NDArray[np.int64],
    known_at: NDArray[np.int64],
    development: Rows,
    steps: NDArray[np.int64],
) -> Iterator[Fold]:
    when = time[development]
    for start, end in pairwise(steps):
        fit = development[(when < start) & (known_at[development] <= start)]
        score = development[(when >= start) & (when < end)]
        yield Fold(fit, score)


def _enough(dataset: Dataset, folds: tuple[Fold, ...]) -> bool:
    label = dataset.label
    return bool(folds) and all((label[fold.fit] == 1).sum() >= MIN_FRAUDS for fold in folds)


def _stratified(dataset: Dataset, usable: Rows, settings: SplitSettings, seed: int) -> Split:
    label = dataset.label[usable]
    entity = dataset.entity_codes()
    if entity is None:
        development, test = _rows_at_random(usable, label, settings, seed)
    else:
        generator = child_generator(seed if settings.seed is None else settings.seed, "test block")
        position = _deal(entity[usable], label, generator)
        test = usable[position < settings.test_share]
        development = usable[position >= settings.test_share]
    return Split(
        "stratified",
        block_of("development", dataset, development),
        block_of("test", dataset, test),
        random_steps(dataset, development, settings, seed),
        delay_kept=True,
        left_out=len(dataset) - len(usable),
    )


def random_steps(
    dataset: Dataset, development: Rows, settings: SplitSettings, seed: int
) -> tuple[Fold, ...]:
    """Cut a development window into out-of-fold steps at random, by entity where there is one.

    Parameters
    ----------
    dataset, development, settings
        As for `forward_steps`.
    seed : int
        The run's.
    """
    entity = dataset.entity_codes()
    names = np.arange(len(dataset)) if entity is None else entity
    position = _deal(names[development], dataset.label[development], child_generator(seed, "folds"))
    part = np.minimum((position * (settings.oof_folds + 1)).astype(np.int64), settings.oof_folds)
    return tuple(
        Fold(development[part != k], development[part == k]) for k in range(settings.oof_folds + 1)
    )


def _rows_at_random(
    usable: Rows, label: NDArray[np.int8], settings: SplitSettings, seed: int
) -> tuple[Rows, Rows]:
    from sklearn.model_selection import train_test_split

    state = child_seed(seed, "test block") if settings.seed is None else settings.seed
    try:
        development, test = train_test_split(
            usable, test_size=settings.test_share, stratify=label, random_state=state
        )
    except ValueError as error:
        raise DataError(
            f"The table cannot be cut at split.test_share={settings.test_share}: it has "
            f"{len(usable):,} rows with a known label, {(label == 1).sum():,} of them frauds. "
            "Bring more rows."
        ) from error
    return np.sort(development), np.sort(test)


def _deal(
    entity: NDArray[np.int64], label: NDArray[np.int8], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Give each entity a place in [0, 1), evenly among those with and those without a fraud."""
    names, inverse = np.unique(entity, return_inverse=True)
    fraud = np.bincount(inverse, weights=label == 1, minlength=len(names)) > 0
    position = np.empty(len(names))
    for stratum in (fraud, ~fraud):
        count = int(stratum.sum())
        position[stratum] = (generator.permutation(count) + 0.5) / max(count, 1)
    return position[inverse]


def block_of(name: str, dataset: Dataset, rows: Rows) -> Block:
    """Return rows as a block, with its first and last time."""
    if not dataset.has_time or not len(rows):
        return Block(name, rows)
    time = dataset.facts["time"][rows]
    return Block(name, rows, time.min(), time.max())  # type: ignore[arg-type]


def too_few(
    dataset: Dataset, development: Block, test: Block, folds: tuple[Fold, ...]
) -> str | None:
    """Say which block has too few frauds for any number about it to mean anything, if one has."""
    tested = int((dataset.label[test.rows] == 1).sum())
    if tested < MIN_FRAUDS:
        return (
            f"The test block has {tested} frauds in {len(test.rows):,} rows; at least "
            f"{MIN_FRAUDS} are needed."
        )
    if not len(development.rows):
        return (
            "The development window is empty: no row with a label that was known in time comes "
            "before the test block."
        )
    return too_few_to_tune(dataset, folds)


def too_few_to_tune(dataset: Dataset, folds: tuple[Fold, ...]) -> str | None:
    """Say that out-of-fold steps have too few frauds to tune and calibrate on, if they have."""
    label = dataset.label
    frauds = [int((label[fold.score] == 1).sum()) for fold in folds]
    fitted = min((int((label[fold.fit] == 1).sum()) for fold in folds), default=0)
    if sum(frauds) < MIN_FRAUDS or fitted < 2:
        return (
            f"The development window has too few frauds to tune and calibrate on: {sum(frauds)} in "
            f"the rows that its out-of-fold steps score (at least {MIN_FRAUDS} are needed), "
            f"{fitted} in the rows of a step's fit (at least 2)."
        )
    return None


def _shorter_than_delay(dataset: Dataset, settings: SplitSettings) -> str | None:
    """Say that no label can be known, the table being shorter than the delay."""
    time, schema = row_moments(dataset), dataset.schema
    span = timedelta(microseconds=int(time[-1] - time[0]))
    if span >= settings.delay:
        return None
    unit = f", read as data.time_unit={schema.time_unit}" if schema.numeric_time else ""
    step = "data.time_unit or " if schema.numeric_time else ""
    return (
        f"The table spans {span}{unit}, less than split.label_delay={settings.label_delay}. "
        f"Correct {step}split.label_delay."
    )


def _next_step(
    dataset: Dataset,
    settings: SplitSettings,
    data: DataSettings,
    cut_as: Callable[[SplitSettings], Split],
) -> str:
    """Name a share that was tried and gives frauds enough, the one nearest to what was asked."""
    asked = settings.test_share
    for share in sorted(_SHARES, key=lambda share: abs(share - asked)):
        with contextlib.suppress(DataError):
            cut = cut_as(replace(settings, test_share=share, test_start=None))
            if too_few(dataset, cut.development, cut.test, cut.folds):
                continue
            also = "" if settings.test_start is None else " and split.test_start=null"
            return f"Set split.test_share={share:.2f}{also}."
    late = settings.delay and not data.labels_complete
    complete = ", or, if every label has arrived, set data.labels_complete=true" if late else ""
    if dataset.has_time and (first := _shorter_than_delay(dataset, settings)):
        return f"{first} Bring more rows{complete}."
    if dataset.has_time and settings.delay and not data.labels_complete:
        return f"No other split.test_share helps. Bring more rows{complete}."
    return "No other split.test_share helps. Bring more rows: about 30 frauds are the least."
