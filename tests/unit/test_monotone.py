"""Directions of features: the setting, and the margins of every learner that takes it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import BOOSTERS, booster, design_matrix, each_learner
from fraudml.errors import ConfigError, DataError
from fraudml.learners.monotone import monotone_signs, read_monotone
from fraudml.learners.protocol import FitContext, FittedLearner
from fraudml.matrix import DesignMatrix

every_learner = each_learner(*BOOSTERS)


def learner(name: str, **more: Any) -> Any:
    if name == "bagged":
        return booster(name, 20, n_members=2, fraud_share=0.3, **more)
    return booster(name, 40, **more)


@cache
def rows() -> DesignMatrix:
    """Fraud goes up and down with the amount, whatever a direction says; shops are categories."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2000, 3)).astype(np.float32)
    values[:, 1] = rng.integers(2, 7, 2000)
    signal = np.sin(3 * values[:, 0]) + (values[:, 1] == 4) + 0.5 * values[:, 2]
    label = signal + rng.logistic(size=2000) * 0.3 > 1.2
    values[rng.random(2000) < 0.1, 0] = np.nan
    return design_matrix(values, label, names=("amount", "shop", "age"), categorical=(1,))


@cache
def fitted(name: str, sign: int) -> FittedLearner:
    monotone = {"amount": sign} if sign else {}
    model: FittedLearner = learner(name, monotone=monotone).fit(rows(), FitContext())
    return model


def steps(name: str, sign: int) -> Any:
    """How margins change as the amount of some rows rises from the lowest to the highest."""
    some = rows().values[:50]
    grid = np.linspace(-4, 4, 161, dtype=np.float32)
    values = np.repeat(some, len(grid), axis=0)
    values[:, 0] = np.tile(grid, len(some))
    matrix = DesignMatrix(values, rows().names, rows().categorical)
    return np.diff(fitted(name, sign).margin(matrix).reshape(len(some), len(grid)), axis=1)


@every_learner
def test_margins_follow_the_direction(name: str) -> None:
    assert (steps(name, 1) >= 0).all()
    assert (steps(name, -1) <= 0).all()
    assert (steps(name, 1) > 0).any()
    free = steps(name, 0)
    assert (free > 0.1).any()
    assert (free < -0.1).any()


@every_learner
def test_directions_survive_json(name: str) -> None:
    original = learner(name, monotone={"amount": 1, "age": -1})
    plain = json.loads(json.dumps(original.to_dict()))
    assert plain["monotone"] == {"amount": 1, "age": -1}
    again = type(original)(**plain)
    assert again == original
    assert hash(again) == hash(original)
    assert learner(name, monotone={"age": 0}) == learner(name)


@every_learner
def test_names_that_are_no_numeric_features_are_refused_at_the_fit(name: str) -> None:
    with pytest.raises(DataError) as caught:
        learner(name, monotone={"amont": 1, "shop": 1, "age": -1}).fit(rows(), FitContext())
    message = str(caught.value)
    assert message.startswith("2 problems in learner.monotone.")
    assert "learner.monotone.amont names no feature of the fit. Did you mean 'amount'?" in message
    assert "learner.monotone.shop is a direction for a categorical feature" in message


@every_learner
def test_wrong_directions_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"learner\.monotone\.amount is 2\. It is 1 \(never"):
        learner(name, monotone={"amount": 2})
    with pytest.raises(ConfigError, match=r"learner\.monotone\.amount is True"):
        learner(name, monotone={"amount": True})
    with pytest.raises(ConfigError, match=r"use monotone=\{feature: 1\} or -1"):
        learner(name, monotone_constraints=[1, 0, 0])


@given(st.dictionaries(st.sampled_from(["amount", "age"]), st.sampled_from([-1, 0, 1])))
def test_signs_stand_at_their_columns(directions: dict[str, int]) -> None:
    monotone, problems = read_monotone(directions)
    assert problems == []
    assert read_monotone(monotone) == (monotone, [])
    expected = [directions.get(name, 0) for name in rows().names]
    assert monotone_signs(monotone, rows()) == expected
