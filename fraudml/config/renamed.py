"""Renamed keys, targets and arguments: the old name works, and a warning gives the new one."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any

from fraudml.errors import ConfigError

_log = logging.getLogger(__name__)

KEYS = {
    "evaluation.rivals": "evaluation.baselines",
    "features.leave_out": "features.drop",
    "split.first_fit": "split.initial_train_share",
    "split.steps": "split.oof_folds",
    "sweep.beside": "sweep.secondary_objectives",
    "sweep.name": "sweep.study_name",
    "sweep.startup": "sweep.startup_trials",
}
"""New key by old key, both dotted paths of the config."""

TARGETS = {"fraudml.weighting.Stakes": "fraudml.weighting.ExampleCost"}
"""New `_target_` by old `_target_`."""

ARGUMENTS = {
    "fraudml.learners.bagged.BaggedLightGBM": {"boosters": "n_members"},
    "fraudml.learners.losses.ExpectedCost": {"least_hessian": "min_hessian"},
    "fraudml.learners.losses.Margin": {"most": "max_margin"},
    "fraudml.weighting.CostWeight": {"least": "min_weight", "most": "max_weight"},
    "fraudml.weighting.ExampleCost": {"least": "min_weight", "most": "max_weight"},
}
"""New argument by old argument of a target."""


def current_target(target: str) -> str:
    """Return the present name of a target."""
    return _current(target, TARGETS)


def current_arguments(target: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of a target under their present names."""
    names = ARGUMENTS.get(target, {})
    for old in names.keys() & arguments:
        _refuse_both(old, names[old], names[old] in arguments)
    return {_current(name, names): value for name, value in arguments.items()}


def current_keys(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with the values of old keys under their present names.

    Raises
    ------
    ConfigError
        An old key and its new name are both set.
    """
    result = copy.deepcopy(dict(plain))
    for old, new in KEYS.items():
        old_section, old_name = _parent(result, old)
        if old_name in old_section:
            section, name = _parent(result, new)
            _refuse_both(old, new, name in section)
            section[name] = old_section.pop(old_name)
            _warn(old, new)
    return result


def _current(name: str, names: Mapping[str, str]) -> str:
    if name in names:
        _warn(name, names[name])
    return names.get(name, name)


def _warn(old: str, new: str) -> None:
    _log.warning("'%s' is now '%s'. Use the new name.", old, new)


def _refuse_both(old: str, new: str, both: bool) -> None:
    if both:
        raise ConfigError(f"{old} is the old name of {new}, and both are set. Leave out {old}.")


def _parent(config: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """Return the section that holds a key, made where it is missing, and the key's own name."""
    *path, name = key.split(".")
    for part in path:
        section = config.get(part, {})
        if not isinstance(section, dict):
            return {}, name
        config = config.setdefault(part, section)
    return config, name
