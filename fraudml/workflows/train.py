"""Train: from a table to a model that has been judged.

Read the table, check it against the schema, cut it into the development window and the test block,
make the features, score out of fold and forward in time for rounds, calibration and policy, fit the
recipe on the whole development window, evaluate on the test block, ask the guard, write the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import polars as pl

from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.fingerprint import fingerprint
from fraudml.data.frames import as_polars
from fraudml.data.read import load_table
from fraudml.pipeline.ablation import run_ablations
from fraudml.pipeline.components import build_components
from fraudml.pipeline.evaluate import apply_guard, evaluate_bundle
from fraudml.pipeline.fit import attach_record, fit_bundle, fit_context, resolve_device
from fraudml.pipeline.prepare import prepare_split
from fraudml.progress import Progress, silent
from fraudml.records.folder import run_folder, write_run
from fraudml.records.metrics import metrics_record
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
    with run_folder(settings) as place:
        return write_run(_train(lambda: as_polars(frame), settings, silent), place)


def run(settings: Settings, *, progress: Progress = silent) -> Run:
    """Run the command: read the table that the settings name, train, and write the run folder.

    Parameters
    ----------
    settings : Settings
        What decides the run.
    progress : Progress
        Whom to tell where it is.
    """
    with run_folder(settings) as place:
        return write_run(
            _train(
                lambda: load_table(settings.data, names=settings.features.keys), settings, progress
            ),
            place,
        )


def _train(read: Callable[[], pl.DataFrame], settings: Settings, progress: Progress) -> Run:
    if settings.from_run is not None:
        made = refit_latest(read, settings, settings.from_run, progress)
        return Run(settings, made.metrics, pl.DataFrame(), made.verdict, made.bundle)
    started = time.perf_counter()
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
    split = split_blocks(dataset, settings.split, settings.data, settings.seed)
    prepared = prepare_split(dataset, split, settings, parts.costs, context.threads)
    del dataset
    progress("features", 1.0)
    bundle, scores = fit_bundle(
        prepared,
        split.development.rows,
        split.folds,
        parts,
        context,
        rounds=settings.rounds,
    )
    proof = run_ablations(prepared, split, parts, (bundle, scores), context, settings=settings)
    tested = evaluate_bundle(
        prepared,
        split.test.rows,
        bundle,
        settings,
        context,
        baselines_fit=split.development.rows,
        details=True,
    )
    verdict = apply_guard(tested.evaluation, bundle.policy, parts, settings.guard)
    metrics = metrics_record(
        settings=settings,
        dataset=prepared.dataset,
        fingerprint=printed,
        split=split,
        scores=scores,
        calibrator=bundle.calibrator,
        policy=bundle.policy,
        tested=tested,
        proof=proof,
        verdict=verdict,
        seconds=time.perf_counter() - started,
        threads=context.threads,
        device=context.device,
    )
    kept = attach_record(bundle, metrics, verdict, tested)
    assert tested.details is not None
    return Run(settings, metrics, tested.table, verdict, kept, tested.details, prepared.findings)
