"""A label's two words: which of them is fraud, and what each row's label is by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from fraudml.data.names import Spelling, comparable, name_of, names_of
from fraudml.data.schema import Schema
from fraudml.data.settings import DataSettings
from fraudml.errors import DataError, listing

Words = tuple[str | None, str]
"""Legitimate and fraud; None where null alone is legitimate."""

_TRUTH = {"true": "1", "TRUE": "1", "false": "0", "FALSE": "0"}
_PAIRS = {
    "1": ("0",),
    "yes": ("no",),
    "y": ("n",),
    "t": ("f",),
    "fraud": ("legit", "legitimate", "genuine", "nonfraud", "non-fraud", "no fraud", "not fraud"),
    "fraudulent": ("legitimate", "genuine", "non-fraudulent"),
}
"""Words for fraud that have one reading, each with its opposites."""


def find_words(column: pl.Series, settings: DataSettings, spelling: Spelling) -> Words:
    """Find a label's two words, of which one is fraud.

    Parameters
    ----------
    column : Series
        The label.
    settings : DataSettings
        `positive` and `null_label`.
    spelling : Spelling
        How words are read.

    Raises
    ------
    DataError
        More than two words, one class alone, or two of which none is known to be fraud.
    """
    words = _words(column, spelling)
    if len(words) > 2:
        raise DataError(
            f"column '{column.name}' is the label and holds {len(words):,} values: "
            f"{listing(words)}. A label has two values, and null where it is not known. Map the "
            "others to one of the two or to null at the source, or name another column under "
            "data.columns.label."
        )
    fraud = _fraud_word(column.name, words, settings, spelling)
    others = [word for word in words if word != fraud]
    if fraud not in words or not (others or settings.null_label == "legitimate"):
        raise DataError(_one_class(column, words, settings))
    return others[0] if others else None, fraud


def read_labels(column: pl.Series, schema: Schema) -> pl.Series:
    """Read labels by the words of training: 1 fraud, 0 legitimate, null not known.

    Parameters
    ----------
    column : Series
        The label, of rows that need not have both classes.
    schema : Schema
        With the label's words.

    Raises
    ------
    DataError
        Other words, with the count of each.
    """
    if schema.label_words is None:
        return _labels_of_format_1(column, schema.positive)
    values = comparable(_without_nan(column), schema.spelling)
    legitimate, fraud = schema.label_words
    known = values.drop_nulls().unique()
    words = names_of(known, schema.spelling).replace(_TRUTH)
    unknown = known.filter(~words.is_in([fraud, *([legitimate] if legitimate else [])]))
    if len(unknown):
        raise DataError(_other_words(values.filter(values.is_in(unknown.implode())), schema))
    label = values.is_in(known.filter(words == fraud).implode()).cast(pl.Int8)
    return label.fill_null(0) if schema.null_label == "legitimate" else label


def _words(column: pl.Series, spelling: Spelling) -> list[str]:
    """The distinct words of a label, true and false as 1 and 0, in their order."""
    values = comparable(_without_nan(column), spelling).drop_nulls().unique().sort()
    return list(dict.fromkeys(names_of(values, spelling).replace(_TRUTH).to_list()))


def _without_nan(column: pl.Series) -> pl.Series:
    return column.fill_nan(None) if column.dtype.is_float() else column


def _fraud_word(
    column: str, words: Sequence[str], settings: DataSettings, spelling: Spelling
) -> str:
    if settings.positive is not None:
        return _positive(column, words, settings.positive, spelling)
    known = {word.casefold(): word for word in words}
    for fraud, opposites in _PAIRS.items():
        if fraud in known and len(known) == len(words) and known.keys() <= {fraud, *opposites}:
            return known[fraud]
    if len(words) < 2:
        return ""
    raise DataError(
        f"column '{column}' is the label and holds {listing(words)}. Expected 0 and 1, true and "
        "false, yes and no, or any two values with data.positive naming the one that is fraud. Set "
        f"data.positive='{words[-1]}' if that is fraud."
    )


def _positive(column: str, words: Sequence[str], positive: str | int, spelling: Spelling) -> str:
    name = name_of(positive, spelling)
    fraud = _TRUTH.get(str(name), str(name))
    if fraud in words or not words:
        return fraud
    quoted = (
        " In YAML yes, no, on and off are booleans: write positive: 'yes', in quotes."
        if isinstance(positive, bool)
        else ""
    )
    raise DataError(
        f"column '{column}' never holds data.positive='{positive}'. It holds {listing(words)}. "
        f"Set data.positive to the one that is fraud.{quoted}"
    )


def _one_class(column: pl.Series, words: Sequence[str], settings: DataSettings) -> str:
    rows, unknown = len(column), _without_nan(column).null_count()
    held = f"one value alone: {listing(words)}" if words else "no value"
    message = (
        f"column '{column.name}' is the label and holds {held}, in {rows - unknown:,} of {rows:,} "
        "rows. Training needs frauds and legitimate rows. Bring the rows of the other class"
    )
    if not (words and unknown) or settings.null_label == "legitimate":
        return f"{message}."
    return (
        f"{message}. The other {unknown:,} are null, which means that their label is not known: "
        "if it means legitimate, set data.null_label=legitimate."
    )


def _other_words(values: pl.Series, schema: Schema) -> str:
    counts = names_of(values, schema.spelling).value_counts(sort=True).rows()
    shown = ", ".join(f"'{word}' in {count:,} rows" for word, count in counts[:5])
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    assert schema.label_words is not None
    legitimate, fraud = schema.label_words
    usual = f"'{legitimate}' for legitimate" if legitimate else "null for legitimate"
    return (
        f"column '{values.name}' is the label and holds words that it did not hold in training: "
        f"{shown}{more}. Expected '{fraud}' for fraud, {usual}. Write the label as it was written "
        "for training."
    )


def _labels_of_format_1(column: pl.Series, positive: str | int | None) -> pl.Series:
    """Read labels as bundles of format 1 do: any word but the positive one is legitimate."""
    column = _without_nan(column)
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    values = column.drop_nulls().unique().sort().to_list()
    known = {_spelt(value): value for value in values}
    if positive is not None and _spelt(positive) in known:
        is_fraud: pl.Series = column.eq(known[_spelt(positive)])
        return is_fraud.cast(pl.Int8)
    if positive is not None or not values:
        return pl.select(pl.when(column.is_not_null()).then(0).cast(pl.Int8)).to_series()
    if column.dtype == pl.Boolean:
        return column.cast(pl.Int8)
    if not set(known) <= {"0", "1"}:
        raise DataError(
            f"column '{column.name}' is the label and holds {listing(values)}. Expected 0 and 1, "
            "or true and false, as in training."
        )
    return column.cast(pl.Float64).eq(1.0).cast(pl.Int8)


def _spelt(value: Any) -> str:
    """Write a value as a config would: 1 for 1.0, true for True."""
    return str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")
