"""The columns whose totals make a metric: for each row what it adds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fraudml.metrics import alerts, money
from fraudml.metrics._checks import Codes, Flags, Float

COSTS = ("tp_cost", "fp_cost", "fn_cost", "tn_cost")


def decision_terms(part: str, whole: str) -> Callable[..., tuple[Float, ...]]:
    """Return a function of labels and alerts that picks two of the counts of a confusion."""

    def terms(y_true: Flags, alert: Flags) -> tuple[Float, ...]:
        counts: dict[str, Flags] = {
            "caught": y_true & alert,
            "false": alert & ~y_true,
            "alerts": alert,
            "frauds": y_true,
            "legitimate": ~y_true,
        }
        return counts[part].astype(float), counts[whole].astype(float)

    return terms


def rows_and(column: Float | Flags) -> tuple[Float, ...]:
    """Return a column and ones, for its mean."""
    return np.asarray(column, dtype=np.float64), np.ones(len(column))


def alert_terms(alert: Flags) -> tuple[Float, ...]:
    """Return the alerts and ones, for their share."""
    return rows_and(alert)


def alerts_per_day_terms(
    alert: Flags, day: Codes, entity: Codes | None, n_days: float
) -> tuple[Float, ...]:
    """Return what each row adds to the alerts of a day."""
    term = np.zeros(len(alert))
    term[alerts.case_rows(alert, day, entity)] = 1 / n_days
    return (term,)


def cost_terms(y_true: Flags, alert: Flags, **costs: Float) -> tuple[Float, ...]:
    """Return the cost of each row."""
    return (money.row_costs(y_true, alert, [costs[name] for name in COSTS]),)


def savings_terms(y_true: Flags, alert: Flags, **costs: Float) -> tuple[Float, ...]:
    """Return the cost of each row under its alert, under never, and under always."""
    return money.savings_terms(y_true, alert, [costs[name] for name in COSTS])


def f_beta_terms(y_true: Flags, alert: Flags, *, beta: float) -> tuple[Float, ...]:
    """Return what F_β divides, and by what."""
    square = beta**2
    caught = (y_true & alert).astype(np.float64)
    return (1 + square) * caught, square * y_true.astype(np.float64) + alert
