"""An input cut into pieces that score as the whole would, each with the past that it needs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
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


@dataclass(frozen=True)
class Chunk:
    """Some rows of an input.

    Parameters
    ----------
    number : int
        Which piece, from 0.
    rows : int
        How many rows of the input it covers, those that cannot be scored among them.
    table : Dataset
        The rows that can be scored.
    refused : DataFrame
        The rows that cannot, with `ROW` and `REASON`.
    history : Dataset, optional
        Rows before it, as far as its features look back.
    """

    number: int
    rows: int
    table: Dataset
    refused: pl.DataFrame
    history: Dataset | None = None


class Past:
    """Rows before a piece, as far as features look back; grows and is trimmed as pieces go by.

    Parameters
    ----------
    plan : HistoryPlan
        What is looked back on.
    needed : float
        How far, in seconds.
    rows : Dataset, optional
        What is known before the first piece.
    """

    def __init__(self, plan: HistoryPlan, needed: float, rows: Dataset | None = None) -> None:
        self._plan = plan
        self._needed = timedelta(seconds=needed)
        self.rows = rows

    def __len__(self) -> int:
        return 0 if self.rows is None else len(self.rows)

    def trim(self, first: datetime | None) -> None:
        """Let go what no row from a moment on looks at."""
        if self.rows is None or first is None:
            return
        kept = (self.rows.facts["time"] >= first - self._needed).to_numpy()
        if not kept.all():
            self.rows = self.rows.take(np.flatnonzero(kept))

    def extend(self, table: Dataset) -> None:
        """Take in the rows of a piece that is past."""
        before = table.take(np.empty(0, np.int64)) if self.rows is None else self.rows
        self.rows = together(before, table, self._plan)


def iter_chunks(
    frames: Iterable[pl.DataFrame], bundle: DecisionBundle, size: int, past: Past | None
) -> Iterator[Chunk]:
    """Cut an input into pieces, the same ones whatever frames it comes in.

    Without a past, each has `size` rows. With one, the input is in the order of time, a piece never
    ends within a moment, and it has at least as many rows as the past before it, so that looking
    back costs at most as much again.

    Parameters
    ----------
    frames : iterable of DataFrame
        From `Source.frames`.
    bundle : DecisionBundle
        What will score them.
    size : int
        How many rows a piece should have.
    past : Past, optional
        What is known before the first piece.
    """
    held: pl.DataFrame | None = None
    number = 0
    for frame in frames:
        if held is None or not held.height:  # what is cut off must not be held on to
            held = frame
        else:
            held = pl.concat([held, frame], how="vertical_relaxed", rechunk=True)
        while (stop := _stop(held, size, past)) is not None:
            yield _piece(held[:stop], number, bundle, past)
            held, number = held[stop:], number + 1
    if held is not None and (held.height or number == 0):
        yield _piece(held, number, bundle, past)


def _stop(held: pl.DataFrame, size: int, past: Past | None) -> int | None:
    """Where the next piece ends; None where that cannot be told yet."""
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


def _piece(rows: pl.DataFrame, number: int, bundle: DecisionBundle, past: Past | None) -> Chunk:
    fine = rows.filter(pl.col(REASON).is_null())
    refused = rows.filter(pl.col(REASON).is_not_null())
    labelled = bundle.features.history.uses_labels and bundle.schema.roles.label in rows.columns
    table = conform_table(
        fine.drop(ROW, MOMENT, REASON), bundle.schema, bundle.needed_columns, labelled=labelled
    )
    table = replace(table, facts=table.facts.with_columns(row=fine[ROW]))
    if past is None:
        return Chunk(number, rows.height, table, refused)
    past.trim(_first(rows))
    history = past.rows
    past.extend(table)
    return Chunk(number, rows.height, table, refused, history)


@dataclass(frozen=True)
class KnownPast:
    """What was read of a history.

    Parameters
    ----------
    rows : Dataset, optional
        As far back as features look from the input's start; None without a history.
    first, last : datetime, optional
        When the whole history starts, and where its rows before the input end.
    left_out : int
        Rows without a time that can be read.
    """

    rows: Dataset | None = None
    first: datetime | None = None
    last: datetime | None = None
    left_out: int = 0


_ROWS = 100_000


def read_past(source: Source | None, bundle: DecisionBundle, span: Span) -> KnownPast:
    """Read as much of a history as the features of an input look at, and no more.

    Parameters
    ----------
    source : Source, optional
        Where it is.
    bundle : DecisionBundle
        What looks back.
    span : Span
        Of the input.
    """
    if source is None or span.first is None:
        return KnownPast()
    start = span.first - timedelta(seconds=bundle.features.history_needed)
    first: datetime | None = None
    kept, left_out = list[pl.DataFrame](), 0
    for frame in source.frames(_ROWS):
        fine = frame.filter(pl.col(REASON).is_null())
        left_out += frame.height - fine.height
        earliest = _first(fine)
        if earliest is not None:
            first = earliest if first is None else min(first, earliest)
        kept.append(fine.filter(pl.col(MOMENT) >= start))
    rows = pl.concat(kept, how="vertical_relaxed")
    before = rows.filter(pl.col(MOMENT) <= span.first)[MOMENT].max()
    assert before is None or isinstance(before, datetime)
    if late := rows.height - rows.filter(pl.col(MOMENT) < span.first).height:
        _log.info(
            "%s rows of the history are not before the input's first row. None of them may be a "
            "row of the input.",
            f"{late:,}",
        )
    past = conform_table(
        rows.drop(ROW, MOMENT, REASON),
        bundle.schema,
        bundle.needed_history,
        labelled=bundle.features.history.uses_labels,
    )
    return KnownPast(past, first, before, left_out)


def check_past(
    known: KnownPast, span: Span, bundle: DecisionBundle, *, allow_short: bool
) -> float | None:
    """Refuse a history that starts too late, and say the gap between its end and the input.

    One that goes back as far as the table that the model was trained on is long enough: no row in
    training saw more.

    Parameters
    ----------
    known : KnownPast
        What was read.
    span : Span
        Of the input.
    bundle : DecisionBundle
        What looks back.
    allow_short : bool
        Whether a history that starts too late is only said.

    Returns
    -------
    float or None
        The gap in seconds; None without a history or an input.

    Raises
    ------
    DataError
        It starts too late, or there is none.
    """
    if span.first is None:
        return None
    needed = bundle.features.history_needed
    wanted = span.first - timedelta(seconds=needed)
    begun = _start_of_training(bundle)
    wanted = wanted if begun is None else min(span.first, max(wanted, begun))
    if known.first is None or known.first > wanted:
        there = "there is none" if known.first is None else f"it starts at {known.first}"
        said = (
            f"history: the features look {needed / _DAY:g} days before a row, and the model was "
            f"trained on rows from {begun} on. The input's first row needs a history from {wanted} "
            f"on, and {there}."
        )
        if not allow_short:
            raise DataError(
                f"{said} Bring earlier rows, or set allow_short_history=true: rows whose past is "
                "not known look like those of new cards."
            )
        _log.warning("%s allow_short_history=true: scored all the same.", said)
    if known.left_out:
        _log.warning(
            "%s rows of the history have no time that can be read: left out.",
            f"{known.left_out:,}",
        )
    if known.last is None:
        return None
    gap = (span.first - known.last).total_seconds()
    _log.info("From the history's last row to the input's first are %.3g days.", gap / _DAY)
    return gap


def _start_of_training(bundle: DecisionBundle) -> datetime | None:
    start = bundle.record.get("data", {}).get("start")
    if start is None:
        return None
    unit, numeric = bundle.schema.time_unit, bundle.schema.numeric_time
    return parse_moment(str(start), "data.start", unit=unit, numeric=numeric)
