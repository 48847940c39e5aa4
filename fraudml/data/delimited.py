"""Delimited text: which columns a file has, what they hold, and where it is broken.

Every field is read as text first. A column is then given the narrowest type that all of its values
fit, whatever the first rows look like; columns that name things stay text, so that 00017 and twenty
digits survive. Rows that are too short or too long are looked for in the bytes, where there is a
sign of them. Which files are read is the business of `read`.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import itertools
import logging
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl

from fraudml.data.clock import MOMENT
from fraudml.data.settings import CsvSettings
from fraudml.errors import DataError, all_problems

if TYPE_CHECKING:
    from _csv import Reader

_log = logging.getLogger(__name__)

_SAMPLE = 1_000
_START, _PIECE, _ROWS_PIECE = 65_536, 4_194_304, 16_777_216
_CUT = "\0cut"  # whether the last field of a line is missing; no header can hold it
_SAFE_DIGITS = 18
_UTF8 = frozenset({"utf-8", "utf-8-sig", "ascii"})
_CUT_SHORT = (EOFError, gzip.BadGzipFile, zlib.error)
_CLOCKS = ("", " %H:%M", "T%H:%M", " %H:%M:%S%.f", "T%H:%M:%S%.f")
_ZONED = (" %H:%M:%S%.f%#z", "T%H:%M:%S%.f%#z")

_Parse = Callable[[pl.Expr], pl.Expr]


@dataclass(frozen=True)
class TextFile:
    """A delimited file whose header has been read.

    Parameters
    ----------
    path : Path
        The file; gzip where its name ends in `.gz`.
    csv : CsvSettings
        How it is written.
    columns : tuple of str
        The names in its header, as they stand; none in an empty file.
    """

    path: Path
    csv: CsvSettings
    columns: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, settings: CsvSettings) -> TextFile:
        """Read the header of a file.

        Raises
        ------
        DataError
            The file is not text in the encoding that was said, or its lines end in no known way.
        """
        unread = cls(path, settings, ())
        try:
            return replace(unread, columns=unread._header())
        except UnicodeError as error:
            raise DataError(unread._undecodable()) from error
        except (csv.Error, *_CUT_SHORT) as error:
            raise DataError(unread._damaged(error)) from error

    @property
    def names(self) -> list[str]:
        """The columns by names of their own: of two of one name the second has another."""
        seen = set[str]()
        names = []
        for position, name in enumerate(self.columns):
            names.append(f"\0{position}" if name in seen else name)
            seen.add(name)
        return names

    @property
    def separator(self) -> str:
        """The character between fields."""
        if self.csv.separator is None:
            stem = self.path.name.lower().removesuffix(".gz")
            return "\t" if stem.endswith(".tsv") else ","
        return "\t" if self.csv.separator == "tab" else self.csv.separator

    def scan(self) -> pl.LazyFrame:
        """Scan all fields as text; an empty field and a missing value are null.

        A file in another encoding than UTF-8 is decoded in memory, in one go.
        """
        return pl.scan_csv(self._source(), glob=False, **self._written())

    def frames(self) -> Iterator[pl.DataFrame]:
        """Read what `scan` does, some megabytes of whole rows at a time.

        Polars' own batches of text run ahead of whoever is slower than it, by the whole file.

        Raises
        ------
        DataError
            The text cannot be decoded, or the file is cut short.
        """
        header = self.separator.join("x" * len(self.columns)).encode() + b"\n"
        try:
            for number, rows in enumerate(self._whole_rows()):
                yield pl.read_csv(rows if number == 0 else header + rows, **self._written())
        except UnicodeError as error:
            raise DataError(self._undecodable()) from error
        except _CUT_SHORT as error:
            raise DataError(self._damaged(error)) from error

    def _written(self) -> dict[str, Any]:
        """How polars is to read the file."""
        return {
            "infer_schema": False,
            "new_columns": self.names,  # polars leaves doubled quotes in a header doubled
            "separator": self.separator,
            "quote_char": self.csv.quote or None,
            "null_values": ["", *self.csv.null_values],
        }

    def _whole_rows(self) -> Iterator[bytes]:
        """Cut the bytes where rows end; a line's end between quotes ends none."""
        held = b""
        for piece in self._pieces(_ROWS_PIECE):
            held += piece
            end = _last_end(held, self.csv.quote.encode())
            if end:
                yield held[:end]
                held = held[end:]
        if held:
            yield held

    def ragged(self) -> str | None:
        """Say how many rows are too short or too long, and where; None where none is.

        Costs a pass over the bytes of the file, and a slow one only where something is wrong.
        """
        try:
            if _looks_ragged(self._pieces(), self.separator, self.csv.quote, len(self.columns)):
                return self._ragged()
            return None
        except UnicodeError:
            return self._undecodable()
        except (csv.Error, *_CUT_SHORT) as error:
            return self._damaged(error)

    def broken(self) -> str | None:
        """Say why the file could not be parsed; None where nothing is found."""
        return self.ragged() or self._stray_quote()

    def _source(self) -> Path | bytes:
        if self._is_utf8:
            return self.path
        with self._text() as text:
            return text.read().encode()

    @property
    def _is_utf8(self) -> bool:
        return codecs.lookup(self.csv.encoding).name in _UTF8

    def _bytes(self) -> IO[bytes]:
        if self.path.suffix.lower() == ".gz":
            return cast(IO[bytes], gzip.open(self.path))
        return self.path.open("rb")

    def _text(self) -> IO[str]:
        encoding = "utf-8-sig" if self._is_utf8 else self.csv.encoding
        return io.TextIOWrapper(self._bytes(), encoding=encoding, newline="\n")

    def _pieces(self, size: int = _PIECE) -> Iterator[bytes]:
        with self._text() as text:
            while piece := text.read(size):
                yield piece.encode()

    def _records(self, text: Iterable[str]) -> Reader:
        lines = (line.replace("\r\n", "\n") for line in text)
        if not self.csv.quote:
            return csv.reader(lines, delimiter=self.separator, quoting=csv.QUOTE_NONE)
        return csv.reader(lines, delimiter=self.separator, quotechar=self.csv.quote)

    def _header(self) -> tuple[str, ...]:
        with self._text() as text:
            start = text.read(_START)
            if "\r" in start and "\n" not in start:
                raise DataError(
                    f"'{self.path}' ends its lines with a carriage return alone. Expected a line "
                    "feed, with or without one. Convert the file, for example with mac2unix."
                )
            lines = itertools.chain(io.StringIO(start + text.readline(), newline="\n"), text)
            return tuple(next((record for record in self._records(lines) if record), []))

    def _ragged(self) -> str | None:
        expected, rows, wrong, first = len(self.columns), 0, 0, ""
        with self._text() as text:
            records, start = self._records(text), 1
            for record in records:
                rows += bool(record)
                if record and len(record) != expected:
                    wrong += 1
                    first = first or f"line {start:,}: {len(record)}"
                start = records.line_num + 1
        if not wrong:
            return None
        return (
            f"'{self.path}' has other than {expected} fields in {wrong:,} of {rows - 1:,} rows "
            f"(first at {first}). Expected as many as there are names in the header. Correct these "
            "rows, or set data.csv.separator and data.csv.quote as the file was written."
        )

    def _stray_quote(self) -> str | None:
        if not self.csv.quote:
            return None
        quote, separator = re.escape(self.csv.quote), re.escape(self.separator)
        within = re.compile(f"[^{separator}{quote}\r\n]{quote}[^{separator}{quote}\r\n]")
        with self._text() as text:
            line = next((n for n, line in enumerate(text, 1) if within.search(line)), None)
        if line is None:
            return None
        return (
            f"'{self.path}' has a quote within a field at line {line:,}. A field that holds one is "
            "quoted, and the quote doubled. Write the file again, or, where nothing in it is "
            "quoted, set data.csv.quote=''."
        )

    def _damaged(self, error: Exception) -> str:
        return f"'{self.path}' is cut short or damaged: {error}. Copy or write it again."

    def _undecodable(self) -> str:
        decoder = codecs.getincrementaldecoder(self.csv.encoding)()
        line = 0
        with self._bytes() as file, contextlib.suppress(UnicodeError):
            for raw in file:
                line += 1
                decoder.decode(raw)
        return (
            f"'{self.path}' is not {self.csv.encoding} at line {line:,}. Set data.csv.encoding as "
            "the file was written, for example to latin-1, cp1252 or utf-16."
        )


