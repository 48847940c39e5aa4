"""Where a scoring job writes its output, rejects and record, and what they must not overwrite."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fraudml.data.run_rows import RunTable
from fraudml.errors import ConfigError
from fraudml.scoring.checkpoint import was_moving

FORMATS = (".parquet", ".csv", ".arrow", ".ipc", ".feather")
"""The endings of an output's name, which are its format."""


@dataclass(frozen=True)
class OutputPaths:
    """The files of a job beside each other, or the tables of a database and a record.

    `output` holds the scores, or, where these go to a `table`, the record.
    """

    output: Path
    table: RunTable | None = None

    @property
    def shown(self) -> str:
        """The scores, for people."""
        return str(self.output) if self.table is None else self.table.shown

    @property
    def shown_rejects(self) -> str:
        """The rejects, for people."""
        return str(self.rejects) if self.table is None else self.rejects_table.shown

    @property
    def rejects_table(self) -> RunTable:
        """The table of the rows that cannot be scored."""
        assert self.table is not None
        return self.table.beside("_rejects")

    @property
    def rejects(self) -> Path:
        """The file of the rows that cannot be scored; written only where there are any."""
        return self.output.with_name(f"{self.output.stem}.rejects{self.output.suffix}")

    @property
    def record(self) -> Path:
        """The file that an operator reads first."""
        if self.table is not None:
            return self.output
        return self.output.with_name(f"{self.output.name}.json")


def output_paths(
    output: str | None, sources: Iterable[tuple[str, str | None]], *, overwrite: bool
) -> OutputPaths:
    """Check the config's `output` before any work is done.

    `sources` are the keys of what is read, with their paths. Raises a `ConfigError` where the
    output is not set, has an unknown ending, exists, or would be read as a part of a source.
    """
    if output is None:
        raise ConfigError("output is not set. Say where to write, as output=scores.parquet.")
    path = Path(output).expanduser()
    if path.suffix not in FORMATS:
        raise ConfigError(
            f"output is '{path}'. The format is the ending of its name: {', '.join(FORMATS)}."
        )
    for key, source in sources:
        if source is not None and _is_part_of(path.resolve(), Path(source).expanduser()):
            raise ConfigError(
                f"output: '{path}' is {key} '{source}', or would be read as a part of it. Choose "
                "another path."
            )
    if path.is_dir():
        raise ConfigError(f"output: '{path}' is a folder. Expected the name of a file.")
    if path.exists() and not overwrite and not was_moving(path):
        raise ConfigError(f"output: '{path}' exists. Set overwrite=true, or choose another name.")
    return OutputPaths(path)


def database_paths(output: str, table: str | None, record: str | None) -> OutputPaths:
    """Check `output`, `output_table` and `record` of a job whose scores go into a database.

    The record is a file on this machine; it is replaced, as the rows of the run are.
    """
    if table is None or record is None:
        missing = [k for k, v in {"output_table": table, "record": record}.items() if v is None]
        raise ConfigError(
            f"output is a database, and {' and '.join(missing)} is not set. Write: "
            "output=postgresql://host/database output_table=scores record=scores.json"
        )
    path = Path(record).expanduser()
    if path.suffix != ".json" or path.is_dir():
        raise ConfigError(f"record is '{path}'. Expected the name of a file that ends with .json.")
    return OutputPaths(path, RunTable(output, table))


def _is_part_of(output: Path, source: Path) -> bool:
    whole = source.resolve()
    if output == whole or whole in output.parents:
        return True
    if output.exists() and source.is_file():
        return output.samefile(source)
    return fnmatch.fnmatchcase(str(output), str(whole))
