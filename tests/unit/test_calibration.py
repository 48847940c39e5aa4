"""Calibrators on scores whose truth is known, and the choice between them."""

from __future__ import annotations

from dataclasses import is_dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from fraudml.decisions import calibration as calibrators
from fraudml.decisions.calibration import (
    ENOUGH_FOR_STEPS,
    FEW_FRAUDS,
    Auto,
    Beta,
    Calibration,
    FittedCalibrator,
    Isotonic,
    Prior,
    Sigmoid,
    VennAbers,
    prior_offset,
)
from fraudml.decisions.venn_abers import choose, pairs
from fraudml.errors import DataError

FITTED: tuple[Calibration, ...] = tuple(
    made()
    for made in vars(calibrators).values()
    if is_dataclass(made) and hasattr(made, "fit") and made is not Prior
)
"""Every calibrator that learns; a new one is tested on arrival."""
every_fitted = pytest.mark.parametrize("calibration", FITTED, ids=lambda one: type(one).__name__)

Rows = tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.int64]]


def rows(log_odds: NDArray[np.float64], margin: NDArray[np.float64], seed: int = 0) -> Rows:
    drawn = np.random.default_rng(seed).random(len(margin))
    return margin, (drawn < expit(log_odds)).astype(np.int8), np.arange(len(margin)) % 4


