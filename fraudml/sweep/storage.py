"""Optuna's storage of a sweep: opened, checked and resumed."""

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
_POLL_SECONDS = 0.5


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
    """Open the study, or resume it; trials whose sweep was killed are tried again.

    Parameters
    ----------
    settings, space, seed
        As for `Trials`.
    folder : Path
        Of the journal, where there is no other storage.
    name : str
        The study's name.
    directions : sequence of {'maximize', 'minimize'}
        Which way is better in each objective.
    identity : mapping
        What must be the same for trials to be compared: the config and the hash of the table.
    rounds_key : str, optional
        The learner's key of rounds: combinations of a grid with most of them come first.

    Raises
    ------
    ConfigError
        The study is of another config or other data; all differences are named.
    MachineError
        The storage cannot be reached.
    """
    study = _open_study(settings, folder, name, directions)
    _check_identity(study, identity)
    trials = Trials(study, settings, space, seed)
    grid_search = settings.sampler == "grid"
    _end_orphans(study, again=not grid_search)
    if grid_search:
        _queue_missing(study, most_rounds_first(list(grid(space)), rounds_key))
    return trials


def _open_study(
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
                f"sweep.storage: '{_shown(settings.storage)}' is not a database that can be used "
                f"here: {error}. It is like sqlite:///trials.db, or "
                "postgresql+psycopg://host/database with the extra [postgres]."
            ) from error
        except (SQLAlchemyError, StorageInternalError, OSError) as error:
            if not last:  # another machine may be creating the same tables at this moment
                time.sleep(_POLL_SECONDS)
                continue
            raise MachineError(
                f"sweep.storage: '{_shown(settings.storage)}' cannot be reached: "
                f"{type(error).__name__}. Start it, or leave sweep.storage out for a file."
            ) from error
    raise AssertionError("the loop returns or raises")


def _storage(url: str | None, folder: Path) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if url is None:
        return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    return RDBStorage(url)


def _shown(url: str | None) -> str:
    """Return a storage's address without user and password."""
    address = str(url)
    scheme, _, rest = address.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if scheme else address


def _pruner(settings: SweepSettings) -> BasePruner:
    from optuna.pruners import MedianPruner, NopPruner, WilcoxonPruner

    if settings.pruner == "median":
        # The first quarter of the rounds is too early to compare.
        return MedianPruner(n_startup_trials=settings.startup_trials, n_warmup_steps=1)
    return WilcoxonPruner() if settings.pruner == "wilcoxon" else NopPruner()


def _check_identity(study: Study, identity: Mapping[str, Any]) -> None:
    present = json.loads(json.dumps(identity))
    known = study.user_attrs.get(_IDENTITY)
    if known is None:
        study.set_user_attr(_IDENTITY, present)
        return
    changes = [
        f"{key} was {known.get(key, 'nothing')} and is {present.get(key, 'nothing')}"
        for key in sorted({*known, *present})
        if known.get(key, "nothing") != present.get(key, "nothing")
    ]
    if changes:
        raise ConfigError(
            f"The study '{study.study_name}' is of another config or other data: "
            f"{'; '.join(changes[:5])}. Set another output_dir (and sweep.study_name), or run the "
            "command as it was."
        )


def _end_orphans(study: Study, *, again: bool) -> None:
    """End trials whose process is gone, and put their values first in the queue.

    A trial that was killed before all of its values were drawn is not queued: the next one draws
    the same, as nothing else has begun.
    """
    from optuna.trial import Trial, TrialState

    def running() -> list[FrozenTrial]:
        return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    while unclaimed(running()):
        time.sleep(_POLL_SECONDS)
    for trial in running():
        if is_alive(trial, own=False):
            continue
        Trial(study, trial._trial_id).set_user_attr(ORPHAN, True)
        study.tell(trial.number, state=TrialState.FAIL)
        values = trial.params if OVERRIDES in trial.user_attrs else _queued_values(trial)
        if again and values:
            study.enqueue_trial(values)


def _queue_missing(study: Study, combinations: Sequence[Mapping[str, str]]) -> None:
    """Queue the combinations that no trial that counts has."""
    queued = [
        _queued_values(trial)
        for trial in study.get_trials(deepcopy=False)
        if ORPHAN not in trial.user_attrs
    ]
    for combination in combinations:
        if combination not in queued:
            study.enqueue_trial(dict(combination))


def _queued_values(trial: FrozenTrial) -> dict[str, Any]:
    """Return the values that a trial was queued with; none where they were to be drawn."""
    return dict(trial.system_attrs.get("fixed_params", {}))
