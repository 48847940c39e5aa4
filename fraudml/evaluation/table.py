"""The evaluation of a block: one tidy table, every number with its range.

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
from fraudml.errors import ConfigError
from fraudml.evaluation.probabilities import bin_metrics, reliability_record
from fraudml.evaluation.scored import ScoredFrame
from fraudml.metrics import (
    Bootstrap,
    Clusters,
    Metric,
    ScoredRows,
    bootstrap,
    choose_clusters,
    cost,
    measure,
    reliability,
    savings,
)
from fraudml.metrics.registry import find_metrics

TEST_METRICS = (
    "average_precision",
    "roc_auc",
    "card_precision_at_100",
    "recall_at_fpr_0.01",
    "recall_at_fpr_0.05",
    "precision_at_100",
    "value_recall",
    "cost",
    "savings",
    "benefit",
    "brier",
    "log_loss",
    "calibration_in_the_large",
    "calibration_slope",
    "accuracy_of_never",
)
"""What is said of a model's scores and of its alerts, on every block."""

POLICY_METRICS = (
    "precision",
    "recall",
    "alert_rate",
    "alerts_per_day",
    "false_positive_rate",
    "false_positive_ratio",
)
"""What is said of a policy's alerts beside them."""


@dataclass(frozen=True)
class IntervalSettings:
    """How intervals are made.

    Parameters
    ----------
    replicates : int
        Bootstrap replicates; 0 leaves intervals out, and then the guard goes by a single value.
    level : float
        Confidence of the two-sided intervals.
    baselines : bool
        Whether trivial scores are evaluated beside the model.
    """

    replicates: int = 1000
    level: float = 0.95
    baselines: bool = True

    def __post_init__(self) -> None:
        if self.replicates != 0 and self.replicates < 100:
            raise ConfigError(
                f"evaluation.replicates is {self.replicates}. It is 0, or at least 100."
            )
        if not 0.5 <= self.level < 1:
            raise ConfigError(f"evaluation.level is {self.level}. It lies in [0.5, 1).")


@dataclass(frozen=True)
class Evaluation:
    """What a model and its policy are worth on a block.

    Parameters
    ----------
    table : DataFrame
        One row a metric: `metric`, `block` (`test`, or `policy` for what its alerts did there),
        `slice` (`all`), `value`, `low`, `high`, `rows`, `frauds`, `baseline`, `attainable`,
        `reason` (why a value or a range is not there).
    clusters : str
        What the intervals drew, with its count.
    average_precision_bound : float
        One-sided lower bound, for the guard.
    prevalence : float
        Share of frauds.
    alerts, rows : int
        How many rows are alerted, of how many.
    cost, trivial_cost : float
        Of the policy; of the cheaper of alerting never and always.
    reliability : tuple of dict
        Predicted beside observed fraud in bins of the probability, as `metrics.json` has them.
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
    settings: IntervalSettings,
    *,
    guard_level: float,
    seed: int,
    threads: int,
) -> Evaluation:
    """Evaluate scores and alerts on untouched rows.

    Parameters
    ----------
    scored : ScoredFrame
        With all labels known.
    alert : ndarray of bool
        What the policy decided.
    costs : CostMatrix
        Of the same rows.
    settings : IntervalSettings
        Replicates and level.
    guard_level : float
        Confidence of the lower bound of average precision.
    seed, threads : int
        For the bootstrap.
    """
    rows = scored_rows(scored, alert, costs)
    bins = reliability(scored.label, scored.p)
    clusters = clusters_of(scored) if settings.replicates else None
    drawn: Bootstrap | None = None
    if clusters is not None:
        drawn = bootstrap(
            rows,
            (*TEST_METRICS, *POLICY_METRICS, *bin_metrics(bins)),
            clusters,
            replicates=settings.replicates,
            seed=seed,
            threads=threads,
        )
    entries = [
        _entry(metric, block, rows, drawn, settings)
        for block, names in (("test", TEST_METRICS), ("policy", POLICY_METRICS))
        for metric in find_metrics(names)
    ]
    money = savings(rows.y_true, alert, **costs.as_mapping())
    bound = None if drawn is None else drawn.lower_bound("average_precision", guard_level)
    return Evaluation(
        table=pl.DataFrame(entries, schema=_COLUMNS),
        clusters=f"{clusters.count:,} × {clusters.unit}" if clusters else "none",
        average_precision_bound=entries[0]["value"] if bound is None else bound,
        prevalence=float(np.mean(scored.label)),
        alerts=int(alert.sum()),
        rows=len(scored),
        cost=cost(rows.y_true, alert, **costs.as_mapping()),
        trivial_cost=min(money.cost_never, money.cost_always),
        reliability=reliability_record(bins, drawn, settings.level),
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
    """Give the metrics what they know of scored rows.

    Parameters
    ----------
    scored : ScoredFrame
        With all labels known.
    alert : ndarray of bool
        What a policy decided.
    costs : CostMatrix, optional
        Of the same rows; without them metrics of money have no value.
    """
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
    """Return what intervals draw together: entities, else blocks of time, else rows."""
    entity, time = scored.entity, scored.time
    return choose_clusters(entity=entity, time=time, n_rows=len(scored))


def clusters_over(blocks: Sequence[ScoredFrame]) -> list[Clusters]:
    """Return clusters with one code in all blocks: an entity is drawn with all that it did."""
    whole = clusters_of(ScoredFrame(pl.concat([one.frame for one in blocks])))
    ends = np.cumsum([len(one) for one in blocks])[:-1]
    return [replace(whole, codes=codes) for codes in np.split(whole.codes, ends)]


def _entry(
    metric: Metric,
    block: str,
    rows: ScoredRows,
    drawn: Bootstrap | None,
    settings: IntervalSettings,
) -> dict[str, Any]:
    found = measure(rows, metric)
    low = high = None
    reason = found.reason
    if drawn is not None and reason is None:
        interval = drawn.interval(metric.name, settings.level)
        low, high, reason = interval.low, interval.high, interval.reason
    return {
        "metric": metric.name,
        "block": block,
        "slice": "all",
        "value": found.value,
        "low": low,
        "high": high,
        "rows": len(rows),
        "frauds": int(np.sum(rows.y_true)),
        "baseline": found.reference_values.get("baseline"),
        "attainable": found.reference_values.get("attainable"),
        "reason": reason,
    }
