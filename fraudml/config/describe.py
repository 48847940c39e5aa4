"""The keys of a tree of settings, as a command's help lists them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from fraudml.config.components import Component
from fraudml.config.parse import dump
from fraudml.config.shape import shape_of
from fraudml.config.targets import TARGET, find_target
from fraudml.errors import FraudmlError

_NAMES: dict[Any, str] = {str: "text", int: "int", float: "float", bool: "true|false"}


@dataclass(frozen=True)
class Key:
    """One key of the config.

    Parameters
    ----------
    path : str
        Dotted.
    kind : str
        What it accepts, in a word or two.
    value : object
        Its default, as plain data.
    text : str
        What it is, in one sentence; may be empty.
    """

    path: str
    kind: str
    value: Any
    text: str


def keys(settings: Any) -> Iterator[Key]:
    """List the keys of a tree of settings with the values it has, sections in the order of fields.

    Parameters
    ----------
    settings : dataclass instance
        The defaults to show. Under a component stand the arguments of its target.
    """
    yield from _keys(settings, "")


def _keys(section: Any, prefix: str) -> Iterator[Key]:
    texts = parameter_texts(type(section))
    cls: Any = type(section)
    hints = shape_of(cls).parameters
    for field in dataclasses.fields(section):
        path, value = f"{prefix}{field.name}", getattr(section, field.name)
        if isinstance(value, Component):
            yield from _component_keys(value, path)
        elif dataclasses.is_dataclass(value):
            yield from _keys(value, f"{path}.")
        else:
            kind = kind_of(hints[field.name].hint)
            yield Key(path, kind, dump(value), texts.get(field.name, ""))


def _component_keys(component: Component, path: str) -> Iterator[Key]:
    text = f"What does it: a class or function; its arguments stand beside it as {path}.NAME."
    yield Key(f"{path}.{TARGET}", "text|null", component.target, text)
    if component.target is None:
        return
    plain = component.to_plain()
    try:
        target = find_target(component.target, path, (f"{component.target.partition('.')[0]}.",))
    except FraudmlError:
        return
    texts = parameter_texts(target)
    parameters = shape_of(target).parameters
    # What is fraudml's own has every argument written out by now.
    own = component.target.startswith("fraudml.") and component.arguments
    for name in plain if own else dict.fromkeys([*parameters, *plain]):
        if name == TARGET:
            continue
        parameter = parameters.get(name)
        default = parameter.initial() if parameter else None
        value = plain.get(name, None if default is dataclasses.MISSING else dump(default))
        kind = kind_of(parameter.hint) if parameter else "value"
        yield Key(f"{path}.{name}", kind, value, texts.get(name, ""))


def kind_of(hint: Any) -> str:
    """Write a type hint as help shows it.

    Examples
    --------
    >>> kind_of(tuple[str, ...] | None)
    'list of text|null'
    >>> kind_of(Literal["s", "ms"])
    's|ms'
    """
    if hint in _NAMES:
        return _NAMES[hint]
    origin = get_origin(hint)
    if hint is type(None):
        return "null"
    if origin is Literal:
        return "|".join(map(str, get_args(hint)))
    if origin in (Union, types.UnionType):
        return "|".join(kind_of(member) for member in get_args(hint))
    if origin in (tuple, Sequence):
        return f"list of {kind_of(get_args(hint)[0])}"
    return "section" if origin in (dict, Mapping) or dataclasses.is_dataclass(hint) else "value"


_UNDERLINED = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def parameter_texts(documented: Any, *, whole: bool = False) -> dict[str, str]:
    """Read the first sentence about each parameter from a numpydoc docstring.

    Parameters
    ----------
    documented : object
        With a section 'Parameters'; without one the result is empty.
    whole : bool
        Whether all sentences are wanted.

    Examples
    --------
    >>> parameter_texts(parameter_texts)  # doctest: +ELLIPSIS
    {'documented': "With a section 'Parameters'; without one the result is empty.", ...}
    """
    parts = _UNDERLINED.split(inspect.getdoc(documented) or "")
    body = next(
        (
            text
            for title, text in zip(parts[1::2], parts[2::2], strict=True)
            if title == "Parameters"
        ),
        "",
    )
    texts: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", body.strip("\n")):
        head, _, text = entry.partition("\n")
        names = re.split(r"\s*,\s*", head.partition(" : ")[0].replace("*", ""))
        sentence = _sentences(text) if whole else _first_sentence(text)
        each = [f"{part[:1].upper()}{part[1:]}." for part in sentence.rstrip(".").split("; ")]
        apart = len(names) > 1 and len(each) == len(names)
        texts.update(zip(names, each if apart else [sentence] * len(names), strict=True))
    return {name: text for name, text in texts.items() if text}


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?]) (?=[A-Z0-9])", _sentences(text), maxsplit=1)[0]


def _sentences(text: str) -> str:
    return " ".join(text.replace("`", "").split())
