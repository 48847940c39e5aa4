"""A job that scores a table on disk: opened and checked, scored piece by piece, put together."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle
from fraudml.bundle.decision import Decisions
from fraudml.data.settings import CsvSettings
from fraudml.errors import ConfigError, DataError
from fraudml.features.columns import as_name
from fraudml.matrix import DesignMatrix
from fraudml.progress import Progress
from fraudml.scoring.assemble import DAY, ENTITY, best_of_days
from fraudml.scoring.checkpoint import Checkpoint
from fraudml.scoring.columns import required_columns, required_history
from fraudml.scoring.engine import GraphCheck
from fraudml.scoring.pieces import Chunk, KnownPast, Past, check_past, iter_chunks, read_past
from fraudml.scoring.reasons import check_reasons, reason_columns, reason_names
from fraudml.scoring.rows import REASON, ROW
from fraudml.scoring.settings import ScoreSettings
from fraudml.scoring.source import Source, Span, open_source, span_of
from fraudml.scoring.staging import Query
from fraudml.scoring.tally import ScoreCounts, count_chunk

_log = logging.getLogger(__name__)

_SCORES = ("score", "alert", "threshold")
_SECONDS_BETWEEN_LINES = 10.0
_ALL = 1 << 62


@dataclass(frozen=True)
class Job:
    """An input that is ready to be scored.

    Parameters
    ----------
    bundle : DecisionBundle
        What scores it.
    source : Source
        The input.
    history : Source, optional
        Earlier rows.
    settings : ScoreSettings
        How.
    rows : int
        How many the input has.
    span : Span, optional
        Its clock, where features look back.
    past : KnownPast
        What is known before it.
    gap : float, optional
        Seconds from the history's end to the input's start.
    threads : int
        How many to use.
    check : GraphCheck, optional
        What holds the first rows against the native engine, where another one scores.
    """

    bundle: DecisionBundle
    source: Source
    history: Source | None
    settings: ScoreSettings
    rows: int
    span: Span | None
    past: KnownPast
    gap: float | None
    threads: int
    check: GraphCheck | None = None

    @property
    def engine(self) -> str:
        """What computes the margins."""
        return "native" if self.check is None else "onnx"

    @property
    def id_name(self) -> str:
        """What the first column of the output is called."""
        return self.bundle.schema.roles.id or "row"

    @property
    def by_day(self) -> bool:
        """Whether alerts are chosen by day."""
        return self.settings.daily_top_k is not None

    @property
    def by_entity(self) -> bool:
        """Whether such alerts are of entities, rather than of rows."""
        return self.by_day and self.bundle.schema.roles.entity is not None

    def pieces(self) -> Iterator[Chunk]:
        """Cut the input into pieces."""
        size = self.settings.chunk_rows
        frames = self.source.frames(size)
        if self.span is None:
            return iter_chunks(frames, self.bundle, size, None)
        features = self.bundle.features
        past = Past(features.history, features.history_needed, self.past.rows)
        return iter_chunks(frames, self.bundle, size if self.span.in_order else _ALL, past)


def open_job(
    bundle: DecisionBundle,
    paths: tuple[str | Query, str | Query | None],
    csv: CsvSettings,
    settings: ScoreSettings,
    threads: int,
) -> Job:
    """Find and check everything that a job reads, before any row is scored.

    Parameters
    ----------
    bundle : DecisionBundle
        What scores.
    paths : tuple
        The input's path, or what a database is asked for it; the history's.
    csv : CsvSettings
        How they are written, where they are text.
    settings : ScoreSettings
        How to score.
    threads : int
        How many to use.

    Raises
    ------
    ConfigError
        The bundle has no time, and alerts are to be chosen by day; or its learner has no reasons.
    DataError
        Columns are missing or of another type, or the history starts too late.
    MachineError
        A database cannot be reached, or went away.
    """
    schema, features = bundle.schema, bundle.features
    by_day = settings.daily_top_k is not None
    if by_day and schema.roles.time is None:
        raise ConfigError("daily_top_k is set, and the bundle was trained without a time.")
    if settings.reasons:
        check_reasons(bundle)
    if schema.roles.id in (*_SCORES, "reason", *reason_names(settings.reasons)):
        raise DataError(
            f"column '{schema.roles.id}' is the id, and a column of the scores has that name. "
            "Rename it before training and scoring."
        )
    source = open_source("input", paths[0], required_columns(bundle, by_day=by_day), schema, csv)
    looks_back = bool(features.history.features)
    if paths[1] is not None and not looks_back:
        _log.info("The features do not look back: history is not read.")
    history = (
        open_source("history", paths[1], required_history(bundle), schema, csv)
        if paths[1] is not None and looks_back
        else None
    )
    rows = source.count()
    if not rows:
        _log.warning("input '%s' has no rows: so has the output.", paths[0])
    span, known, gap = None, KnownPast(), None
    if looks_back:
        assert schema.roles.time is not None
        span = span_of(source, schema.roles.time)
        if not span.in_order:
            _log.warning(
                "The input is not in the order of '%s': its %s rows are read and scored at once, "
                "in memory that grows with them. Sort it by time to score it in pieces.",
                schema.roles.time,
                f"{rows:,}",
            )
        known = read_past(history, bundle, span)
        gap = check_past(known, span, bundle, allow_short=settings.allow_short_history)
    return Job(bundle, source, history, settings, rows, span, known, gap, threads)


def score_pieces(job: Job, parts: Checkpoint, progress: Progress) -> int:
    """Score what is not scored yet; return how many rows that was.

    Parameters
    ----------
    job : Job
        What to score.
    parts : Checkpoint
        What is scored already, and where to keep the rest.
    progress : Progress
        Whom to tell where it is.

    Raises
    ------
    DataError
        More rows cannot be scored than may be.
    """
    started = said = time.monotonic()
    new = 0
    progress("score", 0.0)
    for piece in job.pieces():
        if not parts.holds(piece.number):
            parts.add(piece.number, *_score(job, piece))
            new += piece.rows
        _refuse_rejects(parts.tally, job)
        progress("score", parts.tally.rows / max(job.rows, 1))
        if time.monotonic() - said > _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            _log.info(
                "%s of %s rows, %s rows a second",
                f"{parts.tally.rows:,}",
                f"{job.rows:,}",
                f"{new / (said - started):,.0f}",
            )
    progress("score", 1.0)
    return new


def _score(job: Job, piece: Chunk) -> tuple[pl.DataFrame, pl.DataFrame, ScoreCounts]:
    """Score a piece: its rows of the output, its rejects, its counts."""
    table, bundle = piece.table, job.bundle
    if len(table):
        X = bundle.features.matrix(table, history=piece.history, threads=job.threads)
        made = bundle.decide(table, X)
        if job.check is not None:
            job.check.look(table, X, made)
    else:
        X, made = _nothing(bundle)
    roles, row = bundle.schema.roles, table.facts["row"]
    named = row if roles.id is None else table.frame[roles.id]
    columns = {
        job.id_name: named,
        "score": made.p,
        "alert": made.alert,
        "threshold": made.threshold,
    }
    if job.by_day:
        columns[DAY] = table.facts["time"].dt.epoch("d").cast(pl.Int64)
        if roles.entity is not None:
            entity = table.frame[roles.entity]
            named = table.frame.select(as_name(pl.col(roles.entity), entity.dtype)).to_series()
            hashed = named.hash(seed=0)
            columns[ENTITY] = pl.select(pl.when(named.is_not_null()).then(hashed)).to_series()
    if job.settings.reasons:
        chosen = _may_alert(job, columns, made)
        columns |= reason_columns(bundle, table, X, chosen, job.settings.reasons)
    refused = piece.refused
    rejects = {"row": refused[ROW]}
    if roles.id is not None:
        rejects[roles.id] = refused[roles.id]
    rejects["reason"] = refused[REASON]
    tally = count_chunk(bundle, piece, X, made)
    return pl.DataFrame(columns), pl.DataFrame(rejects), tally


def _may_alert(job: Job, columns: Mapping[str, Any], made: Decisions) -> NDArray[np.bool_]:
    """Say which rows of a piece may be alerted in the end: the best of a day are its best too."""
    if job.settings.daily_top_k is None:
        return made.alert
    return best_of_days(pl.DataFrame(columns), job.settings.daily_top_k, by_entity=job.by_entity)


def output_schema(job: Job) -> pl.Schema:
    """Return the columns of a job's output, before any row is scored."""
    empty = next(iter_chunks([next(job.source.frames(1)).clear()], job.bundle, 1, None))
    scored, _, _ = _score(job, empty)
    return pl.Schema({k: v for k, v in scored.schema.items() if k not in (DAY, ENTITY)})


