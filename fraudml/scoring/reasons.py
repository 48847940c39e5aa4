"""Why rows are suspicious: the groups of features that contribute most to fraud, in words.

Contributions are the learner's own, to the margin, summed over the features of a group. Only those
towards fraud are reasons. No value of an id, a key or an excluded column is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle
from fraudml.data.schema import Dataset
from fraudml.features.texts import OWN, VALUE, Slot, Text
from fraudml.features.words import ReasonTemplate, reason_templates
from fraudml.matrix import FIRST_LEVEL_CODE, MISSING_CODE, UNSEEN_CODE, DesignMatrix
from fraudml.printable import printable

_SCHEMA = {
    "row": pl.Int64,
    "rank": pl.Int64,
    "group": pl.String,
    "feature": pl.String,
    "value": pl.String,
    "contribution": pl.Float64,
    "text": pl.String,
}
_UNSEEN = "a value that the training did not have"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def reason_names(most: int) -> list[str]:
    """Return the names of the columns: `reason_1` and so on."""
    return [f"reason_{rank}" for rank in range(1, most + 1)]


def check_reasons(bundle: DecisionBundle) -> None:
    """Raise a `ConfigError` where the bundle's learner has no exact contributions."""
    names = bundle.features.names
    empty = np.empty((0, len(names)), dtype=np.float32)
    bundle.learner.contributions(DesignMatrix(empty, names, bundle.features.categorical))


def reason_columns(
    bundle: DecisionBundle, table: Dataset, X: DesignMatrix, chosen: NDArray[np.bool_], most: int
) -> dict[str, pl.Series]:
    """Return the columns `reason_1` to `reason_<most>` in words; null where `chosen` is false."""
    reasons = explain_rows(bundle, table, X, np.flatnonzero(chosen), most)
    rows = pl.DataFrame({"row": np.arange(len(table))})
    columns = {}
    for rank, name in enumerate(reason_names(most), start=1):
        of_rank = reasons.filter(pl.col("rank") == rank).select("row", "text")
        columns[name] = rows.join(of_rank, on="row", how="left", maintain_order="left")["text"]
    return columns


def explain_rows(
    bundle: DecisionBundle, table: Dataset, X: DesignMatrix, rows: NDArray[np.int64], most: int
) -> pl.DataFrame:
    """Return the reasons of some rows of a table, whose features are `X`: at most `most` a row.

    One row a reason, in the order of `rows`, each of which is given once: `row` (the position in
    the table), `rank` (from 1), `group`, `feature` (the one of the group that contributes most),
    `value` (as people write it, null where missing), `contribution` (of the group, in log-odds,
    above 0) and `text`. Raises a `ConfigError` as `check_reasons` does.
    """
    templates = reason_templates(bundle.features, bundle.schema.roles.amount)
    X = X.take(rows)
    groups = [template.group for template in templates]
    top = _top_contributions(bundle.learner.contributions(X)[:, :-1], groups, most)
    tables = [pl.DataFrame(schema=_SCHEMA)]
    for position in np.unique(top.feature):
        chosen = top.feature == position
        template, at = templates[position], top.at[chosen]
        column = template.column
        own = None if column is None else table.frame[column].gather(rows[at])
        value, text = _in_words(template, X.values[at, position], own)
        columns = {
            "row": rows[at],
            "rank": top.rank[chosen],
            "group": [template.group] * len(at),
            "feature": [template.feature] * len(at),
            "value": value,
            "contribution": top.size[chosen],
            "text": text,
        }
        tables.append(pl.DataFrame(columns, schema=_SCHEMA))
    order = pl.DataFrame({"row": rows, "order": np.arange(len(rows))})
    return pl.concat(tables).join(order, on="row").sort("order", "rank").drop("order")


@dataclass(frozen=True)
class TopContributions:
    """Contributions towards fraud, one an element: position of the row, rank, size, feature."""

    at: NDArray[np.int64]
    rank: NDArray[np.int64]
    size: NDArray[np.float64]
    feature: NDArray[np.int64]


