"""Score, the nightly job: a bundle and a table on disk make a table of scores.

Read the bundle, find the input and its history, check their columns, score the rows chunk by chunk
in bounded memory, put the chunks together, and move the complete output into place.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from fraudml.addresses import is_database
from fraudml.bundle import bundle_digest, read_bundle
from fraudml.bundle.folder import bundle_folder
from fraudml.config.settings import Settings
from fraudml.data.run_rows import check_run_table, replace_rows
from fraudml.decisions.policies import TunedPolicy
from fraudml.errors import ConfigError
from fraudml.export.settings import as_engine
from fraudml.files import machine_errors, write_json
from fraudml.machine import thread_count, versions
from fraudml.progress import Progress, silent, stage
from fraudml.records.table import ClosingTable, closing_table
from fraudml.scoring.assemble import (
    DAY,
    ENTITY,
    ROWS_A_GROUP,
    count_repeated,
    daily_alerts,
    write_output,
)
from fraudml.scoring.checkpoint import Checkpoint, move_in, open_checkpoint
from fraudml.scoring.engine import engine_versions, open_engine
from fraudml.scoring.job import Job, job_key, open_job, output_schema, score_chunks
from fraudml.scoring.outputs import OutputPaths, database_paths, output_paths
from fraudml.scoring.reasons import reason_names
from fraudml.scoring.record import log_drift, score_record
from fraudml.scoring.settings import ScoreSettings
from fraudml.scoring.staging import Query, staging_folder
from fraudml.version import __version__


@dataclass(frozen=True)
class Scored:
    """The result of the command: the content of `<output>.json`, and where everything is."""

    record: dict[str, Any]
    paths: OutputPaths

    def summary(self) -> ClosingTable:
        """Return the closing table."""
        record, run = self.record, self.record["run"]
        rows = [
            ("rows", f"{record['scored']:,} scored, {record['rejected']:,} rejected"),
            *((f"  {reason}", f"{count:,}") for reason, count in record["rejects"].items()),
            ("alerts", f"{record['alerts']:,}"),
            ("shift of the score", _stability(record["shift"]["score"])),
            *_most_shifted(record["shift"]["features"]),
            *_engine(record),
            ("speed", f"{run['rows_per_second']:,.0f} rows a second, {run['seconds']:.1f} s"),
            *([("run_id", record["run_id"])] if "run_id" in record else []),
            ("record", str(self.paths.record)),
            *([("rejects", self.paths.shown_rejects)] if record["rejected"] else []),
        ]
        return closing_table(f"{record['rows']:,} rows", rows, folder=self.paths.shown)


def _stability(shift: dict[str, Any] | None) -> str:
    if shift is None or shift["psi"] is None:
        return "–"
    caveat = "" if shift["trusted"] else f"; only {shift['rows']:,} rows"
    return f"PSI {shift['psi']:.3f} (up to {shift['null_95']:.3f} without a shift{caveat})"


def _engine(record: dict[str, Any]) -> list[tuple[str, str]]:
    check = record["run"]["engine_check"]
    if check is None:
        return []
    difference = f"p within {check['largest_difference']:.1e} of the native engine's"
    return [
        ("engine", f"{record['engine']}, {difference} on {check['rows']:,} rows, the same alerts")
    ]


def _most_shifted(features: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    known = {name: shift for name, shift in features.items() if shift["psi"] is not None}
    if not known:
        return []
    name = max(known, key=lambda feature: float(known[feature]["psi"]))
    return [("most shifted feature", f"{name}: {_stability(known[name])}")]


def run(settings: Settings, *, progress: Progress = silent) -> Scored:
    """Run the command: score `input` by `bundle` into `output`."""
    started = time.perf_counter()
    score_settings(settings, None)  # refused before anything is read
    engine = as_engine(settings.engine)
    source, bundle_path = _required(settings)
    outputs = _output_paths(settings, source, bundle_path)
    threads = thread_count(settings.threads)
    bundle, check = open_engine(
        engine, read_bundle(bundle_path, threads), settings.tolerance, threads
    )
    job_settings = score_settings(settings, bundle.policy)
    with ExitStack() as stack:
        with stage(progress, "read"):
            paths = _input_paths(settings, source, outputs, stack)
            job = open_job(bundle, paths, settings.data.csv, job_settings, threads)
            job = replace(job, check=check)
            key = job_key(job, bundle_digest(bundle_path), _versions() | engine_versions(engine))
            if outputs.table is not None:
                check_run_table(outputs.table, output_schema(job))
        checkpoint = stack.enter_context(open_checkpoint(outputs.output, key))
        new_rows = score_chunks(job, checkpoint, progress)
        with stage(progress, "write"):
            table = _with_alerts(job, checkpoint)
            record = score_record(
                job,
                checkpoint.counts,
                key=key,
                repeated=count_repeated(checkpoint, bundle.schema),
                new_rows=new_rows,
                seconds=time.perf_counter() - started,
                run={
                    "bundle": str(bundle_path),
                    "input": str(paths[0]),
                    "history": None if paths[1] is None else str(paths[1]),
                    "output": outputs.shown,
                },
            )
            if outputs.table is None:
                _write_files(checkpoint, table, record, outputs)
            else:
                record["run_id"] = settings.run_id or _run_id(key)
                _write_tables(checkpoint, table, record, outputs)
    log_drift(record)
    return Scored(record, outputs)


def score_settings(settings: Settings, policy: TunedPolicy | None) -> ScoreSettings:
    """Return the settings of a scoring job.

    `daily_top_k=true` takes the budget of the bundle's policy, which is None before it is read.
    Raises a `ConfigError` where a value is out of range, or the policy has no budget.
    """
    k = None if settings.daily_top_k is False else settings.daily_top_k
    if k is True:
        k = None if policy is None else _budget(policy)
    return ScoreSettings(
        allow_short_history=settings.allow_short_history,
        max_rejected=settings.max_rejected,
        daily_top_k=k,
        chunk_rows=settings.chunk_rows,
        reasons=settings.reasons,
    )


def _budget(policy: TunedPolicy) -> int:
    constraint = policy.constraint
    if constraint is None or constraint.metric != "alerts_per_day":
        raise ConfigError(
            f"daily_top_k=true takes as many cases a day as the bundle's alert budget, and its "
            f"policy is '{policy.kind}'. Set a number, as in daily_top_k=20, or train with "
            "policy=alert_budget."
        )
    return max(1, int(constraint.limit))


def _required(settings: Settings) -> tuple[str, Path]:
    if settings.bundle is None or settings.input is None:
        missing = [key for key in ("bundle", "input") if getattr(settings, key) is None]
        raise ConfigError(
            f"{' and '.join(missing)} is not set. Write: score bundle=runs/…/bundle "
            "input=new.parquet output=scores.parquet"
        )
    return settings.input, bundle_folder(settings.bundle)


def _output_paths(settings: Settings, source: str, bundle_path: Path) -> OutputPaths:
    if settings.output is not None and is_database(settings.output):
        return database_paths(settings.output, settings.output_table, settings.record)
    unused = [k for k in ("output_table", "run_id", "record") if getattr(settings, k) is not None]
    if unused:
        raise ConfigError(
            f"{' and '.join(unused)} is set, and output is not a database. Leave it out, or set "
            "output=postgresql://host/database."
        )
    sources = {"input": source, "history": settings.history, "bundle": str(bundle_path)}
    files = [(key, path) for key, path in sources.items() if not is_database(path)]
    return output_paths(settings.output, files, overwrite=settings.overwrite)


def _input_paths(
    settings: Settings, source: str, outputs: OutputPaths, stack: ExitStack
) -> tuple[str | Query, str | Query | None]:
    """Return input and history; rows of databases are staged in a folder that the stack removes."""
    paths = {"input": source, "history": settings.history}
    queries = {"input": settings.input_query, "history": settings.history_query}
    unused = [
        key for key, sql in queries.items() if sql is not None and not is_database(paths[key])
    ]
    if unused:
        raise ConfigError(f"{unused[0]}_query is set, and {unused[0]} is not a database.")
    folder = Path()
    if any(map(is_database, paths.values())):
        folder = stack.enter_context(staging_folder(outputs.output))

    def source_of(key: str, path: str) -> str | Query:
        return Query(path, queries[key], folder / key) if is_database(path) else path

    history = settings.history
    return source_of("input", source), None if history is None else source_of("history", history)


def _run_id(key: Mapping[str, Any]) -> str:
    """Name a batch by its bundle and its input."""
    return hashlib.sha256(f"{key['bundle']} {key['input']}".encode()).hexdigest()[:16]


def _versions() -> dict[str, str]:
    known = versions()
    return {"fraudml": __version__, "polars": known["polars"], "numpy": known["numpy"]}


def _with_alerts(job: Job, checkpoint: Checkpoint) -> pl.LazyFrame:
    """Return the rows of the output; where alerts are chosen by day, with these."""
    scored = checkpoint.frames("scored")
    if job.settings.daily_top_k is None:
        return scored
    alert = daily_alerts(checkpoint, job.settings.daily_top_k, by_entity=job.by_entity)
    checkpoint.counts = replace(checkpoint.counts, alerts=int(alert.sum()))
    columns = [name for name in scored.collect_schema() if name not in (DAY, ENTITY)]
    reasons = pl.when("alert").then(pl.col(reason_names(job.settings.reasons))).name.keep()
    both = pl.concat([scored.drop("alert"), pl.LazyFrame([alert])], how="horizontal")
    return both.select(columns).with_columns(reasons)


def _write_files(
    checkpoint: Checkpoint, table: pl.LazyFrame, record: dict[str, Any], outputs: OutputPaths
) -> None:
    """Write all files inside the checkpoint, then move them to where they belong."""
    suffix, folder, rejected = outputs.output.suffix, checkpoint.folder, checkpoint.counts.rejected
    targets = {}
    if rejected:
        targets[folder / "rejects.whole"] = outputs.rejects
        write_output(checkpoint.frames("rejects"), folder / "rejects.whole", suffix)
    targets[folder / "record.whole"] = outputs.record
    write_json(folder / "record.whole", record)
    targets[folder / "output.whole"] = outputs.output
    write_output(table, folder / "output.whole", suffix)
    move_in(folder, targets, None if rejected else outputs.rejects)


def _write_tables(
    checkpoint: Checkpoint, table: pl.LazyFrame, record: dict[str, Any], outputs: OutputPaths
) -> None:
    """Write all rows in one transaction, then the record: a job killed between does both again."""
    assert outputs.table is not None
    file = checkpoint.folder / "record.whole"
    with machine_errors(checkpoint.folder):
        write_json(file, record)
    rejects = (checkpoint.frames("rejects"), checkpoint.counts.rejected > 0)
    tables = {outputs.table: (table, True), outputs.rejects_table: rejects}
    replace_rows(tables, record["run_id"], ROWS_A_GROUP)
    move_in(checkpoint.folder, {file: outputs.record}, None)
