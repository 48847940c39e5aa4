"""The process that runs trials: orders come in as lines of JSON, answers go out as such.

After each stop of a trial it waits for a word whether to go on.

    python -m fraudml.sweep.worker CONFIG_DIR THREADS MEMORY_MB

It is a process of its own so that a trial that hangs, or takes all memory, can be ended without the
sweep. It ends when its sweep does.
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
from fraudml.sweep.margins import MARGINS, KeptMargins, searched_rounds
from fraudml.sweep.trial import trial_values

_SHARE_OF_BINS = 16
"""Binned rows of earlier trials may take this share of what a trial may."""

_DIE_WITH_PARENT = 1
"""Linux's PR_SET_PDEATHSIG."""


def main() -> None:
    """Serve orders until standard input ends."""
    folder, threads, memory_mb = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    _end_with_parent()
    answers = _own_output()
    # What trials log would stand there once a trial: the sweep says what matters.
    logging.getLogger("fraudml").setLevel(logging.ERROR)
    bins = BinStore(memory_mb * 2**20 // _SHARE_OF_BINS)

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    def tell(stop: IntermediateResult) -> None:
        say({"stop": asdict(stop)})
        if not json.loads(sys.stdin.readline())["go_on"]:
            raise _Pruned

    for line in iter(sys.stdin.readline, ""):
        say(_ran(json.loads(line), folder, FitContext(threads=threads), bins, tell))


class _Pruned(Exception):  # noqa: N818 - it is no error
    """The sweep does not want the rest of a trial."""


def _ran(
    order: dict[str, Any],
    folder: Path,
    context: FitContext,
    bins: BinStore,
    tell: Callable[[IntermediateResult], None],
) -> dict[str, Any]:
    try:
        settings = load_settings(
            "sweep", order["overrides"], config_dir=folder, config_name="config"
        )
        place = Path(order["rows"])
        context = replace(context, seed=settings.seed)
        parts, context = resolve_device(build_components(settings), context, settings.device)
        helps, learner = _identities(settings, parts, context)
        key = parts.recipe.learner.rounds_key
        values = trial_values(
            read_rows(place),
            parts,
            settings.sweep.objectives(settings.objective),
            lambda block: replace(context, bins=bins.of((place.name, block, helps))),
            kept=KeptMargins(
                folder / MARGINS / place.name / f"{helps}_{learner}",
                searched_rounds(read_space(settings.sweep.space), key),
            ),
            tell=tell,
        )
    except _Pruned:
        return {"pruned": True}
    except FraudmlError as error:
        return {"error": str(error)}
    except Exception:  # whatever a user's own part does, the sweep goes on and says it whole
        return {"error": traceback.format_exc(limit=-5)}
    return {"values": values}


def _identities(settings: Settings, parts: Components, context: FitContext) -> tuple[str, str]:
    """Return what stands for the rows that a learner gets, and for the learner but its rounds."""
    plain = dump(settings)
    helps = {
        name: plain[name] for name in ("resampling", "weighting", "loss", "seed", "components")
    }
    helps["keep_legit"] = settings.data.keep_legit
    learner = parts.recipe.learner
    own = {name: one for name, one in learner.to_dict().items() if name != learner.rounds_key}
    made = {"class": type(learner).__name__, "device": context.device, **own}
    return _digest(helps), _digest(made)


def _digest(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
