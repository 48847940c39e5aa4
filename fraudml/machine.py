"""What this machine is: cores as the container grants them, memory used, versions that matter."""

from __future__ import annotations

import math
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from fraudml.cgroup import cpu_quota, memory_limit
from fraudml.openmp import warn_of_spinning

_LIBRARIES = (
    "fraudml",
    "hydra-core",
    "imbalanced-learn",
    "lightgbm",
    "numpy",
    "optuna",
    "polars",
    "scikit-learn",
    "scipy",
)
_IMPORTED_AS = {"fraudml", "imblearn", "lightgbm", "sklearn"}
"""Packages of `_LIBRARIES` that components are imported from."""

_OPTIONAL = ("catboost", "xgboost")
"""Libraries of learners that are extras of fraudml."""


def granted_threads() -> int:
    """Return how many threads this process may keep busy, at least 1.

    The least of the cores of the machine, of the process's own set, and of the container's share.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has it
        cores = os.cpu_count() or 1
    return max(1, math.ceil(min(cores, cpu_quota())))


def thread_count(requested: int | None) -> int:
    """Return how many threads to use: those requested, by default as many as are granted.

    Logs once where several of them are going to spin while they wait.
    """
    threads = requested or granted_threads()
    warn_of_spinning(threads)
    return threads


def granted_memory_mb() -> float:
    """Return how much memory this process may use: the machine's, or the container's share."""
    least = min(machine_memory_mb() or math.inf, memory_limit() / 1024**2)
    return least if least < math.inf else 4096.0


def machine_memory_mb() -> float | None:
    """Return how much memory the machine has; None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**2
    except (ValueError, OSError, AttributeError):  # Windows has no sysconf
        return None


def peak_memory_mb() -> float | None:
    """Return the most memory that this process has held, in MB; None where nobody knows."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)


def versions(*targets: str | None) -> dict[str, str]:
    """Return the versions of Python and of the libraries that numbers depend on.

    Optional libraries, and those of `targets` (dotted paths), are named once they are imported.
    """
    packages = {*_OPTIONAL, *(target.partition(".")[0] for target in targets if target)}
    imported = sorted(packages & set(sys.modules) - _IMPORTED_AS)
    named = {name: _version(name) for name in (*_LIBRARIES, *imported)}
    return {"python": platform.python_version(), **named}


def _version(name: str) -> str:
    """The version of a module where it has one: its distribution may have another name."""
    of_module = getattr(sys.modules.get(name), "__version__", None)
    try:
        return str(of_module or version(name))
    except PackageNotFoundError:
        return "unknown" if name in sys.modules else "not installed"
