"""One command: load its settings, run it, turn how it ends into an exit code and a message."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fraudml.cli.commands import COMMANDS
from fraudml.errors import ConfigError, FraudmlError, MachineError
from fraudml.version import __version__

if TYPE_CHECKING:
    from fraudml.config.settings import Settings
from fraudml.cli.line import ParsedArgs


def load(line: ParsedArgs, overrides: Sequence[str]) -> Settings:
    """Compose and check the settings of a command line."""
    from fraudml.config import load_settings

    assert line.command is not None
    return load_settings(
        line.command, overrides, config_dir=line.config_dir, config_name=line.config_name
    )


def run(line: ParsedArgs, progress: Callable[[], Any]) -> int:
    """Run one command."""
    return execute(line, load(line, line.overrides), progress)


def execute(line: ParsedArgs, settings: Settings, progress: Callable[[], Any]) -> int:
    """Run a command with its settings, and show what it came to."""
    from fraudml.cli import terminal

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


def print_config(line: ParsedArgs) -> int:
    """Print the composed config, and run nothing."""
    from fraudml.config.parse import dump
    from fraudml.config.text import to_yaml

    if line.cfg != "job":
        raise ConfigError(f"--cfg takes 'job', not '{line.cfg}'.")
    write(to_yaml(dump(load(line, line.overrides))).rstrip("\n"))
    return 0


def attempt(work: Callable[[], int]) -> int:
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
    write(f"error: {message}", error=True)
    return error.exit_code


def _defect() -> int:
    traceback.print_exc()
    write(
        f"This is a defect of fraudml {__version__}, not of your config or data. Please report it, "
        "with the lines above and the command.",
        error=True,
    )
    return FraudmlError.exit_code


def write(text: str, *, error: bool = False) -> None:
    """Write a line to standard output, or to standard error."""
    from fraudml.cli import terminal

    terminal.write(text, error=error)
