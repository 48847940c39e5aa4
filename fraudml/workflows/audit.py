"""Audit: what in a table will hurt a model, or make it look better than it is.

Read the table, check it as it came (refusals, gaps, constants, duplicates, ids, keys), then on its
clock (order, future, dates that come too late, months, weeks), then in the blocks that `train`
would cut (leaks, new categories, shift); write all findings, the worst first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import polars as pl

from fraudml.audit.columns import (
    find_constant,
    find_duplicate_columns,
    find_missing,
    find_missing_by_month,
)
from fraudml.audit.dates import (
    date_columns,
    find_disorder,
    find_future,
    find_late_dates,
    find_text_dates,
    text_dates,
)
from fraudml.audit.finding import (
    Finding,
    downgrade_allowed,
    drop_redundant,
    worst_first,
)
from fraudml.audit.keys import find_duplicate_rows, find_inconsistent_ids, find_key_variants
from fraudml.audit.labels import find_odd_weeks, find_unknown
from fraudml.audit.leaks import find_filled_for_frauds, find_leaks
from fraudml.audit.shift import find_new_categories, find_shift
from fraudml.config.settings import Settings
from fraudml.data.check import Inspection, inspect_table
from fraudml.data.frames import as_polars
from fraudml.data.read import load_table
from fraudml.decisions.costs import CostModel
from fraudml.errors import DataError
from fraudml.features.plan import fit_features
from fraudml.pipeline.components import build_components
from fraudml.pipeline.load import Read, load_frame
from fraudml.pipeline.prepare import row_costs
from fraudml.progress import Progress, silent, stage
from fraudml.records.folder import run_folder, write_audit
from fraudml.records.metrics import record_header
from fraudml.records.results import Audit
from fraudml.split import split_blocks


def audit(frame: Any, settings: Settings | None = None) -> Audit:
    """Audit a table from Python: the same as the command, with no Hydra and no output.

    Parameters
    ----------
    frame : polars or pandas DataFrame
        The table; `settings.data` says what its columns mean.
    settings : Settings, optional
        Roles, blocks and features. A folder is written only where `output_dir` is set.
    """
    settings = Settings(command="audit") if settings is None else settings
    if settings.output_dir is None:
        return _audit(lambda: as_polars(frame), settings, silent)
    with run_folder(settings) as paths:
        return write_audit(_audit(lambda: as_polars(frame), settings, silent), paths)


def run(settings: Settings, *, progress: Progress = silent) -> Audit:
    """Run the command: audit the table that the settings name, and write the run folder."""

    def read() -> pl.DataFrame:
        # A column that a role names and the table lacks is a finding too.
        return load_table(settings.data, needed=(), names=settings.features.keys)

    with run_folder(settings) as paths:
        return write_audit(_audit(read, settings, progress), paths)


def _audit(read: Read, settings: Settings, progress: Progress) -> Audit:
    started = time.perf_counter()
    costs = build_components(settings).costs
    table, table_hash = load_frame(read, progress)
    inspection = inspect_table(table, settings.data)
    del table  # the inspection has the columns that are still needed
    findings: list[Finding] = []
    for name, checks in _checks(inspection, settings, costs):
        with stage(progress, name):
            findings += checks
    findings = worst_first(downgrade_allowed(drop_redundant(findings), settings.audit.allow))
    content = {
        **record_header(settings, started, threads=1),
        "data": _data(inspection, table_hash),
        "findings": [finding.to_dict() for finding in findings],
    }
    return Audit(tuple(findings), content)


def _data(inspection: Inspection, table_hash: str) -> dict[str, Any]:
    label = inspection.facts["label"]
    known = label.null_count() < len(label)
    frauds = int(label.cast(pl.Int64).sum()) if known else None
    return {"rows": inspection.frame.height, "frauds": frauds, "fingerprint": table_hash}


def _checks(
    inspection: Inspection, settings: Settings, costs: CostModel
) -> Iterator[tuple[str, Iterator[Finding]]]:
    yield (
        "check",
        (
            Finding(problem.kind, problem.column, "error", problem.rows, problem.text)
            for problem in inspection.problems
        ),
    )
    if inspection.frame.height:
        plan = settings.features
        never = inspection.schema.never_features | {*costs.columns, *plan.keys, *plan.drop}
        features = [name for name in inspection.frame.columns if name not in never]
        yield "check the columns", _as_it_came(inspection, features, plan.keys)
        yield "check the clock", _on_its_clock(inspection, features, settings)
        yield "check the blocks", _in_its_blocks(inspection, settings, costs)


def _as_it_came(
    inspection: Inspection, features: list[str], further_keys: Sequence[str]
) -> Iterator[Finding]:
    """Find what needs neither a clock nor blocks."""
    frame, roles, label = inspection.frame, inspection.schema.roles, inspection.facts["label"]
    candidates = dict.fromkeys((roles.id, roles.entity, *further_keys))
    keys = [name for name in candidates if name is not None and name in frame.columns]
    roles_too = [name for name in (roles.time, *keys) if name is not None and name != roles.id]
    described = _described(inspection)
    yield from find_filled_for_frauds(frame, label, features)
    yield from find_duplicate_rows(frame, roles.id)
    if roles.id is not None:
        yield from find_inconsistent_ids(frame, roles.id)
    yield from find_key_variants(frame, keys)
    yield from find_duplicate_columns(
        frame, features, roles_too, roles.time, inspection.facts["time"]
    )
    yield from find_constant(frame, described)
    yield from find_missing(frame, described)
    yield from find_unknown(label, roles.label)


def _described(inspection: Inspection) -> list[str]:
    """Columns that may have a value in every row."""
    roles = inspection.schema.roles
    return [
        name for name in inspection.frame.columns if name not in (roles.label, roles.label_time)
    ]


def _on_its_clock(
    inspection: Inspection, features: list[str], settings: Settings
) -> Iterator[Finding]:
    """Find what the time of each row shows, and other dates."""
    frame, schema, facts = inspection.frame, inspection.schema, inspection.facts
    name, label_name = schema.roles.time, schema.roles.label_time
    time_, label_time = facts["time"], facts["label_time"]
    texts = text_dates(frame, features)
    yield from find_text_dates(texts)
    if name is None:
        return
    if time_.null_count():
        yield _left_out("The order of the rows, dates, months and weeks", "some row has no time")
        return
    now = datetime.now(UTC).replace(tzinfo=None)
    dates = [*date_columns(frame, features), *(date for date in texts.values() if date is not None)]
    yield from find_late_dates(dates, facts, schema)
    yield from find_future(time_, name, schema, settings.data.as_of, now)
    yield from find_disorder(time_, name)
    if label_name is not None:
        yield from find_future(label_time, label_name, schema, settings.data.as_of, now)
    yield from find_missing_by_month(frame, _described(inspection), time_, schema)
    yield from find_odd_weeks(facts["label"], time_, schema)


def _in_its_blocks(
    inspection: Inspection, settings: Settings, costs: CostModel
) -> Iterator[Finding]:
    """Find what the blocks show that `train` would cut, or why it could not cut them."""
    subject = "Leaks, new categories and the shift between the blocks"
    if inspection.problems:
        yield _left_out(subject, "the table is refused")
        return
    dataset = inspection.dataset()
    _, refusals = _tried("costs", lambda: row_costs(costs, dataset))
    yield from refusals
    split, refusals = _tried(
        "blocks", lambda: split_blocks(dataset, settings.split, settings.data, settings.seed)
    )
    yield from refusals
    if split is None:
        yield _left_out(subject, "there are no blocks")
        return
    rows = split.development.rows
    never = frozenset(costs.columns)
    features, refusals = _tried(
        "features",
        lambda: fit_features(
            dataset, rows, settings.features, label_delay=settings.split.delay, never=never
        ),
    )
    yield from refusals
    if features is None:
        yield _left_out(subject, "there are no features")
        return
    yield from find_leaks(dataset, (rows, split.test.rows), sorted(features.columns))
    yield from find_new_categories(dataset, split, features)
    yield from find_shift(dataset, split, features, settings.seed)


T = TypeVar("T")


def _tried(kind: str, step: Callable[[], T]) -> tuple[T | None, list[Finding]]:
    """Run a step of `train`; where it refuses the data, return that as a finding."""
    try:
        return step(), []
    except DataError as error:
        return None, [Finding(kind, None, "error", None, str(error))]


def _left_out(subject: str, reason: str) -> Finding:
    message = f"{subject} were not checked: {reason}. Correct the errors first, and audit again."
    return Finding("left_out", None, "note", None, message)
