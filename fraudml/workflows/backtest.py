"""Backtest: evaluate a model that is refitted as labels arrive, period after period.

Read the table, cut it into prequential folds, compute aggregates of history once for all of them;
in each fold fit the features and the recipe on the training period, tune on its out-of-fold scores
and test on what follows the label delay; apply the guard to the last model, write the run.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.data.frames import as_polars
from fraudml.learners.protocol import FitContext
from fraudml.pipeline.components import Components
from fraudml.pipeline.evaluate import apply_guard, evaluate_bundle
from fraudml.pipeline.fit import attach_record, fit_bundle, fit_context, set_up_fit
from fraudml.pipeline.folds import FoldResult, SharedFolds
from fraudml.pipeline.load import Read, load_dataset, table_of
from fraudml.pipeline.study import build_variants, place_variants, run_study
from fraudml.progress import Deadline, Progress, silent, stage
from fraudml.records.backtest import backtest_record
from fraudml.records.folder import run_folder, write_backtest, write_study
from fraudml.records.metrics import record_header
from fraudml.records.results import Backtest, Study
from fraudml.records.study import study_record
from fraudml.split import BacktestFold, prequential_folds

_log = logging.getLogger(__name__)


def backtest(frame: Any, settings: Settings | None = None) -> Backtest:
    """Backtest on a table from Python: the same as the command, with no Hydra and no output.

    Parameters
    ----------
    frame : polars or pandas DataFrame
        The table; `settings.data` says what its columns mean.
    settings : Settings, optional
        What decides the run. A folder is written only where `output_dir` is set.

    Raises
    ------
    FraudmlError
        The config or the data are wrong; the class says which.
    """
    settings = Settings(command="backtest") if settings is None else settings
    if settings.output_dir is None:
        return _backtest(lambda: as_polars(frame), settings, silent)
    with run_folder(settings) as paths:
        return write_backtest(_backtest(lambda: as_polars(frame), settings, silent), paths)


def run(settings: Settings, *, progress: Progress = silent) -> Backtest | Study:
    """Run the command: backtest the model, or every sampler and learner of `study`."""
    read = table_of(settings)
    with run_folder(settings) as paths:
        if settings.study.resampling:
            return write_study(_study(read, settings, progress), settings, paths)
        return write_backtest(_backtest(read, settings, progress), paths)


def _study(read: Read, settings: Settings, progress: Progress) -> Study:
    started = time.perf_counter()
    context = fit_context(settings, progress)
    variants = place_variants(build_variants(settings), settings.device)
    shared, folds, table_hash = _load_folds(read, settings, context)
    ranking = run_study(shared, folds, variants, context)
    return Study(study_record(shared, folds, ranking, table_hash, started))


def _load_folds(
    read: Read, settings: Settings, context: FitContext
) -> tuple[SharedFolds, tuple[BacktestFold, ...], str]:
    """Read the table, cut it into folds, and compute what they share; with its fingerprint."""
    dataset, table_hash = load_dataset(read, settings.data, context.progress)
    folds = prequential_folds(dataset, settings.backtest, settings.split, settings.data)
    with stage(context.progress, "features"):
        shared = SharedFolds.of(dataset, folds, settings, context.threads)
    return shared, folds, table_hash


def _backtest(read: Read, settings: Settings, progress: Progress) -> Backtest:
    started = time.perf_counter()
    components, context = set_up_fit(settings, progress)
    shared, folds, table_hash = _load_folds(read, settings, context)
    results = _run_folds(shared, folds, components, context)
    bundle, holdout = results[-1].bundle, results[-1].holdout
    verdict = apply_guard(holdout.evaluation, bundle.policy, components, settings.guard)
    metrics = {
        **record_header(settings, started, context.threads, context.device),
        **backtest_record(shared, table_hash, results),
        "guard": verdict.to_dict(),
    }
    of_last = {
        "data": metrics["data"],
        "test": holdout.evaluation.metrics("test"),
        "policy": metrics["folds"][-1]["policy"],
        "guard": metrics["guard"],
    }
    periods = [
        result.holdout.details.curves.over_time for result in results if result.holdout.details
    ]
    return Backtest(
        settings,
        metrics,
        _scores(results),
        verdict,
        attach_record(bundle, of_last, verdict, holdout),
        holdout,
        pl.concat(periods),
    )


def _run_folds(
    shared: SharedFolds,
    folds: tuple[BacktestFold, ...],
    components: Components,
    context: FitContext,
) -> list[FoldResult]:
    """Fit and test fold after fold, for as long as the budget lasts."""
    results: list[FoldResult] = []
    for fold in folds:
        if results and _is_over(context.deadline):
            _log.warning(
                "Time budget exhausted after %d of %d folds: the others are left out.",
                len(results),
                len(folds),
            )
            break
        progress = _fold_progress(context.progress, len(results), len(folds))
        first = results[0].bundle if results else None
        fold_context = replace(context, progress=progress)
        results.append(_run_fold(shared, fold, components, fold_context, first))
    return results


def _is_over(deadline: Deadline) -> bool:
    return deadline.expired


def _fold_progress(progress: Progress, done: int, folds: int) -> Progress:
    return lambda name, share: progress(f"fold {done + 1} of {folds}: {name}", share)


def _run_fold(
    shared: SharedFolds,
    fold: BacktestFold,
    components: Components,
    context: FitContext,
    first: DecisionBundle | None,
) -> FoldResult:
    settings, data = shared.settings, shared.fold_data(fold)
    bundle, scores = fit_bundle(
        data.prepared, data.train, data.steps, components, context, rounds=settings.rounds
    )
    holdout = evaluate_bundle(
        data.prepared, data.test, bundle, settings, context, baselines_fit=data.train
    )
    without_refit = None
    if settings.backtest.refit == "never":
        # In the first fold they are the same model.
        old = first or bundle
        prepared = shared.prepare(fold.test.rows, old.features)
        rows = np.arange(len(fold.test.rows))
        without_refit = evaluate_bundle(prepared, rows, old, settings, context)
    return FoldResult(fold, scores, bundle, holdout, without_refit)


def _scores(results: list[FoldResult]) -> pl.DataFrame:
    """The columns of `backtest_scores.parquet`."""
    tables = []
    for result in results:
        table = result.holdout.table
        number = pl.Series("fold", [result.fold.number] * table.height, dtype=pl.Int64)
        table = table.insert_column(0, number)
        if result.without_refit is not None:
            table = table.with_columns(
                result.without_refit.table["score"].alias("score_without_refit"),
                result.without_refit.table["alert"].alias("alert_without_refit"),
            )
        tables.append(table)
    return pl.concat(tables)
