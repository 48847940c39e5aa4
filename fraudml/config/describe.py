"""The keys of a tree of settings, as a command's help lists them."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fraudml.config.components import Component, is_own
from fraudml.config.parse import dump
from fraudml.config.shape import MISSING, Parameter, shape_of
from fraudml.config.targets import TARGET, find_target
from fraudml.config.text import kind_of
from fraudml.errors import FraudmlError


@dataclass(frozen=True)
class Key:
    """A key of the config: its dotted path, what it accepts, its value, and a sentence about it."""

    path: str
    kind: str
    value: Any
    text: str


def keys(section: Any, prefix: str = "") -> Iterator[Key]:
    """List the keys of a tree of settings, and the arguments of the targets of its components."""
    cls: Any = type(section)
    texts, hints = parameter_texts(cls), shape_of(cls).parameters
    for field in dataclasses.fields(section):
        path, value = f"{prefix}{field.name}", getattr(section, field.name)
        if isinstance(value, Component):
            yield from _component_keys(value, path)
        elif dataclasses.is_dataclass(value):
            yield from keys(value, f"{path}.")
        else:
            kind = kind_of(hints[field.name].hint)
            yield Key(path, kind, dump(value), texts.get(field.name, ""))


def _component_keys(component: Component, path: str) -> Iterator[Key]:
    text = f"The class or function; its arguments are {path}.NAME."
    yield Key(f"{path}.{TARGET}", "text|null", component.target, text)
    if component.target is None:
        return
    try:
        target = find_target(component.target, path, (component.target.partition(".")[0],))
    except FraudmlError:
        return
    texts, given = parameter_texts(target), component.plain_arguments()
    parameters = shape_of(target).parameters
    # Every argument of fraudml's own parts is written out by now.
    names = given if given and is_own(target) else dict.fromkeys([*parameters, *given])
    for name in names:
        parameter = parameters.get(name, _ANYTHING)
        default = parameter.initial()
        value = given.get(name, None if default is MISSING else dump(default))
        yield Key(f"{path}.{name}", kind_of(parameter.hint), value, texts.get(name, ""))


_ANYTHING = Parameter(Any, MISSING, MISSING)


_UNDERLINED = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def parameter_texts(documented: Any, *, whole: bool = False) -> dict[str, str]:
    """Read the first sentence about each parameter, or all, from a numpydoc docstring.

    Examples
    --------
    >>> from fraudml.data.settings import CsvSettings
    >>> parameter_texts(CsvSettings)["decimal_comma"]
    'Whether 3,14 is a number; null where values that have one reading alone may tell.'
    """
    parts = _UNDERLINED.split(inspect.getdoc(documented) or "")
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    texts: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", sections.get("Parameters", "").strip("\n")):
        head, _, text = entry.partition("\n")
        names = re.split(r"\s*,\s*", head.partition(" : ")[0].replace("*", ""))
        sentences = " ".join(text.replace("`", "").split())
        first = re.split(r"(?<=[.!?]) (?=[A-Z0-9])", sentences, maxsplit=1)[0]
        sentence = sentences if whole else first
        each = [f"{part[:1].upper()}{part[1:]}." for part in sentence.rstrip(".").split("; ")]
        apart = len(names) > 1 and len(each) == len(names)
        texts |= zip(names, each if apart else [sentence] * len(names), strict=True)
    return {name: text for name, text in texts.items() if text}
