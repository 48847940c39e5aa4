"""Columns: where they are missing, which say nothing, and which say what another says."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.audit.finding import Finding, percent, rows_of
from fraudml.audit.periods import period_name, period_starts
from fraudml.data.schema import Schema
from fraudml.errors import listing

_STRONG = 0.5
"""Cohen's h from which two shares differ strongly: none and 6 %, 1 % and 11 %, 50 % and 74 %."""

_SURE = 5.0
"""How many standard errors a month departs by, at least."""


def find_missing(frame: pl.DataFrame, columns: Collection[str]) -> Iterator[Finding]:
    """Find columns with missing values, NaN among them; columns without any value are constant.

    Parameters
    ----------
    frame : DataFrame
        The table.
    columns : collection of str
        Which columns.
    """
    for name, count in _missing_counts(frame, columns).items():
        if count < frame.height:
            message = (
                f"column '{name}' is missing in {rows_of(count, frame.height)}. It is kept so, and "
                "learnt from: see that it is missing for the same reasons where rows are scored."
            )
            yield Finding("missing", name, "note", count, message)


def find_missing_by_month(
    frame: pl.DataFrame, columns: Collection[str], time: pl.Series, schema: Schema
) -> Iterator[Finding]:
    """Find columns that are missing far more, or far less, often in one month than in the others.

    A month departs where Cohen's h between its share and that of all others is at least .5, and
    five standard errors from 0; the furthest is set aside, and the others are looked at again.

    Parameters
    ----------
    frame : DataFrame
        The table.
    columns : collection of str
        Which columns.
    time : Series of Datetime('us')
        When each row happened, without nulls.
    schema : Schema
        What the time is.
    """
    holed = list(_missing_counts(frame, columns))
    if not holed:
        return
    months = (
        frame.select(_is_missing(name, frame[name].dtype) for name in holed)
        .group_by(period_starts(time, "month", schema).alias(_START))
        .agg(pl.len().alias(_ROWS), pl.col(holed).sum())
        .sort(_START)
    )
    if months.height < 2:
        return
    rows = months[_ROWS].to_numpy().astype(np.float64)
    names = [period_name(start, "month", schema) for start in months[_START].to_list()]
    for name in holed:
        missing = months[name].to_numpy().astype(np.float64)
        if odd := _odd_months(missing, rows):
            usual = np.setdiff1d(np.arange(len(rows)), odd)
            first = odd[0]
            more = [names[month] for month in sorted(odd[1:])]
            message = (
                f"column '{name}' is missing in {percent(missing[first] / rows[first])} of the "
                f"{rows[first]:,.0f} rows of {names[first]}, and in "
                f"{percent(missing[usual].sum() / rows[usual].sum())} of those of other months"
                f"{_and_more(more)}. A source that starts, stops or fails is learnt as a date. "
                "Repair it, or name the column under features.drop."
            )
            yield Finding("missing_by_month", name, "warning", int(rows[odd].sum()), message)


_START, _ROWS = "\x00start", "\x00rows"


def _and_more(months: list[str]) -> str:
    return f" (but for {listing(months)})" if months else ""


def _odd_months(missing: NDArray[np.float64], rows: NDArray[np.float64]) -> list[int]:
    """Months that depart from those that do not, the furthest first."""
    odd: list[int] = []
    left = np.arange(len(rows))
    while len(left) > 1:
        apart = _departures(missing[left], rows[left])
        worst = int(np.argmax(apart))
        if not apart[worst]:
            break
        odd.append(int(left[worst]))
        left = np.delete(left, worst)
    return odd


