"""From plain data to frozen dataclasses and back: the gate that every config goes through.

Types come from the classes' own hints, defaults from their fields, rules from their
`__post_init__`. Nothing is guessed: what does not fit is refused, all of it at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, Union, get_args, get_origin

from fraudml.config.shape import MISSING, Parameter, shape_of
from fraudml.config.text import SCALARS, describe, expected, word
from fraudml.errors import ConfigError, all_problems, listing, nearest

T = TypeVar("T")


class Plain(Protocol):
    """A type that reads itself from plain data, and writes itself as such."""

    @classmethod
    def from_plain(cls, value: Any, base: Any, where: str) -> Any:
        """Read `value`; `base` is the default in its place, `where` its dotted path."""

    def to_plain(self) -> Any:
        """Write what `from_plain` reads."""


class Problems(Exception):  # noqa: N818 - never leaves this package
    """What is wrong with one value, one sentence or more each; only inside this package."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(*found)
        self.found = found


@dataclass(frozen=True)
class KeyPath:
    """Where a value stands: its dotted path, the class at the root, the hint of the whole key."""

    path: str = ""
    root: Any = None
    noun: str = "is not a key"
    hint: Any = None

    def child(self, name: object) -> KeyPath:
        """Return the place of a key below."""
        path = f"{self.path}.{name}" if self.path else str(name)
        return dataclasses.replace(self, path=path, hint=None)

    def item(self, position: int) -> KeyPath:
        """Return the place of an item of a list."""
        return dataclasses.replace(self, path=f"{self.path}[{position}]", hint=None)

    def wrong(self, hint: Any, value: Any, advice: str = "") -> Problems:
        """Say that a value is not what is expected here."""
        wanted = expected(self.hint or hint)
        return Problems([f"{describe(self.path, value)} It is {wanted}.{advice}"])


