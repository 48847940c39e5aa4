"""fraudml: fraud models that cannot win by predicting the majority class.

>>> import fraudml
>>> fraudml.Settings().objective
'average_precision'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fraudml.openmp import limit_spinning
from fraudml.version import __version__

if TYPE_CHECKING:
    from fraudml import metrics
    from fraudml.config.settings import Settings
    from fraudml.scoring import load_bundle
    from fraudml.workflows.train import train

__all__ = ["Settings", "__version__", "load_bundle", "metrics", "train"]

# Where each public name lives. Heavy libraries are imported when a name is first used.
_HOMES = {
    "Settings": "fraudml.config.settings",
    "load_bundle": "fraudml.scoring",
    "train": "fraudml.workflows.train",
}

limit_spinning()  # before a library is loaded that would not look again


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return import_module("fraudml.metrics")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'fraudml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
