"""Losses against finite differences, and what they leave alone downstream."""

from __future__ import annotations

import numpy as np
import pytest

from fraudml.errors import ConfigError
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.losses import ExpectedCost, Focal, Loss, Margin
from fraudml.learners.protocol import FitContext
from fraudml.learners.sklearn import SklearnLearner
from fraudml.matrix import DesignMatrix
from fraudml.metrics import average_precision
from fraudml.recipe import Recipe
from fraudml.weighting import EffectiveNumber, ExampleCost

LOSSES: list[Loss] = [
    Focal(0.0),
    Focal(1.0),
    Focal(2.5, fraud_weight=3.0),
    Margin(0.5),
    Margin(3.0),
    ExpectedCost(),
]
NAMES = [repr(loss) for loss in LOSSES]


def matrix(rows: int = 3000, seed: int = 0) -> DesignMatrix:
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 4)).astype(np.float32)
    label = (values[:, 0] + random.normal(size=rows) > 2.2).astype(np.int8)
    return DesignMatrix(
        values,
        ("a", "b", "c", "d"),
        label=label,
        miss_cost=random.gamma(1.0, 60.0, rows),
        false_alert_cost=random.uniform(5.0, 15.0, rows),
    )


MARGINS = np.concatenate([np.linspace(-12, 12, 300), np.random.default_rng(1).normal(size=2700)])


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
def test_gradients_are_finite_differences_of_the_value(loss: Loss) -> None:
    rows = loss.rows(matrix())
    step = 1e-4
    gradient, _ = loss.gradients(MARGINS, rows)
    difference = (loss.value(MARGINS + step, rows) - loss.value(MARGINS - step, rows)) / (2 * step)
    np.testing.assert_allclose(gradient, difference, atol=2e-5, rtol=2e-3)


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
def test_hessians_are_finite_differences_where_they_are_not_floored(loss: Loss) -> None:
    rows = loss.rows(matrix())
    step = 1e-3
    _, hessian = loss.gradients(MARGINS, rows)
    values = [loss.value(MARGINS + shift, rows) for shift in (step, 0.0, -step)]
    difference = (values[0] - 2 * values[1] + values[2]) / step**2
    if isinstance(loss, ExpectedCost):
        difference = np.abs(difference)
        unsure = np.abs(np.tanh(MARGINS / 2)) < loss.min_hessian * 1.5
        difference[unsure] = hessian[unsure]
    kept = difference > 1e-4
    np.testing.assert_allclose(hessian[kept], difference[kept], atol=2e-4, rtol=5e-3)
    assert (hessian > 0).all()
    assert hessian.dtype == np.float32


def test_focal_without_focus_is_the_log_loss() -> None:
    rows = Focal(0.0).rows(matrix())
    gradient, hessian = Focal(0.0).gradients(MARGINS, rows)
    chance = 1 / (1 + np.exp(-MARGINS))
    np.testing.assert_allclose(gradient, chance - rows.fraud, atol=1e-6)
    np.testing.assert_allclose(hessian, np.maximum(chance * (1 - chance), 1e-6), atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
def test_derivatives_stay_finite_far_out(loss: Loss) -> None:
    rows = loss.rows(matrix())
    far = np.resize([-800.0, 800.0, -80.0, 80.0], 3000)
    for one in loss.gradients(far, rows):
        assert np.isfinite(one).all()


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
def test_a_model_of_a_loss_ranks_and_saves_like_any_other(loss: Loss, tmp_path: object) -> None:
    train, test = matrix(), matrix(seed=5)
    recipe = Recipe(LightGBM(num_iterations=60), loss=loss)
    fitted = recipe.fit(train, FitContext())
    margin = fitted.margin(test)
    assert average_precision(test.y, margin) > 3 * test.y.mean()
    assert fitted.beta is None
    assert fitted.offset == pytest.approx(loss.start(train))
    whole = fitted.learner.contributions(test).sum(axis=1) + fitted.offset
    np.testing.assert_allclose(whole, margin, atol=1e-6)


def test_with_the_log_loss_the_start_changes_little() -> None:
    train, test = matrix(), matrix(seed=5)
    own = Recipe(LightGBM(num_iterations=200), loss=Focal(0.0)).fit(train, FitContext())
    built_in = Recipe(LightGBM(num_iterations=200, boost_from_average=True)).fit(
        train, FitContext()
    )
    apart = own.margin(test) - built_in.margin(test)
    assert np.abs(apart).mean() < 0.1
    assert np.corrcoef(own.margin(test), built_in.margin(test))[0, 1] > 0.995


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
def test_weights_multiply_the_derivatives(loss: Loss) -> None:
    from fraudml.learners.boosting import gradient_step

    train = matrix()
    weight = np.random.default_rng(3).uniform(0.5, 2.0, 3000)
    plain = loss.gradients(MARGINS, loss.rows(train))
    for one, weighed in zip(
        plain, gradient_step(loss, train.with_weight(weight))(MARGINS, None), strict=True
    ):
        np.testing.assert_allclose(weighed, one * weight, rtol=1e-6)


def test_a_learner_without_losses_says_so() -> None:
    learner = SklearnLearner("sklearn.linear_model.LogisticRegression")
    with pytest.raises(ConfigError, match=r"loss is Focal\. LogisticRegression minimises"):
        Recipe(learner, loss=Focal()).fit(matrix(), FitContext())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Focal(-1.0),
        lambda: Focal(1.0, fraud_weight=0.0),
        lambda: Margin(0.0),
        lambda: ExpectedCost(1.0),
        lambda: EffectiveNumber(1.0),
        lambda: ExampleCost(min_weight=2.0),
    ],
)
def test_settings_out_of_range_are_refused(make: object) -> None:
    with pytest.raises(ConfigError):
        make()  # type: ignore[operator]


def test_example_costs_weigh_frauds_by_amount_and_other_rows_by_an_alert() -> None:
    train = matrix()
    weighed, beta = ExampleCost().weigh(train)
    assert beta is None
    assert weighed.weight is not None
    assert train.miss_cost is not None
    assert train.false_alert_cost is not None
    legit = np.flatnonzero(train.y == 0)
    alert = train.false_alert_cost[legit]
    np.testing.assert_allclose(weighed.weight[legit] / weighed.weight[legit[0]], alert / alert[0])
    fraud = np.flatnonzero(train.y == 1)
    order = np.argsort(train.miss_cost[fraud], kind="stable")
    assert (np.diff(weighed.weight[fraud][order]) >= 0).all()
    assert weighed.weight.mean() == pytest.approx(1.0)


def test_effective_numbers_lie_between_equal_weights_and_the_full_ratio() -> None:
    train = matrix()
    legit, frauds = len(train) - train.frauds, train.frauds
    for beta, low, high in ((0.0, 1.0, 1.0), (0.99, 1.0, legit / frauds)):
        _, share = EffectiveNumber(beta).weigh(train)
        assert share is not None
        assert low <= 1 / share <= high