def parse(cls: type[T], mapping: Mapping[str, Any], *, where: str = "") -> T:
    """Read plain data into a tree of dataclasses, strictly.

    Keys that are left out keep the default of the tree: in a section, what the section's default in
    its parent says. A whole number is accepted where a number or a text is wanted; nothing else is
    converted. Costs time in keys alone.

    Parameters
    ----------
    cls : type
        A dataclass. Its fields are bool, int, float, str, Literal, `X | None` and other unions,
        tuples and sequences (read as tuples), mappings, paths, dataclasses, types with
        `from_plain`, and what takes anything: Any, object, protocols.
    mapping : mapping
        Plain data, as YAML and JSON have it.
    where : str
        The dotted path of the mapping, for messages.

    Raises
    ------
    ConfigError
        Unknown and missing keys, wrong types, values that are not among the valid ones, and what
        the classes' own `__post_init__` refuse: all of them in one message.

    Examples
    --------
    >>> from dataclasses import dataclass
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
    try:
        result: T = read_section(cls, mapping, KeyPath(where, cls))
    except Problems as problems:
        found = problems.found
        raise ConfigError(all_problems(f"{len(found)} problems in the config.", found)) from None
    return result


def dump(settings: Any) -> Any:
    """Write a tree of dataclasses as plain data, complete: `parse(cls, dump(x)) == x`.

    Parameters
    ----------
    settings : dataclass instance
        Or any value inside one.

    Returns
    -------
    dict
        Nested dicts, lists and scalars, in the order of the fields, every default written out.

    Examples
    --------
    >>> from fraudml.data.settings import CsvSettings
    >>> dump(CsvSettings())["decimal_comma"]
    False
    """
    if hasattr(settings, "to_plain"):
        return settings.to_plain()
    if dataclasses.is_dataclass(settings):
        kept = (field for field in dataclasses.fields(settings) if field.init)
        return {field.name: dump(getattr(settings, field.name)) for field in kept}
    if isinstance(settings, Mapping):
        return {key: dump(value) for key, value in settings.items()}
    if isinstance(settings, (tuple, list)):
        return [dump(value) for value in settings]
    return str(settings) if isinstance(settings, Path) else settings


def read_section(cls: Any, value: Any, place: KeyPath, base: Any = None) -> Any:
    """Read a mapping into an instance of `cls`, or raise `Problems`.

    Parameters
    ----------
    cls : type or callable
        What is made; a class that is no dataclass goes by its signature.
    value : mapping
        Plain data.
    place : KeyPath
        Where it stands.
    base : instance of cls, optional
        What the keys that are left out are taken from, instead of the class's own defaults.
    """
    if not isinstance(value, Mapping):
        raise place.wrong(cls, value)
    arguments, problems, whole = read_arguments(cls, value, place, base)
    if whole:
        try:
            made = cls(**arguments)
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise Problems(problems)
    return made


def read_arguments(
    cls: Any, value: Mapping[str, Any], place: KeyPath, base: Any = None
) -> tuple[dict[str, Any], list[str], bool]:
    """Read the arguments of a call: what fits, what is wrong, whether a call can be made."""
    shape = shape_of(cls)
    known = shape.parameters
    arguments: dict[str, Any] = {}
    problems: list[str] = []
    whole = True
    for name, parameter in known.items():
        try:
            arguments.update(_read_key(name, parameter, value, place, base))
        except Problems as wrong:
            problems += wrong.found
            whole = False
    others = {name: other for name, other in value.items() if name not in known}
    if shape.open:
        arguments.update(others)
    else:
        problems += [_unknown(name, place, known) for name in others]
    return arguments, problems, whole


def _read_key(
    name: str, parameter: Parameter, value: Mapping[str, Any], place: KeyPath, base: Any
) -> dict[str, Any]:
    inherited = parameter.initial() if base is None else getattr(base, name)
    if name in value:
        default = None if inherited is MISSING else inherited
        return {name: read(parameter.hint, value[name], place.child(name), default)}
    if inherited is MISSING:
        raise Problems([f"{place.child(name).path} is required. It is {expected(parameter.hint)}."])
    return {} if base is None else {name: inherited}


def _unknown(name: object, place: KeyPath, known: Mapping[str, Any]) -> str:
    said = f"{place.child(name).path} {place.noun}."
    elsewhere = [path for path in _paths(place.root) if path.rpartition(".")[2] == name]
    if elsewhere:
        return f"{said} Did you mean {listing(elsewhere)}?"
    return f"{said} {nearest(str(name), known)}"


def _paths(cls: Any, prefix: str = "") -> Iterator[str]:
    """List every dotted path of a tree of dataclasses."""
    for name, parameter in shape_of(cls).parameters.items():
        yield prefix + name
        for member in _members(parameter.hint):
            if dataclasses.is_dataclass(member) and not hasattr(member, "from_plain"):
                yield from _paths(member, f"{prefix}{name}.")


def read(hint: Any, value: Any, place: KeyPath, base: Any = None) -> Any:
    """Read one value as a type hint says, or raise `Problems`."""
    for fits, reader in _READERS:
        if fits(hint):
            return reader(hint, value, place, base)
    raise TypeError(f"{place.path}: a key cannot have the type {hint!r}")


def _is_open(hint: Any) -> bool:
    """Say whether anything goes: Any, object, type variables, protocols and callables."""
    named = hint in (Any, object) or isinstance(hint, TypeVar)
    return named or getattr(hint, "_is_protocol", False) or get_origin(hint) is Callable


def _read_plain(hint: type[Plain], value: Any, place: KeyPath, base: Any) -> Any:
    same = base if isinstance(base, hint) else None
    try:
        return hint.from_plain(value, same, place.path)
    except ConfigError as error:
        raise Problems([str(error)]) from None


def _read_nested(hint: Any, value: Any, place: KeyPath, base: Any) -> Any:
    if isinstance(value, hint):
        return value
    return read_section(hint, value, place, base if isinstance(base, hint) else None)


def _read_path(_: Any, value: Any, place: KeyPath, __: Any) -> Path:
    if not isinstance(value, str):
        raise place.wrong(Path, value)
    return Path(value)


def _read_anything(_: Any, value: Any, __: KeyPath, ___: Any) -> Any:
    return value


def _read_scalar(hint: Any, value: Any, place: KeyPath, _: Any = None) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if type(value) is hint:
        if hint is float and not math.isfinite(value):
            raise Problems([f"{place.path} is {value}. It is a finite number."])
        return value
    if whole and hint in (float, str):
        return hint(value)
    raise place.wrong(hint, value, _advice(hint, value))


def _advice(hint: Any, value: Any) -> str:
    if hint is int and isinstance(value, float) and value.is_integer():
        return f" Write {int(value)}."
    if hint is str and isinstance(value, (bool, float)):
        return f" Put quotes around it: \"'{word(value)}'\"."
    if hint in (int, float, bool) and isinstance(value, str):
        return " Write it without quotes." if _is_number(value) else ""
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("true", "false")
    return True


def _read_literal(hint: Any, value: Any, place: KeyPath, _: Any) -> Any:
    valid = get_args(hint)
    for one in valid:
        if type(one) is type(value) and one == value:
            return one
    near = nearest(value, map(str, valid)) if isinstance(value, str) else ""
    near = f" {near}" if near.startswith("Did") and len(valid) > 4 else ""
    raise place.wrong(hint, value, near)


def _read_union(hint: Any, value: Any, place: KeyPath, base: Any) -> Any:
    members = get_args(hint)
    if value is None and type(None) in members:
        return None
    chosen = [member for member in members if member is not type(None)]
    # What fits as it is comes before what would have to be converted.
    chosen.sort(key=lambda member: (type(value) is not member, dataclasses.is_dataclass(member)))
    whole = dataclasses.replace(place, hint=hint)
    for member in chosen[:-1]:
        with contextlib.suppress(Problems):
            return read(member, value, whole, base)
    return read(chosen[-1], value, whole, base)


def _read_tuple(hint: Any, value: Any, place: KeyPath, _: Any) -> tuple[Any, ...]:
    hints = get_args(hint)
    repeated = get_origin(hint) is not tuple or hints[1:] == (Ellipsis,)
    if not isinstance(value, (list, tuple)):
        raise place.wrong(
            hint, value, "" if isinstance(value, Mapping) else f" Write [{word(value)}]."
        )
    if not repeated and len(value) != len(hints):
        raise Problems([f"{place.path} has {len(value)} items of {len(hints)}."])
    each = [hints[0]] * len(value) if repeated else hints
    return tuple(_collect(each, list(value), [place.item(i) for i in range(len(value))]))


def _read_mapping(hint: Any, value: Any, place: KeyPath, _: Any) -> dict[Any, Any]:
    hints = get_args(hint)
    if not isinstance(value, Mapping):
        raise place.wrong(hint, value)
    keys = _collect([hints[0]] * len(value), list(value), [place] * len(value))
    places = [place.child(key) for key in value]
    return dict(
        zip(keys, _collect([hints[1]] * len(value), list(value.values()), places), strict=True)
    )


def _collect(hints: Sequence[Any], values: list[Any], places: list[KeyPath]) -> list[Any]:
    result: list[Any] = []
    problems: list[str] = []
    for hint, value, place in zip(hints, values, places, strict=True):
        try:
            result.append(read(hint, value, place))
        except Problems as wrong:
            problems += wrong.found
    if problems:
        raise Problems(problems)
    return result


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _of(*origins: Any) -> Callable[[Any], bool]:
    return lambda hint: get_origin(hint) in origins


_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Any, KeyPath, Any], Any]], ...] = (
    (lambda hint: hasattr(hint, "from_plain"), _read_plain),
    (lambda hint: hint in SCALARS, _read_scalar),
    (lambda hint: hint is Path, _read_path),
    (_of(Literal), _read_literal),
    (_of(Union, types.UnionType), _read_union),
    (_of(tuple, Sequence), _read_tuple),
    (_of(dict, Mapping), _read_mapping),
    (dataclasses.is_dataclass, _read_nested),
    (_is_open, _read_anything),
)
"""Which types are read how; the first that fits."""
