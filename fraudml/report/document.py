"""What a report is made of, whatever it is written as: sections of text, tables and plots.

`html` and `markdown` write the same document, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fraudml.report.chart import Chart


@dataclass(frozen=True)
class Text:
    """A paragraph of plain words.

    Parameters
    ----------
    words : str
        Escaped where it is written.
    lead : bool
        Whether it is the one that everybody reads.
    """

    words: str
    lead: bool = False


@dataclass(frozen=True)
class Notice:
    """Something that must not be passed over.

    Parameters
    ----------
    title : str
        What it is.
    lines : tuple of str
        What it says.
    """

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table; the first column is what a row is about, the others are numbers or words.

    Parameters
    ----------
    caption : str
        What it shows.
    header : tuple of str
        One name a column.
    rows : tuple of tuple of str
        The cells.
    words : tuple of int
        Columns besides the first that hold words, and are set as such.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plot:
    """A plot with its title, what it shows in words, and its numbers as a table.

    Parameters
    ----------
    title, description : str
        For those who see it, and those who do not.
    chart : Chart
        What is drawn.
    table : Table
        The same in numbers.
    """

    title: str
    description: str
    chart: Chart
    table: Table


@dataclass(frozen=True)
class Code:
    """Commands, to be copied."""

    text: str


Block = Text | Notice | Table | Plot | Code


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading.

    Parameters
    ----------
    title : str
        The heading.
    blocks : tuple of Block
        In order.
    """

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A report.

    Parameters
    ----------
    title : str
        What it is about.
    subtitle : str
        The kind of report, and on what.
    opening : tuple of Block
        What stands before the first heading.
    sections : sequence of Section
        In order; one without blocks is left out.
    """

    title: str
    subtitle: str
    opening: tuple[Block, ...]
    sections: Sequence[Section]

    @property
    def filled(self) -> list[Section]:
        """The sections that have something to say."""
        return [section for section in self.sections if section.blocks]
