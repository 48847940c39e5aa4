"""What a class or function can be called with: names, type hints, defaults."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

MISSING: Any = dataclasses.MISSING
"""Stands for 'no default' where None is a value."""


@dataclass(frozen=True)
class Parameter:
    """What one key accepts: a type hint, and the default where there is one."""

    hint: Any
    default: Callable[[], Any] | None

    def initial(self) -> Any:
        """Return the default, or `MISSING`."""
        return MISSING if self.default is None else self.default()


@dataclass(frozen=True)
class Shape:
    """The keys that a class or function takes, and whether it takes any other."""

    parameters: Mapping[str, Parameter]
    open: bool = False


@functools.cache
def shape_of(target: Any) -> Shape:
    """Read the fields of a dataclass, or the signature of anything else that can be called."""
    if dataclasses.is_dataclass(target) and _has_own_fields(target):
        hints = typing.get_type_hints(target)
        fields = [field for field in dataclasses.fields(target) if field.init]
        return Shape(
            {field.name: Parameter(hints[field.name], _field_default(field)) for field in fields}
        )
    return _signature_shape(target)


def _has_own_fields(target: Any) -> bool:
    """Say whether a dataclass is called with its fields, and has no other `__init__`."""
    return bool(target.__dataclass_params__.init)


def _field_default(field: dataclasses.Field[Any]) -> Callable[[], Any] | None:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory
    return None if field.default is dataclasses.MISSING else lambda: field.default


def _signature_shape(target: Any) -> Shape:
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:
        return Shape({}, open=True)
    hints = _hints_or_none(
        getattr(target, "__init__", target) if isinstance(target, type) else target
    )
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    named = {
        one.name: Parameter(
            hints.get(one.name, Any),
            None if one.default is one.empty else functools.partial(_same, one.default),
        )
        for one in parameters
        if one.kind in by_name
    }
    return Shape(named, any(one.kind is one.VAR_KEYWORD for one in parameters))


def _same(value: T) -> T:
    return value


def _hints_or_none(function: Any) -> dict[str, Any]:
    # Third-party annotations may name what only their type checker imports.
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}
