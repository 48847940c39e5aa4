"""Addresses of databases: recognised, shown without credentials, refused with a password.

Settings are written to `config.yaml` and shown in messages, so that a password must never be among
them: the database libraries take it from the environment.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from fraudml.errors import ConfigError

_SCHEMES = ("postgresql://", "postgres://")
_ENTRY = re.compile(r"://[^/?@]*:.+@", re.DOTALL)
_SECRETS = {"password", "sslpassword"}


def is_database(path: str | None) -> bool:
    """Whether a path or an address is a PostgreSQL database rather than a file.

    Examples
    --------
    >>> is_database("postgresql://db.bank/fraud"), is_database("cards.parquet")
    (True, False)
    """
    return path is not None and path.startswith(_SCHEMES)


def holds_password(text: str) -> bool:
    """Whether a text has an address with a password, however badly it is written.

    Examples
    --------
    >>> holds_password("postgresql://me:secret@db/fraud"), holds_password("postgresql://me@db/f")
    (True, False)
    >>> holds_password("postgresql://db/fraud?user=me&password=secret")
    True
    """
    _, scheme, rest = text.partition("://")
    if not scheme:
        return False
    options = parse_qsl(rest.partition("?")[2].rstrip("'\""), keep_blank_values=True)
    secret = any(key.strip().lower() in _SECRETS for key, _ in options)
    return secret or _ENTRY.search(scheme + rest) is not None


def refuse_password(text: str | None, key: str) -> None:
    """Raise a `ConfigError` for an address with a password, without repeating it."""
    if text is not None and holds_password(text):
        raise ConfigError(
            f"{key} holds a password, and settings are written to config.yaml. Leave it out and "
            "set PGPASSWORD, or use a ~/.pgpass file. (An @ that is no part of one is written %40.)"
        )


def refuse_password_in(override: str) -> None:
    """Raise a `ConfigError` for an argument of the command line with a password."""
    key = override.partition("=")[0]
    refuse_password(override, "An argument" if "://" in key else key)


def shown_address(uri: str) -> str:
    """Return an address without user, password and options.

    Examples
    --------
    >>> shown_address("postgresql://me@db.bank:5432/fraud?sslmode=require")
    'postgresql://db.bank:5432/fraud'
    """
    scheme, mark, rest = uri.partition("://")
    return f"{scheme}{mark}{rest.partition('?')[0].rpartition('@')[2]}"
