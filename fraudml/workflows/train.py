"""Train: from a table to an evaluated model.

Read the table, check it against the schema, cut it into the development window and the test block,
compute features, score out of fold and forward in time for rounds, calibration and policy, fit the
recipe on the whole development window, evaluate on the test block, apply the guard, write the run.
"""

from __future__ import annotations

import time
from typing import Any

from fraudml.config.settings import Settings
from fraudml.data.frames import as_polars
from fraudml.pipeline.ablation import run_ablations
from fraudml.pipeline.evaluate import apply_guard, evaluate_bundle
from fraudml.pipeline.fit import attach_record, fit_bundle, set_up_fit
from fraudml.pipeline.load import Read, load_dataset, table_of
from fraudml.pipeline.prepare import prepare_split
from fraudml.progress import Progress, silent, stage
from fraudml.records.folder import run_folder, write_run
from fraudml.records.metrics import metrics_record, record_header
from fraudml.records.results import Run
from fraudml.split import split_blocks
from fraudml.workflows.refit import refit_latest


def train(frame: Any, settings: Settings | None = None) -> Run:
    """Train on a table from Python: the same run as the command's, with no Hydra and no output.

    Parameters
    ----------
    frame : polars or pandas DataFrame
        The table; `settings.data` says what its columns mean.
    settings : Settings, optional
        What decides the run. The run folder is written only where `output_dir` is set.

    Returns
    -------
    Run
        With the metrics, the test block's scores and, where the guard passed it, the bundle.

    Raises
    ------
    FraudmlError
        The config or the data are wrong; the class says which. A refused model raises nothing: see
        `Run.refusal`.

    Examples
    --------
    >>> import fraudml
    >>> from fraudml.config.settings import DataSettings
    >>> settings = fraudml.Settings(data=DataSettings(labels_complete=True))
    >>> settings.data.columns.label
    'label'
    """
    settings = Settings() if settings is None else settings
    if settings.output_dir is None:
        return _train(lambda: as_polars(frame), settings, silent)
    with run_folder(settings) as paths:
        return write_run(_train(lambda: as_polars(frame), settings, silent), paths)


def run(settings: Settings, *, progress: Progress = silent) -> Run:
    """Run the command: train on the table that the settings name, and write the run folder."""
    with run_folder(settings) as paths:
        return write_run(_train(table_of(settings), settings, progress), paths)


def _train(read: Read, settings: Settings, progress: Progress) -> Run:
    if settings.from_run is not None:
        return refit_latest(read, settings, settings.from_run, progress)
    started = time.perf_counter()
    components, context = set_up_fit(settings, progress)
    dataset, table_hash = load_dataset(read, settings.data, progress)
    with stage(progress, "features"):
        split = split_blocks(dataset, settings.split, settings.data, settings.seed)
        prepared = prepare_split(dataset, split, settings, components.costs, context.threads)
    del dataset  # prepared has the columns that are still needed
    development = split.development.rows
    fitted = fit_bundle(
        prepared, development, split.folds, components, context, rounds=settings.rounds
    )
    proof = run_ablations(prepared, split, components, fitted, context, settings=settings)
    bundle, _ = fitted
    holdout = evaluate_bundle(
        prepared, split.test.rows, bundle, settings, context, baselines_fit=development
    )
    verdict = apply_guard(holdout.evaluation, bundle.policy, components, settings.guard)
    metrics = {
        **record_header(settings, started, context.threads, context.device),
        **metrics_record(prepared.dataset, table_hash, split, fitted, holdout),
        "proof": proof,
        "guard": verdict.to_dict(),
    }
    bundle_with_record = attach_record(bundle, metrics, verdict, holdout)
    return Run(
        settings,
        metrics,
        holdout.table,
        verdict,
        bundle_with_record,
        holdout.details,
        prepared.findings,
    )
