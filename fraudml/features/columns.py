"""Features of a column by itself: a number, the code of a category, the age of a date.

What each column becomes is decided on the rows of the fit block, and learnt nowhere else.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from fraudml.data.clock import read_moments
from fraudml.data.names import names_of
from fraudml.data.schema import Dataset, Schema
from fraudml.errors import DataError, all_problems
from fraudml.features.settings import FeatureSettings, TimePart
from fraudml.matrix import FIRST_LEVEL_CODE, MISSING_CODE, UNSEEN_CODE

_log = logging.getLogger(__name__)

Kind = Literal["number", "category", "age"]

# Factors, for polars divides a column of one row and one of many to different last bits.
_DAYS_A_MICROSECOND = 1 / 86_400e6
_HOURS_A_MINUTE = 1 / 60
_NEARLY_EVERY = 0.99
_ENOUGH_TO_NAME = 100

MOMENT_COLUMN = "\x00time"
"""The name under which the clock stands beside a table's own columns; no file can hold it."""


@dataclass(frozen=True)
class ColumnFeature:
    """One column of the features.

    Parameters
    ----------
    name : str
        What it is called.
    column : str
        The column that it is made from.
    kind : str
        `number` (as it is), `category` (a code) or `age` (days from the date to the row's time).
    levels : tuple of str
        The known values of a category, sorted; their codes count from `FIRST_LEVEL_CODE`.
    """

    name: str
    column: str
    kind: Kind
    levels: tuple[str, ...] = ()

    def expression(self) -> pl.Expr:
        """Return the float64 expression over what `with_sources` gives."""
        column = pl.col(self.column)
        if self.kind == "category":
            codes = column.replace_strict(
                list(self.levels),
                range(FIRST_LEVEL_CODE, FIRST_LEVEL_CODE + len(self.levels)),
                default=UNSEEN_CODE,
                return_dtype=pl.Float64,
            )
            values = pl.when(column.is_null()).then(float(MISSING_CODE)).otherwise(codes)
        elif self.kind == "age":
            age = (pl.col(MOMENT_COLUMN) - column).dt.total_microseconds()
            values = age.cast(pl.Float64) * _DAYS_A_MICROSECOND
        else:
            values = column.cast(pl.Float64).fill_nan(None)
        return values.alias(self.name)


def time_part(part: TimePart) -> pl.Expr:
    """Return a part of the clock as a float64 expression over `MOMENT_COLUMN`, under its name."""
    moment = pl.col(MOMENT_COLUMN)
    hour = (moment.dt.hour() + moment.dt.minute() * _HOURS_A_MINUTE).cast(pl.Float64)
    weekday = moment.dt.weekday()
    of_day, of_week = hour * (math.tau / 24), (weekday - 1) * (math.tau / 7)
    parts: dict[TimePart, pl.Expr] = {
        "hour": hour,
        "weekday": weekday,
        "day_of_month": moment.dt.day(),
        "weekend": weekday >= _SATURDAY,
        "night": moment.dt.hour() < _MORNING,
        "hour_sin": of_day.sin(),
        "hour_cos": of_day.cos(),
        "weekday_sin": of_week.sin(),
        "weekday_cos": of_week.cos(),
    }
    return parts[part].cast(pl.Float64).alias(part)


_SATURDAY = 6
_MORNING = 7


def with_sources(table: Dataset, features: Iterable[ColumnFeature]) -> pl.DataFrame:
    """Return a table with its clock, its dates as moments, its categories as names.

    Raises
    ------
    DataError
        A column that was a number in the fit is none here, or a date or name cannot be read.
    """
    schema, kinds = table.schema, {feature.column: feature.kind for feature in features}
    sources = [
        read_moments(table.frame[name], schema.time_unit, schema.time_format)
        if kind == "age"
        else table.names(name)
        for name, kind in kinds.items()
        if kind != "number"
    ]
    if table.has_time:
        sources.append(table.facts["time"].alias(MOMENT_COLUMN))
    refuse_text(table.frame[name] for name, kind in kinds.items() if kind == "number")
    return table.frame.with_columns(sources)


def refuse_text(columns: Iterable[pl.Series]) -> None:
    """Raise a `DataError` that names every column that was a number in the fit and is none here."""
    problems = [problem for column in columns if (problem := _no_number(column)) is not None]
    if problems:
        raise DataError(all_problems(f"{len(problems)} columns are no numbers.", problems))


