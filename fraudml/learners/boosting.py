"""What learners of boosted trees share: settings, rounds, deadlines, files, optional libraries.

A booster is one module: a subclass of `Booster` with a `parameter` for each of its settings, a
subclass of `FittedBooster`, and `load`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import Field, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BudgetError, BundleError, ConfigError
from fraudml.learners.losses import Floats, Loss
from fraudml.learners.monotone import Monotone
from fraudml.learners.parameters import (
    Pairs,
    Parameter,
    plain_parameters,
    signature_of,
    validate_and_set,
    with_parameters,
)
from fraudml.learners.protocol import (
    FitContext,
    FittedLearner,
    check_device,
    check_fit_rows,
    check_score_columns,
    log_device_changes,
)
from fraudml.learners.watch import Score, every_round
from fraudml.matrix import DesignMatrix

_log = logging.getLogger(__name__)

_USABLE_SHARE = 0.1
"""A model that the deadline cut short is kept from this share of its rounds on."""

ONE_THREAD_ROWS = 256
"""Up to this many rows a second thread costs more than it saves."""

_SHARED = {
    "monotone": Parameter(
        (),
        Pairs(Mapping[str, Any] | Monotone),
        "By feature name: 1 if the margin may only rise with the feature, -1 if it may only fall.",
    ),
    "extra_parameters": Parameter(
        (),
        Pairs(Mapping[str, Any] | tuple[tuple[str, Any], ...]),
        "More parameters of the library, as in **more; for `dataclasses.replace`.",
    ),
}


@dataclass(frozen=True, init=False)
class Booster:
    """Settings of gradient-boosted trees, under their library's own names.

    A subclass declares each setting once, by `parameter`; every other parameter of the library can
    be given as well, by its name or an alias, and keeps the library's default otherwise.

    Raises
    ------
    ConfigError
        The library is not installed; or a name that it does not have (with the nearest), a
        parameter that cannot be set here (with the reason), or a value out of range: all at once.
    """

    monotone: Monotone = ()
    extra_parameters: tuple[tuple[str, Any], ...] = ()

    parameters: ClassVar[Mapping[str, Parameter]] = _SHARED
    """The settings by name, those of the subclass first."""
    title: ClassVar[str]
    """The library's name in messages."""
    extra: ClassVar[str | None] = None
    """The library, where it is an extra of fraudml by the same name."""
    rounds_key: ClassVar[str]
    """The setting that holds the number of boosting rounds."""
    devices: ClassVar[Mapping[str, str]]
    """The devices that it runs on, each with what it needs."""
    refused: ClassVar[Mapping[str, str]]
    """The library's parameters that cannot be set, each with the reason."""

    def __init_subclass__(cls) -> None:
        own = {
            name: declared.metadata["parameter"]
            for name, declared in vars(cls).items()
            if isinstance(declared, Field)
        }
        cls.parameters = {**own, **cls.parameters}
        cls.__doc__ = with_parameters(cls.__doc__, cls.parameters)
        _document_init(cls)

    def __init__(self, **parameters: Any) -> None:
        if self.extra is not None:
            check_extra(self.extra)
        validate_and_set(self, parameters)

    @staticmethod
    def parameter_names() -> dict[str, str]:
        """Return every name and alias that the library knows, each with the documented name."""
        raise NotImplementedError

    def on(self, device: str, *, deterministic: bool = False) -> Self:  # noqa: ARG002
        """Return the learner as it runs on a device; see `Learner.on`."""
        check_device(self.title, device, self.devices)
        return self

    @property
    def max_rounds(self) -> int:
        """The number of boosting rounds of a fit, unless it is given another."""
        rounds: int = getattr(self, self.rounds_key)
        return rounds

    def to_dict(self) -> dict[str, Any]:
        """Return all parameters under the library's names, as JSON; they make an equal learner."""
        return plain_parameters(self)

    def fit(
        self, train: DesignMatrix, context: FitContext, *, rounds: int | None = None
    ) -> FittedLearner:
        """Fit on `train`, with its weights.

        Parameters
        ----------
        train : DesignMatrix
            With labels of both classes.
        context : FitContext
            Seed, threads, device, deadline, progress, loss.
        rounds : int, optional
            The number of boosting rounds, instead of `max_rounds`.

        Raises
        ------
        BudgetError
            The deadline passed before a tenth of the rounds. Later, the fit ends early with a
            warning in the log.
        ConfigError
            The library refuses a parameter, or the device is not available.
        DataError
            No feature, one class only, a weight that is negative or not finite, or a name in
            `monotone` that is no feature or a categorical one.
        """
        check_fit_rows(train)
        placed = self.placed(context)
        rounds = self.max_rounds if rounds is None else rounds
        booster, done = placed.boost(train, context, rounds)
        if done < rounds:
            accept_early_end(done, rounds, self.rounds_key)
        return placed.fitted(booster, train, context.threads)

    def placed(self, context: FitContext) -> Self:
        """Return the learner as it runs on the context's device, and log what that changes."""
        own = self.on(context.device, deterministic=context.deterministic)
        log_device_changes(self, own, context.device)
        return own

    def boost(self, train: DesignMatrix, context: FitContext, rounds: int) -> tuple[Any, int]:
        """Fit until the deadline; return the library's booster and the number of rounds done."""
        raise NotImplementedError

    def fitted(self, booster: Any, train: DesignMatrix, threads: int) -> FittedBooster:
        """Return the trees alone of a library's booster, ready to score."""
        raise NotImplementedError

    def with_bins(self, device: str, name: str, most: int) -> Self:
        """Return the learner with at most so many bins, unless more were set explicitly."""
        bins = getattr(self, name)
        if bins <= most:
            return self
        if bins != self.parameters[name].default:
            raise ConfigError(
                f"learner.{name} is {bins}, and device is '{device}'. {self.title} takes at most "
                f"{most} bins there. Set learner.{name}={most}, or device=cpu."
            )
        fewer: dict[str, Any] = {name: most}
        return replace(self, **fewer)


