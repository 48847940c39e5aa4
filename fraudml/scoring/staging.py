"""What a query of a database gives, landed beside the output and then scored as any file is.

It is read anew by each process: pieces that an earlier one scored are used where the rows are the
same, by their values, and not where the database has others by now.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fraudml.addresses import shown_address
from fraudml.data.fingerprint import fingerprint
from fraudml.data.query import asked
from fraudml.data.schema import Schema
from fraudml.files import locked, machine_errors
from fraudml.scoring.columns import RequiredColumn, check_columns


@dataclass(frozen=True)
class Query:
    """A table that a database gives.

    Parameters
    ----------
    uri : str
        `postgresql://host/database`.
    sql : str, optional
        The SELECT; refused where it is not set.
    folder : Path
        Where its rows are landed.
    """

    uri: str
    sql: str | None
    folder: Path

    def __str__(self) -> str:
        return shown_address(self.uri)


@contextmanager
def landing(beside: Path) -> Iterator[Path]:
    """Give a folder for what is landed; it is gone when the block ends.

    Parameters
    ----------
    beside : Path
        What the job writes.

    Raises
    ------
    ConfigError
        Another process is using it.
    MachineError
        The place cannot be written.
    """
    folder = beside.with_name(beside.name + ".landing")
    with machine_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def land(key: str, query: Query, wants: Sequence[RequiredColumn], schema: Schema) -> str:
    """Read what a bundle wants of a query into files, and return the fingerprint of its values.

    Parameters
    ----------
    key : str
        The config key of the address; that of the query is `<key>_query`.
    query : Query
        What to read, and where to.
    wants : sequence of RequiredColumn
        What it must have; other columns stay in the database.
    schema : Schema
        The bundle's.

    Raises
    ------
    ConfigError, DataError, MachineError
        As `asked` and `check_columns`; the disk is full.
    """
    digest = hashlib.sha256()
    with asked(query.uri, query.sql, schema.roles, (key, f"{key}_query")) as answer:
        there = [want.column for want in wants if want.column in answer.schema]
        answer.check(there)
        found = {name: dtype for name, dtype in answer.schema.items() if dtype is not None}
        check_columns(wants, found, schema, f"{key} {answer.place}", text=False)
        with machine_errors(query.folder):
            shutil.rmtree(query.folder, ignore_errors=True)
            query.folder.mkdir()
            for number, frame in enumerate(answer.frames(there)):
                digest.update(fingerprint(frame).encode())
                frame.write_parquet(query.folder / f"{number:08d}.parquet")
    return f"sha256:{digest.hexdigest()}"
