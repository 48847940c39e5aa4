"""The search of a sweep: trial after trial, until there are enough, or time or patience end."""

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
from fraudml.machine import granted_memory_mb, granted_threads
from fraudml.progress import Deadline, Progress
from fraudml.sweep.owner import heartbeat
from fraudml.sweep.process import Outcome, Worker
from fraudml.sweep.trial_rows import TrialRows
from fraudml.sweep.trials import ORPHAN, Trials

if TYPE_CHECKING:
    from optuna.trial import Trial

_log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 1.0


def search(
    trials: Trials, shared: TrialRows, settings: Settings, *, deadline: Deadline, progress: Progress
) -> None:
    """Run trials until there are enough, or time, money or patience run out.

    Parameters
    ----------
    trials : Trials
        Those that have ended, and where new ones are asked for.
    shared : TrialRows
        What they are scored on.
    settings : Settings
        Budget, workers, caps.
    deadline : Deadline
        Of the whole sweep; the last fit has its share.
    progress : Progress
        Whom to tell.
    """
    plan, budget = settings.sweep, settings.budget
    most = f"At most {budget.trials} trials and {budget.wall_clock:.0f} s"
    price = budget.money(budget.wall_clock)
    _log.info("%s.", most if price is None else f"{most}, that is {price:.2f} in money")
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
    hands = TrialRunner(trials, shared, settings, deadline, progress)
    try:
        with ThreadPoolExecutor(plan.workers) as pool:
            while hands.another():
                for done in [pool.submit(hands.work, worker) for worker in workers]:
                    done.result()
                hands.wait_for_others()
    finally:
        for worker in workers:
            worker.end()


class TrialRunner:
    """What the workers of a sweep share: one study, one clock, one lock."""

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
                asked = self._trials.ask(self._total) if self.another() else None
            if asked is None:
                return
            trial, overrides = asked
            started = time.monotonic()
            try:
                outcome = self._ran(worker, trial, overrides)
                with self._lock:
                    self._longest = max(self._longest, time.monotonic() - started)
                    worth = self._trials.tell(trial, outcome)
                    self._say(trial.number, outcome.state, worth, overrides)
            except UpdateFinishedTrialError:
                # This machine slept, say, and the others did not wait for it.
                _log.warning("Trial %d was given up by another machine.", trial.number)
                worker.end()

    def _ran(self, worker: Worker, trial: Trial, overrides: Sequence[str]) -> Outcome:
        try:
            rows = self._shared.rows_of(overrides)
        except FraudmlError as error:
            return Outcome("failed", error=str(error))
        return worker.run(
            overrides,
            rows,
            seconds_left=lambda: self._left,
            should_continue=partial(self._trials.should_continue, trial),
            heartbeat=partial(heartbeat, trial),
        )

    @property
    def _left(self) -> float:
        """What is left for trials: the final fit takes about as long as the longest of them."""
        return self._deadline.left - 2 * self._longest - 5

    def another(self) -> bool:
        """Say whether there should be another trial, and time for it."""
        patience = self._settings.sweep.patience
        if self._trials.begun >= self._total or self._left <= 0:
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
        return min(budget, sum(not one.user_attrs.get(ORPHAN) for one in waiting))

    def wait_for_others(self) -> None:
        """Wait for trials of other machines, while there is time: theirs may be the best."""
        if self._trials.running:
            _log.info("Waiting for the trials of other machines.")
        while self._trials.running and self._left > 0:
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _say(
        self, number: int, state: str, worth: Sequence[float] | None, overrides: Sequence[str]
    ) -> None:
        best, total = self._trials.best, self._total
        spent = (self._deadline.seconds or 0.0) - self._deadline.left
        ended = len(self._trials.finished)
        left = min((total - ended) * spent / max(ended, 1), self._deadline.left)
        row = {
            "trial": f"{number}",
            "value": state if worth is None else _shown(worth),
            "best": "none yet" if best is None else _shown(best.values),
            "spent": f"{spent:.0f} s",
            "left": f"about {left:.0f} s",
        }
        money = self._settings.budget.money(spent + left)
        if money is not None:
            row["in money"] = f"about {money:.2f}"
        row["settings"] = " ".join(overrides)
        said = ", ".join(f"{name} {cell}" for name, cell in row.items() if name != "settings")
        _log.info("%s; %s", said, row["settings"], extra={"row": row})
        self._progress("trials", ended / max(total, 1))


def _shown(worth: Sequence[float]) -> str:
    return ", ".join(f"{one:.4f}" for one in worth)
