"""Sweep: search settings within a budget, and fit the best of them.

Read the table, cut it and compute its features once; run trials on the out-of-fold folds, or on the
validation folds, each in a process that can be ended; then train, or backtest, with the chosen
settings. The test block is scored once, by that. Finished trials stay: the same command resumes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from fraudml.config.dimensions import first_overrides
from fraudml.config.parse import dump
from fraudml.config.settings import Settings
from fraudml.config.space import read_space
from fraudml.errors import FraudmlError
from fraudml.files import write_json
from fraudml.metrics import find_metric
from fraudml.pipeline.components import build_components
from fraudml.pipeline.load import load_frame, table_of
from fraudml.progress import Deadline, Progress, silent, stage
from fraudml.records.closing import sweep_table
from fraudml.records.documents import sweep_document, write_plots, write_report
from fraudml.records.folder import (
    RunPaths,
    resumable_folder,
    write_backtest,
    write_config,
    write_run,
)
from fraudml.records.results import Backtest, Run
from fraudml.records.table import ClosingTable
from fraudml.report.sweep import sweep_plots, sweep_section
from fraudml.sweep.record import sweep_record, write_winner
from fraudml.sweep.search import search
from fraudml.sweep.storage import open_trials
from fraudml.sweep.trial_rows import TrialRows, settings_with
from fraudml.sweep.trials import Trials, no_trial
from fraudml.workflows.backtest import backtest
from fraudml.workflows.train import train

_log = logging.getLogger(__name__)

_FREE = ("budget", "output_dir", "threads", "overwrite", "output")
"""Settings that change no trial, so that a sweep may resume with others."""

_MIN_SECONDS = 10.0
"""A sweep may take this much longer rather than end without a model."""


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    `record` is the content of `sweep.json`; `chosen` is the run with the chosen settings, None
    where the folder was finished before.
    """

    record: dict[str, Any]
    folder: str
    chosen: Run | Backtest | None = None

    @property
    def refusal(self) -> FraudmlError | None:
        """The error of a sweep whose model was refused."""
        return None if self.chosen is None else self.chosen.refusal

    def summary(self) -> ClosingTable:
        """Return the closing table."""
        return sweep_table(self.record, self.folder)


def run(settings: Settings, *, progress: Progress = silent) -> Sweep:
    """Run the command, or resume it."""
    deadline = Deadline(settings.budget.wall_clock)
    started = time.perf_counter()
    space = read_space(settings.sweep.space)
    frame, table_hash = load_frame(table_of(settings), progress)
    identity = {**_decisive(settings), "data fingerprint": table_hash}
    final = _folder(settings, identity)
    if (final / "sweep.json").exists():
        _log.info("'%s' is finished: nothing is left to do.", final)
        return Sweep(json.loads((final / "sweep.json").read_text(encoding="utf-8")), str(final))
    with resumable_folder(final) as folder:
        write_config(settings, folder)
        first = first_overrides(space)
        # What the config does not accept fails here.
        rounds_key = build_components(settings_with(folder, first)).recipe.learner.rounds_key
        shared = TrialRows(frame, folder, settings)
        with stage(progress, "features"):
            shared.rows_of(first)
        trials = open_trials(
            settings.sweep,
            space,
            folder,
            name=settings.sweep.study_name or final.name,
            seed=settings.seed,
            directions=[_direction(name) for name in settings.sweep.objectives(settings.objective)],
            identity=identity,
            rounds_key=rounds_key,
        )
        search(trials, shared, settings, deadline=deadline, progress=progress)
        if trials.best is None:
            raise no_trial(trials)
        overrides = tuple(trials.best.user_attrs["overrides"])
        winner = settings_with(folder, overrides)
        with stage(progress, "the chosen model"):
            chosen = _final(winner, frame, deadline)
        seconds = time.perf_counter() - started
        record = sweep_record(trials, overrides, chosen, settings, seconds)
        chosen = _write_chosen(chosen, RunPaths(folder, final))
        write_winner(folder, settings, winner)
        _write_search(trials, record, chosen, folder)
        write_json(folder / "sweep.json", record)
        shared.cleanup()
    return Sweep(record, str(final), chosen)


def _decisive(settings: Settings) -> dict[str, Any]:
    """The settings that decide the values of trials, flat."""
    plain = {name: part for name, part in dump(settings).items() if name not in _FREE}
    for name in ("workers", "storage", "patience"):
        plain["sweep"].pop(name)
    return dict(_flat(plain, ""))


def _flat(part: Any, key_path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(part, Mapping) and part:
        for name, value in part.items():
            yield from _flat(value, f"{key_path}.{name}" if key_path else str(name))
    else:
        yield key_path, part


def _folder(settings: Settings, identity: Mapping[str, Any]) -> Path:
    if settings.output_dir is not None:
        return Path(settings.output_dir)
    text = json.dumps(identity, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Path("runs") / f"sweep_{settings.run_name}_{digest}"


def _direction(objective: str) -> Any:
    return "minimize" if find_metric(objective).direction == "lower" else "maximize"


def _final(settings: Settings, frame: pl.DataFrame, deadline: Deadline) -> Run | Backtest:
    """Train, or backtest, with the chosen settings, in the time that is left."""
    left = max(deadline.left, _MIN_SECONDS)
    if left < 60:
        settings = replace(settings, proof=False)
    budget = replace(settings.budget, seconds=left, max_money=None)
    settings = replace(settings, budget=budget, output_dir=None)
    if settings.sweep.blocks == "folds":
        return backtest(frame, replace(settings, command="backtest"))
    return train(frame, replace(settings, command="train"))


def _write_chosen(chosen: Run | Backtest, paths: RunPaths) -> Run | Backtest:
    # A sweep that was killed while it wrote its model left half a bundle.
    shutil.rmtree(paths.partial / "bundle", ignore_errors=True)
    if isinstance(chosen, Run):
        return write_run(chosen, paths)
    return write_backtest(chosen, paths)


def _write_search(
    trials: Trials, record: Mapping[str, Any], chosen: Run | Backtest, folder: Path
) -> None:
    """Write the table of trials, the plots of the search, and the report."""
    table = pl.DataFrame(trials.rows(), infer_schema_length=None)
    table.write_parquet(folder / "trials.parquet")
    lower = find_metric(record["objective"]).direction == "lower"
    plots = sweep_plots(record, table, trials.importance(), lower_is_better=lower)
    write_plots(plots, folder / "sweep.svg")
    write_report(sweep_document(chosen, sweep_section(record, plots)), folder)
