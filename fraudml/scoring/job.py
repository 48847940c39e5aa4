"""A job that scores a table on disk: checked, then scored chunk by chunk."""

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
from fraudml.matrix import DesignMatrix
from fraudml.progress import Progress
from fraudml.scoring.assemble import DAY, ENTITY, best_of_days, hash_names
from fraudml.scoring.checkpoint import Checkpoint
from fraudml.scoring.chunks import Chunk, KnownPast, Past, check_past, iter_chunks, read_past
from fraudml.scoring.columns import required_columns, required_history
from fraudml.scoring.counts import ScoreCounts, count_chunk
from fraudml.scoring.engine import GraphCheck
from fraudml.scoring.reasons import check_reasons, reason_columns, reason_names
from fraudml.scoring.rows import REASON, ROW
from fraudml.scoring.settings import ScoreSettings
from fraudml.scoring.source import Source, Span, open_source, span_of
from fraudml.scoring.staging import Query

_log = logging.getLogger(__name__)

_SCORES = ("score", "alert", "threshold")
_SECONDS_BETWEEN_LINES = 10.0
_ALL = 1 << 62


@dataclass(frozen=True)
class Job:
    """An input that is ready to be scored.

    `rows` counts those of the input; `span` is its clock, where features look back; `past` the rows
    before it; `gap` the seconds between the history's end and the input's start; `check` compares
    the first rows with the native engine, where another one scores.
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
        """The engine that computes the margins."""
        return "native" if self.check is None else "onnx"

    @property
    def id_name(self) -> str:
        """The name of the first column of the output."""
        return self.bundle.schema.roles.id or "row"

    @property
    def by_day(self) -> bool:
        """Whether alerts are chosen by day."""
        return self.settings.daily_top_k is not None

    @property
    def by_entity(self) -> bool:
        """Whether such alerts count entities, rather than rows."""
        return self.by_day and self.bundle.schema.roles.entity is not None

    def chunks(self) -> Iterator[Chunk]:
        """Cut the input into chunks."""
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
    """Find and check all that a job reads, before any row is scored; `paths`: input and history.

    Raises a `ConfigError` where the bundle cannot do what the settings ask for, and a `DataError`
    where columns are missing or of another type, or the history starts too late.
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
        _log.info("The features do not look back: the history is not read.")
    history = (
        open_source("history", paths[1], required_history(bundle), schema, csv)
        if paths[1] is not None and looks_back
        else None
    )
    rows = source.count()
    if not rows:
        _log.warning("input '%s' has no rows: the output has none.", paths[0])
    span, known, gap = None, KnownPast(), None
    if looks_back:
        assert schema.roles.time is not None
        span = span_of(source, schema.roles.time)
        if not span.in_order:
            _log.warning(
                "The input is not in the order of '%s': its %s rows are scored at once, in memory "
                "that grows with them. Sort it by time to score it in chunks.",
                schema.roles.time,
                f"{rows:,}",
            )
        known = read_past(history, bundle, span)
        gap = check_past(known, span, bundle, allow_short=settings.allow_short_history)
    return Job(bundle, source, history, settings, rows, span, known, gap, threads)


def score_chunks(job: Job, checkpoint: Checkpoint, progress: Progress) -> int:
    """Score the rows that are not in the checkpoint yet; return how many.

    Raises a `DataError` where more rows than `max_rejected` cannot be scored.
    """
    started = logged = time.monotonic()
    new = 0
    progress("score", 0.0)
    for chunk in job.chunks():
        if not checkpoint.holds(chunk.number):
            checkpoint.add(chunk.number, *_score(job, chunk))
            new += chunk.rows
        rows = checkpoint.counts.rows
        _refuse_rejects(checkpoint.counts, job)
        progress("score", rows / max(job.rows, 1))
        if time.monotonic() - logged > _SECONDS_BETWEEN_LINES:
            logged = time.monotonic()
            speed = f"{new / (logged - started):,.0f}"
            _log.info("%s of %s rows, %s rows a second", f"{rows:,}", f"{job.rows:,}", speed)
    progress("score", 1.0)
    return new


def _score(job: Job, chunk: Chunk) -> tuple[pl.DataFrame, pl.DataFrame, ScoreCounts]:
    """Score a chunk; return its rows of the output, its rejects and its counts."""
    table, bundle = chunk.table, job.bundle
    if len(table):
        X = bundle.features.matrix(table, history=chunk.history, threads=job.threads)
        decisions = bundle.decide(table, X)
        if job.check is not None:
            job.check.compare(table, X, decisions)
    else:
        X, decisions = _no_decisions(bundle)
    roles, row = bundle.schema.roles, table.facts["row"]
    columns = {
        job.id_name: row if roles.id is None else table.frame[roles.id],
        "score": decisions.p,
        "alert": decisions.alert,
        "threshold": decisions.threshold,
    }
    if job.by_day:
        columns[DAY] = table.facts["time"].dt.epoch("d").cast(pl.Int64)
        if roles.entity is not None:
            columns[ENTITY] = hash_names(table.names(roles.entity))
    if job.settings.reasons:
        alerts = _possible_alerts(job, columns, decisions)
        columns |= reason_columns(bundle, table, X, alerts, job.settings.reasons)
    refused = chunk.refused
    rejects = {"row": refused[ROW]}
    if roles.id is not None:
        rejects[roles.id] = refused[roles.id]
    rejects["reason"] = refused[REASON]
    counts = count_chunk(bundle, chunk, X, decisions)
    return pl.DataFrame(columns), pl.DataFrame(rejects), counts


def _possible_alerts(
    job: Job, columns: Mapping[str, Any], decisions: Decisions
) -> NDArray[np.bool_]:
    """Mark the rows that may be alerted in the end: the best of a day are its chunk's best too."""
    if job.settings.daily_top_k is None:
        return decisions.alert
    return best_of_days(pl.DataFrame(columns), job.settings.daily_top_k, by_entity=job.by_entity)


def output_schema(job: Job) -> pl.Schema:
    """Return the columns of a job's output, before any row is scored."""
    empty = next(iter_chunks([next(job.source.frames(1)).clear()], job.bundle, 1, None))
    scored, _, _ = _score(job, empty)
    return pl.Schema({k: v for k, v in scored.schema.items() if k not in (DAY, ENTITY)})


def _no_decisions(bundle: DecisionBundle) -> tuple[DesignMatrix, Decisions]:
    names, empty = bundle.features.names, np.empty(0)
    values = np.empty((0, len(names)), dtype=np.float32)
    X = DesignMatrix(values, names, bundle.features.categorical)
    return X, Decisions(empty, empty, empty, empty.astype(bool))


def _refuse_rejects(counts: ScoreCounts, job: Job) -> None:
    """Refuse the input as soon as it is certain that too many rows cannot be scored."""
    allowed = job.settings.max_rejected
    if counts.rejected <= allowed * job.rows:
        return
    reasons = [f"{count:,} rows: {reason}" for reason, count in sorted(counts.rejects.items())]
    heading = (
        f"input: {counts.rejected:,} of the first {counts.rows:,} rows cannot be scored; "
        f"max_rejected={allowed:g} allows {int(allowed * job.rows):,} of all {job.rows:,}. "
        "Nothing is written. Correct the input, or raise max_rejected."
    )
    raise DataError("\n  - ".join([heading, *reasons]))


def job_key(job: Job, bundle_fingerprint: str, versions: dict[str, str]) -> dict[str, Any]:
    """Return all that the scores of a job depend on, as fingerprints."""
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
