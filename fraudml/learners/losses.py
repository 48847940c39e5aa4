"""Losses besides the log loss.

A loss has the gradient and the Hessian of every row at a margin, and the margin that a fit starts
from. Its scores are not log-odds: calibration on untouched rows makes probabilities of them, and no
prior correction is valid. Row weights multiply both derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from fraudml.errors import ConfigError
from fraudml.matrix import DesignMatrix

Floats = NDArray[np.float32]

_MIN_HESSIAN = 1e-6
"""Floor of a Hessian: the step of a leaf is the sum of gradients over the sum of Hessians."""


@dataclass(frozen=True)
class RowLoss:
    """The labels of a fit, and the loss's weight, margin or cost of each row."""

    fraud: NDArray[np.bool_]
    scale: Floats


class Loss(Protocol):
    """A loss to minimise instead of the log loss."""

    def rows(self, train: DesignMatrix) -> RowLoss:
        """Prepare the rows of a fit, once."""

    def start(self, train: DesignMatrix) -> float:
        """Return the margin that a fit starts from, the same for every row."""

    def gradients(self, margin: NDArray[np.float64], rows: RowLoss) -> tuple[Floats, Floats]:
        """Return the derivative by the margin and a positive second one, one of each a row."""

    def value(self, margin: NDArray[np.float64], rows: RowLoss) -> NDArray[np.float64]:
        """Return the loss of each row, which the gradients are derivatives of."""


def _log_odds_of_base_rate(train: DesignMatrix) -> float:
    weight = np.ones(len(train)) if train.weight is None else train.weight
    frauds = float(weight[train.y == 1].sum())
    return float(np.log(frauds / (weight.sum() - frauds)))


def _sigmoids(margin: NDArray[np.float64] | Floats) -> tuple[Floats, Floats, Floats]:
    """Return the sigmoid of a margin, that of its negative, and exp(−|margin|).

    One exponential of float32 a row: several times faster than two of scipy's sigmoids. Its
    argument is never positive, so that it cannot overflow.
    """
    z = margin.astype(np.float32, copy=False)
    small = np.exp(-np.abs(z))
    larger = 1 / (1 + small)
    smaller = small * larger
    positive = z >= 0
    return np.where(positive, larger, smaller), np.where(positive, smaller, larger), small


def _signs(fraud: NDArray[np.bool_]) -> Floats:
    """1 for frauds, -1 for others: times a margin, it rises with how right the margin is."""
    return np.where(fraud, np.float32(1), np.float32(-1))


@dataclass(frozen=True)
class Focal:
    """Focal loss: rows that are predicted well count less, by `(1 − p)` to the power of `gamma`.

    Parameters
    ----------
    gamma : float
        0 is the log loss; the larger, the less an easy row counts.
    fraud_weight : float
        Weight of a fraud; a legitimate row weighs 1.

    References
    ----------
    Lin et al. (2017), Focal loss for dense object detection, section 3.
    """

    gamma: float = 1.0
    fraud_weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 10:
            raise ConfigError(f"loss.gamma is {self.gamma}. It lies between 0 and 10.")
        if not 0 < self.fraud_weight < np.inf:
            raise ConfigError(
                f"loss.fraud_weight is {self.fraud_weight}. It is above 0 and finite."
            )

    def rows(self, train: DesignMatrix) -> RowLoss:
        """Prepare the rows of a fit, once."""
        fraud = train.y == 1
        return RowLoss(fraud, np.where(fraud, self.fraud_weight, 1.0).astype(np.float32))

    def start(self, train: DesignMatrix) -> float:
        """Return the log-odds of the base rate."""
        return _log_odds_of_base_rate(train)

    def gradients(self, margin: NDArray[np.float64], rows: RowLoss) -> tuple[Floats, Floats]:
        """Return both derivatives; the second is at least a small positive number."""
        # z is the margin towards the label and p = sigmoid(z) the probability of that label, so
        # that frauds and legitimate rows share one formula: the loss is −q^gamma log p, q = 1 − p.
        sign = _signs(rows.fraud)
        z = sign * margin.astype(np.float32)
        p, q, small = _sigmoids(z)
        log_p = np.minimum(z, np.float32(0)) - np.log1p(small)
        # With dp/dz = p q the derivative by z is q^gamma (gamma p log p − q) …
        gradient = self.gamma * p * log_p - q
        # … and the one of that is q^gamma times the following.
        hessian = p * (q * (self.gamma * (log_p + 1) + 1) - self.gamma * gradient)
        weight = rows.scale * (q if self.gamma == 1 else q**self.gamma)
        return sign * weight * gradient, np.maximum(weight * hessian, _MIN_HESSIAN)

    def value(self, margin: NDArray[np.float64], rows: RowLoss) -> NDArray[np.float64]:
        """Return the loss of each row."""
        z = np.where(rows.fraud, margin, -margin)
        weight: NDArray[np.float64] = rows.scale.astype(np.float64) * expit(-z) ** self.gamma
        return weight * np.logaddexp(0.0, -z)


