"""Plain data as text: YAML for files, words for messages and help."""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

SCALARS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
"""The scalars of YAML, and what they are called."""

_SHOWN = 80


def expected(hint: Any) -> str:
    """Say in words what a type hint accepts.

    Examples
    --------
    >>> expected(int | None)
    'a whole number or null'
    >>> expected(Literal["a", "b"])
    "one of 'a', 'b'"
    """
    if hint in SCALARS:
        return SCALARS[hint]
    origin = get_origin(hint)
    if origin is Literal:
        return f"one of {', '.join(word(one, quoted=True) for one in get_args(hint))}"
    if origin in (Union, types.UnionType):
        return " or ".join(expected(member) for member in get_args(hint))
    if origin in (tuple, Sequence):
        return "a list"
    if origin in (dict, Mapping) or dataclasses.is_dataclass(hint) or hasattr(hint, "from_plain"):
        return "a section"
    return "a path" if hint is Path else "a value"


def describe(path: str, value: Any) -> str:
    """Begin a message about a wrong value: where it stands, what it is, and of which kind.

    Examples
    --------
    >>> describe("seed", "one")
    "seed is 'one', a text."
    """
    where = path or "The config"
    if isinstance(value, Mapping):
        return f"{where} is a section."
    if isinstance(value, (list, tuple)):
        return f"{where} is a list."
    if value is None or isinstance(value, bool):
        return f"{where} is {word(value)}."
    if type(value) in SCALARS:
        shown = word(value, quoted=True)
        short = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        return f"{where} is {short}, {SCALARS[type(value)]}."
    return f"{where} is a {type(value).__name__}."


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
        return f"[{','.join(word(one) for one in value)}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{word(one)}' for key, one in value.items())}}}"
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
        """Quotes every text that some reader of YAML would take for something else."""

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


_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


def _style(text: str) -> str | None:
    """Say which quotes a text needs, besides those that YAML itself asks for."""
    if _UNSEEN.search(text):
        return '"'
    # OmegaConf takes 1e3 for a number, YAML 1.1 does not.
    try:
        float(text)
    except ValueError:
        return None
    return "'"
