"""Optuna's storage of a sweep: opened, checked, and gone on with."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fraudml.config.dimensions import Dimension, grid
from fraudml.config.sweep import SweepSettings
from fraudml.errors import ConfigError, MachineError
from fraudml.sweep.margins import most_rounds_first
from fraudml.sweep.owner import is_alive, unclaimed
from fraudml.sweep.trials import ORPHAN, OVERRIDES, Trials

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial

JOURNAL = "trials.journal"

_IDENTITY = "identity"
_SECONDS_BETWEEN_LOOKS = 0.5


def open_trials(
    settings: SweepSettings,
    space: tuple[Dimension, ...],
    folder: Path,
    *,
    name: str,
    seed: int,
    directions: Sequence[Literal["maximize", "minimize"]],
    identity: Mapping[str, Any],
    rounds_key: str | None = None,
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
    directions : sequence of {'maximize', 'minimize'}
        Which way is better in each objective.
    identity : mapping
        What must be the same for trials to be compared: the config and the data's fingerprint.
    rounds_key : str, optional
        What the learner calls its rounds: those of a grid that ask for most of them come first.

    Raises
    ------
    ConfigError
        The study is one of another config or of other data; all that differs is named.
    MachineError
        The storage cannot be reached.
    """
    study = _opened(settings, folder, name, directions)
    _check_identity(study, identity)
    trials = Trials(study, settings, space, seed)
    whole = settings.sampler == "grid"
    _end_orphans(study, again=not whole)
    if whole:
        _queue_missing(study, most_rounds_first(list(grid(space)), rounds_key))
    return trials


def _opened(
    settings: SweepSettings,
    folder: Path,
    name: str,
    directions: Sequence[Literal["maximize", "minimize"]],
) -> Study:
    import optuna
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for last in (False, True):
        try:
            return optuna.create_study(
                storage=_storage(settings.storage, folder),
                study_name=name,
                directions=list(directions),
                pruner=_pruner(settings),
                load_if_exists=True,
            )
        except (ImportError, ArgumentError) as error:
            raise ConfigError(
                f"sweep.storage: '{_shown(settings.storage)}' names no database that can be used "
                f"here: {error}. It is like sqlite:///trials.db, or "
                "postgresql+psycopg://host/database with the extra [postgres]."
            ) from error
        except (SQLAlchemyError, StorageInternalError, OSError) as error:
            if not last:  # another machine may be making the same tables at this moment
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                continue
            raise MachineError(
                f"sweep.storage: '{_shown(settings.storage)}' cannot be reached: "
                f"{type(error).__name__}. Start it, or leave sweep.storage out for a file."
            ) from error
    raise AssertionError("it was opened, or could not be")


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


def _pruner(settings: SweepSettings) -> BasePruner:
    from optuna.pruners import MedianPruner, NopPruner, WilcoxonPruner

    if settings.pruner == "median":
        # The first quarter of the rounds tells too little.
        return MedianPruner(n_startup_trials=settings.startup_trials, n_warmup_steps=1)
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
            "Set another output_dir (and sweep.study_name), or run the command as it was."
        )


def _end_orphans(study: Study, *, again: bool) -> None:
    """End trials whose process is gone, and put their values first in the queue.

    One that was killed before all of its values were drawn is not put there: who asks next draws
    the same, as nothing else has begun.
    """
    from optuna.trial import Trial, TrialState

    def running() -> list[FrozenTrial]:
        return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    while unclaimed(running()):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    for one in running():
        if is_alive(one, own=False):
            continue
        Trial(study, one._trial_id).set_user_attr(ORPHAN, True)
        study.tell(one.number, state=TrialState.FAIL)
        values = one.params if OVERRIDES in one.user_attrs else _queued_values(one)
        if again and values:
            study.enqueue_trial(values)


def _queue_missing(study: Study, combinations: Sequence[Mapping[str, str]]) -> None:
    """Queue what no trial that counts has: all of a grid at first, and later what was lost."""
    there = [
        _queued_values(one)
        for one in study.get_trials(deepcopy=False)
        if ORPHAN not in one.user_attrs
    ]
    for combination in combinations:
        if combination not in there:
            study.enqueue_trial(dict(combination))


def _queued_values(trial: FrozenTrial) -> dict[str, Any]:
    """The values that a trial was queued with; nothing where they were to be drawn."""
    return dict(trial.system_attrs.get("fixed_params", {}))
