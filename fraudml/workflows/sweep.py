"""Sweep: search settings within a budget, and fit the best of them.

Read the table, cut it and make its features once; run trials on the out-of-fold steps, or on the
validation folds, each in a process that can be ended; then train, or backtest, with the chosen
settings. The test block is scored once, by that. What is done stays: the same command goes on.
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
from fraudml.config.text import to_yaml
from fraudml.data.fingerprint import fingerprint
from fraudml.data.read import load_table
from fraudml.errors import FraudmlError
from fraudml.files import write_json
from fraudml.metrics import find_metric
from fraudml.pipeline.components import build_components
from fraudml.progress import Deadline, Progress, silent
from fraudml.records.documents import sweep_document, write_report
from fraudml.records.folder import RunPaths, kept_folder, write_backtest, write_run
from fraudml.records.results import Backtest, Run
from fraudml.report.sweep_plot import plot_sweep
from fraudml.sweep.record import sweep_record, sweep_table, write_winner
from fraudml.sweep.search import search
from fraudml.sweep.storage import open_trials
from fraudml.sweep.trial_rows import TrialRows, settings_with
from fraudml.sweep.trials import no_trial
from fraudml.workflows.backtest import backtest
from fraudml.workflows.train import train

_log = logging.getLogger(__name__)

_FREE = ("budget", "output_dir", "threads", "overwrite", "output")
"""Settings that change no trial, so that a sweep may go on with others."""

_LEAST_SECONDS = 10.0
"""A sweep may take so much longer rather than end without a model."""


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    Parameters
    ----------
    record : dict
        What `sweep.json` holds.
    folder : str
        Where everything was written.
    chosen : Run or Backtest, optional
        The model of the chosen settings; None where the folder was finished before.
    """

    record: dict[str, Any]
    folder: str
    chosen: Run | Backtest | None = None

    @property
    def refusal(self) -> FraudmlError | None:
        """The error of a sweep whose model was refused."""
        return None if self.chosen is None else self.chosen.refusal

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """Return a title and the rows of the closing table."""
        return sweep_table(self.record, self.folder)


def run(settings: Settings, *, progress: Progress = silent) -> Sweep:
    """Run the command, or go on with it.

    Parameters
    ----------
    settings : Settings
        What decides the sweep.
    progress : Progress
        Whom to tell where it is.

    Raises
    ------
    BudgetError
        No trial gave a value.
    ConfigError
        The space is wrong, or the folder is that of another sweep.
    """
    deadline = Deadline(settings.budget.wall_clock)
    started = time.perf_counter()
    space = read_space(settings.sweep.space)
    progress("read", 0.0)
    frame = load_table(settings.data, names=settings.features.keys)
    progress("read", 1.0)
    printed = fingerprint(frame)
    identity = {**_decisive(settings), "data fingerprint": printed}
    final = _folder(settings, identity)
    if (final / "sweep.json").exists():
        _log.info("'%s' is finished: nothing is left to do.", final)
        return Sweep(json.loads((final / "sweep.json").read_text(encoding="utf-8")), str(final))
    with kept_folder(final) as folder:
        (folder / "config.yaml").write_text(to_yaml(dump(settings)), encoding="utf-8")
        first = first_overrides(space)
        # What the config does not take fails here.
        rounds_key = build_components(settings_with(folder, first)).recipe.learner.rounds_key
        shared = TrialRows(frame, folder, settings)
        progress("features", 0.0)
        shared.rows_of(first)
        progress("features", 1.0)
        trials = open_trials(
            settings.sweep,
            space,
            folder,
            name=settings.sweep.study_name or final.name,
            seed=settings.seed,
            directions=[_direction(one) for one in settings.sweep.objectives(settings.objective)],
            identity=identity,
            rounds_key=rounds_key,
        )
        search(trials, shared, settings, deadline=deadline, progress=progress)
        best = trials.best
        if best is None:
            raise no_trial(trials)
        overrides = tuple(best.user_attrs["overrides"])
        chosen = _final(settings_with(folder, overrides), frame, deadline, progress)
        progress("the chosen model", 1.0)
        seconds = time.perf_counter() - started
        record = sweep_record(trials, overrides, chosen, settings, seconds)
        # A sweep that was killed while it wrote its model left half a bundle.
        shutil.rmtree(folder / "bundle", ignore_errors=True)
        chosen = _written(chosen, RunPaths(folder, final))
        write_winner(folder, settings, settings_with(folder, overrides))
        table = pl.DataFrame(trials.rows(), infer_schema_length=None)
        table.write_parquet(folder / "trials.parquet")
        lower = find_metric(settings.objective).direction == "lower"
        importance = trials.importance()
        plot_sweep(
            table,
            importance,
            chosen=best.number,
            lower_is_better=lower,
            path=folder / "sweep.png",
        )
        write_report(sweep_document(chosen, record, table, importance), folder)
        write_json(folder / "sweep.json", record)
        shared.cleanup()
    return Sweep(record, str(final), chosen)


def _decisive(settings: Settings) -> dict[str, Any]:
    """The settings that decide what a trial is worth, flat."""
    plain = {name: part for name, part in dump(settings).items() if name not in _FREE}
    for name in ("workers", "storage", "patience"):
        plain["sweep"].pop(name)
    return dict(_flat(plain, ""))


def _flat(part: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(part, Mapping) and part:
        for name, value in part.items():
            yield from _flat(value, f"{where}.{name}" if where else str(name))
    else:
        yield where, part


def _folder(settings: Settings, identity: Mapping[str, Any]) -> Path:
    if settings.output_dir is not None:
        return Path(settings.output_dir)
    text = json.dumps(identity, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Path("runs") / f"sweep_{settings.run_name}_{digest}"


def _direction(objective: str) -> Any:
    return "minimize" if find_metric(objective).direction == "lower" else "maximize"


def _final(
    settings: Settings, frame: pl.DataFrame, deadline: Deadline, progress: Progress
) -> Run | Backtest:
    """Train, or backtest, with the chosen settings, in the time that is left."""
    left = max(deadline.left, _LEAST_SECONDS)
    if left < 60:
        settings = replace(settings, proof=False)
    budget = replace(settings.budget, seconds=left, max_money=None)
    told = replace(settings, budget=budget, output_dir=None)
    progress("the chosen model", 0.0)
    if settings.sweep.blocks == "folds":
        return backtest(frame, replace(told, command="backtest"))
    return train(frame, replace(told, command="train"))


def _written(chosen: Run | Backtest, place: RunPaths) -> Run | Backtest:
    if isinstance(chosen, Run):
        return write_run(chosen, place)
    return write_backtest(chosen, place)
