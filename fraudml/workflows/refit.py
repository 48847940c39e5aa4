"""Refit: a run that was judged, fitted once more on all that is known today, to go live.

The settings are the run's. Rounds, calibration and policy follow from out-of-fold scores, as they
did in the run, over a window that now holds its test block and what came since. So nothing is left
to judge the model on: its numbers are those of the run that it comes from, and it says so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from fraudml.bundle import DecisionBundle, bundle_digest, read_bundle
from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.fingerprint import fingerprint
from fraudml.decisions.policies import TunedPolicy
from fraudml.errors import ConfigError, RefusedError
from fraudml.evaluation.guard import Verdict
from fraudml.pipeline.components import build_components
from fraudml.pipeline.fit import fit_bundle, fit_context, resolve_device
from fraudml.pipeline.prepare import prepare_split
from fraudml.progress import Progress
from fraudml.records.metrics import (
    SCHEMA_VERSION,
    run_record,
)
from fraudml.records.refit import Judged, record
from fraudml.split import whole_window


@dataclass(frozen=True)
class Refitted:
    """A model that was fitted on everything.

    Parameters
    ----------
    metrics : dict
        What `metrics.json` holds.
    verdict : Verdict
        Whether the policy still keeps its promise.
    bundle : DecisionBundle, optional
        The model; None where it does not.
    """

    metrics: dict[str, Any]
    verdict: Verdict
    bundle: DecisionBundle | None


def refit_latest(
    read: Callable[[], pl.DataFrame], settings: Settings, run: str, progress: Progress
) -> Refitted:
    """Fit the settings of a run on every row whose label is known.

    Parameters
    ----------
    read : callable
        Gives the table.
    settings : Settings
        The run's.
    run : str
        Its folder.
    progress : Progress
        Whom to tell where it is.

    Raises
    ------
    ConfigError
        The folder is of no run of `train`, or of one that was itself refitted.
    RefusedError
        The run has no bundle: the guard refused its model.
    BundleError
        Its bundle is damaged.
    """
    started = time.perf_counter()
    judged = _judged_run(Path(run).expanduser())
    parts, context = resolve_device(
        build_components(settings), fit_context(settings, progress), settings.device
    )
    progress("read", 0.0)
    table = read()
    progress("read", 1.0)
    printed = fingerprint(table)
    dataset = check_table(table, settings.data)
    del table
    progress("features", 0.0)
    split = whole_window(dataset, settings.split, settings.data, settings.seed)
    prepared = prepare_split(dataset, split, settings, parts.costs, context.threads)
    progress("features", 1.0)
    bundle, scores = fit_bundle(
        prepared, split.development.rows, split.folds, parts, context, rounds=settings.rounds
    )
    verdict = _promise_kept(bundle.policy)
    metrics = {
        "schema_version": SCHEMA_VERSION,
        "run": run_record(settings, time.perf_counter() - started, context.threads, context.device),
        **record(
            judged,
            dataset=prepared.dataset,
            printed=printed,
            split=split,
            scores=scores,
            bundle=bundle,
        ),
    }
    if not verdict.passed:
        return Refitted({**metrics, "guard": verdict.to_dict()}, verdict, None)
    reference = bundle.reference_distribution
    judged_reference = judged.bundle.reference_distribution
    if reference is not None and judged_reference is not None:
        # The scores of rows that a model of these settings had not seen: its test block's.
        reference = replace(reference, score=judged_reference.score)
    kept = ("data", "test", "policy", "guard", "refit")
    recorded = {name: metrics[name] for name in kept}
    bundle = replace(bundle, record=recorded, reference_distribution=reference)
    return Refitted(metrics, verdict, bundle)


def _judged_run(folder: Path) -> Judged:
    place = folder / "metrics.json"
    if not place.is_file():
        raise ConfigError(
            f"from_run: there is no '{place}'. Expected the folder of a run of train."
        )
    metrics = json.loads(place.read_text(encoding="utf-8"))
    if "refit" in metrics:
        raise ConfigError(
            f"from_run: '{folder}' was itself refitted, on the settings of "
            f"'{metrics['refit']['run']}'. Name that run: it has the numbers."
        )
    if not (folder / "bundle").is_dir():
        reasons = "; ".join(metrics["guard"]["reasons"])
        raise RefusedError(
            f"from_run: '{folder}' has no bundle, as the guard refused its model: {reasons}. Only "
            "a model that was judged and passed is refitted."
        )
    bundle = read_bundle(folder / "bundle")
    name = folder.resolve().name
    return Judged(name, metrics, bundle, bundle_digest(folder / "bundle"))


def _promise_kept(policy: TunedPolicy) -> Verdict:
    promise = policy.constraint
    if promise is None or not promise.refuses:
        return Verdict(passed=True)
    return Verdict(False, (f"on the longer window, {promise.sentence()}",))
