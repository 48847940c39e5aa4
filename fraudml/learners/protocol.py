"""The protocol of learners, the context of a fit, and the checks that every learner makes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
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
    """Execution context of a fit: seed, threads, device, deadline, callbacks.

    Parameters
    ----------
    seed : int
        The same seed, rows, versions and threads give the same model.
    threads : int
        The number of threads to use.
    device : str
        `cpu`, `opencl` or `cuda`; never changed silently.
    deterministic : bool
        Whether a GPU should give a reproducible model, as far as the library can; a CPU always
        does.
    deadline : Deadline
        When to stop adding rounds.
    progress : Progress
        Progress callback, called after each round.
    loss : Loss, optional
        The loss to minimise instead of the log loss.
    callback : EvalCallback, optional
        Gets margins of other rows during the fit; LightGBM and XGBoost call it.
    bins : Bins, optional
        Cache of binned rows for other fits on the same rows; LightGBM and XGBoost use it.
    """

    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    deterministic: bool = False
    deadline: Deadline = field(default_factory=Deadline)
    progress: Progress = silent
    loss: Loss | None = None
    callback: EvalCallback | None = None
    bins: Bins | None = None


class FittedLearner(Protocol):
    """A fitted model: margins out, and plain data on disk.

    A margin is any score that rises with the probability of fraud, on the scale of log-odds,
    float64, one a row. It depends on the row alone: not on the other rows, nor on their number.
    """

    @property
    def kind(self) -> str:
        """The module of `fraudml.learners` that reads the model back."""

    @property
    def rounds(self) -> int | None:
        """The number of boosting rounds; None for learners without rounds."""

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        """Return one margin a row, by the first `rounds` rounds (None: by all)."""

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        """Return shape (n_rows, n_features + 1); a row sums to its margin, the last is the base."""

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model's files into `folder`; return the metadata for `load`, as JSON."""


class Learner(Protocol):
    """The settings of a learner: frozen, comparable, able to fit."""

    @property
    def max_rounds(self) -> int | None:
        """The number of boosting rounds of a fit by default; None without rounds."""

    @property
    def rounds_key(self) -> str | None:
        """The name of the setting for `max_rounds`; None without rounds."""

    @property
    def devices(self) -> Mapping[str, str]:
        """The devices that it runs on, each with what to install for it."""

    def on(self, device: str, *, deterministic: bool = False) -> Learner:
        """Return the learner as it runs on a device; nearly always itself.

        A default that the device does not support is changed; `log_device_changes` logs it. For
        the learner returned, `on` returns it unchanged.

        Parameters
        ----------
        device : str
            `cpu`, `opencl` or `cuda`.
        deterministic : bool
            As in `FitContext`.

        Raises
        ------
        ConfigError
            It does not run there, or not with a parameter that was set explicitly.
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
            The number of boosting rounds, instead of `max_rounds`.

        Raises
        ------
        BudgetError
            The deadline passed before there was a usable model.
        DataError
            There is nothing to learn from: no feature, or one class only.
        """


def check_fit_rows(train: DesignMatrix) -> None:
    """Refuse a fit without features, rows or both classes, or with invalid weights."""
    if not train.names:
        raise DataError(
            "There is no feature to learn from: no column is left after roles and exclusions. "
            "Check data.columns and the features settings."
        )
    classes = np.unique(train.y)
    if not np.array_equal(classes, [0, 1]):
        labels = listing(classes.tolist()) if len(classes) else "none"
        raise DataError(
            f"A fit of {len(train):,} rows has the labels {labels}. It needs both 0 and 1. "
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

_LEARNERS_ON = {
    "opencl": "OpenCL is for learner=lightgbm and bagged_lightgbm",
    "cuda": "CUDA is for boosted trees (lightgbm, bagged_lightgbm, xgboost, catboost)",
}


def check_device(learner: str, device: str, devices: Mapping[str, str] = CPU_ONLY) -> None:
    """Refuse a device that a learner, named as in messages, does not run on."""
    if device not in devices:
        others = f"; {_LEARNERS_ON[device]}" if device in _LEARNERS_ON else ""
        raise ConfigError(
            f"device is '{device}'. {learner} runs on {listing(devices)} alone{others}. Set "
            "device=auto or cpu, or choose another learner."
        )


def log_device_changes(learner: Learner, placed: Learner, device: str) -> None:
    """Log the defaults of a learner that a device changed."""
    if placed is learner:
        return
    before, after = learner.to_dict(), placed.to_dict()
    for name in (name for name in after if after[name] != before[name]):
        _log.info(
            "device=%s: learner.%s is %s instead of %s, which the learner does not support there. "
            "docs/devices.md has what that costs.",
            device,
            name,
            after[name],
            before[name],
        )


def refuse_loss(learner: str, loss: Loss | None) -> None:
    """Refuse a loss for a learner, named as in messages, that minimises only its own."""
    if loss is not None:
        raise ConfigError(
            f"loss is {type(loss).__name__}. {learner} minimises only a loss of its own. Set "
            "loss=log_loss, or choose learner=lightgbm."
        )


def check_score_columns(expected: tuple[str, ...], X: DesignMatrix) -> None:
    """Refuse to score columns other than those of the fit, in their order."""
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
