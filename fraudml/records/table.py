"""The one file that a command writes: its name says the format; it is whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from fraudml.config.settings import Settings
from fraudml.errors import ConfigError
from fraudml.files import atomic_file

_ROWS_A_GROUP = 125_000


def _parquet(table: pl.DataFrame, path: Path) -> None:
    table.write_parquet(path, row_group_size=_ROWS_A_GROUP)


def _csv(table: pl.DataFrame, path: Path) -> None:
    table.write_csv(path)


def _ipc(table: pl.DataFrame, path: Path) -> None:
    table.write_ipc(path)


_WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".arrow": _ipc,
}


def output_path(settings: Settings) -> Path:
    """Return where a command writes, before any work is done.

    Raises
    ------
    ConfigError
        `output` is not set, has no ending that is known, or exists.
    """
    if settings.output is None:
        raise ConfigError("output is not set. Say where to write, as output=table.parquet.")
    path = Path(settings.output)
    if path.suffix not in _WRITERS:
        raise ConfigError(
            f"output is '{path}'. Its name ends with {', '.join(_WRITERS)}, which is the format."
        )
    if path.exists() and not settings.overwrite:
        raise ConfigError(f"output: '{path}' exists. Set overwrite=true, or choose another name.")
    return path


def write_output(table: pl.DataFrame, path: Path, settings: Settings) -> None:
    """Write a table in the format of its name, whole or not at all."""
    with atomic_file(path, overwrite=settings.overwrite) as partial:
        _WRITERS[path.suffix](table, partial)
