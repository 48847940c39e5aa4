"""The rows as samplers see them: without missing values, on one scale, codes as points.

Learners never see the view; it only decides which rows are neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fraudml.matrix import DesignMatrix

_SAMPLED_ROWS = 50_000
"""Medians, scales and ranges come from at most about this many rows, and all frauds."""

_BLOCK_CELLS = 1_000_000
_CODE_DIMENSIONS = 4
"""The levels of a categorical column are points in so many dimensions."""

_BINS = 16
"""Bins of a number for samplers of categories."""


@dataclass(frozen=True)
class ColumnStatistics:
    """Statistics of the columns, from the rows before any resampling.

    Parameters
    ----------
    low, high : ndarray of float32, shape (n_features,)
        The smallest and largest value; NaN where a column is all missing.
    fill : ndarray of float64, shape (n_features,)
        The median, which replaces a missing value in the view.
    centre, scale : ndarray of float64, shape (n_features,)
        The view of a number is `(value - centre) / scale`.
    whole : ndarray of bool, shape (n_features,)
        Columns that hold whole numbers alone.
    flag : ndarray of bool, shape (n_features,)
        Columns with two values.
    numeric : ndarray of int64
        Columns that vary and are not categorical: the first columns of the view, in this order.
    codes : dict of int to ndarray of float32
        A point for each code of each categorical column that varies.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    fill: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    whole: NDArray[np.bool_]
    flag: NDArray[np.bool_]
    numeric: NDArray[np.int64]
    codes: dict[int, NDArray[np.float32]] = field(default_factory=dict)


def column_statistics(train: DesignMatrix, *, scale: bool = True) -> ColumnStatistics:
    """Compute the statistics of the columns before resampling.

    A number is divided by its standard deviation. A flag is divided by the distance of its two
    values, and two different codes are 1 apart (0.6 to 1.4 where there are more than four levels),
    so that a rare flag or level does not outweigh everything else. Ranges, medians and scales come
    from evenly spaced rows and all frauds; whether a column is whole is checked on every row.
    Without `scale`, numbers keep their own units and codes are one median deviation apart.
    """
    sample = train.values[_sampled(train)]
    low, high = np.fmin.reduce(sample, axis=0), np.fmax.reduce(sample, axis=0)
    varies = low < high
    flag = varies & _two_valued(sample, low, high)
    fill = _medians(sample)
    filled = np.where(np.isnan(sample), fill, sample)
    deviation = filled.std(axis=0, dtype=np.float64)
    codes = np.zeros(len(train.names), dtype=bool)
    codes[list(train.categorical)] = True
    numeric = np.flatnonzero(varies & ~codes & (deviation > 0))
    unit = 1.0 if scale or not len(numeric) else float(np.median(deviation[numeric]))
    deviation[flag] = (high - low)[flag]
    deviation[deviation <= 0] = 1.0
    return ColumnStatistics(
        low=low,
        high=high,
        fill=fill,
        centre=filled.mean(axis=0, dtype=np.float64) if scale else np.zeros_like(fill),
        scale=deviation if scale else np.ones_like(fill),
        whole=_whole(train.values),
        flag=flag,
        numeric=numeric,
        codes={
            column: _code_points(train.values[:, column], column) * np.float32(unit)
            for column in train.categorical
            if varies[column]
        },
    )


def neighbour_view(values: NDArray[np.float32], columns: ColumnStatistics) -> NDArray[np.float32]:
    """Return rows without missing values, in which distances are comparable, as float32.

    The columns of `columns.numeric`, then the points of the codes; one column of zeros where
    nothing varies.
    """
    width = len(columns.numeric) + sum(points.shape[1] for points in columns.codes.values())
    view = np.zeros((len(values), max(width, 1)), dtype=np.float32)
    fill, centre, scale = (
        part[columns.numeric] for part in (columns.fill, columns.centre, columns.scale)
    )
    for rows in _blocks(values):
        block = values[rows][:, columns.numeric].astype(np.float64)
        np.copyto(block, fill, where=np.isnan(block))
        view[rows, : len(columns.numeric)] = (block - centre) / scale
    end = len(columns.numeric)
    for column, points in columns.codes.items():
        codes = np.minimum(values[:, column].astype(np.int64), len(points) - 1)
        view[:, end : end + points.shape[1]] = points[codes]
        end += points.shape[1]
    return view


def nominal_view(values: NDArray[np.float32], columns: ColumnStatistics) -> NDArray[np.int32]:
    """Return every column as categories: codes as they are, numbers as one of 16 bins.

    The categorical columns that vary, then those of `columns.numeric`; missing numbers have a bin
    of their own.
    """
    categories = [values[:, column].astype(np.int32) for column in columns.codes]
    spaced = values[:: -(-len(values) // _SAMPLED_ROWS)]
    for column in columns.numeric:
        edges = np.nanquantile(spaced[:, column], np.arange(1, _BINS) / _BINS)
        bins = np.searchsorted(edges, values[:, column]).astype(np.int32)
        categories.append(np.where(np.isnan(values[:, column]), np.int32(_BINS), bins))
    return np.column_stack(categories) if categories else np.zeros((len(values), 1), dtype=np.int32)


def _sampled(train: DesignMatrix) -> NDArray[np.int64] | slice:
    if len(train) <= _SAMPLED_ROWS:
        return slice(None)
    chosen = train.y == 1
    chosen[:: -(-len(train) // _SAMPLED_ROWS)] = True
    return np.flatnonzero(chosen)


def _medians(sample: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the median of each column's present values; 0 where there is none."""
    medians = np.zeros(sample.shape[1])
    for column in np.flatnonzero(np.isnan(sample).any(axis=0)):
        present = sample[~np.isnan(sample[:, column]), column]
        medians[column] = np.median(present) if len(present) else 0.0
    return medians


def _two_valued(
    sample: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.bool_]:
    between = (sample > low) & (sample < high)
    return np.asarray(~between.any(axis=0))


def _whole(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which columns have whole numbers in every row."""
    whole = np.ones(values.shape[1], dtype=bool)
    for rows in _blocks(values):
        # Only columns that were whole so far: few are left after the first block.
        candidates = np.flatnonzero(whole)
        block = values[rows] if len(candidates) == len(whole) else values[rows][:, candidates]
        fractional = (np.rint(block) != block) & ~np.isnan(block)
        whole[candidates[fractional.any(axis=0)]] = False
        if not whole.any():
            break
    return whole


def _blocks(values: NDArray[np.float32]) -> Iterator[slice]:
    rows = max(1, _BLOCK_CELLS // max(values.shape[1], 1))
    return (slice(start, start + rows) for start in range(0, len(values), rows))


def _code_points(codes: NDArray[np.float32], column: int) -> NDArray[np.float32]:
    """Place the levels so that two of them are about 1 apart; exactly 1 where there are few."""
    levels = np.flatnonzero(np.bincount(codes.astype(np.int64)))
    points = np.zeros((int(levels[-1]) + 1, min(len(levels), _CODE_DIMENSIONS)), dtype=np.float32)
    # Corners of a simplex, or random points on a sphere: of radius 1/√2, so that two at a right
    # angle are 1 apart.
    if len(levels) <= _CODE_DIMENSIONS:
        points[levels] = np.eye(len(levels)) / np.sqrt(2.0)
        return points
    directions = np.random.default_rng(column).normal(size=points.shape)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    points[:] = directions / lengths / np.sqrt(2.0)
    return points
