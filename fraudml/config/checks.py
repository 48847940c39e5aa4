"""What is wrong with the components of a config, found before any work is done.

The target is imported, the arguments are bound to its signature and, where it is fraudml's own or
follows scikit-learn, the object is made and its values are checked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fraudml.config.components import (
    Component,
    bind,
    build_inner,
    call,
    inner_components,
    is_own,
    joined,
    required,
    validate,
)
from fraudml.config.parse import Problems, dump
from fraudml.config.shape import shape_of
from fraudml.config.targets import ALLOWED, TARGET, find_target
from fraudml.errors import ConfigError, all_problems

T = TypeVar("T")


def check(
    component: Component,
    *,
    where: str = "component",
    allowed: Collection[str] = ALLOWED,
    context: Collection[str] = (),
) -> Component:
    """Find what is wrong with a component, before it is needed.

    Parameters
    ----------
    component : Component
        What will be built.
    where, allowed
        As for `build`.
    context : collection of str
        Names that `build` will be given, so that they may be missing here.

    Returns
    -------
    Component
        The same; one of fraudml's own with every default written out.

    Raises
    ------
    ConfigError
        As `build` would.
    """
    try:
        return _check(component, where, allowed, context)
    except Problems as problems:
        raise ConfigError(joined(problems.found, where)) from problems.__cause__


def check_tree(
    settings: T,
    allowed: Collection[str] = ALLOWED,
    builders: Mapping[str, Callable[[Component], Iterable[Any]]] | None = None,
) -> T:
    """Check every component in a tree of settings, and write out the defaults of fraudml's own.

    Parameters
    ----------
    settings : dataclass instance
        The tree.
    allowed : collection of str
        What a target may begin with.
    builders : mapping, optional
        For sections that are not built by `build`, by dotted path: what makes their objects from
        the component, or raises `ConfigError`.

    Raises
    ------
    ConfigError
        What is wrong with any of them, all of it at once.
    """
    problems: list[str] = []
    checked = _check_below(settings, "", _Checks(allowed, builders or {}), problems)
    if problems:
        raise ConfigError(all_problems(f"{len(problems)} problems in the config.", problems))
    result: T = checked
    return result


@dataclass(frozen=True)
class _Checks:
    """What the check of a tree goes by."""

    allowed: Collection[str]
    builders: Mapping[str, Callable[[Component], Iterable[Any]]]


def _check_below(value: Any, path: str, checks: _Checks, problems: list[str]) -> Any:
    if isinstance(value, Component):
        try:
            if path in checks.builders and not _by_itself(value, path, checks.allowed):
                return _check_built(value, path, checks)
            return _check(value, path, checks.allowed, ())
        except Problems as wrong:
            problems += wrong.found
            return value
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    changed = {}
    for one in dataclasses.fields(value):
        old = getattr(value, one.name)
        new = _check_below(old, f"{path}.{one.name}" if path else one.name, checks, problems)
        if new is not old:
            changed[one.name] = new
    return dataclasses.replace(value, **changed) if changed else value


def _by_itself(component: Component, where: str, allowed: Collection[str]) -> bool:
    """Say whether a component is nothing, or a class of fraudml's own that needs no builder."""
    if component.target is None:
        return True
    target = _found(component.target, where, allowed)
    return isinstance(target, type) and is_own(target)


def _check_built(component: Component, where: str, checks: _Checks) -> Component:
    """Check a component that its package builds in a way of its own."""
    for name, inner in inner_components(component.arguments, where):
        if inner.target is not None:
            _found(inner.target, name, checks.allowed)
    try:
        for made in checks.builders[where](component):
            validate(made, where)
    except ConfigError as error:
        raise Problems([str(error)]) from error.__cause__
    return component


def _found(target: str, where: str, allowed: Collection[str]) -> Any:
    try:
        return find_target(target, where, allowed)
    except ConfigError as error:
        raise Problems([str(error)]) from error.__cause__


def _check(
    component: Component, where: str, allowed: Collection[str], context: Collection[str]
) -> Component:
    if component.target is None:
        if component.arguments:
            raise Problems([f"{where} has arguments and no {TARGET}."])
        return component
    target = _found(component.target, where, allowed)
    arguments = dict(component.arguments)
    problems: list[str] = []
    for name, inner in inner_components(arguments, where):
        try:
            _check(inner, name, allowed, context)
        except Problems as wrong:
            problems += wrong.found
    if problems:
        raise Problems(problems)
    if is_own(target):
        return _complete(component, target, where, allowed, context)
    bind(target, component.target, arguments, where, context)
    _check_values(target, arguments, where)
    return component


def _complete(
    component: Component,
    target: Any,
    where: str,
    allowed: Collection[str],
    context: Collection[str],
) -> Component:
    """Make one of fraudml's own parts, and write out its defaults where that makes it again."""
    assert component.target is not None
    lacking = required(target) - set(component.arguments)
    if lacking and lacking <= set(context):
        return component
    made = _made(component, target, where, allowed)
    full = _written(made, target, component.plain_arguments())
    if full is None:
        return component
    built = {name: part for name, part in component.arguments.items() if not _is_plain(part)}
    completed = Component(component.target, {**full, **built})
    try:
        again = _made(completed, target, where, allowed)
    except Problems:
        return component
    # Objects of other libraries are equal to themselves alone.
    return completed if again == made or built else component


def _made(component: Component, target: Any, where: str, allowed: Collection[str]) -> Any:
    try:
        arguments = build_inner(component.arguments, where, allowed, {})
    except ConfigError as error:
        raise Problems([str(error)]) from error.__cause__
    return call(target, str(component.target), arguments, where)


def _written(made: Any, target: Any, given: dict[str, Any]) -> Mapping[str, Any] | None:
    """Write down all arguments of one of fraudml's own parts, where that can be known."""
    if not shape_of(target).open:
        names = [name for name in shape_of(target).parameters if hasattr(made, name)]
        return given | {name: dump(getattr(made, name)) for name in names}
    written = made.to_dict() if hasattr(made, "to_dict") else None
    return written if isinstance(written, Mapping) and TARGET not in written else None


def _check_values(target: Any, arguments: Mapping[str, Any], where: str) -> None:
    """Check the values too where the class follows scikit-learn: its constructors only store."""
    if isinstance(target, type) and hasattr(target, "_parameter_constraints"):
        plain = {name: value for name, value in arguments.items() if _is_plain(value)}
        if not required(target) - set(plain):
            validate(target(**_listed(plain)), where)


def _is_plain(value: Any) -> bool:
    return next(inner_components(value, ""), None) is None


def _listed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: build_inner(value, "", (), {}) for name, value in arguments.items()}
