"""PostgreSQL: a connection, and what its errors mean. psycopg is touched here and in its neighbours
`query`, which reads, and `run_rows`, which writes.

Who may enter comes from the environment alone (PGUSER, PGPASSWORD, PGPASSFILE, PGSERVICE …).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fraudml.addresses import refuse_password, shown_address
from fraudml.errors import ConfigError, DataError, MachineError

if TYPE_CHECKING:
    from psycopg import Connection

_DEFAULTS = {
    "fallback_application_name": "fraudml",
    "client_encoding": "UTF8",
    # A server that vanished without a word is noticed in two minutes rather than in hours.
    "keepalives_idle": "60",
    "keepalives_interval": "10",
    "keepalives_count": "6",
}


@contextmanager
def connected(uri: str, key: str) -> Iterator[Connection]:
    """Give a connection to a database; what goes wrong with it is said in fraudml's errors.

    Parameters
    ----------
    uri : str
        `postgresql://host/database`, without a password.
    key : str
        The config key that names it, for messages.

    Yields
    ------
    Connection
        psycopg's. It is closed at the end, and what was not committed is gone.

    Raises
    ------
    ConfigError
        The extra is missing, the address is none, or the SQL cannot be parsed.
    DataError
        A table, a column or a value is not what the SQL wants.
    MachineError
        The database cannot be reached, went away, is full, or gives no permission.
    """
    refuse_password(uri, key)
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict, make_conninfo
    except ImportError as error:
        raise ConfigError(
            f"{key} is a PostgreSQL database, which needs the extra [postgres]: {error}. Install "
            "it: pip install 'fraudml[postgres]'"
        ) from error
    try:
        where = make_conninfo("", **{**_DEFAULTS, **conninfo_to_dict(uri)})
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            f"{key} is no address of a database: {_first_line(error)}. It is like "
            "postgresql://host/database."
        ) from error
    try:
        connection = psycopg.connect(where)
    except psycopg.Error as error:
        raise MachineError(
            f"{key}: the database '{shown_address(uri)}' cannot be reached: {_first_line(error)}. "
            "Start it, or check PGUSER, PGPASSWORD and the network, then run the same command "
            "again."
        ) from error
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        raise _in_our_words(error, uri, key) from error


def _in_our_words(error: Exception, uri: str, key: str) -> ConfigError | DataError | MachineError:
    import psycopg

    where, reason = f"{key}: the database '{shown_address(uri)}'", _first_line(error)
    if isinstance(error, psycopg.errors.SyntaxError):
        return ConfigError(f"{where} cannot read the SQL: {reason}. Correct it.")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return MachineError(f"{where} does not allow it: {reason}. Grant it, then run it again.")
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return MachineError(
            f"{where} may only be read: {reason}. Name the primary, then try again."
        )
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return MachineError(
            f"{where} failed: {reason}. Nothing of it was written. Run the same command again when "
            "it is back."
        )
    return DataError(f"{where} refused: {reason}. Correct the query, the table or the values.")


def _first_line(error: Exception) -> str:
    """The first line of an error, which has no values of the connection's secrets."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
