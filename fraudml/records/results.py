"""Finished runs, as commands return them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from fraudml.audit.finding import Finding
from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.errors import FraudmlError, RefusedError
from fraudml.evaluation.guard import Verdict
from fraudml.pipeline.evaluate import HoldoutEvaluation, ReportData
from fraudml.records.closing import (
    audit_table,
    backtest_table,
    refit_table,
    study_table,
    train_table,
)
from fraudml.records.table import ClosingTable


@dataclass(frozen=True)
class Study:
    """A finished study; `metrics` is the content of `study.json`."""

    metrics: dict[str, Any]
    folder: str | None = None

    def summary(self) -> ClosingTable:
        """Return the ranked table."""
        return study_table(self.metrics, self.folder)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Parameters
    ----------
    settings : Settings
        The complete settings.
    metrics : dict
        The content of `metrics.json`.
    test_scores : DataFrame
        The content of `test_scores.parquet`; empty where a model was refitted on all rows.
    verdict : Verdict
        The guard's.
    bundle : DecisionBundle, optional
        The model; None where the guard refused it.
    details : ReportData, optional
        What the report shows besides; None where a model was refitted on all rows.
    findings : tuple of Finding
        Findings of the quick audit of the table.
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
        return _refusal("the model", self.verdict)

    def summary(self) -> ClosingTable:
        """Return the closing table."""
        if "refit" in self.metrics:
            return refit_table(self.metrics, self.folder)
        return train_table(self.metrics, self.settings.evaluation.level, self.folder)


def _refusal(subject: str, verdict: Verdict) -> FraudmlError | None:
    if verdict.passed:
        return None
    return RefusedError(f"The guard refused {subject}: {'; '.join(verdict.reasons)}.")


@dataclass(frozen=True)
class Audit:
    """A finished audit.

    Parameters
    ----------
    findings : tuple of Finding
        The worst first.
    content : dict
        The content of `audit.json`.
    folder : str, optional
        Where everything was written; None where nothing was.
    """

    findings: tuple[Finding, ...]
    content: dict[str, Any]
    folder: str | None = None

    def summary(self) -> ClosingTable:
        """Return the closing table."""
        return audit_table(self.findings, self.content["data"], self.folder)


@dataclass(frozen=True)
class Backtest:
    """A finished backtest.

    Parameters
    ----------
    settings : Settings
        The complete settings.
    metrics : dict
        The content of `backtest.json`.
    scores : DataFrame
        The content of `backtest_scores.parquet`.
    verdict : Verdict
        The guard's, on the last fold's model.
    bundle : DecisionBundle, optional
        That model; None where the guard refused it.
    last : HoldoutEvaluation
        Its evaluation, for the report.
    over_time : DataFrame
        Alerts period by period, of the models of all folds.
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
        return _refusal("the last fold's model", self.verdict)

    def summary(self) -> ClosingTable:
        """Return the closing table."""
        return backtest_table(self.metrics, self.folder)
