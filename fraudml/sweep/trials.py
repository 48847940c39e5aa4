"""Trials in Optuna's storage: opened, continued, asked for, told, and counted."""

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
"""Of a trial that does not count: its sweep was killed, or another machine had the last one."""

OVERRIDES = "overrides"
"""Of a trial whose values are all drawn."""

_REASON, _BLOCKS, _CURVE = "reason", "values", "curve"
_ONE_SIDED = 1.645
"""Of the normal distribution, at .95."""


@dataclass(frozen=True)
class Trials:
    """The trials of a sweep.

    Parameters
    ----------
    study : Study
        Optuna's.
    settings : SweepSettings
        How values are drawn and trials are chosen.
    space : tuple of Dimension
        What is searched.
    seed : int
        The run's.
    """

    study: Study
    settings: SweepSettings
    space: tuple[Dimension, ...]
    seed: int

    @property
    def finished(self) -> list[FrozenTrial]:
        """Every trial that counts: all that ended, but those whose sweep was killed."""
        return [
            one
            for one in self.study.get_trials(deepcopy=False)
            if one.state.is_finished() and not one.user_attrs.get(ORPHAN)
        ]

    @property
    def best(self) -> FrozenTrial | None:
        """The chosen trial so far; of equals the first."""
        return next(iter(self.pareto_front), None)

    @property
    def pareto_front(self) -> list[FrozenTrial]:
        """Trials that no other one beats in every objective, the chosen one first.

        With one objective that is the best one. With several, the one whose worst shortfall, as a
        share of what the front spans, is least.
        """
        done = [one for one in self.finished if _whole(one)]
        if not done:
            return []
        worth = np.array([one.values for one in done]) * self._signs
        beaten = np.array(
            [np.any(np.all(worth >= one, axis=1) & np.any(worth > one, axis=1)) for one in worth]
        )
        worth, pareto_front = (
            worth[~beaten],
            [one for one, out in zip(done, beaten, strict=True) if not out],
        )
        span = np.maximum(np.ptp(worth, axis=0), np.finfo(float).tiny)
        shortfall = ((worth.max(axis=0) - worth) / span).max(axis=1)
        order = sorted(
            range(len(pareto_front)), key=lambda at: (shortfall[at], pareto_front[at].number)
        )
        return [pareto_front[at] for at in order]

    @property
    def _signs(self) -> NDArray[np.float64]:
        return np.array([1.0 if one.name == "MAXIMIZE" else -1.0 for one in self.study.directions])

    @property
    def since_best(self) -> int:
        """How many trials ended after the last one that is among the best."""
        last = max((one.number for one in self.pareto_front), default=None)
        return 0 if last is None else sum(one.number > last for one in self.finished)

    @property
    def begun(self) -> int:
        """How many trials have ended or run, on whatever machine."""
        return len(self.finished) + len(self.running)

    @property
    def running(self) -> list[FrozenTrial]:
        """Trials that run, on whatever machine."""
        from optuna.trial import TrialState

        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [one for one in running if is_alive(one, own=True)]

    def counts(self) -> dict[str, int]:
        """Return how many trials ended how, and the total."""
        states = Counter(one.state.name.lower() for one in self.finished)
        return {**dict(sorted(states.items())), "total": len(self.finished)}

    def ask(self, total: int) -> tuple[Trial, tuple[str, ...]] | None:
        """Begin a trial; return it with its overrides; None where others have begun the last.

        Parameters
        ----------
        total : int
            How many trials there may be.
        """
        while True:
            begun, queued = self.begun, self._queued
            # Seeded by what has begun: a sweep that was killed draws what it would have drawn.
            self.study.sampler = _sampler(self.settings, child_seed(self.seed, str(begun)))
            trial = self.study.ask()
            claim(trial)
            rank = sum(one.number <= trial.number for one in (*self.finished, *self.running))
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

    def should_continue(self, trial: Trial, stop: IntermediateResult) -> bool:
        """Report what a trial is worth so far, and say whether it should go on."""
        pruner = self.settings.pruner
        if pruner == "none" or len(self.study.directions) > 1:
            return True
        if pruner == "median":
            trial.report(stop.so_far, stop.step)
        elif stop.whole:
            trial.report(stop.value, stop.block)
        else:
            return True
        return not trial.should_prune()

    def tell(self, trial: Trial, outcome: Outcome) -> list[float] | None:
        """Record how a trial ended, and return what it is worth in each objective."""
        from optuna.trial import TrialState

        trial.set_user_attr(_BLOCKS, outcome.blocks)
        if outcome.state == "done" and outcome.values:
            trial.set_user_attr(_CURVE, learning_curve(outcome.stops))
            worth = self._worth(np.array(outcome.values))
            self.study.tell(trial, worth)
            return worth
        if outcome.state == "budget_exhausted":
            trial.set_user_attr(ORPHAN, True)  # it is no result: a later run may try it
        said = outcome.error or ("no block could be scored" if outcome.state == "done" else None)
        trial.set_user_attr(_REASON, said or outcome.state)
        pruned = outcome.state == "pruned"
        self.study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)
        return None

    def _worth(self, values: NDArray[np.float64]) -> list[float]:
        mean = values.mean(axis=0)
        if self.settings.choose == "lower_bound" and len(values) > 1:
            mean -= self._signs * _ONE_SIDED * values.std(axis=0, ddof=1) / np.sqrt(len(values))
        return [float(one) for one in mean]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a trial that counts: how it ended, its values, blocks, curve, settings."""
        names = ("value", *self.settings.secondary_objectives)
        return [
            {
                "trial": one.number,
                "state": one.state.name.lower(),
                # Optuna calls what a pruned trial said last its value, which is one of few blocks.
                **dict.fromkeys(names),
                **(dict(zip(names, one.values, strict=True)) if _whole(one) else {}),
                "blocks": list(one.user_attrs.get(_BLOCKS, [])),
                "rounds": [rounds for rounds, _ in one.user_attrs.get(_CURVE, [])],
                "curve": [value for _, value in one.user_attrs.get(_CURVE, [])],
                "seconds": one.duration.total_seconds() if one.duration else None,
                "reason": one.user_attrs.get(_REASON),
                "overrides": list(one.user_attrs.get(OVERRIDES, [])),
            }
            for one in self.finished
        ]

    def importance(self) -> dict[str, float]:
        """Return which share of the values' spread each key explains; empty where nobody can tell.

        Keys that some trials did not draw are left out.
        """
        from optuna.exceptions import ExperimentalWarning
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.simplefilter("error", UserWarning)  # how it says that nobody can tell
            try:
                found = get_param_importances(
                    self.study,
                    evaluator=PedAnovaImportanceEvaluator(),
                    target=lambda one: one.values[0],
                )
            except (ValueError, RuntimeError, UserWarning):  # too few trials, or one value alone
                return {}
        return {key: float(share) for key, share in found.items() if np.isfinite(share)}

    def first_error(self) -> str:
        """Return why the first trial failed that did."""
        said = [one.user_attrs.get(_REASON) for one in self.finished]
        return str(next((one for one in said if one), "no trial was tried"))


def _whole(trial: FrozenTrial) -> bool:
    return trial.state.name == "COMPLETE"


def no_trial(trials: Trials) -> BudgetError:
    """Return the error of a sweep that has no model: the first failure, whole."""
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
        # `group` is called experimental: it is what draws conditional parts together.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            n_startup_trials=settings.startup_trials,
            multivariate=True,
            group=True,
            constant_liar=settings.workers > 1,
            seed=seed,
        )
