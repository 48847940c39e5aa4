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
from fraudml.evaluation.proof import Drawn, differences, draw
from fraudml.learners.protocol import FitContext
from fraudml.learners.sklearn import SklearnLearner
from fraudml.matrix import DesignMatrix, mask_unseen_categories
from fraudml.metrics import Clusters, ScoredRows, average_precision
from fraudml.progress import silent
from fraudml.seeds import child_seed

Floats = NDArray[np.float64]

METRICS = ("average_precision", "recall_at_fpr_0.01")
"""What baselines and model are compared by."""

MOST_ROWS = 200_000
"""Legitimate rows that a baseline looks at; frauds are all looked at."""

_PRIOR_ROWS = 20.0
"""Rows at the base rate that every category starts with."""


@dataclass(frozen=True)
class Baseline:
    """A score that costs next to nothing.

    Parameters
    ----------
    score : ndarray of float64, optional
        Of the test rows; None where there is none.
    detail : str, optional
        Which column it is, or why there is no score.
    """

    score: Floats | None
    detail: str | None = None


def score_baselines(
    fit: DesignMatrix, test: DesignMatrix, amount: Floats | None, context: FitContext
) -> Mapping[str, Baseline]:
    """Score test rows by a constant, by chance, by amount, by one column, and by a line.

    `best_column` is the column, in the direction and with a place for missing values, whose average
    precision is highest on the development window; a category counts by its share of frauds there.
    `logistic` is a logistic regression on imputed, scaled columns. Both are fitted on all frauds
    and at most 200,000 other rows: a sort of these a column, and a few seconds.

    Parameters
    ----------
    fit, test : DesignMatrix
        The development window with labels, and the test rows, of the same columns.
    amount : ndarray of float64, optional
        Of the test rows; NaN where not known.
    context : FitContext
        Seed, threads, deadline.
    """
    test = mask_unseen_categories(fit, test)
    rng = np.random.default_rng(child_seed(context.seed, "rivals"))
    seen = fit.take(_few(fit, rng))
    return {
        "constant": Baseline(np.zeros(len(test))),
        "random": Baseline(rng.random(len(test))),
        "amount": _by_amount(amount),
        "best_column": _by_best_column(seen, test),
        "logistic": _by_line(seen, test, context),
    }


def compare_baselines(
    model: ScoredRows,
    found: Mapping[str, Baseline],
    clusters: Clusters,
    *,
    replicates: int,
    level: float,
    seed: int,
    threads: int,
) -> dict[str, Any]:
    """Return each baseline's metrics, and how far the model is ahead, as `metrics.json` has them.

    Parameters
    ----------
    model : ScoredRows
        The test rows with the model's scores.
    found : mapping
        What `baselines` gave.
    clusters : Clusters
        What the intervals draw together.
    replicates, level, seed, threads
        For the bootstrap; 0 replicates leave the intervals out.
    """

    def drawn(score: Floats) -> Drawn:
        rows = ScoredRows(model.y_true, y_score=score)
        return draw(
            [(rows, clusters)],
            metrics=METRICS,
            replicates=max(replicates, 1),
            seed=seed,
            threads=threads,
        )

    own, record = drawn(model.y_score), {}
    for name, baseline in found.items():
        if baseline.score is None:
            record[name] = {**dict.fromkeys(METRICS), "reason": baseline.detail}
            continue
        theirs = drawn(baseline.score)
        ahead = differences(own, theirs, level=level)
        record[name] = {
            **({} if baseline.detail is None else {"column": baseline.detail}),
            **{metric: _entry(theirs, ahead[metric].to_dict(), metric) for metric in METRICS},
        }
        if not replicates:
            _leave_out_intervals(record[name])
    return record


def _entry(drawn: Drawn, ahead: Mapping[str, Any], metric: str) -> dict[str, Any]:
    kept = ("difference", "low", "high")
    return {"value": drawn.mean().values[metric], "ahead": {name: ahead[name] for name in kept}}


def _leave_out_intervals(record: dict[str, Any]) -> None:
    for metric in METRICS:
        record[metric]["ahead"] |= {"low": None, "high": None}


def _few(fit: DesignMatrix, rng: np.random.Generator) -> NDArray[np.int64]:
    frauds, others = np.flatnonzero(fit.y == 1), np.flatnonzero(fit.y == 0)
    if len(others) > MOST_ROWS:
        others = rng.choice(others, MOST_ROWS, replace=False)
    return np.sort(np.concatenate([frauds, others]))


def _by_amount(amount: Floats | None) -> Baseline:
    if amount is None:
        return Baseline(None, "no column has the role of the amount")
    return Baseline(np.nan_to_num(amount, nan=-1.0))


def _by_best_column(fit: DesignMatrix, test: DesignMatrix) -> Baseline:
    best, score, column = -1.0, np.zeros(len(test)), ""
    for position, name in enumerate(test.names):
        seen, tested = _column(fit, fit, position), _column(fit, test, position)
        for sign, missing in _READINGS[: 4 if np.isnan(seen).any() else 2]:
            found = average_precision(fit.y, _known(sign * seen, missing))
            if found > best:
                best, score, column = found, _known(sign * tested, missing), name
    return Baseline(score, column)


_READINGS = ((1, -1e308), (-1, -1e308), (1, 1e308), (-1, 1e308))
"""A column may speak for fraud where it is high or low, and where it is missing or not."""


def _column(fit: DesignMatrix, of: DesignMatrix, position: int) -> Floats:
    values = of.values[:, position].astype(np.float64)
    if position not in fit.categorical:
        return values
    seen, codes = fit.values[:, position].astype(np.int64), values.astype(np.int64)
    size = int(max(seen.max(initial=0), codes.max(initial=0))) + 1
    rate = float(np.mean(fit.y))
    frauds = np.bincount(seen, weights=fit.y, minlength=size) + rate * _PRIOR_ROWS
    return np.asarray((frauds / (np.bincount(seen, minlength=size) + _PRIOR_ROWS))[codes])


def _known(score: Floats, missing: float) -> Floats:
    return np.nan_to_num(score, nan=missing, posinf=1e307, neginf=-1e307)


def _by_line(fit: DesignMatrix, test: DesignMatrix, context: FitContext) -> Baseline:
    learner = SklearnLearner(
        "sklearn.linear_model.LogisticRegression",
        preprocess="impute_scale",
        max_iter=300,
        tol=1e-3,
    )
    told = replace(context, device="cpu", progress=silent, loss=None)
    try:
        return Baseline(learner.fit(fit.with_weight(None), told).margin(test))
    except (BudgetError, DataError) as error:
        return Baseline(None, str(error))
