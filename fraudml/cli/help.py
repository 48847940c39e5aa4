"""The text of --help, for all commands and for one."""

from __future__ import annotations

import shutil
import textwrap

from fraudml.cli.arguments import ParsedArgs
from fraudml.cli.commands import command_names, find_command
from fraudml.cli.runner import command_settings

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
    width = max(map(len, command_names())) + 2
    commands = "\n".join(f"  {name:<{width}}{find_command(name).text}" for name in command_names())
    return (
        "fraudml: fraud models that cannot win by predicting the majority class.\n\n"
        "Usage: python -m fraudml COMMAND [GROUP=OPTION | KEY=VALUE | +experiment=NAME] …\n\n"
        f"Commands:\n{commands}\n\nOptions:\n{_OPTIONS}\n\n{_CODES}\n\n"
        "'python -m fraudml COMMAND --help' shows the groups and keys of a command."
    )


def command_help(parsed: ParsedArgs) -> str:
    """Return a command's groups, keys and examples; the values are those of this command line."""
    from fraudml.config.compose import chosen_options
    from fraudml.config.describe import keys
    from fraudml.config.sources import groups
    from fraudml.config.text import word

    name, command = parsed.command, find_command(parsed.command)
    settings = command_settings(parsed)
    chosen = chosen_options(
        name, parsed.overrides, config_dir=parsed.config_dir, config_name=parsed.config_name
    )
    options = "\n".join(
        _item(f"{group}={chosen.get(group, '')}", ", ".join(names))
        for group, names in groups(parsed.config_dir).items()
    )
    settings_keys = "\n".join(
        _item(f"{key.path}={word(key.value)}", f"{key.kind}. {key.text}".strip())
        for key in keys(settings)
    )
    examples = "\n".join(f"  python -m fraudml {name} {text}".rstrip() for text in command.examples)
    return (
        f"python -m fraudml {name}: {command.text}.\n\n"
        "Groups, with the chosen option and all options (an experiment takes a plus: "
        f"+experiment=NAME):\n{options}\n\n"
        f"Keys, with the values of this command line:\n{settings_keys}\n\n"
        f"Options:\n{_OPTIONS}\n\nExamples:\n{examples}"
    )


_COLUMN = 40


def _item(left: str, right: str) -> str:
    """Set a name beside its text, wrapped to the terminal."""
    width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 120)) - _COLUMN - 2
    lines = textwrap.wrap(right, width, break_long_words=False) or [""]
    if len(left) >= _COLUMN:
        lines.insert(0, "")
    head = f"  {left:<{_COLUMN}}{lines[0]}".rstrip()
    return "\n".join([head, *(" " * (_COLUMN + 2) + text for text in lines[1:])])
