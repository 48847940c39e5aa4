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
from fraudml.machine import granted_threads
from fraudml.pipeline.components import Components
from fraudml.pipeline.evaluate import HoldoutEvaluation
from fraudml.pipeline.prepare import Prepared, Rows
from fraudml.progress import Deadline, Progress
from fraudml.shift import reference_distribution
from fraudml.split import Fold


def fit_context(settings: Settings, progress: Progress) -> FitContext:
    """Say what every fit of a run is told, but for the device, which depends on the learner."""
    return FitContext(
        seed=settings.seed,
        threads=settings.threads or granted_threads(),
        deterministic=settings.device.deterministic,
        deadline=Deadline(settings.budget.wall_clock),
        progress=progress,
    )


def resolve_device(
    parts: Components, context: FitContext, settings: DeviceSettings
) -> tuple[Components, FitContext]:
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
    parts: Components,
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
    parts : Components
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
    bundle: DecisionBundle,
    metrics: dict[str, Any],
    verdict: Verdict,
    tested: HoldoutEvaluation | None = None,
) -> DecisionBundle | None:
    """Give a bundle what a run found about it; None where the guard refused the model.

    The reference of the score is that of the test block: the models of the out-of-fold steps saw
    fewer rows, and their scores are distributed differently.
    """
    reference = bundle.reference_distribution
    if reference is not None and tested is not None:
        reference = reference.with_score(tested.table["score"].to_numpy())
    recorded = {name: metrics[name] for name in ("data", "test", "policy", "guard")}
    if not verdict.passed:
        return None
    return replace(bundle, record=recorded, reference_distribution=reference)
