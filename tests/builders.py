"""What tests build in more than one place."""

from __future__ import annotations

from pathlib import Path


def read_files(folder: Path) -> dict[str, bytes]:
    """The files of a saved model, as a learner is loaded from them."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