def _nothing(bundle: DecisionBundle) -> tuple[DesignMatrix, Decisions]:
    names = bundle.features.names
    values = np.empty((0, len(names)), dtype=np.float32)
    none = np.empty(0)
    return (
        DesignMatrix(values, names, bundle.features.categorical),
        Decisions(none, none, none, none.astype(bool)),
    )


def _refuse_rejects(tally: ScoreCounts, job: Job) -> None:
    """End the job as soon as it is certain that too many rows cannot be scored."""
    allowed = job.settings.max_rejected
    if tally.rejected <= allowed * job.rows:
        return
    reasons = [f"{count:,} rows: {reason}" for reason, count in sorted(tally.rejects.items())]
    heading = (
        f"input: {tally.rejected:,} of the first {tally.rows:,} rows cannot be scored; of the "
        f"{job.rows:,} that there are max_rejected={allowed:g} allows {int(allowed * job.rows):,}. "
        "Nothing is written. Correct the input, or raise max_rejected."
    )
    raise DataError("\n  - ".join([heading, *reasons]))


def job_key(job: Job, bundle_fingerprint: str, versions: dict[str, str]) -> dict[str, Any]:
    """Return all that the scores of a job follow from, as fingerprints."""
    return {
        "bundle": bundle_fingerprint,
        "input": job.source.fingerprint(),
        "history": None if job.history is None else job.history.fingerprint(),
        "settings": {
            "chunk_rows": job.settings.chunk_rows,
            "daily_top_k": job.settings.daily_top_k,
            "engine": job.engine,
            "csv": repr(job.source.settings.csv),
            "max_rejected": job.settings.max_rejected,
            "reasons": job.settings.reasons,
        },
        "versions": versions,
    }
