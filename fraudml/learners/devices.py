"""The device that a learner runs on: what the config sets, and what is available.

`probe` tries a device; the module of each learner has what it needs of one.
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
"""The device that `auto` tries. Not OpenCL: its 255 bins make another, worse model, and a platform
may be the processor itself, many times slower than LightGBM's own code for it."""


@dataclass(frozen=True)
class DeviceSettings:
    """The device that the learner runs on.

    Parameters
    ----------
    kind : str
        `cpu`; `opencl`, LightGBM on any GPU; `cuda`, an NVIDIA GPU; or `auto`: `cuda` where a tiny
        model can be fitted there, otherwise `cpu`, and the log says why. A device that is set by
        name and not available is an error.
    deterministic : bool
        Whether a fit on a GPU should be reproducible, as far as its library can: XGBoost is in any
        case, LightGBM adds up in double precision, CatBoost cannot and refuses. On the CPU every
        fit is.
    """

    kind: Literal["cpu", "opencl", "cuda", "auto"] = "cpu"
    deterministic: bool = False


def choose_device(learner: Learner, settings: DeviceSettings) -> tuple[Learner, str]:
    """Return a learner as it runs on the device of the settings, and the device.

    Costs nothing for `cpu`; otherwise a few seconds for a tiny model in a child process. A device
    that is set by name and not available is refused, with what to install.
    """
    if settings.kind == "auto":
        return _best(learner, settings.deterministic)
    placed = learner.on(settings.kind, deterministic=settings.deterministic)
    if settings.kind == "cpu":
        return placed, "cpu"
    problem = device_problem(placed, settings.kind, settings.deterministic)
    if problem is not None:
        raise ConfigError(
            f"device is '{settings.kind}', and {_name(learner)} cannot be fitted there: {problem} "
            f"{learner.devices[settings.kind]}"
        )
    _log.info("device=%s: a tiny %s was fitted there.", settings.kind, _name(learner))
    log_device_changes(learner, placed, settings.kind)
    return placed, settings.kind


def _best(learner: Learner, deterministic: bool) -> tuple[Learner, str]:
    """CUDA where it works, otherwise the CPU; the log has why."""
    if _AUTO not in learner.devices:
        return _cpu(learner, f"{_name(learner)} runs on the CPU alone.")
    try:
        placed = learner.on(_AUTO, deterministic=deterministic)
    except ConfigError as error:
        return _cpu(learner, str(error))
    problem = device_problem(placed, _AUTO, deterministic)
    if problem is not None:
        needs = learner.devices[_AUTO]
        return _cpu(learner, f"{_name(learner)} cannot be fitted on {_AUTO}: {problem} {needs}")
    _log.info("device=auto chose %s: a tiny %s was fitted there.", _AUTO, _name(learner))
    log_device_changes(learner, placed, _AUTO)
    return placed, _AUTO


def _cpu(learner: Learner, reason: str) -> tuple[Learner, str]:
    _log.info("device=auto chose cpu: %s", " ".join(reason.split()))
    return learner.on("cpu"), "cpu"


def _name(learner: Learner) -> str:
    """The learner's name in messages; that of the classifier for scikit-learn."""
    name: str = getattr(learner, "classifier", type(learner).__name__)
    return name.rpartition(".")[2]
