"""Trials in Optuna's storage: begun, recorded, compared and counted."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraudml.config.dimensions import Dimension, draw_overrides
from fraudml.config.sweep import SweepSettings
from fraudml.errors import BudgetError
from fraudml.seeds import child_seed
from fraudml.sweep.intermediate import IntermediateResult, learning_curve
from fraudml.sweep.owner import claim, is_alive
from fraudml.sweep.process import Outcome

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

ORPHAN = "orphan"
"""Attribute of a trial that does not count: its sweep was killed, or there were enough already."""

OVERRIDES = "overrides"
"""Attribute of a trial whose values are all drawn."""

_REASON, _BLOCKS, _CURVE = "reason", "values", "curve"
_ONE_SIDED = 1.645
"""Quantile of the normal distribution at .95."""


@dataclass(frozen=True)
class Trials:
    """The trials of a sweep; `study` is Optuna's, `seed` is the run's."""

    study: Study
    settings: SweepSettings
    space: tuple[Dimension, ...]
    seed: int

    @property
    def finished(self) -> list[FrozenTrial]:
        """Every trial that counts: all that ended, except orphans."""
        return [
            trial
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state.is_finished() and not trial.user_attrs.get(ORPHAN)
        ]

    @property
    def best(self) -> FrozenTrial | None:
        """The chosen trial so far; of equals the first."""
        return next(iter(self.pareto_front), None)

    @property
    def pareto_front(self) -> list[FrozenTrial]:
        """Trials that no other trial beats in every objective, the chosen one first.

        With one objective that is the best trial. With several, the one whose worst shortfall, as a
        share of what the front spans, is smallest.
        """
        done = [trial for trial in self.finished if _is_complete(trial)]
        if not done:
            return []
        values = np.array([trial.values for trial in done]) * self._signs
        beaten = np.array(
            [np.any(np.all(values >= row, axis=1) & np.any(values > row, axis=1)) for row in values]
        )
        values, front = values[~beaten], [done[at] for at in np.flatnonzero(~beaten)]
        span = np.maximum(np.ptp(values, axis=0), np.finfo(float).tiny)
        shortfall = ((values.max(axis=0) - values) / span).max(axis=1)
        order = sorted(range(len(front)), key=lambda at: (shortfall[at], front[at].number))
        return [front[at] for at in order]

    @property
    def _signs(self) -> NDArray[np.float64]:
        names = (direction.name for direction in self.study.directions)
        return np.array([1.0 if name == "MAXIMIZE" else -1.0 for name in names])

    @property
    def since_best(self) -> int:
        """Number of trials that ended after the last one that is among the best."""
        last = max((trial.number for trial in self.pareto_front), default=None)
        return 0 if last is None else sum(trial.number > last for trial in self.finished)

    @property
    def begun(self) -> int:
        """Number of trials that have ended or run, on any machine."""
        return len(self.finished) + len(self.running)

    @property
    def running(self) -> list[FrozenTrial]:
        """Trials that run, on any machine."""
        from optuna.trial import TrialState

        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [trial for trial in running if is_alive(trial, own=True)]

    def counts(self) -> dict[str, int]:
        """Return the number of trials by state, and the total."""
        states = Counter(trial.state.name.lower() for trial in self.finished)
        return {**dict(sorted(states.items())), "total": len(self.finished)}

    def ask(self, total: int) -> tuple[Trial, tuple[str, ...]] | None:
        """Begin one of `total` trials; return it with its overrides; None where all have begun."""
        while True:
            begun, queued = self.begun, self._queued
            # Seeded by the number that has begun: a sweep that was killed draws the same again.
            self.study.sampler = _sampler(self.settings, child_seed(self.seed, str(begun)))
            trial = self.study.ask()
            claim(trial)
            rank = sum(each.number <= trial.number for each in (*self.finished, *self.running))
            if rank > total:
                self._give_back(trial)
                return None
            if queued or rank == begun + 1:
                break
            self._give_back(trial)  # another machine asked at that moment, and drew the same
        overrides = draw_overrides(trial, self.space)
        trial.set_user_attr(OVERRIDES, list(overrides))
        return trial, overrides

    @property
    def _queued(self) -> bool:
        """Whether the next trial has its values already."""
        from optuna.trial import TrialState

        return bool(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def _give_back(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        trial.set_user_attr(ORPHAN, True)
        self.study.tell(trial, state=TrialState.FAIL)

    def should_continue(self, trial: Trial, result: IntermediateResult) -> bool:
        """Report an intermediate result of a trial, and decide whether it goes on."""
        pruner = self.settings.pruner
        if pruner == "none" or len(self.study.directions) > 1:
            return True
        if pruner == "median":
            trial.report(result.mean, result.step)
        elif result.block_done:
            trial.report(result.value, result.block)
        else:
            return True
        return not trial.should_prune()

    def tell(self, trial: Trial, outcome: Outcome) -> list[float] | None:
        """Record the end of a trial, and return its value in each objective."""
        from optuna.trial import TrialState

        trial.set_user_attr(_BLOCKS, outcome.blocks)
        if outcome.state == "done" and outcome.values:
            trial.set_user_attr(_CURVE, learning_curve(outcome.results))
            values = self._values(np.array(outcome.values))
            self.study.tell(trial, values)
            return values
        if outcome.state == "budget_exhausted":
            trial.set_user_attr(ORPHAN, True)  # it is no result: a later run may try it
        no_block = "no block could be scored" if outcome.state == "done" else outcome.state
        trial.set_user_attr(_REASON, outcome.error or no_block)
        pruned = outcome.state == "pruned"
        self.study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)
        return None

    def _values(self, blocks: NDArray[np.float64]) -> list[float]:
        mean = blocks.mean(axis=0)
        if self.settings.choose == "lower_bound" and len(blocks) > 1:
            mean -= self._signs * _ONE_SIDED * blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))
        return [float(value) for value in mean]

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each trial that counts: its end, values, blocks, curve and settings."""
        names = ("value", *self.settings.secondary_objectives)
        return [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                # Optuna takes the last report of a pruned trial, of few blocks, for its value.
                **dict.fromkeys(names),
                **(dict(zip(names, trial.values, strict=True)) if _is_complete(trial) else {}),
                "blocks": list(trial.user_attrs.get(_BLOCKS, [])),
                "rounds": [rounds for rounds, _ in trial.user_attrs.get(_CURVE, [])],
                "curve": [value for _, value in trial.user_attrs.get(_CURVE, [])],
                "seconds": trial.duration.total_seconds() if trial.duration else None,
                "reason": trial.user_attrs.get(_REASON),
                "overrides": list(trial.user_attrs.get(OVERRIDES, [])),
            }
            for trial in self.finished
        ]

    def importance(self) -> dict[str, float]:
        """Return the share of the values' spread that each key explains; empty where unknown.

        Keys that some trials did not draw are left out.
        """
        from optuna.exceptions import ExperimentalWarning
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.simplefilter("error", UserWarning)  # raised where it cannot tell
            try:
                shares = get_param_importances(
                    self.study,
                    evaluator=PedAnovaImportanceEvaluator(),
                    target=lambda trial: trial.values[0],
                )
            except (ValueError, RuntimeError, UserWarning):  # too few trials, or a single value
                return {}
        return {key: float(share) for key, share in shares.items() if np.isfinite(share)}

    def first_error(self) -> str:
        """Return the error of the first trial that failed."""
        reasons = (trial.user_attrs.get(_REASON) for trial in self.finished)
        return str(next((reason for reason in reasons if reason), "no trial was tried"))


def _is_complete(trial: FrozenTrial) -> bool:
    return trial.state.name == "COMPLETE"


def no_trial(trials: Trials) -> BudgetError:
    """Return the error of a sweep without a model, with the first failure."""
    return BudgetError(
        f"No trial of {len(trials.finished)} gave a value, so there is no model. The first one: "
        f"{trials.first_error()}"
    )


def _sampler(settings: SweepSettings, seed: int) -> BaseSampler:
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import RandomSampler, TPESampler

    if settings.sampler != "tpe":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # `group`, which draws conditional parts together, is experimental.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            n_startup_trials=settings.startup_trials,
            multivariate=True,
            group=True,
            constant_liar=settings.workers > 1,
            seed=seed,
        )
