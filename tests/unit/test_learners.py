"""Every learner that ships with fraudml against the protocol, and what is special about each."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
import yaml
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import average_precision_score
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from builders import Countdown, design_matrix, each_learner, read_files
from fraudml.config.components import Component, build
from fraudml.errors import BudgetError, BundleError, ConfigError, DataError
from fraudml.learners import as_learner, learner_kinds, load_learner
from fraudml.learners.archive import read_archive
from fraudml.learners.protocol import FitContext, FittedLearner, Learner
from fraudml.learners.sklearn import SklearnLearner
from fraudml.matrix import UNSEEN_CODE, DesignMatrix
from fraudml.progress import Deadline

CONF = Path(__file__).parents[2] / "conf" / "learner"
CHEAP: dict[str, dict[str, Any]] = {
    "bagged_lightgbm": {"num_iterations": 12, "n_members": 3, "fraud_share": 0.3},
    "catboost": {"iterations": 30},
    "balanced_bagging": {"n_estimators": 8, "sampling_strategy": 0.5},
    "balanced_random_forest": {"n_estimators": 8, "sampling_strategy": 0.5},
    "easy_ensemble": {"n_estimators": 2, "sampling_strategy": 0.5},
    "lightgbm": {"num_iterations": 30},
    "random_forest": {"n_estimators": 12},
    "rusboost": {"n_estimators": 12, "sampling_strategy": "auto"},
    "xgboost": {"n_estimators": 30},
}
OTHERS = {
    "histogram": SklearnLearner("sklearn.ensemble.HistGradientBoostingClassifier", max_iter=8),
    "bayes": SklearnLearner("sklearn.naive_bayes.GaussianNB"),
    "calibrated": SklearnLearner(
        "sklearn.calibration.CalibratedClassifierCV",
        estimator={"_target_": "sklearn.tree.DecisionTreeClassifier", "max_depth": 4},
        preprocess="impute",
    ),
    "hinge": SklearnLearner("sklearn.linear_model.SGDClassifier", max_levels=3),
    "discriminant": SklearnLearner("sklearn.discriminant_analysis.LinearDiscriminantAnalysis"),
}


MISSING = {name for name in ("catboost", "xgboost") if find_spec(name) is None}


def shipped() -> dict[str, Learner]:
    learners = {}
    for path in sorted(CONF.glob("*.yaml")):
        if path.stem in MISSING:
            continue
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
        component = Component.from_plain(plain | CHEAP.get(path.stem, {}))
        learners[path.stem] = as_learner(build(component))
    return learners


LEARNERS = shipped() | OTHERS
NO_WEIGHTS = {"balanced_bagging", "discriminant", "easy_ensemble"}
SUM_IN_FLOAT32 = {"xgboost"}


every_learner = each_learner(*LEARNERS, *sorted(MISSING))
every_booster = each_learner("lightgbm", "xgboost", "catboost")


@cache
def rows(seed: int = 0, size: int = 3000) -> DesignMatrix:
    """A tenth frauds; missing values, a category, a constant column and an empty one."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(size, 5)).astype(np.float32)
    values[:, 2] = rng.integers(2, 9, size)
    values[:, 3] = 7.0
    signal = values[:, 0] + (values[:, 2] == 4) - 0.5 * values[:, 1]
    label = signal + rng.logistic(size=size) * 0.5 > 2.0
    values[rng.random(size) < 0.1, 1] = np.nan
    values[rng.random(size) < 0.05, 2] = 0
    values[:, 4] = np.nan
    names = ("amount", "age", "shop", "constant", "empty")
    return design_matrix(values, label, names=names, categorical=(2,))


@cache
def fitted(name: str, threads: int = 1, seed: int = 0) -> FittedLearner:
    return LEARNERS[name].fit(rows(), FitContext(seed=seed, threads=threads))


def saved_bytes(model: FittedLearner, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    facts = json.dumps(model.save(folder), sort_keys=True).encode()
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"facts": facts}


@every_learner
def test_margins_are_finite_and_rank_frauds(name: str) -> None:
    test = rows(seed=1)
    margin = fitted(name).margin(test)
    assert margin.dtype == np.float64
    assert margin.shape == (len(test),)
    assert np.isfinite(margin).all()
    assert average_precision_score(test.y, margin) > 3 * test.y.mean()


