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
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fraudml.config import load_settings
from fraudml.config.parse import dump
from fraudml.config.settings import Settings
from fraudml.config.space import read_space
from fraudml.config.text import to_yaml
from fraudml.data.check import check_table
from fraudml.data.fingerprint import fingerprint
from fraudml.data.read import load_table
from fraudml.errors import DataError, FraudmlError
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.files import write_json
from fraudml.machine import granted_memory_mb, granted_threads
from fraudml.metrics import find_metric
from fraudml.progress import Deadline, Progress, silent
from fraudml.report.sweep_plot import plot_sweep
from fraudml.split import BacktestFold, Fold, prequential_folds, split_blocks
from fraudml.sweep.blocks import SweepRows, write_rows
from fraudml.sweep.process import Outcome, Worker
from fraudml.sweep.space import first_overrides
from fraudml.sweep.study import Trials, no_trial, open_trials
from fraudml.workflows.backtest import Backtest, backtest
from fraudml.workflows.folds import SharedFolds
from fraudml.workflows.model import Prepared
from fraudml.workflows.parts import build_parts
from fraudml.workflows.record import value_text
from fraudml.workflows.run_folder import Place, kept_folder, write_backtest, write_run
from fraudml.workflows.train import Run, prepare_split, train

_log = logging.getLogger(__name__)

_ROWS = "rows"
_FREE = ("budget", "output_dir", "threads", "overwrite", "output")
"""Settings that change no trial, so that a sweep may go on with others."""


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
    frame = load_table(settings.data)
    printed = fingerprint(frame)
    identity = {**_decisive(settings), "data fingerprint": printed}
    final = _folder(settings, identity)
    if (final / "sweep.json").exists():
        _log.info("'%s' is finished: nothing is left to do.", final)
        return Sweep(json.loads((final / "sweep.json").read_text(encoding="utf-8")), str(final))
    with kept_folder(final) as folder:
        (folder / "config.yaml").write_text(to_yaml(dump(settings)), encoding="utf-8")
        first = first_overrides(space)
        build_parts(_with(folder, first))  # what the config does not take fails here
        shared = _Shared(frame, folder, settings)
        progress("features", 0.0)
        shared.rows_of(first)
        trials = open_trials(
            settings.sweep,
            space,
            folder,
            name=settings.sweep.name or final.name,
            seed=settings.seed,
            direction=_direction(settings.objective),
            identity=identity,
        )
        _search(trials, shared, settings, deadline=deadline, progress=progress)
        best = trials.best
        if best is None:
            raise no_trial(trials)
        overrides = tuple(best.user_attrs["overrides"])
        chosen = _final(_with(folder, overrides), frame, deadline, progress)
        seconds = time.perf_counter() - started
        record = sweep_record(trials, overrides, chosen, settings, seconds)
        # A sweep that was killed while it wrote its model left half a bundle.
        shutil.rmtree(folder / "bundle", ignore_errors=True)
        chosen = _written(chosen, Place(folder, final))
        _write_winner(folder, settings, _with(folder, overrides))
        table = pl.DataFrame(trials.rows(), infer_schema_length=None)
        table.write_parquet(folder / "trials.parquet")
        lower = find_metric(settings.objective).direction == "lower"
        plot_sweep(table, trials.importance(), lower_is_better=lower, path=folder / "sweep.png")
        write_json(folder / "sweep.json", record)
        shutil.rmtree(folder / _ROWS, ignore_errors=True)
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


def _with(folder: Path, overrides: Sequence[str]) -> Settings:
    """The sweep's own settings with the overrides of a trial."""
    return load_settings("sweep", overrides, config_dir=folder, config_name="config")


def _direction(objective: str) -> Any:
    return "minimize" if find_metric(objective).direction == "lower" else "maximize"


