"""Trivial baselines: what they are fitted on, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from fraudml.evaluation.baselines import Baseline, compare_baselines, score_baselines
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.learners.protocol import FitContext
from fraudml.matrix import FIRST_LEVEL_CODE, UNSEEN_CODE, DesignMatrix
from fraudml.metrics import ScoredRows, choose_clusters
from fraudml.metrics.registry import names_in
from fraudml.progress import Deadline

NAMES = ("weak", "strong, low", "gaps", "kind")


def matrix(size: int, seed: int, *, gaps: bool = False) -> DesignMatrix:
    """Frauds have a low second column; with `gaps`, what is missing in the third speaks for one."""
    rng = np.random.default_rng(seed)
    label = (rng.random(size) < 0.05).astype(np.int8)
    values = rng.normal(size=(size, 4))
    values[:, 0] += 0.5 * label
    values[:, 1] -= 2.0 * label
    values[rng.random(size) < np.where(label & gaps, 0.9, 0.001), 2] = np.nan
    values[:, 3] = FIRST_LEVEL_CODE + rng.integers(0, 5, size)
    return DesignMatrix(values.astype(np.float32), NAMES, (3,), label=label)


def compared(
    model: ScoredRows, baselines: Mapping[str, Baseline], *, replicates: int
) -> dict[str, Any]:
    rows = choose_clusters(n_rows=len(model))
    return compare_baselines(model, baselines, rows, BootstrapOptions(replicates=replicates))


def test_the_best_column_is_found_in_its_direction() -> None:
    fit, test = matrix(4000, 0), matrix(2000, 1)
    found = score_baselines(fit, test, None, FitContext())["best_column"]
    assert found.detail == "strong, low"
    assert found.score is not None
    expected = average_precision_score(test.y, -test.values[:, 1])
    assert average_precision_score(test.y, found.score) == pytest.approx(expected)


def test_what_is_missing_can_be_the_best_column() -> None:
    fit, test = (matrix(size, seed, gaps=True) for size, seed in ((4000, 0), (2000, 1)))
    found = score_baselines(fit, test, None, FitContext())
    assert found["best_column"].detail == "gaps"
    score = found["best_column"].score
    assert average_precision_score(test.y, score) > 0.7


def test_a_category_counts_by_its_share_of_frauds_in_the_development_window() -> None:
    fit, test = matrix(4000, 0), matrix(2000, 1)
    for one in (fit, test):
        one.values[:, 3] = FIRST_LEVEL_CODE + 3 * one.y
        one.values[:, :3] = 0
    test.values[:5, 3] = FIRST_LEVEL_CODE + 9  # never seen
    found = score_baselines(fit, test, None, FitContext())["best_column"]
    assert found.detail == "kind"
    assert found.score is not None
    assert np.unique(found.score[:5]).size == 1
    assert found.score[5:][test.y[5:] == 1].min() > found.score[5:][test.y[5:] == 0].max()
    assert (test.values[:5, 3] != UNSEEN_CODE).all()  # the caller's rows stay as they are


def test_baselines_do_not_see_test_labels() -> None:
    fit, test = matrix(4000, 0), matrix(2000, 1)
    blind = DesignMatrix(test.values, test.names, test.categorical)
    seen, unseen = (score_baselines(fit, one, None, FitContext()) for one in (test, blind))
    for name in seen:
        assert (seen[name].score is None) == (unseen[name].score is None)
        if seen[name].score is not None:
            assert np.array_equal(seen[name].score, unseen[name].score)


def test_the_line_is_scikit_learns() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    fit, test = matrix(4000, 0), matrix(2000, 1)
    columns = [
        np.column_stack(
            [np.nan_to_num(one.values[:, :3]), np.eye(5)[one.values[:, 3].astype(int) - 2]]
        )
        for one in (fit, test)
    ]
    scaler = StandardScaler().fit(columns[0])
    model = LogisticRegression(max_iter=300).fit(scaler.transform(columns[0]), fit.y)
    expected = average_precision_score(
        test.y, model.decision_function(scaler.transform(columns[1]))
    )
    found = score_baselines(fit, test, None, FitContext())["logistic"].score
    assert average_precision_score(test.y, found) == pytest.approx(expected, abs=0.01)


def test_without_time_or_amount_the_reason_stands_there() -> None:
    context = FitContext(deadline=Deadline(1e-9))
    found = score_baselines(matrix(500, 0), matrix(500, 1), None, context)
    assert found["amount"] == Baseline(None, "no column has the role of the amount")
    assert found["logistic"].score is None
    assert "Time budget exhausted" in str(found["logistic"].detail)


def test_the_model_is_compared_row_by_row_on_the_same_replicates() -> None:
    fit, test = matrix(4000, 0), matrix(2000, 1)
    model = ScoredRows(test.y, y_score=-test.values[:, 1].astype(float))
    amount = np.where(np.arange(2000) % 7 == 0, np.nan, 1.0 * np.arange(2000))
    record = compared(model, score_baselines(fit, test, amount, FitContext()), replicates=200)
    assert list(record) == ["constant", "random", "amount", "best_column", "logistic"]
    assert record["constant"]["average_precision"]["value"] == pytest.approx(test.y.mean())
    same = record["best_column"]["average_precision"]
    assert same["ahead"] == {"difference": 0.0, "low": 0.0, "high": 0.0}
    ahead = record["random"]["average_precision"]["ahead"]
    assert 0 < ahead["low"] < ahead["difference"] < ahead["high"]
    assert record["best_column"]["column"] == "strong, low"


def test_without_replicates_there_are_no_intervals() -> None:
    fit, test = matrix(2000, 0), matrix(1000, 1)
    model = ScoredRows(test.y, y_score=-test.values[:, 1].astype(float))
    record = compared(model, score_baselines(fit, test, None, FitContext()), replicates=0)
    assert record["amount"] == {
        **dict.fromkeys(names_in("baselines")),
        "reason": "no column has the role of the amount",
    }
    ahead = record["random"]["average_precision"]["ahead"]
    assert ahead["difference"] > 0
    assert ahead["low"] is None
