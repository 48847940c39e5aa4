"""Every metric of fraudml, one entry each: its function, what it needs, and where it is listed.

A `form` makes the interval fast; without one the function is called once a replicate. The order is
that of all results, but where an entry says `after`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fraudml.errors import DataError
from fraudml.metrics import _groups, _slope, _terms, alerts, cards, money, probability, ranking
from fraudml.metrics._checks import Float, at_least_one, in_open_range, in_range
from fraudml.metrics._groups import FraudGroups
from fraudml.metrics.metric import EVERYWHERE, Direction, Metric, Ranked, Sums, TopCards
from fraudml.metrics.rows import ScoredRows


def _prevalence(rows: ScoredRows) -> float:
    return float(np.mean(rows.y_true))


def _constant(value: float) -> dict[str, Callable[[ScoredRows], float]]:
    return {"baseline": lambda _: value}


def _ranked(
    name: str,
    function: Callable[..., float],
    statistic: Callable[[FraudGroups], Float],
    **more: Any,
) -> Metric:
    needs, form = ("y_true", "y_score"), Ranked(statistic)
    return Metric(name, function, needs, "higher", form=form, **({"domain": _SHARE} | more))


def _recall_at_fpr(cap: float, **more: Any) -> Metric:
    cap = in_range("cap", cap, 0.0, 1.0)
    return _ranked(
        f"recall_at_fpr_{cap:g}",
        partial(ranking.recall_at_fpr, cap=cap),
        partial(_groups.recall_at_fpr, cap=cap),
        reference_values=_constant(cap),
        **more,
    )


def _recall_at_precision(floor: float, **more: Any) -> Metric:
    floor = in_range("floor", floor, 0.0, 1.0)
    return _ranked(
        f"recall_at_precision_{floor:g}",
        partial(ranking.recall_at_precision, floor=floor),
        partial(_groups.recall_at_precision, floor=floor),
        **more,
    )


def _partial_auc(max_fpr: float, **more: Any) -> Metric:
    max_fpr = in_open_range("max_fpr", max_fpr, 1.0)
    return _ranked(
        f"partial_auc_{max_fpr:g}",
        partial(ranking.partial_auc, max_fpr=max_fpr),
        partial(_groups.standardised_area, max_fpr=max_fpr),
        **more,
    )


def _precision_at(k: int, **more: Any) -> Metric:
    k = at_least_one("k", k)
    return _ranked(
        f"precision_at_{k}",
        partial(ranking.precision_at_k, k=k),
        partial(_groups.precision_at_k, k=k),
        reference_values={"baseline": _prevalence},
        **more,
    )


def _card_precision_at(k: int, **more: Any) -> Metric:
    k = at_least_one("k", k)

    def attainable(rows: ScoredRows) -> float:
        return cards.attainable_card_precision_at_k(rows.y_true, rows.day, rows.entity, k)

    return Metric(
        f"card_precision_at_{k}",
        partial(cards.card_precision_at_k, k=k),
        ("y_true", "y_score", "day", "entity"),
        "higher",
        _SHARE,
        TopCards(k),
        reference_values={"attainable": attainable},
        **more,
    )


def _f_beta(beta: float, **more: Any) -> Metric:
    beta = in_open_range("beta", beta, 100.0)
    terms = partial(_terms.f_beta_terms, beta=beta)
    function = partial(alerts.f_beta, beta=beta)
    return Metric(
        f"f_beta_{beta:g}", function, _DECIDED, "higher", _SHARE, Sums.share(terms), **more
    )


def _decided(name: str, direction: Direction, part: str, whole: str, **more: Any) -> Metric:
    """A share of two counts of a confusion."""
    form = Sums.share(_terms.decision_terms(part, whole))
    domain = more.pop("domain", _SHARE)
    return Metric(name, getattr(alerts, name), _DECIDED, direction, domain, form, **more)


def _loss(name: str, loss: Callable[..., Float], **more: Any) -> Metric:
    """The mean over the rows of a loss of their probability."""
    form = Sums.share(lambda y_true, p_fraud: _terms.rows_and(loss(y_true, p_fraud)))
    return Metric(name, getattr(probability, name), _LABEL_AND_P, "lower", form=form, **more)


def _savings(**columns: Any) -> float:
    savings = money.savings(**columns)
    if savings.value is None:
        raise DataError(f"Savings have no value: {savings.reason}.")
    return savings.value


def _alerts_per_day(*, n_days: float, **columns: Any) -> float:
    if n_days < 1:
        raise DataError(
            f"The rows span {24 * n_days:.1f} hours: alerts per day need at least a day."
        )
    return alerts.alerts_per_day(**columns, n_days=n_days)


def _total(sums: Float) -> Float:
    return sums[..., 0]


_ANY = (-np.inf, np.inf)
_SHARE = (0.0, 1.0)
_COUNT = (0.0, np.inf)
_LABEL_AND_P = ("y_true", "p_fraud")
_DECIDED = ("y_true", "alert")
_MONEY = (*_DECIDED, *_terms.COSTS)
_ALERTS = ("policy", *EVERYWHERE[1:])

METRICS: tuple[Metric, ...] = (
    _ranked(
        "average_precision",
        ranking.average_precision,
        _groups.average_precision,
        reference_values={"baseline": _prevalence},
        groups=(*EVERYWHERE, "headline", "ablation", "study", "baselines", "objective"),
    ),
    _ranked(
        "roc_auc",
        ranking.roc_auc,
        partial(_groups.standardised_area, max_fpr=1.0),
        reference_values=_constant(0.5),
        groups=("test", "backtest", "show", "compare", "ablation", "study"),
    ),
    _card_precision_at(
        100,
        groups=(
            *("test", "backtest", "folds", "show", "compare"),
            *("ablation", "study", "objective"),
        ),
        after={"compare": "precision_at_100", "folds": "savings"},
    ),
    _recall_at_fpr(
        0.01,
        groups=("test", "backtest", "compare", "ablation", "study", "baselines", "objective"),
    ),
    _recall_at_fpr(0.05, groups=("test", "objective")),
    _precision_at(100, groups=("test", "show", "compare", "objective")),
    _recall_at_precision(0.5, groups=()),
    _partial_auc(0.05, groups=()),
    _ranked(
        "precision_recall_gain_area",
        ranking.precision_recall_gain_area,
        _groups.gain_area,
        domain=(-np.inf, 1.0),
        reference_values=_constant(0.0),
        groups=(),
    ),
    _decided("precision", "higher", "caught", "alerts", groups=_ALERTS),
    _decided("recall", "higher", "caught", "frauds", groups=_ALERTS),
    Metric(
        "alert_rate",
        alerts.alert_rate,
        ("alert",),
        "none",
        _SHARE,
        Sums.share(_terms.alert_terms),
        groups=("policy",),
    ),
    Metric(
        "alerts_per_day",
        _alerts_per_day,
        ("alert", "day"),
        "none",
        _COUNT,
        Sums(_terms.alerts_per_day_terms, _total),
        uses=("entity", "n_days"),
        groups=_ALERTS,
        after={"terminal": "average_precision"},
    ),
    _decided(
        "false_positive_rate",
        "lower",
        "false",
        "legitimate",
        groups=("policy", "show"),
        after={"show": "recall"},
    ),
    _decided("false_positive_ratio", "lower", "false", "caught", domain=_COUNT, groups=("policy",)),
    Metric(
        "value_recall",
        money.value_recall,
        (*_DECIDED, "amount"),
        "higher",
        _SHARE,
        Sums.share(money.value_terms),
        groups=(*EVERYWHERE, "headline", "ablation", "objective"),
        after={"compare": "recall"},
    ),
    Metric(
        "cost",
        money.cost,
        _MONEY,
        "lower",
        _ANY,
        Sums(_terms.cost_terms, _total),
        groups=("test", "show", "compare", "headline"),
    ),
    Metric(
        "savings",
        _savings,
        _MONEY,
        "higher",
        _ANY,
        Sums(_terms.savings_terms, money.savings_of),
        reference_values=_constant(0.0),
        groups=(*EVERYWHERE, "ablation", "objective"),
        after={"objective": "average_precision"},
    ),
    Metric(
        "benefit",
        money.benefit,
        _MONEY,
        "higher",
        _ANY,
        Sums(_terms.cost_terms, lambda sums: -_total(sums)),
        groups=("test",),
    ),
    _loss(
        "brier",
        probability.squared_error,
        domain=_SHARE,
        groups=("test", "show", "compare", "objective"),
    ),
    _loss(
        "log_loss",
        probability.surprise,
        domain=_COUNT,
        groups=("test", "compare", "ablation", "objective"),
        after={"compare": "savings", "objective": "value_recall"},
    ),
    Metric(
        "calibration_in_the_large",
        probability.calibration_in_the_large,
        _LABEL_AND_P,
        "none",
        _COUNT,
        Sums.share(lambda y_true, p_fraud: (p_fraud, y_true.astype(float))),
        groups=("test", "backtest", "folds", "show", "compare"),
    ),
    Metric(
        "calibration_slope",
        probability.calibration_slope,
        _LABEL_AND_P,
        "none",
        _ANY,
        Sums(_slope.slope_terms, _slope.slope_of, exact=False),
        groups=("test",),
    ),
    Metric(
        "accuracy_of_never",
        alerts.accuracy_of_never,
        ("y_true",),
        "none",
        _SHARE,
        Sums.share(lambda y_true: _terms.rows_and(~y_true)),
        groups=("test", "show"),
    ),
)
"""Every metric with a fixed name; `registry.find_metric` takes other numbers in some."""

FAMILIES: dict[str, Callable[[Any], Metric]] = {
    "recall_at_fpr": _recall_at_fpr,
    "recall_at_precision": _recall_at_precision,
    "partial_auc": _partial_auc,
    "precision_at": _precision_at,
    "card_precision_at": _card_precision_at,
    "f_beta": _f_beta,
}
"""Metrics that end in a number of one's own: `recall_at_fpr_0.02`."""
