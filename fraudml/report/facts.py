"""What the report of a model is drawn from: numbers and words that others made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl


@dataclass(frozen=True)
class ModelFacts:
    """A model on one test block.

    Parameters
    ----------
    name : str
        What the run is called.
    level : float
        Confidence of the intervals.
    data : mapping
        Rows, frauds, prevalence, start, end, fingerprint of the table.
    blocks : mapping
        By name, `development` and `test`: rows, frauds, start, end.
    test, policy, decided, calibration, baselines, proof, fairness, guard : mapping
        As `metrics.json` has them; `decided` is what the policy's alerts did. No
        `proof` where there is none to speak of.
    by_threshold, over_time, outcomes : DataFrame
        From `evaluation.curves`; periods with their `label`.
    cost_never, cost_always : float
        Of alerting no row, and every row.
    drivers : DataFrame
        From `evaluation.drivers`; empty where `no_drivers` says why.
    explained : tuple of int
        How many rows and alerts the drivers were found on.
    findings : sequence of (str, str)
        Severity and message of what the audit found on the way; None where it was not looked at.
    words : mapping
        Sentences by name: `costs`, `calibration`, `clusters`, `cases`, `delay`, `whole`, and where
        there are any `promise`, `fairness`, `no_drivers`.
    proof_words : mapping
        The verdict on each help.
    repeat : str
        The commands that repeat the run.
    versions : mapping
        Libraries and their versions.
    """

    name: str
    level: float
    data: Mapping[str, Any]
    blocks: Mapping[str, Any]
    test: Mapping[str, Any]
    policy: Mapping[str, Any]
    decided: Mapping[str, Any]
    calibration: Mapping[str, Any]
    baselines: Mapping[str, Any]
    proof: Mapping[str, Any] | None
    fairness: Mapping[str, Any]
    guard: Mapping[str, Any]
    by_threshold: pl.DataFrame
    over_time: pl.DataFrame
    outcomes: pl.DataFrame
    cost_never: float
    cost_always: float
    drivers: pl.DataFrame
    explained: tuple[int, int]
    findings: Sequence[tuple[str, str]] | None
    words: Mapping[str, str]
    proof_words: Mapping[str, str]
    repeat: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> dict[str, dict[str, Any]]:
        """The outcomes by name."""
        return {row["outcome"]: row for row in self.outcomes.iter_rows(named=True)}

    @property
    def ends(self) -> str:
        """How sure a range is, in words."""
        return f"{100 * self.level:g} %"
