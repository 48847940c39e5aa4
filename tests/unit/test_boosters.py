"""The parameters of boosters, and what is special about XGBoost and CatBoost."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

import fraudml
from builders import (
    BOOSTERS,
    booster,
    booster_class,
    design_matrix,
    each_learner,
    needs,
    read_files,
)
from fraudml.cli import main
from fraudml.config.describe import parameter_texts
from fraudml.config.shape import shape_of
from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate
from fraudml.errors import BundleError, ConfigError, DataError
from fraudml.learners import boosting, load_learner
from fraudml.learners.boosting import predict_in_threads, without_infinities
from fraudml.learners.losses import Focal
from fraudml.learners.protocol import FitContext, FittedLearner
from fraudml.matrix import DesignMatrix
from fraudml.recipe import Recipe

EXTRAS = ("xgboost", "catboost")
both = each_learner(*EXTRAS)
every_booster = each_learner("lightgbm", *EXTRAS)


def learner(name: str, rounds: int = 40, **more: Any) -> Any:
    return booster(name, rounds, **more)


@cache
def rows(seed: int = 0, size: int = 3000) -> DesignMatrix:
    """Only the shop tells: odd codes hold the frauds. It stands between two columns of noise."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(size, 4)).astype(np.float32)
    values[:, 1] = rng.integers(2, 22, size)
    values[:, 2] = rng.integers(2, 5, size)
    risk = np.where(values[:, 1] % 2 == 1, 0.3, 0.01)
    names = ("amount", "shop", "kind", "age")
    return design_matrix(values, rng.random(size) < risk, names=names, categorical=(1, 2))


@cache
def fitted(name: str) -> FittedLearner:
    model: FittedLearner = learner(name).fit(rows(), FitContext())
    return model


