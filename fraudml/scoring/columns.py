"""Which columns a bundle wants of a table, and whether a table has them in the right types.

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
    """A column that scoring reads, and what it must be.

    Parameters
    ----------
    column : str
        Its name.
    kind : str
        `number`, `category` (of known levels), `date` (a moment), `name` (any single value) or
        `label`.
    missing : str, optional
        What is said of a row that has nothing there, where that row cannot be scored; None where a
        gap is a value like others.
    finite : bool
        Whether an infinite number makes the row one that cannot be scored.
    levels : tuple of str
        The levels that a category was trained with.
    optional : bool
        Whether a table may be without the column.
    """

    column: str
    kind: Kind
    missing: str | None = None
    finite: bool = True
    levels: tuple[str, ...] = ()
    optional: bool = False


def required_columns(bundle: DecisionBundle, *, by_day: bool = False) -> tuple[RequiredColumn, ...]:
    """Return what the rows of an input must have, each column once.

    Parameters
    ----------
    bundle : DecisionBundle
        What will score them.
    by_day : bool
        Whether alerts are chosen by day, which takes the time and, where there is one, the entity.
    """
    roles, features, history = bundle.schema.roles, bundle.features, bundle.features.history
    wants: dict[str, RequiredColumn] = {}

    def want(one: RequiredColumn) -> None:
        known = wants.setdefault(one.column, one)
        wants[one.column] = replace(known, missing=known.missing or one.missing)

    if roles.time and (features.uses_time or by_day):
        want(RequiredColumn(roles.time, "date", f"no time in '{roles.time}'"))
    if roles.amount and bundle.needs_amount:
        want(RequiredColumn(roles.amount, "number", f"no amount in '{roles.amount}'"))
    for name in bundle.costs.columns:
        want(RequiredColumn(name, "number", f"no cost in '{name}'"))
    for one in features.own:
        kind: Kind = "date" if one.kind == "age" else one.kind
        want(RequiredColumn(one.column, kind, levels=one.levels))
    for name in sorted(history.numbers):
        want(RequiredColumn(name, "number"))
    for name in sorted({one.key for one in history.features}):
        want(
            RequiredColumn(
                name, "name", None if name in roles.categorical else f"no key in '{name}'"
            )
        )
    for name in sorted(history.columns):
        want(RequiredColumn(name, "name"))
    if by_day and roles.entity:
        want(RequiredColumn(roles.entity, "name"))
    if roles.id is not None:
        want(RequiredColumn(roles.id, "name"))
    for one_more in _label_wants(bundle):
        want(replace(one_more, optional=True))
    return tuple(wants.values())


def required_history(bundle: DecisionBundle) -> tuple[RequiredColumn, ...]:
    """Return what earlier rows must have; a row without a time is in nobody's past."""
    time, history = bundle.schema.roles.time, bundle.features.history
    numbers = history.numbers
    wants = [
        RequiredColumn(name, "number" if name in numbers else "name", finite=False)
        for name in sorted(bundle.needed_history & history.columns)
    ]
    if time is not None:
        wants.append(RequiredColumn(time, "date", f"no time in '{time}'"))
    return (*wants, *_label_wants(bundle))


def _label_wants(bundle: DecisionBundle) -> Iterator[RequiredColumn]:
    roles = bundle.schema.roles
    if bundle.features.history.uses_labels:
        yield RequiredColumn(roles.label, "label")
        if roles.label_time is not None:
            yield RequiredColumn(roles.label_time, "date")


def check_columns(
    wants: Sequence[RequiredColumn],
    found: Mapping[str, pl.DataType],
    schema: Schema,
    where: str,
    *,
    text: bool,
) -> tuple[RequiredColumn, ...]:
    """Refuse a table whose columns are missing, renamed or of another type; all are named at once.

    Parameters
    ----------
    wants : sequence of RequiredColumn
        What must be there.
    found : mapping of str to polars DataType
        What is there.
    schema : Schema
        The bundle's.
    where : str
        What the message calls the table.
    text : bool
        Whether it is delimited text, whose columns are all text before their values are read.

    Returns
    -------
    tuple of RequiredColumn
        Those that are there: all but optional ones.

    Raises
    ------
    DataError
        Anything is missing or of another type.
    """
    problems = [
        f"column '{want.column}' is not in {where}. {nearest(want.column, found)}"
        for want in wants
        if want.column not in found and not want.optional
    ]
    there = tuple(want for want in wants if want.column in found)
    for want in there:
        wrong = None if text else _wrong_type(want, found[want.column], schema)
        if wrong is not None:
            problems.append(
                f"column '{want.column}' is of type {found[want.column]} in {where}. {wrong}"
            )
    if problems:
        heading = f"{len(problems)} columns are not those that the model was trained with."
        raise DataError(all_problems(heading, problems))
    return there


def _wrong_type(want: RequiredColumn, dtype: pl.DataType, schema: Schema) -> str | None:
    """Say what a column should have been; None where it is that."""
    if dtype == pl.Null:
        return None
    single = not dtype.is_nested() and dtype not in (pl.Object, pl.Binary)
    number = dtype.is_numeric() or dtype == pl.Boolean
    if want.kind == "number" and not number:
        return "The model was trained with a number. Convert it."
    if want.kind == "date":
        numeric = want.column == schema.roles.time and schema.numeric_time
        if numeric != dtype.is_numeric() or not (numeric or _is_moment(dtype)):
            return f"The model was trained with a {'number' if numeric else 'date'}. Convert it."
    if want.kind == "category" and not (single and _can_be_level(dtype, want.levels)):
        return "The model was trained with names that such values never are. Convert it."
    if want.kind in ("name", "label") and not single:
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