def _departures(missing: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each month's share is from that of all others, where that is far."""
    rest = rows.sum() - rows
    share, rest_share = missing / rows, (missing.sum() - missing) / rest
    distance = np.abs(2 * np.arcsin(np.sqrt(share)) - 2 * np.arcsin(np.sqrt(rest_share)))
    far = (distance >= _STRONG) & (distance >= _SURE * np.sqrt(1 / rows + 1 / rest))
    return np.where(far, distance, 0.0)


def _missing_counts(frame: pl.DataFrame, columns: Collection[str]) -> dict[str, int]:
    """How often each column is missing, of those that ever are."""
    if not columns:
        return {}
    counts = frame.select(_is_missing(name, frame[name].dtype).sum() for name in columns).row(
        0, named=True
    )
    return {name: count for name, count in counts.items() if count}


def _is_missing(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    return column.is_null() | column.is_nan() if dtype.is_float() else column.is_null()


def find_constant(frame: pl.DataFrame, columns: Collection[str]) -> Iterator[Finding]:
    """Find columns that hold one value in every row, or none in any.

    Parameters
    ----------
    frame : DataFrame
        The table.
    columns : collection of str
        Which columns; nested ones are not looked at.
    """
    for name in columns:
        column = _flat(frame[name])
        if column is None:
            continue
        if column.null_count() == len(column):
            problem = "is missing in every row"
        elif not column.null_count() and bool(column.min() == column.max()):
            problem = "holds the same value in every row"
        else:
            continue
        message = (
            f"column '{name}' {problem} ({len(column):,} rows), and is no feature. Check how it "
            "was exported, or leave it out."
        )
        yield Finding("constant", name, "note", len(column), message)


def _flat(column: pl.Series) -> pl.Series | None:
    """A column that can be compared and ordered, with NaN as null; None where it cannot."""
    kind = column.dtype
    if kind.is_nested() or kind in (pl.Object, pl.Binary):
        return None
    if kind in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    return column.fill_nan(None) if kind.is_float() else column


_SAME = 0.999
_MOST_NUMBERS = 2_000
_MOST_ROWS, _FEWEST_ROWS, _PAIRS_TIMES_ROWS = 20_000, 1_000, 4e9
_ENOUGH = 30
_MOST_SUSPECTS = 500


def find_duplicate_columns(
    frame: pl.DataFrame,
    features: Sequence[str],
    others: Sequence[str],
    clock: str | None,
    when: pl.Series | None = None,
) -> Iterator[Finding]:
    """Find features that hold, or follow, what another column holds.

    Columns are equal where their values are, in every row. A number follows another, or a date,
    where their correlation is beyond .999 on the rows that have both, at least 30 of them. Such
    pairs are looked for on a sample of at most 20,000 rows, among the first 2,000 columns, and
    confirmed on all rows. A column is reported once, beside the first that it repeats.

    Parameters
    ----------
    frame : DataFrame
        The table.
    features : sequence of str
        Columns that may become features.
    others : sequence of str
        Columns that are none, but may be repeated by one: the clock, a card.
    clock : str, optional
        The time's column: what repeats it is learnt as a date.
    when : Series, optional
        The times as they were read, which the column may have as text; by default the column.
    """
    names = [name for name in (*others, *features) if _varies(frame[name])]
    repeated = {
        second: (first, "holds the same as column '{}' in every row")
        for first, second in _equal_pairs(frame, names)
    }
    read = frame if clock is None or when is None else frame.with_columns(when.alias(clock))
    # A date becomes the days from it to the row: that all dates follow the clock says nothing.
    left = [
        name
        for name in names
        if name not in repeated and (read[name].dtype.is_numeric() or name == clock)
    ]
    for first, second in _suspects(read, left[:_MOST_NUMBERS]):
        if second not in repeated:
            correlation, rows = _correlation(read[first], read[second])
            if rows >= _ENOUGH and abs(correlation) > _SAME:
                text = f"follows column '{{}}' (correlation {correlation:.5f} in {rows:,} rows)"
                repeated[second] = (first, text)
    for name in features:
        if name in repeated:
            first, text = repeated[name]
            is_clock = first == clock and frame[name].dtype.is_numeric()
            yield _twin(name, first, text, frame.height, is_clock=is_clock)


def _twin(name: str, original: str, text: str, rows: int, *, is_clock: bool) -> Finding:
    summary = f"column '{name}' {text.format(original)}"
    if is_clock:
        message = (
            f"{summary}, which is the time: a model learns dates from it that do not come again. "
            "Name it under features.drop."
        )
        return Finding("clock_column", name, "warning", rows, message)
    message = f"{summary}. One of the two is enough: name this one under features.drop."
    return Finding("twin", name, "note", rows, message)


def _varies(column: pl.Series) -> bool:
    flat = _flat(column)
    if flat is None or flat.null_count() == len(flat):
        return False
    return bool(flat.null_count()) or bool(flat.min() != flat.max())


def _equal_pairs(frame: pl.DataFrame, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of equal columns, the first of its kind and each that repeats it."""
    groups: dict[tuple[str, int], list[str]] = {}
    for name in names:
        alike = _alike(frame[name])
        group = groups.setdefault((str(alike.dtype), _checksum(alike)), [])
        first = next(
            (
                name_of_group
                for name_of_group in group
                if _are_equal(_alike(frame[name_of_group]), alike)
            ),
            None,
        )
        if first is None:
            group.append(name)
        else:
            yield first, name


def _alike(column: pl.Series) -> pl.Series:
    """Bring what may be equal to one type."""
    flat = _flat(column)
    assert flat is not None, column.name
    if flat.dtype in (pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32):
        return flat.cast(pl.Int64)
    return flat.cast(pl.Float64) if flat.dtype == pl.Float32 else flat


def _are_equal(left: pl.Series, right: pl.Series) -> bool:
    return bool(left.eq_missing(right).all())


def _checksum(column: pl.Series) -> int:
    """A number that depends on every value and on where it stands."""
    weight = pl.int_range(pl.len(), dtype=pl.UInt64) * 2 + 1
    return int(column.alias("x").to_frame().select((pl.col("x").hash() * weight).sum()).item())


def _numbers(columns: Sequence[pl.Series]) -> NDArray[np.float64]:
    """Columns as numbers around 0 of spread 1, with NaN where they are missing."""
    numbers = [column.to_physical().cast(pl.Float64).fill_nan(None) for column in columns]
    values = np.column_stack([column.to_numpy() for column in numbers])
    # Known rows alone count, and a column without any is NaN throughout.
    mean = np.array([column.mean() for column in numbers], dtype=np.float64)
    spread = np.array([column.std() or np.nan for column in numbers], dtype=np.float64)
    return (values - mean) / spread


def _suspects(frame: pl.DataFrame, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of numbers that follow each other on a sample of the rows, in order."""
    if len(names) < 2 or frame.height < _ENOUGH:
        return
    rows = int(min(_MOST_ROWS, max(_FEWEST_ROWS, _PAIRS_TIMES_ROWS / len(names) ** 2)))
    sample = np.linspace(0, frame.height - 1, min(rows, frame.height)).astype(np.int64)
    close = np.abs(_correlations(_numbers([frame[name][sample] for name in names]))) > _SAME
    later, earlier = np.nonzero(np.tril(close, -1))
    for second, first in islice(zip(later, earlier, strict=True), _MOST_SUSPECTS):
        yield names[int(first)], names[int(second)]


def _correlation(left: pl.Series, right: pl.Series) -> tuple[float, int]:
    """The correlation of two columns on the rows that have both, and how many these are."""
    values = _numbers([left, right])
    both = ~np.isnan(values).any(axis=1)
    return float(_correlations(values[both])[1, 0]), int(both.sum())


def _correlations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlations of all columns, each pair on the rows that have both; 0 where there is none."""
    known = ~np.isnan(values)
    filled, mask = np.where(known, values, 0.0), known.astype(np.float64)
    count = mask.T @ mask
    total, square = filled.T @ mask, (filled**2).T @ mask
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = filled.T @ filled - total * total.T / count
        spread = square - total**2 / count
        correlations = covariance / np.sqrt(spread * spread.T)
    varies = (spread > _NOTHING) & (spread.T > _NOTHING)
    return np.where(varies & np.isfinite(correlations), correlations, 0.0)


_NOTHING = 1e-9
