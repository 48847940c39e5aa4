"""Learners behind one protocol. One module a learner: its settings, its fit, its files.

A module is a learner when it has `load(files, metadata, threads)`. Its name is the kind that a
bundle records, so that a bundle never names a path to import.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from fraudml.errors import BundleError, ConfigError, nearest
from fraudml.learners.protocol import FittedLearner, Learner
from fraudml.parts import parts


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
        `FittedLearner.kind`.
    files : mapping
        The files that `FittedLearner.save` wrote, by name.
    metadata : mapping
        What `FittedLearner.save` returned.
    threads : int
        The number of threads to score with; one row always takes one.

    Raises
    ------
    BundleError
        The kind is unknown, a file or an entry is missing, or a file is damaged.
    """
    if not is_known(kind):
        raise BundleError(
            f"The bundle's learner is of the kind '{kind}', which this fraudml does not know. "
            f"{nearest(str(kind), known_kinds())} Install the package that has it, or score it "
            "with the fraudml that wrote it."
        )
    own = kind in learner_kinds()
    module = learner_module(kind) if own else parts("learner")[kind].load_module()
    model: FittedLearner = module.load(files, metadata, threads)
    return model


def is_known(kind: str) -> bool:
    """Whether bundles with a kind of learner can be read; packages are asked last."""
    return kind in learner_kinds() or kind in parts("learner")


def known_kinds() -> tuple[str, ...]:
    """Return the kinds of learners that bundles can be read with, those of packages last."""
    return (*learner_kinds(), *parts("learner"))


def is_learner(target: Any) -> bool:
    """Whether a class follows the protocol `Learner`, by its methods."""
    return isinstance(target, type) and all(
        callable(getattr(target, method, None)) for method in ("fit", "on", "to_dict")
    )


def check_readable(target: str) -> None:
    """Refuse a learner of another package whose models could not be read from a bundle.

    Raises
    ------
    ConfigError
        No entry point of the group `fraudml.parts` names the learner, or its module has no `load`.
    """
    registered = [part for part in parts("learner").values() if part.target == target]
    if registered and hasattr(registered[0].load_module(), "load"):
        return
    problem = (
        "whose module has no load(files, metadata, threads)"
        if registered
        else ("which no installed package registers")
    )
    raise ConfigError(
        f"learner._target_ is '{target}', {problem}, so a bundle with it could not be read. "
        "Register it as the entry point 'learner.NAME' of the group 'fraudml.parts' in a module "
        "with load: docs/extending.md shows how."
    )


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