@every_learner
def test_margin_of_a_row_depends_on_the_row_alone(name: str) -> None:
    model, test = fitted(name), rows(seed=1, size=5000)
    whole = model.margin(test)
    for start, end in ((0, 1), (77, 78), (3, 1200), (1200, 5000)):
        part = model.margin(test.take(np.arange(start, end)))
        np.testing.assert_array_equal(part, whole[start:end])
    order = np.random.default_rng(0).permutation(len(test))
    shuffled = replace(test, values=test.values[order], label=test.y[order])
    np.testing.assert_array_equal(model.margin(shuffled), whole[order])


@every_learner
def test_no_rows_have_no_margins(name: str) -> None:
    assert fitted(name).margin(rows().take(np.arange(0))).shape == (0,)


@every_learner
def test_saved_and_loaded_model_has_the_same_bits(name: str, tmp_path: Path) -> None:
    model, test = fitted(name), rows(seed=1)
    facts = json.loads(json.dumps(model.save(tmp_path)))
    again = load_learner(model.kind, read_files(tmp_path), facts, threads=2)
    np.testing.assert_array_equal(again.margin(test), model.margin(test))
    assert again.rounds == model.rounds
    assert saved_bytes(again, tmp_path / "again") == saved_bytes(model, tmp_path / "first")


@every_learner
def test_same_seed_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    again = LEARNERS[name].fit(rows(), FitContext(seed=0))
    assert saved_bytes(again, tmp_path / "a") == saved_bytes(fitted(name), tmp_path / "b")


@every_learner
def test_threads_do_not_change_margins(name: str) -> None:
    test = rows(seed=1, size=9000)
    np.testing.assert_array_equal(fitted(name, 2).margin(test), fitted(name, 1).margin(test))


@each_learner(
    *("lightgbm", "bagged_lightgbm", "xgboost", "catboost", "random_forest", "hinge"),
    *("balanced_random_forest", "balanced_bagging", "easy_ensemble", "rusboost"),
)
def test_another_seed_gives_another_model(name: str) -> None:
    assert (fitted(name, seed=1).margin(rows()) != fitted(name).margin(rows())).any()


@every_learner
def test_settings_survive_json(name: str) -> None:
    learner = LEARNERS[name]
    again = type(learner)(**json.loads(json.dumps(learner.to_dict())))
    assert again == learner
    assert hash(again) == hash(learner)


@every_learner
def test_unseen_category_is_scored(name: str) -> None:
    values = rows(seed=1).values.copy()
    values[:, 2] = UNSEEN_CODE
    assert np.isfinite(fitted(name).margin(replace(rows(seed=1), values=values))).all()


@each_learner(*sorted((set(LEARNERS) | MISSING) - NO_WEIGHTS))
def test_weights_count(name: str) -> None:
    weighted = rows().with_weight(np.where(rows().values[:, 0] > 1, 20.0, 1.0))
    model = LEARNERS[name].fit(weighted, FitContext())
    assert (model.margin(rows()) != fitted(name).margin(rows())).any()


@each_learner("lightgbm", "bagged_lightgbm", "xgboost", "catboost", "logistic")
def test_weight_of_frauds_raises_margins(name: str) -> None:
    weighted = rows().with_weight(np.where(rows().y == 1, 20.0, 1.0))
    model = LEARNERS[name].fit(weighted, FitContext())
    assert model.margin(rows()).mean() > fitted(name).margin(rows()).mean() + 0.5


@every_learner
def test_other_columns_are_refused(name: str) -> None:
    matrix = rows()
    order = [1, 0, 2, 3, 4]
    swapped = DesignMatrix(matrix.values[:, order], tuple(matrix.names[i] for i in order), (2,))
    with pytest.raises(DataError, match="same columns in another order, from 'age' on"):
        fitted(name).margin(swapped)
    fewer = DesignMatrix(matrix.values[:, :4], matrix.names[:4], (2,))
    with pytest.raises(DataError, match="5 columns and is given 4: missing 'empty', new none"):
        fitted(name).margin(fewer)


@every_learner
def test_rows_without_anything_to_learn_are_refused(name: str) -> None:
    learner, matrix = LEARNERS[name], rows()
    with pytest.raises(DataError, match=r"labels '0'\. It needs both"):
        learner.fit(replace(matrix, label=np.zeros(len(matrix), np.int8)), FitContext())
    with pytest.raises(DataError, match="no feature to learn from"):
        learner.fit(replace(matrix, values=matrix.values[:, :0], names=()), FitContext())
    wrong = np.ones(len(matrix))
    wrong[[5, 9]] = -1.0, np.nan
    with pytest.raises(DataError, match=r"2 of 3,000 weights .* \(first at row 5\)"):
        learner.fit(matrix.with_weight(wrong), FitContext())


