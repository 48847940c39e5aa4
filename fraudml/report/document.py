"""A report as sections of text, tables and plots; `html` and `markdown` write the same document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fraudml.report.chart import Chart


@dataclass(frozen=True)
class Text:
    """A paragraph; `lead` marks the one that everybody reads."""

    words: str
    lead: bool = False


@dataclass(frozen=True)
class Notice:
    """A warning with its lines."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table; the first column names a row, the others hold numbers or, in `words`, text."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plot:
    """A plot with its title, a description in words, and its numbers as a table."""

    title: str
    description: str
    chart: Chart
    table: Table


@dataclass(frozen=True)
class Code:
    """Commands to copy."""

    text: str


Block = Text | Notice | Table | Plot | Code


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A report; `opening` stands before the first heading, sections without blocks are left out."""

    title: str
    subtitle: str
    opening: tuple[Block, ...]
    sections: Sequence[Section]

    @property
    def filled(self) -> list[Section]:
        """The sections that have blocks."""
        return [section for section in self.sections if section.blocks]
