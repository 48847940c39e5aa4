"""Overrides of the command line: read by Hydra's grammar, checked, expanded for a multirun."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString, ValueType
from hydra.errors import HydraException, OverrideParseException

from fraudml.addresses import refuse_password_in
from fraudml.config.problems import Collector
from fraudml.config.sources import EXPERIMENT, Files
from fraudml.errors import ConfigError, listing, nearest


def expand(
    overrides: Sequence[str], *, config_dir: str | Path | None = None
) -> list[tuple[str, ...]]:
    """Return the overrides of each run of a multirun: every combination, the last changes fastest.

    Values are lists as Hydra has them: `key=a,b,c`, `choice(a,b)`, `range(1,4)`, `group=glob(*)`.

    Examples
    --------
    >>> expand(["seed=0,1", "split.test_share=0.3"])
    [('seed=0', 'split.test_share=0.3'), ('seed=1', 'split.test_share=0.3')]
    """
    read = read_overrides(overrides, Files.of(config_dir), swept=True)
    return list(itertools.product(*map(_values_of, read)))


def read_overrides(texts: Sequence[str], files: Files, *, swept: bool) -> list[Override]:
    """Parse overrides by Hydra's grammar; all that cannot be read are named at once."""
    parser = OverridesParser.create(config_loader=_Options(files))  # type: ignore[arg-type]
    overrides: list[Override] = []
    problems = Collector(_HEADING)
    for text in texts:
        refuse_password_in(text)
        try:
            [override] = parser.parse_overrides([text])
        except (HydraException, ValueError) as error:
            problems.add(_unreadable(text, error))
        else:
            problems.add(_unusable(override, text, swept))
            overrides.append(override)
    problems.raise_all()
    return overrides


_HEADING = "{} overrides are wrong."
_NO_OVERRIDE = "'{}' is not an override. It is written KEY=VALUE or GROUP=OPTION."


class _Options:
    """Gives Hydra's grammar the options that a glob chooses from, as its config loader."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def get_group_options(self, group: str, **_: Any) -> list[str]:
        return self._files.options(group)


def _unreadable(text: str, error: Exception) -> str:
    key, equals, value = text.partition("=")
    if not equals or not key:
        return _NO_OVERRIDE.format(text)
    if isinstance(error, OverrideParseException) and not value.startswith(("[", "{", "'", '"')):
        quoted = QuotedString(value, Quote.single).with_quotes()
        return (
            f"'{text}' cannot be read. A text with brackets, quotes, '=', ':', '~' or ',' in it is "
            f'quoted, and the shell needs quotes around that: "{key}={quoted}".'
        )
    return f"'{text}' cannot be read: {str(error).splitlines()[0]}."


def _unusable(override: Override, text: str, swept: bool) -> str | None:
    """Return the problem of an override that can be read, if there is one."""
    if not override.key_or_group:
        return _NO_OVERRIDE.format(text)
    if override.is_hydra_override():
        return (
            f"'{text}' has no effect: fraudml makes its own run folders and log. Set output_dir, "
            "--config-dir or --config-name."
        )
    if override.value_type is ValueType.INTERVAL_SWEEP:
        return f"'{text}' is a range without steps. --multirun takes lists, choice() and range()."
    if swept or not override.is_sweep_override():
        return None
    key, value = override.get_key_element(), override.get_value_string()
    if override.value_type is ValueType.SIMPLE_CHOICE_SWEEP:
        return (
            f"'{text}' holds a comma. Write {key}=[{value}] for a list, \"{key}='{value}'\" for "
            "one text, or add --multirun for a run with each."
        )
    return f"'{text}' stands for several runs. Add --multirun."


def _values_of(override: Override) -> list[str]:
    assert override.input_line is not None
    if not override.is_sweep_override():
        return [override.input_line]
    values = list(override.sweep_string_iterator())
    if not values:
        raise ConfigError(f"'{override.input_line}' stands for no run at all.")
    return [f"{override.get_key_element()}={value}" for value in values]


def typed_texts(overrides: Iterable[Override]) -> dict[str, str]:
    """Return what was typed for values that the grammar reads as numbers or booleans, by key.

    Examples
    --------
    >>> typed_texts(read_overrides(["day=2026_11_29", "a=[1e5,x]"], Files.of(None), swept=False))
    {'day': '2026_11_29', 'a[0]': '1e5'}
    """
    texts: dict[str, str] = {}
    for override in overrides:
        value, key = override.value(), override.key_or_group
        typed = (override.input_line or "").partition("=")[2].strip()
        if isinstance(value, bool | int | float):
            texts[key] = typed
        elif isinstance(value, list):
            items = typed.strip("[]").split(",")
            known = zip(value, items, strict=True) if len(items) == len(value) else ()
            texts |= {
                f"{key}[{position}]": item.strip()
                for position, (part, item) in enumerate(known)
                if isinstance(part, bool | int | float)
            }
    return texts


def sort_overrides(
    overrides: list[Override], files: Files
) -> tuple[list[Override], list[Override]]:
    """Separate the choices among groups from single keys, and check that the options exist."""
    chosen: list[Override] = []
    keys: list[Override] = []
    problems = Collector(_HEADING)
    for override in overrides:
        grouped = files.is_group(override.key_or_group) and not isinstance(override.value(), dict)
        problems.add((_wrong_choice if grouped else _wrong_key)(override, files))
        (chosen if grouped else keys).append(override)
    problems.raise_all()
    return chosen, keys


def _wrong_choice(override: Override, files: Files) -> str | None:
    group, value = override.key_or_group, override.value()
    if override.is_delete():
        return None
    if override.is_force_add():
        return f"'{override.input_line}' has a plus too many: '{str(override.input_line)[1:]}'."
    options = files.options(group)
    for option in value if isinstance(value, list) else [value]:
        if not isinstance(option, str) or not files.has(group, option):
            return no_option(group, option, options)
    return None


def no_option(group: str, option: object, options: Sequence[str], prefix: str = "") -> str:
    """Return the message about an option that a group does not have, with those that it has."""
    shown = "null" if option is None else str(option)
    sentences = [f"{prefix}{group}={shown}: there is no option '{shown}' in the group '{group}'."]
    near = nearest(shown, options)
    sentences += [near] if near.startswith("Did you mean") else []
    sentences += [f"Options are {listing(options, 60)}."] if options else ["It is empty."]
    if group == "data" and re.search(r"[./\\]", shown):
        sentences.append(f"To read a file: data=table data.path={shown}")
    return " ".join(sentences)


def _wrong_key(override: Override, files: Files) -> str | None:
    key = override.key_or_group
    if override.package is not None:
        return f"'{override.input_line}' names no group: there is no folder '{key}'."
    if "." in key or override.is_delete():
        return None
    names = [path.name for root in files.roots for path in root.iterdir() if path.is_dir()]
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.8)
    if near and near != [key] and files.is_group(near[0]):
        plus = "+" if near[0] == EXPERIMENT else ""
        return (
            f"'{override.input_line}': there is no group or key '{key}'. "
            f"Did you mean '{plus}{near[0]}={override.get_value_string()}'?"
        )
    return None