class _Shared:
    """Rows for trials, made once for each set of settings that decides them."""

    def __init__(self, frame: pl.DataFrame, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._dataset = check_table(frame, settings.data)
        self._lock = threading.Lock()
        shutil.rmtree(folder / _ROWS, ignore_errors=True)

    def rows_of(self, overrides: Sequence[str]) -> Path:
        """Return where the rows of a trial are."""
        settings = _with(self.folder, overrides)
        decisive = dump(settings)
        names = ("data", "split", "features", "backtest", "costs", "sweep", "audit", "seed")
        text = json.dumps({name: decisive[name] for name in names}, sort_keys=True, default=str)
        place = self.folder / _ROWS / hashlib.sha256(text.encode()).hexdigest()[:16]
        with self._lock:
            if not place.exists():
                write_rows(self._made(settings), place)
        return place

    def _made(self, settings: Settings) -> list[SweepRows]:
        threads = settings.threads or granted_threads()
        if settings.sweep.blocks == "steps":
            split = split_blocks(self._dataset, settings.split, settings.data, settings.seed)
            costs = build_parts(settings).costs
            prepared = prepare_split(self._dataset, split, settings, costs, threads)
            return [_sweep_rows(prepared, split.folds)]
        cut = replace(settings.backtest, end=settings.sweep.folds_end)
        folds = prequential_folds(self._dataset, cut, settings.split, settings.data)
        tested = prequential_folds(self._dataset, settings.backtest, settings.split, settings.data)
        _refuse_overlap(folds[-1], tested[0], settings)
        shared = SharedFolds.of(self._dataset, folds, settings, threads)
        made = [shared.fold_data(fold) for fold in folds]
        return [_sweep_rows(one.prepared, [Fold(one.train, one.test)]) for one in made]


def _refuse_overlap(last: BacktestFold, first: BacktestFold, settings: Settings) -> None:
    """Refuse validation folds whose labels nobody knew when the test folds begin."""
    ends, begins = last.test.end, first.test.start
    assert ends is not None
    assert begins is not None
    if ends + settings.backtest.delay(settings.split) >= begins:
        raise DataError(
            f"sweep.folds_end={settings.sweep.folds_end}: the labels of the last validation fold, "
            f"which ends with {ends}, are not all known when the first test fold begins with "
            f"{begins}. Choices would have seen test rows. Set an earlier sweep.folds_end."
        )


def _sweep_rows(prepared: Prepared, folds: Sequence[Fold]) -> SweepRows:
    every = np.arange(len(prepared.matrix))
    nothing = np.zeros(len(every))
    facts = score_rows(prepared.dataset, every, nothing, nothing)
    days = [ScoredFrame(facts.frame[fold.score]).days if len(fold.score) else 0.0 for fold in folds]
    return SweepRows(
        prepared.matrix,
        prepared.costs,
        facts.amount,
        facts.day,
        facts.entity,
        tuple(folds),
        tuple(days),
    )


def _search(
    trials: Trials, shared: _Shared, settings: Settings, *, deadline: Deadline, progress: Progress
) -> None:
    """Run trials until there are enough, or time, money or patience run out."""
    plan, budget = settings.sweep, settings.budget
    if len(trials.finished):
        _log.info("Going on after %d of %d trials.", len(trials.finished), budget.trials)
    workers = [
        Worker(
            shared.folder,
            threads=max(1, (settings.threads or granted_threads()) // plan.workers),
            seconds=plan.trial_seconds,
            memory_mb=plan.trial_memory_mb or int(0.8 * granted_memory_mb()),
        )
        for _ in range(plan.workers)
    ]
    hands = _Hands(trials, shared, settings, deadline, progress)
    try:
        with ThreadPoolExecutor(plan.workers) as pool:
            for done in [pool.submit(hands.work, worker) for worker in workers]:
                done.result()
    finally:
        for worker in workers:
            worker.end()


class _Hands:
    """What the workers of a sweep share: one study, one clock, one lock."""

    def __init__(
        self,
        trials: Trials,
        shared: _Shared,
        settings: Settings,
        deadline: Deadline,
        progress: Progress,
    ) -> None:
        self._trials, self._shared, self._settings = trials, shared, settings
        self._deadline, self._progress = deadline, progress
        self._lock = threading.Lock()
        self._begun = len(trials.finished)
        self._longest = 0.0

    def work(self, worker: Worker) -> None:
        """Run trial after trial on one worker."""
        while True:
            with self._lock:
                if not self._another():
                    return
                self._begun += 1
                trial, overrides = self._trials.ask()
            started = time.monotonic()
            try:
                rows = self._shared.rows_of(overrides)
            except FraudmlError as error:
                outcome = Outcome("failed", (), str(error))
            else:
                outcome = worker.run(
                    overrides,
                    rows,
                    seconds_left=lambda: self._left,
                    goes_on=partial(self._trials.goes_on, trial),
                )
            with self._lock:
                self._longest = max(self._longest, time.monotonic() - started)
                value = self._trials.tell(trial, outcome)
                self._say(trial.number, outcome.state, value, overrides)

    @property
    def _left(self) -> float:
        """What is left for trials: the final fit takes about as long as the longest of them."""
        return self._deadline.left - 2 * self._longest - 5

    def _another(self) -> bool:
        patience = self._settings.sweep.patience
        if self._begun >= self._total or self._left <= 0:
            return False
        if patience and self._trials.since_best >= patience:
            _log.info("No better trial in %d: the sweep ends.", patience)
            return False
        return True

    @property
    def _total(self) -> int:
        budget = self._settings.budget.trials
        waiting = self._trials.study.get_trials(deepcopy=False)
        if self._settings.sweep.sampler != "grid":
            return budget
        return min(budget, sum(not one.user_attrs.get("orphan") for one in waiting))

    def _say(self, number: int, state: str, value: float | None, overrides: Sequence[str]) -> None:
        best, total = self._trials.best, self._total
        spent = self._deadline.seconds or 0.0
        spent -= self._deadline.left
        ended = len(self._trials.finished)
        shown = state if value is None else f"{value:.4f}"
        top = "none yet" if best is None or not best.values else f"{best.values[0]:.4f}"
        left = min((total - ended) * spent / max(ended, 1), self._deadline.left)
        money = self._settings.budget.money(spent + left)
        price = "" if money is None else f", about {money:.2f} in money"
        _log.info(
            "trial %d: %s (best %s); %.0f s spent, about %.0f s left%s; %s",
            number,
            shown,
            top,
            spent,
            left,
            price,
            " ".join(overrides),
        )
        self._progress("trials", ended / max(total, 1))


def _final(
    settings: Settings, frame: pl.DataFrame, deadline: Deadline, progress: Progress
) -> Run | Backtest:
    """Train, or backtest, with the chosen settings, in the time that is left."""
    left = max(deadline.left, 1.0)
    if left < 60:
        settings = replace(settings, proof=False)
    budget = replace(settings.budget, seconds=left, max_money=None)
    told = replace(settings, budget=budget, output_dir=None)
    progress("the chosen model", 0.0)
    if settings.sweep.blocks == "folds":
        return backtest(frame, replace(told, command="backtest"))
    return train(frame, replace(told, command="train"))


def _written(chosen: Run | Backtest, place: Place) -> Run | Backtest:
    if isinstance(chosen, Run):
        return write_run(chosen, place)
    return write_backtest(chosen, place)


def _write_winner(folder: Path, base: Settings, winner: Settings) -> None:
    """Write what the chosen settings change, as an experiment."""
    before, after = dump(base), dump(winner)
    command = "backtest" if winner.sweep.blocks == "folds" else "train"
    changed = {name: part for name, part in after.items() if before[name] != part}
    text = to_yaml({"command": command, **changed})
    (folder / "winner.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")


def sweep_record(
    trials: Trials,
    overrides: Sequence[str],
    chosen: Run | Backtest,
    settings: Settings,
    seconds: float,
) -> dict[str, Any]:
    """Return the content of `sweep.json`."""
    best = trials.best
    assert best is not None, "a sweep without a value raises before"
    assert best.values
    found = chosen.metrics
    test = found["test"] if isinstance(chosen, Run) else found["mean"]
    return {
        "schema_version": 1,
        "trials": trials.counts(),
        "objective": settings.objective,
        "best": {
            "trial": best.number,
            "value": best.values[0],
            "blocks": best.user_attrs["values"],
            "overrides": list(overrides),
        },
        "test": test,
        "guard": found["guard"],
        "spent": {"seconds": round(seconds, 2), "money": settings.budget.money(seconds)},
    }


def sweep_table(record: dict[str, Any], folder: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the title and the rows that end a sweep on the terminal."""
    best, objective = record["best"], record["objective"]
    entry = record["test"].get(objective)
    on_test = entry if isinstance(entry, dict) else {"value": entry, "reason": "not measured"}
    counts = ", ".join(f"{count} {state}" for state, count in record["trials"].items())
    spent = f"{record['spent']['seconds']:.0f} s"
    if record["spent"]["money"] is not None:
        spent += f", {record['spent']['money']:.2f} in money"
    guard = record["guard"]
    rows = [
        ("trials", counts),
        ("chosen", " ".join(best["overrides"])),
        (f"{objective.replace('_', ' ')} of the trial", f"{best['value']:.4f}"),
        ("the same on test", value_text(on_test, "{:.4f}")),
        ("spent", spent),
        ("guard", "passed" if guard["passed"] else "refused: " + "; ".join(guard["reasons"])),
        ("everything is in", folder),
    ]
    return "The chosen of all trials; a winner's own value flatters it", rows
