"""A user's own texts of features, and what may stand in their braces."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from fraudml.errors import ConfigError, all_problems, listing, nearest


class Slot(Enum):
    """A place in the text of a reason: of the feature's value, or of its column's in the row."""

    VALUE = "value"
    OWN = "own"


VALUE, OWN = Slot.VALUE, Slot.OWN

Text = tuple[str | Slot, ...]
"""Literal parts and slots. A name of the table is a literal part: it is never parsed."""


def check_texts(texts: Mapping[str, str], names: Iterable[str]) -> None:
    """Refuse texts of features that are not made, and texts with anything but `{value}` in braces.

    Parameters
    ----------
    texts : mapping
        Texts by feature.
    names : iterable of str
        The features that are made.

    Raises
    ------
    ConfigError
        All of them at once.
    """
    known = tuple(names)
    problems = [
        f"features.texts has '{name}', and no feature is called so. {nearest(name, known)}"
        for name in texts
        if name not in known
    ]
    problems += [
        f"features.texts of '{name}' has {listing(wrong)} in braces. Expected {{value}} alone."
        for name, text in texts.items()
        if (wrong := [field for field in _braces(text) if field != VALUE.value])
    ]
    if problems:
        raise ConfigError(all_problems(f"{len(problems)} problems in features.texts.", problems))


def _braces(text: str) -> Iterator[str]:
    """What stands in braces; a brace that is open, doubled or formatted is given as it is."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        yield "an open brace"
        return
    if "{{" in text or "}}" in text:
        yield "a brace"
    for _, field, spec, conversion in parts:
        if field is not None:
            yield f"{field}:{spec}" if spec or conversion else field


def parse_text(text: str) -> Text:
    """Split a user's text, which `check_texts` accepted, at its slots."""
    parts = list[str | Slot]()
    for literal, field, _, _ in string.Formatter().parse(text):
        parts += [literal] if literal else []
        parts += [Slot(field)] if field is not None else []
    return tuple(parts)
