"""Matches rows by their values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def matching_rows(rows: NDArray[np.float32], among: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the position in `among` of the row that is equal in every value, or -1, for each row.

    The n-th copy of a row gets the n-th of its copies in `among`, from the first again where they
    run out. Costs a sort of each table.
    """
    keys, among_keys = _fingerprints(rows), _fingerprints(among)
    order = np.argsort(among_keys, kind="stable")
    first = np.searchsorted(among_keys[order], keys, "left")
    copies = np.searchsorted(among_keys[order], keys, "right") - first
    position = first + _occurrence(keys) % np.maximum(copies, 1)
    source = np.where(copies > 0, order[np.minimum(position, len(order) - 1)], -1)
    # Equal fingerprints do not prove equal rows.
    matched = np.flatnonzero(source >= 0)
    same = (rows[matched] == among[source[matched]]).all(axis=1)
    source[matched[~same]] = -1
    return source.astype(np.int64)


def _occurrence(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count the earlier occurrences of each key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    count = np.empty(len(keys), dtype=np.int64)
    count[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered, "left")
    return count


def _fingerprints(rows: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Mix the bits of each row into one number, a column at a time."""
    mixed = np.zeros(len(rows), dtype=np.uint64)
    for column in range(rows.shape[1]):
        bits = (rows[:, column] + np.float32(0)).view(np.uint32)  # -0 and 0 are the same number
        mixed = (mixed ^ bits) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
