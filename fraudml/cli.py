"""The command line: flags, help, exit codes. Heavy libraries load late."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudml import __version__
from fraudml.addresses import refuse_password_in
from fraudml.commands import COMMANDS
from fraudml.errors import ConfigError, FraudmlError, MachineError, nearest

if TYPE_CHECKING:
    from fraudml.config.settings import Settings

INTERRUPTED = 130
"""The exit code after Ctrl-C or SIGTERM."""


@dataclass
class Line:
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The command line without the program's name; by default the process's own.

    Returns
    -------
    int
        The exit code. Every error ends here; none is raised.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with _terminable():
            return _attempt(functools.partial(_dispatch, arguments))
    except KeyboardInterrupt:
        _write("interrupted", error=True)
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    line = read_line(arguments)
    if line.version:
        _write(f"fraudml {__version__}")
        return 0
    if line.command is None:
        _write(_overview(), error=not line.help)
        return 0 if line.help else ConfigError.exit_code
    if line.command not in COMMANDS:
        raise ConfigError(f"'{line.command}' is no command. {nearest(line.command, COMMANDS)}")
    from fraudml import terminal

    with terminal.session() as progress:
        if line.help:
            _write(_command_help(line.command, line))
            return 0
        if line.cfg is not None:
            return _print_config(line)
        return _multirun(line, progress) if line.multirun else _run(line, progress)


def read_line(arguments: Sequence[str]) -> Line:
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
    line = Line()
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


def _load(line: Line, overrides: Sequence[str]) -> Settings:
    from fraudml.config import load_settings

    assert line.command is not None
    return load_settings(
        line.command, overrides, config_dir=line.config_dir, config_name=line.config_name
    )


def _run(line: Line, progress: Callable[[], Any]) -> int:
    return _execute(line, _load(line, line.overrides), progress)


def _execute(line: Line, settings: Settings, progress: Callable[[], Any]) -> int:
    """Run a command with its settings, and show what it came to."""
    from fraudml import terminal

    assert line.command is not None
    command = COMMANDS[line.command]
    function = getattr(import_module(command.module), command.function)
    with progress() as shown:
        outcome = function(settings, progress=shown)
    if hasattr(outcome, "summary"):
        terminal.table(*outcome.summary())
    refusal = getattr(outcome, "refusal", None)
    if refusal is not None:
        raise refusal
    return 0


def _print_config(line: Line) -> int:
    from fraudml.config.parse import dump
    from fraudml.config.text import to_yaml

    if line.cfg != "job":
        raise ConfigError(f"--cfg takes 'job', not '{line.cfg}'.")
    _write(to_yaml(dump(_load(line, line.overrides))).rstrip("\n"))
    return 0


def _multirun(line: Line, progress: Callable[[], Any]) -> int:
    """Run every combination in order; the exit code is the first that is not 0."""
    from fraudml import terminal
    from fraudml.config.overrides import expand

    runs = expand(line.overrides, config_dir=line.config_dir)
    settings = _placed([_load(line, overrides) for overrides in runs])
    codes: list[int] = []
    for number, (overrides, one) in enumerate(zip(runs, settings, strict=True)):
        _write(f"run {number} of {len(runs)}: {' '.join(overrides)}", error=True)
        codes.append(_attempt(functools.partial(_execute, line, one, progress)))
    varied = [" ".join(one) for one in _varied(runs)]
    rows = [
        (str(number), what, str(code), str(one.output_dir))
        for number, (what, code, one) in enumerate(zip(varied, codes, settings, strict=True))
    ]
    terminal.table(f"{len(runs)} runs", rows, ("run", "overrides", "exit", "folder"))
    return next((code for code in codes if code), 0)


def _varied(runs: list[tuple[str, ...]]) -> list[list[str]]:
    """Keep those overrides of each run that are not the same in all of them."""
    differs = [len(set(column)) > 1 for column in zip(*runs, strict=True)]
    return [[one for one, kept in zip(run, differs, strict=True) if kept] for run in runs]


def _placed(settings: list[Settings]) -> list[Settings]:
    """Give each run its own folder under one parent, before any of them starts."""
    from dataclasses import replace

    first = settings[0]
    stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{first.run_name}_multirun"
    placed = [
        replace(one, output_dir=str(Path(one.output_dir or Path("runs", stamp)) / str(number)))
        for number, one in enumerate(settings)
    ]
    there = [one.output_dir for one in placed if Path(str(one.output_dir)).exists()]
    if there:
        raise ConfigError(
            f"output_dir: '{there[0]}' exists, and a finished folder is never overwritten. "
            "Choose another output_dir, or remove it first."
        )
    return placed


def _attempt(work: Callable[[], int]) -> int:
    """Do something, and turn how it ends into an exit code and a message."""
    try:
        return work()
    except FraudmlError as error:
        return _failed(error, str(error))
    except MemoryError as error:
        reason = f" ({error})" if str(error) else ""
        message = f"Out of memory{reason}. Take fewer rows, or a machine with more memory."
        return _failed(MachineError(), message, error)
    except OSError as error:
        if error.errno not in _MACHINE and not isinstance(error, ConnectionError):
            return _defect()
        return _failed(MachineError(), f"The machine failed: {error}. Run it again.", error)
    except Exception:
        return _defect()


_MACHINE = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "ENOMEM", "EMFILE")
    if hasattr(errno, name)
}
"""What is wrong with the machine rather than with fraudml; Windows has not all of them."""


def _failed(error: FraudmlError, message: str, cause: BaseException | None = None) -> int:
    if os.environ.get("FRAUDML_DEBUG") == "1":
        traceback.print_exception(cause or error)
    _write(f"error: {message}", error=True)
    return error.exit_code


def _defect() -> int:
    traceback.print_exc()
    _write(
        f"This is a defect of fraudml {__version__}, not of your config or data. Please report it, "
        "with the lines above and the command.",
        error=True,
    )
    return FraudmlError.exit_code


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does, so that what is unfinished is cleaned up."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _write(text: str, *, error: bool = False) -> None:
    from fraudml import terminal

    terminal.write(text, error=error)


def _overview() -> str:
    width = max(map(len, COMMANDS)) + 2
    commands = "\n".join(f"  {name:<{width}}{one.text}" for name, one in COMMANDS.items())
    return (
        "fraudml: fraud models that cannot win by predicting the majority class.\n\n"
        "Usage: python -m fraudml COMMAND [GROUP=OPTION | KEY=VALUE | +experiment=NAME] …\n\n"
        f"Commands:\n{commands}\n\nOptions:\n{_OPTIONS}\n\n{_CODES}\n\n"
        "'python -m fraudml COMMAND --help' shows the groups and keys of a command."
    )


def _command_help(name: str, line: Line) -> str:
    """Write a command's groups, keys and examples; the values are those of this command line."""
    from fraudml.config.compose import chosen_options
    from fraudml.config.describe import keys
    from fraudml.config.sources import groups
    from fraudml.config.text import word

    command = COMMANDS[name]
    settings = _load(line, line.overrides)
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


if __name__ == "__main__":
    sys.exit(main())
