"""The settings of resampling: samplers in order, each with the share of frauds to reach.

`boundary` runs them; nothing here sees a row.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fraudml.errors import ConfigError, all_problems, listing, nearest
from fraudml.resampling.library import changed_class

OWN_KEYS = ("fraud_share", "scale")
"""Keys of fraudml that stand beside a sampler's own arguments."""

CHAIN = "fraudml.resampling.chain"
"""The `_target_` of a chain."""

_PACKAGES = ("imblearn.over_sampling", "imblearn.under_sampling", "imblearn.combine")


@dataclass(frozen=True)
class SamplerStep:
    """One sampler with fraudml's own settings for it.

    Parameters
    ----------
    sampler : object, optional
        Anything with `fit_resample(X, y)`; it is copied, never changed. None leaves the rows as
        they are.
    name : str
        Its name in messages; its seed is derived from it.
    fraud_share : float, optional
        The share of frauds to reach, above 0 and below 1, each row counted with its weight. None
        leaves the number of rows to the sampler's own arguments.
    scale : bool
        Whether distances are measured on columns of unit deviation. False measures them in the
        columns' own units, so that the column with the largest numbers decides.

    Raises
    ------
    ConfigError
        A share outside of its range, or for a sampler that reaches none; an object without
        `fit_resample`.
    """

    sampler: Any
    name: str
    fraud_share: float | None = None
    scale: bool = True

    def __post_init__(self) -> None:
        problems = [*self._share_problems(), *self._sampler_problems()]
        if problems:
            raise ConfigError(all_problems(f"resampling by {self.name}.", problems))

    def _sampler_problems(self) -> list[str]:
        if self.sampler is None or callable(getattr(self.sampler, "fit_resample", None)):
            return []
        name = type(self.sampler).__name__
        return [f"resampling: {name} has no method fit_resample(X, y). Name a sampler."]

    def _share_problems(self) -> list[str]:
        share = self.fraud_share
        if share is None:
            return []
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            return [
                f"resampling.fraud_share is {share!r}. It is the share of frauds after "
                "resampling, above 0 and below 1; 0.5 makes the classes equal."
            ]
        if changed_class(self.sampler) is None:
            return [
                f"resampling.fraud_share is {share}, but {self.name} cannot reach a given share. "
                "Leave the key out, or add a random_under step after it."
            ]
        if getattr(self.sampler, "sampling_strategy", "auto") != "auto":
            return [
                f"resampling sets fraud_share={share} and sampling_strategy="
                f"{self.sampler.sampling_strategy!r}. Both set the number of rows: leave one out."
            ]
        return []


def sampler_step(
    target: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    fraud_share: float | None = None,
    scale: bool = True,
) -> SamplerStep:
    """Build one step from the dotted name of a sampler and its arguments.

    `imblearn.over_sampling.SMOTENC` becomes SMOTE: the boundary votes on categorical columns for
    every sampler, in memory that does not grow with their levels. An argument that is itself a
    mapping with `_target_` is built too.

    Parameters
    ----------
    target : str
        Such as `imblearn.over_sampling.SMOTE`.
    arguments : mapping, optional
        The sampler's own arguments.
    fraud_share, scale
        As in `SamplerStep`.

    Raises
    ------
    ConfigError
        The sampler does not exist (with those that do), an argument is unknown, or a value of
        `SamplerStep` is invalid.

    Examples
    --------
    >>> step = sampler_step("imblearn.over_sampling.SMOTE", {"k_neighbors": 3}, fraud_share=0.1)
    >>> step.name, step.sampler.k_neighbors
    ('SMOTE', 3)
    """
    own = dict(arguments or {})
    if target == "imblearn.over_sampling.SMOTENC":
        target = "imblearn.over_sampling.SMOTE"
        for unused in ("categorical_features", "categorical_encoder"):
            own.pop(unused, None)
    sampler = _build(target, own)
    return SamplerStep(sampler, target.rpartition(".")[2], fraud_share, scale)


