"""Whether a table is what the settings say: decided here, once, all problems together.

Reading files is the business of `read`, finding what will hurt a model that of the package `audit`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from fraudml.data.clock import MOMENT, is_written, read_moments
from fraudml.data.labels import find_words, read_labels
from fraudml.data.names import Spelling, comparable
from fraudml.data.numbers import Style, find_money, misfits, read_money, without_markers
from fraudml.data.schema import Dataset, Schema
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.data.times import (
    are_dates,
    are_days,
    check_arrival,
    check_present,
    check_unit,
    read_arrival,
)
from fraudml.errors import DataError, all_problems, listing, nearest

_log = logging.getLogger(__name__)

_LARGEST = float(np.finfo(np.float32).max)
"""What a learner's float32 still holds."""

_NO_FACTS = pl.DataFrame(
    schema={
        "row": pl.Int64,
        "label": pl.Int8,
        "time": MOMENT,
        "label_time": MOMENT,
        "amount": pl.Float64,
    }
)

_PATTERN = re.compile(r"\*|\^.*\$", re.DOTALL)

_SWITCHED_OFF = {
    "time": "blocks by time (they are stratified instead), delays, time parts, alerts per day",
    "id": "an id in the scores (the row number stands in)",
    "entity": "card precision and intervals by card",
    "amount": "costs by amount, value recall",
}


@dataclass(frozen=True)
class Problem:
    """One thing for which a table is refused.

    Parameters
    ----------
    kind : str
        `empty_table`, `missing_column`, `column_name`, `infinite`, `empty_id`, `duplicate_id`,
        `inexact_name`, or the role that cannot be read: `label`, `time`, `label_time`, `amount`.
    column : str, optional
        The column, where it is about one.
    text : str
        Where, what and how many, and what to do.
    rows : int, optional
        How many rows it is about, where that is some of them.
    """

    kind: str
    column: str | None
    text: str
    rows: int | None = None


@dataclass(frozen=True)
class Inspection:
    """A table that was looked at, in the order that it came in, and all that is wrong with it.

    Parameters
    ----------
    frame : DataFrame
        The columns as they came, without the excluded ones.
    facts : DataFrame
        As in `Dataset`, in the order of the frame; null where a role cannot be read.
    schema : Schema
        The roles that the table fills.
    problems : tuple of Problem
        Why it is refused; none where it is not.
    """

    frame: pl.DataFrame
    facts: pl.DataFrame
    schema: Schema
    problems: tuple[Problem, ...]

    def dataset(self) -> Dataset:
        """Return the table on its clock, or raise a `DataError` that names every problem."""
        if self.problems:
            missing = all(problem.kind == "missing_column" for problem in self.problems)
            what = "columns are missing" if missing else "problems in the table"
            texts = [problem.text for problem in self.problems]
            raise DataError(all_problems(f"{len(texts)} {what}.", texts))
        _say_what_is_off(self.schema.roles)
        _say_refunds(self.facts["amount"], self.schema.roles)
        return _in_time_order(Dataset(self.frame, self.facts, self.schema))


def check_table(frame: pl.DataFrame, settings: DataSettings) -> Dataset:
    """Check a table against its roles and put it on its clock.

    All problems are reported together. Costs a copy of the table where it is not yet sorted.

    Parameters
    ----------
    frame : DataFrame
        Any columns.
    settings : DataSettings
        The roles, the label's positive value, the unit of time.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        An empty table; a role's column that is missing; a label with other than two values or with
        one class; a time or amount of the wrong type or null; infinite values; ids that stand
        twice.
    """
    return inspect_table(frame, settings).dataset()


def inspect_table(frame: pl.DataFrame, settings: DataSettings) -> Inspection:
    """Look at a table as `check_table` does, and tell its problems instead of raising them.

    Parameters
    ----------
    frame, settings
        As in `check_table`.
    """
    roles = settings.columns
    frame = frame.drop(cs.by_name(*roles.exclude, require_all=False))
    lacking = [
        name for name in roles.named if name not in frame.columns and name not in roles.exclude
    ]
    problems = [_missing_column(frame, name, "Correct it under data.columns.") for name in lacking]
    frame, misnamed = _without_patterns(frame)
    schema = _schema(settings, _filled_roles(roles, frame), frame)
    if frame.height == 0:
        text = "The table has no rows. Check data.path and how the file was written."
        return Inspection(frame, _NO_FACTS.clear(), schema, (Problem("empty_table", None, text),))
    try:
        schema = _with_words(schema, settings, frame)
    except DataError as error:
        problems.append(Problem("label", schema.roles.label, str(error)))
    frame, money, misread = _read_all_money(frame, schema, settings.csv.decimal_comma)
    schema = replace(schema, money=money)
    problems += misread
    facts, unread = _facts(
        frame,
        schema,
        labelled=schema.label_words is not None,
        guessed=settings.time_unit is None,
        unreadable={problem.column for problem in misread},
    )
    schema = replace(schema, dated=schema.numeric_time and are_dates(facts["time"]))
    schema, facts = _known_when_the_day_is_over(schema, facts)
    unread += _time_problems(facts, schema, settings)
    problems += [*misnamed, *unread, *_column_problems(frame, schema)]
    return Inspection(frame, pl.DataFrame(facts), schema, tuple(problems))


