"""An input cut into chunks that score as the whole would, each with the history that it needs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from fraudml.bundle import DecisionBundle
from fraudml.data.check import conform_table
from fraudml.data.clock import parse_moment
from fraudml.data.schema import Dataset
from fraudml.errors import DataError
from fraudml.features.history import HistoryPlan
from fraudml.features.plan import together
from fraudml.scoring.rows import MOMENT, REASON, ROW
from fraudml.scoring.source import Source, Span

_log = logging.getLogger(__name__)

_DAY = 86_400.0
_ROWS = 100_000


@dataclass(frozen=True)
class Chunk:
    """Some rows of an input: those that can be scored, the others, and the rows before them.

    `rows` counts the rows of the input, both kinds; `refused` has `ROW` and `REASON`.
    """

    number: int
    rows: int
    table: Dataset
    refused: pl.DataFrame
    history: Dataset | None = None


class Past:
    """The rows before a chunk, as far as features look back: grows and is trimmed chunk by chunk.

    `needed` is how far that is, in seconds; `rows` are those before the first chunk.
    """

    def __init__(self, plan: HistoryPlan, needed: float, rows: Dataset | None = None) -> None:
        self._plan = plan
        self._needed = timedelta(seconds=needed)
        self.rows = rows

    def __len__(self) -> int:
        return 0 if self.rows is None else len(self.rows)

    def trim(self, first: datetime | None) -> None:
        """Drop what no row from a moment on looks at."""
        if self.rows is None or first is None:
            return
        needed = (self.rows.facts["time"] >= first - self._needed).to_numpy()
        if not needed.all():
            self.rows = self.rows.take(np.flatnonzero(needed))

    def extend(self, table: Dataset) -> None:
        """Add the rows of a chunk."""
        before = table.take(np.empty(0, np.int64)) if self.rows is None else self.rows
        self.rows = together(before, table, self._plan)


def iter_chunks(
    frames: Iterable[pl.DataFrame], bundle: DecisionBundle, size: int, past: Past | None
) -> Iterator[Chunk]:
    """Cut an input into chunks, the same ones whatever frames it comes in.

    Without a past, each has `size` rows. With one, the input is in the order of time, a chunk never
    ends within a moment, and it has at least as many rows as the past before it, so that looking
    back costs at most as much again.
    """
    held: pl.DataFrame | None = None
    number = 0
    for frame in frames:
        if held is None or not held.height:  # what was cut off must not be held in memory
            held = frame
        else:
            held = pl.concat([held, frame], how="vertical_relaxed", rechunk=True)
        while (end := _chunk_end(held, size, past)) is not None:
            yield _chunk(held[:end], number, bundle, past)
            held, number = held[end:], number + 1
    if held is not None and (held.height or number == 0):
        yield _chunk(held, number, bundle, past)


def _chunk_end(held: pl.DataFrame, size: int, past: Past | None) -> int | None:
    """Where the next chunk ends; None where more rows are needed to say."""
    if past is None:
        return size if held.height >= size else None
    if held.height <= size:
        return None
    past.trim(_first(held))
    least = max(size, len(past))
    if held.height <= least:
        return None
    latest = held[MOMENT].dt.epoch("us").fill_null(strategy="min").cum_max().to_numpy()
    later = np.flatnonzero(latest[least:] > latest[least - 1 : -1])
    return least + int(later[0]) if len(later) else None


def _first(rows: pl.DataFrame) -> datetime | None:
    first = rows.filter(pl.col(REASON).is_null())[MOMENT].min()
    assert first is None or isinstance(first, datetime)
    return first


def _chunk(rows: pl.DataFrame, number: int, bundle: DecisionBundle, past: Past | None) -> Chunk:
    valid = rows.filter(pl.col(REASON).is_null())
    refused = rows.filter(pl.col(REASON).is_not_null())
    labelled = bundle.features.history.uses_labels and bundle.schema.roles.label in rows.columns
    with _errors_of("input"):
        table = conform_table(
            valid.drop(ROW, MOMENT, REASON), bundle.schema, bundle.needed_columns, labelled=labelled
        )
    table = replace(table, facts=table.facts.with_columns(row=valid[ROW]))
    if past is None:
        return Chunk(number, rows.height, table, refused)
    past.trim(_first(rows))
    history = past.rows
    past.extend(table)
    return Chunk(number, rows.height, table, refused, history)


@contextmanager
def _errors_of(key: str) -> Iterator[None]:
    """Begin the errors of a table with the config key that names it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{key}: {error}") from error


