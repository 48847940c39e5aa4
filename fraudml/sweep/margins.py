"""Margins that a trial caches for trials that differ from it only in having fewer rounds.

The first rounds of a booster are the booster of these rounds, so that trials of a grid that differ
only in rounds cost no more than the longest of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.config.dimensions import Choice, Dimension

MARGINS = "margins"
"""The folder of all of them, in that of the sweep."""


@dataclass(frozen=True)
class MarginCache:
    """Margins of one set of settings by block and rounds; `searched` are rounds of other trials."""

    folder: Path
    searched: tuple[int, ...]

    def read(self, block: int, rounds: int | None) -> NDArray[np.float64] | None:
        """Return cached margins, or None."""
        path = self._path(block, rounds)
        if not path.exists():
            return None
        margin: NDArray[np.float64] = np.load(path, allow_pickle=False)
        return margin

    def fewer(self, rounds: int | None) -> tuple[int, ...]:
        """Return the rounds that other trials may ask for and that are fewer than these."""
        return () if rounds is None else tuple(n for n in self.searched if n < rounds)

    def write(self, block: int, rounds: int, margin: NDArray[np.float64]) -> None:
        """Cache margins, atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(block, rounds)
        partial = path.with_suffix(f".{os.getpid()}")
        with partial.open("wb") as file:
            np.save(file, margin, allow_pickle=False)
        partial.replace(path)

    def _path(self, block: int, rounds: int | None) -> Path:
        return self.folder / f"{block}_{rounds}.npy"


def searched_rounds(space: tuple[Dimension, ...], rounds_key: str | None) -> tuple[int, ...]:
    """Return the rounds that a space offers as a choice; `rounds_key` is the learner's key."""
    for part in space:
        if isinstance(part, Choice) and part.key == f"learner.{rounds_key}":
            return tuple(int(option) for option in part.options if option.isdigit())
    return ()


def most_rounds_first(
    combinations: list[dict[str, Any]], rounds_key: str | None
) -> list[dict[str, Any]]:
    """Sort the combinations of a grid so that later trials find cached margins."""

    def rounds(combination: dict[str, Any]) -> int:
        value = str(combination.get(f"learner.{rounds_key}"))
        return int(value) if value.isdigit() else 0

    return sorted(combinations, key=rounds, reverse=True)
