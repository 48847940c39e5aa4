"""Score: what the nightly job runs. A bundle and a table on disk make a table of scores.

Read the bundle, find the input and its history, check their columns, score the rows piece by piece
in bounded memory, put the pieces together, and let the output appear whole.
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
from fraudml.machine import granted_threads, versions
from fraudml.progress import Progress, silent
from fraudml.scoring.assemble import (
    DAY,
    ENTITY,
    ROWS_A_GROUP,
    count_repeated,
    daily_alerts,
    write_whole,
)
from fraudml.scoring.checkpoint import Checkpoint, move_in, open_checkpoint
from fraudml.scoring.engine import engine_versions, open_engine
from fraudml.scoring.job import Job, job_key, open_job, output_schema, score_pieces
from fraudml.scoring.outputs import Places, database_places, output_places
from fraudml.scoring.reasons import reason_names
from fraudml.scoring.record import log_drift, score_record
from fraudml.scoring.settings import ScoreSettings
from fraudml.scoring.staging import Query, landing
from fraudml.version import __version__


@dataclass(frozen=True)
class Scored:
    """What was written.

    Parameters
    ----------
    record : dict
        What `<output>.json` holds.
    places : Places
        Where everything is.
    """

    record: dict[str, Any]
    places: Places

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """Return a title and the rows of the closing table."""
        record, run = self.record, self.record["run"]
        rows = [
            ("rows", f"{record['scored']:,} scored, {record['rejected']:,} rejected"),
            *((f"  {reason}", f"{count:,}") for reason, count in record["rejects"].items()),
            ("alerts", f"{record['alerts']:,}"),
            ("shift of the score", _stability(record["shift"]["score"])),
            *_most_moved(record["shift"]["features"]),
            *_engine(record),
            ("speed", f"{run['rows_per_second']:,.0f} rows a second, {run['seconds']:.1f} s"),
            ("written to", self.places.shown),
            *([("run_id", record["run_id"])] if "run_id" in record else []),
            ("record", str(self.places.record)),
        ]
        if record["rejected"]:
            rows.append(("rejects", self.places.shown_rejects))
        return f"{record['rows']:,} rows", rows


def _stability(found: dict[str, Any] | None) -> str:
    if found is None or found["psi"] is None:
        return "–"
    caveat = "" if found["trusted"] else f"; {found['rows']:,} rows are few"
    return f"{found['psi']:.3f} (chance up to {found['chance']:.3f}{caveat})"


def _engine(record: dict[str, Any]) -> list[tuple[str, str]]:
    found = record["run"]["engine_check"]
    if found is None:
        return []
    away = f"p within {found['largest_difference']:.1e} of the native engine's"
    return [("engine", f"{record['engine']}, {away} on {found['rows']:,} rows, the same alerts")]


def _most_moved(features: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    known = {name: one for name, one in features.items() if one["psi"] is not None}
    if not known:
        return []
    name = max(known, key=lambda each: float(known[each]["psi"]))
    return [("most shifted feature", f"{name}: {_stability(known[name])}")]


def run(settings: Settings, *, progress: Progress = silent) -> Scored:
    """Run the command: score `input` by `bundle` into `output`.

    Parameters
    ----------
    settings : Settings
        What to score, with what, and where to.
    progress : Progress
        Whom to tell where it is.
    """
    started = time.perf_counter()
    score_settings(settings, None)  # what is wrong with them is said before anything is read
    engine = as_engine(settings.engine)
    source, bundle_path = _required(settings)
    places = _places(settings, source, bundle_path)
    threads = settings.threads or granted_threads()
    bundle, check = open_engine(
        engine, read_bundle(bundle_path, threads), settings.tolerance, threads
    )
    how = score_settings(settings, bundle.policy)
    progress("read", 0.0)
    with ExitStack() as kept:
        paths = _paths(settings, source, places, kept)
        job = open_job(bundle, paths, settings.data.csv, how, threads)
        job = replace(job, check=check)
        key = job_key(job, bundle_digest(bundle_path), _versions() | engine_versions(engine))
        if places.table is not None:
            check_run_table(places.table, output_schema(job))
        progress("read", 1.0)
        parts = kept.enter_context(open_checkpoint(places.output, key))
        new_rows = score_pieces(job, parts, progress)
        progress("write", 0.0)
        table = _alerted(job, parts)
        repeated = 0 if bundle.schema.roles.id is None else count_repeated(parts, job.id_name)
        record = score_record(
            job,
            parts.tally,
            key=key,
            repeated=repeated,
            new_rows=new_rows,
            seconds=time.perf_counter() - started,
            run={
                "bundle": str(bundle_path),
                "input": str(paths[0]),
                "history": None if paths[1] is None else str(paths[1]),
                "output": places.shown,
            },
        )
        if places.table is None:
            _place(parts, table, record, places)
        else:
            record["run_id"] = settings.run_id or _run_id(key)
            _place_in_database(parts, table, record, places)
        progress("write", 1.0)
    log_drift(bundle, parts.tally, repeated)
    return Scored(record, places)


def score_settings(settings: Settings, policy: TunedPolicy | None) -> ScoreSettings:
    """Take from the tree what says how an input is scored.

    Parameters
    ----------
    settings : Settings
        The tree.
    policy : TunedPolicy, optional
        The bundle's, which `daily_top_k=true` asks for its budget; None before it is read.

    Raises
    ------
    ConfigError
        A value is out of range, or the policy has no budget.
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
    promised = policy.constraint
    if promised is None or promised.metric != "alerts_per_day":
        raise ConfigError(
            f"daily_top_k=true takes as many cases a day as the bundle's alert budget, and its "
            f"policy is '{policy.kind}'. Set a number, as in daily_top_k=20, or train with "
            "policy=alert_budget."
        )
    return max(1, int(promised.limit))


