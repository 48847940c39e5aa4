"""Trials in Optuna's storage: opened, continued, asked for, told, and counted."""

from __future__ import annotations

import itertools
import json
import os
import socket
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fraudml.errors import BudgetError, ConfigError, MachineError, listing
from fraudml.seeds import child_seed
from fraudml.sweep.process import Outcome
from fraudml.sweep.settings import SweepSettings
from fraudml.sweep.space import Choice, Dimension, draw_overrides, holds

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

JOURNAL = "trials.journal"

_IDENTITY, _OWNER, _ORPHAN, _OVERRIDES = "identity", "owner", "orphan", "overrides"
_REASON, _VALUES = "reason", "values"
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
            if one.state.is_finished() and not one.user_attrs.get(_ORPHAN)
        ]

    @property
    def best(self) -> FrozenTrial | None:
        """The chosen trial so far; of equals the first."""
        done = [one for one in self.finished if one.state.name == "COMPLETE"]
        sign = 1 if self.study.direction.name == "MAXIMIZE" else -1
        return max(done, key=lambda one: (sign * _value(one), -one.number), default=None)

    @property
    def since_best(self) -> int:
        """How many trials ended after the best one."""
        best = self.best
        return 0 if best is None else sum(one.number > best.number for one in self.finished)

    def counts(self) -> dict[str, int]:
        """Return how many trials ended how, and the total."""
        states = Counter(one.state.name.lower() for one in self.finished)
        return {**dict(sorted(states.items())), "total": len(self.finished)}

    def ask(self) -> tuple[Trial, tuple[str, ...]]:
        """Begin a trial; return it with its overrides."""
        # Seeded by what has ended, so that a sweep that was killed draws what it would have drawn.
        self.study.sampler = _sampler(self.settings, child_seed(self.seed, str(len(self.finished))))
        trial = self.study.ask()
        trial.set_user_attr(_OWNER, _me())
        overrides = draw_overrides(trial, self.space)
        trial.set_user_attr(_OVERRIDES, list(overrides))
        return trial, overrides

    def goes_on(self, trial: Trial, values: Sequence[float]) -> bool:
        """Report the blocks so far, and say whether the trial should go on."""
        step = len(values) - 1
        shown = values[-1] if self.settings.pruner == "wilcoxon" else float(np.mean(values))
        trial.report(shown, step)
        return not trial.should_prune()

    def tell(self, trial: Trial, outcome: Outcome) -> float | None:
        """Record how a trial ended, and return its value."""
        from optuna.trial import TrialState

        trial.set_user_attr(_VALUES, list(outcome.values))
        if outcome.state == "done" and outcome.values:
            value = self._worth(outcome.values)
            self.study.tell(trial, value)
            return value
        if outcome.state == "over":
            trial.set_user_attr(_ORPHAN, True)  # it is no result: a later run may try it
        said = outcome.error or ("no block could be scored" if outcome.state == "done" else None)
        trial.set_user_attr(_REASON, said or outcome.state)
        pruned = outcome.state == "pruned"
        self.study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)
        return None

    def _worth(self, values: Sequence[float]) -> float:
        mean = float(np.mean(values))
        if self.settings.choose == "mean" or len(values) < 2:
            return mean
        sign = 1 if self.study.direction.name == "MAXIMIZE" else -1
        spread = float(np.std(values, ddof=1)) / float(np.sqrt(len(values)))
        return mean - sign * _ONE_SIDED * spread

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a trial that counts: number, state, value, blocks, seconds, overrides."""
        return [
            {
                "trial": one.number,
                "state": one.state.name.lower(),
                "value": _value(one) if one.values else None,
                "blocks": list(one.user_attrs.get(_VALUES, [])),
                "seconds": one.duration.total_seconds() if one.duration else None,
                "reason": one.user_attrs.get(_REASON),
                "overrides": list(one.user_attrs.get(_OVERRIDES, [])),
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
                found = get_param_importances(self.study, evaluator=PedAnovaImportanceEvaluator())
            except (ValueError, RuntimeError, UserWarning):  # too few trials, or one value alone
                return {}
        return {key: float(share) for key, share in found.items() if np.isfinite(share)}

    def first_error(self) -> str:
        """Return why the first trial failed that did."""
        said = [one.user_attrs.get(_REASON) for one in self.finished]
        return str(next((one for one in said if one), "no trial was tried"))


def open_trials(
    settings: SweepSettings,
    space: tuple[Dimension, ...],
    folder: Path,
    *,
    name: str,
    seed: int,
    direction: Literal["maximize", "minimize"],
    identity: Mapping[str, Any],
) -> Trials:
    """Open the study, or go on with it; trials whose sweep was killed are tried again.

    Parameters
    ----------
    settings, space, seed
        As for `Trials`.
    folder : Path
        Where the journal stands where there is no other storage.
    name : str
        The study's name.
    direction : {'maximize', 'minimize'}
        Which way is better.
    identity : mapping
        What must be the same for trials to be compared: the config and the data's fingerprint.

    Raises
    ------
    ConfigError
        The study is one of another config or of other data; all that differs is named.
    MachineError
        The storage cannot be reached.
    """
    import optuna
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            storage=_storage(settings.storage, folder),
            study_name=name,
            direction=direction,
            pruner=_pruner(settings),
            load_if_exists=True,
        )
    except (ImportError, ArgumentError) as error:
        raise ConfigError(
            f"sweep.storage: '{_shown(settings.storage)}' names no database that can be used here: "
            f"{error}. It is like sqlite:///trials.db, or postgresql+psycopg://host/database with "
            "the extra [postgres]."
        ) from error
    except (SQLAlchemyError, StorageInternalError, OSError) as error:
        raise MachineError(
            f"sweep.storage: '{_shown(settings.storage)}' cannot be reached: "
            f"{type(error).__name__}. Start it, or leave sweep.storage out for a file."
        ) from error
    _check_identity(study, identity)
    trials = Trials(study, settings, space, seed)
    _try_again(study)
    if settings.sampler == "grid" and not study.get_trials(deepcopy=False):
        for combination in grid(space):
            study.enqueue_trial(combination)
    return trials


def grid(space: Sequence[Dimension]) -> Iterator[dict[str, str]]:
    """Yield every combination of choices, without those whose condition does not hold.

    Raises
    ------
    ConfigError
        A dimension is an interval.
    """
    endless = [one.key for one in space if not isinstance(one, Choice)]
    if endless:
        raise ConfigError(
            f"sweep.sampler=grid, and {listing(endless)} have endlessly many values. Give "
            "choice(…) or range(…), or take sweep.sampler=tpe."
        )
    choices = [one for one in space if isinstance(one, Choice)]
    seen = set()
    for options in itertools.product(*(one.options for one in choices)):
        drawn: dict[str, str] = {}
        for one, option in zip(choices, options, strict=True):
            if holds(one, drawn):
                drawn[one.key] = option
        key = tuple(drawn.items())
        if key not in seen:
            seen.add(key)
            yield drawn


def no_trial(trials: Trials) -> BudgetError:
    """Return the error of a sweep that has no model: the first failure, whole."""
    return BudgetError(
        f"No trial of {len(trials.finished)} gave a value, so there is no model. The first one: "
        f"{trials.first_error()}"
    )


def _value(trial: FrozenTrial) -> float:
    assert trial.values, "only complete trials have a value"
    return float(trial.values[0])


def _storage(url: str | None, folder: Path) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if url is None:
        return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    return RDBStorage(url)


def _shown(url: str | None) -> str:
    """A storage's address without who may enter it."""
    address = str(url)
    scheme, _, rest = address.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if scheme else address


