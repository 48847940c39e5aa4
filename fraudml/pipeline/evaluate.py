"""Evaluation of a model on held-out rows, and the guard's verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle
from fraudml.bundle.decision import Decisions
from fraudml.config.settings import Settings
from fraudml.data.schema import Dataset
from fraudml.decisions.costs import CostMatrix, CostModel
from fraudml.decisions.policies import TunedPolicy
from fraudml.evaluation.baselines import SEED, compare_baselines, score_baselines
from fraudml.evaluation.curves import Curves, draw_curves
from fraudml.evaluation.drivers import Drivers, find_drivers
from fraudml.evaluation.fairness import judge_groups, no_groups
from fraudml.evaluation.guard import GuardSettings, Verdict, judge
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.evaluation.table import Evaluation, clusters_of, evaluate
from fraudml.learners.protocol import FitContext
from fraudml.matrix import DesignMatrix
from fraudml.metrics import ScoredRows
from fraudml.pipeline.components import Components
from fraudml.pipeline.prepare import Prepared, Rows, protected_groups
from fraudml.progress import stage
from fraudml.seeds import child_seed

Alerts = NDArray[np.bool_]


@dataclass(frozen=True)
class ReportData:
    """What a report shows of a model besides its metrics."""

    curves: Curves
    drivers: Drivers
    clusters: str
    costs: CostModel


@dataclass(frozen=True)
class HoldoutEvaluation:
    """Evaluation of a model on held-out rows; `table` has the columns of `test_scores.parquet`."""

    table: pl.DataFrame
    evaluation: Evaluation
    fairness: dict[str, Any]
    baselines: dict[str, Any]
    details: ReportData | None = None


@dataclass(frozen=True)
class _HeldOut:
    """Held-out rows with the decisions of a model."""

    dataset: Dataset
    matrix: DesignMatrix
    costs: CostMatrix
    decisions: Decisions
    scored: ScoredFrame


def evaluate_bundle(
    prepared: Prepared,
    rows: Rows,
    bundle: DecisionBundle,
    settings: Settings,
    context: FitContext,
    *,
    baselines_fit: Rows | None = None,
) -> HoldoutEvaluation:
    """Evaluate a model on held-out rows.

    `baselines_fit` names the rows that baselines learn from; without it neither they nor what a
    report shows besides are computed.
    """
    options = settings.evaluation.options(child_seed(settings.seed, "intervals"), context.threads)
    with stage(context.progress, "evaluate"):
        held_out = _decide(prepared, rows, bundle)
        scored, alert, costs = held_out.scored, held_out.decisions.alert, held_out.costs
        evaluation = evaluate(scored, alert, costs, options, guard_level=settings.guard.level)
        groups = protected_groups(held_out.dataset)
        fairness = (
            no_groups() if groups is None else judge_groups(scored, alert, costs, groups, options)
        )
        baselines: dict[str, Any] = {}
        details = None
        if baselines_fit is not None:
            if settings.evaluation.baselines:
                fit = prepared.matrix.take(baselines_fit)
                baselines = _compare_baselines(fit, held_out, settings, context)
            details = _report_data(held_out, bundle, evaluation.clusters, options)
    table = _table(prepared.dataset, rows, scored, alert)
    return HoldoutEvaluation(table, evaluation, fairness, baselines, details)


def _decide(prepared: Prepared, rows: Rows, bundle: DecisionBundle) -> _HeldOut:
    dataset, matrix = prepared.dataset.take(rows), prepared.matrix.take(rows)
    decisions = bundle.decide(dataset, matrix)
    scored = score_rows(prepared.dataset, rows, decisions.margin, decisions.p)
    return _HeldOut(dataset, matrix, prepared.costs.take(rows), decisions, scored)


def _compare_baselines(
    fit: DesignMatrix, held_out: _HeldOut, settings: Settings, context: FitContext
) -> dict[str, Any]:
    scored = held_out.scored
    return compare_baselines(
        ScoredRows(scored.label, y_score=scored.margin),
        score_baselines(fit, held_out.matrix, scored.amount, context),
        clusters_of(scored),
        settings.evaluation.options(child_seed(settings.seed, SEED), context.threads),
    )


def _report_data(
    held_out: _HeldOut, bundle: DecisionBundle, clusters: str, options: BootstrapOptions
) -> ReportData:
    decisions, threshold = held_out.decisions, bundle.policy.threshold
    curves = draw_curves(
        held_out.scored, decisions.alert, held_out.costs, options, threshold=threshold
    )
    drivers = find_drivers(bundle.learner, held_out.matrix, decisions.alert, decisions.p)
    return ReportData(curves, drivers, clusters, bundle.costs)


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
    evaluation: Evaluation, policy: TunedPolicy, components: Components, settings: GuardSettings
) -> Verdict:
    """Apply the guard to a model's held-out evaluation and to the constraint of its policy."""
    constraint, by_cost = policy.constraint, components.costs_count
    return judge(
        average_precision_bound=evaluation.average_precision_bound,
        prevalence=evaluation.prevalence,
        alerts=evaluation.alerts,
        rows=evaluation.rows,
        settings=settings,
        cost=evaluation.cost if by_cost else None,
        trivial_cost=evaluation.trivial_cost if by_cost else None,
        unmet=constraint.sentence() if constraint is not None and constraint.refuses else None,
    )
