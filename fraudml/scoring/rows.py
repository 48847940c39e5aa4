"""Rows that can be scored, and those that cannot, with the reason.

Each row is judged by itself, whatever the chunks that a table comes in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from fraudml.data.clock import try_moments
from fraudml.data.names import names_of
from fraudml.data.numbers import read_money, without_markers
from fraudml.data.schema import Schema
from fraudml.data.settings import CsvSettings
from fraudml.scoring.columns import Kind, RequiredColumn

ROW, REASON, MOMENT = "\x00row", "\x00reason", "\x00moment"
"""Columns that are added: the position in the input, why a row cannot be scored, its time."""

_LARGEST = float(np.finfo(np.float32).max)
_TRUTH = {"true": 1.0, "false": 0.0}
_LABELS = {"true": "1", "false": "0", "1.0": "1", "0.0": "0"}


@dataclass(frozen=True)
class RowValidator:
    """Reads the values of a table as a bundle requires them, and says which rows cannot be scored.

    `csv` says how delimited text is written; None where columns have types.
    """

    required: Sequence[RequiredColumn]
    schema: Schema
    csv: CsvSettings | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return [column.name for column in self.required]

    def read(self, frame: pl.DataFrame, first: int = 0) -> pl.DataFrame:
        """Read some rows, of which the first has the position `first` in the whole table.

        Moments become Datetime and text numbers. Adds `ROW`, `MOMENT` (null without a clock) and
        `REASON` (null where the row can be scored).
        """
        columns, reasons = list[pl.Series](), list[pl.Series]()
        moment = pl.Series([None], dtype=pl.Datetime("us")).new_from_index(0, frame.height)
        for column in self.required:
            given = frame[column.name]
            value, understood = self._value(column, given)
            columns.append(value.alias(column.name))
            reasons += self._reasons(column, given, understood)
            if column.name == self.schema.roles.time and column.kind == "date":
                moment = understood
        number = pl.int_range(first, first + frame.height, eager=True)
        reason = _first_reason(reasons, frame.height)
        return pl.DataFrame(
            [*columns, number.alias(ROW), moment.alias(MOMENT), reason.alias(REASON)],
        )

    def _value(self, column: RequiredColumn, given: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Return a column as the features take it, and as it was understood."""
        if column.kind == "date":
            unit = self.schema.number_unit(column.name)
            if unit is not None:
                value = self._number(given)
                return value, try_moments(value, unit)
            written = self.schema.time_format
            if self.csv is not None and self.csv.time_format is not None:
                written = self.csv.time_format
            moments = try_moments(given, self.schema.time_unit, written)
            return moments, moments
        if column.kind == "number":
            value = self._number(given)
            return value, value
        of_format_1 = self.schema.label_words is None and self.schema.positive is None
        if column.kind == "label" and self.csv is not None and of_format_1:
            value = given.str.strip_chars().str.to_lowercase().replace(_LABELS)
            return value, value
        return given, given

    def _number(self, given: pl.Series) -> pl.Series:
        if given.dtype != pl.String:
            return given
        if given.name in self.schema.money:
            return read_money(self._known(given), self.schema.money[given.name])
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

    def _reasons(
        self, column: RequiredColumn, given: pl.Series, read: pl.Series
    ) -> Iterator[pl.Series]:
        """Why rows cannot be scored by their value in a column; null where they can."""
        may_fail = column.kind == "date" or (column.kind == "number" and given.dtype == pl.String)
        # Most columns are complete: only the others are looked at row by row.
        if (may_fail and read.null_count()) or column.missing is not None:
            empty = self._empty(given, column.kind)
            if may_fail:
                kind = "number" if column.kind == "number" else "time"
                yield _reason(read.is_null() & ~empty, f"'{column.name}' is not a {kind}")
            if column.missing is not None:
                yield _reason(empty, column.missing)
        if column.kind == "number" and column.finite and read.dtype.is_float() and _is_beyond(read):
            endless = read.is_not_nan() & (read.abs() > _LARGEST)
            yield _reason(endless, f"'{column.name}' is infinite or beyond 3.4e38")

    def _empty(self, given: pl.Series, kind: Kind) -> pl.Series:
        if kind in ("name", "category", "label"):
            return names_of(given, self.schema.spelling).is_null()
        if given.dtype == pl.String:
            return self._known(given).is_null()
        empty = given.is_null()
        return empty | given.is_nan().fill_null(True) if given.dtype.is_float() else empty

    def _known(self, given: pl.Series) -> pl.Series:
        """Turn what means 'missing' in text into null; bundles of format 1 know blanks alone."""
        if self.schema.spelling.rule == 2:
            return without_markers(given, self.schema.spelling.missing)
        return given.str.strip_chars().replace("", None)


def _is_beyond(numbers: pl.Series) -> bool:
    """Whether any number is infinite; cheaper than row by row, and nearly always no."""
    low, high = numbers.min(), numbers.max()
    below = isinstance(low, float) and low < -_LARGEST
    return below or (isinstance(high, float) and high > _LARGEST)


def _reason(mask: pl.Series, text: str) -> pl.Series:
    if not mask.any():
        return pl.Series([None], dtype=pl.String)
    return pl.select(pl.when(mask).then(pl.lit(text))).to_series()


def _first_reason(reasons: Sequence[pl.Series], height: int) -> pl.Series:
    given = [reason for reason in reasons if reason.null_count() < len(reason)]
    if not given:
        return pl.Series([None], dtype=pl.String).new_from_index(0, height)
    return pl.select(pl.coalesce(given)).to_series()
