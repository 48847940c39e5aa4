"""The arguments of a class or function: names, type hints, defaults."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MISSING: Any = dataclasses.MISSING
"""Stands for 'no default' where None is a value."""


@dataclass(frozen=True)
class Parameter:
    """A type hint, and the default or its factory where there is one."""

    hint: Any
    default: Any
    factory: Any

    def initial(self) -> Any:
        """Return the default, or `MISSING`."""
        return self.default if self.factory is MISSING else self.factory()


@dataclass(frozen=True)
class Shape:
    """The arguments that a class or function takes, and whether it takes any other."""

    parameters: Mapping[str, Parameter]
    open: bool = False


@functools.cache
def shape_of(target: Any) -> Shape:
    """Read the fields of a dataclass, or the signature of anything else that can be called."""
    if dataclasses.is_dataclass(target) and getattr(target, "__dataclass_params__").init:  # noqa: B009
        hints = _hints(target)
        return Shape(
            {
                field.name: Parameter(
                    hints.get(field.name, Any), field.default, field.default_factory
                )
                for field in dataclasses.fields(target)
                if field.init
            }
        )
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:
        return Shape({}, open=True)
    hints = _hints(getattr(target, "__init__", target) if isinstance(target, type) else target)
    return Shape(
        {
            parameter.name: Parameter(
                hints.get(parameter.name, Any),
                MISSING if parameter.default is parameter.empty else parameter.default,
                MISSING,
            )
            for parameter in parameters
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        },
        any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters),
    )


def _hints(function: Any) -> dict[str, Any]:
    # Third-party annotations may name what only their type checker imports.
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}