@every_learner
def test_deadline_before_the_first_round(name: str) -> None:
    with pytest.raises(BudgetError, match="Time budget exhausted"):
        LEARNERS[name].fit(rows(), FitContext(deadline=Deadline(0)))


@every_learner
def test_device_that_the_learner_does_not_run_on(name: str) -> None:
    learner, kinds = LEARNERS[name], ("cpu", "opencl", "cuda")
    assert set(learner.devices) <= set(kinds)
    assert learner.on("cpu") is learner
    for kind in (kind for kind in kinds if kind not in learner.devices):
        with pytest.raises(ConfigError, match=rf"device is '{kind}'.*runs on 'cpu'.* alone"):
            learner.fit(rows(), FitContext(device=kind))


@every_learner
def test_progress_rises_to_one(name: str) -> None:
    seen: list[float] = []
    LEARNERS[name].fit(rows(), FitContext(progress=lambda _, share: seen.append(share)))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@each_learner(
    *("lightgbm", "bagged_lightgbm", "xgboost", "catboost"),
    *("logistic", "hinge", "discriminant"),
)
def test_contributions_sum_to_the_margin(name: str) -> None:
    test = rows(seed=1)
    parts = fitted(name).contributions(test)
    assert parts.shape == (len(test), len(test.names) + 1)
    exact = 1e-5 if name in SUM_IN_FLOAT32 else 1e-9
    assert parts.dtype == np.float64
    np.testing.assert_allclose(parts.sum(axis=1), fitted(name).margin(test), atol=exact)
    assert (parts[:, -1] == parts[0, -1]).all()
    assert (parts[:, 3:5] == 0).all(), "a constant and an empty column say nothing"
    few = fitted(name).contributions(test.take(np.arange(3)))
    np.testing.assert_array_equal(few, parts[:3])
    assert fitted(name).contributions(test.take(np.arange(0))).shape == (0, 6)


def test_contributions_of_other_estimators_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no reasons for RandomForestClassifier.*lightgbm"):
        fitted("random_forest").contributions(rows())


@every_learner
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    facts = model.save(tmp_path)
    file = max(tmp_path.iterdir())
    content = file.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"tree\n"):
        file.write_bytes(damaged)
        with pytest.raises(BundleError):
            load_learner(model.kind, read_files(tmp_path), facts)
    file.write_bytes(content)
    with pytest.raises(BundleError):
        load_learner(model.kind, read_files(tmp_path), facts | {"names": ["amount"]})
    with pytest.raises(BundleError):
        load_learner(model.kind, read_files(tmp_path), {})
    file.unlink()
    with pytest.raises(BundleError):
        load_learner(model.kind, read_files(tmp_path), facts)


