"""Finished runs, as commands return them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from fraudml.audit.finding import (
    SEVERITIES,
    Finding,
    percent,
    plural,
)
from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.errors import FraudmlError, RefusedError
from fraudml.evaluation.guard import Verdict
from fraudml.pipeline.evaluate import HoldoutEvaluation, ReportData
from fraudml.records.backtest import backtest_table
from fraudml.records.metrics import closing_table
from fraudml.records.refit import refit_table
from fraudml.records.study import study_table


@dataclass(frozen=True)
class Study:
    """A finished study.

    Parameters
    ----------
    metrics : dict
        What `study.json` holds.
    folder : str, optional
        Where it was written.
    """

    metrics: dict[str, Any]
    folder: str | None = None

    def summary(self) -> tuple[str, list[tuple[str, ...]], tuple[str, ...]]:
        """Return the title, the rows and the header of the ranked table."""
        return study_table(self.metrics, self.folder)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Parameters
    ----------
    settings : Settings
        What decided it, complete.
    metrics : dict
        What `metrics.json` holds.
    test_scores : DataFrame
        What `test_scores.parquet` holds; nothing where a model was refitted on all rows.
    verdict : Verdict
        The guard's.
    bundle : DecisionBundle, optional
        The model; None where the guard refused it.
    details : ReportData, optional
        What the report shows besides; None where a model was refitted on all rows.
    findings : tuple of Finding
        What was found at a glance at the table.
    folder : str, optional
        Where everything was written; None where nothing was.
    """

    settings: Settings
    metrics: dict[str, Any]
    test_scores: pl.DataFrame
    verdict: Verdict
    bundle: DecisionBundle | None
    details: ReportData | None = None
    findings: tuple[Finding, ...] = ()
    folder: str | None = None

    @property
    def refusal(self) -> FraudmlError | None:
        """The error of a run whose model was refused."""
        if self.verdict.passed:
            return None
        return RefusedError(f"The guard refused the model: {'; '.join(self.verdict.reasons)}.")

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """Return a title and the rows of the closing table."""
        if "refit" in self.metrics:
            return refit_table(self.metrics, self.folder)
        return closing_table(self.metrics, self.settings.evaluation.level, self.folder)


_SHOWN = 5


@dataclass(frozen=True)
class Audit:
    """A finished audit.

    Parameters
    ----------
    findings : tuple of Finding
        The worst first.
    content : dict
        What `audit.json` holds.
    folder : str, optional
        Where everything was written; None where nothing was.
    """

    findings: tuple[Finding, ...]
    content: dict[str, Any]
    folder: str | None = None

    def summary(self) -> tuple[str, list[tuple[str, str, str]], tuple[str, str, str]]:
        """Return a title, the rows and the header of the closing table; of a kind, five at most."""
        rows, frauds = self.content["data"]["rows"], self.content["data"]["frauds"]
        of = "" if frauds is None else f", {frauds:,} frauds ({percent(frauds / max(rows, 1))})"
        counts = Counter(one.severity for one in self.findings)
        found = ", ".join(plural(counts[one], one) for one in SEVERITIES)
        lines = list(_lines(self.findings))
        if self.folder is not None:
            lines.append(("", "all are in", self.folder))
        return f"Audit of {rows:,} rows{of}: {found}", lines, ("", "kind", "what was found")


def _lines(findings: tuple[Finding, ...]) -> Iterator[tuple[str, str, str]]:
    seen: Counter[tuple[str, str]] = Counter()
    total = Counter((one.severity, one.kind) for one in findings)
    for one in findings:
        sort = (one.severity, one.kind)
        seen[sort] += 1
        kind = one.kind.replace("_", " ")
        if seen[sort] <= _SHOWN:
            yield one.severity, kind, one.message
        elif seen[sort] == _SHOWN + 1:
            yield one.severity, kind, f"and {total[sort] - _SHOWN:,} more like these"


@dataclass(frozen=True)
class Backtest:
    """A finished backtest.

    Parameters
    ----------
    settings : Settings
        What decided it, complete.
    metrics : dict
        What `backtest.json` holds.
    scores : DataFrame
        What `backtest_scores.parquet` holds.
    verdict : Verdict
        The guard's, on the last fold's model.
    bundle : DecisionBundle, optional
        That model; None where the guard refused it.
    last : HoldoutEvaluation
        How it did, for the report.
    over_time : DataFrame
        Its alerts and those of the models before it, period by period.
    folder : str, optional
        Where everything was written; None where nothing was.
    """

    settings: Settings
    metrics: dict[str, Any]
    scores: pl.DataFrame
    verdict: Verdict
    bundle: DecisionBundle | None
    last: HoldoutEvaluation
    over_time: pl.DataFrame
    folder: str | None = None

    @property
    def refusal(self) -> FraudmlError | None:
        """The error of a backtest whose last model was refused."""
        if self.verdict.passed:
            return None
        return RefusedError(
            f"The guard refused the last fold's model: {'; '.join(self.verdict.reasons)}."
        )

    def summary(self) -> tuple[str, list[tuple[str, ...]], tuple[str, ...]]:
        """Return a title, the rows and the header of the closing table."""
        return backtest_table(self.metrics, self.folder)