def _top_contributions(
    contributions: NDArray[np.float64], groups: list[str], most: int
) -> TopContributions:
    """Find the groups of features that contribute most; ties go to the group that comes first."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    group = np.array([numbers[name] for name in groups], dtype=np.int64)
    sums = np.zeros((len(contributions), len(numbers)))
    for number, column in zip(group, contributions.T, strict=True):
        sums[:, number] += column
    order = np.argsort(-sums, axis=1, kind="stable")[:, :most]
    sizes = np.take_along_axis(sums, order, axis=1)
    at, rank = np.nonzero(sizes > 0)
    of_group = group == order[at, rank][:, None]
    feature = np.where(of_group, contributions[at], -np.inf).argmax(axis=1)
    return TopContributions(at, rank + 1, sizes[at, rank], feature)


def _in_words(
    template: ReasonTemplate, values: NDArray[np.float32], own: pl.Series | None
) -> tuple[pl.Series, pl.Series]:
    """Return the values of a feature as people write them, and the texts of the reasons."""
    given = pl.Series(values.astype(np.float64)).fill_nan(None)
    read = {VALUE: _readable(template, given)}
    if own is not None:
        number = own.cast(pl.Float64, strict=False)
        read[OWN] = _money(number) if template.money else _number(number)
    text = _filled(template.text, read)
    if template.otherwise is not None:
        text = pl.when(given == 0).then(pl.lit(template.otherwise)).otherwise(text)
    known = pl.when(read[VALUE].is_not_null()).then(text).otherwise(pl.lit(template.missing))
    return _printable(read[VALUE]), _printable(pl.select(known).to_series())


def _printable(texts: pl.Series) -> pl.Series:
    """Show the control characters of names and levels."""
    shown = {text: printable(text) for text in texts.drop_nulls().unique()}
    return texts.replace({text: new for text, new in shown.items() if text != new})


def _filled(text: Text, read: Mapping[Slot, pl.Series]) -> pl.Expr:
    return pl.concat_str(pl.lit(read[part] if isinstance(part, Slot) else part) for part in text)


def _readable(template: ReasonTemplate, given: pl.Series) -> pl.Series:
    """Write values as people do; null where missing."""
    match template.reading:
        case "category":
            names = dict(enumerate(template.levels, start=FIRST_LEVEL_CODE))
            read = _named(given, {MISSING_CODE: None, UNSEEN_CODE: _UNSEEN, **names})
        case "weekday":
            read = _named(given, dict(enumerate(_DAYS, start=1)))
        case "flag":
            read = _named(given, {0: "no", 1: "yes"})
        case "money":
            read = _money(given)
        case "share":
            read = _number(given * 100) + " %"
        case "hour":
            minutes = (given * 60).round().cast(pl.Int64)
            read = _two_digits(minutes // 60) + ":" + _two_digits(minutes % 60)
        case "number":
            read = _number(given)
    return read


def _named(codes: pl.Series, names: Mapping[int, str | None]) -> pl.Series:
    return codes.cast(pl.Int64).replace_strict(names, default=None, return_dtype=pl.String)


def _two_digits(numbers: pl.Series) -> pl.Series:
    return numbers.cast(pl.String).str.zfill(2)


def _number(values: pl.Series) -> pl.Series:
    """Write three digits, or all those before the point."""
    fine = pl.when(values.abs() < 100).then(values.round_sig_figs(3)).otherwise(values.round())
    return pl.select(fine.cast(pl.String).str.strip_suffix(".0")).to_series()


def _money(values: pl.Series) -> pl.Series:
    """Write two digits after the point; numbers that no account holds are written as others."""
    exact = values.cast(pl.Decimal(38, 2), strict=False).cast(pl.String)
    return pl.select(pl.coalesce(exact, _number(values))).to_series()
