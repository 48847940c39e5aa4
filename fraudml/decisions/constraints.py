"""Policies that promise something, and keep it with confidence.

Each looks at thresholds from the safest on, in an order that no label decides, asks at each for a
bound on the tuning rows, and keeps the last one before the first failure. Rows of one entity are
not independent: where the role is filled they are counted together. What no bound can promise is
that tomorrow is like the tuning rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from fraudml.decisions.confidence import (
    Side,
    clustered_share_bound,
    look_sizes,
    rate_bound,
    rows_if_alike,
    share_bound,
)
from fraudml.decisions.policies import (
    NEVER,
    Codes,
    Constraint,
    Floats,
    TunedPolicy,
    TuningRows,
    Unmet,
    check_value_floor,
)
from fraudml.errors import ConfigError, DataError

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class PrecisionFloor:
    """The lowest threshold whose precision is at least a floor, with confidence.

    The first look is the smallest at which the bound holds with one false alert: eight alerts for a
    floor of .5, or as many more as are worth eight where one entity has several. Costs a pass over
    the alerts a look, in all about eleven passes over the rows.

    Parameters
    ----------
    floor : float
        Share of the alerts that shall be fraud, above 0 and below 1.
    confidence : float
        One-sided.
    unmet : {'refuse', 'closest'}
        Where no threshold keeps it: refuse the model (exit 4), or take the threshold whose bound is
        highest and say so.
    value_floor : float
        Rows of a lower amount are never alerted.
    """

    floor: float = 0.5
    confidence: float = 0.95
    unmet: Unmet = "refuse"
    value_floor: float = 0.0

    uses_costs = False

    def __post_init__(self) -> None:
        _check(self, "floor", self.floor)

    def tune(self, rows: TuningRows) -> TunedPolicy:
        """Take more and more alerts for as long as the lower bound keeps the floor."""
        ranked = rows.take(_ranked(rows, self.value_floor))
        p_fraud, fraud, entity = ranked.p_fraud, ranked.y_true == 1, ranked.entity

        def judge(threshold: float) -> _Found:
            alerts = _at_least(p_fraud, threshold)
            return _share(fraud[:alerts], _first(entity, alerts), self.confidence, "lower")

        looks = p_fraud[self._sizes(p_fraud, entity) - 1]
        return _walk(self, "precision", self.floor, looks, judge, rows=rows, otherwise=NEVER)

    def _sizes(self, p_fraud: Floats, entity: Codes | None) -> NDArray[np.int64]:
        """How many alerts are looked at: from where the bound could hold."""
        first = 2
        while share_bound(first - 1, first, level=self.confidence, side="lower") < self.floor:
            first += 1
        sizes = look_sizes(first, len(p_fraud))
        if entity is None:
            return sizes
        worth = (rows_if_alike(np.bincount(entity[:size])) for size in sizes)
        skipped = next((at for at, one in enumerate(worth) if one >= first), len(sizes))
        return sizes[skipped:]


@dataclass(frozen=True)
class RecallFloor:
    """The highest threshold whose recall is at least a floor, with confidence.

    Parameters
    ----------
    floor : float
        Share of the frauds that shall be alerted, above 0 and below 1. With few frauds even all of
        them are too few to be sure: of 28 none may be missed for .9 with 95 % confidence.
    confidence, unmet, value_floor
        As for `PrecisionFloor`. Frauds below the value floor count as missed.
    """

    floor: float = 0.8
    confidence: float = 0.95
    unmet: Unmet = "refuse"
    value_floor: float = 0.0

    uses_costs = False

    def __post_init__(self) -> None:
        _check(self, "floor", self.floor)

    def tune(self, rows: TuningRows) -> TunedPolicy:
        """Miss more and more frauds for as long as the lower bound keeps the floor."""
        score, entity = _of_class(rows, 1, self.value_floor)

        def judge(threshold: float) -> _Found:
            return _share(score >= threshold, entity, self.confidence, "lower")

        rising = np.sort(score[score >= 0])
        looks = rising[look_sizes(1, len(rising)) - 1]
        return _walk(self, "recall", self.floor, looks, judge, rows=rows, otherwise=0.0)


@dataclass(frozen=True)
class FprCap:
    """The lowest threshold whose false-positive rate is at most a cap, with confidence.

    Parameters
    ----------
    cap : float
        Share of the legitimate rows that may be alerted, above 0 and below 1. At one fraud in a
        thousand, .01 means ten false alerts a fraud.
    confidence, unmet, value_floor
        As for `PrecisionFloor`.
    """

    cap: float = 0.01
    confidence: float = 0.95
    unmet: Unmet = "refuse"
    value_floor: float = 0.0

    uses_costs = False

    def __post_init__(self) -> None:
        _check(self, "cap", self.cap)

    def tune(self, rows: TuningRows) -> TunedPolicy:
        """Allow more and more false alerts for as long as the upper bound keeps the cap."""
        score, entity = _of_class(rows, 0, self.value_floor)

        def judge(threshold: float) -> _Found:
            return _share(score >= threshold, entity, self.confidence, "upper")

        looks = _falling(score[score >= 0])
        return _walk(self, "false_positive_rate", self.cap, looks, judge, rows=rows, otherwise=0.0)


@dataclass(frozen=True)
class AlertBudget:
    """The lowest threshold whose alerts a day are within a budget, with confidence.

    Counted are the entities that are alerted on a day, in the mean over the days: an entity with
    several alerts on a day is one case. Without entities every row is one. A threshold cannot hold
    every single day; the best of a whole day is `fraudml.decisions.top_k`.

    Parameters
    ----------
    alerts_per_day : float
        Above 0.
    confidence, unmet, value_floor
        As for `PrecisionFloor`.
    """

    alerts_per_day: float = 100.0
    confidence: float = 0.95
    unmet: Unmet = "refuse"
    value_floor: float = 0.0

    uses_costs = False

    def __post_init__(self) -> None:
        if not 0 < self.alerts_per_day < inf:
            raise ConfigError(
                f"policy.alerts_per_day is {self.alerts_per_day}. It is above 0, and finite: a "
                "team that reviews nothing needs no model."
            )
        _check(self, "confidence", self.confidence)

    def tune(self, rows: TuningRows) -> TunedPolicy:
        """Take more and more cases for as long as the upper bound keeps the budget.

        Raises
        ------
        DataError
            The rows have no time, or span less than a day.
        """
        if rows.day is None or rows.days is None:
            raise DataError(
                "policy=alert_budget counts alerts a day, and no column has the role of the time. "
                "Set data.columns.time, or take policy=fpr_cap."
            )
        if rows.days < 1:
            raise DataError(
                f"The out-of-fold rows span {rows.days * 24:.1f} hours, and a budget of alerts a "
                "day is tuned on at least one day. Bring more rows, or take policy=fpr_cap."
            )
        seen, day = np.unique(rows.day, return_inverse=True)
        score, day = _cases(rows, day, self.value_floor)
        days = rows.days

        def judge(threshold: float) -> _Found:
            by_day = np.bincount(day[score >= threshold], minlength=len(seen))
            bound = rate_bound(by_day, days=days, level=self.confidence)
            return _Found(float(by_day.sum()) / days, bound)

        looks, budget = _falling(score), self.alerts_per_day
        return _walk(self, "alerts_per_day", budget, looks, judge, rows=rows, otherwise=NEVER)


@dataclass(frozen=True)
class _Found:
    """A value on the tuning rows, and its bound."""

    value: float
    bound: float


class _Promise(Protocol):
    @property
    def confidence(self) -> float: ...

    @property
    def unmet(self) -> Unmet: ...

    @property
    def value_floor(self) -> float: ...


_KINDS = {
    "precision": "precision_floor",
    "recall": "recall_floor",
    "false_positive_rate": "fpr_cap",
    "alerts_per_day": "alert_budget",
}


def _walk(
    promise: _Promise,
    metric: str,
    limit: float,
    looks: Floats,
    judge: Callable[[float], _Found],
    *,
    rows: TuningRows,
    otherwise: float,
) -> TunedPolicy:
    """Keep the last threshold before the first that fails; the closest where the first one does."""
    sense: Literal["at least", "at most"] = (
        "at least" if metric in ("precision", "recall") else "at most"
    )
    sign = 1 if sense == "at least" else -1
    kept: tuple[float, _Found] | None = None
    thresholds = list(dict.fromkeys(looks.tolist()))
    for threshold in thresholds:
        found = judge(threshold)
        if sign * found.bound < sign * limit:
            break
        kept = threshold, found
    met = kept is not None
    if kept is None and thresholds:
        every = [(one, judge(one)) for one in thresholds]
        kept = max(every, key=lambda one: sign * one[1].bound)
    threshold = min(kept[0], NEVER) if kept else otherwise
    alerts = (rows.p_fraud >= threshold) & rows.reviewable(promise.value_floor)
    constraint = Constraint(
        metric=metric,
        sense=sense,
        limit=limit,
        confidence=promise.confidence,
        met=met,
        bound=kept[1].bound if kept else None,
        value=kept[1].value if kept else None,
        alerts=int(alerts.sum()),
        drawn=_drawn(metric, rows),
        unmet=promise.unmet,
    )
    return TunedPolicy(_KINDS[metric], threshold, constraint, promise.value_floor)


def _drawn(metric: str, rows: TuningRows) -> str:
    if metric == "alerts_per_day":
        return "day"
    return "row" if rows.entity is None else "entity"


def _share(hit: Flags, entity: Codes | None, level: float, side: Side) -> _Found:
    share = float(hit.mean()) if len(hit) else 0.0
    if entity is None:
        return _Found(share, share_bound(int(hit.sum()), len(hit), level=level, side=side))
    of_entity = np.bincount(entity)
    hits = np.bincount(entity[hit], minlength=len(of_entity))
    return _Found(share, clustered_share_bound(hits, of_entity, level=level, side=side))


def _ranked(rows: TuningRows, value_floor: float) -> NDArray[np.int64]:
    """Positions of the rows that may be alerted, the most suspicious first."""
    here = np.flatnonzero(rows.reviewable(value_floor))
    return here[np.argsort(-rows.p_fraud[here], kind="stable")]


def _at_least(falling: Floats, threshold: float) -> int:
    return int(np.searchsorted(-falling, -threshold, side="right"))


def _first(codes: Codes | None, count: int) -> Codes | None:
    return None if codes is None else codes[:count]


def _of_class(rows: TuningRows, label: int, value_floor: float) -> tuple[Floats, Codes | None]:
    """Probabilities of one class, -1 where no alert may be, and its entities."""
    of_class = rows.y_true == label
    score = np.where(rows.reviewable(value_floor), rows.p_fraud, -1.0)[of_class]
    return score, None if rows.entity is None else rows.entity[of_class]


def _falling(score: Floats) -> Floats:
    """Thresholds from above the highest score on, each with about a tenth more scores."""
    falling = -np.sort(-score)
    if not len(falling):
        return np.array([NEVER])
    looks = falling[look_sizes(1, len(falling)) - 1]
    return np.concatenate([[np.nextafter(falling[0], inf)], looks])


def _cases(rows: TuningRows, day: Codes, value_floor: float) -> tuple[Floats, Codes]:
    """The highest probability of each entity on each day, and the day."""
    here = _ranked(rows, value_floor)
    if rows.entity is None:
        return rows.p_fraud[here], day[here]
    pair = day[here] * (int(rows.entity.max()) + 1) + rows.entity[here]
    first = np.unique(pair, return_index=True)[1]
    return rows.p_fraud[here][first], day[here][first]


def _check(promise: _Promise, name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ConfigError(f"policy.{name} is {value}. It lies between 0 and 1, neither included.")
    if not 0.5 <= promise.confidence < 1:
        raise ConfigError(f"policy.confidence is {promise.confidence}. It lies in [0.5, 1).")
    if promise.unmet not in get_args(Unmet):
        raise ConfigError(
            f"policy.unmet is '{promise.unmet}'. Choose one of {', '.join(get_args(Unmet))}."
        )
    check_value_floor(promise.value_floor)
