"""Turns what a sampler made in its view into rows that could have come from the table.

Numbers are moved from the first parent as far as the sampler moved them; whole columns stay whole,
ranges are kept, flags and missing values are the first parent's, and codes are voted on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fraudml.matrix import MISSING_CODE, DesignMatrix
from fraudml.resampling.library import Made
from fraudml.resampling.view import ColumnFacts

_BLOCK_ROWS = 20_000


def write_synthetic(
    out: NDArray[np.float32], matrix: DesignMatrix, facts: ColumnFacts, made: Made
) -> None:
    """Fill `out` with the synthetic rows, in the columns' own units.

    A number lies between its parents where the sampler puts it there; where the second parent has
    no value, it is the first one's. A whole column is rounded. Nothing leaves the range that was
    seen. A code is the one that most of the first parent and its neighbours have, the first
    parent's at a tie; it is missing where the first parent's is.

    Parameters
    ----------
    out : ndarray of float32, shape (n_new, n_features)
        Is written; costs a few blocks of rows beside it.
    matrix : DesignMatrix
        The rows that `made` speaks of.
    facts : ColumnFacts
        As given to the view.
    made : Made
        Parents and shifts.
    """
    moving = np.flatnonzero(~facts.flag[facts.numeric])
    for start in range(0, len(out), _BLOCK_ROWS):
        part = made.part(slice(start, start + _BLOCK_ROWS))
        block = matrix.values[part.first]
        if part.shift is not None and len(moving):
            _move(block, matrix.values, facts, part, moving)
        if part.neighbours is not None:
            voters = np.column_stack([part.first, part.neighbours])
            for column in matrix.categorical:
                block[:, column] = _voted(matrix.values[voters, column])
        out[start : start + _BLOCK_ROWS] = block


def _move(
    block: NDArray[np.float32],
    values: NDArray[np.float32],
    facts: ColumnFacts,
    made: Made,
    moving: NDArray[np.int64],
) -> None:
    """Shift the numbers of first parents in place; `moving` are their columns in the view."""
    assert made.shift is not None
    columns = facts.numeric[moving]
    shift = made.shift[:, moving] * facts.scale[columns]
    if made.second is not None:
        shift[np.isnan(values[np.ix_(made.second, columns)])] = 0.0
    moved = block[:, columns] + shift
    whole = np.flatnonzero(facts.whole[columns])
    moved[:, whole] = np.rint(moved[:, whole])
    block[:, columns] = np.clip(moved, facts.low[columns], facts.high[columns], out=moved)


def _voted(codes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the most frequent present code of each row; the earliest column wins a tie."""
    votes = np.zeros(codes.shape, dtype=np.int16)
    for voter in range(codes.shape[1]):
        votes += codes == codes[:, [voter]]
    votes[codes == MISSING_CODE] = 0
    winner = codes[np.arange(len(codes)), votes.argmax(axis=1)]
    return np.where(codes[:, 0] == MISSING_CODE, np.float32(MISSING_CODE), winner)
