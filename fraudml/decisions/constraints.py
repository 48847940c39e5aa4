"""Policies with a constraint, which they meet with confidence.

Each tests thresholds from the safest on, in an order that no label decides, computes a bound on the
tuning rows at each, and selects the last one before a failure. Rows of one entity are not
independent: where the role is filled they are counted together. No bound covers that future rows
may differ from the tuning rows.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Protocol, get_args

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

    The first test is the smallest at which the bound holds with one false alert: eight alerts for a
    floor of .5, or as many more as are worth eight where one entity has several. A fifth of the
    allowed error is reserved for a second start at three times as many, in case the first few
    alerts are unlucky. Costs a pass over the alerts a test, in all about eleven passes over the
    rows.

    Parameters
    ----------
    floor : float
        Share of the alerts that must be fraud, above 0 and below 1.
    confidence : float
        One-sided.
    unmet : {'refuse', 'closest'}
        Where no threshold meets it: refuse the model (exit 4), or take the threshold whose bound is
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
        """Take more and more alerts for as long as the lower bound meets the floor."""
        ranked = rows.take(_ranked(rows, self.value_floor))
        p_fraud, fraud, entity = ranked.p_fraud, ranked.y_true == 1, ranked.entity

        def test(threshold: float, level: float) -> _Result:
            alerts = int(np.searchsorted(-p_fraud, -threshold, side="right"))
            codes = None if entity is None else entity[:alerts]
            return _share(fraud[:alerts], codes, level, "lower")

        sizes, error = self._sizes(p_fraud, entity), 1 - self.confidence
        tests = dict.fromkeys(p_fraud[sizes - 1].tolist(), 0.0)
        second = np.searchsorted(sizes, _SECOND_START * sizes[:1])
        for start, share in zip((*sizes[:1], *sizes[second]), _ERROR_SHARES, strict=False):
            tests[float(p_fraud[start - 1])] += share * error
        return _walk(self, "precision", self.floor, tests, test, rows=rows, otherwise=NEVER)

    def _sizes(self, p_fraud: Floats, entity: Codes | None) -> NDArray[np.int64]:
        """Numbers of alerts to test: from where the bound could hold."""
        first, level = 2, 1 - _ERROR_SHARES[0] * (1 - self.confidence)
        while share_bound(first - 1, first, level=level, side="lower") < self.floor:
            first += 1
        sizes = look_sizes(first, len(p_fraud))
        if entity is None:
            return sizes
        worth = (rows_if_alike(np.bincount(entity[:size])) for size in sizes)
        skipped = next((i for i, count in enumerate(worth) if count >= first), len(sizes))
        return sizes[skipped:]


@dataclass(frozen=True)
class RecallFloor:
    """The highest threshold whose recall is at least a floor, with confidence.

    Parameters
    ----------
    floor : float
        Share of the frauds that must be alerted, above 0 and below 1. Few frauds prove little: with
        28, not even alerting all of them shows .9 at 95 % confidence.
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
        """Miss more and more frauds for as long as the lower bound meets the floor."""
        score, entity = _of_class(rows, 1, self.value_floor)

        def test(threshold: float, level: float) -> _Result:
            return _share(score >= threshold, entity, level, "lower")

        rising, frauds = np.sort(score[score >= 0]), len(score)
        sizes = look_sizes(1, len(rising))
        half = (1 + self.floor) / 2
        # Thresholds that independent rows would pass by half of what may be missed.
        easy = [
            share_bound(frauds - int(size) + 1, frauds, level=self.confidence, side="lower") >= half
            for size in sizes
        ]
        tests = _starts(rising[sizes - 1], sum(easy), self.confidence, entity)
        return _walk(self, "recall", self.floor, tests, test, rows=rows, otherwise=NEVER)


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
        """Allow more and more false alerts for as long as the upper bound meets the cap."""
        score, entity = _of_class(rows, 0, self.value_floor)

        def test(threshold: float, level: float) -> _Result:
            return _share(score >= threshold, entity, level, "upper")

        falling, legitimate = _falling(score[score >= 0]), len(score)
        alerts = (int(np.count_nonzero(score >= threshold)) for threshold in falling)
        # Thresholds that independent rows would pass with half of the cap.
        easy = [
            share_bound(count, legitimate, level=self.confidence, side="upper") <= self.cap / 2
            for count in alerts
        ]
        tests = _starts(falling, sum(easy), self.confidence, entity)
        return _walk(self, "false_positive_rate", self.cap, tests, test, rows=rows, otherwise=0.0)