@dataclass(frozen=True)
class _Kind:
    """One way to read text as values."""

    parse: _Parse
    loses: _Parse | None = None  # whether reading a value this way would lose some of it

    def misfits(self, name: str) -> pl.Expr:
        """How many values cannot be read this way; blanks can."""
        text = pl.col(name)
        failed = self.parse(text).null_count() - text.null_count() - (text == "").sum()
        return failed if self.loses is None else failed + self.loses(text).sum()


def scan_typed(
    files: Sequence[TextFile], kept: Sequence[str], text: Collection[str]
) -> pl.LazyFrame:
    """Scan files of the same columns, each column with the narrowest type that holds its values.

    Costs a pass over the files for the types, of which nothing is kept in memory.

    Parameters
    ----------
    files : sequence of TextFile
        At least one, all written alike.
    kept : sequence of str
        The columns to read, in this order.
    text : collection of str
        Columns that stay text.

    Returns
    -------
    LazyFrame
        Whole numbers are Int64, others Float64, true and false Boolean; dates and date-times in
        ISO 8601 are Datetime('us'), in UTC where they name a zone; all else is String, and so are
        numbers with leading zeros or of more than 18 digits. Empty lines are left out.

    Raises
    ------
    DataError
        Rows that are too short or too long: how many and where.
    """
    try:
        return _scan_typed(files, kept, text)
    except (pl.exceptions.PolarsError, OSError) as error:
        problems = [problem for file in files if (problem := file.broken())]
        if not problems:
            raise
        raise DataError(all_problems(f"{len(problems)} files are broken.", problems)) from error


