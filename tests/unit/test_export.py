"""Exports: graph and C code give what the bundle gives, for every learner and calibrator."""

from __future__ import annotations

import importlib
import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from builders import CALIBRATORS, make_bundle
from fraudml.bundle import DecisionBundle
from fraudml.bundle.decision import Decisions
from fraudml.data.check import check_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.decisions.costs import Card
from fraudml.decisions.policies import TunedPolicy
from fraudml.errors import ConfigError, MachineError, RefusedError
from fraudml.export import sources
from fraudml.export.check import compare
from fraudml.export.forest import join, single_leaf
from fraudml.export.graph import onnx_graph
from fraudml.export.learners import forests_of
from fraudml.export.lightgbm import read_forest
from fraudml.export.session import Session, SessionLearner
from fraudml.export.settings import ExportSettings, as_engine, as_format
from fraudml.export.sources import compile_library, library_scores, write_sources
from fraudml.features.plan import fit_features
from fraudml.features.settings import FeatureSettings
from fraudml.learners.bagged import BaggedLightGBM
from fraudml.learners.catboost import CatBoost
from fraudml.learners.lightgbm import FittedLightGBM, LightGBM
from fraudml.learners.protocol import FitContext, Learner
from fraudml.learners.sklearn import SklearnLearner
from fraudml.learners.xgboost import XGBoost
from fraudml.matrix import DesignMatrix

LOGISTIC = "sklearn.linear_model.LogisticRegression"
LEARNERS: dict[str, Callable[[], Learner]] = {
    "lightgbm": lambda: LightGBM(num_iterations=15, learning_rate=0.3, num_leaves=12),
    "zero_as_missing": lambda: LightGBM(num_iterations=15, zero_as_missing=True),
    "no_missing": lambda: LightGBM(num_iterations=15, use_missing=False),
    "one_category_a_split": lambda: LightGBM(num_iterations=15, max_cat_to_onehot=99),
    "bagged": lambda: BaggedLightGBM(n_members=3, num_iterations=6, fraud_share=0.4),
    "xgboost": lambda: XGBoost(n_estimators=15, learning_rate=0.3),
    "xgboost_levels": lambda: XGBoost(
        n_estimators=9, grow_policy="depthwise", max_depth=4, base_score=0.2, max_cat_to_onehot=99
    ),
    "logistic": lambda: SklearnLearner(LOGISTIC),
    "logistic_unscaled": lambda: SklearnLearner(LOGISTIC, preprocess="impute"),
}
NUMBERS_ALONE: dict[str, Callable[[], Learner]] = {
    "catboost": lambda: CatBoost(iterations=15),
    "catboost_largest": lambda: CatBoost(iterations=15, nan_mode="Max"),
    "catboost_leaves": lambda: CatBoost(iterations=15, grow_policy="Lossguide"),
}
EXACT = set(LEARNERS | NUMBERS_ALONE) - {
    *("xgboost", "xgboost_levels"),  # XGBoost adds float32
    *("logistic", "logistic_unscaled"),  # columns are added in another order
}
TREES = [name for name in LEARNERS | NUMBERS_ALONE if not name.startswith("logistic")]

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler; install gcc"
)


