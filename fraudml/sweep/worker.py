"""The process that runs trials: orders come in as lines of JSON, answers go out as lines of JSON.

After each intermediate result of a trial it waits for an order whether to continue.

    python -m fraudml.sweep.worker CONFIG_DIR THREADS MEMORY_MB

It is a process of its own so that a trial that hangs, or takes all memory, can be ended without the
sweep. It ends with its sweep.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

from fraudml.config import load_settings
from fraudml.config.parse import dump
from fraudml.config.settings import Settings
from fraudml.config.space import read_space
from fraudml.errors import FraudmlError
from fraudml.learners.protocol import FitContext
from fraudml.learners.watch import BinStore
from fraudml.pipeline.components import Components, build_components
from fraudml.pipeline.fit import resolve_device
from fraudml.sweep.blocks import read_rows
from fraudml.sweep.intermediate import IntermediateResult
from fraudml.sweep.margins import MARGINS, MarginCache, searched_rounds
from fraudml.sweep.trial import trial_values

_BINS_PART = 16
"""Binned rows of earlier trials may take one in so many parts of a trial's memory."""

_DIE_WITH_PARENT = 1
"""Linux's PR_SET_PDEATHSIG."""


def main() -> None:
    """Serve orders until standard input ends."""
    folder, threads, memory_mb = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    _end_with_parent()
    answers = _own_output()
    # The sweep logs what matters, once instead of in every trial.
    logging.getLogger("fraudml").setLevel(logging.ERROR)
    bins = BinStore(memory_mb * 2**20 // _BINS_PART)

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    def report(result: IntermediateResult) -> None:
        answer({"result": asdict(result)})
        if not json.loads(sys.stdin.readline())["continue"]:
            raise _Pruned

    for line in iter(sys.stdin.readline, ""):
        answer(_run(json.loads(line), folder, FitContext(threads=threads), bins, report))


class _Pruned(Exception):  # noqa: N818 - it is no error
    """The sweep ends the trial early."""


def _run(
    order: dict[str, Any],
    folder: Path,
    context: FitContext,
    bins: BinStore,
    report: Callable[[IntermediateResult], None],
) -> dict[str, Any]:
    try:
        settings = load_settings(
            "sweep", order["overrides"], config_dir=folder, config_name="config"
        )
        rows = Path(order["rows"])
        context = replace(context, seed=settings.seed)
        components, context = resolve_device(build_components(settings), context, settings.device)
        fitted_rows, learner = _identities(settings, components, context)
        key = components.recipe.learner.rounds_key
        values = trial_values(
            read_rows(rows),
            components,
            settings.sweep.objectives(settings.objective),
            lambda block: replace(context, bins=bins.of((rows.name, block, fitted_rows))),
            cache=MarginCache(
                folder / MARGINS / rows.name / f"{fitted_rows}_{learner}",
                searched_rounds(read_space(settings.sweep.space), key),
            ),
            report=report,
        )
    except _Pruned:
        return {"pruned": True}
    except FraudmlError as error:
        return {"error": str(error)}
    except Exception:  # of a user's own component: the sweep goes on and reports it whole
        return {"error": traceback.format_exc(limit=-5)}
    return {"values": values}


def _identities(settings: Settings, components: Components, context: FitContext) -> tuple[str, str]:
    """Return digests of what decides the fitted rows, and of the learner without its rounds."""
    plain = dump(settings)
    names = ("resampling", "weighting", "loss", "seed", "components")
    rows = {name: plain[name] for name in names} | {"keep_legit": settings.data.keep_legit}
    learner = components.recipe.learner
    arguments = learner.to_dict()
    arguments.pop(learner.rounds_key or "", None)
    kind = f"{type(learner).__module__}.{type(learner).__qualname__}"
    return _digest(rows), _digest({"class": kind, "device": context.device, **arguments})


def _digest(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _own_output() -> TextIO:
    """Keep standard output for answers: what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main()
