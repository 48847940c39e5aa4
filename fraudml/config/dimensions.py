"""Dimensions of a search, and how a trial draws from them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fraudml.errors import ConfigError, listing

if TYPE_CHECKING:
    from optuna.trial import Trial


@dataclass(frozen=True)
class Choice:
    """One of a few values, as text in Hydra's grammar.

    `needs` is the key of another choice, and the options of it that this dimension needs.
    """

    key: str
    options: tuple[str, ...]
    needs: tuple[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Interval:
    """A number between two ends, both included; `log` draws equal ratios equally often."""

    key: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    needs: tuple[str, tuple[str, ...]] | None = None


Dimension = Choice | Interval


def is_active(part: Dimension, values: Mapping[str, str]) -> bool:
    """Whether the values of the dimensions before allow a dimension."""
    return part.needs is None or values.get(part.needs[0]) in part.needs[1]


def draw_overrides(trial: Trial, space: Sequence[Dimension]) -> tuple[str, ...]:
    """Draw a value for each dimension whose condition holds, and return them as overrides."""
    return _overrides(space, lambda part: _draw(trial, part))


def first_overrides(space: Sequence[Dimension]) -> tuple[str, ...]:
    """Return the first value of each dimension whose condition holds, as overrides."""
    return _overrides(space, _first)


def _overrides(
    space: Sequence[Dimension], value_of: Callable[[Dimension], str | float]
) -> tuple[str, ...]:
    values: dict[str, str] = {}
    for part in space:
        if is_active(part, values):
            values[part.key] = str(value_of(part))
    return tuple(f"{key}={value}" for key, value in values.items())


def _draw(trial: Trial, part: Dimension) -> str | float:
    if isinstance(part, Choice):
        return str(trial.suggest_categorical(part.key, part.options))
    if part.whole:
        return trial.suggest_int(part.key, int(part.low), int(part.high), log=part.log)
    return trial.suggest_float(part.key, part.low, part.high, log=part.log)


def _first(part: Dimension) -> str | float:
    if isinstance(part, Choice):
        return part.options[0]
    return int(part.low) if part.whole else part.low


def grid(space: Sequence[Dimension]) -> Iterator[dict[str, str]]:
    """Yield every combination of choices, without those whose condition does not hold.

    Raises
    ------
    ConfigError
        A dimension is an interval.
    """
    choices = [part for part in space if isinstance(part, Choice)]
    if len(choices) < len(space):
        intervals = listing(part.key for part in space if not isinstance(part, Choice))
        raise ConfigError(
            f"sweep.sampler=grid, and {intervals} have infinitely many values. Give choice(…) or "
            "range(…), or set sweep.sampler=tpe."
        )
    seen = set()
    for options in itertools.product(*(part.options for part in choices)):
        values: dict[str, str] = {}
        for part, option in zip(choices, options, strict=True):
            if is_active(part, values):
                values[part.key] = option
        if tuple(values.items()) not in seen:
            seen.add(tuple(values.items()))
            yield values
