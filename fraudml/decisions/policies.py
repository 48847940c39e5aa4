"""Policies: the rule that turns a probability, and what the row would cost, into an alert.

A policy is tuned on out-of-fold scores and then decides each row by itself: the same for one row as
for a million. Those with a constraint are in `fraudml.decisions.constraints`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import inf, isfinite
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.errors import ConfigError, DataError
from fraudml.metrics.money import best_threshold, minimum_risk_threshold

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
Codes = NDArray[np.int64]
Unmet = Literal["refuse", "closest"]

NEVER = 2.0
"""A threshold above every probability: no alert at all, and a number in JSON."""


@dataclass(frozen=True)
class TuningRows:
    """Rows that a policy is tuned on: out-of-fold scores with labels, costs and roles.

    Parameters
    ----------
    p_fraud : ndarray of float64, shape (n_rows,)
        Calibrated.
    y_true : ndarray of int8, shape (n_rows,)
        1 = fraud.
    costs : CostMatrix
        Of the same rows.
    amount : ndarray of float64, optional
        At least 0; NaN where not known.
    entity, day : ndarray of int64, optional
        The card or customer, and the day, of each row as codes.
    days : float, optional
        How many days they span, in fractions of a day.

    Raises
    ------
    DataError
        A probability is not in [0, 1], or only one class is there.
    """

    p_fraud: Floats
    y_true: Labels
    costs: CostMatrix
    amount: Floats | None = None
    entity: Codes | None = None
    day: Codes | None = None
    days: float | None = None

    def __post_init__(self) -> None:
        wrong = ~((self.p_fraud >= 0) & (self.p_fraud <= 1))
        if wrong.any():
            raise DataError(
                f"{int(wrong.sum()):,} of {len(wrong):,} out-of-fold probabilities are no number "
                "between 0 and 1, so no policy can be tuned on them."
            )
        frauds = int(np.count_nonzero(self.y_true == 1))
        if not 0 < frauds < len(self.y_true):
            raise DataError(
                f"The {len(self.y_true):,} out-of-fold rows that a policy is tuned on hold "
                f"{frauds} frauds, and so one class alone. Bring more rows, or fewer "
                "split.oof_folds."
            )

    def take(self, rows: NDArray[np.int64]) -> TuningRows:
        """Select rows by position."""
        names = ("p_fraud", "y_true", "amount", "entity", "day")
        columns = {name: getattr(self, name) for name in names}
        taken: dict[str, Any] = {
            name: None if column is None else column[rows] for name, column in columns.items()
        }
        return replace(self, costs=self.costs.take(rows), **taken)

    def reviewable(self, value_floor: float) -> NDArray[np.bool_]:
        """Return which rows a policy may alert at all: those from the floor on."""
        return may_review(self.amount, value_floor, len(self.p_fraud))


def may_review(amount: Floats | None, value_floor: float, count: int) -> NDArray[np.bool_]:
    """Return which rows have an amount of at least the floor; an unknown amount has not.

    A `ConfigError` where there is a floor and no column of amounts.
    """
    if not value_floor:
        return np.ones(count, dtype=bool)
    if amount is None:
        raise ConfigError(
            f"policy.value_floor is {value_floor:g}, and no column has the role of the amount. Set "
            "data.columns.amount, or leave value_floor out."
        )
    return np.asarray(amount >= value_floor)


@dataclass(frozen=True)
class Constraint:
    """The constraint of a policy, and whether its tuning rows meet it.

    Parameters
    ----------
    metric : str
        `precision`, `recall`, `false_positive_rate` or `alerts_per_day`.
    sense : {'at least', 'at most'}
        Whether the limit is a floor or a cap.
    limit : float
        The floor or the cap.
    confidence : float
        One-sided, that the bound holds.
    met : bool
        Whether the bound meets the limit.
    bound, value : float, optional
        The bound, and the value itself, on the tuning rows at the selected threshold; None where
        no threshold could be tested.
    alerts : int
        Tuning rows at or above that threshold.
    drawn : str
        What counts as independent: `row`, `entity` or `day`.
    unmet : {'refuse', 'closest'}
        What to do where it is not met.
    """

    metric: str
    sense: Literal["at least", "at most"]
    limit: float
    confidence: float
    met: bool
    bound: float | None
    value: float | None
    alerts: int
    drawn: str
    unmet: Unmet = "refuse"

    @property
    def refuses(self) -> bool:
        """Whether the model may not be kept."""
        return not self.met and self.unmet == "refuse"

    def sentence(self) -> str:
        """Say whether it is met."""
        name = self.metric.replace("_", " ")
        constraint = f"{name} {self.sense} {self.limit:g} with {self.confidence:.0%} confidence"
        if self.bound is None:
            return f"{constraint} is not met: there is nothing to alert in the rows it is tuned on"
        result = (
            f"{self.sense} {self.bound:.4g} ({self.value:.4g} as counted, by {self.drawn}) at the "
            f"{'chosen' if self.met else 'closest'} threshold, with {self.alerts:,} alerts out of "
            "fold"
        )
        if self.met:
            return f"{constraint} is met: {result}"
        lucky = (self.bound >= self.limit) == (self.sense == "at least")
        why = "; safer thresholds fall short, so it may be luck" if lucky else ""
        return f"{constraint} is not met: {result}{why}"


@dataclass(frozen=True)
class TunedPolicy:
    """A policy that decides.

    Parameters
    ----------
    kind : str
        The policy's name.
    threshold : float, optional
        Alert where the probability is at least this; None where each row has its own threshold,
        which follows from its costs.
    constraint : Constraint, optional
        The constraint, and whether it is met.
    value_floor : float
        Rows of a lower amount are never alerted.
    """

    kind: str
    threshold: float | None = None
    constraint: Constraint | None = None
    value_floor: float = 0.0

    @property
    def needs_amount(self) -> bool:
        """Whether every row must have an amount."""
        return self.value_floor > 0

    def thresholds(self, costs: CostMatrix, amount: Floats | None = None) -> Floats:
        """Return the threshold of each row; infinite where an alert cannot pay or may not be."""
        if self.threshold is not None:
            thresholds = np.full(len(costs), self.threshold)
        elif len(costs):
            thresholds = minimum_risk_threshold(**costs.as_mapping()).threshold
        else:
            thresholds = np.empty(0)
        return np.where(may_review(amount, self.value_floor, len(costs)), thresholds, inf)

    def alerts(
        self, p_fraud: Floats, costs: CostMatrix, amount: Floats | None = None
    ) -> NDArray[np.bool_]:
        """Return whether each row is alerted."""
        return np.asarray(p_fraud >= self.thresholds(costs, amount))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, which `from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TunedPolicy:
        """Read what `to_dict` returned; a ValueError where it is anything else."""
        threshold, constraint = content["threshold"], content["constraint"]
        try:
            return cls(
                str(content["kind"]),
                None if threshold is None else float(threshold),
                None if constraint is None else Constraint(**constraint),
                float(content["value_floor"]),
            )
        except TypeError as error:
            raise ValueError(f"this is not a policy: {error}") from error


class Policy(Protocol):
    """How a policy is tuned."""

    @property
    def uses_costs(self) -> bool:
        """Whether the guard requires a cost below that of never and of always alerting."""

    @property
    def value_floor(self) -> float:
        """The amount below which no row is ever alerted."""

    def tune(self, rows: TuningRows) -> TunedPolicy:
        """Tune on out-of-fold probabilities.

        Parameters
        ----------
        rows : TuningRows
            At natural prevalence; none of the test block.
        """


@dataclass(frozen=True)
class MinimumCost:
    """Alert where that is expected to cost less than not alerting.

    Where costs differ by row, each row has its own threshold, (fp - tn) / (fp - tn + fn - tp);
    otherwise the one threshold that cost least on the tuning scores.

    Parameters
    ----------
    per_amount : bool
        False forces one threshold.
    value_floor : float
        Rows of a lower amount are never alerted.

    References
    ----------
    Elkan (2001), The foundations of cost-sensitive learning, section 1.
    """

    per_amount: bool = True
    value_floor: float = 0.0

    uses_costs = True

    def __post_init__(self) -> None:
        check_value_floor(self.value_floor)

    def tune(self, rows: TuningRows) -> TunedPolicy:
        """Choose the threshold, or leave it to each row."""
        if self.per_amount and rows.costs.differ:
            return TunedPolicy("minimum_cost", value_floor=self.value_floor)
        reviewable = np.flatnonzero(rows.reviewable(self.value_floor))
        threshold = inf
        if len(reviewable):
            y_true, p_fraud = rows.y_true[reviewable], rows.p_fraud[reviewable]
            costs = rows.costs.take(reviewable).as_mapping()
            threshold = best_threshold(y_true, p_fraud, **costs).threshold
        threshold = float(min(threshold, NEVER))
        return TunedPolicy("minimum_cost", threshold, value_floor=self.value_floor)


@dataclass(frozen=True)
class FBeta:
    """The threshold with the highest F-beta on the tuning scores; of equals the highest.

    F-beta weighs recall beta times as much as precision. It considers neither money nor the hours
    of a team, and has no constraint.

    Parameters
    ----------
    beta : float
        Above 0.
    value_floor : float
        Rows of a lower amount are never alerted.

    References
    ----------
    van Rijsbergen (1979), Information retrieval, chapter 7.
    """

    beta: float = 1.0
    value_floor: float = 0.0

    uses_costs = False

    def __post_init__(self) -> None:
        if not 0 < self.beta < inf:
            raise ConfigError(f"policy.beta is {self.beta}. It is above 0, and finite.")
        check_value_floor(self.value_floor)

    def tune(self, rows: TuningRows) -> TunedPolicy:
        """Try every probability as a threshold."""
        ranked = np.flatnonzero(rows.reviewable(self.value_floor))
        ranked = ranked[np.argsort(-rows.p_fraud[ranked], kind="stable")]
        p_fraud, fraud = rows.p_fraud[ranked], rows.y_true[ranked] == 1
        if not len(ranked):
            return TunedPolicy("f_beta", NEVER, value_floor=self.value_floor)
        last = np.append(p_fraud[1:] < p_fraud[:-1], True)  # of each run of equal probabilities
        caught, alerts = np.cumsum(fraud)[last], np.flatnonzero(last) + 1
        frauds = np.count_nonzero(rows.y_true == 1)
        square = self.beta**2
        f_beta = (1 + square) * caught / (alerts + square * frauds)
        best = int(np.argmax(f_beta))
        return TunedPolicy("f_beta", float(p_fraud[last][best]), value_floor=self.value_floor)


@dataclass(frozen=True)
class Fixed:
    """Alert where the probability is at least a given threshold.

    Parameters
    ----------
    threshold : float
        Between 0 and 1.
    value_floor : float
        Rows of a lower amount are never alerted.
    """

    threshold: float = 0.5
    value_floor: float = 0.0

    uses_costs = False

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"policy.threshold is {self.threshold}. It lies between 0 and 1.")
        check_value_floor(self.value_floor)

    def tune(self, rows: TuningRows) -> TunedPolicy:
        """Return the threshold as it is."""
        del rows
        return TunedPolicy("fixed", self.threshold, value_floor=self.value_floor)


def check_value_floor(value: float) -> None:
    """Refuse an amount that is no floor."""
    if not (value >= 0 and isfinite(value)):
        raise ConfigError(f"policy.value_floor is {value}. It is an amount from 0 on, and finite.")
