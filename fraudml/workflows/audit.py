"""Audit: what in a table will hurt a model, or make it look better than it is.

Read the table, look at it as it came (refusals, gaps, constants, twins, copies, ids, keys), then on
its clock (order, future, dates that come too late, months, weeks), then in the blocks that `train`
would cut (leaks, new categories, shift); write all that was found, the worst first.
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
from fraudml.audit.labels import find_early, find_odd_weeks, find_unknown
from fraudml.audit.leaks import find_filled_for_frauds, find_leaks
from fraudml.audit.shift import find_new_categories, find_shift
from fraudml.config.settings import Settings
from fraudml.data.check import Inspection, inspect_table
from fraudml.data.fingerprint import fingerprint
from fraudml.data.frames import as_polars
from fraudml.data.read import load_table
from fraudml.decisions.costs import CostModel
from fraudml.errors import DataError
from fraudml.features.plan import fit_features
from fraudml.pipeline.components import build_components
from fraudml.pipeline.prepare import row_costs
from fraudml.progress import Progress, silent
from fraudml.records.folder import run_folder, write_audit
from fraudml.records.metrics import SCHEMA_VERSION, run_record
from fraudml.records.results import Audit
from fraudml.split import split_blocks


def audit(frame: Any, settings: Settings | None = None) -> Audit:
    """Audit a table from Python: the same as the command, with no Hydra and no output.

    Parameters
    ----------
    frame : polars or pandas DataFrame
        The table; `settings.data` says what its columns mean.
    settings : Settings, optional
        The roles, blocks and features. A folder is written only where `output_dir` is set.
    """
    settings = Settings(command="audit") if settings is None else settings
    if settings.output_dir is None:
        return _audit(lambda: as_polars(frame), settings, silent)
    with run_folder(settings) as place:
        return write_audit(_audit(lambda: as_polars(frame), settings, silent), place)


def run(settings: Settings, *, progress: Progress = silent) -> Audit:
    """Run the command: read the table that the settings name, audit it, and write the run folder.

    Parameters
    ----------
    settings : Settings
        What decides the audit.
    progress : Progress
        Whom to tell where it is.

    Raises
    ------
    DataError
        The table cannot be read; whatever else is wrong with it is found.
    """

    def read() -> pl.DataFrame:
        # A column that a role names and the table lacks is a finding too.
        return load_table(settings.data, needed=(), names=settings.features.keys)

    with run_folder(settings) as place:
        return write_audit(_audit(read, settings, progress), place)


def _audit(read: Callable[[], pl.DataFrame], settings: Settings, progress: Progress) -> Audit:
    started = time.perf_counter()
    costs = build_components(settings).costs
    progress("read", 0.0)
    table = read()
    progress("read", 1.0)
    printed = fingerprint(table)
    seen = inspect_table(table, settings.data)
    del table
    found: list[Finding] = []
    for part, name in _parts(seen, settings, costs):
        progress(name, 0.0)
        found += part
        progress(name, 1.0)
    findings = tuple(worst_first(downgrade_allowed(drop_redundant(found), settings.audit.allow)))
    content = {
        "schema_version": SCHEMA_VERSION,
        "run": run_record(settings, time.perf_counter() - started, 1),
        "data": _data(seen, printed),
        "findings": [one.to_dict() for one in findings],
    }
    return Audit(findings, content)


def _data(seen: Inspection, printed: str) -> dict[str, Any]:
    label = seen.facts["label"]
    known = label.null_count() < len(label)
    frauds = int(label.cast(pl.Int64).sum()) if known else None
    return {"rows": seen.frame.height, "frauds": frauds, "fingerprint": printed}


def _parts(
    seen: Inspection, settings: Settings, costs: CostModel
) -> Iterator[tuple[Iterator[Finding], str]]:
    refused = (Finding(one.kind, one.column, "error", one.rows, one.text) for one in seen.problems)
    yield refused, "check"
    if seen.frame.height:
        plan = settings.features
        never = seen.schema.never_features | {*costs.columns, *plan.keys, *plan.drop}
        features = [name for name in seen.frame.columns if name not in never]
        yield _as_it_came(seen, features, plan.keys), "look at the columns"
        yield _on_its_clock(seen, features, settings), "look at the clock"
        yield _in_its_blocks(seen, settings, costs), "look at the blocks"


def _as_it_came(
    seen: Inspection, features: list[str], further_keys: Sequence[str]
) -> Iterator[Finding]:
    """Find what needs no clock and no blocks."""
    frame, roles, label = seen.frame, seen.schema.roles, seen.facts["label"]
    named = dict.fromkeys((roles.id, roles.entity, *further_keys))
    keys = [name for name in named if name is not None and name in frame.columns]
    beside = [name for name in (roles.time, *keys) if name is not None and name != roles.id]
    described = _described(seen)
    yield from find_filled_for_frauds(frame, label, features)
    yield from find_duplicate_rows(frame, roles.id)
    if roles.id is not None:
        yield from find_inconsistent_ids(frame, roles.id)
    yield from find_key_variants(frame, keys)
    yield from find_duplicate_columns(frame, features, beside, roles.time, seen.facts["time"])
    yield from find_constant(frame, described)
    yield from find_missing(frame, described)
    yield from find_unknown(label, roles.label)


def _described(seen: Inspection) -> list[str]:
    """The columns that may hold values in every row."""
    roles = seen.schema.roles
    return [name for name in seen.frame.columns if name not in (roles.label, roles.label_time)]


def _on_its_clock(seen: Inspection, features: list[str], settings: Settings) -> Iterator[Finding]:
    """Find what the time of each row shows, and the dates beside it."""
    frame, schema, facts = seen.frame, seen.schema, seen.facts
    name, label_name = schema.roles.time, schema.roles.label_time
    when, labelled_at = facts["time"], facts["label_time"]
    texts = text_dates(frame, features)
    yield from find_text_dates(texts)
    if name is None:
        return
    if when.null_count():
        yield _left_out("The order of the rows, dates, months and weeks", "some row has no time")
        return
    now = datetime.now(UTC).replace(tzinfo=None)
    dates = [*date_columns(frame, features), *(one for one in texts.values() if one is not None)]
    yield from find_late_dates(dates, facts, schema)
    yield from find_future(when, name, schema, settings.data.as_of, now)
    yield from find_disorder(when, name)
    if label_name is not None:
        yield from find_early(when, labelled_at, label_name)
        yield from find_future(labelled_at, label_name, schema, settings.data.as_of, now)
    yield from find_missing_by_month(frame, _described(seen), when, schema)
    yield from find_odd_weeks(facts["label"], when, schema)


def _in_its_blocks(seen: Inspection, settings: Settings, costs: CostModel) -> Iterator[Finding]:
    """Find what the blocks show that `train` would cut, and say what keeps it from cutting them."""
    what = "Leaks, new categories and the shift between the blocks"
    if seen.problems:
        yield _left_out(what, "the table is refused")
        return
    dataset = seen.dataset()
    _, refusals = _tried("costs", lambda: row_costs(costs, dataset))
    yield from refusals
    split, refusals = _tried(
        "blocks", lambda: split_blocks(dataset, settings.split, settings.data, settings.seed)
    )
    yield from refusals
    if split is None:
        yield _left_out(what, "there are no blocks")
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
        yield _left_out(what, "there are no features")
        return
    yield from find_leaks(dataset, (rows, split.test.rows), sorted(features.columns))
    yield from find_new_categories(dataset, split, features)
    yield from find_shift(dataset, split, features, settings.seed)


T = TypeVar("T")


def _tried(kind: str, step: Callable[[], T]) -> tuple[T | None, list[Finding]]:
    """Take a step of `train`; where it refuses the data, say so as an error."""
    try:
        return step(), []
    except DataError as error:
        return None, [Finding(kind, None, "error", None, str(error))]


def _left_out(what: str, why: str) -> Finding:
    message = f"{what} were not looked at: {why}. Correct the errors first, and audit again."
    return Finding("left_out", None, "note", None, message)
