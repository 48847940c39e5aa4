"""The proof: a help is compared with doing without it, paired and clustered, on scores of rows that
neither model has seen. The test block decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fraudml.metrics import Bootstrap, Clusters, ScoredRows, bootstrap, find_metric
from fraudml.metrics.registry import Direction

PROOF_METRICS = (
    "average_precision",
    "roc_auc",
    "card_precision_at_100",
    "recall_at_fpr_0.01",
    "value_recall",
    "savings",
    "log_loss",
)
"""What a help may change for the better or the worse."""

Word = Literal["keep", "drop", "undecided"]


@dataclass(frozen=True)
class Difference:
    """What a help does to one metric.

    Parameters
    ----------
    metric : str
        Which.
    value : float, optional
        With the help minus without; None where the metric has no value.
    low, high : float, optional
        Its interval, from replicates that draw the same clusters for both.
    verdict : str
        `keep` where the whole interval is on the better side of 0, `drop` where it is on the worse,
        otherwise `undecided`.
    reason : str, optional
        Why there is no value or no interval.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    verdict: Word
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        made: dict[str, Any] = {
            "verdict": self.verdict,
            "difference": self.value,
            "low": self.low,
            "high": self.high,
        }
        return made if self.reason is None else {**made, "reason": self.reason}


@dataclass(frozen=True, eq=False)
class Drawn:
    """Metrics of one model on some blocks, and on replicates of their clusters.

    Parameters
    ----------
    blocks : tuple of Bootstrap
        One a block; all draw the same clusters.
    """

    blocks: tuple[Bootstrap, ...]

    def minus(self, other: Drawn) -> Drawn:
        """Return the paired differences from another model on the same blocks."""
        both = zip(self.blocks, other.blocks, strict=True)
        return Drawn(tuple(one.minus(another) for one, another in both))

    def mean(self) -> Bootstrap:
        """Return the mean over the blocks; a metric that lacks a block has none."""
        first = self.blocks[0]
        values = {name: _mean([one.values[name] for one in self.blocks]) for name in first.values}
        draws = {
            name: np.mean([one.draws[name] for one in self.blocks], axis=0)
            for name in first.values
            if all(name in one.draws for one in self.blocks)
        }
        reasons = {name: reason for one in self.blocks for name, reason in one.reasons.items()}
        return Bootstrap(values, draws, reasons, first.clusters, first.seed, first.replicates)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def draw(
    blocks: Sequence[tuple[ScoredRows, Clusters]],
    *,
    metrics: Sequence[str] = PROOF_METRICS,
    replicates: int,
    seed: int,
    threads: int,
) -> Drawn:
    """Evaluate one model on blocks of rows and on replicates of their clusters.

    Parameters
    ----------
    blocks : sequence of ScoredRows and Clusters
        Clusters that stand in several blocks have one code in all of them, and all blocks one
        count, so that a replicate draws an entity with everything it did.
    metrics : sequence of str
        What to evaluate.
    replicates, seed, threads : int
        For the bootstrap; models that are to be compared take the same seed.
    """
    return Drawn(
        tuple(
            bootstrap(rows, metrics, clusters, replicates=replicates, seed=seed, threads=threads)
            for rows, clusters in blocks
        )
    )


def differences(helped: Drawn, plain: Drawn, *, level: float) -> Mapping[str, Difference]:
    """Compare a model with the same model without its help.

    Parameters
    ----------
    helped, plain : Drawn
        On the same blocks, with the same replicates.
    level : float
        Confidence of the two-sided intervals.

    Examples
    --------
    >>> from fraudml.metrics import choose_clusters
    >>> y = [0, 0, 1, 0, 1, 0, 0, 1] * 4
    >>> good, bad = (ScoredRows(y, y_score=s) for s in ([*y], [0.0] * 32))
    >>> rows = choose_clusters(n_rows=32)
    >>> made = [draw([(one, rows)], metrics=["roc_auc"], replicates=100, seed=0, threads=1)
    ...         for one in (good, bad)]
    >>> differences(*made, level=0.95)["roc_auc"].verdict
    'keep'
    """
    paired = helped.minus(plain).mean()
    return {name: _difference(paired, name, level) for name in paired.values}


def _difference(paired: Bootstrap, name: str, level: float) -> Difference:
    found = paired.interval(name, level)
    verdict = _verdict(found.low, found.high, find_metric(name).direction)
    return Difference(name, found.value, found.low, found.high, verdict, found.reason)


def _verdict(low: float | None, high: float | None, direction: Direction) -> Word:
    if low is None or high is None:
        return "undecided"
    if direction == "lower":
        low, high = -high, -low
    if low > 0:
        return "keep"
    return "drop" if high < 0 else "undecided"


def sentence(proof: Mapping[str, Any]) -> str:
    """Say a verdict in a sentence.

    Parameters
    ----------
    proof : mapping
        As `metrics.json` has it: the metric, its difference and interval, the verdict, and the
        difference on the test block.
    """
    name = proof["metric"].replace("_", " ")
    if proof["low"] is None:
        return f"undecided: {name} has no interval to look at, {proof.get('reason')}"
    change = f"{proof['difference']:+.3f} ({proof['low']:+.3f} to {proof['high']:+.3f})"
    on_test = proof["test_difference"]
    beside = "" if on_test is None else f"; on test {on_test:+.3f}, which decides nothing"
    return f"{proof['verdict']}: {name} {change} out of fold beside doing without{beside}"
