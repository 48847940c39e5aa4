"""Where a learner runs: what was asked for, what is there, and which of the two it is.

How a device is tried is told in `probe`; what each learner needs of one, beside the learner.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from fraudml.errors import ConfigError
from fraudml.learners.probe import device_problem
from fraudml.learners.protocol import Learner, log_device_changes

_log = logging.getLogger(__name__)

_AUTO = "cuda"
"""What `auto` looks for. Not OpenCL: its 255 bins make another, lesser model, and a platform may be
the processor itself, many times slower than LightGBM's own code for it."""


@dataclass(frozen=True)
class DeviceSettings:
    """Where the learner runs.

    Parameters
    ----------
    kind : str
        `cpu`; `opencl`, LightGBM on any GPU; `cuda`, an NVIDIA GPU; or `auto`: `cuda` where a tiny
        model can be fitted there, otherwise `cpu`, and the log says why. A device that is asked for
        by name and is not there is an error.
    deterministic : bool
        Whether a fit on a GPU should give the same model again, as far as its library can: XGBoost
        does at any rate, LightGBM adds up in double precision, CatBoost cannot and refuses. On the
        CPU every fit does.
    """

    kind: Literal["cpu", "opencl", "cuda", "auto"] = "cpu"
    deterministic: bool = False


def choose_device(learner: Learner, settings: DeviceSettings) -> tuple[Learner, str]:
    """Settle where a learner runs, before there is anything to fit.

    Costs nothing for `cpu`; otherwise a few seconds for a tiny model in a process of its own.

    Parameters
    ----------
    learner : Learner
        What is going to be fitted.
    settings : DeviceSettings
        What was asked for.

    Returns
    -------
    learner : Learner
        As it runs there; see `Learner.on`.
    device : str
        `cpu`, `opencl` or `cuda`, for `FitContext`.

    Raises
    ------
    ConfigError
        A device that was asked for by name is not there, or not for this learner; the text says
        what to install.
    """
    if settings.kind == "auto":
        return _best(learner, settings.deterministic)
    own = learner.on(settings.kind, deterministic=settings.deterministic)
    if settings.kind == "cpu":
        return own, "cpu"
    problem = device_problem(own, settings.kind, settings.deterministic)
    if problem is not None:
        raise ConfigError(
            f"device is '{settings.kind}', and {_name(learner)} cannot be fitted there: {problem} "
            f"{learner.devices[settings.kind]}"
        )
    _log.info("device=%s: a tiny %s was fitted there.", settings.kind, _name(learner))
    log_device_changes(learner, own, settings.kind)
    return own, settings.kind


def _best(learner: Learner, deterministic: bool) -> tuple[Learner, str]:
    """CUDA where it works, with what that changes; otherwise the CPU, and why."""
    if _AUTO not in learner.devices:
        return _cpu(learner, f"{_name(learner)} runs on nothing else.")
    try:
        own = learner.on(_AUTO, deterministic=deterministic)
    except ConfigError as error:
        return _cpu(learner, str(error))
    problem = device_problem(own, _AUTO, deterministic)
    if problem is not None:
        needs = learner.devices[_AUTO]
        return _cpu(learner, f"{_name(learner)} cannot be fitted on {_AUTO}: {problem} {needs}")
    _log.info("device=auto chose %s: a tiny %s was fitted there.", _AUTO, _name(learner))
    log_device_changes(learner, own, _AUTO)
    return own, _AUTO


def _cpu(learner: Learner, why: str) -> tuple[Learner, str]:
    _log.info("device=auto chose cpu: %s", " ".join(why.split()))
    return learner.on("cpu"), "cpu"


def _name(learner: Learner) -> str:
    """What a user calls the learner; of scikit-learn's, the classifier."""
    named: str = getattr(learner, "classifier", type(learner).__name__)
    return named.rpartition(".")[2]
