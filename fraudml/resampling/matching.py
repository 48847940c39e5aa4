"""Finds rows again by their values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def matching_rows(rows: NDArray[np.float32], among: NDArray[np.float32]) -> NDArray[np.int64]:
    """Find rows that are equal in every value: the position in `among` of each, or -1.

    The n-th copy of a row is given the n-th of its copies in `among`, from the first again where
    they run out.

    Parameters
    ----------
    rows, among : ndarray of float32, shapes (n, d) and (m, d)
        What to find, and where. Costs a sort of each.
    """
    wanted, there = _fingerprints(rows), _fingerprints(among)
    order = np.argsort(there, kind="stable")
    left = np.searchsorted(there[order], wanted, "left")
    copies = np.searchsorted(there[order], wanted, "right") - left
    at = left + _occurrence(wanted) % np.maximum(copies, 1)
    source = np.where(copies > 0, order[np.minimum(at, len(order) - 1)], -1)
    found = np.flatnonzero(source >= 0)
    same = (rows[found] == among[source[found]]).all(axis=1)
    source[found[~same]] = -1
    return source.astype(np.int64)


def _occurrence(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count how often each key was there before."""
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
