"""Every metric that a run can report, in one list: what it needs, and how to repeat it fast.

To add a metric: write its function, and add its entry to `METRICS`. The entry alone gives it a
place in the results, an interval, and the tests of the laws that all metrics obey. A `form` only
makes the interval fast; without one the function is called once a replicate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from fraudml.errors import ConfigError, DataError, nearest
from fraudml.metrics import _groups, _slope, _terms, alerts, cards, money, probability, ranking
from fraudml.metrics._checks import (
    Float,
    at_least_one,
    in_open_range,
    in_range,
)
from fraudml.metrics._groups import FraudGroups, ratio
from fraudml.metrics.metric import Direction, Metric, Ranked, Sums, TopCards
from fraudml.metrics.rows import ScoredRows

__all__ = [
    "METRICS",
    "Direction",
    "Measured",
    "Metric",
    "Ranked",
    "ScoredRows",
    "Sums",
    "TopCards",
    "find_metric",
    "find_metrics",
    "measure",
]


@dataclass(frozen=True)
class Measured:
    """A value, or the reason that there is none, and the numbers to compare it with."""

    value: float | None
    reason: str | None = None
    reference_values: Mapping[str, float] = field(default_factory=dict)


def measure(rows: ScoredRows, metric: Metric | str) -> Measured:
    """Evaluate one metric; where it has no value, say why.

    Parameters
    ----------
    rows : ScoredRows
        At natural prevalence.
    metric : Metric or str
        An entry of `METRICS`, or a name that `find_metric` knows.

    Examples
    --------
    >>> rows = ScoredRows([0, 1, 0, 1], y_score=[0.1, 0.4, 0.5, 0.8])
    >>> measure(rows, "roc_auc").value
    0.75
    >>> measure(rows, "value_recall").reason
    'value_recall needs alert and amount, which is not known here.'
    """
    metric = find_metric(metric) if isinstance(metric, str) else metric
    try:
        value = metric.value(rows)
    except DataError as error:
        return Measured(None, str(error))
    references = {name: number(rows) for name, number in metric.reference_values.items()}
    return Measured(value, None, references)


def find_metric(name: str) -> Metric:
    """Return the metric of a name; the numbers in `precision_at_50` and its kin may be any.

    Raises
    ------
    ConfigError
        There is no such metric, with the nearest names; or its number is out of range.

    Examples
    --------
    >>> find_metric("recall_at_fpr_0.02").needs
    ('y_true', 'y_score')
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    found = re.fullmatch(r"(\w+?)_(\d+(?:\.\d+)?)", name)
    if found and found[1] in _FAMILIES:
        return _FAMILIES[found[1]](float(found[2]))
    if "accuracy" in name:
        raise ConfigError(
            f"{name!r} is no metric here: never alerting is over 99 % accurate. "
            "Use 'average_precision', or 'cost' where costs are known."
        )
    raise ConfigError(f"{name!r} is not a metric. {nearest(name, _BY_NAME)}")


def find_metrics(metrics: Iterable[Metric | str]) -> tuple[Metric, ...]:
    """Return the metrics of names, in order; metrics pass as they are."""
    return tuple(find_metric(each) if isinstance(each, str) else each for each in metrics)


def _prevalence(rows: ScoredRows) -> float:
    return float(np.mean(rows.y_true))


def _constant(value: float) -> Callable[[ScoredRows], float]:
    return lambda _: value


def _first_over_second(sums: Float) -> Float:
    return ratio(sums[..., 0], sums[..., 1])


def _only(sums: Float) -> Float:
    return sums[..., 0]


def _minus_only(sums: Float) -> Float:
    return -sums[..., 0]


def _ranked(
    name: str,
    function: Callable[..., float],
    statistic: Callable[[FraudGroups], Float],
    *,
    domain: tuple[float, float] = (0.0, 1.0),
    baseline: Callable[[ScoredRows], float] | None = None,
) -> Metric:
    references = {"baseline": baseline} if baseline else {}
    needs, form = ("y_true", "y_score"), Ranked(statistic)
    return Metric(name, function, needs, "higher", domain, form, reference_values=references)


