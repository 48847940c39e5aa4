"""The run folder: all of a run in one place, moved there when it is whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fraudml.bundle import write_bundle
from fraudml.config.parse import dump
from fraudml.config.settings import Settings
from fraudml.config.text import to_yaml
from fraudml.errors import ConfigError
from fraudml.files import PARTIAL, atomic_folder, machine_errors, write_json
from fraudml.printable import PrintableFormatter
from fraudml.records.backtest import over_time
from fraudml.records.documents import backtest_document, run_document, study_report, write_report
from fraudml.report.over_time import plot_over_time

if TYPE_CHECKING:
    from fraudml.records.results import Audit, Backtest, Run, Study


@dataclass(frozen=True)
class RunPaths:
    """Where a run is written, and where it will stand.

    Parameters
    ----------
    partial : Path
        The folder to fill.
    final : Path
        Where it is moved when it is whole.
    """

    partial: Path
    final: Path


@contextmanager
def run_folder(settings: Settings) -> Iterator[RunPaths]:
    """Make the folder of a run, with its log; it takes its place when the block ends well.

    Parameters
    ----------
    settings : Settings
        `output_dir`, or `runs/<date>_<time>_<run_name>`.

    Raises
    ------
    ConfigError
        The folder exists.
    MachineError
        It cannot be written.
    """
    stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{settings.run_name}"
    final = Path(settings.output_dir) if settings.output_dir else Path("runs") / stamp
    with atomic_folder(final) as partial, _logged(partial / "run.log"):
        (partial / "config.yaml").write_text(to_yaml(dump(settings)), encoding="utf-8")
        yield RunPaths(partial, final)


@contextmanager
def kept_folder(final: Path) -> Iterator[Path]:
    """Give the folder of a run that goes on where it was ended; it takes its place at the end.

    Parameters
    ----------
    final : Path
        Where the folder belongs.

    Raises
    ------
    ConfigError
        It exists.
    MachineError
        It cannot be written.
    """
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


def write_run(run: Run, place: RunPaths) -> Run:
    """Write everything about a run but its log and config, and return it with its folder.

    Parameters
    ----------
    run : Run
        What to write; without a bundle where the guard refused the model.
    place : RunPaths
        From `run_folder`.
    """
    write_json(place.partial / "metrics.json", run.metrics)
    if run.details is not None:  # a model that was refitted on all rows has none
        run.test_scores.write_parquet(place.partial / "test_scores.parquet", row_group_size=125_000)
        write_report(run_document(run), place.partial)
    if run.bundle is not None:
        write_bundle(run.bundle, place.partial / "bundle")
    return replace(run, folder=str(place.final))


def write_backtest(done: Backtest, place: RunPaths) -> Backtest:
    """Write everything about a backtest but its log and config, and return it with its folder.

    Parameters
    ----------
    done : Backtest
        What to write; without a bundle where the guard refused the last model.
    place : RunPaths
        From `run_folder`.
    """
    write_json(place.partial / "backtest.json", done.metrics)
    done.scores.write_parquet(place.partial / "backtest_scores.parquet", row_group_size=125_000)
    plot_over_time(over_time(done.metrics), place.partial / "over_time.png")
    write_report(backtest_document(done), place.partial)
    if done.bundle is not None:
        write_bundle(done.bundle, place.partial / "bundle")
    return replace(done, folder=str(place.final))


def write_study(done: Study, settings: Settings, place: RunPaths) -> Study:
    """Write what a study found, and return it with its folder."""
    write_json(place.partial / "study.json", done.metrics)
    write_report(study_report(done, settings), place.partial)
    return replace(done, folder=str(place.final))


def write_audit(done: Audit, place: RunPaths) -> Audit:
    """Write what an audit found, and return it with its folder."""
    write_json(place.partial / "audit.json", done.content)
    return replace(done, folder=str(place.final))


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
