"""The design matrix: views where rows are consecutive, and codes that a fit has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fraudml.matrix import MISSING_CODE, UNSEEN_CODE, DesignMatrix, mask_unseen_categories


@pytest.fixture
def matrix() -> DesignMatrix:
    return DesignMatrix(
        np.arange(12, dtype=np.float32).reshape(6, 2),
        ("a", "b"),
        label=np.array([0, 1, 0, 1, 1, 0], dtype=np.int8),
        weight=np.arange(6.0),
        miss_cost=np.arange(6.0) * 10,
    )


def test_a_matrix_counts_its_frauds(matrix: DesignMatrix) -> None:
    assert len(matrix) == 6
    assert matrix.frauds == 3


@pytest.mark.parametrize("rows", [[0], [1, 2, 3], [0, 2, 5], [5], [], [0, 1, 2, 3, 4, 5]])
def test_rows_are_taken_with_all_that_belongs_to_them(
    matrix: DesignMatrix, rows: list[int]
) -> None:
    taken = matrix.take(np.array(rows, dtype=np.int64))
    np.testing.assert_array_equal(taken.values, matrix.values[rows])
    for name in ("label", "weight", "miss_cost"):
        np.testing.assert_array_equal(getattr(taken, name), getattr(matrix, name)[rows])
    assert taken.names == matrix.names


def test_a_block_is_a_view_and_any_other_choice_a_copy(matrix: DesignMatrix) -> None:
    assert np.shares_memory(matrix.take(np.arange(2, 5)).values, matrix.values)
    assert not np.shares_memory(matrix.take(np.array([0, 2])).values, matrix.values)


def test_what_is_not_there_stays_away(matrix: DesignMatrix) -> None:
    bare = replace(matrix, label=None, weight=None, miss_cost=None)
    taken = bare.take(np.array([1, 3]))
    assert (taken.label, taken.weight, taken.miss_cost) == (None, None, None)
    with pytest.raises(AssertionError, match="no labels"):
        _ = bare.y


def test_other_weights_leave_the_first_matrix_alone(matrix: DesignMatrix) -> None:
    other = matrix.with_weight(np.ones(6))
    assert other.weight is not None
    assert other.weight.tolist() == [1.0] * 6
    assert matrix.weight is not None
    assert matrix.weight[5] == 5.0
    assert other.values is matrix.values
    assert matrix.with_weight(None).weight is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"values": np.zeros((6, 2))},
        {"names": ("a",)},
        {"label": np.zeros(5, dtype=np.int8)},
        {"weight": np.zeros(7)},
        {"miss_cost": np.zeros(0)},
    ],
)
def test_parts_that_do_not_fit_are_a_defect(matrix: DesignMatrix, wrong: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        replace(matrix, **wrong)  # type: ignore[arg-type]


def codes(*values: float) -> DesignMatrix:
    column = np.array([values, np.full(len(values), 99)], dtype=np.float32).T
    return DesignMatrix(np.ascontiguousarray(column), ("code", "number"), (0,))


def test_categories_that_the_fit_did_not_have_are_hidden() -> None:
    score = codes(MISSING_CODE, UNSEEN_CODE, 2, 3, 4, 7)
    made = mask_unseen_categories(codes(2, 4, 4, 9), score)
    assert made.values[:, 0].tolist() == [0, 1, 2, 1, 4, 1]
    assert made.values[:, 1].tolist() == [99.0] * 6
    assert score.values[:, 0].tolist() == [0, 1, 2, 3, 4, 7], "the rows given are not changed"


def test_missing_stays_missing_where_the_fit_had_none() -> None:
    assert mask_unseen_categories(codes(2), codes(0, 0)).values[:, 0].tolist() == [0, 0]


def test_nothing_to_score_and_nothing_categorical_are_left_as_they_are() -> None:
    assert len(mask_unseen_categories(codes(2), codes())) == 0
    plain = replace(codes(2, 3), categorical=())
    assert mask_unseen_categories(plain, plain) is plain


def test_hiding_twice_is_hiding_once() -> None:
    fit, score = codes(2, 5), codes(0, 1, 2, 3, 4, 5, 6)
    once = mask_unseen_categories(fit, score)
    np.testing.assert_array_equal(mask_unseen_categories(fit, once).values, once.values)
