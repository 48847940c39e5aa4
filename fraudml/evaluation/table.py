"""The evaluation of a block: one tidy table, every metric with its interval.

Numbers are computed here once; files, the terminal and reports only show them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.probabilities import bin_metrics, reliability_record
from fraudml.evaluation.scored import ScoredFrame
from fraudml.metrics import (
    Bootstrap,
    Clusters,
    Metric,
    ScoredRows,
    average_precision,
    bootstrap,
    choose_clusters,
    measure,
    reliability,
    savings,
)
from fraudml.metrics.registry import metrics_in


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a model and its policy on a block.

    `table` has one row a metric: `metric`, `block` (`test`, or `policy` for what its alerts did
    there), `slice` (`all`), `value`, `low`, `high`, `rows`, `frauds`, `baseline`, `attainable`,
    `reason` (why there is no value or no interval). `clusters` says what was resampled, and
    `average_precision_bound` is one-sided, for the guard. `trivial_cost` is that of the cheaper of
    alerting never and always; `reliability` has predicted and observed fraud by probability.
    """

    table: pl.DataFrame
    clusters: str
    average_precision_bound: float
    prevalence: float
    alerts: int
    rows: int
    cost: float
    trivial_cost: float
    reliability: tuple[dict[str, float | None], ...] = ()

    def metrics(self, block: str) -> dict[str, dict[str, Any]]:
        """Return the metrics of a block as `metrics.json` has them."""
        optional = ("baseline", "attainable", "reason")
        return {
            row["metric"]: {
                "value": row["value"],
                "low": row["low"],
                "high": row["high"],
                **{name: row[name] for name in optional if row[name] is not None},
            }
            for row in self.table.filter(pl.col("block") == block).iter_rows(named=True)
        }


def evaluate(
    scored: ScoredFrame,
    alert: NDArray[np.bool_],
    costs: CostMatrix,
    options: BootstrapOptions,
    *,
    guard_level: float,
) -> Evaluation:
    """Evaluate scores and alerts on untouched rows, whose labels are all known.

    `guard_level` is the confidence of the lower bound of average precision.
    """
    rows = scored_rows(scored, alert, costs)
    bins = reliability(scored.label, scored.p)
    sample = None
    if options.replicates:
        metrics = (*metrics_in("test"), *metrics_in("policy"), *bin_metrics(bins))
        sample = bootstrap(rows, metrics, clusters_of(scored), **options.drawing)
    entries = [
        _entry(metric, block, rows, sample, options)
        for block in ("test", "policy")
        for metric in metrics_in(block)
    ]
    bound = None if sample is None else sample.lower_bound("average_precision", guard_level)
    if bound is None:
        bound = average_precision(rows.y_true, rows.y_score)
    totals = savings(rows.y_true, alert, **costs.as_mapping())
    return Evaluation(
        table=pl.DataFrame(entries, schema=_COLUMNS),
        clusters="none" if sample is None else sample.clusters.text,
        average_precision_bound=bound,
        prevalence=float(np.mean(scored.label)),
        alerts=int(alert.sum()),
        rows=len(scored),
        cost=totals.cost,
        trivial_cost=min(totals.cost_never, totals.cost_always),
        reliability=reliability_record(bins, sample, options.level),
    )


_COLUMNS = {
    "metric": pl.String,
    "block": pl.String,
    "slice": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "rows": pl.Int64,
    "frauds": pl.Int64,
    "baseline": pl.Float64,
    "attainable": pl.Float64,
    "reason": pl.String,
}


def scored_rows(
    scored: ScoredFrame, alert: NDArray[np.bool_], costs: CostMatrix | None
) -> ScoredRows:
    """Return the columns that metrics need; without costs, those of money have no value."""
    amount = scored.amount
    if amount is not None and np.isnan(amount.astype(np.float64)).any():
        amount = None
    return ScoredRows(
        y_true=scored.label,
        y_score=scored.margin,
        p_fraud=scored.p,
        alert=alert,
        amount=amount,
        entity=scored.entity,
        day=scored.day,
        n_days=scored.days,
        **({} if costs is None else costs.as_mapping()),
    )


def clusters_of(scored: ScoredFrame) -> Clusters:
    """Return what is resampled together: entities, else blocks of time, else rows."""
    entity, time = scored.entity, scored.time
    return choose_clusters(entity=entity, time=time, n_rows=len(scored))


def clusters_over(blocks: Sequence[ScoredFrame]) -> list[Clusters]:
    """Return clusters with one code in all blocks: an entity is resampled with all its rows."""
    whole = clusters_of(ScoredFrame(pl.concat([block.frame for block in blocks])))
    ends = np.cumsum([len(block) for block in blocks])[:-1]
    return [replace(whole, codes=codes) for codes in np.split(whole.codes, ends)]


def _entry(
    metric: Metric,
    block: str,
    rows: ScoredRows,
    sample: Bootstrap | None,
    options: BootstrapOptions,
) -> dict[str, Any]:
    result = measure(rows, metric)
    low = high = None
    reason = result.reason
    if sample is not None and reason is None:
        interval = sample.interval(metric.name, options.level)
        low, high, reason = interval.low, interval.high, interval.reason
    return {
        "metric": metric.name,
        "block": block,
        "slice": "all",
        "value": result.value,
        "low": low,
        "high": high,
        "rows": len(rows),
        "frauds": int(np.sum(rows.y_true)),
        "baseline": result.reference_values.get("baseline"),
        "attainable": result.reference_values.get("attainable"),
        "reason": reason,
    }