@pytest.mark.parametrize("kind", ["os", "protocol", "../lightgbm", "fraudml.learners.lightgbm", ""])
def test_bundle_names_kinds_and_no_modules(kind: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not know"):
        load_learner(kind, read_files(tmp_path), {})


def test_learners_import_their_libraries_late() -> None:
    classes = {"xgboost": "XGBoost", "catboost": "CatBoost"}
    made = "".join(
        f"from fraudml.learners.{name} import {cls}; {cls}();"
        for name, cls in classes.items()
        if name not in MISSING
    )
    code = (
        "import sys; from fraudml.learners import learner_kinds; learner_kinds();"
        "from fraudml.learners.lightgbm import LightGBM; LightGBM(num_leaves=4);"
        f"{made}"
        "print([m for m in ('lightgbm', 'sklearn', 'imblearn', 'skops', 'xgboost', 'catboost') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert learner_kinds() == (*("bagged", "catboost", "lightgbm", "linear", "sklearn", "xgboost"),)


# LightGBM


def test_model_text_holds_the_trees_alone(tmp_path: Path) -> None:
    fitted("lightgbm").save(tmp_path)
    text = (tmp_path / "model.txt").read_text(encoding="utf-8")
    assert text.startswith("tree\n")
    assert "parameters" not in text
    assert "num_threads" not in text
    assert "/" not in text


# Boosted trees


@every_booster
def test_rounds_of_a_model_are_models(name: str) -> None:
    learner, test = LEARNERS[name], rows(seed=1)
    ten = learner.fit(rows(), FitContext(), rounds=10)
    assert (learner.max_rounds, ten.rounds) == (30, 10)
    np.testing.assert_array_equal(fitted(name).margin(test, 10), ten.margin(test))
    staged = [fitted(name).margin(test, rounds) for rounds in (10, 30, 99)]
    np.testing.assert_array_equal(staged[0], ten.margin(test))
    np.testing.assert_array_equal(staged[1], fitted(name).margin(test))
    np.testing.assert_array_equal(staged[2], staged[1])


@every_booster
def test_deadline_keeps_a_tenth_of_the_rounds_or_nothing(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    learner = LEARNERS[name]
    with pytest.raises(BudgetError, match="after 2 of 30 rounds"):
        learner.fit(rows(), FitContext(deadline=Countdown(2)))  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        model = learner.fit(rows(), FitContext(deadline=Countdown(3)))  # type: ignore[arg-type]
    assert model.rounds == 3
    assert "3 of 30 rounds" in caplog.text
    np.testing.assert_array_equal(model.margin(rows()), fitted(name).margin(rows(), 3))


@every_booster
@pytest.mark.parametrize("size", [2, 3, 19, 50])
def test_few_rows_are_fitted(name: str, size: int) -> None:
    x = np.arange(size)
    label = x >= size - 1
    model = LEARNERS[name].fit(design_matrix(x[:, None], label), FitContext(), rounds=5)
    assert np.isfinite(model.margin(design_matrix(x[:, None]))).all()


@each_learner("lightgbm", "xgboost")
@pytest.mark.parametrize("value", [3.0, np.nan])
def test_columns_that_say_nothing_give_the_base_rate(name: str, value: float) -> None:
    label = np.arange(100) < 10
    train = design_matrix(np.full((100, 2), value), label)
    model = LEARNERS[name].fit(train, FitContext(), rounds=400)
    margin = model.margin(train)
    assert (margin == margin[0]).all()
    assert margin[0] == pytest.approx(np.log(0.1 / 0.9), abs=0.05)
    assert model.rounds is not None
    assert model.rounds >= 1


@every_booster
def test_matrix_is_not_changed_by_a_fit(name: str) -> None:
    before = rows().values.copy()
    LEARNERS[name].fit(rows(), FitContext())
    np.testing.assert_array_equal(rows().values, before)


@every_booster
def test_rows_of_weight_zero_teach_nothing(name: str) -> None:
    """Beside them stand their opposites: were they counted, nothing could be learnt."""
    train = rows()
    both = DesignMatrix(
        np.concatenate([train.values, train.values]),
        train.names,
        train.categorical,
        label=np.concatenate([train.y, 1 - train.y]).astype(np.int8),
        weight=np.repeat([1.0, 0.0], len(train)),
    )
    margin = LEARNERS[name].fit(both, FitContext()).margin(rows(seed=1))
    assert average_precision_score(rows(seed=1).y, margin) > 3 * rows(seed=1).y.mean()


# scikit-learn


def test_linear_model_is_the_one_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    values = np.random.default_rng(0).normal(size=(2, 400)).T
    train = design_matrix(values, values[:, 0].astype(np.float32) > 0.8)
    learner = SklearnLearner("sklearn.linear_model.LogisticRegression", preprocess="none", C=0.3)
    reference = LogisticRegression(C=0.3).fit(train.values, train.y)
    margin = learner.fit(train, FitContext()).margin(train)
    np.testing.assert_allclose(margin, reference.decision_function(train.values), rtol=1e-5)


def test_shares_of_zero_and_one_have_finite_margins_in_order() -> None:
    x = np.repeat([0.0, 1.0, 2.0], 40)
    label = np.where(x == 2, 1, np.where(x == 1, np.arange(120) % 2, 0))
    train = design_matrix(x[:, None], label)
    learner = SklearnLearner("sklearn.tree.DecisionTreeClassifier", preprocess="none")
    low, middle, high = learner.fit(train, FitContext()).margin(design_matrix([[0], [1], [2]]))
    assert -20 < low < middle < high < 20
    assert middle == pytest.approx(0.0, abs=1e-9)
    assert low == pytest.approx(-high)


def test_unknown_estimators_and_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no such estimator.*Did you mean 'LogisticRegression'"):
        SklearnLearner("sklearn.linear_model.LogisticRegresion")
    with pytest.raises(ConfigError, match="no parameter of LogisticRegression"):
        SklearnLearner("sklearn.linear_model.LogisticRegression", max_iters=3)
    with pytest.raises(ConfigError, match="no classifier"):
        SklearnLearner("sklearn.linear_model.LinearRegression")
    with pytest.raises(ConfigError, match="classifier of sklearn or imblearn"):
        SklearnLearner("os.system")
    with pytest.raises(ConfigError, match=r"sklearn\.no_such_module"):
        SklearnLearner("sklearn.no_such_module.Thing")
    with pytest.raises(ConfigError) as caught:
        SklearnLearner(
            "sklearn.tree.DecisionTreeClassifier",
            preprocess="scale",  # type: ignore[arg-type]
            random_state=1,
            max_levels=0,
        )
    for part in ("3 problems", "use seed=…", "'impute_scale'", "learner.max_levels is 0"):
        assert part in str(caught.value)


def test_classifier_objects_are_wrapped() -> None:
    part = CalibratedClassifierCV(DecisionTreeClassifier(max_depth=2), cv=3, n_jobs=4)
    learner = as_learner(part)
    assert learner.to_dict() == {
        "classifier": "sklearn.calibration.CalibratedClassifierCV",
        "preprocess": "impute_scale",
        "max_levels": 50,
        "cv": 3,
        "estimator": {"_target_": "sklearn.tree.DecisionTreeClassifier", "max_depth": 2},
    }
    assert as_learner(learner) is learner
    assert as_learner(GaussianNB) == as_learner(GaussianNB())
    with pytest.raises(ConfigError, match=r"learner.classifier is 3\."):
        as_learner(3)


@pytest.mark.parametrize("name", sorted(NO_WEIGHTS))
def test_estimator_that_takes_no_weights(name: str) -> None:
    with pytest.raises(ConfigError, match="takes no weights"):
        LEARNERS[name].fit(rows().with_weight(np.ones(len(rows()))), FitContext())


def test_estimator_that_refuses_missing_values_says_what_helps() -> None:
    learner = SklearnLearner("sklearn.linear_model.LogisticRegression", preprocess="none")
    with pytest.raises(DataError, match=r"contains NaN.*learner.preprocess=impute_scale"):
        learner.fit(rows(), FitContext())


def test_ensemble_that_samples_says_when_frauds_are_not_rare() -> None:
    plain = LEARNERS["balanced_random_forest"].to_dict()
    with pytest.raises(DataError, match=r"frauds are no rarer than learner\.sampling_strategy"):
        SklearnLearner(**plain | {"sampling_strategy": 0.05}).fit(rows(), FitContext())


@pytest.mark.parametrize("name", ["balanced_random_forest", "rusboost"])
def test_ensemble_is_saved_once(name: str) -> None:
    """imbalanced-learn keeps its trees twice, and the positions of the rows that each saw."""
    estimator = fitted(name)._estimator  # type: ignore[attr-defined]
    assert len(estimator.estimators_) > 1
    assert estimator.pipelines_ == estimator.samplers_ == []


@pytest.mark.parametrize("name", ["rusboost", "easy_ensemble"])
def test_votes_of_adaboost_are_on_the_scale_of_log_odds(name: str) -> None:
    """As the library divides them they lie between -2 and 2, whatever there was to learn."""
    model = fitted(name)
    margin = model.margin(rows())
    decision = model._estimator.decision_function(  # type: ignore[attr-defined]
        model.preprocessing.transform(rows().values)  # type: ignore[attr-defined]
    )
    assert np.abs(decision).max() <= 2
    ratio = margin / decision
    np.testing.assert_allclose(ratio, ratio[0])
    if name == "rusboost":
        votes = [
            tree.predict(model.preprocessing.transform(rows().values)) * 2 - 1
            for tree in model._estimator.estimators_
        ]
        np.testing.assert_allclose(margin, model._estimator.estimator_weights_ @ np.array(votes))


def test_what_scikit_learn_warns_of_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    learner = SklearnLearner("sklearn.linear_model.LogisticRegression", max_iter=1)
    with caplog.at_level(logging.WARNING):
        learner.fit(rows(), FitContext())
    assert "LogisticRegression says: lbfgs failed to converge" in caplog.text


def test_estimator_that_cannot_be_read_back_is_refused_at_its_fit() -> None:
    learner = SklearnLearner("sklearn.neighbors.KNeighborsClassifier")
    with pytest.raises(ConfigError, match=r"cannot be saved.*KDTree"):
        learner.fit(rows(), FitContext())


class Strange:
    """A type that no list knows."""

    made = 0

    def __setstate__(self, state: Any) -> None:
        type(self).made += 1


def test_types_that_are_not_trusted_are_not_loaded() -> None:
    model = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
    model.helper_ = Strange()
    with pytest.raises(BundleError, match=r"not trusted: .*Strange"):
        read_archive(skops.io.dumps(model))
    assert Strange.made == 0
    with pytest.raises(BundleError, match="cannot be read"):
        read_archive(io.BytesIO(b"PK no archive").getvalue())