@dataclass(frozen=True)
class Margin:
    """Log loss with a margin: the rarer class must be predicted correctly by a larger margin.

    The margin of a class falls with the fourth root of its rows; the rarer class has `max_margin`.

    Parameters
    ----------
    max_margin : float
        The margin of the rarer class, in log-odds.

    References
    ----------
    Cao et al. (2019), Learning imbalanced datasets with label-distribution-aware margin loss,
    section 3.2.
    """

    max_margin: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.max_margin <= 20:
            raise ConfigError(f"loss.max_margin is {self.max_margin}. It is above 0, at most 20.")

    def rows(self, train: DesignMatrix) -> RowLoss:
        """Prepare the rows of a fit, once: their margins."""
        fraud = train.y == 1
        counts = np.array([len(train) - train.frauds, train.frauds], dtype=np.float64)
        margins = self.max_margin * (counts.min() / counts) ** 0.25
        return RowLoss(fraud, margins[fraud.astype(np.int64)].astype(np.float32))

    def start(self, train: DesignMatrix) -> float:
        """Return the log-odds of the base rate."""
        return _log_odds_of_base_rate(train)

    def gradients(self, margin: NDArray[np.float64], rows: RowLoss) -> tuple[Floats, Floats]:
        """Return both derivatives."""
        # The log loss at the margin towards the label, less the margin that its class must keep.
        sign = _signs(rows.fraud)
        q, p, _ = _sigmoids(rows.scale - sign * margin.astype(np.float32))
        return -sign * q, np.maximum(q * p, _MIN_HESSIAN)

    def value(self, margin: NDArray[np.float64], rows: RowLoss) -> NDArray[np.float64]:
        """Return the loss of each row."""
        z = np.where(rows.fraud, margin, -margin)
        return np.logaddexp(0.0, rows.scale - z)


@dataclass(frozen=True)
class ExpectedCost:
    """The expected cost where a row is alerted with the sigmoid of its margin as probability.

    A fraud costs what missing it costs more than alerting it, a legitimate row what a false alert
    costs; both are divided by their mean, so that `lambda_l2` has its usual scale.

    Parameters
    ----------
    min_hessian : float
        Floor of the Hessian as a share of a row's cost, between 0 and 1: at a probability of one
        half the Hessian is 0, and the step would be without bound.

    Notes
    -----
    The Hessian changes its sign at a probability of one half, so its absolute value is used, with a
    floor. The scores say where to alert, not how probable a fraud is. The baseline to beat is the
    log loss, calibrated, with a threshold by amount.

    References
    ----------
    Höppner, Baesens, Verbeke, Verdonck (2022), Instance-dependent cost-sensitive learning for
    detecting transfer fraud, EJOR 297, section 3.
    """

    min_hessian: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.min_hessian < 1:
            raise ConfigError(f"loss.min_hessian is {self.min_hessian}. It lies in (0, 1).")

    def rows(self, train: DesignMatrix) -> RowLoss:
        """Prepare the rows of a fit, once: their costs over the mean."""
        cost = train.mistake_cost
        return RowLoss(train.y == 1, (cost / cost.mean()).astype(np.float32))

    def start(self, train: DesignMatrix) -> float:
        """Return the log-odds of the costs: at 0 the second derivative would be 0 everywhere."""
        rows = self.rows(train)
        weight = np.ones(len(train)) if train.weight is None else train.weight
        cost = weight * rows.scale
        missed = float(cost[rows.fraud].sum())
        return float(np.log(missed / (cost.sum() - missed)))

    def gradients(self, margin: NDArray[np.float64], rows: RowLoss) -> tuple[Floats, Floats]:
        """Return the derivative, and the floored absolute value of the second."""
        # The loss is linear in p = sigmoid(margin): its derivatives are cost p q and, up to the
        # sign, cost p q (q − p), with q = 1 − p.
        p, q, _ = _sigmoids(margin)
        slope = p * q * rows.scale
        gradient = np.where(rows.fraud, -slope, slope)
        hessian = slope * np.maximum(np.abs(q - p), np.float32(self.min_hessian))
        return gradient, np.maximum(hessian, _MIN_HESSIAN)

    def value(self, margin: NDArray[np.float64], rows: RowLoss) -> NDArray[np.float64]:
        """Return the expected cost of each row, less the part that no alert changes."""
        probability = expit(np.where(rows.fraud, -margin, margin))
        cost: NDArray[np.float64] = rows.scale.astype(np.float64) * probability
        return cost
