"""The rows of a run in tables of a database: replaced in one transaction, or left as they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from fraudml.addresses import shown_address
from fraudml.data.database import connected
from fraudml.errors import ConfigError, DataError, all_problems

if TYPE_CHECKING:
    from psycopg import Connection

RUN = "run_id"
"""The column that says which run a row is of."""

_TEXT = ("text", "character varying")
_WHOLE = ("bigint", "integer", "smallint", "numeric", *_TEXT)
_TAKES = {
    "double precision": ("double precision", "numeric"),
    "text": _TEXT,
    "bigint": _WHOLE,
    "numeric": ("numeric", *_TEXT),
}
"""Types of a table that is there already which hold the values of ours; each holds its own."""

_COLUMNS = """
SELECT attname, format_type(atttypid, NULL),
       attnotnull AND NOT atthasdef AND attidentity = '' AND attgenerated = ''
FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True)
class RunTable:
    """A table in a database that takes the rows of runs.

    Parameters
    ----------
    uri : str
        `postgresql://host/database`.
    name : str
        `table` or `schema.table`, in these very letters.
    """

    uri: str
    name: str

    def __post_init__(self) -> None:
        parts = self.name.split(".")
        if len(parts) > 2 or not all(parts):
            raise ConfigError(f"output_table is '{self.name}'. It is 'table' or 'schema.table'.")

    @property
    def shown(self) -> str:
        """How messages call it."""
        return f"{self.name} in {shown_address(self.uri)}"

    def beside(self, suffix: str) -> RunTable:
        """The table of the same name with something added."""
        return RunTable(self.uri, self.name + suffix)


def check_run_table(table: RunTable, schema: Mapping[str, pl.DataType]) -> None:
    """Check that a table can take rows, before they are made; one that is not there can.

    Parameters
    ----------
    table : RunTable
        Where they will go.
    schema : mapping
        Their columns.

    Raises
    ------
    DataError
        It has other columns: those that it lacks, that are of other types, or that it must have.
    ConfigError, MachineError
        As `connected`.
    """
    with connected(table.uri, "output") as connection:
        _check(connection, table, _wanted(schema))


def replace_rows(
    tables: Mapping[RunTable, tuple[pl.LazyFrame, bool]], run_id: str, rows: int
) -> None:
    """Put the rows of a run in place of those it had, in one transaction for all tables.

    Parameters
    ----------
    tables : mapping
        By table of one database, its rows, and whether it is made where it is not there.
    run_id : str
        The run, which is written beside each row.
    rows : int
        How many are in memory at a time.

    Raises
    ------
    ConfigError, DataError, MachineError
        As `check_run_table`; a value that the table does not take. Nothing is changed then.
    """
    first = next(iter(tables))
    with connected(first.uri, "output") as connection:
        import psycopg

        # Each statement sees what was committed before it, whatever the role's default is.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        for table in tables:
            # One writer of a table at a time: of two that write one run, the later must see, and
            # take away, what the earlier one wrote.
            connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"fraudml {table.name}"]
            )
        for table, (frame, created) in tables.items():
            schema = _wanted(frame.collect_schema())
            if not _check(connection, table, schema):
                if not created:
                    continue
                _make(connection, table, schema)
            _forget(connection, table, run_id)
            _copy(connection, table, _pieces(frame, run_id, rows), list(schema))


def _wanted(schema: Mapping[str, pl.DataType]) -> dict[str, str]:
    if RUN in schema:
        raise DataError(f"column '{RUN}' is the id, and names the run. Rename it before training.")
    return {RUN: "text", **{name: _type(dtype) for name, dtype in schema.items()}}


def _type(dtype: pl.DataType) -> str:
    """The type of PostgreSQL that holds every value of ours."""
    if isinstance(dtype, pl.Datetime):
        return f"timestamp with{'out' if dtype.time_zone is None else ''} time zone"
    if dtype == pl.UInt64 or dtype.is_decimal():
        return "numeric"
    if dtype.is_integer():
        return "bigint"
    others = {pl.Float32: "real", pl.Float64: "double precision", pl.Boolean: "boolean"}
    return {**others, pl.Date: "date"}.get(type(dtype), "text")


def _check(connection: Connection, table: RunTable, wanted: Mapping[str, str]) -> bool:
    """Whether the table is there; it is refused if it does not fit."""
    present = connection.execute(_COLUMNS, [_quoted(table)]).fetchall()
    types = {name: dtype for name, dtype, _ in present}
    if not types:
        return False
    problems = [
        f"it has no column '{name}' ({dtype})"
        for name, dtype in wanted.items()
        if name not in types
    ]
    problems += [
        f"its column '{name}' is {types[name]}, and the values are {dtype}"
        for name, dtype in wanted.items()
        if name in types and types[name] not in (dtype, *_TAKES.get(dtype, ()))
    ]
    problems += [
        f"its column '{name}' must have a value, and there is none"
        for name, _, must in present
        if must and name not in wanted
    ]
    if problems:
        heading = (
            f"output_table '{table.shown}' is not one of these scores. Choose another output_table "
            "(it is made where it is not there), or alter this one."
        )
        raise DataError(all_problems(heading, ["", *problems] if len(problems) == 1 else problems))
    return True


def _make(connection: Connection, table: RunTable, schema: Mapping[str, str]) -> None:
    columns = ", ".join(f"{_name(name)} {dtype}" for name, dtype in schema.items())
    connection.execute(f"CREATE TABLE {_quoted(table)} ({columns})".encode())
    connection.execute(f"CREATE INDEX ON {_quoted(table)} ({_name(RUN)})".encode())


def _pieces(frame: pl.LazyFrame, run_id: str, rows: int) -> Iterator[pl.DataFrame]:
    run = pl.lit(run_id).alias(RUN)
    yield from frame.select(run, pl.all()).collect_batches(
        chunk_size=rows, maintain_order=True, engine="streaming"
    )


def _copy(
    connection: Connection, table: RunTable, pieces: Iterable[pl.DataFrame], columns: Sequence[str]
) -> None:
    into = f"COPY {_quoted(table)} ({', '.join(map(_name, columns))}) FROM STDIN CSV"
    with connection.cursor() as cursor, cursor.copy(into.encode()) as copy:
        for piece in pieces:
            # Missing values are nothing at all, and empty text two quotes: as COPY has it.
            copy.write(piece.write_csv(include_header=False, quote_style="non_numeric").encode())


def _forget(connection: Connection, table: RunTable, run_id: str) -> None:
    named = _quoted(table).replace("%", "%%")  # as psycopg reads a statement with values
    connection.execute(f"DELETE FROM {named} WHERE {_name(RUN)} = %s".encode(), [run_id])


def _quoted(table: RunTable) -> str:
    return ".".join(map(_name, table.name.split(".")))


def _name(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
