"""What the report of a model is drawn from: its record, curves and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

Record = Mapping[str, Any]
"""A part of `metrics.json`."""


@dataclass(frozen=True)
class ReportedModel:
    """A model on one test block.

    Parameters
    ----------
    name : str
        The run's name.
    level : float
        Confidence of the intervals.
    data : mapping
        Rows, frauds, prevalence, start, end, fingerprint of the table.
    blocks : mapping
        By name, `development` and `test`: rows, frauds, start, end.
    test, policy, alerts, calibration, baselines, proof, fairness, guard : mapping
        As `metrics.json` has them; `alerts` are the metrics of the policy's alerts. `proof` is None
        where there is none to report.
    by_threshold, over_time, outcomes : DataFrame
        From `evaluation.curves`; periods with their `label`.
    cost_never, cost_always : float
        Of alerting no row, and every row.
    drivers : DataFrame
        From `evaluation.drivers`; empty where `no_drivers` says why.
    explained : tuple of int
        How many rows and alerts the drivers were computed on.
    findings : sequence of (str, str)
        Severity and message of the quick audit's findings; None where there was no audit.
    texts : mapping
        Sentences by name: `costs`, `calibration`, `clusters`, `cases`, `delay`, `period`, and where
        there are any `constraint`, `fairness`, `no_drivers`.
    verdicts : mapping
        A sentence on each intervention's proof.
    repeat : str
        The commands that repeat the run.
    versions : mapping
        Libraries and their versions.
    """

    name: str
    level: float
    data: Record
    blocks: Record
    test: Record
    policy: Record
    alerts: Record
    calibration: Record
    baselines: Record
    proof: Record | None
    fairness: Record
    guard: Record
    by_threshold: pl.DataFrame
    over_time: pl.DataFrame
    outcomes: pl.DataFrame
    cost_never: float
    cost_always: float
    drivers: pl.DataFrame
    explained: tuple[int, int]
    findings: Sequence[tuple[str, str]] | None
    texts: Mapping[str, str]
    verdicts: Mapping[str, str]
    repeat: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> dict[str, dict[str, Any]]:
        """The outcomes by name."""
        return {row["outcome"]: row for row in self.outcomes.iter_rows(named=True)}

    @property
    def interval(self) -> str:
        """The confidence level of intervals, as `95 %`."""
        return f"{100 * self.level:g} %"
