"""Paired comparisons: models on the same rows and on the same replicates of their clusters."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.metrics import Bootstrap, Clusters, ScoredRows, bootstrap, find_metric
from fraudml.metrics.metric import Direction

Verdict = Literal["keep", "drop", "undecided"]
Sample = tuple[Bootstrap, ...]
"""Metrics of one model and their replicates, one `Bootstrap` a block."""


@dataclass(frozen=True)
class Difference:
    """A metric of one model minus that of another, with its interval or why there is none.

    The verdict is `keep` where the whole interval is on the better side of 0, `drop` where it is on
    the worse. `probability_better` is the share of replicates in which the model that looks better
    is better; ties count half.
    """

    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    probability_better: float | None = None
    reason: str | None = None

    def interval(self) -> dict[str, Any]:
        """Return the difference and its ends as plain data for JSON."""
        return {"difference": self.value, "low": self.low, "high": self.high}

    def to_dict(self) -> dict[str, Any]:
        """Return the difference and its verdict as plain data for JSON."""
        reason = {} if self.reason is None else {"reason": self.reason}
        return {"verdict": self.verdict, **self.interval(), **reason}


@dataclass(frozen=True, eq=False)
class PairedComparison:
    """Metrics of models on the same blocks, and on the same replicates of their clusters."""

    samples: Mapping[Any, Sample]
    options: BootstrapOptions

    def mean(self, model: Hashable) -> Bootstrap:
        """Return the metrics of a model, the mean over its blocks."""
        return mean_over_blocks(self.samples[model])

    def differences(self, model: Hashable, reference: Hashable) -> dict[str, Difference]:
        """Return each metric of a model minus that of a reference, the mean over the blocks."""
        blocks = zip(self.samples[model], self.samples[reference], strict=True)
        paired = mean_over_blocks([block.minus(other) for block, other in blocks])
        return {name: self._difference(paired, name) for name in paired.values}

    def _difference(self, paired: Bootstrap, name: str) -> Difference:
        result, direction = paired.interval(name, self.options.level), find_metric(name).direction
        if result.low is None or result.high is None or not self.options.replicates:
            return Difference(result.value, None, None, "undecided", reason=result.reason)
        assert result.value is not None
        return Difference(
            result.value,
            result.low,
            result.high,
            _verdict(result.low, result.high, direction),
            _probability_better(paired.draws[name], result.value, direction),
        )


def compare_paired(
    models: Mapping[Any, Sequence[ScoredRows]],
    clusters: Sequence[Clusters],
    metrics: Sequence[str],
    options: BootstrapOptions,
) -> PairedComparison:
    """Evaluate models on the same blocks of rows and on the same replicates.

    `models` has by model the rows of each block with its scores; the same rows for all. `clusters`
    has one entry a block: clusters in several blocks have one code in all of them, and all blocks
    one count, so that a replicate draws an entity with its rows of all blocks.

    Examples
    --------
    >>> from fraudml.metrics import choose_clusters
    >>> y = [0, 0, 1, 0, 1, 0, 0, 1] * 4
    >>> models = {"good": [ScoredRows(y, y_score=y)], "flat": [ScoredRows(y, y_score=[0.0] * 32)]}
    >>> clusters = [choose_clusters(n_rows=32)]
    >>> paired = compare_paired(models, clusters, ["roc_auc"], BootstrapOptions(replicates=100))
    >>> paired.differences("good", "flat")["roc_auc"].verdict
    'keep'
    """
    samples = {
        name: bootstrap_blocks(list(zip(blocks, clusters, strict=True)), metrics, options)
        for name, blocks in models.items()
    }
    return PairedComparison(samples, options)


def bootstrap_blocks(
    blocks: Sequence[tuple[ScoredRows, Clusters]], metrics: Sequence[str], options: BootstrapOptions
) -> Sample:
    """Evaluate one model on blocks of rows and on replicates of their clusters."""
    return tuple(bootstrap(rows, metrics, own, **options.drawing) for rows, own in blocks)


def mean_over_blocks(blocks: Sequence[Bootstrap]) -> Bootstrap:
    """Return the mean over blocks that draw the same clusters; a metric that lacks one has none."""
    first = blocks[0]
    values = {name: _mean([block.values[name] for block in blocks]) for name in first.values}
    draws = {
        name: np.mean([block.draws[name] for block in blocks], axis=0)
        for name in first.values
        if all(name in block.draws for block in blocks)
    }
    reasons = {name: reason for block in blocks for name, reason in block.reasons.items()}
    return Bootstrap(values, draws, reasons, first.clusters, first.seed, first.replicates)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _verdict(low: float, high: float, direction: Direction) -> Verdict:
    if direction == "lower":
        low, high = -high, -low
    if low > 0:
        return "keep"
    return "drop" if high < 0 else "undecided"


def _probability_better(
    draws: NDArray[np.float64], difference: float, direction: Direction
) -> float:
    """The share of replicates on the side of 0 on which the difference is."""
    sign = -1 if direction == "lower" else 1
    known = sign * draws[~np.isnan(draws)]
    share = float(np.mean(known > 0) + np.mean(known == 0) / 2)
    return share if sign * difference > 0 else 1 - share
