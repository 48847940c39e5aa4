"""Trees from the text that LightGBM writes; the library is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fraudml.export.forest import Flags, Forest, Ints, join, single_leaf

_CATEGORY, _DEFAULT_LEFT = 1, 2
_MISSING_ZERO, _MISSING_NAN = 1, 2


def read_forest(text: str) -> Forest:
    """Read the trees of `FittedLightGBM.text`: plain boosting, one output, constant leaves."""
    return join(_tree(fields) for fields in _fields(text))


def _fields(text: str) -> Iterator[dict[str, str]]:
    whole, _, _ = text.partition("\nend of trees")
    for tree in whole.split("\nTree=")[1:]:
        yield dict(line.partition("=")[::2] for line in tree.splitlines())


def _tree(fields: Mapping[str, str]) -> Forest:
    values = _numbers(fields, "leaf_value", np.float64)
    if len(values) == 1:
        return single_leaf(float(values[0]))
    threshold = _numbers(fields, "threshold", np.float64)
    feature = _numbers(fields, "split_feature", np.int64)
    flags = _numbers(fields, "decision_type", np.int64)
    missing = flags >> 2 & 3
    is_set: Flags = (flags & _CATEGORY).astype(bool)
    zero = (missing == _MISSING_ZERO) & ~is_set
    # Where a column had no missing values in the fit, NaN is 0 to LightGBM.
    missing_true = np.where(missing == 0, threshold >= 0, (flags & _DEFAULT_LEFT) > 0) & ~is_set
    return Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=feature,
        threshold=np.where(is_set, 0.0, threshold),
        is_set=is_set,
        sets=tuple(_sets(fields, threshold[is_set].astype(np.int64))),
        missing_true=missing_true,
        true=_numbers(fields, "left_child", np.int64),
        false=_numbers(fields, "right_child", np.int64),
        values=values,
        zero_is_missing=frozenset(feature[zero].tolist()),
    )


def _sets(fields: Mapping[str, str], numbers: Ints) -> Iterator[Ints]:
    """The codes of each set, which are the bits of words of 32."""
    if not len(numbers):
        return
    bounds = _numbers(fields, "cat_boundaries", np.int64)
    words = _numbers(fields, "cat_threshold", np.uint32).astype("<u4")
    for number in numbers:
        bits = words[bounds[number] : bounds[number + 1]].view(np.uint8)
        yield np.flatnonzero(np.unpackbits(bits, bitorder="little"))


def _numbers(fields: Mapping[str, str], name: str, dtype: Any) -> Any:
    return np.array(fields[name].split(), dtype=dtype)
