"""Why rows are suspicious: the facts that pushed most towards fraud, in words and values.

Pushes are the learner's own contributions to the margin, summed over the features that tell one
fact. Only pushes towards fraud are reasons. No value of an id, a key or an excluded column is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle
from fraudml.data.schema import Dataset
from fraudml.features.texts import OWN, parse_template
from fraudml.features.words import ReasonTemplate, reason_templates
from fraudml.matrix import FIRST_LEVEL_CODE, MISSING_CODE, UNSEEN_CODE, DesignMatrix

_TABLE = {
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
    """Name the columns of so many reasons: `reason_1` and so on."""
    return [f"reason_{rank}" for rank in range(1, most + 1)]


def check_reasons(bundle: DecisionBundle) -> None:
    """Refuse a bundle whose learner cannot say what pushed a row.

    Raises
    ------
    ConfigError
        There are no exact contributions of its kind.
    """
    names = bundle.features.names
    none = np.empty((0, len(names)), dtype=np.float32)
    bundle.learner.contributions(DesignMatrix(none, names, bundle.features.categorical))


def reason_columns(
    bundle: DecisionBundle, table: Dataset, X: DesignMatrix, chosen: NDArray[np.bool_], most: int
) -> dict[str, pl.Series]:
    """Return the columns `reason_1` to `reason_<most>` in words, null in rows that are not chosen.

    Parameters
    ----------
    bundle, table, X, most
        As in `explain_rows`.
    chosen : ndarray of bool
        Which rows are explained; the others cost nothing.
    """
    told = explain_rows(bundle, table, X, np.flatnonzero(chosen), most)
    every = pl.DataFrame({"row": np.arange(len(table))})
    columns = {}
    for rank, name in enumerate(reason_names(most), start=1):
        of_rank = told.filter(pl.col("rank") == rank).select("row", "text")
        columns[name] = every.join(of_rank, on="row", how="left", maintain_order="left")["text"]
    return columns


def explain_rows(
    bundle: DecisionBundle, table: Dataset, X: DesignMatrix, rows: NDArray[np.int64], most: int
) -> pl.DataFrame:
    """Say of rows which facts pushed them most towards fraud.

    Parameters
    ----------
    bundle : DecisionBundle
        What decides.
    table : Dataset
        The rows of a table.
    X : DesignMatrix
        Their features.
    rows : ndarray of int64
        Which of them to explain, each once.
    most : int
        How many facts a row at most.

    Returns
    -------
    DataFrame
        One row a reason: `row` (the position in the table), `rank` (from 1), `group` (the fact),
        `feature` (the one of the group that pushed most), `value` (as people write it, null where
        missing), `contribution` (of the group, in log-odds, above 0) and `text`. Rows stand in the
        order given.

    Raises
    ------
    ConfigError
        As `check_reasons`.
    """
    facts = reason_templates(bundle.features, bundle.schema.roles.amount)
    few = X.take(rows)
    pushes = _largest(bundle.learner.contributions(few)[:, :-1], [one.group for one in facts], most)
    made = [pl.DataFrame(schema=_TABLE)]
    for position in np.unique(pushes.feature):
        here = pushes.feature == position
        fact, at = facts[position], pushes.at[here]
        own = None if fact.column is None else table.frame[fact.column].gather(rows[at])
        value, text = _in_words(fact, few.values[at, position], own)
        columns = {
            "row": rows[at],
            "rank": pushes.rank[here],
            "group": [fact.group] * len(at),
            "feature": [fact.feature] * len(at),
            "value": value,
            "contribution": pushes.size[here],
            "text": text,
        }
        made.append(pl.DataFrame(columns, schema=_TABLE))
    return _in_order(pl.concat(made), rows)


def _in_order(told: pl.DataFrame, rows: NDArray[np.int64]) -> pl.DataFrame:
    places = pl.DataFrame({"row": rows, "place": np.arange(len(rows))})
    return told.join(places, on="row").sort("place", "rank").drop("place")


@dataclass(frozen=True)
class TopContributions:
    """Pushes towards fraud, one an element: whose row, its rank, how much, by which feature."""

    at: NDArray[np.int64]
    rank: NDArray[np.int64]
    size: NDArray[np.float64]
    feature: NDArray[np.int64]


def _largest(parts: NDArray[np.float64], names: list[str], most: int) -> TopContributions:
    """Find the groups of features that push most; ties go to the group that comes first."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    group = np.array([numbers[name] for name in names], dtype=np.int64)
    sums = np.zeros((len(parts), len(numbers)))
    for number, column in zip(group, parts.T, strict=True):
        sums[:, number] += column
    order = np.argsort(-sums, axis=1, kind="stable")[:, :most]
    sizes = np.take_along_axis(sums, order, axis=1)
    at, place = np.nonzero(sizes > 0)
    of_group = group == order[at, place][:, None]
    feature = np.where(of_group, parts[at], -np.inf).argmax(axis=1)
    return TopContributions(at, place + 1, sizes[at, place], feature)


def _in_words(
    fact: ReasonTemplate, values: NDArray[np.float32], own: pl.Series | None
) -> tuple[pl.Series, pl.Series]:
    """Write the values of a feature, and what they say."""
    given = pl.Series(values.astype(np.float64)).fill_nan(None)
    read = {"value": _read(fact, given)}
    if own is not None:
        number = own.cast(pl.Float64, strict=False)
        read[OWN] = _money(number) if fact.money else _number(number)
    text = _filled(fact.text, read)
    if fact.otherwise is not None:
        text = pl.when(given == 0).then(pl.lit(fact.otherwise)).otherwise(text)
    known = pl.when(read["value"].is_not_null()).then(text).otherwise(pl.lit(fact.missing))
    return read["value"], pl.select(known).to_series()


def _filled(text: str, read: Mapping[str, pl.Series]) -> pl.Expr:
    form, names = parse_template(text)
    return pl.format(form, *(pl.lit(read[name]) for name in names)) if names else pl.lit(text)


def _read(fact: ReasonTemplate, given: pl.Series) -> pl.Series:
    """Write values as people do; null where missing."""
    match fact.reading:
        case "category":
            names = dict(enumerate(fact.levels, start=FIRST_LEVEL_CODE))
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
