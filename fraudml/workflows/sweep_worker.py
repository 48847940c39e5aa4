"""The process that runs trials: orders come in as lines of JSON, answers go out as such.

    python -m fraudml.workflows.sweep_worker CONFIG_DIR THREADS

It is a process of its own so that a trial that hangs, or takes all memory, can be ended without the
sweep. It ends when its sweep does.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO

from fraudml.config import load_settings
from fraudml.errors import FraudmlError
from fraudml.learners.protocol import FitContext
from fraudml.sweep.blocks import read_rows
from fraudml.workflows.model import on_device
from fraudml.workflows.parts import build_parts
from fraudml.workflows.trial import block_values

_DIE_WITH_PARENT = 1
"""Linux's PR_SET_PDEATHSIG."""


def main() -> None:
    """Serve orders until standard input ends."""
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    _end_with_parent()
    answers = _own_output()
    # What trials log would stand there once a trial: the sweep says what matters.
    logging.getLogger("fraudml").setLevel(logging.ERROR)
    for line in sys.stdin:
        for answer in _answers(json.loads(line), folder, threads):
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _answers(order: dict[str, Any], folder: Path, threads: int) -> Any:
    try:
        settings = load_settings(
            "sweep", order["overrides"], config_dir=folder, config_name="config"
        )
        context = FitContext(seed=settings.seed, threads=threads)
        parts, context = on_device(build_parts(settings), context, settings.device)
        rows = read_rows(Path(order["rows"]))
        for value in block_values(rows, parts, settings.objective, context):
            yield {"value": value}
        yield {"done": True}
    except FraudmlError as error:
        yield {"error": str(error)}
    except Exception:  # whatever a user's own part does, the sweep goes on and says it whole
        yield {"error": traceback.format_exc(limit=-5)}


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _own_output() -> TextIO:
    """Keep standard output for answers alone: libraries print where they like."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main()
