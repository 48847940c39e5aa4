"""Refit: an evaluated run, fitted once more on all that is known today, to go live.

The settings are the run's. Rounds, calibration and policy follow from out-of-fold scores, as they
did in the run, over a window that now includes its test block and newer rows. No rows are left to
evaluate the model on: its metrics are those of the run, and its record says so.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import polars as pl

from fraudml.bundle import bundle_digest, read_bundle
from fraudml.config.settings import Settings
from fraudml.decisions.policies import TunedPolicy
from fraudml.errors import ConfigError, RefusedError
from fraudml.evaluation.guard import Verdict
from fraudml.pipeline.fit import fit_bundle, set_up_fit
from fraudml.pipeline.load import Read, load_dataset
from fraudml.pipeline.prepare import prepare_split
from fraudml.progress import Progress, stage
from fraudml.records.metrics import record_header
from fraudml.records.refit import EvaluatedRun, refit_record
from fraudml.records.results import Run
from fraudml.split import whole_window


def refit_latest(read: Read, settings: Settings, run: str, progress: Progress) -> Run:
    """Fit the settings of the run in folder `run` on every row whose label is known."""
    started = time.perf_counter()
    source = _evaluated_run(Path(run).expanduser())
    components, context = set_up_fit(settings, progress)
    dataset, table_hash = load_dataset(read, settings.data, progress)
    with stage(progress, "features"):
        split = whole_window(dataset, settings.split, settings.data, settings.seed)
        prepared = prepare_split(dataset, split, settings, components.costs, context.threads)
    del dataset  # prepared has the columns that are still needed
    rows = split.development.rows
    fitted = fit_bundle(prepared, rows, split.folds, components, context, rounds=settings.rounds)
    bundle, _ = fitted
    verdict = _check_constraint(bundle.policy)
    metrics = {
        **record_header(settings, started, context.threads, context.device),
        **refit_record(source, prepared.dataset, table_hash, split, fitted),
    }
    if not verdict.passed:
        metrics["guard"] = verdict.to_dict()
        return Run(settings, metrics, pl.DataFrame(), verdict, None)
    record = {name: metrics[name] for name in ("data", "test", "policy", "guard", "refit")}
    reference, source_reference = (each.reference_distribution for each in (bundle, source.bundle))
    if reference is not None and source_reference is not None:
        # Scores of rows that a model of these settings had not seen: those of the test block.
        reference = replace(reference, score=source_reference.score)
    bundle = replace(bundle, record=record, reference_distribution=reference)
    return Run(settings, metrics, pl.DataFrame(), verdict, bundle)


def _evaluated_run(folder: Path) -> EvaluatedRun:
    path = folder / "metrics.json"
    if not path.is_file():
        raise ConfigError(f"from_run: there is no '{path}'. Expected the folder of a run of train.")
    metrics = json.loads(path.read_text(encoding="utf-8"))
    if "refit" in metrics:
        raise ConfigError(
            f"from_run: '{folder}' was itself refitted, on the settings of "
            f"'{metrics['refit']['run']}'. Name that run: it has the metrics."
        )
    if not (folder / "bundle").is_dir():
        reasons = "; ".join(metrics["guard"]["reasons"])
        raise RefusedError(
            f"from_run: '{folder}' has no bundle, as the guard refused its model: {reasons}. Only "
            "a model that passed the guard is refitted."
        )
    bundle = read_bundle(folder / "bundle")
    return EvaluatedRun(folder.resolve().name, metrics, bundle, bundle_digest(folder / "bundle"))


def _check_constraint(policy: TunedPolicy) -> Verdict:
    constraint = policy.constraint
    if constraint is None or not constraint.refuses:
        return Verdict(passed=True)
    return Verdict(False, (f"on the longer window, {constraint.sentence()}",))
