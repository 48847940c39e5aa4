"""Addresses of databases: what is one, how it is shown, and that it holds no password.

Settings are written to `config.yaml` and shown in messages, so that a password must never be among
them: the libraries of the databases take it from the environment.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from fraudml.errors import ConfigError

_SCHEMES = ("postgresql://", "postgres://")
_ENTRY = re.compile(r"://[^/?@]*:.+@", re.DOTALL)
_SECRETS = {"password", "sslpassword"}


def is_database(place: str | None) -> bool:
    """Whether a place is a PostgreSQL database rather than a file.

    Parameters
    ----------
    place : str, optional
        A path or an address.

    Examples
    --------
    >>> is_database("postgresql://db.bank/fraud"), is_database("cards.parquet")
    (True, False)
    """
    return place is not None and place.startswith(_SCHEMES)


def holds_password(text: str) -> bool:
    """Whether a text has an address with a password, however badly it is written.

    Parameters
    ----------
    text : str
        An address, or an override that may hold one.

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
    asked = parse_qsl(rest.partition("?")[2].rstrip("'\""), keep_blank_values=True)
    named = any(key.strip().lower() in _SECRETS for key, _ in asked)
    return named or _ENTRY.search(scheme + rest) is not None


def refuse_password(text: str | None, key: str) -> None:
    """Refuse an address with a password, without repeating it.

    Parameters
    ----------
    text : str, optional
        As for `holds_password`.
    key : str
        The config key that has it.

    Raises
    ------
    ConfigError
        It holds one.
    """
    if text is not None and holds_password(text):
        raise ConfigError(
            f"{key} holds a password, and settings are written to config.yaml. Leave it out and "
            "set PGPASSWORD, or use a ~/.pgpass file. (An @ that is no part of one is written %40.)"
        )


def refuse_password_in(override: str) -> None:
    """Refuse a word of the command line that has an address with a password.

    Parameters
    ----------
    override : str
        `key=value`, or anything else that stands there.

    Raises
    ------
    ConfigError
        It has one.
    """
    key = override.partition("=")[0]
    refuse_password(override, "An argument" if "://" in key else key)


def shown_address(uri: str) -> str:
    """Write an address without who may enter it, and without its options.

    Parameters
    ----------
    uri : str
        The address of a database.

    Examples
    --------
    >>> shown_address("postgresql://me@db.bank:5432/fraud?sslmode=require")
    'postgresql://db.bank:5432/fraud'
    """
    scheme, mark, rest = uri.partition("://")
    return f"{scheme}{mark}{rest.partition('?')[0].rpartition('@')[2]}"
