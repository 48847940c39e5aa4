"""The proof of a run: the same model without its sampler, and without its weights, beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.evaluation.out_of_fold import OutOfFold
from fraudml.evaluation.proof import PROOF_METRICS, Difference, Drawn, differences, draw
from fraudml.evaluation.scored import score_rows
from fraudml.evaluation.table import clusters_of, scored_rows
from fraudml.learners.protocol import FitContext
from fraudml.metrics import ScoredRows, measure
from fraudml.pipeline.components import Components
from fraudml.pipeline.fit import fit_bundle
from fraudml.pipeline.prepare import Prepared, Rows
from fraudml.progress import Progress
from fraudml.seeds import child_seed
from fraudml.split import Split

Fitted = tuple[DecisionBundle, OutOfFold]


def run_ablations(
    prepared: Prepared,
    split: Split,
    parts: Components,
    fitted: Fitted,
    context: FitContext,
    *,
    settings: Settings,
) -> dict[str, Any]:
    """Compare a model with the same model without its sampler, and without its weights.

    The verdicts come from the out-of-fold scores of the development window. Costs as much again as
    the model itself, for each help.

    Parameters
    ----------
    prepared : Prepared
        The rows.
    split : Split
        The blocks and the out-of-fold steps.
    parts : Components
        What the model is made of.
    fitted : tuple of DecisionBundle and OutOfFold
        The model, with its helps.
    context : FitContext
        Seed, threads, device, deadline, progress.
    settings : Settings
        Whether there is a proof at all; objective, intervals, rounds, seed.

    Returns
    -------
    dict
        What `metrics.json` has under `proof`; empty where the model has no help.
    """
    if not settings.proof or not settings.evaluation.replicates:
        return {}
    rows, proof = split.development.rows, {}
    for name, recipe in parts.recipe.ablations().items():
        told = replace(context, progress=_without(context.progress, name))
        plain = fit_bundle(
            prepared, rows, split.folds, replace(parts, recipe=recipe), told, rounds=settings.rounds
        )
        made = (_drawn(prepared, one, settings, context) for one in (fitted, plain))
        found = differences(*made, level=settings.evaluation.level)
        tested = [_decided(prepared, split.test.rows, one[0]) for one in (fitted, plain)]
        proof[name] = _record(found, _test_differences(*tested), settings.objective)
    return proof


def _without(progress: Progress, name: str) -> Progress:
    return lambda stage, share: progress(f"{stage} without {name}", share)


def _drawn(prepared: Prepared, fitted: Fitted, settings: Settings, context: FitContext) -> Drawn:
    bundle, scores = fitted
    p_fraud = bundle.calibrator.probability(scores.margin)
    costs = prepared.costs.take(scores.rows)
    scored = score_rows(prepared.dataset, scores.rows, scores.margin, p_fraud)
    alert = bundle.policy.alerts(p_fraud, costs, scored.amount)
    return draw(
        [(scored_rows(scored, alert, costs), clusters_of(scored))],
        replicates=settings.evaluation.replicates,
        seed=child_seed(settings.seed, "proof"),
        threads=context.threads,
    )


def _decided(prepared: Prepared, rows: Rows, bundle: DecisionBundle) -> ScoredRows:
    made = bundle.decide(prepared.dataset.take(rows), prepared.matrix.take(rows))
    scored = score_rows(prepared.dataset, rows, made.margin, made.p)
    return scored_rows(scored, made.alert, prepared.costs.take(rows))


def _test_differences(helped: ScoredRows, plain: ScoredRows) -> dict[str, float | None]:
    found = {}
    for name in PROOF_METRICS:
        one, other = measure(helped, name).value, measure(plain, name).value
        found[name] = None if one is None or other is None else one - other
    return found


def _record(
    found: Mapping[str, Difference], on_test: Mapping[str, float | None], objective: str
) -> dict[str, Any]:
    metrics = {
        name: {**one.to_dict(), "test_difference": on_test[name]} for name, one in found.items()
    }
    chosen = objective if objective in metrics else "average_precision"
    return {"metric": chosen, **metrics[chosen], "metrics": metrics}
