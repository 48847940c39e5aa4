"""Trees from the JSON that XGBoost writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fraudml.export.forest import Forest, Ints, join, single_leaf


def read_forest(model: Mapping[str, Any]) -> Forest:
    """Read the trees of `FittedXGBoost.as_json()`: plain boosting with one output.

    XGBoost adds leaves in float32: its own margins differ by some 1e-7 of their size.
    """
    learner = model["learner"]
    start = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
    trees = learner["gradient_booster"]["model"]["trees"]
    return join(map(_tree, trees), base=math.log(start / (1 - start)))


def _tree(tree: Mapping[str, Any]) -> Forest:
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    inner = left >= 0
    split = np.array(tree["split_conditions"], dtype=np.float32)
    if not inner.any():
        return single_leaf(float(split[0]))
    numbers = np.where(inner, np.cumsum(inner) - 1, ~(np.cumsum(~inner) - 1))
    is_set = np.array(tree["split_type"])[inner] == 1
    smaller, rest = numbers[left[inner]], numbers[right[inner]]
    default_left = np.array(tree["default_left"])[inner] == 1
    # Below a float32 is at most the one before it.
    threshold = np.nextafter(split[inner], np.float32(-np.inf)).astype(np.float64)
    return Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=np.array(tree["split_indices"], dtype=np.int64)[inner],
        threshold=np.where(is_set, 0.0, threshold),
        is_set=is_set,
        sets=tuple(_sets(tree)),
        # Categories of a set go right.
        missing_true=default_left != is_set,
        true=np.where(is_set, rest, smaller),
        false=np.where(is_set, smaller, rest),
        values=split[~inner].astype(np.float64),
    )


def _sets(tree: Mapping[str, Any]) -> Iterator[Ints]:
    codes = np.array(tree["categories"], dtype=np.int64)
    starts, sizes = tree["categories_segments"], tree["categories_sizes"]
    for start, size in zip(starts, sizes, strict=True):
        yield codes[start : start + size]
