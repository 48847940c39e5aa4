"""Trees from the JSON that CatBoost writes, where they look at numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fraudml.errors import ConfigError
from fraudml.export.forest import Forest, Ints, join, scaled, single_leaf

_NUMBERS = "FloatFeature"


def read_forest(model: Mapping[str, Any], order: Sequence[int]) -> Forest:
    """Read the trees of `FittedCatBoost.as_json()`.

    `order` has the column of the design matrix of each of CatBoost's columns. Raises a
    `ConfigError` where trees use categories: CatBoost encodes these by tables that no format has.
    """
    factor, (bias,) = model["scale_and_bias"]
    known = model["features_info"]["float_features"]
    columns = {of["feature_index"]: order[of["flat_feature_index"]] for of in known}
    # A missing value is beyond no border, unless the fit took it for the largest.
    largest = {of["feature_index"] for of in known if of["nan_value_treatment"] == "AsTrue"}
    trees = model["oblivious_trees"] if "oblivious_trees" in model else model["trees"]
    forest = join(_tree(tree, columns, largest) for tree in trees)
    return join([scaled(forest, float(factor))], base=float(bias))


def _tree(tree: Mapping[str, Any], columns: Mapping[int, int], largest: set[int]) -> Forest:
    if "leaf_values" in tree:
        splits = tree["splits"] or []
        if not splits:
            return single_leaf(float(tree["leaf_values"][0]))
        true, false = _full(len(splits))
        # The last split is the highest bit of a leaf's number, so it is at the root.
        depth = np.repeat(np.arange(len(splits)), 2 ** np.arange(len(splits)))
        nodes = [splits[-1 - level] for level in depth]
        values = tree["leaf_values"]
    elif "split" not in tree:
        return single_leaf(float(tree["value"]))
    else:
        nodes, true, false, values = _grown(tree)
    if any(node["split_type"] != _NUMBERS for node in nodes):
        raise ConfigError(
            "The bundle's CatBoost model encodes categories by tables of its own that no other "
            "format has. Export a model without categorical columns (features.drop), or "
            "train with learner=lightgbm or xgboost."
        )
    index = [node["float_feature_index"] for node in nodes]
    return Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=np.array([columns[number] for number in index]),
        threshold=np.array([node["border"] for node in nodes], dtype=np.float32).astype(np.float64),
        is_set=np.zeros(len(nodes), dtype=bool),
        sets=(),
        missing_true=np.array([number not in largest for number in index]),
        true=true,
        false=false,
        values=np.array(values, dtype=np.float64),
    )


def _full(depth: int) -> tuple[Ints, Ints]:
    """The children of a full tree: node k has 2k + 1 and 2k + 2, and leaves from the left on."""
    inner = 2**depth - 1
    children = 2 * np.arange(inner)[:, None] + np.array([1, 2])
    children = np.where(children < inner, children, ~(children - inner))
    return children[:, 0], children[:, 1]


def _grown(tree: Mapping[str, Any]) -> tuple[list[Any], Ints, Ints, list[float]]:
    """The nodes of a tree that was not grown level by level, children and leaf values."""
    nodes, values = list[Any](), list[float]()
    children = list[list[int]]()

    def visit(node: Mapping[str, Any]) -> int:
        if "split" not in node:
            values.append(float(node["value"]))
            return ~(len(values) - 1)
        number = len(nodes)
        nodes.append(node["split"])
        children.append([])
        children[number] = [visit(node["left"]), visit(node["right"])]
        return number

    visit(tree)
    sides = np.array(children, dtype=np.int64)
    return nodes, sides[:, 0], sides[:, 1], values
