"""Whether the trees of a saved model are trees, before a library walks them.

Libraries trust their own files: a child out of range ends the process, a circle never ends. What a
format says of its trees is read by the modules of the learners; what must hold for all stands here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_DEPTH = 1_024
"""Exact contributions take a stack and a table that grow with the depth of a tree."""

Ints = NDArray[np.int64]


def structure_problem(
    sizes: Ints, left: Ints, right: Ints, is_leaf: NDArray[np.bool_]
) -> str | None:
    """Say why nodes are no trees; None where they are.

    Parameters
    ----------
    sizes : ndarray of int64
        How many nodes, leaves included, each tree has. Its first node is the root.
    left, right : ndarray of int64
        The children of all nodes, tree after tree, numbered within their tree; of leaves anything.
    is_leaf : ndarray of bool
        Which nodes have no children.
    """
    starts = np.cumsum(sizes) - sizes
    tree = np.repeat(np.arange(len(sizes)), sizes)
    inner = ~is_leaf
    for children in (left, right):
        outside = inner & ((children < 1) | (children >= sizes[tree]))
        if outside.any():
            node = int(np.argmax(outside))
            return f"tree {tree[node]} has no node {children[node]}, where a split leads to"
    left, right = left + starts[tree], right + starts[tree]
    parents = np.bincount(np.concatenate([left[inner], right[inner]]), minlength=len(tree))
    parents[starts] += 1
    if (parents != 1).any():
        node = int(np.argmax(parents != 1))
        return (
            f"{parents[node]} splits lead to node {node - starts[tree[node]]} of tree {tree[node]}"
        )
    level, reached = starts, len(starts)
    for _ in range(MAX_DEPTH + 1):
        level = level[inner[level]]
        if not len(level):
            break
        level = np.concatenate([left[level], right[level]])
        reached += len(level)
    else:
        return f"a tree is deeper than {MAX_DEPTH:,} splits"
    return None if reached == len(tree) else "a split leads back to a node above it"


def range_problem(name: str, values: Ints, end: int) -> str | None:
    """Say which value is not a number from 0 to `end` - 1."""
    outside = (values < 0) | (values >= end)
    if not outside.any():
        return None
    return f"{name} is {values[np.argmax(outside)]}, and there are {end:,}"


def finite_problem(name: str, values: NDArray[np.floating]) -> str | None:
    """Say that a value is not finite."""
    finite = np.isfinite(values)
    return None if finite.all() else f"{name} is {values[np.argmin(finite)]}"
