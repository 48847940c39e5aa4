"""Models compared on the same rows by every metric, each difference paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.paired import Difference, compare_paired
from fraudml.metrics import Clusters, Interval, ScoredRows
from fraudml.metrics.metric import Direction
from fraudml.metrics.registry import metrics_in, names_in


def compare_models(
    models: Mapping[str, Sequence[ScoredRows]],
    clusters: Sequence[Clusters],
    options: BootstrapOptions,
) -> dict[str, Any]:
    """Compare models by every metric; where there are several blocks, by its mean over them.

    Arguments are as in `compare_paired`.

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
    >>> models = {"good": [ScoredRows(y, y_score=y)], "flat": [ScoredRows(y, y_score=[0.0] * 32)]}
    >>> options = BootstrapOptions(replicates=100)
    >>> table = compare_models(models, [choose_clusters(n_rows=32)], options)
    >>> pair = table["roc_auc"]["pairs"][0]
    >>> pair["difference"], pair["better"], pair["probability_better"]
    (0.5, 'good', 1.0)
    """
    paired = compare_paired(models, clusters, names_in("compare"), options)
    means = {name: paired.mean(name) for name in models}
    pairs = {names: paired.differences(*names) for names in combinations(models, 2)}
    return {
        metric.name: {
            "direction": metric.direction,
            "values": {
                name: _value(mean.interval(metric.name, options.level))
                for name, mean in means.items()
            },
            "pairs": [
                _pair(*names, differences[metric.name], metric.direction)
                for names, differences in pairs.items()
            ],
        }
        for metric in metrics_in("compare")
    }


def _value(result: Interval) -> dict[str, Any]:
    entry = {"value": result.value, "low": result.low, "high": result.high}
    return entry if result.reason is None else {**entry, "reason": result.reason}


def _pair(first: str, second: str, difference: Difference, direction: Direction) -> dict[str, Any]:
    better = {"keep": first, "drop": second, "undecided": None}[difference.verdict]
    compared = direction != "none"
    return {
        "first": first,
        "second": second,
        **difference.interval(),
        **({} if difference.reason is None else {"reason": difference.reason}),
        "better": better if compared else None,
        "probability_better": difference.probability_better if compared else None,
    }
