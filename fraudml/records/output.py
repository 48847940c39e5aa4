"""The one file that a command writes: its suffix is the format; it appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from fraudml.config.settings import Settings
from fraudml.errors import ConfigError
from fraudml.files import atomic_file

_GROUP_ROWS = 125_000

_WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    ".parquet": lambda table, path: table.write_parquet(path, row_group_size=_GROUP_ROWS),
    ".csv": lambda table, path: table.write_csv(path),
    ".arrow": lambda table, path: table.write_ipc(path),
}


def output_path(settings: Settings) -> Path:
    """Return where a command writes, checked before any work is done."""
    if settings.output is None:
        raise ConfigError("output is not set. Set where to write, as output=table.parquet.")
    path = Path(settings.output)
    if path.suffix not in _WRITERS:
        raise ConfigError(
            f"output is '{path}'. Its name ends with {', '.join(_WRITERS)}, which is the format."
        )
    if path.exists() and not settings.overwrite:
        raise ConfigError(f"output: '{path}' exists. Set overwrite=true, or choose another name.")
    return path


def write_output(table: pl.DataFrame, path: Path, settings: Settings) -> None:
    """Write a table in the format of its suffix."""
    with atomic_file(path, overwrite=settings.overwrite) as partial:
        _WRITERS[path.suffix](table, partial)
