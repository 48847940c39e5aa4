"""Thinning and weights: what they do to the rows of a fit, and to its prior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fraudml.errors import ConfigError, DataError
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.protocol import FitContext
from fraudml.matrix import DesignMatrix
from fraudml.recipe import Recipe
from fraudml.resampling import sampler_steps
from fraudml.weighting import ClassWeight, CostWeight, Weighting, thin

LIGHT = LightGBM(num_iterations=20, learning_rate=0.2)


def matrix(legitimate: int = 900, frauds: int = 100, seed: int = 0) -> DesignMatrix:
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat(np.array([0, 1], np.int8), [legitimate, frauds]))
    values = rng.normal(size=(len(label), 3)).astype(np.float32)
    values[:, 0] += label
    return DesignMatrix(
        values, ("a", "b", "c"), label=label, miss_cost=rng.gamma(0.3, 100, len(label))
    )


def weight_of(train: DesignMatrix) -> NDArray[np.float64]:
    return np.ones(len(train)) if train.weight is None else train.weight


def test_keeping_all_copies_nothing() -> None:
    train = matrix()
    assert thin(train, 1.0, np.random.default_rng(0)) is train


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_thinning_keeps_all_frauds_and_the_weight_of_each_class(share: float) -> None:
    train = matrix()
    thinned = thin(train, share, np.random.default_rng(1))
    assert thinned.frauds == train.frauds
    kept = len(thinned) - thinned.frauds
    assert abs(kept - 900 * share) < 5 * np.sqrt(900 * share * (1 - share))
    weight = weight_of(thinned)
    assert weight[thinned.y == 1].tolist() == [1.0] * 100
    assert weight[thinned.y == 0].sum() == pytest.approx(900)
    assert np.ptp(weight[thinned.y == 0]) == 0


def test_thinning_takes_rows_in_their_order_with_all_that_they_have() -> None:
    train = matrix()
    thinned = thin(train, 0.3, np.random.default_rng(1))
    place = {row.tobytes(): i for i, row in enumerate(train.values)}
    rows = np.array([place[row.tobytes()] for row in thinned.values])
    assert (np.diff(rows) > 0).all()
    assert thinned.y.tolist() == train.y[rows].tolist()
    assert thinned.miss_cost is not None
    assert train.miss_cost is not None
    assert thinned.miss_cost.tolist() == train.miss_cost[rows].tolist()


def test_thinning_multiplies_weights_that_are_there() -> None:
    train = replace(matrix(), weight=np.full(1000, 2.0))
    thinned = thin(train, 0.3, np.random.default_rng(1))
    assert weight_of(thinned)[thinned.y == 1].tolist() == [2.0] * 100
    assert weight_of(thinned)[thinned.y == 0].sum() == pytest.approx(1800)


def test_a_class_weight_multiplies_frauds_alone() -> None:
    train = matrix()
    weighted, beta = ClassWeight(8.0).weigh(train)
    assert beta == 1 / 8
    assert weight_of(weighted).tolist() == np.where(train.y == 1, 8.0, 1.0).tolist()
    assert train.weight is None


def test_a_class_weight_is_the_root_of_the_imbalance_where_none_is_named() -> None:
    weighted, beta = ClassWeight().weigh(matrix())
    assert weight_of(weighted).max() == pytest.approx(3)
    assert beta == pytest.approx(1 / 3)


def test_thinning_does_not_move_the_default_class_weight() -> None:
    thinned = thin(matrix(), 0.1, np.random.default_rng(0))
    assert ClassWeight().weigh(thinned)[1] == pytest.approx(1 / 3)


def test_class_weights_keep_the_weights_of_thinned_rows() -> None:
    thinned = thin(matrix(), 0.1, np.random.default_rng(0))
    weighted, _ = ClassWeight(2.0).weigh(thinned)
    weight = weight_of(weighted)
    assert weight[weighted.y == 0].sum() == pytest.approx(900)
    assert weight[weighted.y == 1].sum() == pytest.approx(200)


@pytest.mark.parametrize("stakes", ["gamma", "zeros", "one huge", "equal"])
def test_cost_weights_have_their_mean_and_stay_within_their_bounds(stakes: str) -> None:
    train = matrix()
    assert train.miss_cost is not None
    amount = train.miss_cost.copy()
    fraud = np.flatnonzero(train.y == 1)
    if stakes in {"zeros", "one huge"}:
        amount[fraud] = 0.0
    if stakes == "one huge":
        amount[fraud[0]] = 1e6
    if stakes == "equal":
        amount[:] = 50.0
    weighted, beta = CostWeight(ratio=3.0).weigh(replace(train, miss_cost=amount))
    weight = weight_of(weighted)
    assert beta is None
    assert (weight[weighted.y == 0] == 1).all()
    assert weight[fraud].mean() == pytest.approx(3.0)
    assert weight[fraud].min() >= 0.3 * (1 - 1e-6)
    assert weight[fraud].max() <= 30.0 * (1 + 1e-6)
    if stakes in {"zeros", "equal"}:
        assert np.ptp(weight[fraud]) == pytest.approx(0)


def test_cost_weights_rise_with_what_is_at_stake() -> None:
    train = matrix()
    weighted, _ = CostWeight().weigh(train)
    assert train.miss_cost is not None
    order = np.argsort(train.miss_cost[train.y == 1])
    rising = weight_of(weighted)[train.y == 1][order]
    assert (np.diff(rising) >= 0).all()
    assert rising[-1] > 5 * rising[0]


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("weighting", [ClassWeight, CostWeight])
def test_a_ratio_is_above_0_and_finite(weighting: type, ratio: float) -> None:
    with pytest.raises(ConfigError, match=r"weighting\.ratio"):
        weighting(ratio=ratio)


@pytest.mark.parametrize(
    ("min_weight", "max_weight"), [(0.0, 2.0), (1.1, 2.0), (0.5, 0.9), (-1.0, 1.0)]
)
def test_bounds_of_cost_weights_lie_around_1(min_weight: float, max_weight: float) -> None:
    with pytest.raises(ConfigError, match=r"weighting\.min_weight"):
        CostWeight(min_weight=min_weight, max_weight=max_weight)


UNDER = sampler_steps("imblearn.under_sampling.RandomUnderSampler", {"sampling_strategy": 0.5})
RECIPES = {
    "plain": (Recipe(LIGHT), 1.0),
    "thinned": (Recipe(LIGHT, keep_legit=0.5), 1.0),
    "weighted": (Recipe(LIGHT, weighting=ClassWeight(4.0)), 0.25),
    "sampled": (Recipe(LIGHT, UNDER), 200 / 900),
    "sampled and weighted": (Recipe(LIGHT, UNDER, ClassWeight(4.0)), 0.25 * 200 / 900),
    "thinned and weighted": (Recipe(LIGHT, weighting=ClassWeight(4.0), keep_legit=0.5), 0.25),
    "weighted by cost": (Recipe(LIGHT, weighting=CostWeight()), None),
    "sampled, weighted by cost": (Recipe(LIGHT, UNDER, CostWeight()), None),
}


@pytest.mark.parametrize("name", RECIPES)
def test_sampling_and_weights_multiply_into_one_prior(name: str) -> None:
    recipe, beta = RECIPES[name]
    fitted = recipe.fit(matrix(), FitContext())
    assert fitted.beta == (None if beta is None else pytest.approx(beta))
    assert fitted.offset == pytest.approx(0.0 if beta is None else np.log(beta))


@pytest.mark.parametrize(
    "name", ["plain", "thinned", "weighted", "sampled", "sampled and weighted"]
)
def test_prior_correction_brings_the_mean_back(name: str) -> None:
    fitted = RECIPES[name][0].fit(matrix(18_000, 2_000), FitContext())
    fresh = matrix(18_000, 2_000, seed=1)
    p = 1 / (1 + np.exp(-fitted.margin(fresh)))
    assert p.mean() / 0.1 == pytest.approx(1, abs=0.15)


def test_a_fit_leaves_its_rows_as_they_were() -> None:
    train = matrix()
    values, label = train.values.copy(), train.y.copy()
    Recipe(LIGHT, UNDER, ClassWeight(), 0.5).fit(train, FitContext())
    assert (train.values == values).all()
    assert (train.y == label).all()
    assert train.weight is None


def test_the_same_seed_gives_the_same_model_and_another_another() -> None:
    recipe, train = Recipe(LIGHT, keep_legit=0.5), matrix()
    one, same, other = (
        recipe.fit(train, FitContext(seed=seed)).margin(train) for seed in (0, 0, 1)
    )
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


def test_thinning_draws_the_same_rows_whatever_stands_beside_it() -> None:
    train = matrix()
    plain = Recipe(LIGHT, keep_legit=0.5).fit(train, FitContext(seed=3))
    weighted = Recipe(LIGHT, weighting=ClassWeight(), keep_legit=0.5).fit(train, FitContext(seed=3))
    assert (plain.rows, plain.frauds) == (weighted.rows, weighted.frauds)
    assert plain.frauds == 100


@pytest.mark.parametrize("weighting", [ClassWeight(), CostWeight(), None])
@pytest.mark.parametrize(("legitimate", "frauds"), [(50, 0), (0, 50)])
def test_one_class_alone_is_refused_whatever_the_weights(
    weighting: Weighting | None, legitimate: int, frauds: int
) -> None:
    with pytest.raises(DataError, match="needs both 0 and 1"):
        Recipe(LIGHT, weighting=weighting).fit(matrix(legitimate, frauds), FitContext())
