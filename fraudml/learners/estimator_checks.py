"""The trees inside a loaded scikit-learn estimator, checked before they are walked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fraudml.learners.tree_checks import finite_problem, range_problem, structure_problem

_NO_CHILD = -1


def estimator_problem(estimator: Any) -> str | None:
    """Say why a tree of an estimator cannot be walked; None where all can.

    Parameters
    ----------
    estimator : estimator
        Loaded, not yet asked for scores.
    """
    problems = (_tree_problem(part) for part in _parts(estimator, set()))
    return next((problem for problem in problems if problem is not None), None)


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Every object that an estimator holds, itself first."""
    if id(value) in seen or isinstance(value, str | bytes | int | float | bool | type(None)):
        return
    seen.add(id(value))
    yield value
    if isinstance(value, Mapping):
        inside = list(value.values())
    elif isinstance(value, list | tuple | set):
        inside = list(value)
    elif isinstance(value, np.ndarray):
        inside = list(value.flat) if value.dtype == object else []
    else:
        inside = list(getattr(value, "__dict__", {}).values())
    for item in inside:
        yield from _parts(item, seen)


def _tree_problem(part: Any) -> str | None:
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree._tree import Tree

    if isinstance(part, Tree):
        return next(_problems_of_tree(part), None)
    return next(_problems_of_predictor(part), None) if isinstance(part, TreePredictor) else None


def _problems_of_tree(tree: Any) -> Iterator[str]:
    state = tree.__getstate__()
    nodes, values = state["nodes"], state["values"]
    left, right = (nodes[side].astype(np.int64) for side in ("left_child", "right_child"))
    is_leaf = left == _NO_CHILD
    if not len(nodes) or len(nodes) != state["node_count"] or len(values) != len(nodes):
        yield "a tree does not have as many nodes as it says"
    elif (right[is_leaf] != _NO_CHILD).any():
        yield "a leaf has a child"
    else:
        feature = nodes["feature"][~is_leaf].astype(np.int64)
        problems = (
            range_problem("a split's column", feature, tree.n_features),
            structure_problem(np.array([len(nodes)]), left, right, is_leaf),
            # A split of missing values from all others has an infinite threshold.
            "a threshold is NaN" if np.isnan(nodes["threshold"][~is_leaf]).any() else None,
            finite_problem("a leaf", values),
        )
        yield from (problem for problem in problems if problem is not None)


def _problems_of_predictor(tree: Any) -> Iterator[str]:
    nodes = tree.nodes
    left, right = (nodes[side].astype(np.int64) for side in ("left", "right"))
    is_leaf = nodes["is_leaf"].astype(bool)
    is_set = nodes["is_categorical"].astype(bool) & ~is_leaf
    sets = nodes["bitset_idx"][is_set].astype(np.int64)
    known = min(len(tree.raw_left_cat_bitsets), len(tree.binned_left_cat_bitsets))
    if not len(nodes):
        yield "a tree has no nodes"
        return
    problems = (
        structure_problem(np.array([len(nodes)]), left, right, is_leaf),
        range_problem("a split's set of categories", sets, known),
        finite_problem("a leaf", nodes["value"]),
    )
    yield from (problem for problem in problems if problem is not None)
