"""The tables that scoring reads, in pieces of bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from fraudml.data.delimited import TextFile, read_text
from fraudml.data.fingerprint import fingerprint_files
from fraudml.data.read import holds_text, reading, scan_table, table_files
from fraudml.data.schema import Schema
from fraudml.data.settings import ColumnRoles, CsvSettings, DataSettings
from fraudml.errors import ConfigError, DataError
from fraudml.scoring.columns import RequiredColumn, check_columns
from fraudml.scoring.rows import MOMENT, REASON, RowValidator
from fraudml.scoring.staging import Query, land


@dataclass(frozen=True)
class Source:
    """A table on disk whose columns are those that a bundle wants.

    Parameters
    ----------
    key : str
        The config key that names it.
    settings : DataSettings
        Where it is, and how text is written.
    files : sequence of Path
        What it is made of.
    scan : LazyFrame
        Its columns.
    sorter : RowValidator
        What reads its values.
    landed : str, optional
        The fingerprint of its values, where it was landed from a database.
    """

    key: str
    settings: DataSettings
    files: Sequence[Path]
    scan: pl.LazyFrame
    sorter: RowValidator
    landed: str | None = None

    def count(self) -> int:
        """Return how many rows there are."""
        with in_words_of(self.key), reading(self.settings):
            counted = self.scan.select(pl.len()).collect(engine="streaming")
        return int(counted.item())

    def fingerprint(self) -> str:
        """Hash the bytes of the files, or, of a database, the values that it gave."""
        return self.landed or fingerprint_files(self.files)

    def frames(
        self, rows: int, columns: Sequence[RequiredColumn] | None = None
    ) -> Iterator[pl.DataFrame]:
        """Read the values, some rows at a time, in their order; at least one frame, perhaps empty.

        Parameters
        ----------
        rows : int
            About how many rows a frame has.
        columns : sequence of RequiredColumn, optional
            Which columns; all by default.
        """
        sorter = self.sorter if columns is None else replace(self.sorter, wants=columns)
        with in_words_of(self.key), reading(self.settings):
            first, given = 0, False
            for frame in self._batches(sorter.columns, rows):
                yield sorter.read(frame, first)
                first, given = first + frame.height, True
        if not given:
            yield sorter.read(self.scan.select(sorter.columns).head(0).collect())

    def _batches(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """Read some rows at a time; polars' own batches run ahead of whoever is slower than it."""
        if self.sorter.csv is not None:  # text cannot be entered in the middle
            opened = [TextFile.open(path, self.settings.csv) for path in self.files]
            for frame in read_text(opened, self.scan.collect_schema().names()):
                yield frame.select(columns)
            return
        scan = self.scan.select(columns)
        step = max(rows, _SLICE)
        for start in itertools.count(0, step):
            piece = scan.slice(start, step).collect(engine="streaming")
            for first in range(0, piece.height, rows):
                yield piece[first : first + rows]
            if piece.height < step:
                return


_SLICE = 125_000


@contextmanager
def in_words_of(key: str) -> Iterator[None]:
    """Let an error speak of the key that names the table, where reading says `data.path`."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise type(error)(str(error).replace("data.path", key)) from error


def open_source(
    key: str, path: str | Query, wants: Sequence[RequiredColumn], schema: Schema, csv: CsvSettings
) -> Source:
    """Find a table, and check that it has the columns that are wanted; land it from a database.

    Parameters
    ----------
    key : str
        The config key that names it.
    path : str or Query
        A file, a folder or a glob, or what a database is asked.
    wants : sequence of RequiredColumn
        What it must have.
    schema : Schema
        The bundle's.
    csv : CsvSettings
        How it is written, where it is text.

    Raises
    ------
    ConfigError, DataError
        As in `table_files`, `scan_table`, `check_columns` and `land`.
    MachineError
        As in `land`.
    """
    landed = None
    if isinstance(path, Query):
        landed = land(key, path, wants, schema)
        path = str(path.folder)
    excluded = ColumnRoles(label=schema.roles.label, exclude=schema.roles.exclude)
    settings = DataSettings(path=path, columns=excluded, csv=csv)
    with in_words_of(key):
        files = table_files(settings)
        scan = scan_table(settings, (), as_text=True)
        text = holds_text(files)
        with reading(settings):
            found = scan.collect_schema()
        there = check_columns(wants, found, schema, f"{key} '{path}'", text=text)
    return Source(
        key, settings, files, scan, RowValidator(there, schema, csv if text else None), landed
    )


@dataclass(frozen=True)
class Span:
    """The clock of a table.

    Parameters
    ----------
    first, last : datetime, optional
        The earliest and the latest time; None where no row has one.
    in_order : bool
        Whether no row is earlier than one before it.
    """

    first: datetime | None
    last: datetime | None
    in_order: bool


_LOOK = 100_000


def span_of(source: Source, time: str) -> Span:
    """Look over the times of a table: when it starts, when it ends, and whether it is in order."""
    clock = [want for want in source.sorter.wants if want.column == time]
    first: datetime | None = None
    last: datetime | None = None
    in_order = True
    for frame in source.frames(_LOOK, clock):
        moments = frame.filter(pl.col(REASON).is_null())[MOMENT].drop_nulls()
        if not len(moments):
            continue
        in_order = in_order and moments.is_sorted() and (last is None or moments[0] >= last)
        ends = (moments.min(), moments.max())
        assert isinstance(ends[0], datetime)
        assert isinstance(ends[1], datetime)
        first = ends[0] if first is None else min(first, ends[0])
        last = ends[1] if last is None else max(last, ends[1])
    return Span(first, last, in_order)
