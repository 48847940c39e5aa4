"""A command line, taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fraudml.addresses import refuse_password_in
from fraudml.cli.commands import COMMANDS
from fraudml.errors import ConfigError, nearest

if TYPE_CHECKING:
    pass


@dataclass
class ParsedArgs:
    """A command line, taken apart."""

    command: str | None = None
    overrides: tuple[str, ...] = ()
    config_dir: str | None = None
    config_name: str | None = None
    cfg: str | None = None
    multirun: bool = False
    help: bool = False
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
    "--help": "help",
    "-h": "help",
    "--version": "version",
    "--resolve": "resolve",
}


def read_line(arguments: Sequence[str]) -> ParsedArgs:
    """Take a command line apart; options may stand anywhere.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.

    Raises
    ------
    ConfigError
        An unknown option, with the nearest, or one without its value.

    Examples
    --------
    >>> read_line(["train", "--config-dir", "mine", "seed=1"]).overrides
    ('seed=1',)
    """
    line = ParsedArgs()
    rest = iter(arguments)
    words: list[str] = []
    for word in rest:
        refuse_password_in(word)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif name in _VALUES:
            setattr(line, _VALUES[name], _value(name, value if equals else next(rest, "")))
        elif word in _FLAGS:
            setattr(line, _FLAGS[word], True)
        else:
            raise ConfigError(f"'{word}' is no option. {nearest(name, [*_VALUES, *_FLAGS])}")
    if words and "=" not in words[0] and not words[0].startswith("~"):
        line.command = words.pop(0)
    elif words:
        raise ConfigError(
            f"'{words[0]}' stands where a command is expected: {', '.join(COMMANDS)}. "
            f"Try: python -m fraudml {next(iter(COMMANDS))} {words[0]}"
        )
    line.overrides = tuple(words)
    return line


def _value(name: str, value: str) -> str:
    if not value or value.startswith("-"):
        wanted = "the word 'job'" if name in ("--cfg", "-c") else "a value"
        raise ConfigError(f"{name} takes {wanted}, and there is none.")
    return value
