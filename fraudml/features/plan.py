"""The feature plan: which column becomes which feature, and what fitting learnt about it.

Features are float64 and depend on the row, its past and what was learnt on the fit block, never on
the rows beside it. `FittedFeatures` turns into JSON and back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.data.clock import read_moments
from fraudml.data.schema import Dataset, Schema
from fraudml.errors import ConfigError, DataError, all_problems, nearest
from fraudml.matrix import FIRST_LEVEL_CODE, MISSING_CODE, UNSEEN_CODE, DesignMatrix

_log = logging.getLogger(__name__)

Kind = Literal["number", "category", "age"]

# Factors, for polars divides a column of one row and one of many to different last bits.
_DAYS_A_MICROSECOND = 1 / 86_400e6
_HOURS_A_MINUTE = 1 / 60
_TIME_PARTS = ("hour", "weekday")
_CHUNK = 500_000
_NEARLY_EVERY = 0.99
_ENOUGH_TO_NAME = 100


@dataclass(frozen=True)
class FeatureSettings:
    """What is made into features.

    Parameters
    ----------
    time_parts : bool
        Whether the hour and the weekday of a time with a calendar are features.
    keys : tuple of str
        Columns that name somebody besides the entity (a terminal, a device): not features
        themselves, but what windows look back on.
    leave_out : tuple of str
        Columns that are no features, though they play no other role.
    max_levels : int
        A text column with more levels is left out, unless it is named under
        `data.columns.categorical`.
    """

    time_parts: bool = True
    keys: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    max_levels: int = 1000

    def __post_init__(self) -> None:
        if self.max_levels < 1:
            raise ConfigError(f"features.max_levels is {self.max_levels}. It is at least 1.")


@dataclass(frozen=True)
class Feature:
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

    def expression(self, dtype: pl.DataType) -> pl.Expr:
        """Return the float64 expression over the table's columns and `MOMENT_COLUMN`.

        Parameters
        ----------
        dtype : DataType
            What the column holds in this table; a name that is a number is spelt alike in all.
        """
        column = pl.col(self.column)
        if self.kind == "category":
            names = _as_name(column, dtype)
            codes = names.replace_strict(
                list(self.levels),
                range(FIRST_LEVEL_CODE, FIRST_LEVEL_CODE + len(self.levels)),
                default=UNSEEN_CODE,
                return_dtype=pl.Float64,
            )
            made = pl.when(names.is_null()).then(float(MISSING_CODE)).otherwise(codes)
        elif self.kind == "age":
            age = (pl.col(MOMENT_COLUMN) - column).dt.total_microseconds()
            made = age.cast(pl.Float64) * _DAYS_A_MICROSECOND
        else:
            made = column.cast(pl.Float64).fill_nan(None)
        return made.alias(self.name)


def _as_name(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Spell 1.0 as 1, for a whole number with missing values is often stored as a float."""
    if not dtype.is_float():
        return column.cast(pl.String)
    number = column.fill_nan(None)
    whole = pl.when(number == number.floor()).then(number.cast(pl.Int64, strict=False))
    return pl.coalesce(whole.cast(pl.String), number.cast(pl.String))


MOMENT_COLUMN = "\x00time"
"""The name under which the clock stands beside a table's own columns; no file can hold it."""


