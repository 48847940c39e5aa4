"""What a learner is to the rest of fraudml."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import ConfigError, DataError, listing
from fraudml.learners.losses import Loss
from fraudml.learners.watch import Bins, EvalCallback
from fraudml.matrix import DesignMatrix
from fraudml.progress import Deadline, Progress, silent

_log = logging.getLogger(__name__)


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
    deterministic : bool
        Whether a GPU should give the same model again, as far as the library can; a CPU always
        does.
    deadline : Deadline
        When to stop adding rounds.
    progress : Progress
        Whom to tell about the rounds that are done.
    loss : Loss, optional
        What to minimise instead of the log loss.
    watch : EvalCallback, optional
        Whom to tell margins of other rows while the model is made; LightGBM and XGBoost do.
    bins : Bins, optional
        Where binned rows are kept for other fits of the same rows; LightGBM and XGBoost keep them.
    """

    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    deterministic: bool = False
    deadline: Deadline = field(default_factory=Deadline)
    progress: Progress = silent
    loss: Loss | None = None
    watch: EvalCallback | None = None
    bins: Bins | None = None


class FittedLearner(Protocol):
    """A fitted model: margins out, and plain data on disk.

    A margin is any score that rises with the probability of fraud, on the scale of log-odds,
    float64, one a row. It depends on the row alone: not on the other rows, nor on their number.
    """

    @property
    def kind(self) -> str:
        """The name that `load_learner` knows the model by: the module that it belongs to."""

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

    @property
    def rounds_key(self) -> str | None:
        """What the learner's setting of `max_rounds` is called; None where it has none."""

    @property
    def devices(self) -> Mapping[str, str]:
        """The devices that it runs on, each with what to install where it is not there."""

    def on(self, device: str, *, deterministic: bool = False) -> Learner:
        """Return the learner as it runs on a device; nearly always itself.

        A default that the device cannot do is changed, which `log_device_changes` logs; the
        learner returned comes back as it is when it is asked again.

        Parameters
        ----------
        device : str
            `cpu`, `opencl` or `cuda`.
        deterministic : bool
            As in `FitContext`.

        Raises
        ------
        ConfigError
            It does not run there, or not with a parameter that was set by hand.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments that make an equal learner, as JSON."""

    def fit(
        self,
        train: DesignMatrix,
        context: FitContext,
        *,
        rounds: int | None = None,
    ) -> FittedLearner:
        """Fit on `train`, with its weights.

        Parameters
        ----------
        train : DesignMatrix
            With labels of both classes.
        context : FitContext
            Seed, threads, device, deadline, progress.
        rounds : int, optional
            How many rounds to make, instead of `max_rounds`.

        Raises
        ------
        BudgetError
            The deadline passed before there was a usable model.
        DataError
            There is nothing to learn from: no feature, or one class only.
        """


def staged_margins(
    model: FittedLearner, X: DesignMatrix, checkpoints: Sequence[int]
) -> list[NDArray[np.float64]]:
    """Return the margins after each number of rounds, in the order given."""
    return [model.margin(X, rounds) for rounds in checkpoints]


def check_fit_rows(train: DesignMatrix) -> None:
    """Refuse rows that no learner can learn from.

    Parameters
    ----------
    train : DesignMatrix
        The rows of a fit.

    Raises
    ------
    DataError
        No feature, no row, one class only, or a weight that is negative or not finite.
    """
    if not train.names:
        raise DataError(
            "There is no feature to learn from: no column is left after roles and exclusions. "
            "Check data.columns and the features settings."
        )
    classes = np.unique(train.y)
    if not np.array_equal(classes, [0, 1]):
        found = listing(classes.tolist()) if len(classes) else "none"
        raise DataError(
            f"A fit of {len(train):,} rows has the labels {found}. It needs both 0 and 1. "
            "Choose blocks that hold frauds and legitimate rows."
        )
    weight = train.weight
    if weight is None:
        return
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum()):,} of {len(weight):,} weights are negative or not finite "
            f"(first at row {int(wrong.argmax()):,}). A weight is a finite number from 0. "
            "Check the weighting settings and what they are computed from."
        )


CPU_ONLY: Mapping[str, str] = {"cpu": ""}
"""The devices of a learner that runs on the CPU alone."""

_WHO_ELSE = {
    "opencl": "OpenCL is for learner=lightgbm and bagged_lightgbm",
    "cuda": "CUDA is for boosted trees (lightgbm, bagged_lightgbm, xgboost, catboost)",
}


def check_device(learner: str, device: str, devices: Mapping[str, str] = CPU_ONLY) -> None:
    """Refuse a device that a learner does not run on.

    Parameters
    ----------
    learner : str
        What the message calls the learner.
    device : str
        What the run asks for.
    devices : mapping
        What the learner can, as `Learner.devices`.

    Raises
    ------
    ConfigError
        The device is none of them.
    """
    if device not in devices:
        who = f"; {_WHO_ELSE[device]}" if device in _WHO_ELSE else ""
        raise ConfigError(
            f"device is '{device}'. {learner} runs on {listing(devices)} alone{who}. Set "
            "device=auto or cpu, or choose another learner."
        )


def log_device_changes(learner: Learner, placed: Learner, device: str) -> None:
    """Log which defaults of a learner a device has changed; nothing where it is the same."""
    if placed is learner:
        return
    before, after = learner.to_dict(), placed.to_dict()
    for name in (name for name in after if after[name] != before[name]):
        _log.info(
            "device=%s: learner.%s is %s instead of %s, which the learner does not take there. "
            "docs/devices.md says what that costs.",
            device,
            name,
            after[name],
            before[name],
        )


def refuse_loss(learner: str, loss: Loss | None) -> None:
    """Refuse a loss that a learner cannot minimise.

    Parameters
    ----------
    learner : str
        What the message calls the learner.
    loss : Loss, optional
        What the run asks for.

    Raises
    ------
    ConfigError
        There is one.
    """
    if loss is not None:
        raise ConfigError(
            f"loss is {type(loss).__name__}. {learner} minimises a loss of its own alone. Set "
            "loss=log_loss, or choose learner=lightgbm."
        )


def check_score_columns(expected: tuple[str, ...], X: DesignMatrix) -> None:
    """Refuse to score columns other than those of the fit, in their order.

    Parameters
    ----------
    expected : tuple of str
        The columns of the fit.
    X : DesignMatrix
        Rows to score.

    Raises
    ------
    DataError
        The columns differ: the first five that are missing or new, or the first out of order.
    """
    if X.names == expected:
        return
    missing = [name for name in expected if name not in X.names]
    new = [name for name in X.names if name not in expected]
    if missing or new:
        differ = f"missing {listing(missing) or 'none'}, new {listing(new) or 'none'}"
    else:
        first = next(a for a, b in zip(X.names, expected, strict=False) if a != b)
        differ = f"the same columns in another order, from '{first}' on"
    raise DataError(
        f"The model was fitted on {len(expected)} columns and is given {len(X.names)}: {differ}. "
        "Give it the columns of the fit, in their order."
    )
