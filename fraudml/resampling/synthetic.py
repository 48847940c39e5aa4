"""Rows that could have come from the table, from what a sampler generated in its view.

Numbers are moved from the first parent as far as the sampler moved them; whole numbers stay whole
and within the range of their column; flags and missing values are the first parent's; codes are
voted on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fraudml.matrix import MISSING_CODE, DesignMatrix
from fraudml.resampling.library import Synthetic
from fraudml.resampling.view import ColumnStatistics

_BLOCK_ROWS = 20_000


def write_synthetic(
    out: NDArray[np.float32], matrix: DesignMatrix, columns: ColumnStatistics, synthetic: Synthetic
) -> None:
    """Fill `out` with the synthetic rows, in the columns' own units.

    A number lies between its parents where the sampler puts it there; where the second parent has
    no value, it is the first one's. Whole numbers are rounded. Nothing leaves the range of the
    column. A code is the most frequent one of the first parent and its neighbours, the first
    parent's at a tie; it is missing where the first parent's is.
    """
    moving = np.flatnonzero(~columns.flag[columns.numeric])
    for start in range(0, len(out), _BLOCK_ROWS):
        part = synthetic.part(slice(start, start + _BLOCK_ROWS))
        block = matrix.values[part.first]
        if part.shift is not None and len(moving):
            _move(block, matrix.values, columns, part, moving)
        if part.neighbours is not None:
            voters = np.column_stack([part.first, part.neighbours])
            for column in matrix.categorical:
                block[:, column] = _voted(matrix.values[voters, column])
        out[start : start + _BLOCK_ROWS] = block


def _move(
    block: NDArray[np.float32],
    values: NDArray[np.float32],
    columns: ColumnStatistics,
    synthetic: Synthetic,
    moving: NDArray[np.int64],
) -> None:
    """Shift the numbers of first parents in place; `moving` are their columns in the view."""
    assert synthetic.shift is not None
    positions = columns.numeric[moving]
    # The view is (value − centre) / scale: a shift there is one of scale times as much here.
    shift = synthetic.shift[:, moving] * columns.scale[positions]
    if synthetic.second is not None:
        shift[np.isnan(values[np.ix_(synthetic.second, positions)])] = 0.0
    moved = block[:, positions] + shift
    whole = np.flatnonzero(columns.whole[positions])
    moved[:, whole] = np.rint(moved[:, whole])
    block[:, positions] = np.clip(moved, columns.low[positions], columns.high[positions], out=moved)


def _voted(codes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the most frequent present code of each row; the earliest column wins a tie."""
    votes = np.zeros(codes.shape, dtype=np.int16)
    for voter in range(codes.shape[1]):
        votes += codes == codes[:, [voter]]
    votes[codes == MISSING_CODE] = 0
    winner = codes[np.arange(len(codes)), votes.argmax(axis=1)]
    return np.where(codes[:, 0] == MISSING_CODE, np.float32(MISSING_CODE), winner)
