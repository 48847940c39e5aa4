"""--multirun: every combination of values, each in a folder of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudml.cli import terminal
from fraudml.cli.arguments import ParsedArgs
from fraudml.cli.runner import command_settings, exit_code_of, run_command
from fraudml.errors import ConfigError

if TYPE_CHECKING:
    from fraudml.config.settings import Settings


def multirun(parsed: ParsedArgs, progress: Callable[[], Any]) -> int:
    """Run every combination in order; the exit code is the first that is not 0."""
    from fraudml.config.overrides import expand

    runs = expand(parsed.overrides, config_dir=parsed.config_dir)
    settings = _with_folders([command_settings(parsed, overrides) for overrides in runs])
    differs = [len(set(column)) > 1 for column in zip(*runs, strict=True)]
    rows: list[tuple[str, ...]] = []
    codes: list[int] = []
    for number, (overrides, each) in enumerate(zip(runs, settings, strict=True)):
        terminal.write(f"run {number} of {len(runs)}: {' '.join(overrides)}", error=True)
        work = functools.partial(run_command, parsed.command, each, progress)
        codes.append(exit_code_of(work))
        varied = (text for text, varies in zip(overrides, differs, strict=True) if varies)
        rows.append((str(number), " ".join(varied), str(codes[-1]), str(each.output_dir)))
    terminal.table(f"{len(runs)} runs", rows, ("run", "overrides", "exit", "folder"))
    return next((code for code in codes if code), 0)


def _with_folders(settings: list[Settings]) -> list[Settings]:
    """Give each run its own folder under one parent, before any of them starts."""
    parent = Path("runs", f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{settings[0].run_name}_multirun")
    folders = [Path(each.output_dir or parent, str(n)) for n, each in enumerate(settings)]
    existing = next((folder for folder in folders if folder.exists()), None)
    if existing is not None:
        raise ConfigError(
            f"output_dir: '{existing}' exists, and a finished folder is never overwritten. Choose "
            "another output_dir, or remove it first."
        )
    return [
        replace(each, output_dir=str(folder))
        for each, folder in zip(settings, folders, strict=True)
    ]
