"""The one rule of what a key, an id, a category or a label word is, in whatever file it stands.

A name is text. Blanks around it are stripped, a fraction of zeros is no part of it (`10281.0` is
`10281`), floats and decimals are written as short as they can be, true and `True` are `true`, and
what is empty, blank or a word for 'missing' names nothing. All else stays: leading zeros, case,
twenty digits, `1.10`. Bundles of format 1 keep the rule that they were trained by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import polars as pl

from fraudml.errors import DataError

MISSING_WORDS = ("NA", "NaN", "nan", "NULL", "null", "None")
"""Words that mean 'missing' wherever text is read, besides the empty field."""

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_WHOLE = re.compile(r"(-?[1-9][0-9]*|0)\.0+|-0\.0+")
_BLANKS = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What polars strips; Python's own list has more."""
_TRUTH = {"True": "true", "False": "false"}
_EXACT = {"Float64": 2**53, "Float32": 2**24}
"""From here on a float no longer holds every whole number, so that two keys may be one value."""


@dataclass(frozen=True)
class Spelling:
    """How names are read; goes into the bundle.

    Parameters
    ----------
    rule : int
        2, or 1 as bundles of format 1 were trained: blanks and fractions in text are part of it.
    missing : tuple of str
        Words that name nothing.
    """

    rule: Literal[1, 2] = 2
    missing: tuple[str, ...] = MISSING_WORDS


def names_of(column: pl.Series, spelling: Spelling) -> pl.Series:
    """Return the name that each value is, as text; null where there is none.

    Parameters
    ----------
    column : Series
        Of any type that has one value a row.
    spelling : Spelling
        The rule.

    Raises
    ------
    DataError
        A float so large that its last digits are lost: what it named cannot be told.
    """
    dtype = column.dtype
    if spelling.rule == 1:
        return _names_of_format_1(column)
    if dtype in _TEXT:
        return _of_text(column.cast(pl.String), spelling)
    if dtype.is_float():
        return _of_floats(column)
    if dtype.is_decimal():
        return _of_decimals(column)
    if isinstance(dtype, pl.Datetime):
        clock = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
        return clock.dt.strftime("%Y-%m-%d %H:%M:%S%.f")
    return column.cast(pl.String)


def comparable(column: pl.Series, spelling: Spelling) -> pl.Series:
    """Return a column whose values are equal where the names are; cheaper than names of numbers."""
    if column.dtype.is_float():
        return _exact(column)
    if column.dtype in _TEXT:
        return names_of(column, spelling)
    return column


def name_of(value: str | bool | int, spelling: Spelling) -> str | None:
    """Return the name of a single value, as `names_of` does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or spelling.rule == 1:
        return str(value)
    text = value.strip(_BLANKS)
    if match := _WHOLE.fullmatch(text):
        return match[1] or "0"
    return None if not text or text in spelling.missing else _TRUTH.get(text, text)


def ordered_codes(column: pl.Series, spelling: Spelling) -> pl.Series:
    """Return an integer code from 0 for each name, the same whatever type the column has.

    Names that are all numbers stand in the order of their values, others in that of the alphabet.
    """
    values = comparable(column, spelling)
    if values.dtype == pl.String:
        names = values.drop_nulls().unique().to_frame("name")
        numbers = pl.col("name").cast(pl.Float64, strict=False)
        all_numbers = not names.select(numbers.is_null().any()).item()
        names = names.sort(numbers, "name") if all_numbers else names.sort("name")
        return values.replace_strict(names["name"], range(len(names)), return_dtype=pl.Int64)
    return values.rank("dense").cast(pl.Int64) - 1


def _of_text(text: pl.Series, spelling: Spelling) -> pl.Series:
    text = text.str.strip_chars()
    # Both looks are far cheaper than the replacements, which few columns need.
    if text.str.contains(".0", literal=True).any():
        text = text.str.replace(r"^(-?[1-9][0-9]*|0)\.0+$", "$1").str.replace(r"^-0\.0+$", "0")
    words = {"": None, **dict.fromkeys(spelling.missing), **_TRUTH}
    return text.replace(words) if text.is_in(list(words)).any() else text


def _of_decimals(column: pl.Series) -> pl.Series:
    return column.cast(pl.String).str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")


def _of_floats(column: pl.Series) -> pl.Series:
    numbers = _exact(column)
    whole = pl.when(numbers == numbers.floor()).then(numbers.cast(pl.Int64, strict=False))
    text = pl.coalesce(whole.cast(pl.String), numbers.cast(pl.String))
    return pl.select(text.alias(column.name)).to_series()


def _exact(column: pl.Series) -> pl.Series:
    """Turn NaN into null and −0 into 0, and refuse whole numbers that a float cannot tell apart."""
    numbers = column.fill_nan(None) + 0.0
    limit = _EXACT[str(column.dtype)]
    if (numbers.abs() >= limit).any():
        vague = (numbers.abs() >= limit).fill_null(value=False)
        raise DataError(
            f"column '{column.name}' names things and is of type {column.dtype}, which is not "
            f"exact for {vague.sum():,} of {len(column):,} rows (first at row {vague.arg_max():,}: "
            f"{numbers.filter(vague)[0]:.17g}). Expected text or whole numbers. Write it so at the "
            "source."
        )
    return numbers


def _names_of_format_1(column: pl.Series) -> pl.Series:
    if not column.dtype.is_float():
        return column.cast(pl.String)
    number = column.fill_nan(None)
    whole = pl.when(number == number.floor()).then(number.cast(pl.Int64, strict=False))
    return pl.select(pl.coalesce(whole.cast(pl.String), number.cast(pl.String))).to_series()
