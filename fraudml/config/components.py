"""Parts that a config names by `_target_`, with their arguments beside it.

A component is plain data until it is bound to the signature of its target, and bound arguments are
a call that nobody makes before `Call.make`. `fraudml.config.checks` finds problems early.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from fraudml.config.parse import KeyPath, dump, is_readable, read_arguments, unknown_key
from fraudml.config.problems import Collector
from fraudml.config.renamed import current_arguments, current_target
from fraudml.config.shape import MISSING, shape_of
from fraudml.config.targets import ALLOWED, TARGET, find_target
from fraudml.errors import ConfigError


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
    def from_plain(cls, value: Any, base: Component | None = None, key_path: str = "") -> Component:
        """Read the YAML form; without `_target_`, its arguments are laid over those of `base`.

        Raises
        ------
        ConfigError
            It is no mapping, its target is no text, or it has arguments and no target.
        """
        if value is None or isinstance(value, Component):
            return value or cls()
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"{key_path} is {value!r}. It is a section with {TARGET} and arguments beside it. "
                "An option of the group is named on the command line or in a defaults list."
            )
        arguments = {str(name): part for name, part in value.items() if name != TARGET}
        target = value.get(TARGET)
        if TARGET not in value and base is not None:
            target, arguments = base.target, {**base.arguments, **arguments}
        if target is not None and not isinstance(target, str):
            raise ConfigError(f"{key_path}.{TARGET} is {target!r}. It is a dotted path, or null.")
        if target is None and arguments:
            names = ", ".join(f"{key_path}.{name}" for name in arguments)
            group = key_path.rpartition(".")[2] or "the part"
            raise ConfigError(
                f"{names} is set, but there is nothing to take it: {key_path}.{TARGET} is null. "
                f"Choose an option of {group} first ({group}=…), or leave it out."
            )
        return cls(target, arguments)

    def to_plain(self) -> dict[str, Any]:
        """Write the YAML form."""
        return {TARGET: self.target, **self.plain_arguments()}

    def plain_arguments(self) -> dict[str, Any]:
        """Write the arguments as YAML has them: lists, and mappings with `_target_` inside."""
        arguments: dict[str, Any] = dump(self.arguments)
        return arguments


def _freeze(value: Any) -> Any:
    if isinstance(value, Mapping):
        inner = {name: _freeze(part) for name, part in value.items()}
        if TARGET not in inner:
            return inner
        return Component(inner.pop(TARGET), inner)
    return tuple(map(_freeze, value)) if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True)
class ComponentSettings:
    """Packages that components may come from.

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
    key_path: str = "component",
    allowed: Collection[str] = ALLOWED,
    **context: Any,
) -> Any:
    """Import a component's target and call it with its arguments, built first; None without one.

    Parameters
    ----------
    component : Component
        What to build.
    key_path : str
        Its dotted path in the config, for messages.
    allowed : collection of str
        What the target may begin with.
    **context
        What the caller offers, such as `random_state`: passed where the target takes an argument of
        that name and the component does not set it.

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
    call = bind(component, key_path, allowed, context)
    return None if call is None else call.make()


@dataclass(frozen=True)
class Call:
    """A target with arguments that its signature takes, inner calls among them."""

    target: Any
    name: str
    path: str
    arguments: Mapping[str, Any]

    @property
    def own(self) -> bool:
        """Whether the target is fraudml's own."""
        return is_own(self.target)

    def make(self) -> Any:
        """Call the target, inner calls first; what it refuses is a `ConfigError`."""
        arguments = map_inner(self.arguments, Call, lambda call, _: call.make())
        try:
            part = self.target(**arguments)
        except (TypeError, ValueError) as error:
            if self.own:
                raise
            raise ConfigError(f"{self.path}: {self.name} refuses its arguments: {error}") from error
        validate(part, self.path)
        return part


