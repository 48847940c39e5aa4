"""The callback of a fit, and bins that fits of the same rows share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from builders import booster, design_matrix, each_learner
from fraudml.learners.protocol import FitContext
from fraudml.learners.watch import BinStore, EvalCallback
from fraudml.matrix import DesignMatrix

both = each_learner("lightgbm", "xgboost")


@pytest.fixture
def rows() -> DesignMatrix:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(2000, 5)).astype(np.float32)
    return design_matrix(values, values.sum(axis=1) + generator.normal(size=2000) > 2)


@both
def test_reported_margins_are_those_of_the_rounds(name: str, rows: DesignMatrix) -> None:
    reported: dict[int, Any] = {}
    callback = EvalCallback(rows, (0.25, 0.5, 0.75), reported.__setitem__)
    model = booster(name).fit(rows, FitContext(callback=callback), rounds=10)
    assert list(reported) == [2, 5, 8]
    for rounds, margin in reported.items():
        np.testing.assert_allclose(margin, model.margin(rows, rounds), atol=1e-5)


@both
def test_what_is_raised_ends_the_fit(name: str, rows: DesignMatrix) -> None:
    def report(rounds: int, margin: Any) -> None:
        raise KeyError(rounds, len(margin))

    with pytest.raises(KeyError, match=r"\(5, 2000\)"):
        booster(name).fit(rows, FitContext(callback=EvalCallback(rows, (0.5,), report)), rounds=10)


@both
def test_shared_bins_make_the_same_model(name: str, rows: DesignMatrix) -> None:
    store = BinStore(10**9)
    shared = FitContext(bins=store.of("rows"))
    booster(name, max_leaves=4, learning_rate=0.3).fit(rows, shared, rounds=5)
    for parameters in ({"max_leaves": 6}, {"max_leaves": 6, "max_bin": 15}, {"lambda": 3.0}):
        own = booster(name, **parameters)
        again = own.fit(rows, shared, rounds=5).margin(rows)
        assert np.array_equal(again, own.fit(rows, FitContext(), rounds=5).margin(rows))


def test_bins_are_made_once_for_each_way_and_the_oldest_go() -> None:
    store, count = BinStore(100), []

    def get(rows: str, how: str) -> Any:
        return store.of(rows).of(how, 40, lambda: count.append((rows, how)) or len(count))

    assert [get("a", "x"), get("a", "x"), get("a", "y"), get("a", "x")] == [1, 1, 2, 1]
    assert get("b", "x") == 3  # three are too many: a's y is the oldest
    assert [get("a", "x"), get("a", "y")] == [1, 4]