def _sampler(settings: SweepSettings, seed: int) -> BaseSampler:
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import RandomSampler, TPESampler

    if settings.sampler != "tpe":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # `group` is called experimental: it is what draws conditional parts together.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            n_startup_trials=settings.startup,
            multivariate=True,
            group=True,
            constant_liar=settings.workers > 1,
            seed=seed,
        )


def _pruner(settings: SweepSettings) -> BasePruner:
    from optuna.pruners import MedianPruner, NopPruner, WilcoxonPruner

    if settings.pruner == "median":
        return MedianPruner(n_startup_trials=settings.startup)
    return WilcoxonPruner() if settings.pruner == "wilcoxon" else NopPruner()


def _check_identity(study: Study, identity: Mapping[str, Any]) -> None:
    told = json.loads(json.dumps(identity))
    known = study.user_attrs.get(_IDENTITY)
    if known is None:
        study.set_user_attr(_IDENTITY, told)
        return
    differ = sorted(
        key for key in {*known, *told} if known.get(key, "nothing") != told.get(key, "nothing")
    )
    if differ:
        shown = "; ".join(
            f"{key} was {known.get(key, 'nothing')} and is {told.get(key, 'nothing')}"
            for key in differ[:5]
        )
        raise ConfigError(
            f"The study '{study.study_name}' is one of another config or of other data: {shown}. "
            "Set another output_dir (and sweep.name), or run the command as it was."
        )


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _try_again(study: Study) -> None:
    """End trials whose process is gone, and put their values first in the queue."""
    from optuna.trial import Trial, TrialState

    for one in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _lives(str(one.user_attrs.get(_OWNER, ""))):
            continue
        Trial(study, one._trial_id).set_user_attr(_ORPHAN, True)
        study.tell(one.number, state=TrialState.FAIL)
        if one.params:
            study.enqueue_trial(one.params)


def _lives(owner: str) -> bool:
    host, _, pid = owner.rpartition(":")
    if not pid.isdigit():
        return False
    if host != socket.gethostname():
        return True  # another machine's; it ends them by itself
    if int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except OSError:
        return False
    return True
