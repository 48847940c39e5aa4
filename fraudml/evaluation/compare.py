"""Models side by side on the same rows: every difference paired, with the interval of clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from fraudml.evaluation.proof import draw
from fraudml.metrics import Bootstrap, Clusters, ScoredRows, find_metric
from fraudml.metrics.registry import Direction

COMPARED = (
    "average_precision",
    "roc_auc",
    "recall_at_fpr_0.01",
    "precision_at_100",
    "card_precision_at_100",
    "precision",
    "recall",
    "value_recall",
    "alerts_per_day",
    "cost",
    "savings",
    "log_loss",
    "brier",
    "calibration_in_the_large",
)
"""What models are compared by: their ranking, what their alerts do, their probabilities."""


def compare_models(
    models: Mapping[str, Sequence[ScoredRows]],
    clusters: Sequence[Clusters],
    *,
    replicates: int,
    level: float,
    seed: int,
    threads: int,
) -> dict[str, Any]:
    """Compare models by every metric; where there are several blocks, by its mean over them.

    Parameters
    ----------
    models : mapping
        By name, the rows of each block with that model's scores; the same rows for all.
    clusters : sequence of Clusters
        One a block, with one code in all of them.
    replicates, level, seed, threads
        For the bootstrap; all models see the same replicates.

    Returns
    -------
    dict
        By metric: `direction`; `values`, by name, each with its interval; `pairs`, each with
        `first`, `second`, `difference` (first minus second), `low`, `high`, `better` (the name,
        where the interval excludes 0, otherwise null) and `probability_better`, the share of
        replicates in which the model that looks better is better (ties count half). `reason`
        stands where there is no value.

    Examples
    --------
    >>> from fraudml.metrics import choose_clusters
    >>> y = [0, 0, 1, 0, 1, 0, 0, 1] * 4
    >>> scores = {"good": [*y], "flat": [0.0] * 32}
    >>> models = {name: [ScoredRows(y, y_score=one)] for name, one in scores.items()}
    >>> found = compare_models(models, [choose_clusters(n_rows=32)], replicates=100, level=0.95,
    ...                        seed=0, threads=1)
    >>> pair = found["roc_auc"]["pairs"][0]
    >>> pair["difference"], pair["better"], pair["probability_better"]
    (0.5, 'good', 1.0)
    """
    drawn = {
        name: draw(
            list(zip(blocks, clusters, strict=True)),
            metrics=COMPARED,
            replicates=replicates,
            seed=seed,
            threads=threads,
        )
        for name, blocks in models.items()
    }
    means = {name: one.mean() for name, one in drawn.items()}
    pairs = {
        (one, other): drawn[one].minus(drawn[other]).mean()
        for one, other in combinations(models, 2)
    }
    return {
        metric: {
            "direction": find_metric(metric).direction,
            "values": {name: _entry(one, metric, level) for name, one in means.items()},
            "pairs": [_pair(*names, one, metric, level) for names, one in pairs.items()],
        }
        for metric in COMPARED
    }


def _entry(drawn: Bootstrap, metric: str, level: float) -> dict[str, Any]:
    found = drawn.interval(metric, level)
    made = {"value": found.value, "low": found.low, "high": found.high}
    return made if found.reason is None else {**made, "reason": found.reason}


def _pair(one: str, other: str, paired: Bootstrap, metric: str, level: float) -> dict[str, Any]:
    entry = _entry(paired, metric, level)
    entry["difference"] = entry.pop("value")
    direction = find_metric(metric).direction
    better, sure = None, None
    if entry["low"] is not None and direction != "none":
        ahead, share = _ahead(paired.draws[metric], entry["difference"], direction)
        apart = entry["low"] > 0 or entry["high"] < 0
        better = (one if ahead else other) if apart else None
        sure = share
    return {"first": one, "second": other, **entry, "better": better, "probability_better": sure}


def _ahead(draws: Any, difference: float, direction: Direction) -> tuple[bool, float]:
    """Whether the first is the better one, and the share of replicates that say what it says."""
    sign = -1 if direction == "lower" else 1
    known = sign * draws[~np.isnan(draws)]
    share = float(np.mean(known > 0) + np.mean(known == 0) / 2)
    ahead = sign * difference > 0
    return ahead, share if ahead else 1 - share