def bind(
    component: Component, path: str, allowed: Collection[str], context: Mapping[str, Any]
) -> Call | None:
    """Bind a component's arguments to the signature of its target, and call nothing.

    Types are checked for fraudml's own targets and for dataclasses; elsewhere they are the
    library's business.
    """
    if component.target is None:
        if component.arguments:
            raise ConfigError(f"{path} has arguments and no {TARGET}.")
        return None
    target = find_target(component.target, path, allowed)
    problems = Collector(f"{{}} problems in {path}.")
    arguments: dict[str, Any] = {
        name: value for name, value in context.items() if _accepts(target, name)
    }

    def bind_inner(inner: Component, inner_path: str) -> Call | None:
        return bind(inner, inner_path, allowed, context)

    for name, value in component.arguments.items():
        with problems.collect():
            _refuse_reserved(name, path)
            arguments[name] = map_inner(value, Component, bind_inner, f"{path}.{name}", list)
    problems.raise_all()
    root = KeyPath(path, target, f"is no argument of {component.target}")
    if is_typed(target):
        arguments = read_arguments(target, arguments, root, problems) or {}
    else:
        _check_names(target, arguments, root, problems)
    problems.raise_all()
    return Call(target, component.target, path, arguments)


def _refuse_reserved(name: str, path: str) -> None:
    if name.startswith("_") and name.endswith("_"):
        raise ConfigError(
            f"{path}.{name} is not understood: fraudml builds its parts itself, from {TARGET} and "
            "named arguments alone."
        )


def map_inner(
    value: Any,
    kind: type,
    function: Callable[[Any, str], Any],
    path: str = "",
    sequence: Callable[[Any], Any] | None = None,
) -> Any:
    """Replace the instances of a class inside of plain data, each with its dotted path."""
    if isinstance(value, kind):
        return function(value, path)
    if isinstance(value, Mapping):
        return {
            name: map_inner(part, kind, function, f"{path}.{name}", sequence)
            for name, part in value.items()
        }
    if isinstance(value, (tuple, list)):
        items = (
            map_inner(item, kind, function, f"{path}[{position}]", sequence)
            for position, item in enumerate(value)
        )
        return (sequence or type(value))(items)
    return value


def contains(value: Any, kind: type) -> bool:
    """Whether an instance of a class stands inside of plain data."""
    inner: list[Any] = []
    map_inner(value, kind, lambda part, _: inner.append(part))
    return bool(inner)


def _check_names(
    target: Any, arguments: Mapping[str, Any], path: KeyPath, problems: Collector
) -> None:
    shape = shape_of(target)
    for name in arguments:
        if not shape.open and name not in shape.parameters:
            problems.add(unknown_key(name, path, shape.parameters))
    for name in sorted(required(target) - arguments.keys()):
        problems.add(f"{path.child(name).path} is required by {path.noun.rpartition(' ')[2]}.")


def required(target: Any) -> set[str]:
    """Return the arguments that a target has no default for."""
    parameters = shape_of(target).parameters
    return {name for name, parameter in parameters.items() if parameter.initial() is MISSING}


def validate(part: Any, path: str) -> None:
    """Check the values of what follows scikit-learn as its `fit` would."""
    check = getattr(part, "_validate_params", None)
    if check is not None and hasattr(part, "_parameter_constraints"):
        try:
            check()
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from error


def is_own(target: Any) -> bool:
    """Whether a class or function is fraudml's own."""
    return str(getattr(target, "__module__", "")).startswith("fraudml.")


def is_typed(target: Any) -> bool:
    """Whether the arguments of a target are read by its type hints, with its defaults."""
    if is_own(target) or not isinstance(target, type) or not dataclasses.is_dataclass(target):
        return is_own(target)
    return all(is_readable(part.hint) for part in shape_of(target).parameters.values())


def _accepts(target: Any, name: str) -> bool:
    classes = inspect.getmro(target)[:-1] if isinstance(target, type) else (target,)
    return any(name in shape_of(base).parameters for base in classes)
