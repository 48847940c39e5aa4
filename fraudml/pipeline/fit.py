"""From prepared rows to a model: out-of-fold scores, tuning, the fit on the whole window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.decisions.policies import TuningRows
from fraudml.evaluation.guard import Verdict
from fraudml.evaluation.out_of_fold import OutOfFold, RoundsSettings, out_of_fold
from fraudml.evaluation.scored import score_rows
from fraudml.learners.devices import DeviceSettings, choose_device
from fraudml.learners.protocol import FitContext
from fraudml.machine import thread_count
from fraudml.pipeline.components import Components, build_components
from fraudml.pipeline.evaluate import HoldoutEvaluation
from fraudml.pipeline.prepare import Prepared, Rows
from fraudml.progress import Deadline, Progress
from fraudml.shift import reference_distribution
from fraudml.split import Fold


def fit_context(settings: Settings, progress: Progress) -> FitContext:
    """Return the execution context of every fit; the device still depends on the learner."""
    return FitContext(
        seed=settings.seed,
        threads=thread_count(settings.threads),
        deterministic=settings.device.deterministic,
        deadline=Deadline(settings.budget.wall_clock),
        progress=progress,
    )


def resolve_device(
    components: Components, context: FitContext, settings: DeviceSettings
) -> tuple[Components, FitContext]:
    """Choose the device of the learner; a named device that is missing raises `ConfigError`."""
    learner, device = choose_device(components.recipe.learner, settings)
    recipe = replace(components.recipe, learner=learner)
    return replace(components, recipe=recipe), replace(context, device=device)


def set_up_fit(settings: Settings, progress: Progress) -> tuple[Components, FitContext]:
    """Build components and context before any table is read, so that a wrong config fails first."""
    components, context = build_components(settings), fit_context(settings, progress)
    return resolve_device(components, context, settings.device)


def fit_bundle(
    prepared: Prepared,
    rows: Rows,
    folds: Sequence[Fold],
    components: Components,
    context: FitContext,
    *,
    rounds: RoundsSettings,
) -> tuple[DecisionBundle, OutOfFold]:
    """Score a development window out of fold, tune on these scores, and fit on the whole window."""
    scores = out_of_fold(prepared.matrix, folds, components.recipe, context, rounds)
    label = prepared.matrix.y[scores.rows]
    calibrator = components.calibration.fit(scores.margin, label, scores.step)
    p_fraud = calibrator.probability(scores.margin)
    policy = components.policy.tune(_tuning_rows(prepared, scores, p_fraud))
    window = prepared.matrix.take(rows)
    model = components.recipe.fit(window, context, rounds=scores.rounds)
    bundle = DecisionBundle(
        schema=prepared.dataset.schema,
        features=prepared.features,
        learner=model.learner,
        offset=model.offset,
        calibrator=calibrator,
        costs=components.costs,
        policy=policy,
        reference_distribution=reference_distribution(window, p_fraud),
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


def attach_record(
    bundle: DecisionBundle, metrics: dict[str, Any], verdict: Verdict, holdout: HoldoutEvaluation
) -> DecisionBundle | None:
    """Attach a run's record to its bundle; None where the guard refused the model."""
    if not verdict.passed:
        return None
    reference = bundle.reference_distribution
    if reference is not None:
        # Out-of-fold models saw fewer rows, and their scores are distributed differently: drift is
        # measured against the scores of the held-out rows.
        reference = reference.with_score(holdout.table["score"].to_numpy())
    record = {name: metrics[name] for name in ("data", "test", "policy", "guard")}
    return replace(bundle, record=record, reference_distribution=reference)
