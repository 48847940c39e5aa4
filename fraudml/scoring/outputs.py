"""Where a scoring job writes: the output, its rejects and its record, and what they must not be."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fraudml.data.run_rows import RunTable
from fraudml.errors import ConfigError
from fraudml.scoring.checkpoint import was_moving

FORMATS = (".parquet", ".csv", ".arrow", ".ipc", ".feather")
"""How the name of an output may end, which is its format."""


@dataclass(frozen=True)
class Places:
    """What a job writes: files beside each other, or tables of a database and a record.

    Parameters
    ----------
    output : Path
        The scores; of a database the record, beside which unfinished work is kept.
    table : RunTable, optional
        Where the scores go instead.
    """

    output: Path
    table: RunTable | None = None

    @property
    def shown(self) -> str:
        """Where the scores are, for people."""
        return str(self.output) if self.table is None else self.table.shown

    @property
    def shown_rejects(self) -> str:
        """Where the rejects are, for people."""
        return str(self.rejects) if self.table is None else self.rejects_table.shown

    @property
    def rejects_table(self) -> RunTable:
        """The table of the rows that cannot be scored."""
        assert self.table is not None
        return self.table.beside("_rejects")

    @property
    def rejects(self) -> Path:
        """The rows that cannot be scored; there only where there are any."""
        return self.output.with_name(f"{self.output.stem}.rejects{self.output.suffix}")

    @property
    def record(self) -> Path:
        """What an operator looks at first."""
        if self.table is not None:
            return self.output
        return self.output.with_name(f"{self.output.name}.json")


def output_places(
    output: str | None, sources: Iterable[tuple[str, str | None]], *, overwrite: bool
) -> Places:
    """Check where a job is to write, before any work is done.

    Parameters
    ----------
    output : str, optional
        The config's `output`.
    sources : iterable of (str, str)
        The keys of what is read, with their paths.
    overwrite : bool
        Whether it may replace a file that exists.

    Raises
    ------
    ConfigError
        It is not set, has an ending that is not known, exists, or is or would become a part of
        what is read.
    """
    if output is None:
        raise ConfigError("output is not set. Say where to write, as output=scores.parquet.")
    path = Path(output).expanduser()
    if path.suffix not in FORMATS:
        raise ConfigError(
            f"output is '{path}'. Its name ends with {', '.join(FORMATS)}, which is the format."
        )
    for key, source in sources:
        if source is not None and _is_part_of(path.resolve(), Path(source).expanduser()):
            raise ConfigError(
                f"output: '{path}' is {key} '{source}', or would be read as a part of it. Choose "
                "another place."
            )
    if path.is_dir():
        raise ConfigError(f"output: '{path}' is a folder. Expected the name of a file.")
    if path.exists() and not overwrite and not was_moving(path):
        raise ConfigError(f"output: '{path}' exists. Set overwrite=true, or choose another name.")
    return Places(path)


def database_places(output: str, table: str | None, record: str | None) -> Places:
    """Check where a job writes whose scores go into a database.

    Parameters
    ----------
    output : str
        The config's `output`, an address.
    table : str, optional
        Its `output_table`.
    record : str, optional
        Its `record`: a file on this machine, which is replaced, as the rows of the run are.

    Raises
    ------
    ConfigError
        One of them is not set, or is no name of a table or of a record.
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
    return Places(path, RunTable(output, table))


def _is_part_of(output: Path, source: Path) -> bool:
    whole = source.resolve()
    if output == whole or whole in output.parents:
        return True
    if output.exists() and source.is_file():
        return output.samefile(source)
    return fnmatch.fnmatchcase(str(output), str(whole))