def _schema(settings: DataSettings, roles: ColumnRoles, frame: pl.DataFrame) -> Schema:
    time, time_format = roles.time, settings.csv.time_format
    return Schema(
        roles=roles,
        positive=settings.positive,
        time_unit=settings.time_unit or "s",
        numeric_time=time is not None
        and frame[time].dtype.is_numeric()
        and not is_written(frame[time], time_format),
        time_format=time_format,
        spelling=Spelling(missing=settings.csv.null_values),
        null_label=settings.null_label,
        label_unit=settings.label_unit,
        label_time_unknown=settings.label_time_unknown,
    )


def _with_words(schema: Schema, settings: DataSettings, frame: pl.DataFrame) -> Schema:
    if schema.roles.label not in frame.columns:
        return schema
    words = find_words(frame[schema.roles.label], settings, schema.spelling)
    return replace(schema, label_words=words)


def _read_all_money(
    frame: pl.DataFrame, schema: Schema, comma: bool | None
) -> tuple[pl.DataFrame, dict[str, Style], list[Problem]]:
    """Read the amount, and what else is money as text, as numbers."""
    amount, styles, problems = schema.roles.amount, dict[str, Style](), list[Problem]()
    names = schema.never_features | set(schema.roles.categorical)
    texts = [name for name in frame.columns if frame[name].dtype == pl.String]
    for name in texts:
        if name in names and name != amount:
            continue
        money = find_money(frame[name], is_amount=name == amount, comma=comma)
        if money is not None and money.style is not None:
            styles[name] = money.style
        elif money is not None:
            kind = "amount" if name == amount else "money"
            without = "amount=null" if name == amount else f"categorical=['{name}']"
            step = "" if money.ambiguous else f" Correct it, or set data.columns.{without}."
            problems.append(Problem(kind, name, f"{money.problem}{step}", money.rows))
    frame, _ = _read_known_money(frame, styles)
    return frame, styles, problems


def _read_known_money(
    frame: pl.DataFrame, styles: Mapping[str, Style]
) -> tuple[pl.DataFrame, list[Problem]]:
    """Read what was money as text in training, by the way in which it was written then."""
    texts = [name for name in styles if name in frame.columns and frame[name].dtype == pl.String]
    read = {name: read_money(frame[name], styles[name]) for name in texts}
    problems = [
        Problem("money", name, text.problem, text.rows)
        for name, values in read.items()
        if (text := misfits(frame[name], without_markers(frame[name]), values)) is not None
    ]
    return frame.with_columns(read.values()), problems


def _known_when_the_day_is_over(schema: Schema, facts: _Facts) -> tuple[Schema, _Facts]:
    """Let a label whose arrival is a day be known at its end, where rows have hours."""
    arrival = facts["label_time"]
    if schema.roles.label_time is None or not are_days(arrival) or are_days(facts["time"]):
        return schema, facts
    return replace(schema, label_days=True), {**facts, "label_time": arrival.dt.offset_by("1d")}


def _time_problems(facts: _Facts, schema: Schema, settings: DataSettings) -> Iterator[Problem]:
    """Find times that cannot be what they seem to be."""
    roles = schema.roles
    if roles.time is None or facts["time"].null_count() == len(facts["time"]):
        return
    if settings.as_of is None and (late := check_present(facts["time"], roles.time, schema)):
        yield Problem("time", roles.time, *late)
    yield from _arrival_problems(facts, schema)


def _arrival_problems(facts: _Facts, schema: Schema) -> Iterator[Problem]:
    arrival = schema.roles.label_time or schema.roles.label_delay
    if arrival and (wrong := check_arrival(facts["time"], facts["label_time"], arrival, schema)):
        yield Problem("label_time", arrival, *wrong)


