"""Metrics as scorers of scikit-learn: in cross-validation, searches, with weights and columns."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest
import sklearn
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_score,
    cross_validate,
)

from fraudml import metrics as fm
from fraudml.errors import ConfigError, DataError
from fraudml.metrics.scorers import make_scorer

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(600, 3))
Y = (RANDOM.random(600) < 1 / (1 + np.exp(3 - 2 * X[:, 0]))).astype(int)
AMOUNT = RANDOM.gamma(1.0, 60.0, 600)
DAY, ENTITY = np.arange(600) // 100, RANDOM.integers(0, 80, 600)
WEIGHT = RANDOM.integers(1, 4, 600).astype(float)
FOLDS = StratifiedKFold(3)
MODEL = LogisticRegression()
CARD = {"tp_cost": 10.0, "fp_cost": 10.0, "tn_cost": 0.0}


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("average_precision", "average_precision"),
        ("roc_auc", "roc_auc"),
        ("brier", "neg_brier_score"),
        ("log_loss", "neg_log_loss"),
        ("f_beta_1", "f1"),
        ("precision", "precision"),
        ("recall", "recall"),
    ],
)
def test_cross_validation_equals_scikit_learn(ours: str, theirs: str) -> None:
    found = cross_val_score(MODEL, X, Y, cv=FOLDS, scoring=make_scorer(ours))
    assert found == pytest.approx(cross_val_score(MODEL, X, Y, cv=FOLDS, scoring=theirs))


def test_a_metric_of_another_number_serves_a_search_beside_others() -> None:
    scoring = {name: make_scorer(name) for name in ("recall_at_fpr_0.02", "average_precision")}
    search = GridSearchCV(
        MODEL, {"C": [1e-4, 1.0]}, cv=FOLDS, scoring=scoring, refit="average_precision"
    )
    search.fit(X, Y)
    assert search.best_score_ == search.cv_results_["mean_test_average_precision"].max()
    assert np.isfinite(search.cv_results_["mean_test_recall_at_fpr_0.02"]).all()


def test_a_threshold_is_tuned_by_what_its_alerts_cost() -> None:
    scorer = make_scorer("cost", **CARD, fn_cost=100.0)
    tuned = TunedThresholdClassifierCV(MODEL, scoring=scorer, cv=FOLDS).fit(X, Y)
    costs = CARD | {"fn_cost": 100.0}
    plain = MODEL.fit(X, Y).predict(X)
    assert fm.cost(Y, tuned.predict(X), **costs) < fm.cost(Y, plain, **costs)


def test_weights_count() -> None:
    model = MODEL.fit(X, Y)
    p = model.predict_proba(X)[:, 1]
    found = make_scorer("brier")(model, X, Y, sample_weight=WEIGHT)
    assert found == pytest.approx(-fm.brier(Y, p, weight=WEIGHT))


@pytest.mark.usefixtures("routing")
def test_weights_are_passed_on_where_they_are_asked_for() -> None:
    scorer = make_scorer("average_precision").set_score_request(sample_weight=True)
    model = LogisticRegression().set_fit_request(sample_weight=False)
    found = cross_validate(model, X, Y, cv=FOLDS, scoring=scorer, params={"sample_weight": WEIGHT})[
        "test_score"
    ]
    for value, (train, test) in zip(found, FOLDS.split(X, Y), strict=True):
        score = MODEL.fit(X[train], Y[train]).decision_function(X[test])
        assert value == fm.average_precision(Y[test], score, weight=WEIGHT[test])


@pytest.mark.usefixtures("routing")
def test_columns_are_cut_by_fold() -> None:
    scoring = {
        "cards": make_scorer("card_precision_at_5"),
        "cost": make_scorer("cost", **CARD),
        "value": make_scorer("value_recall"),
    }
    params = {"day": DAY, "entity": ENTITY, "fn_cost": AMOUNT, "amount": AMOUNT}
    found = cross_validate(MODEL, X, Y, cv=FOLDS, scoring=scoring, params=params)
    for i, (train, test) in enumerate(FOLDS.split(X, Y)):
        model = MODEL.fit(X[train], Y[train])
        score, alert = model.decision_function(X[test]), model.predict(X[test])
        assert found["test_cards"][i] == fm.card_precision_at_k(
            Y[test], score, DAY[test], ENTITY[test], 5
        )
        assert found["test_cost"][i] == -fm.cost(Y[test], alert, **CARD, fn_cost=AMOUNT[test])
        assert found["test_value"][i] == fm.value_recall(Y[test], alert, AMOUNT[test])


def test_columns_by_row_need_routing() -> None:
    with pytest.raises(ConfigError, match=r"fn_cost row by row.*enable_metadata_routing"):
        make_scorer("cost", **CARD)
    with pytest.raises(ConfigError, match="day and entity row by row"):
        make_scorer("card_precision_at_100")


@pytest.mark.parametrize("metric", [each for each in fm.METRICS if each.direction != "none"])
@pytest.mark.usefixtures("routing")
def test_every_metric_that_has_a_better_side_makes_a_scorer_that_can_be_pickled(
    metric: fm.Metric,
) -> None:
    scorer = make_scorer(metric.name)
    assert metric.name in repr(scorer)
    again = pickle.loads(pickle.dumps(scorer))
    given = {"amount": AMOUNT, "day": DAY, "entity": ENTITY, **CARD, "fn_cost": AMOUNT}
    columns = {name: given[name] for name in metric.needs if name in given}
    value = scorer(MODEL.fit(X, Y), X, Y, **columns)
    assert again(MODEL, X, Y, **columns) == value
    assert np.isfinite(value)


def test_a_metric_of_ones_own_makes_a_scorer() -> None:
    own = fm.Metric("mean_p", lambda p_fraud, weight: p_fraud.mean(), ("p_fraud",), "lower", (0, 1))
    model = MODEL.fit(X, Y)
    assert make_scorer(own)(model, X, Y) == -model.predict_proba(X)[:, 1].mean()


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("alert_rate", {}, "neither when higher nor when lower"),
        ("accuracy", {}, "not a metric here"),
        ("average_precison", {}, "average_precision"),
        ("brier", {"amount": 1.0}, "brier takes no amount. Columns that it takes: none"),
    ],
)
def test_what_makes_no_scorer_is_named(name: str, columns: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_scorer(name, **columns)


def test_a_fold_without_fraud_is_an_error_that_scikit_learn_can_pass_over() -> None:
    model = DummyClassifier().fit(X, Y)
    with pytest.raises(DataError, match="no fraud"):
        make_scorer("average_precision")(model, X, np.zeros(600, int))
    with pytest.warns(UserWarning, match="no fraud"):
        found = cross_val_score(
            model, X, np.sort(Y), cv=KFold(3), scoring=make_scorer("recall"), error_score=np.nan
        )
    assert np.isnan(found).tolist() == [True, True, False]
