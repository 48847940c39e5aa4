"""--multirun: every combination of values, each in a folder of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudml.errors import ConfigError

if TYPE_CHECKING:
    from fraudml.config.settings import Settings
from fraudml.cli.line import ParsedArgs
from fraudml.cli.run import attempt, execute, load, write


def multirun(line: ParsedArgs, progress: Callable[[], Any]) -> int:
    """Run every combination in order; the exit code is the first that is not 0."""
    from fraudml.cli import terminal
    from fraudml.config.overrides import expand

    runs = expand(line.overrides, config_dir=line.config_dir)
    settings = _placed([load(line, overrides) for overrides in runs])
    codes: list[int] = []
    for number, (overrides, one) in enumerate(zip(runs, settings, strict=True)):
        write(f"run {number} of {len(runs)}: {' '.join(overrides)}", error=True)
        codes.append(attempt(functools.partial(execute, line, one, progress)))
    varied = [" ".join(one) for one in _varied(runs)]
    rows = [
        (str(number), what, str(code), str(one.output_dir))
        for number, (what, code, one) in enumerate(zip(varied, codes, settings, strict=True))
    ]
    terminal.table(f"{len(runs)} runs", rows, ("run", "overrides", "exit", "folder"))
    return next((code for code in codes if code), 0)


def _varied(runs: list[tuple[str, ...]]) -> list[list[str]]:
    """Keep those overrides of each run that are not the same in all of them."""
    differs = [len(set(column)) > 1 for column in zip(*runs, strict=True)]
    return [[one for one, kept in zip(run, differs, strict=True) if kept] for run in runs]


def _placed(settings: list[Settings]) -> list[Settings]:
    """Give each run its own folder under one parent, before any of them starts."""
    from dataclasses import replace

    first = settings[0]
    stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{first.run_name}multirun"
    placed = [
        replace(one, output_dir=str(Path(one.output_dir or Path("runs", stamp)) / str(number)))
        for number, one in enumerate(settings)
    ]
    there = [one.output_dir for one in placed if Path(str(one.output_dir)).exists()]
    if there:
        raise ConfigError(
            f"output_dir: '{there[0]}' exists, and a finished folder is never overwritten. "
            "Choose another output_dir, or remove it first."
        )
    return placed
