"""The audit: what in a table would make a model look good and fail.

It may look at every label, for it chooses nothing: it names columns, and stops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.data.schema import Dataset
from fraudml.errors import DataError, all_problems
from fraudml.metrics import average_precision

Rows = NDArray[np.int64]

LEAK_AP = 0.99
"""A column that alone reaches this in every block gives the label away; honest ones end near .6."""

_MOST_LEVELS = 10_000
_LOOK = 200_000


@dataclass(frozen=True)
class AuditSettings:
    """What the audit lets pass.

    Parameters
    ----------
    allow : tuple of str
        Columns that may rank frauds perfectly.
    """

    allow: tuple[str, ...] = ()


def refuse_leaks(
    dataset: Dataset, blocks: Sequence[Rows], columns: Sequence[str], settings: AuditSettings
) -> None:
    """Stop on columns that alone rank frauds almost perfectly in every block.

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
    settings : AuditSettings
        What to let pass.

    Raises
    ------
    DataError
        Every such column, with its average precision in each block.
    """
    few = [_thinned(rows, dataset.label) for rows in blocks]
    suspects = [name for name in columns if min(_alone(dataset, name, few)) >= LEAK_AP]
    problems = list(_leaks(dataset, suspects, blocks, settings))
    if problems:
        raise DataError(all_problems(f"{len(problems)} columns give the label away.", problems))


def _leaks(
    dataset: Dataset, suspects: list[str], blocks: Sequence[Rows], settings: AuditSettings
) -> Iterator[str]:
    for name in suspects:
        reached = _alone(dataset, name, blocks)
        if min(reached) >= LEAK_AP and name not in settings.allow:
            values = " and ".join(f"{value:.3f}" for value in reached)
            yield (
                f"column '{name}' alone ranks the frauds with an average precision of {values} in "
                "the development window and the test block: it is made from the label, or known "
                "only after it. Name it under data.columns.exclude, or, if it is known in time, "
                f"set audit.allow=['{name}']."
            )


def _thinned(rows: Rows, label: NDArray[np.int8]) -> Rows:
    stride = max(1, len(rows) // _LOOK)
    every = np.zeros(len(rows), dtype=bool)
    every[::stride] = True
    kept: Rows = rows[every | (label[rows] == 1)]
    return kept


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
    asked = pl.DataFrame({"value": values.cast(pl.String)})
    joined = asked.join(fitted, on="value", how="left", nulls_equal=True, maintain_order="left")
    return joined["share"].fill_null(0.0).to_numpy()