def sampler_steps(
    target: str | None, arguments: Mapping[str, Any] | None = None
) -> tuple[SamplerStep, ...]:
    """Build the steps of a component of the config: none, one, or a chain.

    Examples
    --------
    >>> sampler_steps(None)
    ()
    >>> under = {"_target_": "imblearn.under_sampling.RandomUnderSampler", "fraud_share": 0.5}
    >>> [step.name for step in sampler_steps(None, {"steps": [under]})]
    ['RandomUnderSampler']
    """
    rest = dict(arguments or {})
    if target not in (None, CHAIN):
        return (_one_step(target, rest),)
    steps = rest.pop("steps", [])
    if rest:
        raise ConfigError(
            f"resampling has {listing(rest)} without a _target_. "
            "Name a sampler, or put them beside one in 'steps'."
        )
    return chain(steps)


def chain(steps: Sequence[Any]) -> tuple[SamplerStep, ...]:
    """Build a list of steps, each a mapping with a `_target_`.

    Parameters
    ----------
    steps : sequence of mapping
        Each with the `_target_` of a sampler, its arguments, and `fraud_share` and `scale`.

    Raises
    ------
    ConfigError
        A step is no such mapping; and as in `sampler_step`.
    """
    return tuple(_chain_step(position, step) for position, step in enumerate(steps))


def _chain_step(position: int, step: object) -> SamplerStep:
    if isinstance(getattr(step, "target", None), str):
        step = {"_target_": step.target, **step.arguments}  # type: ignore[attr-defined]
    if not isinstance(step, Mapping) or not isinstance(step.get("_target_"), str):
        raise ConfigError(
            f"resampling.steps[{position}] is {step!r}. A step is a mapping with the sampler's "
            "_target_ and its arguments beside it."
        )
    rest = dict(step)
    return _one_step(rest.pop("_target_"), rest)


def _one_step(target: str, arguments: dict[str, Any]) -> SamplerStep:
    own = {key: arguments.pop(key) for key in OWN_KEYS if key in arguments}
    return sampler_step(target, arguments, **own)


def _build(target: str, plain: Mapping[str, Any]) -> Any:
    """Import the class and call it, with nested components built first."""
    factory = _import(target)
    arguments = {key: _build_nested(value) for key, value in plain.items()}
    signature = inspect.signature(factory)
    unknown = sorted(set(arguments) - set(signature.parameters))
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    if unknown and not takes_any:
        accepted = [*signature.parameters, *OWN_KEYS]
        problems = [
            f"{target} takes no '{key}'. {nearest(key, accepted)} It takes {listing(accepted, 20)}."
            for key in unknown
        ]
        raise ConfigError(all_problems(f"{len(unknown)} unknown arguments.", problems))
    try:
        return factory(**arguments)
    except TypeError as error:
        raise ConfigError(
            f"{target} cannot be built: {error}. Set the arguments that it needs."
        ) from error


def _build_nested(value: Any) -> Any:
    """Build mappings with `_target_`, and components; lists stay lists."""
    if isinstance(value, Mapping) and "_target_" in value:
        return _build(value["_target_"], {k: v for k, v in value.items() if k != "_target_"})
    if isinstance(getattr(value, "target", None), str):
        return _build(value.target, value.arguments)
    if isinstance(value, list | tuple):
        return [_build_nested(part) for part in value]
    return value


def _import(target: str) -> Any:
    module_name, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        known = known_samplers()
        close = nearest(name, [dotted.rpartition(".")[2] for dotted in known])
        suggestion = close if close.startswith("Did you mean") else ""
        raise ConfigError(
            f"resampling: there is no '{target}'. {suggestion} imbalanced-learn has "
            f"{listing(known, len(known))}."
        ) from error


def known_samplers() -> tuple[str, ...]:
    """Return the dotted names of all samplers of the installed imbalanced-learn.

    Examples
    --------
    >>> "imblearn.over_sampling.SMOTE" in known_samplers()
    True
    """
    return tuple(
        f"{package}.{name}"
        for package in _PACKAGES
        for name in sorted(importlib.import_module(package).__all__)
    )
