"""From prepared rows to a model and its worth: once in `train`, in each fold of `backtest`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.audit.finding import Finding
from fraudml.audit.glance import warn_at_a_glance
from fraudml.audit.leaks import refuse_leaks
from fraudml.bundle import DecisionBundle, spread_of
from fraudml.config.settings import Settings
from fraudml.data.schema import Dataset
from fraudml.decisions.costs import CostMatrix, CostModel, check_amounts
from fraudml.decisions.policies import TunedPolicy, TuningRows
from fraudml.evaluation.curves import Curves, draw_curves
from fraudml.evaluation.drivers import Drivers, find_drivers
from fraudml.evaluation.fairness import Groups, judge_groups, no_groups, read_groups
from fraudml.evaluation.guard import GuardSettings, Verdict, judge
from fraudml.evaluation.out_of_fold import OutOfFold, RoundsSettings, out_of_fold
from fraudml.evaluation.rivals import compare_rivals, rivals
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.evaluation.table import Evaluation, clusters_of, evaluate
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.learners.devices import DeviceSettings, choose_device
from fraudml.learners.protocol import FitContext
from fraudml.machine import granted_threads
from fraudml.matrix import DesignMatrix
from fraudml.metrics import ScoredRows
from fraudml.progress import Deadline, Progress
from fraudml.seeds import child_seed
from fraudml.split import Fold, Split
from fraudml.workflows.parts import Parts

Rows = NDArray[np.int64]
Alerts = NDArray[np.bool_]


@dataclass(frozen=True)
class Prepared:
    """Rows that are ready to be learnt from.

    Parameters
    ----------
    dataset : Dataset
        What is still needed of the table: roles and costs.
    features : FittedFeatures
        What made the matrix.
    matrix : DesignMatrix
        One row a row of the dataset, with labels and stakes.
    costs : CostMatrix
        Of the same rows.
    findings : tuple of Finding
        What was found at a glance at the table.
    """

    dataset: Dataset
    features: FittedFeatures
    matrix: DesignMatrix
    costs: CostMatrix
    findings: tuple[Finding, ...] = ()


def prepare_rows(
    dataset: Dataset, features: FittedFeatures, matrix: DesignMatrix, cost_model: CostModel
) -> Prepared:
    """Give a matrix its labels and costs, and let go the columns behind it."""
    _groups(dataset)  # too many levels are said before any work is done
    costs = row_costs(cost_model, dataset)
    stake = np.maximum(costs.fn_cost - costs.tp_cost, 0.0)
    alarm = costs.fp_cost - costs.tn_cost
    matrix = replace(matrix, label=dataset.label, amount=stake, alarm=alarm)
    return Prepared(slim(dataset, cost_model), features, matrix, costs)


def prepare_split(
    dataset: Dataset, split: Split, settings: Settings, costs: CostModel, threads: int
) -> Prepared:
    """Make the features of a split, after a look for columns that give the label away.

    Parameters
    ----------
    dataset : Dataset
        The table.
    split : Split
        Its blocks; the feature plan is fitted on the development window.
    settings : Settings
        Features, delay, audit.
    costs : CostModel
        What each outcome costs on each row.
    threads : int
        For features that look back.
    """
    blocks = [one.rows for one in (split.development, split.test) if len(one.rows)]
    features = fit_features(
        dataset,
        blocks[0],
        settings.features,
        label_delay=settings.split.delay,
        never=frozenset(costs.columns),
    )
    found = warn_at_a_glance(dataset, {*settings.features.leave_out, *settings.audit.allow})
    refuse_leaks(dataset, blocks, sorted(features.columns), settings.audit)
    prepared = prepare_rows(dataset, features, features.matrix(dataset, threads=threads), costs)
    return replace(prepared, findings=found)


def slim(dataset: Dataset, cost_model: CostModel) -> Dataset:
    """Keep those columns of a table alone that scores, costs and groups are made of."""
    roles = dataset.schema.roles
    named = {
        *(roles.label, roles.id, roles.time, roles.entity, roles.amount, roles.group),
        *cost_model.columns,
    }
    kept = dataset.frame.select(sorted(name for name in named if name is not None))
    return replace(dataset, frame=kept)


def row_costs(cost_model: CostModel, dataset: Dataset) -> CostMatrix:
    """Say what each outcome costs on each row of a table.

    Raises
    ------
    DataError
        An amount or a cost is missing, or makes no sense.
    """
    if cost_model.needs_amount:
        roles, rows = dataset.schema.roles, dataset.facts["row"].to_numpy()
        check_amounts(dataset.amount, roles.amount, rows)
    return cost_model.costs(dataset.frame, dataset.amount)


def fit_context(settings: Settings, progress: Progress) -> FitContext:
    """Say what every fit of a run is told, but for the device, which depends on the learner."""
    return FitContext(
        seed=settings.seed,
        threads=settings.threads or granted_threads(),
        deterministic=settings.device.deterministic,
        deadline=Deadline(settings.budget.wall_clock),
        progress=progress,
    )


def on_device(
    parts: Parts, context: FitContext, settings: DeviceSettings
) -> tuple[Parts, FitContext]:
    """Settle where the learner runs, before the table is read.

    Raises
    ------
    ConfigError
        A device that was asked for by name is not there.
    """
    learner, device = choose_device(parts.recipe.learner, settings)
    recipe = replace(parts.recipe, learner=learner)
    return replace(parts, recipe=recipe), replace(context, device=device)


def fit_bundle(
    prepared: Prepared,
    rows: Rows,
    folds: Sequence[Fold],
    parts: Parts,
    context: FitContext,
    *,
    rounds: RoundsSettings,
) -> tuple[DecisionBundle, OutOfFold]:
    """Score a development window out of fold, tune on these scores, and fit on the whole window.

    Parameters
    ----------
    prepared : Prepared
        The rows.
    rows : ndarray of int64
        The development window.
    folds : sequence of Fold
        Its out-of-fold steps.
    parts : Parts
        What the model is made of.
    context : FitContext
        Seed, threads, device, deadline, progress.
    rounds : RoundsSettings
        Whether and when rounds are chosen.
    """
    scores = out_of_fold(prepared.matrix, folds, parts.recipe, context, rounds)
    label = prepared.matrix.y[scores.rows]
    calibrator = parts.calibration.fit(scores.margin, label, scores.step)
    p_fraud = calibrator.probability(scores.margin)
    tuned = parts.policy.tune(_tuning_rows(prepared, scores, p_fraud))
    window = prepared.matrix.take(rows)
    model = parts.recipe.fit(window, context, rounds=scores.rounds)
    bundle = DecisionBundle(
        schema=prepared.dataset.schema,
        features=prepared.features,
        learner=model.learner,
        offset=model.offset,
        calibrator=calibrator,
        costs=parts.costs,
        policy=tuned,
        spread=spread_of(window, p_fraud),
    )
    return bundle, scores


def _tuning_rows(prepared: Prepared, scores: OutOfFold, p_fraud: NDArray[np.float64]) -> TuningRows:
    scored = score_rows(prepared.dataset, scores.rows, scores.margin, p_fraud)
    return TuningRows(
        p_fraud,
        scored.label,
        prepared.costs.take(scores.rows),
        amount=scored.amount,
        entity=scored.entity,
        day=scored.day,
        days=scored.days,
    )


@dataclass(frozen=True)
class Details:
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
class Tested:
    """A model on rows that it has not seen.

    Parameters
    ----------
    table : DataFrame
        The columns of `test_scores.parquet`.
    evaluation : Evaluation
        What the scores and alerts are worth.
    fairness : dict
        How the alerts fall on groups, as `metrics.json` has it.
    rivals : dict
        What trivial scores are worth on the same rows; empty where nobody asked.
    details : Details, optional
        What a report shows besides; None where nobody asked.
    """

    table: pl.DataFrame
    evaluation: Evaluation
    fairness: dict[str, Any]
    rivals: dict[str, Any]
    details: Details | None = None


def try_bundle(
    prepared: Prepared,
    rows: Rows,
    bundle: DecisionBundle,
    settings: Settings,
    context: FitContext,
    *,
    rivals_fit: Rows | None = None,
    details: bool = False,
) -> Tested:
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
    rivals_fit : ndarray of int64, optional
        The rows that trivial rivals may learn from; None leaves them out.
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
    groups = _groups(tested)
    fairness = (
        no_groups()
        if groups is None
        else judge_groups(scored, made.alert, costs, groups, settings.evaluation, **drawn)
    )
    against = {}
    if rivals_fit is not None and settings.evaluation.rivals:
        against = _meet_rivals(
            prepared, rivals_fit, rows, scored, settings=settings, context=context
        )
    shown = None
    if details:
        threshold = bundle.policy.threshold
        shown = Details(
            draw_curves(
                scored, made.alert, costs, settings.evaluation, threshold=threshold, **drawn
            ),
            find_drivers(bundle.learner, matrix, made.alert, made.p),
            evaluation.clusters,
            bundle.costs,
        )
    context.progress("evaluate", 1.0)
    table = _table(prepared.dataset, rows, scored, made.alert)
    return Tested(table, evaluation, fairness, against, shown)


def _meet_rivals(
    prepared: Prepared,
    fit: Rows,
    rows: Rows,
    scored: ScoredFrame,
    *,
    settings: Settings,
    context: FitContext,
) -> dict[str, Any]:
    matrix = prepared.matrix
    found = rivals(matrix.take(fit), matrix.take(rows), scored.amount, context)
    return compare_rivals(
        ScoredRows(scored.label, y_score=scored.margin),
        found,
        clusters_of(scored),
        replicates=settings.evaluation.replicates,
        level=settings.evaluation.level,
        seed=child_seed(settings.seed, "rivals"),
        threads=context.threads,
    )


def _groups(dataset: Dataset) -> Groups | None:
    name = dataset.schema.roles.group
    return None if name is None else read_groups(dataset.frame[name])


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


def judge_model(
    evaluation: Evaluation, policy: TunedPolicy, parts: Parts, settings: GuardSettings
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


def kept_bundle(
    bundle: DecisionBundle,
    metrics: dict[str, Any],
    verdict: Verdict,
    tested: Tested | None = None,
) -> DecisionBundle | None:
    """Give a bundle what a run found about it; None where the guard refused the model.

    Scores that are shifted are told by those of the rows that the model was tested on: the models
    of the out-of-fold steps saw less, and their scores are spread otherwise.
    """
    spread = bundle.spread
    if spread is not None and tested is not None:
        spread = spread.with_score(tested.table["score"].to_numpy())
    recorded = {name: metrics[name] for name in ("data", "test", "policy", "guard")}
    return replace(bundle, record=recorded, spread=spread) if verdict.passed else None
