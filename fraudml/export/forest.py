"""Trees as flat arrays, whichever library grew them: what every writer of trees starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Forest:
    """Trees whose leaf values are added in float64, tree by tree in their order.

    A child is the number of a node, or, below 0, `~leaf`. A tree that is a leaf alone is a node
    whose children are both that leaf.

    Parameters
    ----------
    roots : ndarray of int64
        The first node of each tree.
    feature : ndarray of int64
        The column that each node looks at.
    threshold : ndarray of float64
        A row takes the true side where its value is at most this.
    is_set : ndarray of bool
        Nodes that ask instead whether a category is in a set.
    sets : tuple of ndarray of int64
        The codes of those sets, in the order of such nodes.
    missing_true : ndarray of bool
        Whether NaN takes the true side.
    true, false : ndarray of int64
        The children.
    values : ndarray of float64
        Of the leaves.
    base : float
        What is added to the sum.
    zero_is_missing : frozenset of int
        Columns whose zeros are NaN to the trees.
    """

    roots: Ints
    feature: Ints
    threshold: Floats
    is_set: Flags
    sets: tuple[Ints, ...]
    missing_true: Flags
    true: Ints
    false: Ints
    values: Floats
    base: float = 0.0
    zero_is_missing: frozenset[int] = frozenset()


def single_leaf(value: float) -> Forest:
    """Return the tree that gives the same to every row."""
    leaf = np.array([~0])
    no = np.zeros(1, dtype=bool)
    zero = np.zeros(1, dtype=np.int64)
    return Forest(zero, zero, np.zeros(1), no, (), no, leaf, leaf, np.array([value]))


def join(trees: Iterable[Forest], base: float = 0.0) -> Forest:
    """Put trees one after the other.

    Parameters
    ----------
    trees : iterable of Forest
        At least one; their own bases are left out.
    base : float
        That of the result.
    """
    every = list(trees)
    nodes = np.cumsum([0, *(len(one.feature) for one in every)])
    leaves = np.cumsum([0, *(len(one.values) for one in every)])

    def moved(child: Ints, number: int) -> Ints:
        result: Ints = np.where(child < 0, child - leaves[number], child + nodes[number])
        return result

    return Forest(
        roots=np.concatenate([one.roots + nodes[number] for number, one in enumerate(every)]),
        feature=np.concatenate([one.feature for one in every]),
        threshold=np.concatenate([one.threshold for one in every]),
        is_set=np.concatenate([one.is_set for one in every]),
        sets=tuple(codes for one in every for codes in one.sets),
        missing_true=np.concatenate([one.missing_true for one in every]),
        true=np.concatenate([moved(one.true, number) for number, one in enumerate(every)]),
        false=np.concatenate([moved(one.false, number) for number, one in enumerate(every)]),
        values=np.concatenate([one.values for one in every]),
        base=base,
        zero_is_missing=frozenset().union(*(one.zero_is_missing for one in every)),
    )


def scaled(forest: Forest, factor: float) -> Forest:
    """Return the forest with its leaves and its base times a factor."""
    return replace(forest, values=forest.values * factor, base=forest.base * factor)