@dataclass(frozen=True)
class FittedFeatures:
    """Features that have learnt their categories; the same for training and scoring.

    Parameters
    ----------
    features : tuple of Feature
        In the order of the design matrix.
    time_parts : bool
        Whether hour and weekday follow them.
    history_needed : float
        How many seconds of history before a row its features look at.
    """

    features: tuple[Feature, ...]
    time_parts: bool
    history_needed: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        made = [feature.name for feature in self.features]
        for part in _TIME_PARTS if self.time_parts else ():
            made.append(_free_name(part, made))
        return tuple(made)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the features that are codes."""
        return tuple(i for i, made in enumerate(self.features) if made.kind == "category")

    @property
    def uses_time(self) -> bool:
        """Whether a row needs a time."""
        return self.time_parts or any(made.kind == "age" for made in self.features)

    @property
    def columns(self) -> frozenset[str]:
        """The table's columns that the features are made from."""
        return frozenset(feature.column for feature in self.features)

    def transform(self, table: Dataset, history: Dataset | None = None) -> pl.DataFrame:
        """Compute the features of each row of a table.

        Parameters
        ----------
        table : Dataset
            The rows, in any order; theirs is kept.
        history : Dataset, optional
            Earlier rows that features may look back on.

        Returns
        -------
        DataFrame of Float64
            One row a row, one column a feature; null is missing, a category is a code.

        Raises
        ------
        DataError
            A column that was a number in the fit is none here, or a date cannot be read.
        """
        del history  # no kind of feature looks back yet; the argument is part of the seam
        source, parts = self._source(table), []
        if self.time_parts:
            moment, (hour, weekday) = pl.col(MOMENT_COLUMN), self.names[-2:]
            hours = moment.dt.hour() + moment.dt.minute() * _HOURS_A_MINUTE
            parts = [
                hours.cast(pl.Float64).alias(hour),
                moment.dt.weekday().cast(pl.Float64).alias(weekday),
            ]
        made = (feature.expression(source.schema[feature.column]) for feature in self.features)
        return source.select(*made, *parts)

    def _source(self, table: Dataset) -> pl.DataFrame:
        """Return the table with its clock, its dates as moments and its numbers as numbers."""
        schema, kinds = table.schema, {made.column: made.kind for made in self.features}
        dates = [
            read_moments(table.frame[name], schema.time_unit, schema.time_format)
            for name, kind in kinds.items()
            if kind == "age"
        ]
        if table.has_time:
            dates.append(table.facts["time"].alias(MOMENT_COLUMN))
        numbers = [table.frame[name] for name, kind in kinds.items() if kind == "number"]
        problems = [problem for column in numbers if (problem := _no_number(column)) is not None]
        if problems:
            raise DataError(all_problems(f"{len(problems)} columns are no numbers.", problems))
        return table.frame.with_columns(dates)

    def matrix(
        self, table: Dataset, rows: NDArray[np.int64] | None = None, history: Dataset | None = None
    ) -> DesignMatrix:
        """Compute the features and lay them out for a learner, without labels.

        Rows are transformed in pieces, so that the float64 features of the whole table never stand
        beside the float32 matrix.

        Parameters
        ----------
        table : Dataset
            The rows.
        rows : ndarray of int64, optional
            Which rows, increasing; all by default.
        history : Dataset, optional
            As in `transform`.
        """
        rows = np.arange(len(table)) if rows is None else rows
        values = np.empty((len(rows), len(self.names)), dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            piece = rows[start : start + _CHUNK]
            made = self.transform(_piece(table, piece), history)
            values[start : start + len(piece)] = made.cast(pl.Float32).to_numpy()
        return DesignMatrix(values, self.names, self.categorical)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; `from_dict` is the way back."""
        return {
            "features": [
                {
                    "name": made.name,
                    "column": made.column,
                    "kind": made.kind,
                    "levels": list(made.levels),
                }
                for made in self.features
            ],
            "time_parts": self.time_parts,
            "history_needed": self.history_needed,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> FittedFeatures:
        """Make features from what `to_dict` gave."""
        features = tuple(
            Feature(one["name"], one["column"], one["kind"], tuple(one["levels"]))
            for one in content["features"]
        )
        return cls(features, content["time_parts"], content["history_needed"])


def _free_name(name: str, taken: Iterable[str]) -> str:
    known = set(taken)
    while name in known:
        name = f"{name} of the time"
    return name


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


def _piece(table: Dataset, rows: NDArray[np.int64]) -> Dataset:
    if len(rows) and int(rows[-1]) - int(rows[0]) + 1 == len(rows):
        first, count = int(rows[0]), len(rows)
        return Dataset(
            table.frame.slice(first, count), table.facts.slice(first, count), table.schema
        )
    return table.take(rows)


def fit_features(
    dataset: Dataset,
    rows: NDArray[np.int64],
    settings: FeatureSettings,
    *,
    never: frozenset[str] = frozenset(),
) -> FittedFeatures:
    """Decide what each column becomes, and learn its categories from the rows of the fit block.

    Numbers and booleans stay as they are; text, and what is named categorical, becomes codes; other
    dates become days before the row's time. Columns that name (nearly) every row, text with more
    than `max_levels` levels, and columns with one value are left out, and said.

    Parameters
    ----------
    dataset : Dataset
        The table.
    rows : ndarray of int64
        The development window.
    settings : FeatureSettings
        What to make.
    never : frozenset of str
        Columns that are no features for a reason outside the table, such as costs.

    Raises
    ------
    DataError
        A column that `keys` or `leave_out` names is not there, or no column is left that varies.
    """
    schema, frame = dataset.schema, dataset.frame
    _check_named(settings, frame)
    out = schema.never_features | never | {*settings.keys, *settings.leave_out}
    fit_rows = _piece(dataset, rows).frame
    features = tuple(
        feature
        for name in frame.columns
        if name not in out
        for feature in _feature(fit_rows[name], schema, settings)
    )
    features = _named_apart(features)
    time_parts = settings.time_parts and dataset.has_time and not schema.numeric_time
    if not features and not time_parts:
        raise DataError(
            f"No column is left to learn from: each of the {frame.width} columns has a role, one "
            f"value alone in the {len(rows):,} rows of the development window, or names every row. "
            "Bring columns that vary, or check data.columns and features.leave_out."
        )
    return FittedFeatures(features, time_parts)


def _check_named(settings: FeatureSettings, frame: pl.DataFrame) -> None:
    named = [("keys", name) for name in settings.keys]
    named += [("leave_out", name) for name in settings.leave_out]
    problems = [
        f"features.{key} names column '{name}', which is not in the table. "
        f"{nearest(name, frame.columns)} Correct it under features.{key}."
        for key, name in named
        if name not in frame.columns
    ]
    if problems:
        raise DataError(all_problems(f"{len(problems)} columns are missing.", problems))


def _named_apart(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Rename what was made where a column of the table has that name already."""
    taken = [made.name for made in features if made.kind != "age"]
    apart = []
    for made in features:
        free = made if made.kind != "age" else replace(made, name=_free_name(made.name, taken))
        apart.append(free)
        taken += [free.name] if made.kind == "age" else []
    return tuple(apart)


def _feature(column: pl.Series, schema: Schema, settings: FeatureSettings) -> Iterator[Feature]:
    name, kind = column.name, column.dtype
    if kind.is_nested() or kind in (pl.Object, pl.Binary, pl.Duration, pl.Time):
        _log.warning("Column '%s' is of type %s, which is no feature: left out.", name, kind)
    elif _has_one_value(column):
        _log.info("Column '%s' has one value and is left out.", name)
    elif name in schema.roles.categorical:
        yield Feature(name, name, "category", _levels(column))
    elif kind.is_integer() and name != schema.roles.amount and _names_every_row(column):
        _log.warning("Column '%s' has another value in nearly every row: left out.", name)
    elif kind.is_numeric() or kind == pl.Boolean:
        yield Feature(name, name, "number")
    elif kind in (pl.Date, pl.Datetime):
        yield from _age(name, schema)
    elif kind in (pl.String, pl.Categorical, pl.Enum):
        yield from _category(column, settings)
    else:
        _log.warning("Column '%s' is of type %s, which is no feature: left out.", name, kind)


def _has_one_value(column: pl.Series) -> bool:
    """Whether all rows hold the same, or all nothing: what is missing may tell rows apart."""
    known = column.fill_nan(None) if column.dtype.is_float() else column
    missing = known.null_count()
    return missing == len(known) or (not missing and bool(known.min() == known.max()))


def _category(column: pl.Series, settings: FeatureSettings) -> Iterator[Feature]:
    if _names_every_row(column):
        _log.warning("Column '%s' has another value in nearly every row: left out.", column.name)
    elif (levels := column.drop_nulls().n_unique()) > settings.max_levels:
        _log.warning(
            "Column '%s' has %d levels, more than features.max_levels=%d: left out. Name it under "
            "data.columns.categorical to keep it.",
            column.name,
            levels,
            settings.max_levels,
        )
    else:
        yield Feature(column.name, column.name, "category", _levels(column))


def _names_every_row(column: pl.Series) -> bool:
    known = len(column) - column.null_count()
    return known >= _ENOUGH_TO_NAME and column.n_unique() > _NEARLY_EVERY * known


def _levels(column: pl.Series) -> tuple[str, ...]:
    names = column.to_frame().select(_as_name(pl.first(), column.dtype)).to_series()
    return tuple(names.drop_nulls().unique().sort().to_list())


def _age(name: str, schema: Schema) -> Iterator[Feature]:
    if schema.roles.time is None or schema.numeric_time:
        _log.warning("Column '%s' is a date without a clock to compare it with: left out.", name)
    else:
        yield Feature(f"days since {name}", name, "age")
