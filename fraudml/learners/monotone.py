"""Monotone constraints: features that may only raise the margin, or only lower it, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fraudml.errors import DataError, all_problems, nearest
from fraudml.matrix import DesignMatrix

Monotone = tuple[tuple[str, int], ...]
"""Names with 1 (the margin never falls as the feature rises) or -1 (it never rises), sorted."""


def read_monotone(given: Mapping[str, Any] | Monotone) -> tuple[Monotone, list[str]]:
    """Return the constraints, without features that are free, and the problems of the setting.

    Examples
    --------
    >>> read_monotone({"amount": 1, "age": 0})
    ((('amount', 1),), [])
    >>> read_monotone({"amount": "up"})[1]
    ["learner.monotone.amount is 'up'. It is 1 (never falls), -1 (never rises) or 0 (free)."]
    """
    directions = dict(given)
    problems = [
        f"learner.monotone.{name} is {value!r}. It is 1 (never falls), -1 (never rises) or 0 "
        "(free)."
        for name, value in directions.items()
        if isinstance(value, (bool, float)) or value not in (-1, 0, 1)
    ]
    signs = {str(name): value for name, value in directions.items() if value in (-1, 1)}
    return tuple(sorted(signs.items())), problems


def monotone_signs(monotone: Monotone, train: DesignMatrix) -> list[int]:
    """Return one direction a column of the fit: 1, -1, or 0 where it is free."""
    position = {name: number for number, name in enumerate(train.names)}
    signs, problems = [0] * len(train.names), []
    for name, sign in monotone:
        if name not in position:
            problems.append(
                f"learner.monotone.{name} names no feature of the fit. {nearest(name, train.names)}"
            )
        elif position[name] in train.categorical:
            problems.append(
                f"learner.monotone.{name} is a direction for a categorical feature, whose levels "
                "have no order. Leave it out, or give the feature as a number."
            )
        else:
            signs[position[name]] = sign
    if problems:
        raise DataError(all_problems(f"{len(problems)} problems in learner.monotone.", problems))
    return signs
