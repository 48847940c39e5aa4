"""From plain data to frozen dataclasses and back: every config goes through here.

Types come from the classes' own hints, defaults from their fields, rules from their
`__post_init__`. Nothing is guessed: what does not fit is refused, all of it at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, get_args, get_origin

from fraudml.config.problems import Collector
from fraudml.config.shape import MISSING, Parameter, shape_of
from fraudml.config.text import SCALARS, UNIONS, describe, expected, is_number, word
from fraudml.errors import ConfigError, listing, nearest

T = TypeVar("T")


class Plain(Protocol):
    """A type that reads itself from plain data, and writes itself as such."""

    @classmethod
    def from_plain(cls, value: Any, base: Any, key_path: str) -> Any:
        """Read `value`; `base` is the default, `key_path` the dotted path."""

    def to_plain(self) -> Any:
        """Write what `from_plain` reads."""


@dataclass(frozen=True)
class KeyPath:
    """The dotted path of a value, the class at the root, and the hint of the whole key.

    `typed` has what was typed for values that YAML or Hydra read as something else than text.
    """

    path: str = ""
    root: Any = None
    noun: str = "is not a key"
    hint: Any = None
    typed: Mapping[str, str] = field(default_factory=dict)

    def child(self, name: object) -> KeyPath:
        """Return the path of a key below."""
        path = f"{self.path}.{name}" if self.path else str(name)
        return dataclasses.replace(self, path=path, hint=None)

    def item(self, position: int) -> KeyPath:
        """Return the path of an item of a list."""
        return dataclasses.replace(self, path=f"{self.path}[{position}]", hint=None)

    def wrong(self, hint: Any, value: Any, advice: str = "") -> ConfigError:
        """Return the error of a value that is not what its hint accepts."""
        return ConfigError(
            f"{describe(self.path, value)} It is {expected(self.hint or hint)}.{advice}"
        )


def parse(
    cls: type[T],
    mapping: Mapping[str, Any],
    *,
    key_path: str = "",
    typed: Mapping[str, str] | None = None,
) -> T:
    """Read plain data into a tree of dataclasses, strictly: all problems are named at once.

    Fields are bool, int, float, str, Literal, unions, tuples and sequences (read as tuples),
    mappings, paths, dataclasses, types with `from_plain`, and what takes anything: Any, object,
    protocols. Keys that are left out keep the default of the tree: in a section, that of the
    section's default in its parent. A whole number is accepted for a number or a text; nothing else
    is converted. `key_path` is the dotted path of the mapping, `typed` what was typed for a value,
    by its dotted path: where a text is expected, it is that.

    Examples
    --------
    >>> from dataclasses import dataclass, field
    >>> @dataclass(frozen=True)
    ... class Split:
    ...     test_share: float = 0.2
    >>> parse(Split, {"test_share": 1})
    Split(test_share=1.0)
    >>> parse(Split, {"test_shar": 0.3})
    Traceback (most recent call last):
    ...
    fraudml.errors.ConfigError: test_shar is not a key. Did you mean 'test_share'?
    """
    result: T = read_section(cls, mapping, KeyPath(key_path, cls, typed=typed or {}))
    return result


def dump(settings: Any) -> Any:
    """Write a tree of dataclasses as plain data, complete: `parse(cls, dump(x)) == x`.

    Examples
    --------
    >>> from fraudml.data.settings import CsvSettings
    >>> dump(CsvSettings())["encoding"]
    'utf8'
    """
    if hasattr(settings, "to_plain"):
        return settings.to_plain()
    if dataclasses.is_dataclass(settings):
        fields = (field for field in dataclasses.fields(settings) if field.init)
        return {field.name: dump(getattr(settings, field.name)) for field in fields}
    if isinstance(settings, Mapping):
        return {key: dump(value) for key, value in settings.items()}
    if isinstance(settings, (tuple, list)):
        return [dump(value) for value in settings]
    return str(settings) if isinstance(settings, Path) else settings


def read_section(cls: Any, value: Any, path: KeyPath, base: Any = None) -> Any:
    """Read a mapping into an instance of `cls`.

    Keys that are left out come from `base`, an instance, or from the defaults of `cls`.
    """
    if not isinstance(value, Mapping):
        raise path.wrong(cls, value)
    problems = Collector()
    arguments = read_arguments(cls, value, path, problems, base)
    result = None
    if arguments is not None:
        with problems.collect():
            result = cls(**arguments)
    problems.raise_all()
    return result


def read_arguments(
    cls: Any, value: Mapping[str, Any], path: KeyPath, problems: Collector, base: Any = None
) -> dict[str, Any] | None:
    """Read the arguments of a call of `cls`; None where one of them is wrong or missing."""
    shape = shape_of(cls)
    arguments: dict[str, Any] = {}
    for name, parameter in shape.parameters.items():
        with problems.collect():
            arguments |= _read_key(name, parameter, value, path, base)
    complete = not problems
    unknown = {name: part for name, part in value.items() if name not in shape.parameters}
    if shape.open:
        arguments |= unknown
    else:
        for name in unknown:
            problems.add(unknown_key(name, path, shape.parameters))
    return arguments if complete else None


def _read_key(
    name: str, parameter: Parameter, value: Mapping[str, Any], path: KeyPath, base: Any
) -> dict[str, Any]:
    inherited = parameter.initial() if base is None else getattr(base, name)
    if name in value:
        default = None if inherited is MISSING else inherited
        return {name: read(parameter.hint, value[name], path.child(name), default)}
    if inherited is MISSING:
        raise ConfigError(f"{path.child(name).path} is required. It is {expected(parameter.hint)}.")
    return {} if base is None else {name: inherited}


def unknown_key(name: object, path: KeyPath, known: Mapping[str, Any]) -> str:
    """Return the message about a key that is not known: where it belongs, or the nearest."""
    elsewhere = [key for key in _paths(path.root) if key.rpartition(".")[2] == name]
    advice = f"Did you mean {listing(elsewhere)}?" if elsewhere else nearest(str(name), known)
    return f"{path.child(name).path} {path.noun}. {advice}"


def _paths(cls: Any, prefix: str = "") -> Iterator[str]:
    """List every dotted path of a tree of dataclasses."""
    for name, parameter in shape_of(cls).parameters.items():
        yield prefix + name
        for member in _members(parameter.hint):
            if dataclasses.is_dataclass(member) and not hasattr(member, "from_plain"):
                yield from _paths(member, f"{prefix}{name}.")


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in UNIONS else (hint,)


def is_readable(hint: Any) -> bool:
    """Whether values of a type hint can be read, those inside of it too."""
    if _is_open(hint) or get_origin(hint) is Literal or hint is Ellipsis:
        return True
    return any(fits(hint) for fits, _ in _READERS) and all(map(is_readable, get_args(hint)))


def read(hint: Any, value: Any, path: KeyPath, base: Any = None) -> Any:
    """Read one value by its type hint."""
    for fits, reader in _READERS:
        if fits(hint):
            return reader(hint, value, path, base)
    raise TypeError(f"{path.path}: a key cannot have the type {hint!r}")


def _read_plain(hint: type[Plain], value: Any, path: KeyPath, base: Any) -> Any:
    return hint.from_plain(value, base if isinstance(base, hint) else None, path.path)


def _read_nested(hint: Any, value: Any, path: KeyPath, base: Any) -> Any:
    if isinstance(value, hint):
        return value
    return read_section(hint, value, path, base if isinstance(base, hint) else None)


def _read_scalar(hint: Any, value: Any, path: KeyPath, _: Any) -> Any:
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{path.path} is {value}. It is a finite number.")
    if hint is str and value is not None and path.path in path.typed:
        return path.typed[path.path]
    whole = isinstance(value, int) and not isinstance(value, bool)
    if type(value) is hint or (whole and hint in (float, str)):
        return hint(value) if whole else value
    if hint is Path and isinstance(value, str):
        return Path(value)
    raise path.wrong(hint, value, _advice(hint, value))


def _advice(hint: Any, value: Any) -> str:
    if hint is int and isinstance(value, float) and value.is_integer():
        return f" Write {int(value)}."
    if hint is str and isinstance(value, (bool, float)):
        return f" Put quotes around it: \"'{word(value)}'\"."
    if hint in (int, float, bool) and isinstance(value, str):
        return " Write it without quotes." if is_number(value) or value in _BOOLEANS else ""
    return ""


_BOOLEANS = ("true", "false")


def _read_literal(hint: Any, value: Any, path: KeyPath, _: Any) -> Any:
    options = get_args(hint)
    for option in options:
        if type(option) is type(value) and option == value:
            return option
    near = nearest(value, map(str, options)) if isinstance(value, str) else ""
    raise path.wrong(hint, value, f" {near}" if near.startswith("Did") and len(options) > 4 else "")


def _read_union(hint: Any, value: Any, path: KeyPath, base: Any) -> Any:
    members = [member for member in get_args(hint) if member is not type(None)]
    if value is None and len(members) < len(get_args(hint)):
        return None
    # A member that fits as it is comes before those that would have to be converted.
    members.sort(key=lambda member: (type(value) is not member, dataclasses.is_dataclass(member)))
    whole = dataclasses.replace(path, hint=hint)
    for member in members[:-1]:
        with contextlib.suppress(ConfigError):
            return read(member, value, whole, base)
    return read(members[-1], value, whole, base)


def _read_tuple(hint: Any, value: Any, path: KeyPath, _: Any) -> tuple[Any, ...]:
    hints = get_args(hint)
    repeated = get_origin(hint) is not tuple or hints[1:] == (Ellipsis,)
    if not isinstance(value, (list, tuple)):
        advice = "" if isinstance(value, Mapping) else f" Write [{word(value)}]."
        raise path.wrong(hint, value, advice)
    if not repeated and len(value) != len(hints):
        raise ConfigError(f"{path.path} has {len(value)} items of {len(hints)}.")
    problems, items = Collector(), []
    for position, item in enumerate(value):
        with problems.collect():
            items.append(read(hints[0 if repeated else position], item, path.item(position)))
    problems.raise_all()
    return tuple(items)


def _read_mapping(hint: Any, value: Any, path: KeyPath, _: Any) -> dict[Any, Any]:
    key_hint, part_hint = get_args(hint)
    if not isinstance(value, Mapping):
        raise path.wrong(hint, value)
    problems, items = Collector(), {}
    for key, part in value.items():
        with problems.collect():
            items[read(key_hint, key, path)] = read(part_hint, part, path.child(key))
    problems.raise_all()
    return items


def _is_open(hint: Any) -> bool:
    """Whether a hint takes anything: Any, object, type variables, protocols and callables."""
    named = hint in (Any, object) or isinstance(hint, TypeVar)
    return named or getattr(hint, "_is_protocol", False) or get_origin(hint) is Callable


def _origin_in(*origins: Any) -> Callable[[Any], bool]:
    return lambda hint: get_origin(hint) in origins


_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Any, KeyPath, Any], Any]], ...] = (
    (lambda hint: hasattr(hint, "from_plain"), _read_plain),
    (lambda hint: hint in SCALARS, _read_scalar),
    (_origin_in(Literal), _read_literal),
    (_origin_in(*UNIONS), _read_union),
    (_origin_in(tuple, Sequence), _read_tuple),
    (_origin_in(dict, Mapping), _read_mapping),
    (dataclasses.is_dataclass, _read_nested),
    (_is_open, lambda _, value, *__: value),
)
"""The reader of each type hint; the first that fits."""