def _no_number(column: pl.Series) -> str | None:
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return None
    wanted = f"column '{column.name}' was a number when the features were fitted and"
    if column.dtype != pl.String:
        return f"{wanted} is of type {column.dtype} here. Convert it to a number."
    failed = column.is_not_null() & column.cast(pl.Float64, strict=False).is_null()
    if not failed.any():
        return None
    return (
        f"{wanted} is text in {failed.sum():,} of {len(column):,} rows here (first at row "
        f"{failed.arg_max():,}: '{column.filter(failed)[0]}'). Set these to null or to a number."
    )


def fit_columns(
    fit_rows: pl.DataFrame, schema: Schema, settings: FeatureSettings, out: frozenset[str]
) -> tuple[ColumnFeature, ...]:
    """Decide what each column becomes by itself, and learn the levels of the categories.

    Parameters
    ----------
    fit_rows : DataFrame
        The rows of the fit block.
    schema : Schema
        The roles.
    settings : FeatureSettings
        How many levels a category may have.
    out : frozenset of str
        Columns that are no features.
    """
    return _named_apart(
        tuple(
            feature
            for name in fit_rows.columns
            if name not in out
            for feature in _feature(fit_rows[name], schema, settings)
        )
    )


def free_name(name: str, taken: Iterable[str]) -> str:
    """Add to a name until nothing that is taken has it."""
    known = set(taken)
    while name in known:
        name = f"{name} of the time"
    return name


def _named_apart(features: tuple[ColumnFeature, ...]) -> tuple[ColumnFeature, ...]:
    """Rename what was made where a column of the table has that name already."""
    taken = [feature.name for feature in features if feature.kind != "age"]
    renamed = []
    for feature in features:
        if feature.kind == "age":
            feature = replace(feature, name=free_name(feature.name, taken))  # noqa: PLW2901
            taken.append(feature.name)
        renamed.append(feature)
    return tuple(renamed)


def _feature(
    column: pl.Series, schema: Schema, settings: FeatureSettings
) -> Iterator[ColumnFeature]:
    name, kind = column.name, column.dtype
    if kind.is_nested() or kind in (pl.Object, pl.Binary, pl.Duration, pl.Time):
        _log.warning("Column '%s' is of type %s, which is no feature: left out.", name, kind)
        return
    is_text = kind in (pl.String, pl.Categorical, pl.Enum)
    if is_text or name in schema.roles.categorical:
        column = names_of(column, schema.spelling)
    if _has_one_value(column):
        _log.info("Column '%s' has one value and is left out.", name)
    elif name in schema.roles.categorical:
        yield ColumnFeature(name, name, "category", _levels(column))
    elif kind.is_integer() and name != schema.roles.amount and _names_every_row(column):
        _log.warning("Column '%s' has another value in nearly every row: left out.", name)
    elif kind.is_numeric() or kind == pl.Boolean:
        yield ColumnFeature(name, name, "number")
    elif kind in (pl.Date, pl.Datetime):
        yield from _age(name, schema)
    elif is_text:
        yield from _category(column, settings)
    else:
        _log.warning("Column '%s' is of type %s, which is no feature: left out.", name, kind)


def _has_one_value(column: pl.Series) -> bool:
    """Whether all rows hold the same, or all nothing: what is missing may tell rows apart."""
    known = column.fill_nan(None) if column.dtype.is_float() else column
    missing = known.null_count()
    return missing == len(known) or (not missing and bool(known.min() == known.max()))


def _category(names: pl.Series, settings: FeatureSettings) -> Iterator[ColumnFeature]:
    if _names_every_row(names):
        _log.warning("Column '%s' has another value in nearly every row: left out.", names.name)
    elif (levels := names.drop_nulls().n_unique()) > settings.max_levels:
        _log.warning(
            "Column '%s' has %d levels in %d rows, more than features.max_levels=%d: left out. To "
            "keep it, name it under data.columns.categorical or set features.max_levels=%d.",
            names.name,
            levels,
            len(names) - names.null_count(),
            settings.max_levels,
            levels,
        )
    else:
        yield ColumnFeature(names.name, names.name, "category", _levels(names))


def _names_every_row(column: pl.Series) -> bool:
    known = len(column) - column.null_count()
    return known >= _ENOUGH_TO_NAME and column.n_unique() > _NEARLY_EVERY * known


def _levels(names: pl.Series) -> tuple[str, ...]:
    return tuple(names.drop_nulls().unique().sort().to_list())


def _age(name: str, schema: Schema) -> Iterator[ColumnFeature]:
    if schema.roles.time is None or not schema.calendar:
        _log.warning("Column '%s' is a date without a clock to compare it with: left out.", name)
    else:
        yield ColumnFeature(f"days since {name}", name, "age")
