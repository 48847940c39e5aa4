"""LightGBM's model text, checked field by field: one that is wrong ends the process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fraudml.learners.tree_checks import finite_problem, range_problem, structure_problem

_WHOLE, _REAL = r"([\d ]*)", r"([-+.\deE ]*)"
_SIGNED, _ANY = r"([-\d ]*)", r"([-+.\deEinfa ]*)"
_OF_SPLITS = {
    "split_feature": _WHOLE,
    "split_gain": _ANY,
    "threshold": _ANY,  # infinite where a split parts missing values from all others
    "decision_type": _WHOLE,
    "left_child": _SIGNED,
    "right_child": _SIGNED,
}
_OF_LEAVES = {"leaf_value": _REAL, "leaf_weight": _ANY, "leaf_count": _SIGNED}
_INSIDE = {"internal_value": _ANY, "internal_weight": _ANY, "internal_count": _SIGNED}
_FIELDS = {**_OF_SPLITS, **_OF_LEAVES, **_INSIDE}
_TREE = re.compile(
    r"Tree=(\d{1,9})\nnum_leaves=(\d{1,9})\nnum_cat=(\d{1,9})\n"
    + "".join(f"{name}={values}\n" for name, values in _FIELDS.items())
    + rf"(?:cat_boundaries={_WHOLE}\ncat_threshold={_WHOLE}\n)?"
    + r"is_linear=0\nshrinkage=[-+.\deE]{1,40}\n\n\n"
)
_HEADER = re.compile(
    r"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
    r"max_feature_idx=(?P<last>\d{1,9})\n"
    r"(?:objective=(?:binary sigmoid:1|custom)\n)?"
    r"feature_names=(?P<names>[^\n]*)\n"
    r"(?:monotone_constraints=(?P<monotone>[-\d ]*)\n)?"
    r"feature_infos=(?P<infos>[^\n]*)\n"
    r"tree_sizes=(?P<sizes>[\d ]*)\n\n"
)
_INFO = re.compile(r"none|\[[-+.\deEinf]+:[-+.\deEinf]+\]|-?\d+(?::-?\d+)*")
_END = re.compile(
    r"end of trees\n\nfeature_importances:\n(?:[^\n=]+=\d+\n)*\npandas_categorical:(?:null|\[\])\n"
)
_CATEGORY, _DECISIONS = 1, 16
_WORD = 2**32

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


def model_problem(text: str, columns: int) -> str | None:
    """Say why a text is no model that can be walked; None where it is one.

    Parameters
    ----------
    text : str
        As LightGBM writes it, without the parameters of its fit.
    columns : int
        How many columns the model is for.
    """
    header = _HEADER.match(text)
    if header is None:
        return "its first lines are not those of a model with one output"
    if header["last"] != str(columns - 1):
        return f"it is not for the {columns} columns that its manifest names"
    infos = header["infos"].split(" ")
    if len(header["names"].split(" ")) != columns or len(infos) != columns:
        return f"it does not describe {columns} columns"
    if not all(map(_INFO.fullmatch, infos)):
        return "the range of a column is not one"
    if header["monotone"] is not None and len(header["monotone"].split()) != columns:
        return f"it does not have {columns} monotone constraints"
    return _trees_problem(text, header.end(), header["sizes"].split(), columns)


def _trees_problem(text: str, start: int, sizes: Sequence[str], columns: int) -> str | None:
    trees: list[tuple[str, ...]] = []
    for number, size in enumerate(sizes):
        tree = _TREE.match(text, start)
        if tree is None or tree[1] != str(number) or tree.end() - start != int(size):
            return f"tree {number} of {len(sizes)} is not where it should be, or is not whole"
        trees.append(tree.groups(default=""))
        start = tree.end()
    if not trees:
        return "it has no trees"
    if not _END.fullmatch(text, start):
        return "it does not end as a model does"
    try:
        return next(_problems(trees, columns), None)
    except ValueError as error:
        return f"a value is no number ({error})"


def _problems(trees: Sequence[tuple[str, ...]], columns: int) -> Iterator[str]:
    """Everything that the library takes for granted, of all trees at once."""
    leaves, categories = (_whole([tree[at] for tree in trees]) for at in (1, 2))
    if (leaves < 1).any():
        yield "a tree has no leaf"
        return
    fields: dict[str, list[str]] = {}
    for at, name in enumerate(_FIELDS, start=3):
        lists = [tree[at].split() for tree in trees]
        wrong = np.array([len(values) for values in lists]) != leaves - (name not in _OF_LEAVES)
        if wrong.any():
            yield f"tree {np.argmax(wrong)} has another number of values of {name} than of parts"
            return
        fields[name] = [value for values in lists for value in values]
    for name in ("split_gain", "leaf_weight", "internal_value", "internal_weight"):
        _real(fields[name])  # not used to score, and read all the same
    for name in ("leaf_count", "internal_count"):
        _whole(fields[name])
    decision, threshold = _whole(fields["decision_type"]), _real(fields["threshold"])
    is_set = (decision & _CATEGORY).astype(bool)
    tree = np.repeat(np.arange(len(leaves)), leaves - 1)
    problems = (
        range_problem("a split's column", _whole(fields["split_feature"]), columns),
        range_problem("a decision type", decision, _DECISIONS),
        "a threshold is NaN" if np.isnan(threshold).any() else None,
        finite_problem("a leaf", _real(fields["leaf_value"])),
        _children_problem(
            leaves, tree, _whole(fields["left_child"]), _whole(fields["right_child"])
        ),
    )
    yield from (problem for problem in problems if problem is not None)
    yield from _set_problems(trees, categories, threshold[is_set], tree[is_set])


def _children_problem(leaves: Ints, tree: Ints, left: Ints, right: Ints) -> str | None:
    """Number leaves behind splits: LightGBM has -1 for the first leaf, -2 for the second."""
    splits = leaves[tree] - 1
    for children in (left, right):
        outside = (children >= splits) | (children < -splits - 1)
        if outside.any():
            split = np.argmax(outside)
            return f"tree {tree[split]} has no node {children[split]}, where a split leads to"
    sizes = 2 * leaves - 1
    at = np.arange(len(tree)) + np.repeat(np.cumsum(leaves) - leaves, leaves - 1)
    is_leaf = np.ones(sizes.sum(), dtype=bool)
    is_leaf[at] = False
    whole = np.zeros((2, len(is_leaf)), dtype=np.int64)
    for row, children in zip(whole, (left, right), strict=True):
        row[at] = np.where(children < 0, splits + ~children, children)
    return structure_problem(sizes, whole[0], whole[1], is_leaf)


def _set_problems(
    trees: Sequence[tuple[str, ...]], categories: Ints, numbers: Reals, tree: Ints
) -> Iterator[str]:
    """Splits by a set of categories name the set, whose codes are bits of words."""
    if (numbers != np.floor(numbers)).any() or (numbers < 0).any():
        yield "a split by categories does not name its set"
    elif (numbers >= categories[tree]).any():
        yield "a split by categories names a set that is not there"
    bounds = [fields[-2].split() for fields in trees]
    words = [fields[-1].split() for fields in trees]
    lengths = _whole([len(values) for values in bounds])
    if (lengths != np.where(categories, categories + 1, 0)).any():
        yield "the sets of categories are not as many as a tree says"
        return
    ends = np.cumsum(lengths[categories > 0])
    bound = _whole([value for values in bounds for value in values])
    word = _whole([value for values in words for value in values])
    sizes = np.diff(bound, prepend=0)
    first = ends - lengths[categories > 0]
    sizes[first] = 0
    last = _whole([len(values) for values in words])[categories > 0]
    if bound[first].any() or (sizes < 0).any() or (bound[ends - 1] != last).any():
        yield "the sets of categories do not end where a tree says"
    elif (word < 0).any() or (word >= _WORD).any():
        yield "a set of categories is no set of bits"


def _whole(values: Sequence[str] | Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _real(values: Sequence[str]) -> Reals:
    return np.array(values, dtype=np.float64)
