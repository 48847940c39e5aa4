"""Learners behind one protocol. One module a learner: its settings, its fit, its files.

A module is a learner when it has `load(files, metadata, threads)`. Its name is the kind that a
bundle writes down, so that a bundle never names a path to import.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from fraudml.errors import BundleError, nearest
from fraudml.learners.protocol import FittedLearner, Learner


def learner_kinds() -> tuple[str, ...]:
    """List the kinds of learners that a bundle may name, sorted: the modules here with a `load`.

    Examples
    --------
    >>> learner_kinds()
    ('bagged', 'catboost', 'lightgbm', 'linear', 'sklearn', 'xgboost')
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(name for name in names if hasattr(learner_module(name), "load"))


def load_learner(
    kind: str, files: Mapping[str, bytes], metadata: Mapping[str, Any], threads: int = 1
) -> FittedLearner:
    """Read a fitted learner from plain data, nothing executable.

    Parameters
    ----------
    kind : str
        What `FittedLearner.kind` said.
    files : mapping
        The files that `FittedLearner.save` wrote, by name.
    metadata : mapping
        What `FittedLearner.save` returned.
    threads : int
        The number of threads to score with; one row always takes one.

    Raises
    ------
    BundleError
        The kind is not known, a file or an entry is missing, or a file is not what it should be.
    """
    kinds = learner_kinds()
    if kind not in kinds:
        raise BundleError(
            f"The bundle's learner is of the kind '{kind}', which this fraudml does not know. "
            f"{nearest(str(kind), kinds)} Score it with the fraudml that wrote it."
        )
    model: FittedLearner = learner_module(kind).load(files, metadata, threads)
    return model


def as_learner(part: Any) -> Learner:
    """Return a learner as it is, and wrap a classifier that follows scikit-learn.

    A classifier gets the default preprocessing of `SklearnLearner`, its seed and threads from the
    run; one that could not be read back from a bundle is refused.
    """
    if hasattr(part, "max_rounds") and hasattr(part, "to_dict"):
        learner: Learner = part
        return learner
    wrapped: Learner = learner_module("sklearn").SklearnLearner(part)
    return wrapped


def learner_module(name: str) -> Any:
    """Import a module of this package by its name."""
    return importlib.import_module(f"{__name__}.{name}")