def read_text(files: Sequence[TextFile], kept: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Read files of the same columns as text, some megabytes at a time.

    Parameters
    ----------
    files, kept
        As in `scan_typed`; the rows are those of `scan_typed` where all columns stay text.

    Raises
    ------
    DataError
        As `TextFile.frames`.
    """
    for file in files:
        for frame in file.frames():
            yield frame.select(kept).filter(~pl.all_horizontal(pl.col(kept).is_null()))


def _scan_typed(
    files: Sequence[TextFile], kept: Sequence[str], text: Collection[str]
) -> pl.LazyFrame:
    cut = pl.concat(
        file.scan().select(*kept, pl.col(file.names[-1]).is_null().alias(_CUT)) for file in files
    )
    empty = pl.all_horizontal(pl.col(kept).is_null())
    kinds = _kinds(files[0].csv)
    fitting, _ = _fitting(cut.head(_SAMPLE), {name: kinds for name in kept if name not in text})
    fitting, signs = _fitting(cut, fitting, pl.col(_CUT).sum(), empty.sum().alias("empty"))
    if signs[_CUT] > 0 and (problems := [problem for file in files if (problem := file.ragged())]):
        raise DataError(all_problems(f"{len(problems)} files are broken.", problems))
    if signs["empty"]:
        _log.info("%s empty lines are left out.", f"{signs['empty']:,}")
        cut = cut.filter(~empty)
    return cut.select(
        fitting[name][0].parse(_stripped(name)) if fitting.get(name) else name for name in kept
    )


def _fitting(
    source: pl.LazyFrame, proposed: dict[str, tuple[_Kind, ...]], *signs: pl.Expr
) -> tuple[dict[str, tuple[_Kind, ...]], dict[str, int]]:
    """Keep the kinds that hold every value of their column; answer the other questions as well."""
    questions = [
        kind.misfits(name).alias(f"{position} {name}")
        for name, kinds in proposed.items()
        for position, kind in enumerate(kinds)
    ]
    stripped = source.with_columns(_stripped(name) for name in proposed)
    asked = stripped.select(*questions, *signs).collect(engine="streaming")
    answers = asked.row(0, named=True) if asked.width else {}
    fitting = {
        name: tuple(
            kind for position, kind in enumerate(kinds) if not answers[f"{position} {name}"]
        )
        for name, kinds in proposed.items()
    }
    return fitting, answers


def _stripped(name: str) -> pl.Expr:
    return pl.col(name).str.strip_chars()


def _kinds(settings: CsvSettings) -> tuple[_Kind, ...]:
    """The ways to read a column, the narrowest first."""
    plain = (_Kind(_whole, _has_leading_zero), _Kind(_number, _is_code))
    numbers = (plain[0], _Kind(_comma_number, _is_comma_code)) if settings.decimal_comma else plain
    clocks = tuple(_Kind(_moment(f"%Y-%m-%d{clock}")) for clock in (*_CLOCKS, *_ZONED))
    return (*numbers, _Kind(_truth), *clocks)


def _whole(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Int64, strict=False)


def _number(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Float64, strict=False)


def _comma_number(text: pl.Expr) -> pl.Expr:
    return _number(text.str.replace(",", ".", literal=True))


def _truth(text: pl.Expr) -> pl.Expr:
    words = {"true": True, "false": False}
    return text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)


def _moment(written: str) -> _Parse:
    def parse(text: pl.Expr) -> pl.Expr:
        moment = text.str.to_datetime(written, time_unit="us", strict=False)
        return moment.dt.replace_time_zone(None).cast(MOMENT)

    return parse


def _has_leading_zero(text: pl.Expr) -> pl.Expr:
    return text.str.starts_with("0") & (text.str.len_bytes() > 1)


def _is_code(text: pl.Expr, point: str = ".") -> pl.Expr:
    """Whether digits are a name rather than a number: leading zeros, or more than a float holds."""
    endless = (text.str.len_bytes() > _SAFE_DIGITS) & ~text.str.contains(point, literal=True)
    return (_has_leading_zero(text) & ~text.str.starts_with("0" + point)) | endless


def _is_comma_code(text: pl.Expr) -> pl.Expr:
    """The same for 3,14; a point there stands between thousands, and 1.234 is not near 1."""
    return _is_code(text, ",") | text.str.contains(".", literal=True)


def _last_end(rows: bytes, quote: bytes) -> int:
    """Where the last whole row ends, 0 where none does; the first byte begins a row."""
    end = rows.rfind(b"\n")
    quotes = rows.count(quote, 0, end + 1) if quote else 0
    while end >= 0 and quotes % 2:
        before = rows.rfind(b"\n", 0, end)
        quotes -= rows.count(quote, before + 1, end + 1)
        end = before
    return end + 1


def _looks_ragged(pieces: Iterator[bytes], separator: str, quote: str, expected: int) -> bool:
    """Whether a record has another number of fields; may err on a quote inside a plain field."""
    inside, fields, length, last = 0, 0, 0, 10  # of the record that the end of a piece cuts
    for piece in itertools.chain(pieces, [b"\n"]):
        content = np.frombuffer(piece, np.uint8)
        quotes = content == ord(quote) if quote else np.zeros(len(content), dtype=bool)
        quoted = (np.cumsum(quotes, dtype=np.uint8) + np.uint8(inside)) & 1 == 1
        ends = np.flatnonzero((content == 10) & ~quoted)
        between = np.flatnonzero((content == ord(separator)) & ~quoted)
        upto = np.searchsorted(between, ends)
        counts = np.diff(upto, prepend=-fields) + 1
        lengths = np.diff(ends, prepend=-1 - length) - 1
        before = np.append(np.uint8(last), content[:-1])[ends]
        blank = (lengths == 0) | ((lengths == 1) & (before == 13))
        if np.any((counts != expected) & ~blank):
            return True
        inside, last = int(quoted[-1]), int(content[-1])
        fields = len(between) - (int(upto[-1]) if len(ends) else -fields)
        length = len(content) - (int(ends[-1]) + 1 if len(ends) else -length)
    return inside == 1
