"""The proof of a run: the model with and without its sampler, its weights and its loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.evaluation.out_of_fold import OutOfFold
from fraudml.evaluation.paired import Difference, compare_paired
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.evaluation.table import clusters_of, scored_rows
from fraudml.learners.protocol import FitContext
from fraudml.metrics import ScoredRows, measure
from fraudml.metrics.registry import names_in
from fraudml.pipeline.components import Components
from fraudml.pipeline.fit import fit_bundle
from fraudml.pipeline.prepare import Prepared, Rows
from fraudml.progress import Progress
from fraudml.seeds import child_seed
from fraudml.split import Split

Fitted = tuple[DecisionBundle, OutOfFold]

_FULL = "the model itself"


def run_ablations(
    prepared: Prepared,
    split: Split,
    components: Components,
    fitted: Fitted,
    context: FitContext,
    *,
    settings: Settings,
) -> dict[str, Any]:
    """Compare a model with the same model without each of its interventions, for `proof`.

    The verdicts come from the out-of-fold scores of the development window. Each intervention takes
    as long as the model itself.
    """
    recipes = components.recipe.ablations()
    if not settings.proof or not settings.evaluation.replicates or not recipes:
        return {}
    models = {_FULL: fitted}
    for name, recipe in recipes.items():
        models[name] = fit_bundle(
            prepared,
            split.development.rows,
            split.folds,
            replace(components, recipe=recipe),
            replace(context, progress=_without(context.progress, name)),
            rounds=settings.rounds,
        )
    frames = {name: _out_of_fold(prepared, *model) for name, model in models.items()}
    options = settings.evaluation.options(child_seed(settings.seed, "proof"), context.threads)
    paired = compare_paired(
        {name: [rows] for name, (_, rows) in frames.items()},
        [clusters_of(frames[_FULL][0])],
        names_in("ablation"),
        options,
    )
    tested = {
        name: _on_test(prepared, split.test.rows, bundle) for name, (bundle, _) in models.items()
    }
    return {
        name: _record(
            paired.differences(_FULL, name),
            _test_differences(tested[_FULL], tested[name]),
            settings.objective,
        )
        for name in recipes
    }


def _without(progress: Progress, name: str) -> Progress:
    return lambda stage, share: progress(f"{stage} without {name}", share)


def _out_of_fold(
    prepared: Prepared, bundle: DecisionBundle, scores: OutOfFold
) -> tuple[ScoredFrame, ScoredRows]:
    p_fraud = bundle.calibrator.probability(scores.margin)
    costs = prepared.costs.take(scores.rows)
    scored = score_rows(prepared.dataset, scores.rows, scores.margin, p_fraud)
    alert = bundle.policy.alerts(p_fraud, costs, scored.amount)
    return scored, scored_rows(scored, alert, costs)


def _on_test(prepared: Prepared, rows: Rows, bundle: DecisionBundle) -> ScoredRows:
    decisions = bundle.decide(prepared.dataset.take(rows), prepared.matrix.take(rows))
    scored = score_rows(prepared.dataset, rows, decisions.margin, decisions.p)
    return scored_rows(scored, decisions.alert, prepared.costs.take(rows))


def _test_differences(full: ScoredRows, plain: ScoredRows) -> dict[str, float | None]:
    differences = {}
    for name in names_in("ablation"):
        value, without = measure(full, name).value, measure(plain, name).value
        differences[name] = None if value is None or without is None else value - without
    return differences


def _record(
    differences: Mapping[str, Difference], on_test: Mapping[str, float | None], objective: str
) -> dict[str, Any]:
    metrics = {
        name: {**difference.to_dict(), "test_difference": on_test[name]}
        for name, difference in differences.items()
    }
    deciding = objective if objective in metrics else "average_precision"
    return {"metric": deciding, **metrics[deciding], "metrics": metrics}
