"""What a user says about resampling: which samplers, one after the other, and to what share.

How a sampler is run is the business of `boundary`; nothing here sees a row.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fraudml.errors import ConfigError, all_problems, listing, nearest
from fraudml.resampling.library import changes

OWN_KEYS = ("fraud_share", "scale")
"""What fraudml adds to a sampler's own arguments, in the same place."""

CHAIN = "fraudml.resampling.chain"
"""The `_target_` of a chain, where one has to be named."""

_PACKAGES = ("imblearn.over_sampling", "imblearn.under_sampling", "imblearn.combine")


@dataclass(frozen=True)
class SamplerStep:
    """One sampler and what fraudml tells it.

    Parameters
    ----------
    sampler : object, optional
        Anything with `fit_resample(X, y)`; it is copied, never changed. None leaves the rows as
        they are.
    name : str
        What messages call it, and what its seed is derived from.
    fraud_share : float, optional
        The share of frauds, above 0 and below 1, that the sampler is to reach, each row counted
        with its weight. None leaves the number of rows to the sampler's own arguments.
    scale : bool
        Whether distances are measured on columns of unit spread. False measures them in the
        columns' own units, which lets the column with the largest numbers decide.

    Raises
    ------
    ConfigError
        A share outside of its range, or one for a sampler that decides it by itself; an object
        without `fit_resample`.
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
        found = type(self.sampler).__name__
        return [f"resampling: {found} has no method fit_resample(X, y). Give it a sampler."]

    def _share_problems(self) -> list[str]:
        share = self.fraud_share
        if share is None:
            return []
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            return [
                f"resampling.fraud_share is {share!r}. It is the share of frauds after "
                "resampling, above 0 and below 1; 0.5 makes the classes equal."
            ]
        if changes(self.sampler) is None:
            return [
                f"resampling.fraud_share is {share}, but {self.name} changes the rows that it "
                "finds and reaches no set share. Leave the key out, or add a random_under step "
                "after it."
            ]
        if getattr(self.sampler, "sampling_strategy", "auto") != "auto":
            return [
                f"resampling sets fraud_share={share} and sampling_strategy="
                f"{self.sampler.sampling_strategy!r}. Both say how many rows: leave one out."
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

    `imblearn.over_sampling.SMOTENC` becomes SMOTE, logged: the boundary votes on categorical
    columns for every sampler, in memory that does not grow with their levels. An argument that is
    itself a mapping with `_target_` is built too.

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
        `SamplerStep` is wrong.

    Examples
    --------
    >>> step = sampler_step("imblearn.over_sampling.SMOTE", {"k_neighbors": 3}, fraud_share=0.1)
    >>> step.name, step.sampler.k_neighbors
    ('SMOTE', 3)
    """
    given = dict(arguments or {})
    if target == "imblearn.over_sampling.SMOTENC":
        target = "imblearn.over_sampling.SMOTE"
        for needless in ("categorical_features", "categorical_encoder"):
            given.pop(needless, None)
    sampler = _built(target, given)
    return SamplerStep(sampler, target.rpartition(".")[2], fraud_share, scale)


def sampler_steps(
    target: str | None, arguments: Mapping[str, Any] | None = None
) -> tuple[SamplerStep, ...]:
    """Build what a file of `conf/resampling` says: no step, one, or a chain.

    Parameters
    ----------
    target : str, optional
        `_target_`; None is no resampling, or a chain; `fraudml.resampling.chain` is a chain.
    arguments : mapping, optional
        What stands beside `_target_`: the sampler's arguments with `fraud_share` and `scale`
        among them, or `steps`, a list of mappings with a `_target_` each.

    Raises
    ------
    ConfigError
        As in `sampler_step`; also a `steps` that is no list of such mappings.

    Examples
    --------
    >>> sampler_steps(None)
    ()
    >>> under = {"_target_": "imblearn.under_sampling.RandomUnderSampler", "fraud_share": 0.5}
    >>> [step.name for step in sampler_steps(None, {"steps": [under]})]
    ['RandomUnderSampler']
    """
    given = dict(arguments or {})
    if target not in (None, CHAIN):
        return (_one_step(target, given),)
    steps = given.pop("steps", [])
    if given:
        raise ConfigError(
            f"resampling has {listing(given)} without a _target_. "
            "Name a sampler, or put them beside one in 'steps'."
        )
    return chain(steps)


def chain(steps: Sequence[Any]) -> tuple[SamplerStep, ...]:
    """Build a list of steps, each a mapping with a `_target_`.

    Parameters
    ----------
    steps : sequence of mapping
        As `steps` of `sampler_steps`.

    Raises
    ------
    ConfigError
        As in `sampler_steps`.
    """
    return tuple(_chained(position, step) for position, step in enumerate(steps))


def _chained(position: int, step: object) -> SamplerStep:
    if isinstance(getattr(step, "target", None), str):
        step = {"_target_": step.target, **step.arguments}  # type: ignore[attr-defined]
    if not isinstance(step, Mapping) or not isinstance(step.get("_target_"), str):
        raise ConfigError(
            f"resampling.steps[{position}] is {step!r}. A step is a mapping with the sampler's "
            "_target_ and its arguments beside it."
        )
    given = dict(step)
    return _one_step(given.pop("_target_"), given)


def _one_step(target: str, given: dict[str, Any]) -> SamplerStep:
    own = {key: given.pop(key) for key in OWN_KEYS if key in given}
    return sampler_step(target, given, **own)


def _built(target: str, given: Mapping[str, Any]) -> Any:
    """Import the class and call it, with nested components built first."""
    factory = _imported(target)
    arguments = {key: _nested(value) for key, value in given.items()}
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
        raise ConfigError(f"{target} cannot be built: {error}. Give what it needs.") from error


def _nested(value: Any) -> Any:
    """Build what has a target, in a mapping or an object that holds both; lists stay lists."""
    if isinstance(value, Mapping) and "_target_" in value:
        return _built(value["_target_"], {k: v for k, v in value.items() if k != "_target_"})
    if isinstance(getattr(value, "target", None), str):
        return _built(value.target, value.arguments)
    if isinstance(value, list | tuple):
        return [_nested(part) for part in value]
    return value


def _imported(target: str) -> Any:
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
