"""What learners of boosted trees share: libraries that are extras, deadlines, model files."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BudgetError, BundleError, ConfigError
from fraudml.learners.losses import Floats, Loss
from fraudml.matrix import DesignMatrix

_log = logging.getLogger(__name__)

_USABLE_SHARE = 0.1
"""A model that the deadline cut short is kept from this share of its rounds on."""

ONE_THREAD_ROWS = 256
"""Up to here a second thread costs more than it helps."""


def check_extra(library: str) -> None:
    """Refuse a learner whose library is not installed, without importing it.

    Parameters
    ----------
    library : str
        What is imported; the extra of fraudml that brings it has the same name.

    Raises
    ------
    ConfigError
        It is not there; the text says what to install.
    """
    if importlib.util.find_spec(library) is None:
        raise ConfigError(_not_installed(library, "learner"))


def import_extra(library: str) -> Any:
    """Import the library of a learner.

    Raises
    ------
    ConfigError
        It is not there, or cannot be loaded, as on macOS without OpenMP.
    """
    check_extra(library)
    try:
        return importlib.import_module(library)
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"learner: {library} is installed and cannot be loaded: {error}. Install it again; "
            "where it lacks an OpenMP runtime: 'brew install libomp' on macOS, "
            "'apt-get install libgomp1' on Debian and Ubuntu."
        ) from error


def accept_early_end(done: int, rounds: int, setting: str) -> None:
    """Accept what the deadline left of a fit, with a warning in the log, or refuse it.

    Parameters
    ----------
    done, rounds : int
        How many rounds were made, of how many.
    setting : str
        What the learner calls the number of rounds.

    Raises
    ------
    BudgetError
        It is under a tenth.
    """
    if done < max(1, math.ceil(_USABLE_SHARE * rounds)):
        raise BudgetError(
            f"The time was over after {done} of {rounds} rounds, too few for a usable model. "
            f"Raise budget.seconds, or lower learner.{setting}."
        )
    _log.warning(
        "The time was over: the model has %d of %d rounds. Raise budget.seconds for all of them.",
        done,
        rounds,
    )


def bins_within(learner: Any, name: str, most: int, device: str) -> int:
    """Return how many bins a learner takes on a device: its own, or the most that there can be.

    Parameters
    ----------
    learner : dataclass instance
        Its default in `__init__` counts as set by nobody.
    name : str
        Of the field that holds the bins.
    most : int
        That the device takes.
    device : str
        For messages.

    Raises
    ------
    ConfigError
        More were asked for by hand.
    """
    bins: int = getattr(learner, name)
    if bins <= most:
        return bins
    if bins != type(learner).__init__.__kwdefaults__[name]:
        raise ConfigError(
            f"learner.{name} is {bins}, and device is '{device}'. "
            f"{type(learner).__name__} takes at most {most} bins there. Set "
            f"learner.{name}={most}, or device=cpu."
        )
    return most


def gradient_step(
    loss: Loss, train: DesignMatrix
) -> Callable[[NDArray[Any], object], tuple[Floats, Floats]]:
    """Return what a library asks for gradients in each round, weights of the rows counted in."""
    rows = loss.rows(train)
    weight = None if train.weight is None else train.weight.astype(np.float32)

    def step(margin: NDArray[Any], _: object) -> tuple[Floats, Floats]:
        gradient, hessian = loss.gradients(margin, rows)
        return (gradient, hessian) if weight is None else (gradient * weight, hessian * weight)

    return step


def without_infinities(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values with the largest number in the place of an infinity; a copy only then."""
    if not np.isinf(values).any():
        return values
    largest = np.finfo(np.float32).max
    return np.clip(values, -largest, largest)


def predict_in_threads(
    score: Callable[[NDArray[np.float32]], NDArray[Any]], values: NDArray[np.float32], threads: int
) -> NDArray[np.float64]:
    """Score rows by a function that takes one thread, in as many as are asked for.

    Parameters
    ----------
    score : callable
        From rows to one result a row, which depends on the row alone.
    values : ndarray of float32
        At least one row.
    threads : int
        How many parts; a few rows are one.
    """
    parts = 1 if len(values) <= ONE_THREAD_ROWS else threads
    if parts == 1:
        return score(values).astype(np.float64)
    with ThreadPoolExecutor(parts) as pool:
        scored = list(pool.map(score, np.array_split(values, parts)))
    return np.concatenate(scored).astype(np.float64)


def model_facts(content: bytes, names: tuple[str, ...], **more: Any) -> dict[str, Any]:
    """Return what `read_model` needs besides the file: the columns, and a digest of the file."""
    digest = hashlib.sha256(content).hexdigest()
    return {"names": list(names), "sha256": digest, **more}


def read_model(path: Path, facts: Mapping[str, Any]) -> tuple[bytes, tuple[str, ...]]:
    """Read a model's file and the names of its columns.

    The digest is compared first: a damaged file can end the process of the library that reads it.

    Parameters
    ----------
    path : Path
        The file.
    facts : mapping
        What `model_facts` returned.

    Raises
    ------
    BundleError
        The file or a fact is missing, or the file is not the one that was written.
    """
    try:
        content = path.read_bytes()
        names = tuple(map(str, facts["names"]))
        written = str(facts["sha256"])
    except (OSError, KeyError, TypeError) as error:
        raise BundleError(f"Cannot read '{path}': {error!r}. Write the bundle again.") from error
    if hashlib.sha256(content).hexdigest() != written:
        raise BundleError(f"'{path}' is damaged: its digest is another. Write the bundle again.")
    return content, names


def needed_to_load(library: str) -> None:
    """Refuse a bundle whose library is not installed.

    Raises
    ------
    BundleError
        It is not there; the text says what to install.
    """
    if importlib.util.find_spec(library) is None:
        raise BundleError(_not_installed(library, "The bundle's learner"))


def _not_installed(library: str, where: str) -> str:
    return (
        f"{where} needs the library {library}, and it is not installed. "
        f'Run: pip install "fraudml[{library}]"'
    )
