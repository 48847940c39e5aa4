"""Rows that can be scored, and those that cannot, with the reason.

Each row is judged by itself, so that it does not matter in which pieces a table comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from fraudml.data.clock import try_moments
from fraudml.data.schema import Schema
from fraudml.data.settings import CsvSettings
from fraudml.scoring.columns import RequiredColumn

ROW, REASON, MOMENT = "\x00row", "\x00reason", "\x00moment"
"""Beside a table's own columns: the position in the input, why a row cannot be scored, its time."""

_LARGEST = float(np.finfo(np.float32).max)
_TRUTH = {"true": 1.0, "false": 0.0}
_LABELS = {"true": "1", "false": "0", "1.0": "1", "0.0": "0"}


@dataclass(frozen=True)
class RowValidator:
    """Reads the values of a table as the bundle wants them, and says which rows it cannot use.

    Parameters
    ----------
    wants : sequence of RequiredColumn
        The columns that are there.
    schema : Schema
        The bundle's.
    csv : CsvSettings, optional
        How delimited text is written; None where columns have types.
    """

    wants: Sequence[RequiredColumn]
    schema: Schema
    csv: CsvSettings | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return [want.column for want in self.wants]

    def read(self, frame: pl.DataFrame, first: int = 0) -> pl.DataFrame:
        """Read the values of some rows.

        Parameters
        ----------
        frame : DataFrame
            The columns that are wanted.
        first : int
            The position of the first row in the whole table.

        Returns
        -------
        DataFrame
            The same rows with moments as Datetime, numbers as numbers, and besides `ROW`, `MOMENT`
            (null without a clock) and `REASON` (null where the row can be scored).
        """
        columns, reasons = list[pl.Series](), list[pl.Series]()
        moment = pl.Series([None], dtype=pl.Datetime("us")).new_from_index(0, frame.height)
        for want in self.wants:
            given = frame[want.column]
            made, read = self._value(want, given)
            columns.append(made.alias(want.column))
            reasons += _reasons(want, given, read)
            if want.column == self.schema.roles.time and want.kind == "date":
                moment = read
        number = pl.int_range(first, first + frame.height, eager=True)
        why = _first_reason(reasons, frame.height)
        return pl.DataFrame(
            [*columns, number.alias(ROW), moment.alias(MOMENT), why.alias(REASON)],
        )

    def _value(self, want: RequiredColumn, given: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Return a column as the features take it, and as it was understood."""
        if want.kind == "date":
            numeric = want.column == self.schema.roles.time and self.schema.numeric_time
            if numeric:
                value = self._number(given)
                return value, try_moments(value, self.schema.time_unit)
            written = self.schema.time_format
            if self.csv is not None and self.csv.time_format is not None:
                written = self.csv.time_format
            read = try_moments(given, self.schema.time_unit, written)
            return read, read
        if want.kind == "number":
            value = self._number(given)
            return value, value
        if want.kind == "label" and self.csv is not None and self.schema.positive is None:
            value = given.str.strip_chars().str.to_lowercase().replace(_LABELS)
            return value, value
        return given, given

    def _number(self, given: pl.Series) -> pl.Series:
        if given.dtype != pl.String:
            return given
        text = given.str.strip_chars()
        if self.csv is not None and self.csv.decimal_comma:
            text = text.str.replace(",", ".", literal=True)
        whole = text.cast(pl.Int64, strict=False)
        if whole.null_count() == text.null_count():
            return whole
        number = text.cast(pl.Float64, strict=False)
        if number.null_count() > text.null_count():
            truth = text.str.to_lowercase().replace_strict(
                _TRUTH, default=None, return_dtype=pl.Float64
            )
            number = pl.select(pl.coalesce(number, truth)).to_series()
        return number


def _reasons(want: RequiredColumn, given: pl.Series, read: pl.Series) -> Iterator[pl.Series]:
    """Say what is wrong with the values of a column, row by row; null where nothing is."""
    may_fail = want.kind == "date" or (want.kind == "number" and given.dtype == pl.String)
    if may_fail or want.missing is not None:
        empty = _empty(given)
        if may_fail:
            what = "number" if want.kind == "number" else "time"
            yield _said(read.is_null() & ~empty, f"'{want.column}' is no {what}")
        if want.missing is not None:
            yield _said(empty, want.missing)
    if want.kind == "number" and want.finite and read.dtype.is_float() and _is_beyond(read):
        endless = read.is_not_nan() & (read.abs() > _LARGEST)
        yield _said(endless, f"'{want.column}' is infinite or beyond 3.4e38")


def _empty(given: pl.Series) -> pl.Series:
    empty = given.is_null()
    if given.dtype == pl.String:
        return empty | (given.str.strip_chars() == "").fill_null(True)
    return empty | given.is_nan().fill_null(True) if given.dtype.is_float() else empty


def _is_beyond(numbers: pl.Series) -> bool:
    """Whether any number is; cheaper than asking row by row, and nearly always no."""
    least, most = numbers.min(), numbers.max()
    if not isinstance(least, float) or not isinstance(most, float):
        return False
    return bool(least < -_LARGEST or most > _LARGEST)


def _said(mask: pl.Series, text: str) -> pl.Series:
    if not mask.any():
        return pl.Series([None], dtype=pl.String)
    return pl.select(pl.when(mask).then(pl.lit(text))).to_series()


def _first_reason(reasons: Sequence[pl.Series], height: int) -> pl.Series:
    found = [one for one in reasons if one.null_count() < len(one)]
    if not found:
        return pl.Series([None], dtype=pl.String).new_from_index(0, height)
    return pl.select(pl.coalesce(found)).to_series()