def _document_init(cls: type[Booster]) -> None:
    """Give a booster's `__init__` the signature and the type hints of its parameters."""

    def init(self: Booster, **parameters: Any) -> None:
        Booster.__init__(self, **parameters)

    init.__name__ = "__init__"
    init.__annotations__ = {
        name: parameter.accepts.hint for name, parameter in cls.parameters.items()
    }
    vars(init)["__signature__"] = signature_of(cls.parameters)
    cls.__init__ = init  # type: ignore[method-assign]


class FittedBooster:
    """Trees, read from the library's own model file: the model that scores is the one saved.

    The file has no parameters of the fit. A few rows are scored in one thread.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    file_name: ClassVar[str]

    def __init__(self, content: bytes, names: tuple[str, ...], threads: int = 1) -> None:
        self.content = content
        self.names = names
        self.threads = threads
        self._booster = self._read()

    @property
    def rounds(self) -> int:
        """The number of boosting rounds."""
        raise NotImplementedError

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        """Return the log-odds of fraud, one float64 a row.

        The same row gives the same bits, whatever the other rows and the number of threads.

        Parameters
        ----------
        X : DesignMatrix
            The columns of the fit, in their order.
        rounds : int, optional
            Use only the first rounds, at least 1; more than there are means all.

        Raises
        ------
        DataError
            Other columns than those of the fit.
        """
        assert rounds is None or rounds >= 1, rounds
        check_score_columns(self.names, X)
        if not len(X):
            return np.empty(0)
        end = self.rounds if rounds is None else min(rounds, self.rounds)
        return self._margin(X.values, end, self._threads_for(X))

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        """Return Shapley values, shape (n_rows, n_features + 1), float64.

        A row sums to its margin up to rounding; the last column is the base, the same in each row.
        Costs about a hundred times a margin (TreeSHAP; Lundberg et al. 2020).
        """
        check_score_columns(self.names, X)
        if not len(X):
            return np.empty((0, len(self.names) + 1))
        return self._contributions(X.values, self._threads_for(X))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model file, the same bytes for the same model; return what `load` needs."""
        (folder / self.file_name).write_bytes(self.content)
        digest = hashlib.sha256(self.content).hexdigest()
        return {"names": list(self.names), "sha256": digest}

    def _read(self) -> Any:
        """Make the library's booster of `content`."""
        raise NotImplementedError

    def _margin(self, values: NDArray[np.float32], end: int, threads: int) -> NDArray[np.float64]:
        raise NotImplementedError

    def _contributions(self, values: NDArray[np.float32], threads: int) -> NDArray[np.float64]:
        raise NotImplementedError

    def _threads_for(self, X: DesignMatrix) -> int:
        return 1 if len(X) <= ONE_THREAD_ROWS else self.threads


def boost_rounds(
    context: FitContext, rounds: int, update: Callable[[int], object], score: Score
) -> int:
    """Add rounds until the deadline, and report each; return the number of rounds done.

    `update` makes a round, given the number of those before it; `score` is as in `every_round`.
    """
    after_round = every_round(context.callback, rounds, score)
    for done in range(rounds):
        if context.deadline.expired:
            return done
        update(done)
        context.progress("fit", (done + 1) / rounds)
        after_round(done + 1)
    return rounds


