"""How the table that ends a command on the terminal is laid out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Row = tuple[str, ...]


class ClosingTable(NamedTuple):
    """A title, rows of cells of which the first says what a row is about, and perhaps a header."""

    title: str
    rows: list[Row]
    header: Row = ()


def closing_table(
    title: str, rows: Iterable[Row], header: Row = (), *, folder: str | None = None
) -> ClosingTable:
    """Lay out a closing table; where everything was written comes last, or with the title."""
    lines = list(rows)
    if folder is not None and header:
        title += f"; written to {folder}"
    elif folder is not None:
        lines.append(("written to", folder))
    return ClosingTable(title, lines, header)
