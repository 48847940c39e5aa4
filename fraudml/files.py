"""Whole files and whole folders, or nothing: the one atomic writer.

Everything is first written beside its place and then moved into it, so that a reader never meets
half a file. Failures of the machine become `MachineError`.
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
"""What the name of an unfinished file or folder ends with."""


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
            f"Cannot write '{path}': {reason}. Free some space or choose another place, "
            "then run the same command again."
        ) from error


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a folder to fill that takes its place only when the block ends without an error.

    Parameters
    ----------
    path : Path
        Where the folder belongs. It must not exist.

    Yields
    ------
    Path
        `<path>.partial`, empty. It is removed when the block fails.

    Raises
    ------
    ConfigError
        `path` exists.
    MachineError
        The disk is full, or the place may not be written.
    """
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
    """Give a file to write that takes its place only when the block ends without an error.

    Parameters
    ----------
    path : Path
        Where the file belongs; its folder is made where it is missing.
    overwrite : bool
        Whether it may replace one that exists.

    Yields
    ------
    Path
        `<path>.partial`. It is removed when the block fails.

    Raises
    ------
    ConfigError
        `path` exists, or is a folder.
    MachineError
        The disk is full, or the place may not be written.
    """
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
    """Keep a second process out of a folder; the lock goes with the process, however it ends.

    Parameters
    ----------
    folder : Path
        It exists.

    Raises
    ------
    ConfigError
        Another process is in it.
    """
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
    """Write JSON with sorted keys, the same bytes for the same content.

    Parameters
    ----------
    path : Path
        The file, inside a folder of `atomic_folder`.
    content : JSON-like
        NaN and infinities are refused: they are not JSON.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
