"""Policies: the rule that turns a probability, and what the row would cost, into an alert.

A policy is tuned on out-of-fold scores and then decides each row by itself: the same for one row as
for a million.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.errors import ConfigError
from fraudml.metrics.money import best_threshold, minimum_risk_threshold

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]


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
    constraint : str, optional
        What was promised, in words.
    """

    kind: str
    threshold: float | None = None
    constraint: str | None = None

    def thresholds(self, costs: CostMatrix) -> Floats:
        """Return the threshold of each row; infinite where an alert cannot pay."""
        if self.threshold is not None:
            return np.full(len(costs), self.threshold)
        if not len(costs):
            return np.empty(0)
        return minimum_risk_threshold(**costs.as_mapping()).threshold

    def alerts(self, p_fraud: Floats, costs: CostMatrix) -> NDArray[np.bool_]:
        """Return whether each row is alerted."""
        return np.asarray(p_fraud >= self.thresholds(costs))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; `from_dict` is the way back."""
        return {"kind": self.kind, "threshold": self.threshold, "constraint": self.constraint}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TunedPolicy:
        """Make a policy from what `to_dict` gave; a ValueError where it did not."""
        threshold = content["threshold"]
        return cls(
            str(content["kind"]),
            None if threshold is None else float(threshold),
            content["constraint"],
        )


class Policy(Protocol):
    """How a policy is tuned."""

    @property
    def uses_costs(self) -> bool:
        """Whether the guard should ask for a cost below that of never and of always alerting."""

    def tune(self, p_fraud: Floats, y_true: Labels, costs: CostMatrix) -> TunedPolicy:
        """Tune on out-of-fold probabilities.

        Parameters
        ----------
        p_fraud : ndarray of float64, shape (n_rows,)
            Calibrated.
        y_true : ndarray of int8, shape (n_rows,)
            1 = fraud.
        costs : CostMatrix
            Of the same rows.
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

    References
    ----------
    Elkan (2001), The foundations of cost-sensitive learning, section 1.
    """

    per_amount: bool = True

    uses_costs = True

    def tune(self, p_fraud: Floats, y_true: Labels, costs: CostMatrix) -> TunedPolicy:
        """Choose the threshold, or leave it to each row."""
        if self.per_amount and costs.differ:
            return TunedPolicy("minimum_cost")
        found = best_threshold(y_true, p_fraud, **costs.as_mapping())
        # No alert at all is a threshold above every probability, and must be a number in JSON.
        return TunedPolicy("minimum_cost", float(min(found.threshold, 2.0)))


@dataclass(frozen=True)
class Fixed:
    """Alert where the probability is at least a given threshold.

    Parameters
    ----------
    threshold : float
        Between 0 and 1.
    """

    threshold: float = 0.5

    uses_costs = False

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"policy.threshold is {self.threshold}. It lies between 0 and 1.")

    def tune(self, p_fraud: Floats, y_true: Labels, costs: CostMatrix) -> TunedPolicy:
        """Return the threshold as it is."""
        del p_fraud, y_true, costs
        return TunedPolicy("fixed", self.threshold)
