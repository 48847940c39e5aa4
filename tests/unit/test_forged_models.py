"""Models with the right hashes and the wrong content: refused before a library walks them."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudml.learners.lightgbm_text import model_problem as lightgbm_problem
from fraudml.learners.tree_checks import MAX_DEPTH, structure_problem
from fraudml.learners.ubjson import read_ubjson
from fraudml.learners.xgboost_model import model_problem as xgboost_problem


def structure(left: list[int], right: list[int], sizes: list[int] | None = None) -> str | None:
    children = np.array(left)
    return structure_problem(
        np.array([len(left)] if sizes is None else sizes), children, np.array(right), children < 0
    )


def test_a_tree_is_a_tree() -> None:
    assert structure([-1], [-1]) is None
    assert structure([1, -1, -1], [2, -1, -1]) is None
    assert structure([1, -1, -1, 1, -1, -1], [2, -1, -1, 2, -1, -1], [3, 3]) is None


@pytest.mark.parametrize(
    ("left", "right", "problem"),
    [
        ([1, -1, -1], [3, -1, -1], "no node 3"),
        ([0, -1, -1], [2, -1, -1], "no node 0"),
        ([-2, -1, -1], [2, -1, -1], "lead to node 1"),
        ([1, -1, -1], [1, -1, -1], "2 splits"),
        ([1, -1, -1, 4, 3, -1, -1], [2, -1, -1, 5, 6, -1, -1], "leads back"),
    ],
)
def test_what_is_no_tree_is_said(left: list[int], right: list[int], problem: str) -> None:
    assert problem in str(structure(left, right))


def test_a_tree_that_is_too_deep_for_contributions_is_refused() -> None:
    splits = MAX_DEPTH + 1
    left, right = [-1] * (2 * splits + 1), [-1] * (2 * splits + 1)
    left[:-1:2] = range(1, 2 * splits, 2)
    right[:-1:2] = range(2, 2 * splits + 1, 2)
    assert "deeper" in str(structure(left, right))


@cache
def rows() -> tuple[Any, Any]:
    draw = np.random.default_rng(0)
    X = draw.normal(size=(400, 3)).astype(np.float32)
    X[:, 2] = draw.integers(0, 9, 400)
    return X, (X[:, 0] + (X[:, 2] % 3 > 1) > 1).astype(float)


@cache
def lightgbm_text(categorical: tuple[int, ...] = (2,)) -> str:
    import lightgbm as lgb

    X, y = rows()
    table = lgb.Dataset(X, y, categorical_feature=list(categorical))
    options = {"objective": "binary", "num_leaves": 5, "verbosity": -1, "num_threads": 1}
    options |= {"min_data_per_group": 1, "cat_smooth": 1.0, "cat_l2": 0.0}
    text: str = lgb.train(options, table, 4).model_to_string()
    return re.sub(r"\nparameters:\n.*?\nend of parameters\n", "", text, count=1, flags=re.DOTALL)


@cache
def xgboost_bytes() -> bytes:
    xgb = pytest.importorskip("xgboost")
    X, y = rows()
    table = xgb.DMatrix(X, y, feature_types=["q", "q", "c"], enable_categorical=True)
    options = {"objective": "binary:logistic", "max_depth": 3, "max_cat_to_onehot": 1, "nthread": 1}
    return bytes(xgb.train(options, table, 4).save_raw("ubj"))


def test_a_model_as_the_library_writes_it_passes() -> None:
    assert lightgbm_problem(lightgbm_text(), 3) is None
    assert xgboost_problem(xgboost_bytes(), 3) is None


def test_a_split_of_missing_values_has_an_infinite_threshold() -> None:
    text = lightgbm_text(())
    numeric = re.search(r"num_cat=0\n.*?threshold=([^\n ]+)", text, flags=re.DOTALL)
    assert numeric is not None
    infinite = text[: numeric.start(1)] + "inf" + text[numeric.end(1) :]
    sizes = re.search(r"tree_sizes=([^\n]*)", text)
    assert sizes is not None
    tree = text[: numeric.start(1)].count("Tree=") - 1
    lengths = [int(size) for size in sizes[1].split()]
    lengths[tree] += len(infinite) - len(text)
    infinite = infinite.replace(sizes[1], " ".join(map(str, lengths)), 1)
    assert lightgbm_problem(infinite, 3) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_leaves", "100"),
        ("num_leaves", "0"),
        ("num_cat", "7"),
        ("split_feature", "9"),
        ("split_feature", "-1"),
        ("decision_type", "99"),
        ("left_child", "0"),
        ("left_child", "77"),
        ("right_child", "-99"),
        ("leaf_value", "nan"),
        ("leaf_value", "1e999"),
        ("threshold", "nan"),
        ("cat_boundaries", "5"),
        ("cat_threshold", "9999999999"),
        ("leaf_value", "0x1"),
        ("shrinkage", "1\nis_linear=1"),
    ],
)
def test_a_forged_value_in_a_text_is_seen(field: str, value: str) -> None:
    text = lightgbm_text()
    forged = re.sub(
        rf"\n{field}=[^\n ]+", lambda _: f"\n{field}={value}", text, count=1, flags=re.DOTALL
    )
    assert forged != text
    sizes = re.search(r"tree_sizes=([^\n]*)", text)
    assert sizes is not None
    first = int(sizes[1].split()[0])
    grown = sizes[1].replace(str(first), str(first + len(forged) - len(text)), 1)
    forged = forged.replace(sizes[1], grown, 1)
    assert lightgbm_problem(forged, 3) is not None


@given(st.data())
def test_a_cut_document_is_no_document(data: st.DataObject) -> None:
    content = xgboost_bytes()
    stop = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ValueError, match=r"byte|nests|twice|decode"):
        read_ubjson(content[:stop])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"{" * 50,
        b"[" + b"[#U\x01" * 50,
        b"[$d#L\x7f" + b"\xff" * 7,
        b"Sl\xff\xff\xff\xff",
    ],
)
def test_an_announced_size_is_held_against_what_there_is(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"byte|nests"):
        read_ubjson(content)


@given(st.data())
def test_a_flipped_bit_never_reaches_the_library_unseen_or_is_harmless(data: st.DataObject) -> None:
    import xgboost as xgb

    content = bytearray(xgboost_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    if xgboost_problem(bytes(content), 3) is None:
        try:
            booster = xgb.Booster({"nthread": 1}, model_file=content)
        except xgb.core.XGBoostError:
            return  # the library refuses it itself
        assert booster.inplace_predict(rows()[0], predict_type="margin").shape == (400,)
