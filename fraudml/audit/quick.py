"""The part of the audit that is cheap enough for every training."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator

from fraudml.audit.dates import date_columns, find_late_dates
from fraudml.audit.finding import Finding
from fraudml.audit.keys import find_duplicate_rows
from fraudml.data.schema import Dataset

_log = logging.getLogger(__name__)


def quick_audit(dataset: Dataset, passed_over: Collection[str]) -> tuple[Finding, ...]:
    """Return and log warnings of columns of dates after the row's own time, and of copied rows.

    Costs a pass over the table.

    Parameters
    ----------
    dataset : Dataset
        The table.
    passed_over : collection of str
        Columns that are no features, or that the user allowed.
    """
    warnings = tuple(
        finding for finding in _findings(dataset, passed_over) if finding.severity == "warning"
    )
    for finding in warnings:
        _log.warning("%s", finding.message)
    return warnings


def _findings(dataset: Dataset, passed_over: Collection[str]) -> Iterator[Finding]:
    schema = dataset.schema
    out = schema.never_features | set(passed_over)
    if dataset.has_time:
        columns = [name for name in dataset.frame.columns if name not in out]
        dates = date_columns(dataset.frame, columns)
        yield from find_late_dates(dates, dataset.facts, schema)
    yield from find_duplicate_rows(dataset.frame, schema.roles.id)
