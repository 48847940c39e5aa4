"""Whose a running trial is, and whether that process is still there."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

_OWNER, _SEEN = "owner", "seen"
_SECONDS_BETWEEN_BEATS, _SECONDS_TO_DEATH = 20.0, 120.0
"""How often a running trial says that it lives, and how long other machines believe it."""

_SECONDS_TO_CLAIM = 5.0
"""How long a trial may be without an owner: who asked for it claims it at once."""


def claim(trial: Trial) -> None:
    """Say that a trial is this process's."""
    trial.set_user_attr(_OWNER, f"{socket.gethostname()}:{os.getpid()}")
    trial.set_user_attr(_SEEN, time.time())


def heartbeat(trial: Trial) -> None:
    """Say that an own trial lives, if that was not said for a while."""
    if time.time() - float(trial.user_attrs.get(_SEEN, 0)) > _SECONDS_BETWEEN_BEATS:
        trial.set_user_attr(_SEEN, time.time())


def unclaimed(trials: Iterable[FrozenTrial]) -> bool:
    """Say whether there are trials that somebody may be about to claim."""
    return any(_OWNER not in one.user_attrs and is_alive(one, own=False) for one in trials)


def is_alive(trial: FrozenTrial, *, own: bool) -> bool:
    """Say whether the process of a running trial is there.

    Parameters
    ----------
    trial : FrozenTrial
        One that the storage calls running.
    own : bool
        What to say of one that this process began.
    """
    if _OWNER not in trial.user_attrs:
        return _age(trial) < _SECONDS_TO_CLAIM
    host, _, pid = str(trial.user_attrs[_OWNER]).rpartition(":")
    if host != socket.gethostname():
        return time.time() - float(trial.user_attrs.get(_SEEN, 0)) < _SECONDS_TO_DEATH
    if int(pid) == os.getpid():
        return own
    try:
        os.kill(int(pid), 0)
    except OSError:
        return False
    return True


def _age(trial: FrozenTrial) -> float:
    started = trial.datetime_start
    return 0.0 if started is None else (datetime.now() - started).total_seconds()
