"""Writes a document as Markdown: a model card for a repository; tables stand for the plots."""

from __future__ import annotations

import re

from fraudml.printable import printable
from fraudml.report.document import Block, Code, Document, Notice, Plot, Table, Text
from fraudml.report.escape import escape


def to_markdown(document: Document) -> str:
    """Return the document as Markdown; markup inside texts is escaped."""
    parts = [f"# {_plain(document.title)}", _plain(document.subtitle)]
    parts += [_block(block) for block in document.opening]
    for section in document.filled:
        parts += [f"## {_plain(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Escape what Markdown or the HTML in it would take as markup."""
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", escape(text, quote=False))


def _block(block: Block) -> str:
    match block:
        case Text():
            return _plain(block.words)
        case Notice():
            lines = "\n".join(f"> - {_plain(line)}" for line in block.lines)
            return f"> **{_plain(block.title)}**\n>\n{lines}"
        case Code():
            fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", block.text) or [""]))
            return f"{fence}bash\n{printable(block.text, lines=True)}\n{fence}"
        case Plot():
            return (
                f"### {_plain(block.title)}\n\n{_plain(block.description)}\n\n{_table(block.table)}"
            )
        case Table():
            return f"{_plain(block.caption)}:\n\n{_table(block)}"


def _table(table: Table) -> str:
    rule = ["---" if i == 0 or i in table.words else "--:" for i in range(len(table.header))]
    rows = [map(_plain, table.header), rule, *(map(_plain, row) for row in table.rows)]
    return "\n".join(f"| {' | '.join(' '.join(cell.split()) for cell in row)} |" for row in rows)
