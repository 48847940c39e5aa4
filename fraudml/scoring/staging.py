"""The result of a database query, staged as files beside the output and then scored as files are.

Each process queries anew: chunks that an earlier one scored are used where the rows have the same
values, and not where the database has changed.
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
    """A table of a database: its address, the SELECT (refused where None), where it is staged."""

    uri: str
    sql: str | None
    folder: Path

    def __str__(self) -> str:
        return shown_address(self.uri)


@contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """Lock a folder beside the output for staged rows; it is removed when the block ends."""
    folder = output.with_name(output.name + ".staging")
    with machine_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def stage(key: str, query: Query, columns: Sequence[RequiredColumn], schema: Schema) -> str:
    """Write the required columns of a query into files; return the fingerprint of their values.

    `key` is the config key of the address; that of the query is `<key>_query`.
    """
    digest = hashlib.sha256()
    with asked(query.uri, query.sql, schema.roles, (key, f"{key}_query")) as answer:
        names = [column.name for column in columns if column.name in answer.schema]
        answer.check(names)
        types = {name: dtype for name, dtype in answer.schema.items() if dtype is not None}
        check_columns(columns, types, schema, f"{key} {answer.place}", text=False)
        with machine_errors(query.folder):
            shutil.rmtree(query.folder, ignore_errors=True)
            query.folder.mkdir()
            for number, frame in enumerate(answer.frames(names)):
                digest.update(fingerprint(frame).encode())
                frame.write_parquet(query.folder / f"{number:08d}.parquet")
    return f"sha256:{digest.hexdigest()}"