@pytest.mark.parametrize(
    ("name", "wrong", "messages"),
    [
        (
            "lightgbm",
            {
                "num_leafs": 3,
                "scale_pos_weight": 9,
                "n_jobs": 2,
                "num_leaves": 1,
                "learning_rate": "fast",
            },
            [
                "5 problems in learner.",
                "learner.num_leafs is no parameter of LightGBM. Did you mean 'num_leaf'",
                "scale_pos_weight cannot be set here; use weighting=…",
                "learner.n_jobs cannot be set here; use threads=…",
                "learner.num_leaves is 1. It is a whole number from 2 to",
                "learner.learning_rate is 'fast'. It is a number",
            ],
        ),
        pytest.param(
            "xgboost",
            {"max_dept": 3, "scale_pos_weight": 9, "n_jobs": 2, "max_bin": 1, "base_score": 0},
            [
                "5 problems in learner.",
                "learner.max_dept is no parameter of XGBoost. Did you mean 'max_depth'",
                "scale_pos_weight cannot be set here; use weighting=…",
                "learner.n_jobs cannot be set here; use threads=…",
                "learner.max_bin is 1. It is a whole number from 2 to 65535.",
                "learner.base_score is 0. It is a number from 1e-09 to 1, or null.",
            ],
            marks=needs("xgboost"),
        ),
        pytest.param(
            "xgboost",
            {"device": "cuda", "random_state": 1, "objective": "rank", "tree_method": "fast"},
            [
                "use device=…",
                "learner.random_state cannot be set here; use seed=…",
                "with the loss of the loss group",
                "learner.tree_method is 'fast'. It is one of 'hist', 'exact', 'approx'.",
            ],
            marks=needs("xgboost"),
        ),
        pytest.param(
            "catboost",
            {"dept": 3, "class_weights": [1, 9], "thread_count": 2, "rsm": 0, "verbose": True},
            [
                "5 problems in learner.",
                "learner.dept is no parameter of CatBoost. Did you mean 'depth' or 'max_depth'?",
                "class_weights cannot be set here; use weighting=…",
                "learner.thread_count cannot be set here; use threads=…",
                "learner.rsm is 0. It is a number from 1e-06 to 1.",
                "fraudml reports progress itself",
            ],
            marks=needs("catboost"),
        ),
        pytest.param(
            "catboost",
            {"task_type": "GPU", "random_state": 1, "objective": "RMSE", "cat_features": [0]},
            [
                "use device=…",
                "learner.random_state cannot be set here; use seed=…",
                "with the loss of the loss group",
                "use data.columns.categorical=[…]",
            ],
            marks=needs("catboost"),
        ),
    ],
)
def test_wrong_parameters_are_named_at_once(
    name: str, wrong: dict[str, Any], messages: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        booster(name, **wrong)
    for message in messages:
        assert message in str(caught.value)
    if "problems" in messages[0]:
        assert str(caught.value).startswith(messages[0])


@every_booster
def test_refused_parameters_and_fields_are_the_librarys(name: str) -> None:
    cls = type(learner(name))
    known = set(cls.parameter_names().values())
    assert set(cls.refused) <= known
    own = set(cls.parameters) - {"monotone", "extra_parameters"}
    assert own <= known - set(cls.refused)
    assert {field.name for field in fields(cls)} == {*own, "monotone", "extra_parameters"}


@each_learner(*BOOSTERS)
def test_signature_and_documentation_follow_from_the_fields(name: str) -> None:
    cls = booster_class(name)
    shape, texts = shape_of(cls), parameter_texts(cls, whole=True)
    assert shape.open
    assert list(shape.parameters) == list(texts) == list(cls.parameters)
    assert list(cls.parameters)[-2:] == ["monotone", "extra_parameters"]
    for key, parameter in cls.parameters.items():
        assert texts[key] == parameter.text.replace("`", "")
        assert shape.parameters[key].hint == parameter.accepts.hint
        assert shape.parameters[key].initial() == parameter.default
        assert parameter.default in parameter.accepts


ALIASES = {
    "lightgbm": (
        {"min_child_samples": 7, "reg_alpha": 2.0},
        {"min_data_in_leaf": 7, "lambda_l1": 2.0},
    ),
    "xgboost": ({"lambda": 2.0}, {"reg_lambda": 2.0}),
    "catboost": ({"reg_lambda": 2.0}, {"l2_leaf_reg": 2.0}),
}


@every_booster
def test_aliases_mean_their_parameter(name: str) -> None:
    aliases, documented = ALIASES[name]
    assert learner(name, **aliases) == learner(name, **documented)
    assert learner(name, eta=0.2) == learner(name, learning_rate=0.2)
    with pytest.raises(ConfigError, match=r"learner\.eta and another name of 'learning_rate'"):
        learner(name, learning_rate=0.1, eta=0.2)


@pytest.mark.parametrize(
    ("alias", "parameter"),
    [("colsample_bytree", "feature_fraction"), ("reg_alpha", "lambda_l1")],
)
def test_a_parameter_is_set_by_one_of_its_names(alias: str, parameter: str) -> None:
    twice = rf"learner\.({alias}|{parameter}) and another name of '{parameter}'"
    with pytest.raises(ConfigError, match=twice):
        learner("lightgbm", **{alias: 0.8, parameter: 0.4})


FURTHER: dict[str, dict[str, Any]] = {
    "lightgbm": {"max_depth": 4, "interaction_constraints": [[0], [1, 2]]},
    "xgboost": {"gamma": 0.5},
    "catboost": {"random_strength": 2.0},
}


@every_booster
def test_replace_keeps_other_parameters(name: str) -> None:
    further = FURTHER[name]
    changed = replace(learner(name, monotone={"age": 1}, **further), learning_rate=0.2)
    assert changed == learner(name, monotone={"age": 1}, learning_rate=0.2, **further)
    assert changed.to_dict().items() >= further.items()


@pytest.mark.parametrize(
    ("name", "wrong", "reason"),
    [
        ("lightgbm", {"max_depth": "deep"}, "max_depth should be of type int"),
        pytest.param("xgboost", {"gamma": "deep"}, "min_split_loss", marks=needs("xgboost")),
        pytest.param("xgboost", {"subsample": 3.0}, "exceed bound", marks=needs("xgboost")),
        pytest.param("catboost", {"subsample": 3.0}, r"in \(0,1\]", marks=needs("catboost")),
        pytest.param("catboost", {"bootstrap_type": "x"}, "'Bernoulli'", marks=needs("catboost")),
    ],
)
def test_value_that_the_library_refuses(name: str, wrong: dict[str, Any], reason: str) -> None:
    refusal = f"{BOOSTERS[name][0]} refuses to fit: .*{reason}"
    with pytest.raises(ConfigError, match=refusal) as caught:
        learner(name, **wrong).fit(rows(), FitContext())
    assert "\n" not in str(caught.value)
    assert ".cpp" not in str(caught.value)


@both
def test_categories_are_sets_of_codes(name: str) -> None:
    test = rows(seed=1)
    ranked = average_precision_score(test.y, fitted(name).margin(test))
    assert ranked > 0.9 * average_precision_score(test.y, test.values[:, 1] % 2)
    parts = np.abs(fitted(name).contributions(test)[:, :-1]).mean(axis=0)
    assert parts.argmax() == 1
    assert parts[1] > 3 * np.delete(parts, 1).max()


@both
def test_a_code_beyond_all_that_the_fit_saw_is_scored(name: str) -> None:
    values = rows(seed=1).values[:10].copy()
    values[:, 1] = 40_000
    margin = fitted(name).margin(DesignMatrix(values, rows().names, (1, 2)))
    assert np.isfinite(margin).all()


@both
def test_a_matrix_of_categories_alone(name: str) -> None:
    train = rows()
    shops = design_matrix(train.values[:, [1]], train.y, categorical=(0,))
    model = learner(name).fit(shops, FitContext())
    assert average_precision_score(train.y, model.margin(shops)) > 1.5 * train.y.mean()
    assert model.contributions(shops).shape == (len(train), 2)


@both
def test_endless_values_are_large_numbers(name: str) -> None:
    values = rows().values.copy()
    values[:50, 0], values[50:100, 0] = np.inf, -np.inf
    train = replace(rows(), values=values, label=np.where(values[:, 0] > 1, 1, 0).astype(np.int8))
    model = learner(name).fit(train, FitContext())
    margin = model.margin(train)
    assert np.isfinite(margin).all()
    assert margin[:50].min() > margin[50:100].max()
    assert np.isfinite(model.contributions(train)).all()


def test_values_without_infinities_are_not_copied() -> None:
    values = np.array([[1.0, np.nan]], np.float32)
    assert without_infinities(values) is values


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_rows_in_parts_keep_their_order(threads: int) -> None:
    values = np.arange(1000, dtype=np.float32)[:, None]
    scored = predict_in_threads(lambda part: part[:, 0], values, threads)
    assert scored.dtype == np.float64
    np.testing.assert_array_equal(scored, np.arange(1000))


@both
def test_a_model_holds_the_trees_alone(name: str) -> None:
    content = fitted(name).content  # type: ignore[attr-defined]
    for word in (b"seed", b"thread", b"learning_rate", b"finish_time", b"guid"):
        assert word not in content


# A library that is not installed


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting.importlib.util, "find_spec", lambda _: None)


