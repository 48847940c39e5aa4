"""Policies that promise something, and keep it with confidence.

Each looks at thresholds from the safest on, in an order that no label decides, asks at each for a
bound on the tuning rows, and keeps the last one before a failure. Rows of one entity are not
independent: where the role is filled they are counted together. What no bound can promise is that
tomorrow is like the tuning rows.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
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
    floor of .5, or as many more as are worth eight where one entity has several. A fifth of the
    error that may be made is kept for a second start at three times as many, for where the first
    few alerts are unlucky. Costs a pass over the alerts a look, in all about eleven passes over the
    rows.

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

        def judge(threshold: float, level: float) -> _Found:
            alerts = _at_least(p_fraud, threshold)
            return _share(fraud[:alerts], _first(entity, alerts), level, "lower")

        sizes, error = self._sizes(p_fraud, entity), 1 - self.confidence
        looks = dict.fromkeys(p_fraud[sizes - 1].tolist(), 0.0)
        again = np.searchsorted(sizes, _AGAIN * sizes[:1])
        for start, share in zip((*sizes[:1], *sizes[again]), _SHARES, strict=False):
            looks[float(p_fraud[start - 1])] += share * error
        return _walk(self, "precision", self.floor, looks, judge, rows=rows, otherwise=NEVER)

    def _sizes(self, p_fraud: Floats, entity: Codes | None) -> NDArray[np.int64]:
        """How many alerts are looked at: from where the bound could hold."""
        first, level = 2, 1 - _SHARES[0] * (1 - self.confidence)
        while share_bound(first - 1, first, level=level, side="lower") < self.floor:
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
        Share of the frauds that shall be alerted, above 0 and below 1. Few frauds prove little:
        with 28 not even all of them make .9 sure at 95 % confidence.
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

        def judge(threshold: float, level: float) -> _Found:
            return _share(score >= threshold, entity, level, "lower")

        rising, frauds = np.sort(score[score >= 0]), len(score)
        sizes = look_sizes(1, len(rising))
        half = (1 + self.floor) / 2
        # Thresholds that independent rows would pass by half of what may be missed.
        easy = [
            share_bound(frauds - int(size) + 1, frauds, level=self.confidence, side="lower") >= half
            for size in sizes
        ]
        looks = _starts(rising[sizes - 1], sum(easy), self.confidence, entity)
        return _walk(self, "recall", self.floor, looks, judge, rows=rows, otherwise=NEVER)


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

        def judge(threshold: float, level: float) -> _Found:
            return _share(score >= threshold, entity, level, "upper")

        falling, legitimate = _falling(score[score >= 0]), len(score)
        alerts = (int(np.count_nonzero(score >= threshold)) for threshold in falling)
        # Thresholds that independent rows would pass with half of the cap.
        easy = [
            share_bound(count, legitimate, level=self.confidence, side="upper") <= self.cap / 2
            for count in alerts
        ]
        looks = _starts(falling, sum(easy), self.confidence, entity)
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

        def judge(threshold: float, level: float) -> _Found:
            by_day = np.bincount(day[score >= threshold], minlength=len(seen))
            bound = rate_bound(by_day, days=days, level=level)
            return _Found(float(by_day.sum()) / days, bound)

        looks = _starts(_falling(score), 0, self.confidence, None)
        budget = self.alerts_per_day
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


_AGAIN = 3
"""The second start of a precision floor is at so many times the alerts of the first."""

_SHARES = (0.8, 0.2)
"""How the error that may be made is shared between two starts."""

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
    looks: Mapping[float, float],
    judge: Callable[[float, float], _Found],
    *,
    rows: TuningRows,
    otherwise: float,
) -> TunedPolicy:
    """Keep the riskiest threshold that holds; where none does, the one whose bound is closest.

    Each look may err by what was set aside for it, and by what the look before it handed on because
    it held (Wiens and Dmitrienko 2005, The fallback procedure).
    """
    sense: Literal["at least", "at most"] = (
        "at least" if metric in ("precision", "recall") else "at most"
    )
    sign = 1 if sense == "at least" else -1
    riskier = operator.gt if metric == "recall" else operator.lt
    kept: tuple[float, _Found] | None = None
    handed_on = 0.0
    for threshold, set_aside in looks.items():
        error = handed_on + set_aside
        if not error:
            continue
        found = judge(threshold, 1 - error)
        holds = sign * found.bound >= sign * limit
        if holds and (kept is None or riskier(threshold, kept[0])):
            kept = threshold, found
        handed_on = error if holds else 0.0
    met = kept is not None
    if kept is None and looks:
        every = [(one, judge(one, promise.confidence)) for one in looks]
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


def _starts(
    thresholds: Floats, middle: int, confidence: float, entity: Codes | None
) -> Mapping[float, float]:
    """Start from the safest threshold; among entities from a middle one, and then from the safest.

    The safest thresholds have hits, or misses, of so few entities that nobody can tell how alike
    the rows of one are: a bound there may fail where the bounds after it hold.
    """
    if entity is None or middle < 1:
        looks = dict.fromkeys(thresholds.tolist(), 0.0)
        return looks | dict.fromkeys(list(looks)[:1], 1 - confidence)
    middle = min(middle, len(thresholds) - 1)
    looks = dict.fromkeys(np.roll(thresholds, -middle).tolist(), 0.0)
    starts = (float(thresholds[middle]), float(thresholds[0]))
    for start, share in zip(starts, _SHARES, strict=True):
        looks[start] += share * (1 - confidence)
    return looks


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
