"""Names and values of a table as text for people: characters that control a screen are shown.

A column may be called, and hold, anything. Whatever writes for people passes its text through here.
"""

from __future__ import annotations

import logging
import re

_ASCII = "\x00-\x09\x0b-\x1f\x7f-\x9f"
_MARKS = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_HALVES = "\ud800-\udfff"
"""Control characters but for the newline; marks that reverse a text; halves of characters."""

_IN_LINES = re.compile(f"[{_ASCII}{_MARKS}{_HALVES}]")
_IN_TEXT = re.compile(f"[\n{_ASCII}{_MARKS}{_HALVES}]")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text with control characters written as `\x1b` or `\u202e`; `lines` keeps newlines.

    Examples
    --------
    >>> print(printable("amount\x1b[31m"))
    amount\x1b[31m
    """
    pattern = _IN_LINES if lines else _IN_TEXT
    return pattern.sub(_escape, text) if pattern.search(text) else text


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class PrintableFormatter(logging.Formatter):
    """Formats log records with their control characters shown."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return printable(super().format(record), lines=True)
