"""The tables that scoring reads, in frames of bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from fraudml.data.delimited import TextFile, read_text
from fraudml.data.fingerprint import fingerprint_files
from fraudml.data.read import holds_text, reading, scan_table, table_files
from fraudml.data.schema import Schema
from fraudml.data.settings import ColumnRoles, CsvSettings, DataSettings
from fraudml.data.snapshot import Snapshot
from fraudml.errors import ConfigError, DataError, MachineError
from fraudml.scoring.columns import RequiredColumn, check_columns
from fraudml.scoring.rows import MOMENT, REASON, RowValidator
from fraudml.scoring.staging import Query, stage

_SLICE = 125_000
_ROWS = 100_000


@dataclass(frozen=True)
class Source:
    """A table on disk that has the columns of a bundle.

    `key` is the config key that names it; `staged` the fingerprint of its values, where it was
    staged from a database.
    """

    key: str
    settings: DataSettings
    snapshot: Snapshot
    scan: pl.LazyFrame
    validator: RowValidator
    staged: str | None = None

    def count(self) -> int:
        """Return how many rows there are."""
        with self.snapshot.reading(), errors_name(self.key), reading(self.settings):
            return int(self.scan.select(pl.len()).collect(engine="streaming").item())

    def fingerprint(self) -> str:
        """Return the hash of the files, or of the values of a database query."""
        with self.snapshot.reading():
            return self.staged or fingerprint_files(self.snapshot.files)

    def frames(
        self, rows: int, columns: Sequence[RequiredColumn] | None = None
    ) -> Iterator[pl.DataFrame]:
        """Read the values in order, about `rows` at a time; at least one frame, perhaps empty.

        `columns` selects some of the columns; all by default.
        """
        validator = self.validator
        if columns is not None:
            validator = replace(validator, required=columns)
        first = -1
        with self.snapshot.reading(), errors_name(self.key), reading(self.settings):
            for frame in self._batches(validator.columns, rows):
                first = max(first, 0)
                yield validator.read(frame, first)
                first += frame.height
        if first < 0:
            yield validator.read(self.scan.select(validator.columns).head(0).collect())

    def _batches(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """Read some rows at a time; polars' own batches run ahead of a slower consumer."""
        if self.validator.csv is not None:  # text cannot be entered in the middle
            files = [TextFile.open(path, self.settings.csv) for path in self.snapshot.files]
            for frame in read_text(files, self.scan.collect_schema().names()):
                self.snapshot.check()
                yield frame.select(columns)
            return
        scan = self.scan.select(columns)
        step = max(rows, _SLICE)
        for start in itertools.count(0, step):
            part = scan.slice(start, step).collect(engine="streaming")
            self.snapshot.check()
            for first in range(0, part.height, rows):
                yield part[first : first + rows]
            if part.height < step:
                return


@contextmanager
def errors_name(key: str) -> Iterator[None]:
    """Let errors name the config key of the table instead of `data.path`."""
    try:
        yield
    except (ConfigError, DataError, MachineError) as error:
        raise type(error)(str(error).replace("data.path", key)) from error


def open_source(
    key: str,
    path: str | Query,
    required: Sequence[RequiredColumn],
    schema: Schema,
    csv: CsvSettings,
) -> Source:
    """Find a table, staging it where it is a query, and check its columns."""
    staged = None
    if isinstance(path, Query):
        staged = stage(key, path, required, schema)
        path = str(path.folder)
    excluded = ColumnRoles(label=schema.roles.label, exclude=schema.roles.exclude)
    settings = DataSettings(path=path, columns=excluded, csv=csv)
    with errors_name(key):
        snapshot = Snapshot.of(key, table_files(settings))
        with snapshot.reading():
            text = holds_text(snapshot.files)
            used = {column.name for column in required}
            words = ("name", "category", "label")
            names = {column.name for column in required if column.kind in words}
            scan = scan_table(settings, (), names, as_text=True, used=used)
            with reading(settings):
                types = scan.collect_schema()
            present = check_columns(required, types, schema, f"{key} '{path}'", text=text)
    validator = RowValidator(present, schema, csv if text else None)
    return Source(key, settings, snapshot, scan, validator, staged)


@dataclass(frozen=True)
class Span:
    """The earliest and the latest time of a table, and whether its rows are in order of time."""

    first: datetime | None
    last: datetime | None
    in_order: bool


def span_of(source: Source, time: str) -> Span:
    """Read the times of a table: when it starts, when it ends, and whether it is in order."""
    clock = [column for column in source.validator.required if column.name == time]
    moments = list[datetime]()
    in_order = True
    for frame in source.frames(_ROWS, clock):
        times = frame.filter(pl.col(REASON).is_null())[MOMENT].drop_nulls()
        if len(times):
            in_order = in_order and times.is_sorted() and (not moments or times[0] >= moments[1])
            moments += [times.min(), times.max()]  # type: ignore[list-item]
            moments = [min(moments), max(moments)]
    return Span(moments[0], moments[1], in_order) if moments else Span(None, None, in_order)
