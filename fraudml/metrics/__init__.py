"""Metrics on plain arrays: labels and scores in, numbers out; with intervals by clusters.

Needs numpy alone. `METRICS` has the metrics that a run reports; `measure` and `bootstrap` take them
by name. Everywhere, columns that are wrong raise a `DataError` that names all problems at once, and
a number that is out of range raises a `ConfigError`.
"""

from fraudml.metrics.alerts import (
    Confusion,
    accuracy_of_never,
    alert_rate,
    alerts_per_day,
    confusion,
    f_beta,
    false_positive_rate,
    false_positive_ratio,
    precision,
    recall,
)
from fraudml.metrics.cards import attainable_card_precision_at_k, card_precision_at_k
from fraudml.metrics.catalogue import METRICS
from fraudml.metrics.clusters import Clusters, choose_clusters
from fraudml.metrics.curves import (
    PrecisionRecallCurve,
    PrecisionRecallGainCurve,
    precision_recall_curve,
    precision_recall_gain_curve,
)
from fraudml.metrics.expected import (
    expected_average_precision,
    expected_confusion,
    expected_precision,
    expected_recall,
)
from fraudml.metrics.intervals import (
    Bootstrap,
    Cut,
    Interval,
    bootstrap,
    bootstrap_counts,
    bootstrap_sums,
)
from fraudml.metrics.metric import Metric
from fraudml.metrics.money import (
    BestThreshold,
    RiskThresholds,
    Savings,
    benefit,
    best_threshold,
    cost,
    expected_cost,
    minimum_risk_threshold,
    savings,
    value_recall,
)
from fraudml.metrics.probability import (
    Reliability,
    brier,
    calibration_in_the_large,
    calibration_slope,
    log_loss,
    reliability,
)
from fraudml.metrics.ranking import (
    average_precision,
    partial_auc,
    precision_at_k,
    precision_recall_gain_area,
    recall_at_fpr,
    recall_at_precision,
    roc_auc,
)
from fraudml.metrics.registry import Measured, find_metric, measure
from fraudml.metrics.rows import ScoredRows

__all__ = [
    "METRICS",
    "BestThreshold",
    "Bootstrap",
    "Clusters",
    "Confusion",
    "Cut",
    "Interval",
    "Measured",
    "Metric",
    "PrecisionRecallCurve",
    "PrecisionRecallGainCurve",
    "Reliability",
    "RiskThresholds",
    "Savings",
    "ScoredRows",
    "accuracy_of_never",
    "alert_rate",
    "alerts_per_day",
    "attainable_card_precision_at_k",
    "average_precision",
    "benefit",
    "best_threshold",
    "bootstrap",
    "bootstrap_counts",
    "bootstrap_sums",
    "brier",
    "calibration_in_the_large",
    "calibration_slope",
    "card_precision_at_k",
    "choose_clusters",
    "confusion",
    "cost",
    "expected_average_precision",
    "expected_confusion",
    "expected_cost",
    "expected_precision",
    "expected_recall",
    "f_beta",
    "false_positive_rate",
    "false_positive_ratio",
    "find_metric",
    "log_loss",
    "measure",
    "minimum_risk_threshold",
    "partial_auc",
    "precision",
    "precision_at_k",
    "precision_recall_curve",
    "precision_recall_gain_area",
    "precision_recall_gain_curve",
    "recall",
    "recall_at_fpr",
    "recall_at_precision",
    "reliability",
    "roc_auc",
    "savings",
    "value_recall",
]
