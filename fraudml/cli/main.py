"""The entry point: from arguments to an exit code. Heavy libraries load late."""

from __future__ import annotations

import functools
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fraudml.cli.commands import COMMANDS
from fraudml.cli.help import command_help, overview
from fraudml.cli.line import read_line
from fraudml.cli.multirun import multirun
from fraudml.cli.run import attempt, print_config, run, write
from fraudml.errors import ConfigError, nearest
from fraudml.version import __version__

INTERRUPTED = 130
"""The exit code after Ctrl-C or SIGTERM."""


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
            return attempt(functools.partial(_dispatch, arguments))
    except KeyboardInterrupt:
        write("interrupted", error=True)
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    line = read_line(arguments)
    if line.version:
        write(f"fraudml {__version__}")
        return 0
    if line.command is None:
        write(overview(), error=not line.help)
        return 0 if line.help else ConfigError.exit_code
    if line.command not in COMMANDS:
        raise ConfigError(f"'{line.command}' is no command. {nearest(line.command, COMMANDS)}")
    from fraudml.cli import terminal

    with terminal.session() as progress:
        if line.help:
            write(command_help(line.command, line))
            return 0
        if line.cfg is not None:
            return print_config(line)
        return multirun(line, progress) if line.multirun else run(line, progress)


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


if __name__ == "__main__":
    sys.exit(main())