def accept_early_end(done: int, rounds: int, setting: str) -> None:
    """Accept a fit that the deadline cut short, with a warning; refuse less than a tenth of it."""
    if done < max(1, math.ceil(_USABLE_SHARE * rounds)):
        raise BudgetError(
            f"Time budget exhausted after {done} of {rounds} rounds: too few for a usable model. "
            f"Raise budget.seconds, or lower learner.{setting}."
        )
    _log.warning(
        "Time budget exhausted: the model has %d of %d rounds. Raise budget.seconds for all of "
        "them.",
        done,
        rounds,
    )


def gradient_step(
    loss: Loss | None, train: DesignMatrix
) -> Callable[[NDArray[Any], object], tuple[Floats, Floats]] | None:
    """Return the function that a library calls for gradients in each round; None is its own.

    Gradients and Hessians are multiplied by the weights of the rows: libraries leave that to it.
    """
    if loss is None:
        return None
    rows = loss.rows(train)
    weight = None if train.weight is None else train.weight.astype(np.float32)

    def step(margin: NDArray[Any], _: object) -> tuple[Floats, Floats]:
        gradient, hessian = loss.gradients(margin, rows)
        return (gradient, hessian) if weight is None else (gradient * weight, hessian * weight)

    return step


def without_infinities(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values with infinities replaced by the largest number; a copy only then."""
    if not np.isinf(values).any():
        return values
    largest = np.finfo(np.float32).max
    return np.clip(values, -largest, largest)


def predict_in_threads(
    score: Callable[[NDArray[np.float32]], NDArray[Any]], values: NDArray[np.float32], threads: int
) -> NDArray[np.float64]:
    """Score rows in several threads, by a function of rows that uses one; a few rows take one."""
    parts = 1 if len(values) <= ONE_THREAD_ROWS else threads
    if parts == 1:
        return score(values).astype(np.float64)
    with ThreadPoolExecutor(parts) as pool:
        scored = list(pool.map(score, np.array_split(values, parts)))
    return np.concatenate(scored).astype(np.float64)


def read_model(
    files: Mapping[str, bytes], name: str, metadata: Mapping[str, Any]
) -> tuple[bytes, tuple[str, ...]]:
    """Take a model file and the names of its columns, as `FittedBooster.save` left them.

    The digest is compared first: a damaged file can end the process of the library that reads it.
    """
    try:
        content = files[name]
        names = tuple(map(str, metadata["names"]))
        written = str(metadata["sha256"])
    except (KeyError, TypeError) as error:
        raise unreadable(name, error) from error
    if hashlib.sha256(content).hexdigest() != written:
        raise damaged(name, "its digest differs")
    return content, names


def unreadable(name: str, error: Exception) -> BundleError:
    """Return the error of a model file that lacks something."""
    return BundleError(f"'{name}' cannot be read: {error!r}. Write the bundle again.")


def damaged(name: str, problem: str) -> BundleError:
    """Return the error of a model file that is not what its library expects."""
    return BundleError(f"'{name}' is damaged: {problem}. Write the bundle again.")


def check_columns(name: str, columns: int, names: tuple[str, ...]) -> None:
    """Refuse a model file that is for another number of columns than its manifest names."""
    if columns != len(names):
        raise damaged(name, f"it is for {columns} columns, and its manifest names {len(names)}")


def check_extra(library: str) -> None:
    """Refuse a learner whose library is not installed, without importing it."""
    if importlib.util.find_spec(library) is None:
        raise ConfigError(_not_installed(library, "learner"))


def check_extra_of_bundle(library: str) -> None:
    """Refuse a bundle whose library is not installed, without importing it."""
    if importlib.util.find_spec(library) is None:
        raise BundleError(_not_installed(library, "The bundle's learner"))


def import_library(library: str) -> Any:
    """Import the library of a learner; refuse one that is missing or cannot be loaded."""
    check_extra(library)
    try:
        return importlib.import_module(library)
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"learner: {library} is installed and cannot be loaded: {error}. Install it again; "
            "if it lacks an OpenMP runtime: 'brew install libomp' on macOS, "
            "'apt-get install libgomp1' on Debian and Ubuntu."
        ) from error


def _not_installed(library: str, subject: str) -> str:
    return (
        f"{subject} needs the library {library}, and it is not installed. "
        f'Run: pip install "fraudml[{library}]"'
    )