def table(size: int = 900, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    label = (rng.random(size) < 0.2).astype(np.int8)
    shops = [f"shop {number}" for number in range(40 + 5 * seed)]
    dice = rng.integers(0, len(shops) // 2, size) * (1 + (rng.random(size) < 0.3 + 0.6 * label))
    return pl.DataFrame(
        {
            "amount": np.round(rng.gamma(1.0, 60, size) * (1 + label), 2),
            "shop": pl.Series([shops[k] for k in dice]).scatter(range(0, size, 11), None),
            "visits": np.maximum(rng.integers(-6, 9, size) + 2 * label, 0),
            "age": pl.Series(rng.normal(40, 9, size) - 6 * label).scatter(
                range(0, size, 9 - 4 * seed), None
            ),
            "label": label,
        }
    )


def checked(frame: pl.DataFrame) -> Dataset:
    return check_table(frame, DataSettings(columns=ColumnRoles(amount="amount")))


def bundle_of(
    name: str, calibrator: str = "sigmoid", offset: float = -0.35, threshold: float | None = None
) -> DecisionBundle:
    plain = name in NUMBERS_ALONE
    data = checked(table().drop("shop") if plain else table())
    fitted = fit_features(data, np.arange(len(data)), FeatureSettings(), never=frozenset())
    learner = (NUMBERS_ALONE if plain else LEARNERS)[name]()
    policy = TunedPolicy("minimum_cost" if threshold is None else "fixed", threshold)
    parts = {"offset": offset, "calibrator": CALIBRATORS[calibrator], "policy": policy}
    return make_bundle(data, fitted, learner, costs=Card(4.0), **parts)


def new_rows(bundle: DecisionBundle) -> tuple[DesignMatrix, Decisions]:
    """Rows of another draw, with shops and gaps that the fit did not have."""
    frame = table(700, seed=1)
    data = checked(frame if "shop" in bundle.features.columns else frame.drop("shop"))
    X = bundle.features.matrix(data)
    X.values[:40, list(X.names).index("visits")] = np.nan
    return X, bundle.decide(data, X)


@pytest.fixture(scope="module")
def bundles() -> dict[str, DecisionBundle]:
    return {name: bundle_of(name) for name in LEARNERS | NUMBERS_ALONE}


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("name", [*LEARNERS, *NUMBERS_ALONE])
def test_a_graph_says_what_the_bundle_says(
    name: str, calibrator: str, bundles: dict[str, DecisionBundle]
) -> None:
    bundle = replace(bundles[name], calibrator=CALIBRATORS[calibrator])
    X, decided = new_rows(bundle)
    margin, p = Session(onnx_graph(bundle)).run(X.values)
    found = compare(decided, margin, p, 1e-6)
    found.refuse(name, "")
    assert found.alerts > 0
    assert np.unique(margin).size > 50
    if name in EXACT:
        np.testing.assert_array_equal(margin, decided.margin)
        assert found.largest_difference < 1e-15


@needs_compiler
@pytest.mark.parametrize("name", TREES)
def test_c_says_what_the_bundle_says(
    name: str, bundles: dict[str, DecisionBundle], tmp_path: Path
) -> None:
    bundle = bundles[name]
    write_sources(bundle, tmp_path)
    X, decided = new_rows(bundle)
    margin, p = library_scores(compile_library(tmp_path), X.values)
    compare(decided, margin, p, 1e-6).refuse(name, "")
    if name in EXACT - {"bagged"}:  # a mean is added up within the leaves
        np.testing.assert_array_equal(margin, decided.margin)


@needs_compiler
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_c_calibrates(calibrator: str, bundles: dict[str, DecisionBundle], tmp_path: Path) -> None:
    bundle = replace(bundles["lightgbm"], calibrator=CALIBRATORS[calibrator])
    write_sources(bundle, tmp_path)
    X, decided = new_rows(bundle)
    _, p = library_scores(compile_library(tmp_path), X.values)
    np.testing.assert_allclose(p, decided.p, rtol=1e-13)


@pytest.mark.parametrize("name", ["lightgbm", "zero_as_missing", "xgboost", "catboost"])
def test_rows_on_a_threshold_and_beside_it_fall_on_the_same_side(
    name: str, bundles: dict[str, DecisionBundle]
) -> None:
    """A threshold rounded to float32 would send some of them the other way."""
    bundle = bundles[name]
    bag = forests_of(bundle.learner)
    assert bag is not None
    forest = bag.forests[0]
    asked = np.flatnonzero(~forest.is_set)
    near = forest.threshold[asked].astype(np.float32)
    X, _ = new_rows(bundle)
    rows = np.repeat(X.values[:1], 5 * len(asked), axis=0)
    steps = (np.nextafter(near, np.float32(side)) for side in (-np.inf, np.inf))
    beside = np.concatenate([near, *steps, np.zeros_like(near), np.full_like(near, np.nan)])
    rows[np.arange(len(rows)), np.tile(forest.feature[asked], 5)] = beside
    native = bundle.learner.margin(replace(X, values=rows)) + bundle.offset
    margin, _ = Session(onnx_graph(bundle)).run(rows)
    np.testing.assert_allclose(margin, native, rtol=0, atol=0 if name in EXACT else 2e-6)
    assert np.unique(native).size > 5


@pytest.mark.parametrize("calibrator", ["venn_abers", "isotonic"])
def test_lines_hold_at_knots_between_them_and_beyond(calibrator: str) -> None:
    """Of a model that says 0 of every row, the offset is the margin."""
    bundle = bundle_of("logistic", calibrator)
    knots = np.split(np.array(bundle.calibrator.parameters), 2)[0]
    beside = np.concatenate([np.nextafter(knots, -np.inf), np.nextafter(knots, np.inf)])
    X, _ = new_rows(bundle)
    still = replace(bundle, learner=replace_linear(bundle.learner))
    for margin in (*knots, *beside, -9.0, 9.0, 0.1):
        _, p = Session(onnx_graph(replace(still, offset=float(margin)))).run(X.values[:1])
        expected = bundle.calibrator.probability(np.array([margin]))
        np.testing.assert_allclose(p, expected, rtol=0, atol=1e-15)


def replace_linear(learner: Any) -> Any:
    """A linear model whose margin is 0 everywhere."""
    still = object.__new__(type(learner))
    still.__dict__.update(learner.__dict__)
    still.coefficients = np.zeros_like(learner.coefficients)
    still.intercept = 0.0
    return still


def test_the_same_row_gives_the_same_bits_alone_among_others_and_on_two_threads(
    bundles: dict[str, DecisionBundle],
) -> None:
    bundle = bundles["lightgbm"]
    X, decided = new_rows(bundle)
    session = Session(onnx_graph(replace(bundle, offset=0.0)))
    many = SessionLearner(bundle.learner, X.names, session, threads=2)
    expected = decided.margin - bundle.offset
    alone = np.concatenate([many.margin(replace(X, values=X.values[k : k + 1])) for k in range(60)])
    np.testing.assert_array_equal(alone + bundle.offset, decided.margin[:60])
    np.testing.assert_allclose(many.margin(X), expected, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(many.margin(X) + bundle.offset, decided.margin)
    assert len(many.margin(replace(X, values=X.values[:0]))) == 0


def test_a_graph_is_the_same_bytes_and_says_what_its_columns_are(
    bundles: dict[str, DecisionBundle],
) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    bundle = bundles["lightgbm"]
    content = onnx_graph(bundle, "sha256:abc")
    assert content == onnx_graph(bundle, "sha256:abc")
    told = {one.key: json.loads(one.value) for one in onnx.load_from_string(content).metadata_props}
    assert told["features"] == list(bundle.features.names)
    assert told["bundle"] == "sha256:abc"
    assert told["calibrator"] == bundle.calibrator.to_dict()
    (shop,) = [one for one in told["columns"] if one["name"] == "shop"]
    assert (shop["missing"], shop["unseen"], min(shop["levels"].values())) == (0, 1, 2)


def test_trees_of_one_leaf_and_joined_trees_are_read() -> None:
    text = "tree\nversion=v4\n\nTree=0\nnum_leaves=1\nleaf_value=0.25\n\n\nend of trees\n"
    forest = read_forest(text)
    assert forest.values.tolist() == [0.25]
    both = join([forest, single_leaf(-2.0)], base=1.0)
    assert both.true.tolist() == both.false.tolist() == [~0, ~1]
    assert both.roots.tolist() == [0, 1]
    assert both.base == 1.0


def test_a_model_without_a_split_has_a_graph_and_c(tmp_path: Path) -> None:
    bundle = bundle_of("lightgbm")
    data = checked(table())
    train = replace(bundle.features.matrix(data), label=data.label)
    few = LightGBM(num_iterations=2, min_data_in_leaf=10**6, boost_from_average=True)
    bundle = replace(bundle, learner=few.fit(train, FitContext()))
    X, decided = new_rows(bundle)
    margin, p = Session(onnx_graph(bundle)).run(X.values)
    np.testing.assert_array_equal(margin, decided.margin)
    np.testing.assert_allclose(p, decided.p, rtol=1e-14)
    assert len(np.unique(margin)) == 1
    write_sources(bundle, tmp_path)
    if any(map(shutil.which, ("cc", "gcc", "clang"))):
        margin, _ = library_scores(compile_library(tmp_path), X.values)
        np.testing.assert_array_equal(margin, decided.margin)


def test_learners_without_a_graph_are_refused_by_name() -> None:
    bundle = bundle_of("logistic")
    data = checked(table())
    train = replace(bundle.features.matrix(data), label=data.label)
    forest = SklearnLearner("sklearn.ensemble.RandomForestClassifier", n_estimators=3)
    bundle = replace(bundle, learner=forest.fit(train, FitContext()))
    with pytest.raises(ConfigError, match="kind 'sklearn', which has no ONNX graph"):
        onnx_graph(bundle)
    with pytest.raises(ConfigError, match="format=c is for boosted trees"):
        sources.merged(bundle_of("logistic"))


def test_catboost_that_looks_at_categories_is_refused() -> None:
    bundle = bundle_of("lightgbm")
    data = checked(table())
    train = replace(bundle.features.matrix(data), label=data.label)
    learner = CatBoost(iterations=20).fit(train, FitContext())
    with pytest.raises(ConfigError, match="encodes categories"):
        onnx_graph(replace(bundle, learner=learner))


def decisions(p: list[float], threshold: float) -> Decisions:
    values = np.array(p)
    return Decisions(values, values, np.full(len(p), threshold), values >= threshold)


@pytest.mark.parametrize(
    ("export", "threshold", "holds", "flipped"),
    [
        ([0.1, 0.5], 0.3, True, 0),
        ([0.1, 0.500009], 0.3, True, 0),
        ([0.1, 0.50002], 0.3, False, 0),
        ([0.1, 0.5 - 1e-16], 0.5, False, 1),
        ([0.1, 0.5 - 1e-6], 0.5, False, 1),
        ([0.1, float("nan")], 0.6, False, 0),
    ],
)
def test_an_export_is_refused_where_it_differs_or_flips_an_alert(
    export: list[float], threshold: float, holds: bool, flipped: int
) -> None:
    p = np.array(export)
    found = compare(decisions([0.1, 0.5], threshold), p, p, 1e-5)
    assert found.holds is holds
    assert found.flipped_alerts == flipped
    assert json.dumps(found.to_dict(), allow_nan=False)
    if not holds:
        with pytest.raises(RefusedError, match="is not the bundle's model: on 2 rows"):
            found.refuse("format=onnx", "Take another.")


@pytest.mark.parametrize(
    ("library", "extra"),
    [("onnx", "onnx"), ("onnxruntime", "onnx"), ("tl2cgen", "c"), ("treelite", "c")],
)
def test_a_missing_extra_is_named(
    library: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = bundle_of("lightgbm")
    graph = onnx_graph(bundle)
    found = importlib.import_module

    def absent(name: str) -> Any:
        if name == library:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return found(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    needs: Callable[[], object] = {
        "onnx": lambda: onnx_graph(bundle),
        "onnxruntime": lambda: Session(graph),
    }.get(library, lambda: write_sources(bundle, tmp_path))
    with pytest.raises(ConfigError, match=rf'{library}, .*pip install "fraudml\[{extra}\]"'):
        needs()


def test_c_without_a_compiler_or_with_one_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_sources(bundle_of("lightgbm"), tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="none of cc, gcc, clang is on the PATH"):
        compile_library(tmp_path)
    false = next((p for p in ("/bin/false", "/usr/bin/false") if Path(p).exists()), None)
    if false is not None:
        monkeypatch.setattr(shutil, "which", lambda name: false)
        with pytest.raises(MachineError, match="The C compiler failed with 1"):
            compile_library(tmp_path)


def test_settings_are_checked() -> None:
    for value, tolerance in itertools.product(["onnx", "c", "lightgbm"], [0.0, 1e-3]):
        assert ExportSettings(as_format(value), tolerance).tolerance == tolerance
    with pytest.raises(ConfigError, match=r"format is 'onx'\. Did you mean 'onnx'"):
        as_format("onx")
    with pytest.raises(ConfigError, match="format is not set"):
        as_format(None)
    with pytest.raises(ConfigError, match=r"engine is 'onxx'\. Did you mean 'onnx'"):
        as_engine("onxx")
    with pytest.raises(ConfigError, match="tolerance is -1"):
        ExportSettings("c", -1)


def test_the_text_is_read_as_lightgbm_reads_it() -> None:
    bundle = bundle_of("lightgbm")
    assert isinstance(bundle.learner, FittedLightGBM)
    forest = read_forest(bundle.learner.text)
    assert len(forest.roots) == bundle.learner.rounds
    assert len(forest.sets) == int(forest.is_set.sum()) > 0
    assert all(len(codes) for codes in forest.sets)