def _recall_at_fpr(cap: float) -> Metric:
    cap = in_range("cap", cap, 0.0, 1.0)
    return _ranked(
        f"recall_at_fpr_{cap:g}",
        partial(ranking.recall_at_fpr, cap=cap),
        partial(_groups.recall_at_fpr, cap=cap),
        baseline=_constant(cap),
    )


def _recall_at_precision(floor: float) -> Metric:
    floor = in_range("floor", floor, 0.0, 1.0)
    return _ranked(
        f"recall_at_precision_{floor:g}",
        partial(ranking.recall_at_precision, floor=floor),
        partial(_groups.recall_at_precision, floor=floor),
    )


def _partial_auc(max_fpr: float) -> Metric:
    max_fpr = in_open_range("max_fpr", max_fpr, 1.0)
    return _ranked(
        f"partial_auc_{max_fpr:g}",
        partial(ranking.partial_auc, max_fpr=max_fpr),
        partial(_groups.standardised_area, max_fpr=max_fpr),
    )


def _precision_at(k: int) -> Metric:
    k = at_least_one("k", k)

    return _ranked(
        f"precision_at_{k}",
        partial(ranking.precision_at_k, k=k),
        partial(_groups.precision_at_k, k=k),
        baseline=_prevalence,
    )


def _f_beta(beta: float) -> Metric:
    beta = in_open_range("beta", beta, 100.0)
    return Metric(
        f"f_beta_{beta:g}",
        partial(alerts.f_beta, beta=beta),
        _LABEL_AND_ALERT,
        "higher",
        _SHARE,
        Sums(partial(_terms.f_beta_terms, beta=beta), _first_over_second),
    )


def _card_precision_at(k: int) -> Metric:
    k = at_least_one("k", k)

    def attainable(rows: ScoredRows) -> float:
        return cards.attainable_card_precision_at_k(rows.y_true, rows.day, rows.entity, k)

    return Metric(
        f"card_precision_at_{k}",
        partial(cards.card_precision_at_k, k=k),
        ("y_true", "y_score", "day", "entity"),
        "higher",
        (0.0, 1.0),
        TopCards(k),
        reference_values={"attainable": attainable},
    )


def _savings(**columns: Any) -> float:
    found = money.savings(**columns)
    if found.value is None:
        raise DataError(f"Savings have no value: {found.reason}.")
    return found.value


def _alerts_per_day(*, n_days: float, **columns: Any) -> float:
    if n_days < 1:
        raise DataError(
            f"The rows span {24 * n_days:.1f} hours: alerts per day need at least a day."
        )
    return alerts.alerts_per_day(**columns, n_days=n_days)


_ANY = (-np.inf, np.inf)
_SHARE = (0.0, 1.0)
_COUNT = (0.0, np.inf)
_LABEL_AND_P = ("y_true", "p_fraud")
_LABEL_AND_ALERT = ("y_true", "alert")
_MONEY = (*_LABEL_AND_ALERT, *_terms.COSTS)

