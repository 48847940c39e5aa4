"""XGBoost's model file, checked field by field: one that is wrong ends or hangs the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.learners.tree_checks import finite_problem, range_problem, structure_problem
from fraudml.learners.ubjson import read_ubjson

_REALS = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")
_WHOLES = (
    "default_left",
    "left_children",
    "parents",
    "right_children",
    "split_indices",
    "split_type",
)
_SETS = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_TREE = {*_REALS, *_WHOLES, *_SETS, "id", "tree_param"}
_LEARNER = {"attributes", "feature_names", "feature_types", "gradient_booster", "objective"} | {
    "learner_model_param"
}
_ROOT_PARENT = 2**31 - 1
_MAX_CODE = 2**24


def model_problem(content: bytes, columns: int) -> str | None:
    """Say why bytes are no model that can be walked; None where they are one.

    Parameters
    ----------
    content : bytes
        The model as UBJSON.
    columns : int
        How many columns the model is for.
    """
    try:
        return next(_problems(read_ubjson(content), columns), None)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        return f"it does not have the layout of a model ({error!r})"


def _problems(model: Any, columns: int) -> Iterator[str]:
    if set(model) != {"learner", "version"} or set(model["learner"]) != _LEARNER:
        yield "it does not have the parts of a model"
        return
    learner = model["learner"]
    parameters, types = learner["learner_model_param"], learner["feature_types"]
    if parameters["num_feature"] != str(columns) or len(types) != columns:
        yield f"it is for {parameters['num_feature']} columns, and its manifest names {columns}"
    if not set(types) <= {"q", "c"} or learner["feature_names"] or learner["attributes"]:
        yield "it describes its columns in another way than fraudml writes it"
    if parameters["num_class"] != "0" or parameters["num_target"] != "1":
        yield "it has several outputs"
    if not 0 < float(str(parameters["base_score"]).strip("[]")) < 1:
        yield f"its base score is {parameters['base_score']}"
    if learner["objective"]["name"] != "binary:logistic":
        yield f"its objective is '{learner['objective']['name']}'"
    yield from _booster_problems(learner["gradient_booster"], columns)


def _booster_problems(booster: Mapping[str, Any], columns: int) -> Iterator[str]:
    if booster["name"] == "dart":
        yield from _dart_problems(booster)
        booster = booster["gbtree"]
    if booster["name"] != "gbtree" or set(booster) != {"model", "name"}:
        yield f"its booster is '{booster['name']}'"
        return
    model = booster["model"]
    trees, parameters = model["trees"], model["gbtree_model_param"]
    if parameters != {"num_parallel_tree": "1", "num_trees": str(len(trees))} or not trees:
        yield f"it has {len(trees)} trees, and says {parameters}"
        return
    rounds = np.arange(len(trees) + 1)
    if list(model["iteration_indptr"]) != rounds.tolist() or np.any(model["tree_info"]):
        yield "it does not have a tree a round"
    if any(len(part) for part in model["cats"].values()):
        yield "it has names of categories"
    if len(model["tree_info"]) != len(trees):
        yield "it does not say what each tree is for"
    yield from _tree_problems(trees, columns)


def _dart_problems(booster: Mapping[str, Any]) -> Iterator[str]:
    weights = np.asarray(booster["weight_drop"], dtype=np.float64)
    if len(weights) != len(booster["gbtree"]["model"]["trees"]):
        yield "it does not have a weight for each tree"
    problem = finite_problem("the weight of a tree", weights)
    if problem is not None:
        yield problem


def _tree_problems(trees: list[Mapping[str, Any]], columns: int) -> Iterator[str]:
    """Everything that the library takes for granted, of all trees at once."""
    sizes = np.array([int(tree["tree_param"]["num_nodes"]) for tree in trees])
    for number, tree in enumerate(trees):
        expected = {"num_deleted": "0", "num_feature": str(columns), "size_leaf_vector": "1"}
        if set(tree) != _TREE or tree["tree_param"] | expected != tree["tree_param"]:
            yield f"tree {number} does not have the parts of a tree"
            return
        if tree["id"] != number or sizes[number] < 1:
            yield f"tree {number} is not where it should be"
            return
    if not _are_arrays(trees, sizes):
        yield "a tree does not have one value of each kind for each of its nodes"
        return
    reals = {name: np.concatenate([tree[name] for tree in trees]) for name in _REALS}
    wholes = {
        name: np.concatenate([tree[name] for tree in trees]).astype(np.int64) for name in _WHOLES
    }
    is_leaf = wholes["left_children"] == -1
    is_set = (wholes["split_type"] == 1) & ~is_leaf
    problems: tuple[Callable[[], str | None], ...] = (
        lambda: "a leaf has a child" if (wholes["right_children"][is_leaf] != -1).any() else None,
        lambda: range_problem("a split's column", wholes["split_indices"][~is_leaf], columns),
        lambda: range_problem("a split's type", wholes["split_type"], 2),
        lambda: range_problem("a split's default", wholes["default_left"], 2),
        lambda: finite_problem("a leaf", reals["split_conditions"][is_leaf]),
        lambda: "a threshold is NaN" if np.isnan(reals["split_conditions"]).any() else None,
        lambda: finite_problem("a weight", reals["base_weights"]),
        lambda: structure_problem(
            sizes, wholes["left_children"], wholes["right_children"], is_leaf
        ),
        lambda: _parent_problem(sizes, wholes, is_leaf),
    )
    yield from (text for check in problems if (text := check()) is not None)
    ends = np.cumsum(sizes)
    for number, (tree, end) in enumerate(zip(trees, ends, strict=True)):
        inside = is_set[end - sizes[number] : end]
        if (inside.any() or any(len(tree[name]) for name in _SETS)) and _set_problem(tree, inside):
            yield f"the sets of categories of tree {number} are not whole"


def _are_arrays(trees: list[Mapping[str, Any]], sizes: NDArray[np.int64]) -> bool:
    return all(
        isinstance(tree[name], np.ndarray)
        and tree[name].dtype.kind in kinds
        and len(tree[name]) == n
        for names, kinds in ((_REALS, "f"), (_WHOLES, "iu"))
        for name in names
        for tree, n in zip(trees, sizes, strict=True)
    )


def _parent_problem(
    sizes: NDArray[np.int64], nodes: Mapping[str, NDArray[Any]], is_leaf: NDArray[np.bool_]
) -> str | None:
    """Contributions walk upwards: each node must know the one that leads to it."""
    starts = np.cumsum(sizes) - sizes
    own = np.arange(len(is_leaf)) - np.repeat(starts, sizes)
    first = np.repeat(starts, sizes)[~is_leaf]
    expected = np.full(len(is_leaf), _ROOT_PARENT)
    for side in ("left_children", "right_children"):
        expected[nodes[side][~is_leaf] + first] = own[~is_leaf]
    return None if (expected == nodes["parents"]).all() else "a node names another parent"


def _set_problem(tree: Mapping[str, Any], is_set: NDArray[np.bool_]) -> bool:
    codes, nodes, starts, sizes = (np.asarray(tree[name]).astype(np.int64) for name in _SETS)
    if nodes.tolist() != np.flatnonzero(is_set).tolist() or len(sizes) != len(nodes):
        return True
    ends = np.cumsum(sizes)
    whole = (starts == ends - sizes).all() if len(starts) == len(sizes) else False
    total = int(ends[-1]) if len(ends) else 0
    return bool(
        not whole
        or (sizes < 1).any()
        or total != len(codes)
        or (codes < 0).any()
        or (codes >= _MAX_CODE).any()
    )
