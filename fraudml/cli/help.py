"""The text of --help, for all commands and for one."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from fraudml.cli.commands import COMMANDS

if TYPE_CHECKING:
    pass
from fraudml.cli.line import ParsedArgs
from fraudml.cli.run import load

_OPTIONS = """\
  --config-dir, -cd DIR     a folder of your own config files; they win over fraudml's
  --config-name, -cn NAME   the primary config, instead of the command's own
  --cfg, -c job             print the composed config and run nothing
  --multirun, -m            run every combination of values: seed=0,1,2
  --help, -h                this help; after a command, its groups and keys
  --version                 print the version"""


_CODES = """\
Exit codes: 0 done, 1 a defect of fraudml, 2 the command or config is wrong, 3 the data are,
4 the model was refused, 5 the budget ran out, 6 a bundle was refused, 7 the machine failed,
130 interrupted.
FRAUDML_DEBUG=1 shows tracebacks."""


def overview() -> str:
    """Return the text of `python -m fraudml --help`."""
    width = max(map(len, COMMANDS)) + 2
    commands = "\n".join(f"  {name:<{width}}{one.text}" for name, one in COMMANDS.items())
    return (
        "fraudml: fraud models that cannot win by predicting the majority class.\n\n"
        "Usage: python -m fraudml COMMAND [GROUP=OPTION | KEY=VALUE | +experiment=NAME] …\n\n"
        f"Commands:\n{commands}\n\nOptions:\n{_OPTIONS}\n\n{_CODES}\n\n"
        "'python -m fraudml COMMAND --help' shows the groups and keys of a command."
    )


def command_help(name: str, line: ParsedArgs) -> str:
    """Write a command's groups, keys and examples; the values are those of this command line."""
    from fraudml.config.compose import chosen_options
    from fraudml.config.describe import keys
    from fraudml.config.sources import groups
    from fraudml.config.text import word

    command = COMMANDS[name]
    settings = load(line, line.overrides)
    chosen = chosen_options(
        name, line.overrides, config_dir=line.config_dir, config_name=line.config_name
    )
    offered = "\n".join(
        _item(f"{group}={chosen.get(group, '')}", ", ".join(options))
        for group, options in groups(line.config_dir).items()
    )
    listed = "\n".join(
        _item(f"{key.path}={word(key.value)}", f"{key.kind}. {key.text}".strip())
        for key in keys(settings)
    )
    examples = "\n".join(f"  python -m fraudml {name} {one}".rstrip() for one in command.examples)
    return (
        f"python -m fraudml {name}: {command.text}.\n\n"
        "Groups, with the option chosen and all there are (an experiment takes a plus: "
        f"+experiment=NAME):\n{offered}\n\n"
        f"Keys, with the values of this command line:\n{listed}\n\n"
        f"Options:\n{_OPTIONS}\n\nExamples:\n{examples}"
    )


_LEFT = 40


def _item(left: str, right: str) -> str:
    """Set a name beside its text, wrapped to the terminal."""
    width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 120)) - _LEFT - 2
    lines = textwrap.wrap(right, width, break_long_words=False) or [""]
    if len(left) >= _LEFT:
        lines.insert(0, "")
    head = f"  {left:<{_LEFT}}{lines[0]}".rstrip()
    return "\n".join([head, *(" " * (_LEFT + 2) + text for text in lines[1:])])
