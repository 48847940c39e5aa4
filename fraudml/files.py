"""Atomic files and folders: complete, or absent.

Everything is first written to a temporary path and then moved into place, so that a reader never
sees half a file. Failures of the machine become `MachineError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from fraudml.errors import ConfigError, FraudmlError, MachineError

PARTIAL = ".partial"
"""Suffix of an unfinished file or folder."""

LOCK = "lock"
"""The file in a folder whose lock a process holds."""


@contextlib.contextmanager
def machine_errors(path: Path) -> Iterator[None]:
    """Turn a failing disk or a missing permission into a `MachineError` that names the path."""
    try:
        yield
    except FraudmlError:
        raise
    except Exception as error:
        # polars wraps some failures of a disk in errors of its own, which end with their number.
        if not isinstance(error, OSError) and "(os error " not in str(error):
            raise
        reason = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
        raise MachineError(
            f"Cannot write '{path}': {reason}. Free some space or choose another path, "
            "then run the same command again."
        ) from error


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give `<path>.partial` to fill; it becomes `path` when the block ends without an error."""
    if path.exists():
        raise ConfigError(
            f"output_dir: '{path}' exists, and a finished folder is never overwritten. "
            "Choose another output_dir, or remove it first."
        )
    partial = path.with_name(path.name + PARTIAL)
    with machine_errors(path):
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
    try:
        with machine_errors(path):
            yield partial
            partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextlib.contextmanager
def atomic_file(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give `<path>.partial` to write; it becomes `path` when the block ends without an error."""
    if path.is_dir():
        raise ConfigError(f"output: '{path}' is a folder. Expected the name of a file.")
    if path.exists() and not overwrite:
        raise ConfigError(f"output: '{path}' exists. Set overwrite=true, or choose another name.")
    partial = path.with_name(path.name + PARTIAL)
    try:
        with machine_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock an existing folder against other processes, until this process ends at the latest."""
    with machine_errors(folder):
        file = (folder / LOCK).open("w")
    with file:
        if not _lock(file):
            raise ConfigError(
                f"output: another process is writing to '{folder}'. Wait for it, or choose another "
                "output."
            )
        yield


def _lock(file: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows, where no lock is held
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, the same bytes for the same content; NaN is refused."""
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
