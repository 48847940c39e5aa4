"""Trees from the JSON that CatBoost writes, where they look at numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fraudml.errors import ConfigError
from fraudml.export.forest import Forest, Ints, join, scaled, single_leaf

_NUMBERS = "FloatFeature"


def read_forest(model: Mapping[str, Any], order: Sequence[int]) -> Forest:
    """Read the trees of a model with one output.

    Parameters
    ----------
    model : mapping
        `FittedCatBoost.as_json()`.
    order : sequence of int
        Which column of the design matrix each of CatBoost's columns is.

    Raises
    ------
    ConfigError
        Trees look at categories: CatBoost makes numbers of these by tables that no format has.
    """
    factor, (bias,) = model["scale_and_bias"]
    known = model["features_info"]["float_features"]
    columns = {one["feature_index"]: order[one["flat_feature_index"]] for one in known}
    # A missing value is beyond no border, unless the fit took it for the largest.
    largest = {one["feature_index"] for one in known if one["nan_value_treatment"] == "AsTrue"}
    trees = model["oblivious_trees"] if "oblivious_trees" in model else model["trees"]
    made = join(_tree(tree, columns, largest) for tree in trees)
    forest = scaled(made, float(factor))
    return join([forest], base=float(bias))


def _tree(tree: Mapping[str, Any], columns: Mapping[int, int], largest: set[int]) -> Forest:
    if "leaf_values" in tree:
        splits = tree["splits"] or []
        if not splits:
            return single_leaf(float(tree["leaf_values"][0]))
        true, false = _full(len(splits))
        # The last split is the highest bit of a leaf's number, so the first that is asked.
        depth = np.repeat(np.arange(len(splits)), 2 ** np.arange(len(splits)))
        asked = [splits[-1 - level] for level in depth]
        values = tree["leaf_values"]
    elif "split" not in tree:
        return single_leaf(float(tree["value"]))
    else:
        asked, true, false, values = _grown(tree)
    if any(one["split_type"] != _NUMBERS for one in asked):
        raise ConfigError(
            "The bundle's CatBoost model looks at categories, by tables of its own that no other "
            "format has. Export a model without categorical columns (features.drop), or "
            "train with learner=lightgbm or xgboost."
        )
    index = [one["float_feature_index"] for one in asked]
    return Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=np.array([columns[one] for one in index]),
        threshold=np.array([one["border"] for one in asked], dtype=np.float32).astype(np.float64),
        is_set=np.zeros(len(asked), dtype=bool),
        sets=(),
        missing_true=np.array([one not in largest for one in index]),
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
    """The nodes of a tree that was not grown level by level."""
    asked, values = list[Any](), list[float]()
    children = list[list[int]]()

    def visit(node: Mapping[str, Any]) -> int:
        if "split" not in node:
            values.append(float(node["value"]))
            return ~(len(values) - 1)
        number = len(asked)
        asked.append(node["split"])
        children.append([])
        children[number] = [visit(node["left"]), visit(node["right"])]
        return number

    visit(tree)
    sides = np.array(children, dtype=np.int64)
    return asked, sides[:, 0], sides[:, 1], values
