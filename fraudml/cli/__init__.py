"""The command line: flags, help, exit codes. Heavy libraries load late."""

from fraudml.cli.main import main

__all__ = ["main"]
