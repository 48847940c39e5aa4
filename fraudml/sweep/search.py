"""The search of a sweep: trials until there are enough, or time, money or patience run out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from fraudml.config.settings import Settings
from fraudml.errors import FraudmlError
from fraudml.machine import granted_memory_mb, thread_count
from fraudml.progress import Deadline, Progress
from fraudml.sweep.owner import heartbeat
from fraudml.sweep.process import Outcome, Worker
from fraudml.sweep.trial_rows import TrialRows
from fraudml.sweep.trials import ORPHAN, Trials

if TYPE_CHECKING:
    from optuna.trial import Trial

_log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0


def search(
    trials: Trials, shared: TrialRows, settings: Settings, *, deadline: Deadline, progress: Progress
) -> None:
    """Run trials on the shared rows; the deadline is of the whole sweep, with its last fit."""
    sweep, budget = settings.sweep, settings.budget
    limit = f"At most {budget.trials} trials and {budget.wall_clock:.0f} s"
    price = budget.money(budget.wall_clock)
    _log.info("%s.", limit if price is None else f"{limit}, that is {price:.2f} in money")
    if trials.finished:
        _log.info("Resuming after %d of %d trials.", len(trials.finished), budget.trials)
    workers = [
        Worker(
            shared.folder,
            threads=max(1, thread_count(settings.threads) // sweep.workers),
            seconds=sweep.trial_seconds,
            memory_mb=sweep.trial_memory_mb or int(0.8 * granted_memory_mb()),
        )
        for _ in range(sweep.workers)
    ]
    runner = TrialRunner(trials, shared, settings, deadline, progress)
    try:
        with ThreadPoolExecutor(sweep.workers) as pool:
            while runner.has_next():
                for future in [pool.submit(runner.work, worker) for worker in workers]:
                    future.result()
                runner.wait_for_others()
    finally:
        for worker in workers:
            worker.end()


class TrialRunner:
    """Runs trials for the workers of a sweep, which share a study, a clock and a lock."""

    def __init__(
        self,
        trials: Trials,
        shared: TrialRows,
        settings: Settings,
        deadline: Deadline,
        progress: Progress,
    ) -> None:
        self._trials, self._shared, self._settings = trials, shared, settings
        self._deadline, self._progress = deadline, progress
        self._lock = threading.Lock()
        self._longest = 0.0

    def work(self, worker: Worker) -> None:
        """Run trial after trial on one worker."""
        from optuna.exceptions import UpdateFinishedTrialError

        while True:
            with self._lock:
                request = self._trials.ask(self._total) if self.has_next() else None
            if request is None:
                return
            trial, overrides = request
            started = time.monotonic()
            try:
                outcome = self._run(worker, trial, overrides)
                with self._lock:
                    self._longest = max(self._longest, time.monotonic() - started)
                    values = self._trials.tell(trial, outcome)
                    self._report(trial.number, outcome.state, values, overrides)
            except UpdateFinishedTrialError:
                # This machine slept, say, and the others did not wait for it.
                _log.warning("Trial %d was given up by another machine.", trial.number)
                worker.end()

    def _run(self, worker: Worker, trial: Trial, overrides: Sequence[str]) -> Outcome:
        try:
            rows = self._shared.rows_of(overrides)
        except FraudmlError as error:
            return Outcome("failed", error=str(error))
        return worker.run(
            overrides,
            rows,
            seconds_left=lambda: self._seconds_left,
            should_continue=partial(self._trials.should_continue, trial),
            heartbeat=partial(heartbeat, trial),
        )

    @property
    def _seconds_left(self) -> float:
        """Time left for trials: the final fit takes about as long as the longest of them."""
        return self._deadline.left - 2 * self._longest - 5

    def has_next(self) -> bool:
        """Whether there should be another trial, and time for it."""
        patience = self._settings.sweep.patience
        if self._trials.begun >= self._total or self._seconds_left <= 0:
            return False
        if patience and self._trials.since_best >= patience:
            _log.info("No better trial in %d: ending the sweep.", patience)
            return False
        return True

    @property
    def _total(self) -> int:
        budget = self._settings.budget.trials
        if self._settings.sweep.sampler != "grid":
            return budget
        queued = self._trials.study.get_trials(deepcopy=False)
        return min(budget, sum(not trial.user_attrs.get(ORPHAN) for trial in queued))

    def wait_for_others(self) -> None:
        """Wait for trials of other machines, while there is time: theirs may be the best."""
        if self._trials.running:
            _log.info("Waiting for the trials of other machines.")
        while self._trials.running and self._seconds_left > 0:
            time.sleep(_POLL_SECONDS)

    def _report(
        self, number: int, state: str, values: Sequence[float] | None, overrides: Sequence[str]
    ) -> None:
        best, total = self._trials.best, self._total
        spent = (self._deadline.seconds or 0.0) - self._deadline.left
        ended = len(self._trials.finished)
        left = min((total - ended) * spent / max(ended, 1), self._deadline.left)
        row = {
            "trial": f"{number}",
            "value": state if values is None else _text(values),
            "best": "none yet" if best is None else _text(best.values),
            "spent": f"{spent:.0f} s",
            "left": f"about {left:.0f} s",
        }
        money = self._settings.budget.money(spent + left)
        if money is not None:
            row["in money"] = f"about {money:.2f}"
        line = ", ".join(f"{name} {cell}" for name, cell in row.items())
        row["settings"] = " ".join(overrides)
        _log.info("%s; %s", line, row["settings"], extra={"row": row})
        self._progress("trials", ended / max(total, 1))


def _text(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
