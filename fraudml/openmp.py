"""How long threads of OpenMP spin while they wait for work: briefly, so that cores can be shared.

A thread that spins keeps a core from whoever has work, the other threads of its own process too.
A runtime reads its environment once, when it is loaded: `import fraudml` has to come before.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import warnings
from functools import cache
from pathlib import Path

_log = logging.getLogger(__name__)

# On x86 a turn of GNU's loop is a pause of 25 ns or more. Elsewhere it is a bare load, and the
# 300,000 turns that it takes by itself are as short as these.
_TURNS = {"GOMP_SPINCOUNT": "1000"} if platform.machine() in ("x86_64", "AMD64", "i686") else {}

SPIN_LIMITS = {**_TURNS, "KMP_BLOCKTIME": "1"}
"""Turns for GNU's runtime, milliseconds for LLVM's and Intel's: the largest values that do no harm
beside busy processes, by `scripts/bench_threads.py`."""

_WAIT_SETTINGS = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY", "OMP_WAIT_POLICY")
"""Whoever sets one of these, or one that begins so, has decided how threads wait."""

_FILES = {"GOMP_SPINCOUNT": r"libgomp[-.]", "KMP_BLOCKTIME": r"libi?omp\d*[-.]"}
"""Which runtimes read a limit."""

_MAPS = Path("/proc/self/maps")


@cache
def limit_spinning() -> tuple[str, ...]:
    """Limit how long threads spin, in this process and its children, unless the user has decided.

    Returns
    -------
    tuple of str
        The files of runtimes that were loaded before, for which the limit comes too late.
    """
    if any(text and name.startswith(_WAIT_SETTINGS) for name, text in os.environ.items()):
        return ()
    os.environ.update(SPIN_LIMITS)
    return tuple(sorted(file for file in _loaded_files() if _reads_a_limit(file)))


def warn_of_spinning(threads: int) -> None:
    """Log once that several threads are going to spin, where the limit came too late.

    Parameters
    ----------
    threads : int
        How many are going to be used.
    """
    if threads > 1 and limit_spinning():
        _warn()


@cache
def _warn() -> None:
    _log.warning(
        "OpenMP was loaded before fraudml (%s): its threads spin long while they wait, and where "
        "cores are shared several threads may be slower than one. Import fraudml first, start "
        "Python with %s, or set threads=1.",
        ", ".join("/".join(Path(file).parts[-2:]) for file in limit_spinning()),
        " ".join(f"{name}={value}" for name, value in SPIN_LIMITS.items()),
    )


def _loaded_files() -> set[str]:
    """The files of libraries in this process, of those of OpenMP at least."""
    try:
        lines = os.fsdecode(_MAPS.read_bytes()).split("\n")
    except OSError:  # only Linux has it
        return _loaded_by_threadpoolctl()
    return {line[line.index("/") :] for line in lines if "/" in line}


def _loaded_by_threadpoolctl() -> set[str]:
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    with warnings.catch_warnings():  # it warns of some pairs of runtimes
        warnings.simplefilter("ignore")
        return {library["filepath"] for library in threadpool_info()}


def _reads_a_limit(file: str) -> bool:
    return any(re.match(_FILES[name], Path(file).name) for name in SPIN_LIMITS)
