"""One command: its settings, its run, and how its end becomes an exit code and a message."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fraudml.cli import terminal
from fraudml.cli.arguments import ParsedArgs
from fraudml.cli.commands import find_command
from fraudml.errors import ConfigError, FraudmlError, MachineError
from fraudml.version import __version__

if TYPE_CHECKING:
    from fraudml.config.settings import Settings


def command_settings(parsed: ParsedArgs, overrides: Sequence[str] | None = None) -> Settings:
    """Compose and check the settings of a command line, or of other overrides in their place."""
    from fraudml.config import load_settings

    return load_settings(
        parsed.command,
        parsed.overrides if overrides is None else overrides,
        config_dir=parsed.config_dir,
        config_name=parsed.config_name,
    )


def run_command(name: str, settings: Settings, progress: Callable[[], Any]) -> int:
    """Run a command with its settings, and show its closing table."""
    command = find_command(name)
    function = getattr(import_module(command.module), command.function)
    with progress() as callback:
        outcome = function(settings, progress=callback)
    if hasattr(outcome, "summary"):
        terminal.table(*outcome.summary())
    refusal = getattr(outcome, "refusal", None)
    if refusal is not None:
        raise refusal
    return 0


def print_config(parsed: ParsedArgs) -> int:
    """Print the composed config, and run nothing."""
    from fraudml.config.parse import dump
    from fraudml.config.text import to_yaml

    if parsed.cfg != "job":
        raise ConfigError(f"--cfg takes 'job', not '{parsed.cfg}'.")
    terminal.write(to_yaml(dump(command_settings(parsed))).rstrip("\n"))
    return 0


def exit_code_of(work: Callable[[], int]) -> int:
    """Do work, and turn an error into its exit code and a message."""
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
"""Errors of the machine rather than of fraudml; Windows does not have all of them."""


def _failed(error: FraudmlError, message: str, cause: BaseException | None = None) -> int:
    if os.environ.get("FRAUDML_DEBUG") == "1":
        traceback.print_exception(cause or error)
    terminal.write(f"error: {message}", error=True)
    return error.exit_code


def _defect() -> int:
    traceback.print_exc()
    terminal.write(
        f"This is a defect of fraudml {__version__}, not of your config or data. Please report it, "
        "with the lines above and the command.",
        error=True,
    )
    return FraudmlError.exit_code
