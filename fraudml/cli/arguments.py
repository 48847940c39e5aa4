"""Parsing of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fraudml.addresses import refuse_password_in
from fraudml.cli.commands import command_names
from fraudml.errors import ConfigError, nearest


@dataclass
class ParsedArgs:
    """The parsed command line."""

    command: str = ""
    overrides: tuple[str, ...] = ()
    config_dir: str | None = None
    config_name: str | None = None
    cfg: str | None = None
    multirun: bool = False
    show_help: bool = False
    version: bool = False
    resolve: bool = False


_VALUES = {
    "--config-dir": "config_dir",
    "-cd": "config_dir",
    "--config-name": "config_name",
    "-cn": "config_name",
    "--cfg": "cfg",
    "-c": "cfg",
}
_FLAGS = {
    "--multirun": "multirun",
    "-m": "multirun",
    "--help": "show_help",
    "-h": "show_help",
    "--version": "version",
    "--resolve": "resolve",
}


def parse_arguments(arguments: Sequence[str]) -> ParsedArgs:
    """Parse a command line without the program's name; options may stand anywhere.

    Examples
    --------
    >>> parse_arguments(["train", "--config-dir", "mine", "seed=1"]).overrides
    ('seed=1',)
    """
    parsed = ParsedArgs()
    rest = iter(arguments)
    words: list[str] = []
    for word in rest:
        refuse_password_in(word)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif name in _VALUES:
            setattr(parsed, _VALUES[name], _value(name, value if equals else next(rest, "")))
        elif word in _FLAGS:
            setattr(parsed, _FLAGS[word], True)
        else:
            raise ConfigError(f"Unknown option '{word}'. {nearest(name, [*_VALUES, *_FLAGS])}")
    if words and "=" not in words[0] and not words[0].startswith("~"):
        parsed.command = words.pop(0)
    elif words:
        names = command_names()
        raise ConfigError(
            f"'{words[0]}' stands where a command is expected: {', '.join(names)}. "
            f"Try: python -m fraudml {names[0]} {words[0]}"
        )
    parsed.overrides = tuple(words)
    return parsed


def _value(name: str, value: str) -> str:
    if not value or value.startswith("-"):
        expected = "the word 'job'" if name in ("--cfg", "-c") else "a value"
        raise ConfigError(f"{name} takes {expected}, and there is none.")
    return value
