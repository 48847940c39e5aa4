"""Dimensions of a search, and how a trial draws from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fraudml.errors import ConfigError, listing

if TYPE_CHECKING:
    from optuna.trial import Trial


@dataclass(frozen=True)
class Choice:
    """One of a few values, as text in Hydra's grammar.

    Parameters
    ----------
    key : str
        The config key or group.
    options : tuple of str
        Its values.
    needs : tuple of str and tuple of str, optional
        Another choice's key, and the options of it that this one needs.
    """

    key: str
    options: tuple[str, ...]
    needs: tuple[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Interval:
    """A number between two ends, both included.

    Parameters
    ----------
    key : str
        The config key.
    low, high : float
        The ends.
    log : bool
        Whether equal ratios are equally likely, instead of equal differences.
    whole : bool
        Whether it is a whole number.
    needs : tuple, optional
        As for `Choice`.
    """

    key: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    needs: tuple[str, tuple[str, ...]] | None = None


Dimension = Choice | Interval


def holds(one: Dimension, drawn: Mapping[str, str]) -> bool:
    """Say whether what was drawn before allows a dimension."""
    return one.needs is None or drawn.get(one.needs[0]) in one.needs[1]


def draw_overrides(trial: Trial, space: Sequence[Dimension]) -> tuple[str, ...]:
    """Draw a value for each dimension whose condition holds, and return them as overrides."""
    drawn: dict[str, str] = {}
    for one in space:
        if holds(one, drawn):
            drawn[one.key] = str(_draw(trial, one))
    return tuple(f"{key}={value}" for key, value in drawn.items())


def _draw(trial: Trial, one: Dimension) -> str | int | float:
    if isinstance(one, Choice):
        return str(trial.suggest_categorical(one.key, one.options))
    if one.whole:
        return trial.suggest_int(one.key, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(one.key, one.low, one.high, log=one.log)


def first_overrides(space: Sequence[Dimension]) -> tuple[str, ...]:
    """Return the first value of each dimension, for a look at whether the config takes them."""
    drawn: dict[str, str] = {}
    for one in space:
        if holds(one, drawn):
            low = one.options[0] if isinstance(one, Choice) else one.low
            drawn[one.key] = str(int(low) if isinstance(one, Interval) and one.whole else low)
    return tuple(f"{key}={value}" for key, value in drawn.items())


def grid(space: Sequence[Dimension]) -> Iterator[dict[str, str]]:
    """Yield every combination of choices, without those whose condition does not hold.

    Raises
    ------
    ConfigError
        A dimension is an interval.
    """
    endless = [one.key for one in space if not isinstance(one, Choice)]
    if endless:
        raise ConfigError(
            f"sweep.sampler=grid, and {listing(endless)} have endlessly many values. Give "
            "choice(…) or range(…), or take sweep.sampler=tpe."
        )
    choices = [one for one in space if isinstance(one, Choice)]
    seen = set()
    for options in itertools.product(*(one.options for one in choices)):
        drawn: dict[str, str] = {}
        for one, option in zip(choices, options, strict=True):
            if holds(one, drawn):
                drawn[one.key] = option
        key = tuple(drawn.items())
        if key not in seen:
            seen.add(key)
            yield drawn
