"""Type hints and plain data as text: YAML for files, words for messages and help."""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

SCALARS: dict[Any, tuple[str, str]] = {
    str: ("a text", "text"),
    int: ("a whole number", "int"),
    float: ("a number", "float"),
    bool: ("true or false", "true|false"),
    type(None): ("null", "null"),
    Path: ("a path", "path"),
}
"""What a scalar is called in messages, and in help."""

UNIONS = (Union, types.UnionType)

_MAX_SHOWN = 80


def expected(hint: Any) -> str:
    """Describe what a type hint accepts, for a message.

    Examples
    --------
    >>> expected(int | None)
    'a whole number or null'
    >>> expected(Literal["a", "b"])
    "one of 'a', 'b'"
    """
    if get_origin(hint) is Literal:
        return f"one of {', '.join(word(option, quoted=True) for option in get_args(hint))}"
    if get_origin(hint) in UNIONS:
        return " or ".join(expected(member) for member in get_args(hint))
    if get_origin(hint) in (tuple, Sequence):
        return "a list"
    return SCALARS[hint][0] if hint in SCALARS else f"a {kind_of(hint)}"


def kind_of(hint: Any) -> str:
    """Describe what a type hint accepts in a word, for help.

    Examples
    --------
    >>> kind_of(tuple[str, ...] | None)
    'list of text|null'
    >>> kind_of(Literal["s", "ms"])
    's|ms'
    """
    origin, members = get_origin(hint), get_args(hint)
    if hint in SCALARS:
        return SCALARS[hint][1]
    if origin is Literal:
        return "|".join(map(str, members))
    if origin in UNIONS:
        return "|".join(kind_of(member) for member in members)
    if origin in (tuple, Sequence):
        return f"list of {kind_of(members[0])}"
    section = dataclasses.is_dataclass(hint) or hasattr(hint, "from_plain")
    return "section" if section or origin in (dict, Mapping) else "value"


def describe(path: str, value: Any) -> str:
    """Begin a message about a wrong value: its path, the value, and its kind.

    Examples
    --------
    >>> describe("seed", "one")
    "seed is 'one', a text."
    """
    if isinstance(value, Mapping):
        text = "a section"
    elif isinstance(value, (list, tuple)):
        text = "a list"
    elif value is None or isinstance(value, bool):
        text = word(value)
    elif type(value) in SCALARS:
        whole = word(value, quoted=True)
        shown = whole if len(whole) <= _MAX_SHOWN else f"{whole[:_MAX_SHOWN]}…"
        text = f"{shown}, {SCALARS[type(value)][0]}"
    else:
        text = f"a {type(value).__name__}"
    return f"{path or 'The config'} is {text}."


def word(value: Any, *, quoted: bool = False) -> str:
    """Write a plain value as it would be typed on the command line.

    Parameters
    ----------
    value : plain data
        Scalars, lists and mappings.
    quoted : bool
        Whether a text stands in quotes.

    Examples
    --------
    >>> word([1, None, True, "a"])
    '[1,null,true,a]'
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(word(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{word(item)}' for key, item in value.items())}}}"
    return repr(value) if quoted and isinstance(value, str) else str(value)


def to_yaml(plain: Mapping[str, Any]) -> str:
    """Write plain data as YAML that composes to the same values again.

    Parameters
    ----------
    plain : mapping
        As from `fraudml.config.parse.dump`; the order of the keys is kept.

    Examples
    --------
    >>> print(to_yaml({"seed": 0, "data": {"as_of": "2024-01-01", "path": None}}), end="")
    seed: 0
    data:
      as_of: '2024-01-01'
      path: null
    """
    import yaml

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Quotes every text that some reader of YAML would read as another type."""

        def ignore_aliases(self, _: Any) -> bool:
            return True

    def represent(dumper: Any, text: str) -> Any:
        # What OmegaConf would take for an interpolation, and the backslashes before it.
        safe = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
        return dumper.represent_scalar("tag:yaml.org,2002:str", safe, style=_style(text))

    Dumper.add_representer(str, represent)
    return str(
        yaml.dump(dict(plain), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    )


_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


def _style(text: str) -> str | None:
    """Return the quotes that a text needs, besides those that YAML itself adds."""
    if _INVISIBLE.search(text):
        return '"'
    # OmegaConf takes 1e3 for a number, YAML 1.1 does not.
    return "'" if is_number(text) else None


def is_number(text: str) -> bool:
    """Whether a text is written as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
