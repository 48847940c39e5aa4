"""Reasons: what pushed a row towards fraud, in words, by the learner's own contributions."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from builders import make_bundle
from fraudml.bundle import DecisionBundle, read_bundle, write_bundle
from fraudml.data.check import check_table
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.decisions.policies import TunedPolicy
from fraudml.errors import ConfigError, DataError
from fraudml.features.plan import fit_features
from fraudml.features.settings import FeatureSettings
from fraudml.features.words import reason_templates
from fraudml.learners.catboost import CatBoost
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.protocol import FitContext
from fraudml.learners.sklearn import SklearnLearner
from fraudml.learners.xgboost import XGBoost
from fraudml.scoring import Scorer

ROLES = ColumnRoles(
    time="time",
    id="ref",
    entity="card",
    amount="amount",
    group="sex",
    categorical=("shop",),
    exclude=("phone",),
)
SETTINGS = FeatureSettings(
    history=None, keys=("till",), time_parts=("hour", "weekday", "night", "weekend", "hour_cos")
)
LEARNERS: dict[str, Any] = {
    "lightgbm": LightGBM(num_iterations=25, learning_rate=0.2),
    "xgboost": XGBoost(n_estimators=25, learning_rate=0.2),
    "catboost": CatBoost(iterations=25, learning_rate=0.2),
    "logistic": SklearnLearner("sklearn.linear_model.LogisticRegression"),
}
SECRETS = ("ref-", "card-", "till-", "phone-", "sex-")


def table(size: int = 700) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    label = rng.random(size) < 0.15
    shop = np.where(rng.random(size) < 0.3 + 0.4 * label, "web", "shop")
    return pl.DataFrame(
        {
            "ref": [f"ref-{i}" for i in range(size)],
            "time": [datetime(2026, 1, 1) + timedelta(minutes=47 * i) for i in range(size)],
            "card": [f"card-{i}" for i in rng.integers(0, 40, size)],
            "till": [f"till-{i}" for i in rng.integers(0, 9, size)],
            "sex": [f"sex-{i}" for i in rng.integers(0, 2, size)],
            "phone": [f"phone-{i}" for i in rng.integers(0, 90, size)],
            "amount": np.round(rng.gamma(1.0, 60, size) * (1 + 3 * label), 2),
            "shop": pl.Series(shop).scatter(range(0, size, 11), None),
            "age": pl.Series(rng.normal(40, 9, size)).scatter(range(0, size, 9), None),
            "label": label.astype(np.int8),
        }
    )


def made(learner: Any, settings: FeatureSettings = SETTINGS) -> DecisionBundle:
    data = check_table(table(), DataSettings(columns=ROLES))
    fitted = fit_features(data, np.arange(500), settings, label_delay=timedelta(days=1))
    policy = TunedPolicy("minimum_cost", 0.2)
    return make_bundle(data, fitted, learner, rows=500, offset=-0.1, policy=policy)


@pytest.fixture(scope="module", params=LEARNERS)
def bundle(request: pytest.FixtureRequest) -> DecisionBundle:
    return made(LEARNERS[request.param])


@pytest.fixture(scope="module")
def boosted() -> DecisionBundle:
    return made(LEARNERS["lightgbm"])


def test_reasons_are_the_pushes_of_the_learner(bundle: DecisionBundle) -> None:
    rows = table()
    told = Scorer(bundle).explain(rows, rows=range(len(rows)), most=1000)
    data = check_table(rows, DataSettings(columns=ROLES))
    X = bundle.features.matrix(data)
    parts = bundle.learner.contributions(X)
    assert parts.sum(axis=1) == pytest.approx(bundle.learner.margin(X), abs=1e-5)
    groups = [fact.group for fact in reason_templates(bundle.features, "amount")]
    for row in (0, 99, 342, 699):
        sums: dict[str, float] = {}
        for group, part in zip(groups, parts[row], strict=False):
            sums[group] = sums.get(group, 0.0) + part
        pushes = {group: size for group, size in sums.items() if size > 0}
        of_row = told.filter(pl.col("ref") == f"ref-{row}")
        assert dict(of_row.select("group", "contribution").iter_rows()) == pytest.approx(pushes)
        assert of_row["contribution"].is_sorted(descending=True)
        assert of_row["rank"].to_list() == list(range(1, len(pushes) + 1))
        for group, feature in of_row.select("group", "feature").iter_rows():
            mine = [k for k, one in enumerate(groups) if one == group]
            assert feature == bundle.features.names[max(mine, key=lambda k: parts[row, k])]


def test_only_alerts_are_given_reasons(bundle: DecisionBundle) -> None:
    made = Scorer(bundle).score(table(), reasons=3)
    assert made.columns[-3:] == ["reason_1", "reason_2", "reason_3"]
    assert 0 < made["alert"].sum() < len(made)
    assert made["reason_1"].is_not_null().equals(made["alert"])
    assert made.drop("reason_1", "reason_2", "reason_3").equals(Scorer(bundle).score(table()))
    one = Scorer(bundle).score(table(), reasons=1)
    assert one["reason_1"].equals(made["reason_1"])


def test_a_row_has_the_same_reasons_whatever_stands_beside_it(bundle: DecisionBundle) -> None:
    scorer, rows = Scorer(bundle), table()
    whole = scorer.explain(rows, rows=range(len(rows)), most=5)
    for chosen in ([3], [600, 2, 77], list(range(100, 300))):
        few = scorer.explain(rows, rows=chosen, most=5)
        named = [f"ref-{row}" for row in chosen]
        assert few["ref"].unique(maintain_order=True).to_list() == named
        for name in named:
            mine, theirs = (one.filter(pl.col("ref") == name) for one in (few, whole))
            assert mine.equals(theirs)


def test_windows_of_one_fact_are_one_reason(boosted: DecisionBundle) -> None:
    facts = reason_templates(boosted.features, "amount")
    groups: dict[str, list[str]] = {}
    for fact in facts:
        groups.setdefault(fact.group, []).append(fact.feature)
    assert groups["aggregate by card"] == [f"count {days}d by card" for days in (1, 7, 30)]
    assert "amount mean 7d by card" in groups["aggregate amount by card"]
    assert not set(groups["aggregate amount by card"]) & set(groups["aggregate amount by till"])
    assert groups["time of day"] == ["hour", "night", "hour_cos"]
    told = Scorer(boosted).explain(table(), most=1000)
    assert not told.select("ref", "group").is_duplicated().any()


def test_no_key_id_or_excluded_value_is_told(bundle: DecisionBundle) -> None:
    told = Scorer(bundle).explain(table(), rows=range(700), most=1000)
    text = told.drop("ref").write_csv()
    assert not [secret for secret in SECRETS if secret in text]
    assert "this card's" in text


def worded(bundle: DecisionBundle, feature: str) -> pl.DataFrame:
    """Every text that a feature gives in a table, beside the value that it was made of."""
    from fraudml.scoring.reasons import _in_words

    position = bundle.features.names.index(feature)
    fact = reason_templates(bundle.features, "amount")[position]
    data = check_table(table(), DataSettings(columns=ROLES))
    values = bundle.features.matrix(data).values[:, position]
    own = None if fact.column is None else data.frame[fact.column]
    value, text = _in_words(fact, values, own)
    return pl.DataFrame({"x": values, "own": own, "value": value, "text": text})


def test_words_and_values(boosted: DecisionBundle) -> None:
    frame = table()
    assert worded(boosted, "amount")["text"][5] == f"amount is {frame['amount'][5]:.2f}"
    assert worded(boosted, "shop")["text"].unique().sort().to_list() == [
        *("shop is missing", "shop is shop", "shop is web"),
    ]
    assert worded(boosted, "age")["text"][9] == "age is missing"
    assert worded(boosted, "hour")["text"][2] == "the time is 01:34"
    assert worded(boosted, "weekday")["text"][0] == "the day is Thursday"
    assert set(worded(boosted, "night")["text"]) == {"it is night", "it is not night"}
    ratio = worded(boosted, "amount over mean 90d by card")
    row = ratio.with_row_index().filter(pl.col("x").is_between(1.5, 99)).row(0, named=True)
    own, times = frame["amount"][row["index"]], f"{row['x']:.3g}"
    assert row["text"] == f"amount {own:.2f} is {times} × this card's 90-day mean"
    assert ratio["text"][0] == "no earlier row of this card in 90 days"
    rate = worded(boosted, "fraud rate 7d by till").filter(pl.col("x").is_between(0.02, 0.9))
    assert rate["text"][0] == (
        f"this till's known fraud rate over 7 days: {100 * rate['x'][0]:.3g} %"
    )
    new = worded(boosted, "new till by card")
    assert new["text"][0] == "this card has not met this till in the 90 days before"
    assert "this card has met this till before" in new["text"]


@pytest.mark.slow
def test_every_feature_has_words_for_every_value(boosted: DecisionBundle) -> None:
    for name in boosted.features.names:
        texts = worded(boosted, name)["text"]
        assert texts.null_count() == 0, name
        assert not texts.str.contains(r"[{}]|null|NaN").any(), name


def test_texts_of_ones_own_are_kept_in_the_bundle(tmp_path: Path) -> None:
    own = {"age": "the customer's age, {value}, is unusual", "shop": "look at the shop"}
    bundle = made(LEARNERS["lightgbm"], replace(SETTINGS, texts=own))
    write_bundle(bundle, tmp_path / "bundle")
    again = read_bundle(tmp_path / "bundle")
    assert again.features == bundle.features
    assert set(worded(again, "shop")["text"]) == {"look at the shop"}
    ages = worded(again, "age")
    assert ages["text"][0] == "the customer's age, missing, is unusual"
    assert ages["text"][1] == f"the customer's age, {ages['value'][1]}, is unusual"


def test_a_bundle_from_before_texts_is_read(boosted: DecisionBundle) -> None:
    content = boosted.features.to_dict()
    del content["texts"]
    assert type(boosted.features).from_dict(content) == boosted.features


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"agee": "x"}, "'agee', and no feature"),
        ({"age": "{card}"}, "'card' in braces"),
        ({"age": "{value:.2f}"}, "'value:.2f' in braces"),
        ({"age": "{value.real}"}, "'value.real' in braces"),
        ({"age": "{"}, "an open brace"),
        ({"age": "{{x}}"}, "a brace"),
    ],
)
def test_texts_that_cannot_be_filled_are_refused(texts: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        made(LEARNERS["logistic"], replace(SETTINGS, texts=texts))


def test_learners_without_contributions_are_refused() -> None:
    forest = SklearnLearner("sklearn.ensemble.RandomForestClassifier", n_estimators=3)
    scorer = Scorer(made(forest))
    with pytest.raises(ConfigError, match="no reasons for RandomForestClassifier"):
        scorer.explain(table(), rows=[])
    with pytest.raises(ConfigError, match="no reasons"):
        scorer.score(table(), reasons=1)


@pytest.mark.parametrize("rows", [[700], [-1], [1, 1]])
def test_rows_that_are_not_there_are_refused(boosted: DecisionBundle, rows: list[int]) -> None:
    with pytest.raises(DataError, match="rows are"):
        Scorer(boosted).explain(table(), rows=rows)


def test_no_row_has_no_reason(boosted: DecisionBundle) -> None:
    told = Scorer(boosted).explain(table(), rows=[])
    assert told.columns == ["ref", "rank", "group", "feature", "value", "contribution", "text"]
    assert told.is_empty()
    assert Scorer(boosted).score(table()[:0], reasons=2).schema["reason_2"] == pl.String


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])  # of CatBoost shap asks itself
def test_contributions_are_those_of_shap(name: str) -> None:
    shap = pytest.importorskip("shap", reason="shap is in the extra dev; install it to compare")
    numbers = FeatureSettings(history=(), keys=("till",), time_parts=("hour",))
    learner = LEARNERS[name]
    rows = table().drop("shop")
    roles = dataclasses.replace(ROLES, categorical=())
    data = check_table(rows, DataSettings(columns=roles))
    fitted = fit_features(data, np.arange(500), numbers)
    matrix = replace(fitted.matrix(data), label=data.label)
    model = learner.fit(matrix.take(np.arange(500)), FitContext())
    parts = model.contributions(matrix)
    told = shap.TreeExplainer(model._booster, feature_perturbation="tree_path_dependent")
    values = told.shap_values(matrix.values)
    assert parts[:, :-1] == pytest.approx(np.asarray(values), abs=1e-5)
    assert parts[:, -1] == pytest.approx(float(np.ravel(told.expected_value)[-1]), abs=1e-5)


def test_contributions_are_shapley_values_by_their_definition() -> None:
    """A linear model's, from all coalitions against the mean row, without the learner's own sum."""
    rng = np.random.default_rng(3)
    data = check_table(
        pl.DataFrame(
            {"a": rng.normal(2, 3, 400), "b": rng.normal(size=400), "c": rng.random(400)}
        ).with_columns(label=(pl.col("a") + pl.col("b") > 4).cast(pl.Int8)),
        DataSettings(),
    )
    fitted = fit_features(data, np.arange(400), FeatureSettings(time_parts=(), history=()))
    matrix = replace(fitted.matrix(data), label=data.label)
    model = LEARNERS["logistic"].fit(matrix, FitContext())
    mean = matrix.values.mean(axis=0)
    row = matrix.values[7]

    def worth(known: tuple[int, ...]) -> float:
        mixed = mean.copy()
        mixed[list(known)] = row[list(known)]
        return float(model.margin(replace(matrix.take(np.array([7])), values=mixed[None]))[0])

    for one in range(3):
        others = [k for k in range(3) if k != one]
        value = 0.0
        for size in range(3):
            share = math.factorial(size) * math.factorial(2 - size) / math.factorial(3)
            for known in itertools.combinations(others, size):
                value += share * (worth((*known, one)) - worth(known))
        assert model.contributions(matrix.take(np.array([7])))[0, one] == pytest.approx(
            value, abs=1e-5
        )


def test_contributions_of_catboost_are_shapley_values_by_their_definition(tmp_path: Path) -> None:
    """From all coalitions; a split on what is not known takes both ways, by the rows of the fit."""
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({name: rng.normal(size=400) for name in "abc"})
    told = frame.with_columns(label=(pl.col("a") * pl.col("b") + pl.col("c") > 1).cast(pl.Int8))
    data = check_table(told, DataSettings())
    fitted = fit_features(data, np.arange(400), FeatureSettings(time_parts=(), history=()))
    matrix = replace(fitted.matrix(data), label=data.label)
    model = CatBoost(iterations=3, depth=3, learning_rate=0.5).fit(matrix, FitContext())
    model._booster.save_model(str(tmp_path / "model.json"), format="json")
    trees = json.loads((tmp_path / "model.json").read_text())["oblivious_trees"]
    row = matrix.values[7]

    def worth(tree: dict[str, Any], known: tuple[int, ...]) -> float:
        values, weights = np.array(tree["leaf_values"]), np.array(tree["leaf_weights"])
        for split in tree["splits"]:  # the first is the lowest bit of a leaf's number
            one = split["float_feature_index"]
            left, right = values[::2], values[1::2]
            rows = weights[::2] + weights[1::2]
            if one in known:
                values = right if row[one] > split["border"] else left
            else:
                both = left * weights[::2] + right * weights[1::2]
                values = np.divide(both, rows, out=np.zeros_like(both), where=rows > 0)
            weights = rows
        return float(values[0])

    parts = model.contributions(matrix.take(np.array([7])))[0]
    for one in range(3):
        others, value = [k for k in range(3) if k != one], 0.0
        for size in range(3):
            share = math.factorial(size) * math.factorial(2 - size) / math.factorial(3)
            for known in itertools.combinations(others, size):
                value += share * sum(worth(t, (*known, one)) - worth(t, known) for t in trees)
        assert parts[one] == pytest.approx(value, abs=1e-6)