@dataclass(frozen=True)
class KnownPast:
    """A history as far back as features look from the input's start.

    `rows` is None without a history. `first` is where the whole history starts, `last` where its
    rows before the input end; `without_time` counts rows whose time cannot be read.
    """

    rows: Dataset | None = None
    first: datetime | None = None
    last: datetime | None = None
    without_time: int = 0


def read_past(source: Source | None, bundle: DecisionBundle, span: Span) -> KnownPast:
    """Read as much of a history as the features of an input look at, and no more."""
    if source is None or span.first is None:
        return KnownPast()
    start = span.first - timedelta(seconds=bundle.features.history_needed)
    first: datetime | None = None
    needed, without_time = list[pl.DataFrame](), 0
    for frame in source.frames(_ROWS):
        valid = frame.filter(pl.col(REASON).is_null())
        without_time += frame.height - valid.height
        _refuse_unreadable(frame, bundle.schema.roles.time)
        first = min((moment for moment in (first, _first(valid)) if moment), default=None)
        needed.append(valid.filter(pl.col(MOMENT) >= start))
    rows = pl.concat(needed, how="vertical_relaxed")
    last = rows.filter(pl.col(MOMENT) <= span.first)[MOMENT].max()
    assert last is None or isinstance(last, datetime)
    if late := rows.height - rows.filter(pl.col(MOMENT) < span.first).height:
        _log.info(
            "%s rows of the history are not before the input's first row. None of them may be a "
            "row of the input.",
            f"{late:,}",
        )
    with _errors_of("history"):
        past = conform_table(
            rows.drop(ROW, MOMENT, REASON),
            bundle.schema,
            bundle.needed_history,
            labelled=bundle.features.history.uses_labels,
        )
    return KnownPast(past, first, last, without_time)


def _refuse_unreadable(frame: pl.DataFrame, time: str | None) -> None:
    """Refuse rows of a history that have a time and a value that cannot be read."""
    timeless = [f"no time in '{time}'", f"'{time}' is not a time"]
    wrong = frame.filter(pl.col(REASON).is_not_null() & ~pl.col(REASON).is_in(timeless))
    if not wrong.height:
        return
    counts = wrong[REASON].value_counts(sort=True).rows()
    reasons = "; ".join(f"{reason} in {count:,} rows" for reason, count in counts[:5])
    raise DataError(
        f"history: {reasons} (first at row {wrong[ROW][0]:,}). Without these rows the past of "
        "others would be another. Write these values as in training, or as missing."
    )


def check_past(
    known: KnownPast, span: Span, bundle: DecisionBundle, *, allow_short: bool
) -> float | None:
    """Refuse a history that starts too late; return the seconds between its end and the input.

    One that goes back as far as the table that the model was trained on is long enough: no row in
    training saw more. With `allow_short` a short history is a warning. None without a history or
    an input.
    """
    if span.first is None:
        return None
    needed = bundle.features.history_needed
    start = span.first - timedelta(seconds=needed)
    trained_from = _start_of_training(bundle)
    start = start if trained_from is None else min(span.first, max(start, trained_from))
    if known.first is None or known.first > start:
        actual = "there is none" if known.first is None else f"it starts at {known.first}"
        message = (
            f"history: the features look {needed / _DAY:g} days before a row, and the model was "
            f"trained on rows from {trained_from} on. The input's first row needs a history from "
            f"{start} on, and {actual}."
        )
        if not allow_short:
            raise DataError(
                f"{message} Add earlier rows, or set allow_short_history=true: rows without their "
                "past look like those of new cards."
            )
        _log.warning("%s Scored without it: allow_short_history=true.", message)
    if known.without_time:
        _log.warning(
            "%s rows of the history have no readable time: dropped.", f"{known.without_time:,}"
        )
    if known.last is None:
        return None
    gap = (span.first - known.last).total_seconds()
    _log.info("The history ends %.3g days before the input's first row.", gap / _DAY)
    return gap


def _start_of_training(bundle: DecisionBundle) -> datetime | None:
    start = bundle.record.get("data", {}).get("start")
    if start is None:
        return None
    unit, numeric = bundle.schema.time_unit, bundle.schema.numeric_time
    return parse_moment(str(start), "data.start", unit=unit, numeric=numeric)
