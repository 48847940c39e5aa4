"""Weights of the rows that a model is fitted on; where one number says it all, with its prior.

A weight changes what the model learns, never what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from fraudml.errors import ConfigError, DataError
from fraudml.matrix import DesignMatrix


class Weighting(Protocol):
    """How rows are weighted."""

    def weigh(self, train: DesignMatrix) -> tuple[DesignMatrix, float | None]:
        """Return the matrix with weights, and the share of negatives that they amount to.

        Returns
        -------
        matrix : DesignMatrix
            Weights multiply those that the rows had.
        beta : float or None
            1 / weight of the frauds where every fraud weighs the same beside every legitimate row;
            None where no prior correction is valid.
        """


@dataclass(frozen=True)
class ClassWeight:
    """Let a fraud weigh more than a legitimate row.

    Parameters
    ----------
    ratio : float, optional
        Weight of a fraud beside 1 for a legitimate row; by default the square root of legitimate
        rows per fraud, since the full ratio costs average precision (docs/experiments.md).
    """

    ratio: float | None = None

    def __post_init__(self) -> None:
        if self.ratio is not None and not self.ratio > 0:
            raise ConfigError(f"weighting.ratio is {self.ratio}. It is above 0.")

    def weigh(self, train: DesignMatrix) -> tuple[DesignMatrix, float | None]:
        """Multiply the weights of the frauds."""
        ratio = self.ratio
        if ratio is None:
            ratio = float(np.sqrt((len(train) - train.frauds) / max(train.frauds, 1)))
        factor = np.where(train.y == 1, ratio, 1.0)
        return train.with_weight(_times(train, factor)), 1.0 / ratio


@dataclass(frozen=True)
class AmountWeight:
    """Let a fraud weigh its amount, between bounds, beside 1 for a legitimate row.

    The weights of the frauds are scaled to a mean of `ratio`, so that only their spread comes from
    the amounts.

    Parameters
    ----------
    ratio : float
        Mean weight of a fraud.
    most : float
        No fraud weighs more than this many times the mean.
    """

    ratio: float = 1.0
    most: float = 10.0

    def weigh(self, train: DesignMatrix) -> tuple[DesignMatrix, float | None]:
        """Weigh the frauds by amount."""
        if train.amount is None:
            raise DataError("weighting=amount needs data.columns.amount. Name it, or another one.")
        fraud = train.y == 1
        amount = np.nan_to_num(train.amount[fraud])
        mean = amount.mean() if len(amount) and amount.mean() > 0 else 1.0
        # A fraud without an amount is still a fraud: it keeps a tenth of the mean weight.
        share = np.clip(amount / mean, 0.1, self.most)
        factor = np.ones(len(train))
        factor[fraud] = self.ratio * share / share.mean()
        return train.with_weight(_times(train, factor)), None


def _times(train: DesignMatrix, factor: np.ndarray) -> np.ndarray:
    return factor if train.weight is None else train.weight * factor


def thin(train: DesignMatrix, keep_legit: float, generator: np.random.Generator) -> DesignMatrix:
    """Keep all frauds and a share of the legitimate rows, which weigh accordingly more.

    Parameters
    ----------
    train : DesignMatrix
        Rows of a fit.
    keep_legit : float
        The share to keep; 1 keeps all and copies nothing.
    generator : Generator
        Draws the rows.
    """
    if keep_legit == 1.0:
        return train
    kept = (train.y == 1) | (generator.random(len(train)) < keep_legit)
    thinned = train.take(np.flatnonzero(kept))
    legit_weight = (len(train) - train.frauds) / max(len(thinned) - thinned.frauds, 1)
    factor = np.where(thinned.y == 1, 1.0, legit_weight)
    return replace(thinned, weight=_times(thinned, factor))
