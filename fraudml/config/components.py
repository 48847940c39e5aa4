"""Parts that a config names by `_target_`, with their arguments beside it.

A component is plain data until it is built. It is checked as soon as it is read: the target is
imported, the arguments are bound to its signature and, where it is fraudml's own or follows
scikit-learn, their values are checked too. So a slip is found before any work is done.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fraudml.config.parse import Place, Problems, dump, read_section, shape_of
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
        name: _build_inner(value, f"{where}.{name}", allowed, context)
        for name, value in component.arguments.items()
    }
    offered = {
        name: value
        for name, value in context.items()
        if name not in arguments and _accepts(target, name)
    }
    try:
        return _call(target, component.target, {**arguments, **offered}, where)
    except Problems as problems:
        raise ConfigError(_joined(problems.found, where)) from problems.__cause__


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
        raise ConfigError(_joined(problems.found, where)) from problems.__cause__


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
            if path in checks.builders and not _is_own(value, path, checks.allowed):
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


def _is_own(component: Component, where: str, allowed: Collection[str]) -> bool:
    """Say whether a component makes one of fraudml's own parts by itself."""
    if component.target is None:
        return True
    return isinstance(
        _found(component.target, where, allowed), type
    ) and component.target.startswith("fraudml.")


def _check_built(component: Component, where: str, checks: _Checks) -> Component:
    """Check a component that its room builds in a way of its own."""
    for name, inner in _inner_components(component.arguments, where):
        _found(str(inner.target), name, checks.allowed)
    try:
        for made in checks.builders[where](component):
            _validate(made, where)
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
        return component
    target = _found(component.target, where, allowed)
    arguments = dict(component.arguments)
    problems: list[str] = []
    for name, inner in _inner_components(arguments, where):
        try:
            _check(inner, name, allowed, context)
        except Problems as wrong:
            problems += wrong.found
    if problems:
        raise Problems(problems)
    if _own(target):
        return _complete(component, target, where, allowed, context)
    _bind(target, component.target, arguments, where, context)
    _check_values(target, arguments, where)
    return component


def _inner_components(value: Any, path: str) -> Iterator[tuple[str, Component]]:
    if isinstance(value, Component):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _inner_components(inner, f"{path}.{name}")
    elif isinstance(value, tuple):
        for position, inner in enumerate(value):
            yield from _inner_components(inner, f"{path}[{position}]")


def _complete(
    component: Component,
    target: Any,
    where: str,
    allowed: Collection[str],
    context: Collection[str],
) -> Component:
    """Make one of fraudml's own parts, and write out its defaults where that makes it again."""
    assert component.target is not None
    lacking = _required(target) - set(component.arguments)
    if lacking and lacking <= set(context):
        return component
    made = _made(component, target, where, allowed)
    full = _written(made, target)
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
        arguments = _build_inner(component.arguments, where, allowed, {})
    except ConfigError as error:
        raise Problems([str(error)]) from error.__cause__
    return _call(target, str(component.target), arguments, where)


def _written(made: Any, target: Any) -> Mapping[str, Any] | None:
    """Write down all arguments of one of fraudml's own parts, where that can be known."""
    if not shape_of(target).open:
        return {
            name: dump(getattr(made, name))
            for name in shape_of(target).parameters
            if hasattr(made, name)
        }
    written = made.to_dict() if hasattr(made, "to_dict") else None
    return written if isinstance(written, Mapping) and TARGET not in written else None


def _required(target: Any) -> set[str]:
    parameters = shape_of(target).parameters
    return {name for name, parameter in parameters.items() if parameter.default is None}


def _build_inner(
    value: Any, where: str, allowed: Collection[str], context: Mapping[str, Any]
) -> Any:
    if isinstance(value, Component):
        return build(value, where=where, allowed=allowed, **context)
    if isinstance(value, Mapping):
        return {
            name: _build_inner(part, f"{where}.{name}", allowed, context)
            for name, part in value.items()
        }
    if isinstance(value, tuple):
        # Other libraries mean lists where YAML has them.
        return [
            _build_inner(part, f"{where}[{position}]", allowed, context)
            for position, part in enumerate(value)
        ]
    return value


def _call(target: Any, name: str, arguments: Mapping[str, Any], where: str) -> Any:
    """Call a target whose arguments were read from plain data; raise `Problems`."""
    _refuse_reserved(arguments, where)
    if _own(target):
        return read_section(target, arguments, Place(where, target, f"is no argument of {name}"))
    _bind(target, name, arguments, where, ())
    try:
        made = target(**arguments)
    except (TypeError, ValueError) as error:
        raise Problems([f"{where}: {name} refuses its arguments: {error}"]) from error
    _validate(made, where)
    return made


def _bind(
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
    missing = _required(target) - set(arguments) - set(context)
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


def _check_values(target: Any, arguments: Mapping[str, Any], where: str) -> None:
    """Check the values too where the class follows scikit-learn: its constructors only store."""
    if isinstance(target, type) and hasattr(target, "_parameter_constraints"):
        plain = {name: value for name, value in arguments.items() if _is_plain(value)}
        if not _required(target) - set(plain):
            _validate(target(**_listed(plain)), where)


def _is_plain(value: Any) -> bool:
    return next(_inner_components(value, ""), None) is None


def _listed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _build_inner(value, "", (), {}) for name, value in arguments.items()}


def _validate(made: Any, where: str) -> None:
    validate = getattr(made, "_validate_params", None)
    if validate is None or not hasattr(made, "_parameter_constraints"):
        return
    try:
        validate()
    except ValueError as error:
        raise Problems([f"{where}: {error}"]) from error


def _own(target: Any) -> bool:
    return str(getattr(target, "__module__", "")).startswith("fraudml.")


def _accepts(target: Any, name: str) -> bool:
    classes = inspect.getmro(target)[:-1] if isinstance(target, type) else (target,)
    return any(name in shape_of(one).parameters for one in classes)


def _joined(problems: list[str], where: str) -> str:
    return all_problems(f"{len(problems)} problems in {where}.", problems)
