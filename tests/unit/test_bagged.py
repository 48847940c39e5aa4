"""Averaged boosters: which rows each sees, what corrects its margins, what the deadline leaves."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from builders import Countdown, design_matrix, read_files
from fraudml.errors import BudgetError, BundleError, ConfigError, DataError
from fraudml.learners import load_learner
from fraudml.learners.bagged import BaggedLightGBM, FittedBagged
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.losses import Focal
from fraudml.learners.protocol import FitContext
from fraudml.matrix import DesignMatrix
from fraudml.seeds import child_seed
from fraudml.weighting import ClassWeight

LEARNER = BaggedLightGBM(n_members=3, fraud_share=0.2, num_iterations=20)


@cache
def rows(seed: int = 0, size: int = 4000) -> DesignMatrix:
    """About one row in forty a fraud."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(size, 3)).astype(np.float32)
    return design_matrix(values, values.sum(axis=1) + rng.logistic(size=size) * 0.4 > 3.6)


@cache
def fitted() -> FittedBagged:
    return LEARNER.fit(rows(), FitContext())


def cut_after(rounds: int) -> FittedBagged:
    return LEARNER.fit(rows(), FitContext(deadline=Countdown(rounds)))  # type: ignore[arg-type]


def test_margin_is_the_mean_of_the_corrected_margins() -> None:
    model = fitted()
    each = [one.margin(rows()) + o for one, o in zip(model.models, model.offsets, strict=True)]
    assert len(each) == 3
    np.testing.assert_allclose(model.margin(rows()), np.mean(each, axis=0), rtol=1e-12)
    assert not np.array_equal(each[0], each[1])


def test_offset_is_the_log_of_the_share_of_legitimate_rows() -> None:
    legit = len(rows()) - rows().frauds
    kept = round(rows().frauds * 0.8 / 0.2)
    assert fitted().offsets == pytest.approx([np.log(kept / legit)] * 3)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_mean_probability_is_near_the_base_rate(share: float) -> None:
    learner = BaggedLightGBM(n_members=3, fraud_share=share, num_iterations=150)
    model, test = learner.fit(rows(), FitContext()), rows(seed=1)
    assert 0.75 < expit(model.margin(test)).mean() / test.y.mean() < 1.33
    assert expit(model.models[0].margin(test)).mean() / test.y.mean() > 1.33, "uncorrected"


def test_one_booster_of_all_rows_is_lightgbm(caplog: pytest.LogCaptureFixture) -> None:
    bagged = BaggedLightGBM(n_members=1, fraud_share=0.02, num_iterations=20)
    with caplog.at_level(logging.WARNING):
        model = bagged.fit(rows(), FitContext(seed=5))
    assert "frauds are no rarer" in caplog.text
    alone = LightGBM(num_iterations=20).fit(rows(), FitContext(seed=child_seed(5, "booster 0")))
    np.testing.assert_array_equal(model.margin(rows()), alone.margin(rows()))


def test_more_boosters_leave_the_first_as_they_are() -> None:
    more = replace(LEARNER, n_members=5).fit(rows(), FitContext())
    assert [model.text for model in more.models[:3]] == [m.text for m in fitted().models]
    assert len({model.text for model in more.models}) == 5


def test_first_rounds_are_a_model() -> None:
    five = LEARNER.fit(rows(), FitContext(), rounds=5)
    assert (five.rounds, fitted().rounds) == (5, 20)
    staged = [fitted().margin(rows(), rounds) for rounds in (5, 20, 99)]
    np.testing.assert_array_equal(staged[0], five.margin(rows()))
    np.testing.assert_array_equal(staged[1], fitted().margin(rows()))
    np.testing.assert_array_equal(staged[2], staged[1])


def test_weights_count_in_share_and_offset() -> None:
    """Frauds of weight 4 need four times the legitimate rows; the weight has its own correction."""
    weighted, beta = ClassWeight(ratio=4.0).weigh(rows())
    assert beta == 0.25
    model = LEARNER.fit(weighted, FitContext())
    assert np.exp(model.offsets[0]) == pytest.approx(4 * np.exp(fitted().offsets[0]), rel=0.01)


