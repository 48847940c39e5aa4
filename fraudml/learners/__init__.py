"""Learners behind one protocol. One module a learner: its settings, its fit, its files.

A module is a learner when it has `load(folder, facts, threads)`. Its name is the kind that a bundle
writes down, so that a bundle never names a path to import.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fraudml.errors import BundleError, nearest
from fraudml.learners.protocol import FittedLearner

_NOT_LEARNERS = frozenset({"protocol"})


def learner_kinds() -> tuple[str, ...]:
    """List the kinds of learners that a bundle may name, sorted.

    Examples
    --------
    >>> "lightgbm" in learner_kinds()
    True
    """
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in modules if name not in _NOT_LEARNERS))


def load_learner(
    kind: str, folder: Path, facts: Mapping[str, Any], threads: int = 1
) -> FittedLearner:
    """Read a fitted learner back: plain data, nothing executable.

    Parameters
    ----------
    kind : str
        What `FittedLearner.kind` said.
    folder : Path
        The folder that `FittedLearner.save` filled.
    facts : mapping
        What `FittedLearner.save` returned.
    threads : int
        How many threads to score with; one row always takes one.

    Raises
    ------
    BundleError
        The kind is not known, a file or a fact is missing, or a file is not what it should be.
    """
    kinds = learner_kinds()
    if kind not in kinds:
        raise BundleError(
            f"The bundle's learner is of the kind '{kind}', which this fraudml does not know. "
            f"{nearest(str(kind), kinds)} Score it with the fraudml that wrote it."
        )
    module = importlib.import_module(f"{__name__}.{kind}")
    model: FittedLearner = module.load(folder, facts, threads)
    return model
