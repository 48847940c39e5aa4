"""The run folder: everything about a run in one place, moved there when it is complete."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from fraudml.bundle import DecisionBundle, write_bundle
from fraudml.config.parse import dump
from fraudml.config.settings import Settings
from fraudml.config.text import to_yaml
from fraudml.errors import ConfigError
from fraudml.files import PARTIAL, atomic_folder, machine_errors, write_json
from fraudml.printable import PrintableFormatter
from fraudml.records.documents import (
    backtest_document,
    run_document,
    study_report,
    write_plots,
    write_report,
)
from fraudml.records.results import Audit, Backtest, Run, Study
from fraudml.report.backtest import over_time_plots


@dataclass(frozen=True)
class RunPaths:
    """The folder to fill, and where it is moved when it is complete."""

    partial: Path
    final: Path


@contextmanager
def run_folder(settings: Settings) -> Iterator[RunPaths]:
    """Make the folder of a run, with its log; it takes its place when the block ends well."""
    stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{settings.run_name}"
    final = Path(settings.output_dir) if settings.output_dir else Path("runs") / stamp
    with atomic_folder(final) as partial, _logged(partial / "run.log"):
        write_config(settings, partial)
        yield RunPaths(partial, final)


@contextmanager
def resumable_folder(final: Path) -> Iterator[Path]:
    """Give the folder of a run that can be resumed; it takes its place at the end."""
    if final.exists():
        raise ConfigError(
            f"output_dir: '{final}' exists and is no finished sweep. Choose another output_dir."
        )
    partial = final.with_name(final.name + PARTIAL)
    with machine_errors(final):
        partial.mkdir(parents=True, exist_ok=True)
        with _logged(partial / "run.log"):
            yield partial
        partial.rename(final)


def write_config(settings: Settings, folder: Path) -> None:
    """Write the complete config of a run."""
    (folder / "config.yaml").write_text(to_yaml(dump(settings)), encoding="utf-8")


def write_run(run: Run, paths: RunPaths) -> Run:
    """Write everything about a run but its log and config, and return it with its folder."""
    folder = paths.partial
    write_json(folder / "metrics.json", run.metrics)
    if run.details is not None:  # a model that was refitted on all rows has none
        _write_scores(run.test_scores, folder / "test_scores.parquet")
        write_report(run_document(run), folder)
    _write_bundle(run.bundle, folder)
    return replace(run, folder=str(paths.final))


def write_backtest(backtest: Backtest, paths: RunPaths) -> Backtest:
    """Write everything about a backtest but its log and config, and return it with its folder."""
    folder = paths.partial
    write_json(folder / "backtest.json", backtest.metrics)
    _write_scores(backtest.scores, folder / "backtest_scores.parquet")
    level = backtest.settings.evaluation.level
    write_plots(over_time_plots(backtest.metrics, level), folder / "over_time.svg")
    write_report(backtest_document(backtest), folder)
    _write_bundle(backtest.bundle, folder)
    return replace(backtest, folder=str(paths.final))


def write_study(study: Study, settings: Settings, paths: RunPaths) -> Study:
    """Write the record and report of a study, and return it with its folder."""
    write_json(paths.partial / "study.json", study.metrics)
    write_report(study_report(study, settings), paths.partial)
    return replace(study, folder=str(paths.final))


def write_audit(audit: Audit, paths: RunPaths) -> Audit:
    """Write the findings of an audit, and return it with its folder."""
    write_json(paths.partial / "audit.json", audit.content)
    return replace(audit, folder=str(paths.final))


def _write_scores(scores: pl.DataFrame, path: Path) -> None:
    scores.write_parquet(path, row_group_size=125_000)


def _write_bundle(bundle: DecisionBundle | None, folder: Path) -> None:
    if bundle is not None:  # None where the guard refused the model
        write_bundle(bundle, folder / "bundle")


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handler.setLevel(logging.INFO)
    logger = logging.getLogger("fraudml")
    before = logger.level
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        handler.close()