def test_rows_of_weight_zero_are_not_drawn() -> None:
    odd = np.arange(len(rows())) % 2 == 1
    half = rows().with_weight(np.where(odd, 0.0, 1.0))
    few = BaggedLightGBM(n_members=2, fraud_share=0.5, num_iterations=5)
    parts = [part for part, _ in few._parts(half, seed=0)]
    assert all((part.weight == 1).all() for part in parts)
    assert all(part.frauds == half.frauds - (half.y[odd] == 1).sum() for part in parts)


@pytest.mark.parametrize(("label", "name"), [(1, "frauds"), (0, "legitimate rows")])
def test_class_without_weight_is_refused(label: int, name: str) -> None:
    weightless = rows().with_weight(np.where(rows().y == label, 0.0, 1.0))
    with pytest.raises(DataError, match=f"All {name} of the fit have the weight 0"):
        LEARNER.fit(weightless, FitContext())


def test_loss_of_its_own_is_corrected_for_where_it_started() -> None:
    loss = Focal()
    model = LEARNER.fit(rows(), FitContext(loss=loss))
    (part, _), *_ = LEARNER._parts(rows(), seed=0)
    assert model.offsets == pytest.approx([loss.start(part) - loss.start(rows())] * 3)


def test_deadline_keeps_whole_boosters(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BudgetError, match="after 1 of 20 rounds"):
        cut_after(1)
    with caplog.at_level(logging.WARNING):
        short = cut_after(2)
    assert (len(short.models), short.rounds) == (1, 2)
    assert "2 of 20 rounds" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        two = cut_after(2 * 20 + 19)
    assert [model.text for model in two.models] == [m.text for m in fitted().models[:2]]
    assert two.offsets == fitted().offsets[:2]
    assert [record.message for record in caplog.records] == [
        "Time budget exhausted: the model has 2 of 3 members. Raise budget.seconds for all of them."
    ]


def test_parameters_are_those_of_lightgbm() -> None:
    learner = BaggedLightGBM(n_members=2, colsample_bytree=0.3, max_depth=4, n_estimators=50)
    assert learner.member == LightGBM(feature_fraction=0.3, max_depth=4, num_iterations=50)
    assert learner.max_rounds == 50
    assert learner.to_dict()["n_members"] == 2
    changed = replace(learner, fraud_share=0.1, num_leaves=4)
    assert changed.member == replace(learner.member, num_leaves=4)
    assert (changed.n_members, changed.fraud_share) == (2, 0.1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n_members": 0}, r"learner\.n_members is 0\. It is a whole number from 1"),
        ({"n_members": True}, r"learner\.n_members is True"),
        ({"n_members": 2.5}, r"learner\.n_members is 2\.5"),
        ({"fraud_share": 0}, r"learner\.fraud_share is 0\. It is a number above 0 and below 1"),
        ({"fraud_share": 1.0}, r"learner\.fraud_share is 1\.0"),
        ({"fraud_share": "half"}, r"learner\.fraud_share is 'half'"),
        ({"num_leafs": 3}, "no parameter of LightGBM"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BaggedLightGBM(**wrong)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        BaggedLightGBM(n_members=0, fraud_share=2, num_leaves=1)
    for part in ("3 problems", "n_members is 0", "fraud_share is 2", "num_leaves is 1"):
        assert part in str(caught.value)


def test_each_booster_has_its_file(tmp_path: Path) -> None:
    facts = fitted().save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("model_0.txt", "model_1.txt", "model_2.txt")
    ]
    assert facts == {"names": ["a", "b", "c"], "offsets": list(fitted().offsets)}


@pytest.mark.parametrize("offsets", [[], ["x"], None, [float("nan")], [0.0] * 4, 3])
def test_wrong_offsets_are_refused(offsets: Any, tmp_path: Path) -> None:
    facts = fitted().save(tmp_path)
    with pytest.raises(BundleError):
        load_learner("bagged", read_files(tmp_path), facts | {"offsets": offsets})
