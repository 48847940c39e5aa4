"""Whether a learner can be fitted on a device: by a fit on a few rows, in a child process.

A library that does not find its device may end the process, print to the terminal, or be of no
more use in it (CatBoost); and it gives back GPU memory only when the process ends.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from fraudml.errors import FraudmlError
from fraudml.learners.protocol import FitContext, Learner
from fraudml.matrix import DesignMatrix

_SECONDS = 300.0
"""OpenCL compiles its kernels first: seconds for a card, half a minute for a processor."""

_ROWS, _ROUNDS = 1_000, 2


def device_problem(learner: Learner, device: str, deterministic: bool = False) -> str | None:
    """Fit a tiny model on a device; return the library's message, or how the process ended.

    None where the device can be used, and where the settings fail even on the CPU: that is not a
    problem of the device.
    """
    task = {
        "module": type(learner).__module__,
        "name": type(learner).__qualname__,
        "arguments": learner.to_dict(),
        "device": device,
        "deterministic": deterministic,
    }
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109 - as text
    try:
        child = subprocess.run(
            [sys.executable, "-c", f"from {__name__} import run_task; run_task()"],
            input=json.dumps(task),
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"a tiny model was not done after {_SECONDS:g} seconds."
    except OSError as error:
        return f"no process could be started to try it: {error}."
    return _outcome(child)


def _outcome(child: subprocess.CompletedProcess[str]) -> str | None:
    """The problem that the process reported, or how it ended without a report."""
    try:
        problem: str | None = json.loads(child.stdout.splitlines()[-1])["problem"]
    except (IndexError, KeyError, TypeError, ValueError):
        message = (child.stderr.strip().splitlines() or ["without a message"])[-1].rstrip(".")
        return f"the process that tried it ended {_end(child.returncode)}: {message}."
    return problem


def _end(code: int) -> str:
    if code >= 0:
        return f"with code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def run_task() -> None:
    """Read a task from stdin and write its problem to stdout; the child process runs this."""
    task = json.load(sys.stdin)
    sys.stdout.write("\n" + json.dumps({"problem": _problem(task)}) + "\n")


def _problem(task: Mapping[str, Any]) -> str | None:
    """Try the learner, then its defaults: settings for wide tables may not fit the tiny one."""
    kind = getattr(importlib.import_module(task["module"]), task["name"])
    device, deterministic = task["device"], task["deterministic"]
    plain = kind().on(device)
    for learner in (kind(**task["arguments"]), plain):
        problem = _attempt(learner, FitContext(device=device, deterministic=deterministic))
        if problem is None or _attempt(learner, FitContext()) is None:
            return problem
    return None


def _attempt(learner: Learner, context: FitContext) -> str | None:
    try:
        learner.fit(_tiny_matrix(learner), context, rounds=_ROUNDS)
    except FraudmlError as error:
        message = re.sub(r"^learner: \w+ refuses to fit: ", "", str(error)).strip()
        return message.splitlines()[0].rstrip(".") + "."
    return None


def _tiny_matrix(learner: Learner) -> DesignMatrix:
    """Rows of two classes, with the columns that the learner's settings name."""
    rng = np.random.default_rng(0)
    constrained = [name for name, _ in getattr(learner, "monotone", ())]
    names = (*constrained, *(f"column_{number}" for number in range(4)))
    values = rng.normal(size=(_ROWS, len(names))).astype(np.float32)
    label = (values.sum(axis=1) + rng.normal(size=_ROWS) > 0).astype(np.int8)
    return DesignMatrix(values, names, label=label)