def _required(settings: Settings) -> tuple[str, Path]:
    if settings.bundle is None or settings.input is None:
        missing = [key for key in ("bundle", "input") if getattr(settings, key) is None]
        raise ConfigError(
            f"{' and '.join(missing)} is not set. Write: score bundle=runs/…/bundle "
            "input=new.parquet output=scores.parquet"
        )
    return settings.input, bundle_folder(settings.bundle)


def _places(settings: Settings, source: str, bundle_path: Path) -> Places:
    if settings.output is not None and is_database(settings.output):
        return database_places(settings.output, settings.output_table, settings.record)
    unused = [k for k in ("output_table", "run_id", "record") if getattr(settings, k) is not None]
    if unused:
        raise ConfigError(
            f"{' and '.join(unused)} is set, and output is no database. Leave it out, or set "
            "output=postgresql://host/database."
        )
    read = {"input": source, "history": settings.history}
    sources = [(key, path) for key, path in read.items() if not is_database(path)]
    return output_places(
        settings.output, [*sources, ("bundle", str(bundle_path))], overwrite=settings.overwrite
    )


def _paths(
    settings: Settings, source: str, places: Places, kept: ExitStack
) -> tuple[str | Query, str | Query | None]:
    """Return where the rows are; what databases are asked is landed in a folder that goes away."""
    given = {"input": source, "history": settings.history}
    asks = {"input": settings.input_query, "history": settings.history_query}
    unused = [key for key, sql in asks.items() if sql is not None and not is_database(given[key])]
    if unused:
        raise ConfigError(f"{unused[0]}_query is set, and {unused[0]} is no database.")
    folder = Path()
    if any(map(is_database, given.values())):
        folder = kept.enter_context(landing(places.output))
    earlier = settings.history

    def place(key: str, path: str) -> str | Query:
        return Query(path, asks[key], folder / key) if is_database(path) else path

    return place("input", source), None if earlier is None else place("history", earlier)


def _run_id(key: Mapping[str, Any]) -> str:
    """Name a batch by what scores it and what it is."""
    return hashlib.sha256(f"{key['bundle']} {key['input']}".encode()).hexdigest()[:16]


def _versions() -> dict[str, str]:
    known = versions()
    return {"fraudml": __version__, "polars": known["polars"], "numpy": known["numpy"]}


def _alerted(job: Job, parts: Checkpoint) -> pl.LazyFrame:
    """Return the rows of the output; where alerts are chosen by day, with these."""
    scored = parts.frames("scored")
    if job.settings.daily_top_k is None:
        return scored
    alert = daily_alerts(parts, job.settings.daily_top_k, by_entity=job.by_entity)
    parts.tally = replace(parts.tally, alerts=int(alert.sum()))
    columns = [name for name in scored.collect_schema() if name not in (DAY, ENTITY)]
    told = pl.when("alert").then(pl.col(reason_names(job.settings.reasons))).name.keep()
    both = pl.concat([scored.drop("alert"), pl.LazyFrame([alert])], how="horizontal")
    return both.select(columns).with_columns(told)


def _place(parts: Checkpoint, table: pl.LazyFrame, record: dict[str, Any], places: Places) -> None:
    """Write all files inside the folder of parts, then move them to where they belong."""
    suffix, folder = places.output.suffix, parts.folder
    whole = {}
    if parts.tally.rejected:
        whole[folder / "rejects.whole"] = places.rejects
        write_whole(parts.frames("rejects"), folder / "rejects.whole", suffix)
    whole[folder / "record.whole"] = places.record
    write_json(folder / "record.whole", record)
    whole[folder / "output.whole"] = places.output
    write_whole(table, folder / "output.whole", suffix)
    move_in(folder, whole, None if parts.tally.rejected else places.rejects)


def _place_in_database(
    parts: Checkpoint, table: pl.LazyFrame, record: dict[str, Any], places: Places
) -> None:
    """Write all rows in one transaction, and then the record: a job killed between does both."""
    assert places.table is not None
    with machine_errors(parts.folder):
        write_json(parts.folder / "record.whole", record)
    rejects = (parts.frames("rejects"), parts.tally.rejected > 0)
    tables = {places.table: (table, True), places.rejects_table: rejects}
    replace_rows(tables, record["run_id"], ROWS_A_GROUP)
    move_in(parts.folder, {parts.folder / "record.whole": places.record}, None)
