"""Models whose format cannot be checked beforehand are loaded in a child process first.

What ends, hangs or fills that process is refused. What passed is remembered by its digest, so that
it is tried once. Run as `python -m fraudml.learners.quarantine`, with a line of JSON and then the
model's file on standard input.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fraudml.errors import BundleError, FraudmlError, MachineError
from fraudml.matrix import DesignMatrix

_PROCESSOR_SECONDS = 8
_WALL_SECONDS = 120.0
_MEMORY_MB = 900
"""What a model may take beside twenty times its own size."""

_PROBES = 64


def require_sound(
    kind: str, name: str, content: bytes, metadata: Mapping[str, Any], libraries: tuple[str, ...]
) -> None:
    """Refuse a model that its library cannot load and score a few rows with.

    Parameters
    ----------
    kind : str
        The module of `fraudml.learners` that loads it.
    name : str
        The name of its file.
    content : bytes
        The file.
    metadata : mapping
        What `save` returned.
    libraries : tuple of str
        The distributions that read it: another version tries it again.

    Raises
    ------
    BundleError
        The child ended, hung, took too much memory, or its margins are not finite.
    MachineError
        No process could be started.
    """
    mark = _mark(content, metadata, libraries)
    if mark is not None and mark.exists():
        return
    order = {"kind": kind, "name": name, "metadata": dict(metadata)}
    problem = _try_in_child(json.dumps(order).encode() + b"\n" + content)
    if problem is not None:
        raise BundleError(f"'{name}' is damaged: {problem}. Copy the bundle again, or train again.")
    if mark is not None:
        _remember(mark)


def _try_in_child(order: bytes) -> str | None:
    try:
        child = subprocess.run(
            [sys.executable, "-m", "fraudml.learners.quarantine"],
            input=order,
            capture_output=True,
            timeout=_WALL_SECONDS,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"reading it does not end within {_WALL_SECONDS:g} seconds"
    except OSError as error:
        raise MachineError(
            f"Cannot start a process to check a model: {error}. Run again."
        ) from error
    if child.returncode < 0:
        return f"reading it ends the process ({signal.Signals(-child.returncode).name})"
    if child.returncode:
        lines = child.stderr.decode("utf-8", "replace").strip().splitlines()
        return (lines or [f"exit code {child.returncode}"])[-1][:300].rstrip(".")
    return None


def _mark(content: bytes, metadata: Mapping[str, Any], libraries: tuple[str, ...]) -> Path | None:
    """Where it is remembered that a model passed; None where there is no place for it."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "fraudml" / "sound_models"
    except RuntimeError:  # a user without a home
        return None
    names = [f"{library} {version(library)}" for library in libraries]
    layout = [names, metadata.get("categorical"), metadata.get("preprocessing")]
    known = hashlib.sha256(json.dumps(layout, sort_keys=True).encode())
    known.update(content)
    return folder / known.hexdigest()


def _remember(mark: Path) -> None:
    try:
        mark.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark.touch(mode=0o600)
    except OSError:
        return  # it is tried again next time


def main() -> None:
    """Load a model and score probing rows; what is wrong ends up on standard error."""
    order = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read()
    _limit(len(content))
    from fraudml.learners import learner_module

    try:
        module = learner_module(order["kind"])
        model = module.load_unchecked({order["name"]: content}, order["metadata"], 1)
        problem = module.loaded_problem(model) or probe(model)
    except FraudmlError as error:
        problem = str(error)
    except MemoryError:
        problem = "it takes more memory than a model of its size"
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        sys.exit(" ".join(problem.split()))


def probe(model: Any) -> str | None:
    """Score probing rows; say why a model cannot, or that its margins are not finite."""
    try:
        margin = model.margin(probing_rows(model.names, getattr(model, "categorical", ())))
    except Exception as error:  # whatever a library makes of a model that it did not write
        return f"it cannot score: {type(error).__name__}: {error}"
    return None if np.isfinite(margin).all() else "its margins are not finite"


def probing_rows(names: tuple[str, ...], categorical: tuple[int, ...]) -> DesignMatrix:
    """Return rows that take many ways through a model, missing values among them."""
    draw = np.random.default_rng(0)
    shape = (_PROBES, len(names))
    values = draw.choice([-1e6, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 10.0, 1e3, 1e6], shape)
    values[draw.random(shape) < 0.1] = np.nan
    values[:, list(categorical)] = draw.integers(0, 50, (_PROBES, len(categorical)))
    return DesignMatrix(values.astype(np.float32), names, categorical=categorical)


def _limit(size: int) -> None:
    """Cap memory and processor time, where the system can."""
    try:
        import resource
    except ImportError:
        return
    memory = _MEMORY_MB * 2**20 + 20 * size
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    seconds = _PROCESSOR_SECONDS + size // 2**23
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
