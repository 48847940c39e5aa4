"""Bins of training, and how far an input is from them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from fraudml.matrix import DesignMatrix
from fraudml.shift import Bins, ReferenceDistribution, population_stability, reference_distribution


def matrix(values: NDArray[np.float64]) -> DesignMatrix:
    return DesignMatrix(values.astype(np.float32), ("number", "flag", "shop"), (2,))


def drawn(rows: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    number = rng.lognormal(size=rows)
    number[rng.random(rows) < 0.1] = np.nan
    return np.column_stack([number, rng.random(rows) < 0.03, rng.integers(0, 40, rows)])


def psi(
    reference: ReferenceDistribution, position: int, values: NDArray[np.float64]
) -> dict[str, float]:
    bins = reference.features[position]
    return population_stability(bins.counts, bins.count(values.astype(np.float32)).tolist())


@pytest.fixture(scope="module")
def reference() -> ReferenceDistribution:
    rng = np.random.default_rng(5)
    return reference_distribution(matrix(drawn(20_000, 0)), rng.beta(1, 50, 5000))


def test_every_row_of_training_is_in_one_bin(reference: ReferenceDistribution) -> None:
    assert [sum(bins.counts) for bins in reference.features] == [20_000] * 3
    assert sum(reference.score.counts) == 5000
    assert reference.features[0].counts[0] == pytest.approx(2000, rel=0.1)
    assert len(reference.features[1].edges) == 1
    assert reference.features[1].counts[2] == pytest.approx(600, rel=0.2)


def test_bins_hold_no_rows_own_value(reference: ReferenceDistribution) -> None:
    """Inner quantiles only: neither the smallest nor the largest value is told."""
    number = drawn(20_000, 0)[:, 0].astype(np.float32)
    assert min(reference.features[0].edges) > np.nanmin(number)
    assert max(reference.features[0].edges) < np.nanmax(number)
    assert min(reference.features[0].counts) > 1000


def test_a_spread_goes_through_json(reference: ReferenceDistribution) -> None:
    assert ReferenceDistribution.from_dict(json.loads(json.dumps(reference.to_dict()))) == reference


def test_the_values_of_training_have_no_shift(reference: ReferenceDistribution) -> None:
    for position, values in enumerate(drawn(20_000, 0).T):
        assert psi(reference, position, values)["psi"] == 0


def test_chance_is_exceeded_about_once_in_twenty(reference: ReferenceDistribution) -> None:
    """The bins are of 20,000 rows of the same distribution; each input is of 300 new ones."""
    beyond = 0
    for seed in range(1, 201):
        found = psi(reference, 0, drawn(300, seed)[:, 0])
        assert not found["trusted"]
        beyond += found["psi"] > found["null_95"]
    assert 2 <= beyond <= 22


def test_a_shift_is_found(reference: ReferenceDistribution) -> None:
    other = drawn(5000, 1)
    other[:, 0] *= 3
    other[:, 1] = np.random.default_rng(0).random(5000) < 0.3
    other[:, 2] = 1
    for position in range(3):
        found = psi(reference, position, other[:, position])
        assert found["trusted"]
        assert found["psi"] > max(0.25, found["null_95"])


def test_gaps_unseen_and_rare_codes_have_bins_of_their_own(
    reference: ReferenceDistribution,
) -> None:
    bins = reference.features[2]
    assert len(bins.edges) == 20
    counted = bins.count(np.array([0.0, 0.0, 1.0, bins.edges[3], 500.0], dtype=np.float32))
    assert counted[:2].tolist() == [2, 1]
    assert counted[2 + 3] == 1
    assert counted[-1] == 1


def test_no_rows_have_no_shift(reference: ReferenceDistribution) -> None:
    found = psi(reference, 0, np.empty(0))
    assert found["psi"] is None
    assert found["rows"] == 0


@pytest.mark.parametrize("few", [[1.0] * 50, [np.nan] * 50, [0.0, 1.0] * 25])
def test_columns_of_one_or_two_values_or_none_have_bins(few: list[float]) -> None:
    column = np.array(few)
    made = reference_distribution(
        matrix(np.column_stack([column, column, np.zeros(50)])), np.full(50, 0.5)
    )
    assert [sum(bins.counts) for bins in made.features] == [50] * 3
    assert psi(made, 0, column)["psi"] == 0


def test_bins_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="no bins are of the kind"):
        ReferenceDistribution.from_dict(
            {"features": [], "score": {"kind": "number", "edges": [1.0], "counts": [1]}}
        )
    assert Bins("number", (), (0, 3)).count(np.array([1.0, np.nan])).tolist() == [1, 1]
