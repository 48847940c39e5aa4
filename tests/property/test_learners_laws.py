"""Laws of the learners' parts, over made-up columns, shares, settings and damages."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from numpy.typing import NDArray

from builders import booster, design_matrix, each_learner, read_files
from fraudml.errors import BundleError
from fraudml.learners import load_learner
from fraudml.learners.bagged import BaggedLightGBM
from fraudml.learners.estimator import Estimator, from_plain, to_plain
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.lightgbm_text import model_problem
from fraudml.learners.preprocessing import Preprocessing, fit_preprocessing
from fraudml.learners.protocol import FitContext
from fraudml.learners.sklearn import _log_odds
from fraudml.matrix import UNSEEN_CODE, DesignMatrix

SCALED = st.sampled_from(["impute_scale", "impute"])
NUMBERS = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))


@st.composite
def matrices(draw: st.DrawFn) -> DesignMatrix:
    """Two numeric columns and a category, at least one row."""
    size = draw(st.integers(1, 30))
    numbers = draw(nps.arrays(np.float32, (size, 2), elements=NUMBERS))
    codes = draw(nps.arrays(np.int64, (size, 1), elements=st.sampled_from([0, 2, 3, 4, 9])))
    values = np.ascontiguousarray(np.hstack([numbers, codes.astype(np.float32)]))
    return DesignMatrix(values, ("a", "b", "shop"), (2,))


@given(matrices(), SCALED, st.integers(1, 3))
def test_prepared_columns_are_complete(matrix: DesignMatrix, kind: Any, levels: int) -> None:
    preprocessing = fit_preprocessing(matrix, kind, levels)
    columns = preprocessing.transform(matrix.values)
    assert columns.shape == (len(matrix), len(preprocessing.sources))
    assert np.isfinite(columns).all()
    assert len(preprocessing.levels) <= levels
    assert all(code != UNSEEN_CODE for _, code in preprocessing.levels)


@given(matrices(), matrices(), SCALED)
def test_prepared_row_depends_on_the_row_alone(
    train: DesignMatrix, test: DesignMatrix, kind: Any
) -> None:
    preprocessing = fit_preprocessing(train, kind, 3)
    whole = preprocessing.transform(test.values)
    rows = [preprocessing.transform(test.values[i : i + 1]) for i in range(len(test))]
    np.testing.assert_array_equal(np.vstack(rows), whole)


@given(matrices(), matrices(), st.sampled_from(["impute_scale", "impute", "none"]))
def test_preprocessing_survives_json(train: DesignMatrix, test: DesignMatrix, kind: Any) -> None:
    preprocessing = fit_preprocessing(train, kind, 3)
    again = Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict())))
    assert again == preprocessing
    np.testing.assert_array_equal(
        again.transform(test.values), preprocessing.transform(test.values)
    )


@given(nps.arrays(np.int64, st.integers(1, 30), elements=st.integers(-1000, 1000)))
def test_scaled_columns_have_mean_zero_and_deviation_one(whole: NDArray[np.int64]) -> None:
    matrix = DesignMatrix(whole.astype(np.float32)[:, None], ("a",))
    (column,) = fit_preprocessing(matrix, "impute_scale", 3).transform(matrix.values).T
    assert column.mean() == pytest.approx(0.0, abs=1e-9)
    assert column.std() == pytest.approx(1.0 if whole.std() > 0 else 0.0)


def test_unseen_and_rare_categories_are_all_zeros() -> None:
    codes = np.array([2, 2, 2, 3, 3, 4, 0, 0], np.float32)[:, None]
    preprocessing = fit_preprocessing(DesignMatrix(codes, ("shop",), (0,)), "impute", 2)
    assert preprocessing.levels == ((0, 0), (0, 2)), "ties go to the lower code"
    probe = np.array([[0], [2], [3], [UNSEEN_CODE], [77]], np.float32)
    expected = [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    np.testing.assert_array_equal(preprocessing.transform(probe), expected)


def test_missing_values_become_medians_and_flags() -> None:
    values = np.array([[1.0, 5.0], [np.nan, 5.0], [9.0, 5.0], [3.0, 5.0]], np.float32)
    preprocessing = fit_preprocessing(DesignMatrix(values, ("a", "b")), "impute", 2)
    expected = [[1, 5, 0], [3, 5, 1], [9, 5, 0], [3, 5, 0]]
    np.testing.assert_array_equal(preprocessing.transform(values), expected)
    np.testing.assert_array_equal(preprocessing.sources, [0, 1, 0])


@given(nps.arrays(np.float64, st.integers(2, 50), elements=st.floats(0, 1), unique=True))
def test_log_odds_are_finite_and_keep_the_order(shares: NDArray[np.float64]) -> None:
    shares = np.sort(np.append(shares, [0.0, 1.0]))
    margin = _log_odds(shares)
    assert np.isfinite(margin).all()
    apart = np.diff(shares) > 1e-13
    assert (np.diff(margin)[apart] > 0).all()
    assert (np.diff(margin) >= 0).all()


@cache
def model_text() -> str:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 2)).astype(np.float32)
    train = design_matrix(values, values[:, 0] > 1)
    return booster("lightgbm", 3).fit(train, FitContext()).text


@given(st.data())
def test_model_text_with_a_piece_missing_is_seen(data: st.DataObject) -> None:
    text = model_text()
    end = text.index("end of trees")
    start = data.draw(st.integers(text.index("Tree=0"), end - 1))
    stop = data.draw(st.integers(start + 1, end))
    assert model_problem(text, 2) is None
    assert model_problem(text[:stop], 2) is not None
    assert model_problem(text[:start] + text[stop:], 2) is not None
    assert model_problem(text, 3) is not None


@settings(max_examples=30)
@given(
    st.integers(2, 64),
    st.floats(0.001, 1.0),
    st.booleans(),
    st.lists(st.integers(0, 5), min_size=1, max_size=3),
)
def test_lightgbm_settings_survive_json(
    leaves: int, rate: float, average: bool, constraint: list[int]
) -> None:
    learner = LightGBM(
        num_leaves=leaves,
        eta=rate,
        boost_from_average=average,
        interaction_constraints=[constraint],
    )
    again = LightGBM(**json.loads(json.dumps(learner.to_dict())))
    assert again == learner
    assert hash(again) == hash(learner)
    assert again.learning_rate == rate


@given(
    nps.arrays(np.int8, st.integers(2, 60), elements=st.sampled_from([0, 0, 0, 1])),
    st.integers(1, 6),
    st.floats(0.05, 0.95),
    st.sampled_from([None, 0.5, 3.0]),
)
def test_boosters_see_all_frauds_and_share_the_legitimate_rows(
    label: NDArray[np.int8], n_members: int, share: float, weight: float | None
) -> None:
    label[:2] = 0, 1
    numbers = np.arange(len(label), dtype=np.float32)
    frauds, legit = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    weights = None if weight is None else np.where(label == 1, 1.0, weight)
    train = DesignMatrix(numbers[:, None], ("row",), label=label, weight=weights)
    learner = BaggedLightGBM(n_members=n_members, fraud_share=share)
    parts = list(learner._parts(train, seed=0))
    rows = [part.values[:, 0].astype(np.int64) for part, _ in parts]
    drawn = [np.setdiff1d(one, frauds) for one in rows]
    wanted = len(frauds) * (1 - share) / share / (weight or 1.0)
    for one, chosen, (part, kept) in zip(rows, drawn, parts, strict=True):
        assert len(one) == len(frauds) + len(chosen) == len(np.unique(one))
        assert part.frauds == len(frauds)
        assert abs(len(chosen) - np.clip(wanted, 1, len(legit))) <= 0.5
        assert kept == pytest.approx(len(chosen) / len(legit))
        assert (np.diff(one) > 0).all()
    times = np.bincount(np.concatenate(drawn), minlength=len(label))[legit]
    assert times.max() - times.min() <= 1, "no row is seen twice before each is seen once"


extras = each_learner("xgboost", "catboost")


@cache
def made(name: str) -> Any:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 3)).astype(np.float32)
    values[:, 2] = rng.integers(0, 6, 300)
    label = values[:, 0] + values[:, 2] / 6 > 1
    train = design_matrix(values, label, names=("a", "b", "shop"), categorical=(2,))
    return booster(name, 5).fit(train, FitContext())


@extras
@given(matrices(), st.integers(1, 3))
def test_margin_of_a_row_depends_on_the_row_alone(
    name: str, matrix: DesignMatrix, rounds: int
) -> None:
    matrix = replace(matrix, names=("a", "b", "shop"))
    whole = made(name).margin(matrix, rounds)
    alone = [made(name).margin(matrix.take(np.array([i])), rounds) for i in range(len(matrix))]
    np.testing.assert_array_equal(np.concatenate(alone), whole)


@extras
@given(st.data())
def test_a_damaged_model_never_reaches_its_library(
    name: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("model")
    facts = made(name).save(folder)
    (file,) = folder.iterdir()
    content = file.read_bytes()
    start = data.draw(st.integers(0, len(content) - 1))
    stop = data.draw(st.integers(start + 1, len(content)))
    flipped = bytes([content[start] ^ data.draw(st.integers(1, 255))])
    for damaged in (content[:start], content[:start] + content[stop:]):
        file.write_bytes(damaged)
        with pytest.raises(BundleError, match="damaged"):
            load_learner(name, read_files(folder), facts)
    file.write_bytes(content[:start] + flipped + content[start + 1 :])
    with pytest.raises(BundleError, match="damaged"):
        load_learner(name, read_files(folder), facts)


@extras
@settings(max_examples=30)
@given(
    st.integers(1, 500),
    st.floats(0.001, 1.0),
    st.floats(0.0, 100.0),
    st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from([-1, 1])),
)
def test_settings_survive_json(
    name: str, rounds: int, rate: float, l2: float, monotone: dict[str, int]
) -> None:
    penalty = {"xgboost": "lambda", "catboost": "reg_lambda"}[name]
    learner = booster(name, rounds, **{"eta": rate, penalty: l2}, monotone=monotone)
    again = type(learner)(**json.loads(json.dumps(learner.to_dict())))
    assert again == learner
    assert hash(again) == hash(learner)
    assert (again.max_rounds, again.learning_rate) == (rounds, rate)
    assert again.to_dict()["monotone"] == monotone


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=2).map(
            lambda arguments: {"_target_": "sklearn.tree.Thing", **arguments}
        )
    ),
    max_leaves=6,
)


@given(NESTED)
def test_arguments_survive_freezing(value: Any) -> None:
    frozen = from_plain(value)
    hash(frozen)
    assert to_plain(frozen) == value
    assert from_plain(to_plain(frozen)) == frozen


def test_nested_estimators_are_built() -> None:
    inner = {"_target_": "sklearn.tree.DecisionTreeClassifier", "max_depth": 2}
    arguments = (("estimator", from_plain(inner)),)
    boosted = Estimator("sklearn.ensemble.AdaBoostClassifier", arguments).build()
    assert boosted.estimator.max_depth == 2