def margins(size: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng([seed, 1]).normal(0, 2, size)


@pytest.mark.parametrize("beta", [0.01, 0.1, 0.5, 1.0, 4.0])
def test_prior_correction_is_that_of_dal_pozzolo(beta: float) -> None:
    p_s = np.array([0.001, 0.2, 0.5, 0.9, 0.999])
    expected = beta * p_s / (beta * p_s - p_s + 1)
    assert expit(logit(p_s) + prior_offset(beta)) == pytest.approx(expected, rel=1e-12)


def test_prior_correction_brings_back_the_odds_of_untouched_rows() -> None:
    # 1,000 legitimate rows and 10 frauds; one in ten legitimate rows is kept.
    assert expit(logit(10 / 110) + prior_offset(0.1)) == pytest.approx(10 / 1010)


def test_there_is_no_prior_correction_where_more_than_the_prior_changed() -> None:
    assert prior_offset(None) == 0.0


def test_the_prior_alone_takes_the_margin_as_the_log_odds() -> None:
    margin, y_true, step = rows(margins(100), margins(100))
    fitted = Prior().fit(margin, y_true, step)
    assert fitted.probability(margin) == pytest.approx(expit(margin))


def test_the_sigmoid_finds_the_line() -> None:
    margin = margins(200_000)
    slope, intercept = Sigmoid().fit(*rows(0.5 * margin - 4, margin)).parameters
    assert slope == pytest.approx(0.5, abs=0.03)
    assert intercept == pytest.approx(-4, abs=0.06)


def test_beta_finds_its_own_bend() -> None:
    margin = margins(200_000)
    s = expit(margin)
    found = Beta().fit(*rows(1.5 * np.log(s) - 0.2 * np.log(1 - s) - 2, margin)).parameters
    assert found == pytest.approx((1.5, 0.2, -2), abs=0.12)


def test_isotonic_finds_a_step() -> None:
    margin = margins(100_000)
    fitted = Isotonic().fit(*rows(np.where(margin > 1, -1.0, -5.0), margin))
    p = fitted.probability(np.array([-3.0, 0.0, 2.0, 4.0]))
    assert p == pytest.approx(expit([-5, -5, -1, -1]), rel=0.25)


def fitted_twice(margin: NDArray[np.float64], y_true: NDArray[np.int8]) -> NDArray[np.float64]:
    """The definition: for each score, isotonic regression with it added, as either label."""
    return np.array(
        [
            [
                IsotonicRegression().fit(np.r_[margin, s], np.r_[y_true, label]).predict([s])[0]
                for s in np.unique(margin)
            ]
            for label in (0, 1)
        ]
    )


@pytest.mark.parametrize("levels", [1, 3, 20, 1000])
@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_venn_abers_pairs_are_two_fits_a_score(levels: int, rate: float) -> None:
    for seed in range(8):
        random = np.random.default_rng([seed, levels])
        margin = random.integers(0, levels, 60) / 7
        y_true = (random.random(60) < rate * (1 + margin) / (1 + margin.max())).astype(np.int8)
        _, place, count = np.unique(margin, return_inverse=True, return_counts=True)
        rows, frauds = count.astype(float), np.bincount(place, y_true)
        for chosen in (np.arange(len(rows)), choose(rows, frauds, most=8)):
            expected = fitted_twice(margin, y_true)[:, chosen]
            assert np.array(pairs(rows, frauds, chosen)) == pytest.approx(expected, abs=1e-14)


def test_venn_abers_is_the_merged_pair_but_for_one_shift_and_a_slope() -> None:
    margin = np.sort(margins(400))
    _, y_true, step = rows(margin - 1, margin)
    low, high = fitted_twice(margin, y_true)
    fitted = VennAbers().fit(margin, y_true, step)
    apart = fitted.log_odds(margin) - logit(high / (1 - low + high))
    assert np.ptp(apart) <= calibrators.MIN_SLOPE * np.ptp(margin) + 1e-9
    assert abs(apart.mean()) < 0.05


def test_venn_abers_looks_at_the_top_scores_and_at_frauds_where_scores_are_many() -> None:
    margin = np.arange(50_000.0)
    y_true = (np.random.default_rng(0).random(50_000) < (margin / 50_000) ** 8).astype(np.int8)
    fitted = VennAbers().fit(margin, y_true, np.arange(50_000) % 4)
    knots = np.array(fitted.parameters[: len(fitted.parameters) // 2])
    assert len(knots) <= 1010
    assert set(margin[-30:]) <= set(knots)
    assert np.diff(np.searchsorted(margin[y_true == 1], knots)).max() < 0.02 * y_true.sum()


@every_fitted
def test_the_mean_probability_holds_on_rows_that_were_not_fitted(calibration: Calibration) -> None:
    margin = margins(60_000)
    fitted = calibration.fit(*rows(1.5 * margin - 6, margin))
    fresh, y_true, _ = rows(1.5 * margins(60_000, 1) - 6, margins(60_000, 1), seed=1)
    assert fitted.probability(fresh).mean() / y_true.mean() == pytest.approx(1, abs=0.08)


@every_fitted
def test_a_model_that_ranks_backwards_keeps_its_order_and_nearly_the_base_rate(
    calibration: Calibration,
) -> None:
    margin = margins(50_000)
    _, y_true, step = rows(-0.5 * margin - 4, margin)
    p = calibration.fit(margin, y_true, step).probability(margin)
    assert (np.diff(p[np.argsort(margin)]) > 0).all()
    assert p.mean() == pytest.approx(y_true.mean(), rel=1e-6)
    # Venn–Abers holds a fraud beside the highest scores possible, whatever their labels.
    unsure = 50 if isinstance(calibration, VennAbers) else 1
    assert np.sort(p)[-unsure] < 2 * y_true.mean()


@every_fitted
def test_separable_scores_do_not_run_to_infinity(calibration: Calibration) -> None:
    margin = np.r_[np.linspace(-3, -1, 900), np.linspace(1, 3, 100)]
    y_true = (margin > 0).astype(np.int8)
    fitted = calibration.fit(margin, y_true, np.arange(1000) % 4)
    assert np.abs(fitted.log_odds(margin)).max() < 25


@every_fitted
@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_refused(calibration: Calibration, label: int) -> None:
    y_true = np.full(500, label, np.int8)
    with pytest.raises(DataError, match="one class alone"):
        calibration.fit(margins(500), y_true, np.arange(500) % 4)


@every_fitted
def test_one_score_gives_the_base_rate(calibration: Calibration) -> None:
    y_true = np.r_[np.ones(5, np.int8), np.zeros(95, np.int8)]
    fitted = calibration.fit(np.full(100, 2.5), y_true, np.arange(100) % 4)
    assert fitted.probability(np.array([2.5])) == pytest.approx([0.05], rel=1e-6)


def test_few_frauds_take_the_sigmoid_whatever_the_shape() -> None:
    margin = margins(4000)
    made = rows(np.where(margin > 1, -2.0, -7.0), margin)
    keep = np.cumsum(made[1]) < FEW_FRAUDS
    assert 10 < made[1][keep].sum() < made[1].sum()
    assert Auto().fit(*(column[keep] for column in made)).kind == "sigmoid"


def test_a_line_keeps_the_sigmoid() -> None:
    margin = margins(60_000)
    made = rows(margin - 4, margin)
    assert made[1].sum() > ENOUGH_FOR_STEPS
    assert Auto().fit(*made).kind == "sigmoid"


def test_noise_does_not_take_the_sigmoid_away() -> None:
    kinds = []
    for seed in range(20):
        margin = margins(6000, seed)
        kinds.append(Auto().fit(*rows(margin - 4, margin, seed)).kind)
    assert kinds.count("sigmoid") >= 16


def test_a_bend_takes_beta_or_steps() -> None:
    margin = margins(60_000)
    made = rows(np.where(margin > 0, -2.0, -6.0), margin)
    assert made[1].sum() > ENOUGH_FOR_STEPS
    assert Auto().fit(*made).kind == "isotonic"
    some = slice(0, 10_000)
    assert FEW_FRAUDS < made[1][some].sum() < ENOUGH_FOR_STEPS
    assert Auto().fit(*(column[some] for column in made)).kind == "beta"


def test_a_step_that_holds_all_frauds_leaves_the_sigmoid() -> None:
    margin = margins(20_000)
    _, y_true, _ = rows(np.where(margin > 0, -1.0, -6.0), margin)
    assert y_true.sum() > FEW_FRAUDS
    assert Auto().fit(margin, y_true, y_true.astype(np.int64)).kind == "sigmoid"


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="spline"):
        FittedCalibrator.from_dict({"kind": "spline", "parameters": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("sigmoid", [1.0]),
        ("beta", [1.0, 2.0]),
        ("isotonic", [1.0, 2.0]),
        ("venn_abers", [1.0] * 5),
        ("identity", [1.0]),
    ],
)
def test_a_wrong_number_of_parameters_is_refused(kind: str, parameters: list[float]) -> None:
    with pytest.raises(ValueError, match="parameters"):
        FittedCalibrator.from_dict({"kind": kind, "parameters": parameters})