@dataclass(frozen=True)
class AlertBudget:
    """The lowest threshold whose alerts a day are within a budget, with confidence.

    Counted are the entities that are alerted on a day, in the mean over the days: an entity with
    several alerts on a day is one case. Without entities every row is one. A threshold cannot hold
    on every single day; `fraudml.decisions.top_k` picks the best of a whole day.

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
        """Take more and more cases for as long as the upper bound meets the budget."""
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
        distinct, day = np.unique(rows.day, return_inverse=True)
        score, day = _cases(rows, day, self.value_floor)
        days = rows.days

        def test(threshold: float, level: float) -> _Result:
            by_day = np.bincount(day[score >= threshold], minlength=len(distinct))
            bound = rate_bound(by_day, days=days, level=level)
            return _Result(float(by_day.sum()) / days, bound)

        tests = _starts(_falling(score), 0, self.confidence, None)
        budget = self.alerts_per_day
        return _walk(self, "alerts_per_day", budget, tests, test, rows=rows, otherwise=NEVER)


@dataclass(frozen=True)
class _Result:
    """A value on the tuning rows, and its bound."""

    value: float
    bound: float


class _Policy(Protocol):
    @property
    def confidence(self) -> float: ...

    @property
    def unmet(self) -> Unmet: ...

    @property
    def value_floor(self) -> float: ...


_SECOND_START = 3
"""The second start of a precision floor is at so many times the alerts of the first."""

_ERROR_SHARES = (0.8, 0.2)
"""How the allowed error is shared between two starts."""

_KINDS = {
    "precision": "precision_floor",
    "recall": "recall_floor",
    "false_positive_rate": "fpr_cap",
    "alerts_per_day": "alert_budget",
}


def _walk(
    policy: _Policy,
    metric: str,
    limit: float,
    tests: Mapping[float, float],
    test: Callable[[float, float], _Result],
    *,
    rows: TuningRows,
    otherwise: float,
) -> TunedPolicy:
    """Select the riskiest threshold that holds; where none does, the one whose bound is closest.

    `tests` has the thresholds in order, each with the error that is reserved for it; a test that
    holds passes its error on to the next (Wiens and Dmitrienko 2005, The fallback procedure).
    """
    at_least = metric in ("precision", "recall")
    sign = 1 if at_least else -1
    riskier = operator.gt if metric == "recall" else operator.lt
    selected: tuple[float, _Result] | None = None
    passed_on = 0.0
    for threshold, reserved in tests.items():
        error = passed_on + reserved
        if not error:
            continue
        result = test(threshold, 1 - error)
        holds = sign * result.bound >= sign * limit
        if holds and (selected is None or riskier(threshold, selected[0])):
            selected = threshold, result
        passed_on = error if holds else 0.0
    met = selected is not None
    if selected is None and tests:
        results = [(threshold, test(threshold, policy.confidence)) for threshold in tests]
        selected = max(results, key=lambda pair: sign * pair[1].bound)
    threshold = min(selected[0], NEVER) if selected else otherwise
    alerts = (rows.p_fraud >= threshold) & rows.reviewable(policy.value_floor)
    unit = "row" if rows.entity is None else "entity"
    constraint = Constraint(
        metric=metric,
        sense="at least" if at_least else "at most",
        limit=limit,
        confidence=policy.confidence,
        met=met,
        bound=selected[1].bound if selected else None,
        value=selected[1].value if selected else None,
        alerts=int(alerts.sum()),
        drawn="day" if metric == "alerts_per_day" else unit,
        unmet=policy.unmet,
    )
    return TunedPolicy(_KINDS[metric], threshold, constraint, policy.value_floor)


def _share(hit: Flags, entity: Codes | None, level: float, side: Side) -> _Result:
    share = float(hit.mean()) if len(hit) else 0.0
    if entity is None:
        return _Result(share, share_bound(int(hit.sum()), len(hit), level=level, side=side))
    of_entity = np.bincount(entity)
    hits = np.bincount(entity[hit], minlength=len(of_entity))
    return _Result(share, clustered_share_bound(hits, of_entity, level=level, side=side))


def _starts(
    thresholds: Floats, middle: int, confidence: float, entity: Codes | None
) -> Mapping[float, float]:
    """Start from the safest threshold; among entities from a middle one, and then from the safest.

    The safest thresholds have hits, or misses, of so few entities that how alike their rows are
    cannot be measured: a bound there may fail where the bounds after it hold.
    """
    if entity is None or middle < 1:
        tests = dict.fromkeys(thresholds.tolist(), 0.0)
        return tests | dict.fromkeys(list(tests)[:1], 1 - confidence)
    middle = min(middle, len(thresholds) - 1)
    tests = dict.fromkeys(np.roll(thresholds, -middle).tolist(), 0.0)
    starts = (float(thresholds[middle]), float(thresholds[0]))
    for start, share in zip(starts, _ERROR_SHARES, strict=True):
        tests[start] += share * (1 - confidence)
    return tests


def _ranked(rows: TuningRows, value_floor: float) -> NDArray[np.int64]:
    """Positions of the rows that may be alerted, the most suspicious first."""
    here = np.flatnonzero(rows.reviewable(value_floor))
    return here[np.argsort(-rows.p_fraud[here], kind="stable")]


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
    tested = falling[look_sizes(1, len(falling)) - 1]
    return np.concatenate([[np.nextafter(falling[0], inf)], tested])


def _cases(rows: TuningRows, day: Codes, value_floor: float) -> tuple[Floats, Codes]:
    """The highest probability of each entity on each day, and the day."""
    here = _ranked(rows, value_floor)
    if rows.entity is None:
        return rows.p_fraud[here], day[here]
    pair = day[here] * (int(rows.entity.max()) + 1) + rows.entity[here]
    first = np.unique(pair, return_index=True)[1]
    return rows.p_fraud[here][first], day[here][first]


def _check(policy: _Policy, name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ConfigError(f"policy.{name} is {value}. It lies between 0 and 1, neither included.")
    if not 0.5 <= policy.confidence < 1:
        raise ConfigError(f"policy.confidence is {policy.confidence}. It lies in [0.5, 1).")
    if policy.unmet not in get_args(Unmet):
        raise ConfigError(
            f"policy.unmet is '{policy.unmet}'. Choose one of {', '.join(get_args(Unmet))}."
        )
    check_value_floor(policy.value_floor)
