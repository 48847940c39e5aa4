"""Parts that a config names by `_target_`, with their arguments beside it.

A component is plain data until it is built. `fraudml.config.checks` finds what is wrong with it
as soon as it is read.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fraudml.config.parse import KeyPath, Problems, dump, read_section
from fraudml.config.renamed import current_arguments, current_target
from fraudml.config.shape import shape_of
from fraudml.config.targets import ALLOWED, TARGET, find_target
from fraudml.errors import ConfigError, all_problems, nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Component:
    """What to build: a dotted path and the arguments of the call.

    Parameters
    ----------
    target : str, optional
        The dotted path of a class or function; None is the part that does nothing.
    arguments : mapping
        Plain data by argument name; lists are kept as tuples. A mapping with `_target_` inside is a
        component of its own.

    Examples
    --------
    >>> Component.from_plain({"_target_": "sklearn.svm.SVC", "C": 2.0})
    Component(target='sklearn.svm.SVC', arguments={'C': 2.0})
    >>> Component("sklearn.svm.SVC", {"C": 2.0}).to_plain()
    {'_target_': 'sklearn.svm.SVC', 'C': 2.0}
    """

    target: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        frozen = {name: _freeze(value) for name, value in self.arguments.items()}
        if isinstance(self.target, str):
            object.__setattr__(self, "target", current_target(self.target))
            frozen = current_arguments(self.target, frozen)
        object.__setattr__(self, "arguments", frozen)

    def __bool__(self) -> bool:
        return self.target is not None

    @classmethod
    def from_plain(cls, value: Any, base: Component | None = None, where: str = "") -> Component:
        """Read the YAML form: `_target_` with the arguments beside it; null is nothing.

        Parameters
        ----------
        value : mapping or None
            Without `_target_`, what is there is laid over `base`.
        base : Component, optional
            The default.
        where : str
            The dotted path, for messages.

        Raises
        ------
        ConfigError
            It is no mapping, its target is no text, or it has arguments and no target.
        """
        if value is None:
            return cls()
        if isinstance(value, Component):
            return value
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"{where} is {value!r}. It is a section with {TARGET} and arguments beside it. An "
                "option of the group is named on the command line or in a defaults list."
            )
        arguments = {str(name): part for name, part in value.items() if name != TARGET}
        if TARGET not in value and base is not None:
            return _with_target(cls, base.target, {**base.arguments, **arguments}, where)
        return _with_target(cls, value.get(TARGET), arguments, where)

    def to_plain(self) -> dict[str, Any]:
        """Write the YAML form."""
        return {TARGET: self.target, **self.plain_arguments()}

    def plain_arguments(self) -> dict[str, Any]:
        """Write the arguments as YAML has them: lists, and mappings with `_target_` inside."""
        arguments: dict[str, Any] = dump(self.arguments)
        return arguments


def _with_target(
    cls: type[Component], target: Any, arguments: Mapping[str, Any], where: str
) -> Component:
    if target is not None and not isinstance(target, str):
        raise ConfigError(f"{where}.{TARGET} is {target!r}. It is a dotted path, or null.")
    if target is None and arguments:
        names = ", ".join(f"{where}.{name}" for name in arguments)
        chosen = where.rpartition(".")[2] or "the part"
        raise ConfigError(
            f"{names} is set, but there is nothing to take it: {where}.{TARGET} is null. "
            f"Choose an option of {chosen} first ({chosen}=…), or leave it out."
        )
    return cls(target, arguments)


def _freeze(value: Any) -> Any:
    if isinstance(value, Mapping):
        inner = {name: _freeze(part) for name, part in value.items()}
        if TARGET not in inner:
            return inner
        target = inner.pop(TARGET)
        return Component(target, inner)
    return tuple(map(_freeze, value)) if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True)
class ComponentSettings:
    """What components may name.

    Parameters
    ----------
    allow : tuple of str
        More packages that a `_target_` may come from, beside fraudml's and its libraries'.
    """

    allow: tuple[str, ...] = ()

    @property
    def allowed(self) -> tuple[str, ...]:
        """All that a target may begin with."""
        return (*ALLOWED, *self.allow)


def build(
    component: Component,
    *,
    where: str = "component",
    allowed: Collection[str] = ALLOWED,
    **context: Any,
) -> Any:
    """Import a component's target and call it with its arguments.

    Parameters
    ----------
    component : Component
        What to build; those among its arguments are built first.
    where : str
        Its dotted path in the config, for messages.
    allowed : collection of str
        What the target may begin with.
    **context
        What the caller offers, such as `random_state`: passed where the target takes an argument of
        that name and the component does not set it.

    Returns
    -------
    object
        What the target returns; None where there is no target.

    Raises
    ------
    ConfigError
        The target is not allowed, not there, or its library is not installed; an argument is not
        accepted, missing, or refused.

    Examples
    --------
    >>> build(Component("sklearn.dummy.DummyClassifier"), random_state=0)
    DummyClassifier(random_state=0)
    """
    if component.target is None:
        return None
    target = find_target(component.target, where, allowed)
    arguments = {
        name: build_inner(value, f"{where}.{name}", allowed, context)
        for name, value in component.arguments.items()
    }
    offered = {
        name: value
        for name, value in context.items()
        if name not in arguments and _accepts(target, name)
    }
    try:
        return call(target, component.target, {**arguments, **offered}, where)
    except Problems as problems:
        raise ConfigError(joined(problems.found, where)) from problems.__cause__


def inner_components(value: Any, path: str) -> Iterator[tuple[str, Component]]:
    """List the components inside of a value, each with its dotted path."""
    if isinstance(value, Component):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from inner_components(inner, f"{path}.{name}")
    elif isinstance(value, tuple):
        for position, inner in enumerate(value):
            yield from inner_components(inner, f"{path}[{position}]")


def required(target: Any) -> set[str]:
    """List the arguments that a target has no default for."""
    parameters = shape_of(target).parameters
    return {name for name, parameter in parameters.items() if parameter.default is None}


def build_inner(
    value: Any, where: str, allowed: Collection[str], context: Mapping[str, Any]
) -> Any:
    """Build the components inside of a value, and make its tuples the lists that YAML has."""
    if isinstance(value, Component):
        return build(value, where=where, allowed=allowed, **context)
    if isinstance(value, Mapping):
        return {
            name: build_inner(part, f"{where}.{name}", allowed, context)
            for name, part in value.items()
        }
    if isinstance(value, tuple):
        return [
            build_inner(part, f"{where}[{position}]", allowed, context)
            for position, part in enumerate(value)
        ]
    return value


def call(target: Any, name: str, arguments: Mapping[str, Any], where: str) -> Any:
    """Call a target whose arguments were read from plain data; raise `Problems`."""
    _refuse_reserved(arguments, where)
    if is_own(target):
        return read_section(target, arguments, KeyPath(where, target, f"is no argument of {name}"))
    bind(target, name, arguments, where, ())
    try:
        made = target(**arguments)
    except (TypeError, ValueError) as error:
        raise Problems([f"{where}: {name} refuses its arguments: {error}"]) from error
    validate(made, where)
    return made


def bind(
    target: Any,
    name: str,
    arguments: Mapping[str, Any],
    where: str,
    context: Collection[str],
) -> None:
    """Bind arguments to a signature by name; types are the library's own business."""
    _refuse_reserved(arguments, where)
    shape = shape_of(target)
    problems = [
        f"{where}.{argument} is no argument of {name}. {nearest(argument, shape.parameters)}"
        for argument in arguments
        if not shape.open and argument not in shape.parameters
    ]
    missing = required(target) - set(arguments) - set(context)
    problems += [f"{where}.{one} is required by {name}." for one in sorted(missing)]
    if problems:
        raise Problems(problems)


def _refuse_reserved(arguments: Mapping[str, Any], where: str) -> None:
    problems = [
        f"{where}.{name} is not understood: fraudml builds its parts itself, from {TARGET} and "
        "named arguments alone."
        for name in arguments
        if name.startswith("_") and name.endswith("_")
    ]
    if problems:
        raise Problems(problems)


def validate(made: Any, where: str) -> None:
    """Check the values of what follows scikit-learn as its `fit` would; raise `Problems`."""
    validate = getattr(made, "_validate_params", None)
    if validate is None or not hasattr(made, "_parameter_constraints"):
        return
    try:
        validate()
    except ValueError as error:
        raise Problems([f"{where}: {error}"]) from error


def is_own(target: Any) -> bool:
    """Say whether a class or function is fraudml's own."""
    return str(getattr(target, "__module__", "")).startswith("fraudml.")


def _accepts(target: Any, name: str) -> bool:
    classes = inspect.getmro(target)[:-1] if isinstance(target, type) else (target,)
    return any(name in shape_of(one).parameters for one in classes)


def joined(problems: list[str], where: str) -> str:
    """Write the problems of one component as the text of an error."""
    return all_problems(f"{len(problems)} problems in {where}.", problems)
