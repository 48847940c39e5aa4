"""A query of a database into frames: in one snapshot, some rows at a time, with exact types."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from fraudml.addresses import shown_address
from fraudml.data.database import connected
from fraudml.data.settings import ColumnRoles
from fraudml.errors import ConfigError, DataError, all_problems, listing

if TYPE_CHECKING:
    from psycopg import Connection

ROWS_AT_A_TIME = 100_000

_ORDER = re.compile(r"\border\s+by\b", re.IGNORECASE)
_MOMENT = pl.Datetime("us")
_PLAIN: dict[str, pl.DataType] = {
    "bool": pl.Boolean(),
    "int2": pl.Int16(),
    "int4": pl.Int32(),
    "int8": pl.Int64(),
    "float4": pl.Float32(),
    "float8": pl.Float64(),
    "numeric": pl.Float64(),
    "date": pl.Date(),
    "timestamp": _MOMENT,
    "timestamptz": pl.Datetime("us", "UTC"),
    "uuid": pl.String(),
}
_SQL = {pl.Float64(): "{}::float8", pl.String(): "{}::text"}
_TEXT_CATEGORIES = "SE"  # strings and enumerations
_READ_AS = (pl.Int16, pl.Int32, pl.Int64, pl.Float32, pl.Float64)


@dataclass(frozen=True)
class Answer:
    """What a query gives, within its transaction.

    Parameters
    ----------
    connection : Connection
        psycopg's.
    sql : str
        The query.
    place : str
        How messages call it.
    types : dict
        The database's name of each column's type, in the order of the query.
    schema : dict
        Its type in polars; None where there is none.
    """

    connection: Connection
    sql: str
    place: str
    types: dict[str, str]
    schema: dict[str, pl.DataType | None]

    def check(self, columns: Collection[str]) -> pl.Schema:
        """Return the types of columns, after a look for those that cannot be read.

        Raises
        ------
        DataError
            Arrays, JSON, intervals and the like; all of them are named.
        """
        problems = [
            f"column '{name}' is of type {self.types[name]} in {self.place}. Expected a number, a "
            "boolean, text, a date or a timestamp. Convert it in the query, or leave it out."
            for name in columns
            if self.schema[name] is None
        ]
        if problems:
            raise DataError(all_problems(f"{len(problems)} columns cannot be read.", problems))
        return pl.Schema({name: self.schema[name] or pl.Null() for name in columns})

    def frames(self, columns: Sequence[str], rows: int = ROWS_AT_A_TIME) -> Iterator[pl.DataFrame]:
        """Read columns, exactly so many rows at a time; at least one frame, perhaps empty.

        Parameters
        ----------
        columns : sequence of str
            Which ones.
        rows : int
            How many rows are in memory at a time.
        """
        schema = self.check(columns)
        wanted = [_expression(name, dtype) for name, dtype in schema.items()]
        # The number in front keeps a row of one missing value from being an empty line.
        copy = f"COPY (SELECT 1, {', '.join(wanted)} FROM ({self.sql}\n) AS given) TO STDOUT CSV"
        with self.connection.cursor() as cursor, cursor.copy(copy.encode()) as copied:
            lines = iter(copied)  # the protocol gives one row at a time
            for number in itertools.count():
                text = b"".join(bytes(line) for line in itertools.islice(lines, rows))
                if not text and number:
                    return
                yield self._parse(text, schema)

    def _parse(self, text: bytes, schema: pl.Schema) -> pl.DataFrame:
        if not text:
            return pl.DataFrame(schema=schema)
        given = {
            f"{position}": dtype if isinstance(dtype, _READ_AS) else pl.String()
            for position, dtype in enumerate(schema.values(), 1)
        }
        try:
            frame = pl.read_csv(
                io.BytesIO(text), has_header=False, schema={"0": pl.Int8(), **given}
            )
            columns = [
                _typed(pl.col(f"{position}"), dtype).alias(name)
                for position, (name, dtype) in enumerate(schema.items(), 1)
            ]
            return frame.select(columns)
        except pl.exceptions.PolarsError as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(
                f"{self.place} has a value that cannot be read: {reason}. Moments such as "
                "'infinity' or before the year 1 cannot be held: convert them in the query."
            ) from error


def _expression(name: str, dtype: pl.DataType) -> str:
    quoted = '"{}"'.format(name.replace('"', '""'))
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return f"{quoted} AT TIME ZONE 'UTC'"
    return _SQL.get(dtype, "{}").format(quoted)


def _typed(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Read what PostgreSQL writes of a type that has no digits alone."""
    if dtype == pl.Boolean:
        return text == "t"
    if dtype == pl.Date:
        return text.str.to_date("%Y-%m-%d")
    if isinstance(dtype, pl.Datetime):
        read = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us")
        return read if dtype.time_zone is None else read.dt.replace_time_zone(dtype.time_zone)
    return text


@contextmanager
def asked(
    uri: str, query: str | None, roles: ColumnRoles, keys: tuple[str, str]
) -> Iterator[Answer]:
    """Ask a database a query, in one transaction that sees one state and writes nothing.

    Parameters
    ----------
    uri : str
        `postgresql://host/database`.
    query : str, optional
        One SELECT that ends with an ORDER BY, as rows come in any order otherwise.
    roles : ColumnRoles
        Exact numbers of `id`, `entity` and `categorical` come as text; others as float64.
    keys : tuple of str
        The config keys of the address and of the query.

    Raises
    ------
    ConfigError
        The query is not set, has no order, or cannot be parsed.
    DataError
        Two columns have the same name, or the query asks for what is not there.
    MachineError
        As `connected`.
    """
    key, query_key = keys
    sql = _checked(query, key, query_key)
    with connected(uri, key) as connection:
        import psycopg

        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET LOCAL DateStyle = 'ISO'")
        types = _types(connection, sql)
        twice = sorted({name for name, _ in types if [each for each, _ in types].count(name) > 1})
        if twice:
            raise DataError(
                f"{query_key} gives several columns of the name {listing(twice)}. Rename all but "
                "one: SELECT a.id, b.id AS other_id."
            )
        text = {roles.id, roles.entity, *roles.categorical}
        schema = {
            name: pl.String() if native[0] == "numeric" and name in text else _dtype(*native)
            for name, native in types
        }
        place = f"'{shown_address(uri)}'"
        yield Answer(connection, sql, place, {n: native[0] for n, native in types}, schema)


def _checked(query: str | None, key: str, query_key: str) -> str:
    if query is None:
        raise ConfigError(
            f"{key} is a database, and {query_key} is not set. Say what to read, as "
            f"{query_key}='SELECT * FROM cards ORDER BY id'."
        )
    if not _ORDER.search(query):
        raise ConfigError(
            f"{query_key} has no ORDER BY: a database gives rows in any order, and the same rows "
            "must come in the same one. End it with ORDER BY and columns that are unique together."
        )
    return query.strip().rstrip(";")


def _types(connection: Connection, sql: str) -> list[tuple[str, tuple[str, str]]]:
    """Return the columns of a query, each with the name and the category of its type."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({sql}\n) AS given LIMIT 0".encode())
        columns = [(column.name, column.type_code) for column in cursor.description or ()]
        cursor.execute(
            "SELECT oid::bigint, typname, typcategory::text FROM pg_type WHERE oid = ANY(%s)",
            [[oid for _, oid in columns]],
        )
        known = {oid: (name, category) for oid, name, category in cursor.fetchall()}
    return [(name, known[oid]) for name, oid in columns]


def _dtype(name: str, category: str) -> pl.DataType | None:
    return pl.String() if category in _TEXT_CATEGORIES else _PLAIN.get(name)
