"""The entry point: from arguments to an exit code. Heavy libraries load late."""

from __future__ import annotations

import functools
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fraudml.cli import terminal
from fraudml.cli.arguments import parse_arguments
from fraudml.cli.commands import find_command
from fraudml.cli.help import command_help, overview
from fraudml.cli.multirun import multirun
from fraudml.cli.runner import command_settings, exit_code_of, print_config, run_command
from fraudml.errors import ConfigError
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
            return exit_code_of(functools.partial(_dispatch, arguments))
    except KeyboardInterrupt:
        terminal.write("interrupted", error=True)
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    parsed = parse_arguments(arguments)
    if parsed.version:
        terminal.write(f"fraudml {__version__}")
        return 0
    if not parsed.command:
        terminal.write(overview(), error=not parsed.show_help)
        return 0 if parsed.show_help else ConfigError.exit_code
    find_command(parsed.command)
    with terminal.session() as progress:
        if parsed.show_help:
            terminal.write(command_help(parsed))
            return 0
        if parsed.cfg is not None:
            return print_config(parsed)
        if parsed.multirun:
            return multirun(parsed, progress)
        return run_command(parsed.command, command_settings(parsed), progress)


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
