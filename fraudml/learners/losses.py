"""Losses besides the log loss: what a learner minimises, never what its margin means.

A loss gives gradients and Hessians of every row at a margin, and the margin that learning starts
from. Its scores are no log-odds any more: calibration on untouched rows puts them right, and no
prior correction is valid. Row weights multiply both.
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
"""Below this a Hessian says nothing, and a division by it too much."""


@dataclass(frozen=True)
class RowLoss:
    """The rows of a fit as a loss sees them.

    Parameters
    ----------
    fraud : ndarray of bool
        The labels.
    pull : ndarray of float32
        What the loss weighs a row by, besides the weights of the rows.
    """

    fraud: NDArray[np.bool_]
    pull: Floats


class Loss(Protocol):
    """What a learner minimises instead of the log loss."""

    def rows(self, train: DesignMatrix) -> RowLoss:
        """Prepare the rows of a fit, once."""

    def start(self, train: DesignMatrix) -> float:
        """Return the margin that learning starts from, the same for every row."""

    def gradients(self, margin: NDArray[np.float64], rows: RowLoss) -> tuple[Floats, Floats]:
        """Return the first and a positive second derivative by the margin, one of each a row."""

    def value(self, margin: NDArray[np.float64], rows: RowLoss) -> NDArray[np.float64]:
        """Return the loss of each row; what the gradients are derivatives of."""


def _log_odds_of_base_rate(train: DesignMatrix) -> float:
    weight = np.ones(len(train)) if train.weight is None else train.weight
    frauds = float(weight[train.y == 1].sum())
    return float(np.log(frauds / (weight.sum() - frauds)))


def _chances(margin: NDArray[np.float64] | Floats) -> tuple[Floats, Floats, Floats]:
    """Return the sigmoid of a margin, of its negative, and the exponential that both are made of.

    One exponential of float32 a row: several times faster than two of scipy's sigmoids.
    """
    towards = margin.astype(np.float32, copy=False)
    small = np.exp(-np.abs(towards))
    larger = 1 / (1 + small)
    lesser = small * larger
    up = towards >= 0
    return np.where(up, larger, lesser), np.where(up, lesser, larger), small


def _signs(fraud: NDArray[np.bool_]) -> Floats:
    return np.where(fraud, np.float32(1), np.float32(-1))


@dataclass(frozen=True)
class Focal:
    """Focal loss: rows that are right already count less, by `(1 − p)` to the power of `gamma`.

    Parameters
    ----------
    gamma : float
        0 is the log loss; the larger, the less an easy row counts.
    fraud_weight : float
        What a fraud counts beside 1 for a legitimate row.

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
        """Return both derivatives; the second is not below a small positive number."""
        sign = _signs(rows.fraud)
        toward = sign * margin.astype(np.float32)
        right, wrong, small = _chances(toward)
        log_right = np.minimum(toward, np.float32(0)) - np.log1p(small)
        gradient = self.gamma * right * log_right - wrong
        # d/dz of wrong^gamma (gamma right log right − wrong), z the margin towards the label.
        hessian = right * (wrong * (self.gamma * (log_right + 1) + 1) - self.gamma * gradient)
        damped = rows.pull * (wrong if self.gamma == 1 else wrong**self.gamma)
        return sign * damped * gradient, np.maximum(damped * hessian, _MIN_HESSIAN)

    def value(self, margin: NDArray[np.float64], rows: RowLoss) -> NDArray[np.float64]:
        """Return the loss of each row."""
        toward = np.where(rows.fraud, margin, -margin)
        easy: NDArray[np.float64] = rows.pull.astype(np.float64) * expit(-toward) ** self.gamma
        return easy * np.logaddexp(0.0, -toward)


@dataclass(frozen=True)
class Margin:
    """Log loss with a margin: a fraud must be right by more than a legitimate row, being rarer.

    The margins go with the fourth root of how rare a class is, the rarer one having `max_margin`.

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
        sign = _signs(rows.fraud)
        wrong, right, _ = _chances(rows.pull - sign * margin.astype(np.float32))
        return -sign * wrong, np.maximum(wrong * right, _MIN_HESSIAN)

    def value(self, margin: NDArray[np.float64], rows: RowLoss) -> NDArray[np.float64]:
        """Return the loss of each row."""
        toward = np.where(rows.fraud, margin, -margin)
        return np.logaddexp(0.0, rows.pull - toward)


@dataclass(frozen=True)
class ExpectedCost:
    """The expected cost of alerting with the sigmoid of the margin as its chance (csboost).

    A fraud pulls up by what missing it costs more than alerting it, a legitimate row down by what a
    false alert costs; both over their mean, so that `lambda_l2` means what it means elsewhere.

    Parameters
    ----------
    min_hessian : float
        Floor of the Hessian's share of what is at stake, between 0 and 1: where the chance is one
        half it would be 0, and the step without bound.

    Notes
    -----
    The Hessian is 0 where the chance is one half, so its absolute value has a floor. The scores
    say where to alert, not how probable a fraud is; plain loss and a threshold by amount,
    calibrated, is the model to beat.

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
        """Prepare the rows of a fit, once: what is at stake on each."""
        cost = train.mistake_cost
        return RowLoss(train.y == 1, (cost / cost.mean()).astype(np.float32))

    def start(self, train: DesignMatrix) -> float:
        """Return the log-odds of the stakes: at 0 the second derivative would be 0 everywhere."""
        rows = self.rows(train)
        weight = np.ones(len(train)) if train.weight is None else train.weight
        pulled = weight * rows.pull
        up = float(pulled[rows.fraud].sum())
        return float(np.log(up / (pulled.sum() - up)))

    def gradients(self, margin: NDArray[np.float64], rows: RowLoss) -> tuple[Floats, Floats]:
        """Return the derivative, and the floored absolute value of the second."""
        chance, other, _ = _chances(margin)
        unsure = chance * other * rows.pull
        gradient = np.where(rows.fraud, -unsure, unsure)
        hessian = unsure * np.maximum(np.abs(other - chance), np.float32(self.min_hessian))
        return gradient, np.maximum(hessian, _MIN_HESSIAN)

    def value(self, margin: NDArray[np.float64], rows: RowLoss) -> NDArray[np.float64]:
        """Return the expected cost of each row, less what cannot be changed."""
        chance = expit(np.where(rows.fraud, -margin, margin))
        lost: NDArray[np.float64] = rows.pull.astype(np.float64) * chance
        return lost