@pytest.mark.parametrize("name", EXTRAS)
@pytest.mark.usefixtures("nothing_installed")
def test_what_to_install_is_said_before_anything_is_read(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", f"learner={name}", "data=table", "data.columns.label=y"]
    code = main([*command, "data.path=nowhere.csv", f"output_dir={tmp_path / 'run'}"])
    assert code == 2
    said = capsys.readouterr().err
    assert f"learner needs the library {name}, and it is not installed" in said
    assert f'Run: pip install "fraudml[{name}]"' in said
    assert "nowhere" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", EXTRAS)
@pytest.mark.usefixtures("nothing_installed")
def test_a_bundle_says_what_to_install(name: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=rf'pip install "fraudml\[{name}\]"'):
        load_learner(name, read_files(tmp_path), {})


# XGBoost


@needs("xgboost")
def test_with_the_log_loss_as_a_loss_little_changes() -> None:
    train, test = rows(), rows(seed=1)
    own = Recipe(learner("xgboost", 200), loss=Focal(0.0)).fit(train, FitContext())
    built_in = Recipe(learner("xgboost", 200, base_score=None)).fit(train, FitContext())
    assert np.abs(own.margin(test) - built_in.margin(test)).mean() < 0.05


@needs("xgboost")
def test_weights_count_in_a_loss() -> None:
    weighted = rows().with_weight(np.where(rows().y == 1, 20.0, 1.0))
    context = FitContext(loss=Focal(0.0))
    plain, heavy = (learner("xgboost").fit(one, context) for one in (rows(), weighted))
    starts = Focal(0.0).start(rows()), Focal(0.0).start(weighted)
    lifted = heavy.margin(rows()) + starts[1] - plain.margin(rows()) - starts[0]
    assert lifted.mean() > 1


@needs("xgboost")
def test_trees_by_every_value_take_no_categories() -> None:
    exact = learner("xgboost", tree_method="exact", grow_policy="depthwise", max_depth=3)
    with pytest.raises(ConfigError, match=r"doesn't support categorical"):
        exact.fit(rows(), FitContext())
    numbers = replace(rows(), categorical=())
    assert np.isfinite(exact.fit(numbers, FitContext()).margin(numbers)).all()


# CatBoost


@needs("catboost")
def test_catboost_minimises_the_log_loss_alone() -> None:
    with pytest.raises(
        ConfigError, match=r"loss is Focal\. CatBoost minimises only a loss of its own"
    ):
        learner("catboost").fit(rows(), FitContext(loss=Focal(1.0)))


@needs("catboost")
def test_catboost_writes_nothing_into_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"allow_writing_files cannot be set here"):
        learner("catboost", allow_writing_files=True)
    model: Any = learner("catboost", 5).fit(rows(), FitContext())
    model.contributions(rows())
    model.as_json()
    assert not list(tmp_path.iterdir())


