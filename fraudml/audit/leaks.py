"""Columns that give the label away: found once, refused in `train`, listed in `audit`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.audit.finding import Finding, percent
from fraudml.audit.settings import AuditSettings
from fraudml.data.schema import Dataset
from fraudml.errors import DataError, all_problems
from fraudml.metrics import average_precision

Rows = NDArray[np.int64]

LEAK_AP = 0.99
"""A column that alone reaches this in every block gives the label away; honest ones end near .6."""

_MOST_LEVELS = 10_000
_LOOK = 200_000


def refuse_leaks(
    dataset: Dataset, blocks: Sequence[Rows], columns: Sequence[str], settings: AuditSettings
) -> None:
    """Stop on columns that alone rank frauds almost perfectly in every block.

    Parameters
    ----------
    dataset, blocks, columns
        As in `find_leaks`.
    settings : AuditSettings
        What to let pass.

    Raises
    ------
    DataError
        Every such column, with its average precision in each block.
    """
    leaks = find_leaks(dataset, blocks, columns)
    problems = [leak.message for leak in leaks if leak.column not in settings.allow]
    if problems:
        raise DataError(all_problems(f"{len(problems)} columns give the label away.", problems))


def find_leaks(
    dataset: Dataset, blocks: Sequence[Rows], columns: Sequence[str]
) -> Iterator[Finding]:
    """Find columns that alone rank frauds almost perfectly in every block.

    A number is looked at in both directions, its missing values too; a text by the share of frauds
    of each value in the first block. Blocks are thinned to all frauds and at most 200,000 other
    rows first, which can only hide a leak's false alerts, and what then looks like a leak is looked
    at again in full: a column costs little more than a sort of these rows.

    Parameters
    ----------
    dataset : Dataset
        The table.
    blocks : sequence of ndarray
        Rows of each block, the development window first.
    columns : sequence of str
        The columns that features are made from.
    """
    few = [_thinned(rows, dataset.label) for rows in blocks]
    for name in columns:
        if min(_alone(dataset, name, few)) < LEAK_AP:
            continue
        reached = _alone(dataset, name, blocks)
        if min(reached) >= LEAK_AP:
            yield _leak(name, reached, sum(map(len, blocks)))


def _leak(name: str, reached: Sequence[float], rows: int) -> Finding:
    values = " and ".join(f"{value:.3f}" for value in reached)
    message = (
        f"column '{name}' alone ranks the frauds with an average precision of {values} in "
        "the development window and the test block: it is made from the label, or known "
        "only after it. Name it under data.columns.exclude, or, if it is known in time, "
        f"set audit.allow=['{name}']."
    )
    return Finding("leak", name, "error", rows, message)


def find_filled_for_frauds(
    frame: pl.DataFrame, label: pl.Series, columns: Collection[str]
) -> Iterator[Finding]:
    """Find columns that are filled for frauds almost only, or missing for them almost only.

    Filled is what is neither missing, blank, 0 nor false. A column is found where nine in ten of
    the rows concerned are frauds, at least ten of them and a twentieth of all frauds.

    Parameters
    ----------
    frame : DataFrame
        The table.
    label : Series of Int8
        Its labels; rows with null are not looked at.
    columns : collection of str
        Which columns.
    """
    known = label.is_not_null()
    fraud = (label == 1).fill_null(value=False)
    frauds = int(fraud.sum())
    if not 0 < frauds < int(known.sum()) / 2:
        return
    enough = max(_FEWEST_HITS, _LEAST_CAUGHT * frauds)
    for name in columns:
        for state, marked in _marks(frame[name]):
            rows, hits = int((marked & known).sum()), int((marked & fraud).sum())
            if hits >= enough and hits >= _ALMOST_ONLY * rows:
                yield _filled(name, state, hits, rows, frauds)
                break


def _marks(column: pl.Series) -> Iterator[tuple[str, pl.Series]]:
    missing = column.is_null()
    if column.dtype.is_float():
        missing |= column.is_nan().fill_null(value=False)
    filled = ~missing
    if column.dtype.is_numeric():
        filled &= (column != 0).fill_null(value=False)
    elif column.dtype == pl.Boolean:
        filled &= column.fill_null(value=False)
    elif column.dtype == pl.String:
        filled &= (column.str.strip_chars() != "").fill_null(value=False)
    yield "filled", filled
    yield "missing", missing


def _filled(name: str, state: str, hits: int, rows: int, frauds: int) -> Finding:
    message = (
        f"column '{name}' is {state} for frauds almost only: {hits:,} of the {rows:,} rows where "
        f"it is {state} are frauds, {percent(hits / frauds)} of all frauds. What only frauds get "
        "is mostly written after the fraud was found. Name it under data.columns.exclude, or, if "
        f"it is known in time, set audit.allow=['{name}']."
    )
    return Finding("filled_for_frauds", name, "warning", rows, message)


_FEWEST_HITS = 10
_LEAST_CAUGHT = 0.05
_ALMOST_ONLY = 0.9


def _thinned(rows: Rows, label: NDArray[np.int8]) -> Rows:
    stride = max(1, len(rows) // _LOOK)
    every = np.zeros(len(rows), dtype=bool)
    every[::stride] = True
    selected: Rows = rows[every | (label[rows] == 1)]
    return selected


def _alone(dataset: Dataset, name: str, blocks: Sequence[Rows]) -> list[float]:
    column = dataset.frame[name]
    best: list[float] = []
    fitted: pl.DataFrame | None = None
    for rows in blocks:
        values, label = column[rows], dataset.label[rows]
        if column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype == pl.Boolean:
            ranks = _numeric_ranks(values)
        else:
            fitted = _fraud_share(values, label) if fitted is None else fitted
            ranks = [_ranks_by_share(values, fitted)] if fitted.height <= _MOST_LEVELS else []
        best.append(max((average_precision(label, rank) for rank in ranks), default=0.0))
        if best[-1] < LEAK_AP:
            break
    return best


def _numeric_ranks(values: pl.Series) -> list[NDArray[np.float64]]:
    numbers = values.to_physical().cast(pl.Float64).fill_nan(None)
    ranks = []
    if numbers.null_count() < len(numbers):
        low, high = numbers.min(), numbers.max()
        assert isinstance(low, float)
        assert isinstance(high, float)
        ranks = [numbers.fill_null(low - 1).to_numpy(), -numbers.fill_null(high + 1).to_numpy()]
    if numbers.null_count():
        missing = numbers.is_null().cast(pl.Float64).to_numpy()
        ranks += [missing, -missing]
    return ranks


def _fraud_share(values: pl.Series, label: NDArray[np.int8]) -> pl.DataFrame:
    table = pl.DataFrame({"value": values.cast(pl.String), "fraud": label})
    return table.group_by("value").agg(pl.col("fraud").mean().alias("share"))


def _ranks_by_share(values: pl.Series, fitted: pl.DataFrame) -> NDArray[np.float64]:
    table = pl.DataFrame({"value": values.cast(pl.String)})
    joined = table.join(fitted, on="value", how="left", nulls_equal=True, maintain_order="left")
    return joined["share"].fill_null(0.0).to_numpy()
