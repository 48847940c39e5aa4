"""Backtest: how a model would have done, refitted as labels came in, period after period.

Read the table, cut it into prequential folds, look back once for all of them; in each fold fit the
features and the recipe on the training period, tune on its out-of-fold scores and test on what
follows the label delay; ask the guard about the last model, write the run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.fingerprint import fingerprint
from fraudml.data.frames import as_polars
from fraudml.data.read import load_table
from fraudml.learners.protocol import FitContext
from fraudml.pipeline.components import Components, build_components
from fraudml.pipeline.evaluate import apply_guard, evaluate_bundle
from fraudml.pipeline.fit import attach_record, fit_bundle, fit_context, resolve_device
from fraudml.pipeline.folds import FoldResult, SharedFolds
from fraudml.pipeline.study import build_variants, place_variants, run_study
from fraudml.progress import Deadline, Progress, silent
from fraudml.records.backtest import backtest_record
from fraudml.records.folder import run_folder, write_backtest, write_study
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
    with run_folder(settings) as place:
        return write_backtest(_backtest(lambda: as_polars(frame), settings, silent), place)


def run(settings: Settings, *, progress: Progress = silent) -> Backtest | Study:
    """Run the command: read the table that the settings name, backtest, and write the run folder.

    With a `study`, every sampler and learner of it takes the place of the one model.

    Parameters
    ----------
    settings : Settings
        What decides the run.
    progress : Progress
        Whom to tell where it is.
    """
    with run_folder(settings) as place:
        if settings.study.resampling:
            return write_study(_study(settings, progress), settings, place)
        return write_backtest(
            _backtest(
                lambda: load_table(settings.data, names=settings.features.keys), settings, progress
            ),
            place,
        )


def _study(settings: Settings, progress: Progress) -> Study:
    started = time.perf_counter()
    context = fit_context(settings, progress)
    variants = place_variants(build_variants(settings), settings.device)
    shared, folds, printed = _cut(
        lambda: load_table(settings.data, names=settings.features.keys), settings, context
    )
    found = run_study(shared, folds, variants, context)
    record = study_record(shared, folds, found, printed, time.perf_counter() - started)
    return Study(record)


def _cut(
    read: Callable[[], pl.DataFrame], settings: Settings, context: FitContext
) -> tuple[SharedFolds, tuple[BacktestFold, ...], str]:
    """Read the table, cut it into folds, and look back for all of them; with its fingerprint."""
    progress = context.progress
    progress("read", 0.0)
    table = read()
    progress("read", 1.0)
    printed = fingerprint(table)
    dataset = check_table(table, settings.data)
    del table
    folds = prequential_folds(dataset, settings.backtest, settings.split, settings.data)
    progress("features", 0.0)
    shared = SharedFolds.of(dataset, folds, settings, context.threads)
    progress("features", 1.0)
    return shared, folds, printed


def _backtest(read: Callable[[], pl.DataFrame], settings: Settings, progress: Progress) -> Backtest:
    started = time.perf_counter()
    parts, context = resolve_device(
        build_components(settings), fit_context(settings, progress), settings.device
    )
    shared, folds, printed = _cut(read, settings, context)
    results = _run_folds(shared, folds, parts, context)
    last = results[-1]
    verdict = apply_guard(last.tested.evaluation, last.bundle.policy, parts, settings.guard)
    metrics = backtest_record(
        settings=settings,
        dataset=shared.dataset,
        fingerprint=printed,
        results=results,
        verdict=verdict,
        seconds=time.perf_counter() - started,
        threads=context.threads,
        device=context.device,
    )
    of_last = {
        "data": metrics["data"],
        "test": last.tested.evaluation.metrics("test"),
        "policy": metrics["folds"][-1]["policy"],
        "guard": metrics["guard"],
    }
    bundle = attach_record(last.bundle, of_last, verdict, last.tested)
    periods = [one.tested.details.curves.over_time for one in results if one.tested.details]
    return Backtest(
        settings, metrics, _scores(results), verdict, bundle, last.tested, pl.concat(periods)
    )


def _run_folds(
    shared: SharedFolds, folds: tuple[BacktestFold, ...], parts: Components, context: FitContext
) -> list[FoldResult]:
    """Fit and test fold after fold, for as long as the budget lasts."""
    results: list[FoldResult] = []
    for fold in folds:
        if results and _is_over(context.deadline):
            _log.warning(
                "The budget ran out after %d of %d folds: the others are left out.",
                len(results),
                len(folds),
            )
            break
        told = replace(context, progress=_reporting(context.progress, len(results), len(folds)))
        first = results[0].bundle if results else None
        results.append(_run_fold(shared, fold, parts, told, first))
    return results


def _is_over(deadline: Deadline) -> bool:
    return deadline.expired


def _reporting(progress: Progress, done: int, folds: int) -> Progress:
    def report(stage: str, share: float) -> None:
        progress(f"fold {done + 1} of {folds}: {stage}", share)

    return report


def _run_fold(
    shared: SharedFolds,
    fold: BacktestFold,
    parts: Components,
    context: FitContext,
    first: DecisionBundle | None,
) -> FoldResult:
    settings, data = shared.settings, shared.fold_data(fold)
    bundle, scores = fit_bundle(
        data.prepared, data.train, data.steps, parts, context, rounds=settings.rounds
    )
    tested = evaluate_bundle(
        data.prepared,
        data.test,
        bundle,
        settings,
        context,
        baselines_fit=data.train,
        details=True,
    )
    without_refit = None
    if settings.backtest.refit == "never":
        # In the first fold they are the same model.
        kept = first or bundle
        old = shared.prepare(fold.test.rows, kept.features)
        rows = np.arange(len(fold.test.rows))
        without_refit = evaluate_bundle(old, rows, kept, settings, context)
    return FoldResult(fold, scores, bundle, tested, without_refit)


def _scores(results: list[FoldResult]) -> pl.DataFrame:
    """The columns of `backtest_scores.parquet`."""
    tables = []
    for one in results:
        table = one.tested.table.insert_column(
            0, pl.Series("fold", [one.fold.number] * one.tested.table.height, dtype=pl.Int64)
        )
        if one.without_refit is not None:
            table = table.with_columns(
                one.without_refit.table["score"].alias("score_without_refit"),
                one.without_refit.table["alert"].alias("alert_without_refit"),
            )
        tables.append(table)
    return pl.concat(tables)
