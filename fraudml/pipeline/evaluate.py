"""Evaluation of a model on held-out rows, and the guard's verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.data.schema import Dataset
from fraudml.decisions.costs import CostModel
from fraudml.decisions.policies import TunedPolicy
from fraudml.evaluation.baselines import compare_baselines, score_baselines
from fraudml.evaluation.curves import Curves, draw_curves
from fraudml.evaluation.drivers import Drivers, find_drivers
from fraudml.evaluation.fairness import judge_groups, no_groups
from fraudml.evaluation.guard import GuardSettings, Verdict, judge
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.evaluation.table import Evaluation, clusters_of, evaluate
from fraudml.learners.protocol import FitContext
from fraudml.metrics import ScoredRows
from fraudml.pipeline.components import Components
from fraudml.pipeline.prepare import Prepared, Rows, protected_groups
from fraudml.seeds import child_seed

Alerts = NDArray[np.bool_]


@dataclass(frozen=True)
class ReportData:
    """What a report shows of a model beside its numbers.

    Parameters
    ----------
    curves : Curves
        What its scores and alerts give, threshold by threshold and period by period.
    drivers : Drivers
        What moves its scores.
    clusters : str
        What the intervals drew, with its count.
    costs : CostModel
        What its outcomes cost.
    """

    curves: Curves
    drivers: Drivers
    clusters: str
    costs: CostModel


@dataclass(frozen=True)
class HoldoutEvaluation:
    """A model on rows that it has not seen.

    Parameters
    ----------
    table : DataFrame
        The columns of `test_scores.parquet`.
    evaluation : Evaluation
        What the scores and alerts are worth.
    fairness : dict
        How the alerts fall on groups, as `metrics.json` has it.
    baselines : dict
        What trivial scores are worth on the same rows; empty where nobody asked.
    details : ReportData, optional
        What a report shows besides; None where nobody asked.
    """

    table: pl.DataFrame
    evaluation: Evaluation
    fairness: dict[str, Any]
    baselines: dict[str, Any]
    details: ReportData | None = None


def evaluate_bundle(
    prepared: Prepared,
    rows: Rows,
    bundle: DecisionBundle,
    settings: Settings,
    context: FitContext,
    *,
    baselines_fit: Rows | None = None,
    details: bool = False,
) -> HoldoutEvaluation:
    """Score rows and evaluate the scores.

    Parameters
    ----------
    prepared : Prepared
        The rows, with the features of the bundle.
    rows : ndarray of int64
        Those that are tested on.
    bundle : DecisionBundle
        The model.
    settings : Settings
        Intervals, guard and seed.
    context : FitContext
        Seed, threads, deadline.
    baselines_fit : ndarray of int64, optional
        The rows that baselines may learn from; None leaves them out.
    details : bool
        Whether a report will be made of it.
    """
    context.progress("evaluate", 0.0)
    tested = prepared.dataset.take(rows)
    matrix = prepared.matrix.take(rows)
    made = bundle.decide(tested, matrix)
    scored = score_rows(prepared.dataset, rows, made.margin, made.p)
    costs, seed = prepared.costs.take(rows), child_seed(settings.seed, "intervals")
    drawn = {"seed": seed, "threads": context.threads}
    evaluation = evaluate(
        scored, made.alert, costs, settings.evaluation, guard_level=settings.guard.level, **drawn
    )
    groups = protected_groups(tested)
    fairness = (
        no_groups()
        if groups is None
        else judge_groups(scored, made.alert, costs, groups, settings.evaluation, **drawn)
    )
    against = {}
    if baselines_fit is not None and settings.evaluation.baselines:
        against = _compare_baselines(
            prepared, baselines_fit, rows, scored, settings=settings, context=context
        )
    shown = None
    if details:
        threshold = bundle.policy.threshold
        shown = ReportData(
            draw_curves(
                scored, made.alert, costs, settings.evaluation, threshold=threshold, **drawn
            ),
            find_drivers(bundle.learner, matrix, made.alert, made.p),
            evaluation.clusters,
            bundle.costs,
        )
    context.progress("evaluate", 1.0)
    table = _table(prepared.dataset, rows, scored, made.alert)
    return HoldoutEvaluation(table, evaluation, fairness, against, shown)


def _compare_baselines(
    prepared: Prepared,
    fit: Rows,
    rows: Rows,
    scored: ScoredFrame,
    *,
    settings: Settings,
    context: FitContext,
) -> dict[str, Any]:
    matrix = prepared.matrix
    found = score_baselines(matrix.take(fit), matrix.take(rows), scored.amount, context)
    return compare_baselines(
        ScoredRows(scored.label, y_score=scored.margin),
        found,
        clusters_of(scored),
        replicates=settings.evaluation.replicates,
        level=settings.evaluation.level,
        seed=child_seed(settings.seed, "rivals"),
        threads=context.threads,
    )


def _table(dataset: Dataset, rows: Rows, scored: ScoredFrame, alert: Alerts) -> pl.DataFrame:
    """The columns of `test_scores.parquet`, roles as they came."""
    roles, raw = dataset.schema.roles, dataset.frame[rows]

    def role(name: str | None) -> pl.Series:
        return pl.Series([None]).new_from_index(0, len(rows)) if name is None else raw[name]

    return pl.DataFrame(
        {
            "id": scored.frame["row"] if roles.id is None else raw[roles.id],
            "time": role(roles.time),
            "entity": role(roles.entity),
            "amount": role(roles.amount),
            "label": scored.frame["label"],
            "margin": scored.frame["margin"],
            "score": scored.frame["p"],
            "alert": alert,
        }
    )


def apply_guard(
    evaluation: Evaluation, policy: TunedPolicy, parts: Components, settings: GuardSettings
) -> Verdict:
    """Ask the guard about a model on its test rows, and its policy whether it keeps its promise."""
    unmet = policy.constraint
    return judge(
        average_precision_bound=evaluation.average_precision_bound,
        prevalence=evaluation.prevalence,
        alerts=evaluation.alerts,
        rows=evaluation.rows,
        settings=settings,
        cost=evaluation.cost if parts.costs_count else None,
        trivial_cost=evaluation.trivial_cost if parts.costs_count else None,
        unmet=unmet.sentence() if unmet is not None and unmet.refuses else None,
    )