METRICS: tuple[Metric, ...] = (
    _ranked(
        "average_precision",
        ranking.average_precision,
        _groups.average_precision,
        baseline=_prevalence,
    ),
    _ranked(
        "roc_auc",
        ranking.roc_auc,
        partial(_groups.standardised_area, max_fpr=1.0),
        baseline=_constant(0.5),
    ),
    _card_precision_at(100),
    _recall_at_fpr(0.01),
    _recall_at_fpr(0.05),
    _precision_at(100),
    _recall_at_precision(0.5),
    _partial_auc(0.05),
    _ranked(
        "precision_recall_gain_area",
        ranking.precision_recall_gain_area,
        _groups.gain_area,
        domain=(-np.inf, 1.0),
        baseline=_constant(0.0),
    ),
    Metric(
        "value_recall",
        money.value_recall,
        (*_LABEL_AND_ALERT, "amount"),
        "higher",
        _SHARE,
        Sums(
            _terms.value_terms,
            _first_over_second,
        ),
    ),
    Metric("cost", money.cost, _MONEY, "lower", _ANY, Sums(_terms.cost_terms, _only)),
    Metric(
        "savings",
        _savings,
        _MONEY,
        "higher",
        (-np.inf, np.inf),
        Sums(_terms.savings_terms, money.savings_of),
        reference_values={"baseline": _constant(0.0)},
    ),
    Metric("benefit", money.benefit, _MONEY, "higher", _ANY, Sums(_terms.cost_terms, _minus_only)),
    Metric(
        "brier",
        probability.brier,
        _LABEL_AND_P,
        "lower",
        _SHARE,
        Sums(
            lambda y_true, p_fraud: _terms.rows_and(probability.squared_error(y_true, p_fraud)),
            _first_over_second,
        ),
    ),
    Metric(
        "log_loss",
        probability.log_loss,
        _LABEL_AND_P,
        "lower",
        _COUNT,
        Sums(
            lambda y_true, p_fraud: _terms.rows_and(probability.surprise(y_true, p_fraud)),
            _first_over_second,
        ),
    ),
    Metric(
        "calibration_in_the_large",
        probability.calibration_in_the_large,
        _LABEL_AND_P,
        "none",
        _COUNT,
        Sums(lambda y_true, p_fraud: (p_fraud, y_true.astype(float)), _first_over_second),
    ),
    Metric(
        "calibration_slope",
        probability.calibration_slope,
        _LABEL_AND_P,
        "none",
        _ANY,
        Sums(_slope.slope_terms, _slope.slope_of, exact=False),
    ),
    Metric(
        "accuracy_of_never",
        alerts.accuracy_of_never,
        ("y_true",),
        "none",
        _SHARE,
        Sums(lambda y_true: _terms.rows_and(~y_true), _first_over_second),
    ),
    Metric(
        "precision",
        alerts.precision,
        _LABEL_AND_ALERT,
        "higher",
        _SHARE,
        Sums(_terms.decision_terms("caught", "alerts"), _first_over_second),
    ),
    Metric(
        "recall",
        alerts.recall,
        _LABEL_AND_ALERT,
        "higher",
        _SHARE,
        Sums(_terms.decision_terms("caught", "frauds"), _first_over_second),
    ),
    Metric(
        "false_positive_rate",
        alerts.false_positive_rate,
        _LABEL_AND_ALERT,
        "lower",
        _SHARE,
        Sums(_terms.decision_terms("false", "legitimate"), _first_over_second),
    ),
    Metric(
        "false_positive_ratio",
        alerts.false_positive_ratio,
        _LABEL_AND_ALERT,
        "lower",
        _COUNT,
        Sums(_terms.decision_terms("false", "caught"), _first_over_second),
    ),
    Metric(
        "alert_rate",
        alerts.alert_rate,
        ("alert",),
        "none",
        _SHARE,
        Sums(_terms.alert_terms, _first_over_second),
    ),
    Metric(
        "alerts_per_day",
        _alerts_per_day,
        ("alert", "day"),
        "none",
        _COUNT,
        Sums(_terms.alerts_per_day_terms, _only),
        uses=("entity", "n_days"),
    ),
)
"""Every metric with a name of its own; `find_metric` knows more numbers of some."""

_BY_NAME = {metric.name: metric for metric in METRICS}
_FAMILIES: dict[str, Callable[[Any], Metric]] = {
    "recall_at_fpr": _recall_at_fpr,
    "recall_at_precision": _recall_at_precision,
    "partial_auc": _partial_auc,
    "precision_at": _precision_at,
    "card_precision_at": _card_precision_at,
    "f_beta": _f_beta,
}