def _without_patterns(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Problem]]:
    patterns = [name for name in frame.columns if _PATTERN.fullmatch(name)]
    if not patterns:
        return frame, []
    text = (
        f"{len(patterns):,} of {frame.width:,} columns have a name that polars reads as a "
        f"pattern over all names: {listing(patterns)}. Rename or exclude them."
    )
    kept = [name for name in frame.columns if name not in patterns]
    return frame.select(cs.by_name(*kept)), [Problem("column_name", None, text)]


def _filled_roles(roles: ColumnRoles, frame: pl.DataFrame) -> ColumnRoles:
    single = ("time", "id", "entity", "amount", "label_time", "label_delay", "group")
    gone: dict[str, Any] = {
        name: None for name in single if getattr(roles, name) not in frame.columns
    }
    return replace(roles, **gone) if gone else roles


def conform_table(
    frame: pl.DataFrame, schema: Schema, needed: frozenset[str], *, labelled: bool = False
) -> Dataset:
    """Put rows that are to be scored on the clock that a model was trained on, in their own order.

    Parameters
    ----------
    frame : DataFrame
        Rows to score, or rows from before them.
    schema : Schema
        From the bundle.
    needed : frozenset of str
        The columns that the features, the costs and the output need.
    labelled : bool
        Whether labels are read, and when they arrived, for features that look at those known by
        then; of one class or none is enough.

    Raises
    ------
    DataError
        Columns are missing (all are named), a time or label cannot be read, or values are infinite.
    """
    missing = sorted(needed - set(frame.columns))
    if missing:
        lacking = [_missing_column(frame, name, _TRAINED_WITH).text for name in missing]
        raise DataError(all_problems(f"{len(lacking)} columns are missing.", lacking))
    roles = schema.roles
    kept: dict[str, Any] = {
        name: getattr(roles, name) if getattr(roles, name) in frame.columns else None
        for name in ("time", "id", "entity", "amount", "group")
    }
    for name in ("label_time", "label_delay"):
        kept[name] = getattr(roles, name) if labelled else None
    conformed = replace(schema, roles=replace(roles, **kept))
    frame, misread = _read_known_money(frame, schema.money)
    facts, problems = _facts(frame, conformed, labelled=labelled)
    problems += [*misread, *_endless(frame, needed)]
    if schema.spelling.rule > 1:
        problems += _arrival_problems(facts, conformed)
    if problems:
        texts = [problem.text for problem in problems]
        raise DataError(all_problems(f"{len(texts)} problems in the table.", texts))
    return Dataset(frame, pl.DataFrame(facts), conformed)


def _missing_column(frame: pl.DataFrame, name: str, step: str) -> Problem:
    text = f"column '{name}' is not in the table. {nearest(name, frame.columns)} {step}"
    return Problem("missing_column", name, text)


_TRAINED_WITH = "The model was trained with it."


def _say_what_is_off(roles: ColumnRoles) -> None:
    for role, what in _SWITCHED_OFF.items():
        if getattr(roles, role) is None:
            _log.info("No column plays the role '%s', which switches off: %s.", role, what)


_Facts = dict[str, pl.Series]


def _facts(
    frame: pl.DataFrame,
    schema: Schema,
    *,
    labelled: bool,
    guessed: bool = False,
    unreadable: Collection[str | None] = (),
) -> tuple[_Facts, list[Problem]]:
    """Read the roles; a `guessed` unit of time is refused where the numbers look like another."""
    roles, problems = schema.roles, list[Problem]()
    nothing = pl.Series([None]).new_from_index(0, frame.height)
    facts: _Facts = {"row": pl.int_range(frame.height, eager=True).alias("row")}

    def time(column: pl.Series) -> pl.Series:
        if guessed and schema.numeric_time and (text := check_unit(column)):
            raise DataError(text)
        column = without_markers(column) if column.dtype == pl.String else column
        return read_moments(column, schema.time_unit, schema.time_format)

    def arrival(column: pl.Series) -> pl.Series:
        is_delay = roles.label_delay is not None
        return read_arrival(column, facts["time"], schema, is_delay=is_delay)

    readers: dict[str, tuple[str | None, pl.DataType, Callable[[pl.Series], pl.Series]]] = {
        "label": (roles.label if labelled else None, pl.Int8(), lambda c: read_labels(c, schema)),
        "time": (roles.time, MOMENT, time),
        "label_time": (roles.label_time or roles.label_delay, MOMENT, arrival),
        "amount": (roles.amount, pl.Float64(), _amount),
    }
    for fact, (column, dtype, read) in readers.items():
        facts[fact] = nothing.cast(dtype).alias(fact)
        timeless = fact == "label_time" and any(problem.kind == "time" for problem in problems)
        if column is not None and not timeless and column not in unreadable:
            try:
                facts[fact] = read(frame[column]).alias(fact)
            except DataError as error:
                problems.append(Problem(fact, column, str(error)))
    if roles.time is not None and (empty := facts["time"].null_count()) and not problems:
        text = (
            f"column '{roles.time}' is null in {empty:,} of {frame.height:,} rows (first at row "
            f"{_first(facts['time'].is_null())}). Every row needs a time. Remove these rows."
        )
        problems.append(Problem("time", roles.time, text, empty))
    return facts, problems


