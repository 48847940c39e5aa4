"""Baselines: simple scores that the model is compared with on the test block.

They show what the model adds; the guard does not use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BudgetError, DataError
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.paired import compare_paired
from fraudml.learners.protocol import FitContext
from fraudml.learners.sklearn import SklearnLearner
from fraudml.matrix import DesignMatrix, mask_unseen_categories
from fraudml.metrics import Clusters, ScoredRows, average_precision
from fraudml.metrics.registry import names_in
from fraudml.progress import silent
from fraudml.seeds import child_seed

Floats = NDArray[np.float64]

SEED = "rivals"
"""The name that their random choices derive from; another one would change their numbers."""

MAX_LEGITIMATE = 200_000
"""Legitimate rows that a baseline is fitted on, at most; all frauds are used."""

_PRIOR_ROWS = 20.0
"""Rows at the base rate that every category starts with."""


@dataclass(frozen=True)
class Baseline:
    """A simple score of the test rows, and which column it is; or why there is none."""

    score: Floats | None
    detail: str | None = None


def score_baselines(
    fit: DesignMatrix, test: DesignMatrix, amount: Floats | None, context: FitContext
) -> Mapping[str, Baseline]:
    """Score test rows by a constant, at random, by amount, by one column, and by a linear model.

    `best_column` is the column, in the direction and with a place for missing values, whose average
    precision is highest on the development window; a category counts by its share of frauds there.
    `logistic` is a logistic regression on imputed, scaled columns. Both are fitted on all frauds
    and at most 200,000 other rows of `fit`, the development window: a sort of these a column, and a
    few seconds. `amount` is that of the test rows, NaN where not known.
    """
    test = mask_unseen_categories(fit, test)
    rng = np.random.default_rng(child_seed(context.seed, SEED))
    sample = fit.take(_sample(fit, rng))
    return {
        "constant": Baseline(np.zeros(len(test))),
        "random": Baseline(rng.random(len(test))),
        "amount": _by_amount(amount),
        "best_column": _by_best_column(sample, test),
        "logistic": _by_logistic_regression(sample, test, context),
    }


def compare_baselines(
    model: ScoredRows,
    baselines: Mapping[str, Baseline],
    clusters: Clusters,
    options: BootstrapOptions,
) -> dict[str, Any]:
    """Return each baseline's metrics, and how far the model is ahead, as `metrics.json` has them.

    `model` has the test rows with the model's scores; `baselines` come from `score_baselines`.
    """
    metrics = names_in("baselines")
    models = {
        name: [ScoredRows(model.y_true, y_score=baseline.score)]
        for name, baseline in baselines.items()
        if baseline.score is not None
    }
    paired = compare_paired({"model": [model], **models}, [clusters], metrics, options)
    record: dict[str, Any] = {}
    for name, baseline in baselines.items():
        if baseline.score is None:
            record[name] = {**dict.fromkeys(metrics), "reason": baseline.detail}
            continue
        values, ahead = paired.mean(name).values, paired.differences("model", name)
        record[name] = {} if baseline.detail is None else {"column": baseline.detail}
        record[name] |= {
            metric: {"value": values[metric], "ahead": ahead[metric].interval()}
            for metric in metrics
        }
    return record


def _sample(fit: DesignMatrix, rng: np.random.Generator) -> NDArray[np.int64]:
    """All frauds, and as many of the other rows as a baseline is fitted on."""
    frauds, legitimate = np.flatnonzero(fit.y == 1), np.flatnonzero(fit.y == 0)
    if len(legitimate) > MAX_LEGITIMATE:
        legitimate = rng.choice(legitimate, MAX_LEGITIMATE, replace=False)
    return np.sort(np.concatenate([frauds, legitimate]))


def _by_amount(amount: Floats | None) -> Baseline:
    if amount is None:
        return Baseline(None, "no column has the role of the amount")
    return Baseline(np.nan_to_num(amount, nan=-1.0))


def _by_best_column(fit: DesignMatrix, test: DesignMatrix) -> Baseline:
    best, score, column = -1.0, np.zeros(len(test)), ""
    for position, name in enumerate(test.names):
        fitted, tested = _column(fit, fit, position), _column(fit, test, position)
        for sign, missing in _READINGS[: 4 if np.isnan(fitted).any() else 2]:
            precision = average_precision(fit.y, _fill(sign * fitted, missing))
            if precision > best:
                best, score, column = precision, _fill(sign * tested, missing), name
    return Baseline(score, column)


_READINGS = ((1, -1e308), (-1, -1e308), (1, 1e308), (-1, 1e308))
"""Sign and fill of a column: high or low values, and missing ones or not, may point to fraud."""


def _column(fit: DesignMatrix, rows: DesignMatrix, position: int) -> Floats:
    """A column as numbers; a category is its smoothed share of frauds in the fitted rows."""
    values = rows.values[:, position].astype(np.float64)
    if position not in fit.categorical:
        return values
    fitted, codes = fit.values[:, position].astype(np.int64), values.astype(np.int64)
    size = int(max(fitted.max(initial=0), codes.max(initial=0))) + 1
    rate = float(np.mean(fit.y))
    frauds = np.bincount(fitted, weights=fit.y, minlength=size) + rate * _PRIOR_ROWS
    return np.asarray((frauds / (np.bincount(fitted, minlength=size) + _PRIOR_ROWS))[codes])


def _fill(score: Floats, missing: float) -> Floats:
    return np.nan_to_num(score, nan=missing, posinf=1e307, neginf=-1e307)


def _by_logistic_regression(fit: DesignMatrix, test: DesignMatrix, context: FitContext) -> Baseline:
    learner = SklearnLearner(
        "sklearn.linear_model.LogisticRegression",
        preprocess="impute_scale",
        max_iter=300,
        tol=1e-3,
    )
    own = replace(context, device="cpu", progress=silent, loss=None)
    try:
        return Baseline(learner.fit(fit.with_weight(None), own).margin(test))
    except (BudgetError, DataError) as error:
        return Baseline(None, str(error))
