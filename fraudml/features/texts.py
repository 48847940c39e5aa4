"""A user's own texts of features, and what may stand in their braces."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from fraudml.errors import ConfigError, all_problems, listing, nearest

if TYPE_CHECKING:
    pass


VALUE, OWN = "value", "own"
"""What a text may have in braces: the feature's value, and its column's own in the row."""


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
        if (wrong := [field for field in _braces(text) if field != VALUE])
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


def parse_template(text: str) -> tuple[str, list[str]]:
    """Part a text into a format with plain braces and the names that stood in them."""
    parts = list(string.Formatter().parse(text))
    names = [field for _, field, _, _ in parts if field is not None]
    return "".join(plain + ("{}" if field is not None else "") for plain, field, *_ in parts), names
