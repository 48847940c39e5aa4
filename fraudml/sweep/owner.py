"""The process that owns a running trial, and whether it is alive."""

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
_HEARTBEAT_SECONDS, _DEAD_AFTER_SECONDS = 20.0, 120.0
"""Time between heartbeats of a running trial, and without one before other machines give it up."""

_CLAIM_SECONDS = 5.0
"""How long a trial may be without an owner: the process that asked for it claims it at once."""


def claim(trial: Trial) -> None:
    """Make this process the owner of a trial."""
    trial.set_user_attr(_OWNER, f"{socket.gethostname()}:{os.getpid()}")
    trial.set_user_attr(_SEEN, time.time())


def heartbeat(trial: Trial) -> None:
    """Record that a trial is alive, at most every `_HEARTBEAT_SECONDS`."""
    if time.time() - float(trial.user_attrs.get(_SEEN, 0)) > _HEARTBEAT_SECONDS:
        trial.set_user_attr(_SEEN, time.time())


def unclaimed(trials: Iterable[FrozenTrial]) -> bool:
    """Whether there are trials that a process may be about to claim."""
    return any(_OWNER not in trial.user_attrs and is_alive(trial, own=False) for trial in trials)


def is_alive(trial: FrozenTrial, *, own: bool) -> bool:
    """Whether the process of a running trial is there; `own` is returned for this process."""
    if _OWNER not in trial.user_attrs:
        return _age(trial) < _CLAIM_SECONDS
    host, _, pid = str(trial.user_attrs[_OWNER]).rpartition(":")
    if host != socket.gethostname():
        return time.time() - float(trial.user_attrs.get(_SEEN, 0)) < _DEAD_AFTER_SECONDS
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
