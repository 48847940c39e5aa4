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

    `data` to `guard` are as `metrics.json` has them; `alerts` are the metrics of the policy's
    alerts, and `proof` and `findings` (severity and message) are None where there are none to
    report. `explained` counts the rows and alerts that the drivers were computed on. `texts` are
    sentences: `costs`, `calibration`, `clusters`, `cases`, `delay`, `period`, and where there are
    any `constraint`, `fairness`, `no_drivers`; `verdicts` has one on each intervention.
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
