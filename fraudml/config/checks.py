"""Problems of the components of a config, before any work is done.

The target is imported and the arguments are bound to its signature, which calls nothing. fraudml's
own parts, and what follows scikit-learn from its plain arguments, are made to check their values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fraudml.config.components import (
    Call,
    Component,
    bind,
    contains,
    is_own,
    is_typed,
    map_inner,
    required,
    validate,
)
from fraudml.config.parse import dump
from fraudml.config.problems import Collector
from fraudml.config.shape import shape_of
from fraudml.config.targets import ALLOWED, TARGET, find_target

T = TypeVar("T")
Builder = Callable[[Component], Iterable[Any] | None]


def check(
    component: Component,
    *,
    key_path: str = "component",
    allowed: Collection[str] = ALLOWED,
    context: Collection[str] = (),
) -> Component:
    """Check a component as `build` would; return one of fraudml's own with every default.

    `context` are names that `build` will be given, so that they may be missing here.
    """
    target = component.target and find_target(component.target, key_path, allowed)
    if target and is_typed(target):
        lacking = required(target) - set(component.arguments)
        if lacking and lacking <= set(context):
            return component
    call = bind(component, key_path, allowed, dict.fromkeys(context))
    if call is None:
        return component
    part = _checked_part(call)
    return _completed(component, call, part) if is_typed(call.target) else component


def _checked_part(call: Call) -> Any:
    """Make a part of fraudml's own; elsewhere check the values that a constructor only stores."""
    if call.own:
        return call.make()
    map_inner(call.arguments, Call, lambda inner, _: _checked_part(inner))
    if isinstance(call.target, type) and hasattr(call.target, "_parameter_constraints"):
        plain = {name: part for name, part in call.arguments.items() if not contains(part, Call)}
        if required(call.target) <= plain.keys():
            validate(call.target(**plain), call.path)
    return None


def _completed(component: Component, call: Call, part: Any) -> Component:
    """Write out the defaults of a part with type hints, as far as they are plain data."""
    given = component.arguments
    if shape_of(call.target).open:
        every = part.to_dict() if hasattr(part, "to_dict") else {TARGET: None}
        inner = {name: value for name, value in given.items() if contains(value, Component)}
        return component if TARGET in every else Component(component.target, {**every, **inner})
    defaults = {name: key.initial() for name, key in shape_of(call.target).parameters.items()}
    every = {**defaults, **call.arguments}
    plain = {
        name: given[name] if contains(given.get(name), Component) else dump(value)
        for name, value in every.items()
        if name in given or _is_plain(dump(value))
    }
    return Component(component.target, plain)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (Mapping, list)):
        return all(map(_is_plain, value.values() if isinstance(value, Mapping) else value))
    return value is None or isinstance(value, (str, int, float))


def check_tree(
    settings: T,
    allowed: Collection[str] = ALLOWED,
    builders: Mapping[str, Builder] | None = None,
) -> T:
    """Check every component in a tree of settings, and write out the defaults of fraudml's own.

    `builders` is for sections that `build` does not build, by dotted path: a function that makes
    their objects from the component, or None for one that `build` does. All problems are raised at
    once, as a `ConfigError`.
    """
    problems = Collector()
    checked: T = _Walker(allowed, builders or {}, problems).check(settings, "")
    problems.raise_all()
    return checked


@dataclass(frozen=True)
class _Walker:
    """Checks the components of a tree."""

    allowed: Collection[str]
    builders: Mapping[str, Builder]
    problems: Collector

    def check(self, value: Any, path: str) -> Any:
        """Return a value with its components checked and completed."""
        if isinstance(value, Component):
            with self.problems.collect():
                return self._component(value, path)
        if isinstance(value, Component) or not dataclasses.is_dataclass(value):
            return value
        parts = {
            field.name: self.check(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))
            for field in dataclasses.fields(value)
        }
        changed = {name: part for name, part in parts.items() if part is not getattr(value, name)}
        return dataclasses.replace(value, **changed) if changed else value  # type: ignore[type-var]

    def _component(self, component: Component, path: str) -> Component:
        target = component.target and find_target(component.target, path, self.allowed)
        if path not in self.builders or not target or (isinstance(target, type) and is_own(target)):
            return check(component, key_path=path, allowed=self.allowed)

        def find_inner(inner: Component, inner_path: str) -> None:
            if inner.target is not None:
                find_target(inner.target, inner_path, self.allowed)

        map_inner(component.arguments, Component, find_inner, path)
        parts = self.builders[path](component)
        if parts is None:
            return check(component, key_path=path, allowed=self.allowed)
        for part in parts:
            validate(part, path)
        return component
