"""Weights of the rows that a model is fitted on.

A weight changes what the model learns, never what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import ConfigError
from fraudml.matrix import DesignMatrix

_ROUNDS = 100
"""Alternations of bounding and scaling weights; they converge long before."""


class Weighting(Protocol):
    """How rows are weighted."""

    def weigh(self, train: DesignMatrix) -> tuple[DesignMatrix, float | None]:
        """Return the matrix with weights, and the share of negatives that they amount to.

        Parameters
        ----------
        train : DesignMatrix
            With rows of both classes.

        Returns
        -------
        matrix : DesignMatrix
            Weights multiply those that the rows had.
        beta : float or None
            1 / weight of the frauds where all frauds weigh the same and all legitimate rows 1;
            None where no prior correction is valid.
        """


@dataclass(frozen=True)
class ClassWeight:
    """Let a fraud weigh more than a legitimate row.

    Parameters
    ----------
    ratio : float, optional
        Weight of a fraud, where a legitimate row weighs 1; by default the square root of legitimate
        rows per fraud, as the full ratio costs average precision (docs/experiments.md).
    """

    ratio: float | None = None

    def __post_init__(self) -> None:
        if self.ratio is not None and not 0 < self.ratio < np.inf:
            raise ConfigError(f"weighting.ratio is {self.ratio}. It is above 0 and finite.")

    def weigh(self, train: DesignMatrix) -> tuple[DesignMatrix, float | None]:
        """Multiply the weights of the frauds."""
        ratio = self.ratio
        if ratio is None:
            # Thinned rows weigh more, so that sums of weights are those of all rows.
            weight = _times(train, np.ones(len(train)))
            ratio = float(np.sqrt(weight[train.y == 0].sum() / weight[train.y == 1].sum()))
        factor = np.where(train.y == 1, ratio, 1.0)
        return train.with_weight(_times(train, factor)), 1.0 / ratio


@dataclass(frozen=True)
class CostWeight:
    """Let a fraud weigh what missing it would cost, within bounds; a legitimate row weighs 1.

    The costs are those of the cost model: with `costs=card` the amount. The weights of the frauds
    are scaled to a mean of `ratio`, so that only their differences come from the costs.

    Parameters
    ----------
    ratio : float
        Mean weight of a fraud.
    min_weight, max_weight : float
        No fraud weighs less or more than this many times the mean: a fraud that costs nothing is
        still a fraud, and one of a million is one example.
    """

    ratio: float = 1.0
    min_weight: float = 0.1
    max_weight: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.ratio < np.inf:
            raise ConfigError(f"weighting.ratio is {self.ratio}. It is above 0 and finite.")
        _check_bounds(self.min_weight, self.max_weight)

    def weigh(self, train: DesignMatrix) -> tuple[DesignMatrix, float | None]:
        """Weigh the frauds by the cost of missing them."""
        assert train.miss_cost is not None, "the workflow sets the costs of each row"
        fraud = train.y == 1
        cost = train.miss_cost[fraud]
        share = cost / cost.mean() if cost.any() else np.ones(len(cost))
        for _ in range(_ROUNDS):
            # Bounds move the mean, and the mean moves the bounds: repeat until both hold.
            share = np.clip(share, self.min_weight, self.max_weight)
            share = share / share.mean()
        factor = np.ones(len(train))
        factor[fraud] = self.ratio * share
        return train.with_weight(_times(train, factor)), None


@dataclass(frozen=True)
class EffectiveNumber:
    """Weigh classes by their effective number of rows: `(1 − beta) / (1 − beta^n)` each.

    Parameters
    ----------
    beta : float
        Share of a further row that is new to the rows before it; at 0 both classes weigh the same,
        towards 1 in inverse proportion to their rows.

    References
    ----------
    Cui et al. (2019), Class-balanced loss based on effective number of samples, section 3.
    """

    beta: float = 0.999

    def __post_init__(self) -> None:
        if not 0 <= self.beta < 1:
            raise ConfigError(f"weighting.beta is {self.beta}. It is at least 0, below 1.")

    def weigh(self, train: DesignMatrix) -> tuple[DesignMatrix, float | None]:
        """Multiply the weights of the frauds by the ratio of the two classes' weights."""
        legit, frauds = len(train) - train.frauds, train.frauds
        ratio = (1 - self.beta**legit) / (1 - self.beta**frauds)
        return ClassWeight(ratio).weigh(train)


@dataclass(frozen=True)
class ExampleCost:
    """Let every row weigh what a mistake on it costs: a missed fraud, or a false alert.

    Parameters
    ----------
    min_weight, max_weight : float
        No row weighs less or more than this many times the mean of its class.
    """

    min_weight: float = 0.1
    max_weight: float = 10.0

    def __post_init__(self) -> None:
        _check_bounds(self.min_weight, self.max_weight)

    def weigh(self, train: DesignMatrix) -> tuple[DesignMatrix, float | None]:
        """Weigh by cost, bounded within each class, over the mean of all rows."""
        cost = train.mistake_cost
        for rows in (train.y == 1, train.y == 0):
            mean = cost[rows].mean()
            cost[rows] = np.clip(cost[rows], self.min_weight * mean, self.max_weight * mean)
        return train.with_weight(_times(train, cost / cost.mean())), None


def _check_bounds(min_weight: float, max_weight: float) -> None:
    if not 0 < min_weight <= 1 <= max_weight:
        raise ConfigError(
            f"weighting.min_weight is {min_weight} and weighting.max_weight {max_weight}. "
            "Expected 0 < min_weight <= 1 <= max_weight."
        )


def _times(train: DesignMatrix, factor: NDArray[np.float64]) -> NDArray[np.float64]:
    return factor if train.weight is None else train.weight * factor


def thin(train: DesignMatrix, keep_legit: float, generator: np.random.Generator) -> DesignMatrix:
    """Keep all frauds and a random share of the legitimate rows, which weigh accordingly more."""
    if keep_legit == 1.0:
        return train
    selected = (train.y == 1) | (generator.random(len(train)) < keep_legit)
    thinned = train.take(np.flatnonzero(selected))
    legit_weight = (len(train) - train.frauds) / max(len(thinned) - thinned.frauds, 1)
    factor = np.where(thinned.y == 1, 1.0, legit_weight)
    return replace(thinned, weight=_times(thinned, factor))