def _amount(column: pl.Series) -> pl.Series:
    if not column.dtype.is_numeric():
        raise DataError(
            f"column '{column.name}' is the amount and of type {column.dtype}. Expected a number. "
            "For 3,14 set data.csv.decimal_comma=true."
        )
    return column.cast(pl.Float64).fill_nan(None)


def _column_problems(frame: pl.DataFrame, schema: Schema) -> Iterator[Problem]:
    roles = schema.roles
    keys = (roles.id, roles.entity, *roles.categorical)
    inexact = {name: text for name in keys if name and (text := _inexact(frame, name, schema))}
    for name, text in inexact.items():
        yield Problem("inexact_name", name, f"{text} Or set {_without(roles, name)}.")
    if roles.id is not None and roles.id not in inexact:
        yield from _id_problems(comparable(frame[roles.id], schema.spelling))
    yield from _endless(frame, frozenset(frame.columns))


def _inexact(frame: pl.DataFrame, name: str, schema: Schema) -> str | None:
    """Say that a column of floats is not exact enough to name anything, if it is not."""
    if name not in frame.columns or not frame[name].dtype.is_float():
        return None
    try:
        comparable(frame[name], schema.spelling)
    except DataError as error:
        return str(error)
    return None


def _without(roles: ColumnRoles, name: str) -> str:
    """The override that takes a name's role away."""
    if name in (roles.id, roles.entity):
        return f"data.columns.{'id' if name == roles.id else 'entity'}=null"
    return f"data.columns.exclude=['{name}']"


def _id_problems(ids: pl.Series) -> Iterator[Problem]:
    if empty := ids.null_count():
        text = (
            f"column '{ids.name}' is the id and null in {empty:,} of {len(ids):,} rows (first at "
            f"row {_first(ids.is_null())}). An id names one row. Fill it, or take the role away."
        )
        yield Problem("empty_id", ids.name, text, empty)
    again = ids.is_duplicated() & ids.is_not_null()
    if twice := again.sum():
        text = (
            f"column '{ids.name}' is the id and {twice:,} of {len(ids):,} rows share theirs with "
            f"another (first: '{ids.filter(again)[0]}'). An id names one row. Remove the copies, "
            "or take the role away."
        )
        yield Problem("duplicate_id", ids.name, text, int(twice))


def _endless(frame: pl.DataFrame, names: frozenset[str]) -> Iterator[Problem]:
    for column in frame:
        if column.name in names and column.dtype.is_float():
            endless = column.is_not_nan() & (column.abs() > _LARGEST)
            if count := endless.sum():
                text = (
                    f"column '{column.name}' is infinite, or beyond 3.4e38, in {count:,} of "
                    f"{frame.height:,} rows (first at row {_first(endless)}). Expected finite "
                    "numbers. Set them to null or exclude the column."
                )
                yield Problem("infinite", column.name, text, int(count))


def _first(mask: pl.Series) -> int:
    position = mask.arg_max()
    return 0 if position is None else int(position)


def _say_refunds(amount: pl.Series, roles: ColumnRoles) -> None:
    refunds = int((amount <= 0).sum())
    if refunds:
        _log.info("%s rows of '%s' are at most 0 and count 0 in costs.", refunds, roles.amount)


def _in_time_order(dataset: Dataset) -> Dataset:
    time = dataset.facts["time"]
    if not dataset.has_time or time.is_sorted():
        return dataset
    _log.info("The rows are not in the order of '%s': sorted.", dataset.schema.roles.time)
    return dataset.take(time.arg_sort(nulls_last=True).cast(pl.Int64).to_numpy())