@needs("catboost")
def test_columns_without_two_values_are_refused() -> None:
    values = np.full((100, 2), 3.0, dtype=np.float32)
    train = design_matrix(values, np.arange(100) > 90)
    with pytest.raises(DataError, match=r"No feature has two values.*Check data\.columns"):
        learner("catboost").fit(train, FitContext())


@needs("catboost")
def test_empty_columns_give_the_base_rate() -> None:
    values = np.full((100, 2), np.nan, dtype=np.float32)
    train = design_matrix(values, np.arange(100) >= 90)
    margin = learner("catboost", 400).fit(train, FitContext()).margin(train)
    assert (margin == margin[0]).all()
    assert margin[0] == pytest.approx(np.log(0.1 / 0.9), abs=0.05)


@needs("catboost")
@pytest.mark.parametrize("rounds", [10, 190])
def test_the_number_of_rounds_changes_no_other_parameter(rounds: int) -> None:
    """CatBoost's own choices go with it: steps of leaf values, combinations, shrinkage, rate."""
    train = rows(size=500)
    for one in (learner("catboost", 210), learner("catboost", 210, monotone={"age": 1})):
        whole = one.fit(train, FitContext())
        few = one.fit(train, FitContext(), rounds=rounds)
        np.testing.assert_array_equal(whole.margin(train, rounds), few.margin(train))


# The command


@both
def test_train_and_score(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    small = ["rows=12000", "prevalence=0.0165", "cards=2000", "terminals=60"]
    overrides = [
        *(f"data.simulate.{one}" for one in small),
        f"learner.{BOOSTERS[name][1]}=60",
        "learner.monotone={amount: 1}",
        *("evaluation.replicates=100", "threads=1"),
    ]
    assert main(["train", f"learner={name}", *overrides, f"output_dir={folder}"]) == 0
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["run"]["versions"][name] == import_module(name).__version__
    settings = SimulateSettings(rows=12_000, prevalence=0.0165, cards=2000, terminals=60)
    scored = fraudml.load_bundle(folder / "bundle").score(simulate(settings))
    test = pl.read_parquet(folder / "test_scores.parquet")
    assert test.height > 1000
    again = test.select("id").join(
        scored, left_on="id", right_on=scored.columns[0], maintain_order="left"
    )
    assert again["score"].to_list() == test["score"].to_list()
