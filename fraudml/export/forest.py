"""Trees as flat arrays, whichever library grew them: the input of every writer of trees."""

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
    """Join at least one tree into a forest with the base `base`; their own bases are dropped."""
    parts = list(trees)
    nodes = np.cumsum([0, *(len(part.feature) for part in parts)])
    leaves = np.cumsum([0, *(len(part.values) for part in parts)])

    def moved(child: Ints, number: int) -> Ints:
        result: Ints = np.where(child < 0, child - leaves[number], child + nodes[number])
        return result

    return Forest(
        roots=np.concatenate([part.roots + nodes[number] for number, part in enumerate(parts)]),
        feature=np.concatenate([part.feature for part in parts]),
        threshold=np.concatenate([part.threshold for part in parts]),
        is_set=np.concatenate([part.is_set for part in parts]),
        sets=tuple(codes for part in parts for codes in part.sets),
        missing_true=np.concatenate([part.missing_true for part in parts]),
        true=np.concatenate([moved(part.true, number) for number, part in enumerate(parts)]),
        false=np.concatenate([moved(part.false, number) for number, part in enumerate(parts)]),
        values=np.concatenate([part.values for part in parts]),
        base=base,
        zero_is_missing=frozenset().union(*(part.zero_is_missing for part in parts)),
    )


def scaled(forest: Forest, factor: float) -> Forest:
    """Return the forest with its leaves and its base times a factor."""
    return replace(forest, values=forest.values * factor, base=forest.base * factor)
