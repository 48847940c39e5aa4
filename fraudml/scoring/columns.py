"""The columns that a bundle requires of a table, and whether a table has them in the right types.

This is decided once, by the names and types of a file, before any row is read. What a single row
lacks is the business of `rows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from fraudml.bundle import DecisionBundle
from fraudml.data.schema import Schema
from fraudml.errors import DataError, all_problems, nearest

Kind = Literal["number", "category", "date", "name", "label"]


@dataclass(frozen=True)
class RequiredColumn:
    """A column that scoring reads, and what its values must be.

    Parameters
    ----------
    name : str
        The column.
    kind : str
        `number`, `category` (of known levels), `date` (a moment), `name` (any single value) or
        `label`.
    missing : str, optional
        Why a row without a value cannot be scored; None where it can.
    finite : bool
        Whether a row with an infinite number cannot be scored.
    levels : tuple of str
        The levels that a category was trained with.
    optional : bool
        Whether a table may be without the column.
    """

    name: str
    kind: Kind
    missing: str | None = None
    finite: bool = True
    levels: tuple[str, ...] = ()
    optional: bool = False


def required_columns(bundle: DecisionBundle, *, by_day: bool = False) -> tuple[RequiredColumn, ...]:
    """Return the columns that an input must have, each once.

    With `by_day`, alerts are chosen by day, which takes the time and, where there is one, the
    entity.
    """
    required: dict[str, RequiredColumn] = {}
    for column in _input_columns(bundle, by_day):
        first = required.setdefault(column.name, column)
        required[column.name] = replace(first, missing=first.missing or column.missing)
    return tuple(required.values())


def _input_columns(bundle: DecisionBundle, by_day: bool) -> Iterator[RequiredColumn]:
    roles, features, history = bundle.schema.roles, bundle.features, bundle.features.history
    if roles.time and (features.uses_time or by_day):
        yield RequiredColumn(roles.time, "date", f"no time in '{roles.time}'")
    if roles.amount and bundle.needs_amount:
        yield RequiredColumn(roles.amount, "number", f"no amount in '{roles.amount}'")
    for name in bundle.costs.columns:
        yield RequiredColumn(name, "number", f"no cost in '{name}'")
    for feature in features.own:
        kind: Kind = "date" if feature.kind == "age" else feature.kind
        yield RequiredColumn(feature.column, kind, levels=feature.levels)
    for name in sorted(history.numbers):
        yield RequiredColumn(name, "number")
    names = [*sorted(history.columns), roles.entity if by_day else None, roles.id]
    yield from (RequiredColumn(name, "name") for name in names if name is not None)
    yield from (replace(column, optional=True) for column in _label_columns(bundle))


def required_history(bundle: DecisionBundle) -> tuple[RequiredColumn, ...]:
    """Return the columns that earlier rows must have; a row without a time is in nobody's past."""
    time, history = bundle.schema.roles.time, bundle.features.history
    columns = [
        RequiredColumn(name, "number" if name in history.numbers else "name", finite=False)
        for name in sorted(bundle.needed_history & history.columns)
    ]
    if time is not None:
        columns.append(RequiredColumn(time, "date", f"no time in '{time}'"))
    return (*columns, *_label_columns(bundle))


def _label_columns(bundle: DecisionBundle) -> Iterator[RequiredColumn]:
    roles = bundle.schema.roles
    if bundle.features.history.uses_labels:
        yield RequiredColumn(roles.label, "label")
        if roles.label_time is not None:
            yield RequiredColumn(roles.label_time, "date")
        if roles.label_delay is not None:
            yield RequiredColumn(roles.label_delay, "number")


def check_columns(
    required: Sequence[RequiredColumn],
    types: Mapping[str, pl.DataType],
    schema: Schema,
    table: str,
    *,
    text: bool,
) -> tuple[RequiredColumn, ...]:
    """Return the required columns that a table has; refuse it where others than optional ones lack.

    Parameters
    ----------
    required : sequence of RequiredColumn
        The columns of the bundle.
    types : mapping of str to polars DataType
        The columns of the table.
    schema : Schema
        The bundle's.
    table : str
        The table, in messages.
    text : bool
        Whether it is delimited text, whose columns are all text before their values are read.

    Raises
    ------
    DataError
        Columns are missing or of another type; all are named at once.
    """
    problems = [
        f"column '{column.name}' is not in {table}. {nearest(column.name, types)}"
        for column in required
        if column.name not in types and not column.optional
    ]
    present = tuple(column for column in required if column.name in types)
    for column in present:
        wrong = None if text else _wrong_type(column, types[column.name], schema)
        if wrong is not None:
            problems.append(
                f"column '{column.name}' is of type {types[column.name]} in {table}. {wrong}"
            )
    if problems:
        heading = f"{len(problems)} columns differ from those that the model was trained with."
        raise DataError(all_problems(heading, problems))
    return present


def _wrong_type(required: RequiredColumn, dtype: pl.DataType, schema: Schema) -> str | None:
    """What a column should have been; None where it is that."""
    if dtype == pl.Null:
        return None
    single = not dtype.is_nested() and dtype not in (pl.Object, pl.Binary)
    number = dtype.is_numeric() or dtype == pl.Boolean
    delay = required.name == schema.roles.label_delay and isinstance(dtype, pl.Duration)
    if required.kind == "number" and not (number or delay):
        return "The model was trained with a number. Convert it."
    if required.kind == "date":
        numeric = schema.number_unit(required.name) is not None
        written = dtype.is_numeric() and schema.time_format is not None
        right = dtype.is_numeric() if numeric else written or _is_moment(dtype)
        if not right:
            return f"The model was trained with a {'number' if numeric else 'date'}. Convert it."
    if required.kind == "category" and not (single and _can_be_level(dtype, required.levels)):
        return "The model was trained with names that such values cannot have. Convert it."
    if required.kind in ("name", "label") and not single:
        return "Expected one value a row. Convert it."
    return None


def _is_moment(dtype: pl.DataType) -> bool:
    return dtype in (pl.Date, pl.String) or isinstance(dtype, pl.Datetime)


def _can_be_level(dtype: pl.DataType, levels: tuple[str, ...]) -> bool:
    """Whether values of a type may be spelt as one of the levels is."""
    if not levels or dtype in (pl.String, pl.Categorical, pl.Enum):
        return True
    if dtype == pl.Boolean:
        return bool({"true", "false"} & set(levels))
    return dtype.is_numeric() and any(map(_is_number, levels))


def _is_number(text: str) -> bool:
    with suppress(ValueError):
        float(text)
        return True
    return False
