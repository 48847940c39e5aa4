"""What a learner is to the rest of fraudml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fraudml.matrix import DesignMatrix
from fraudml.progress import Deadline, Progress, silent


@dataclass(frozen=True)
class FitContext:
    """What a fit is told besides its rows.

    Parameters
    ----------
    seed : int
        The same seed, rows, versions and threads give the same model.
    threads : int
        How many threads to use.
    device : str
        `cpu`, `opencl` or `cuda`; never changed silently.
    deadline : Deadline
        When to stop adding rounds.
    progress : Progress
        Whom to tell about the rounds that are done.
    """

    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    deadline: Deadline = field(default_factory=Deadline)
    progress: Progress = silent


class FittedLearner(Protocol):
    """A fitted model: margins out, and plain data on disk.

    A margin is any score that rises with the probability of fraud, on the scale of log-odds,
    float64, one a row. It depends on the row alone: not on the other rows, nor on their number.
    """

    @property
    def rounds(self) -> int | None:
        """How many boosting rounds there are; None for learners without rounds."""

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        """Return one margin a row, by the first `rounds` rounds (None: by all)."""

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        """Return shape (n_rows, n_features + 1); a row sums to its margin, the last is the base."""

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model's own files into `folder`; return what `load` needs besides, as JSON."""


class Learner(Protocol):
    """The settings of a learner: frozen, comparable, able to fit."""

    @property
    def max_rounds(self) -> int | None:
        """How many rounds a fit makes where nothing else is said; None without rounds."""

    def fit(
        self,
        train: DesignMatrix,
        context: FitContext,
        *,
        valid: DesignMatrix | None = None,
        rounds: int | None = None,
    ) -> FittedLearner:
        """Fit on `train`, with its weights; `valid` is watched and never learnt from.

        Parameters
        ----------
        train : DesignMatrix
            With labels of both classes.
        context : FitContext
            Seed, threads, device, deadline, progress.
        valid : DesignMatrix, optional
            Untouched rows after `train`, for learners that stop early by average precision.
        rounds : int, optional
            How many rounds to make, instead of `max_rounds`.

        Raises
        ------
        BudgetError
            The deadline passed before there was a usable model.
        """


def staged_margins(
    model: FittedLearner, X: DesignMatrix, checkpoints: Sequence[int]
) -> list[NDArray[np.float64]]:
    """Return the margins after each number of rounds, in the order given."""
    return [model.margin(X, rounds) for rounds in checkpoints]
