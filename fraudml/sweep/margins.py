"""Margins that one trial leaves for others which differ from it in fewer rounds alone.

The first rounds of a booster are the booster of these rounds, so that in a grid trials that differ
in rounds alone cost no more than the longest of them.
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
class KeptMargins:
    """The margins of one set of settings, by block and rounds.

    Parameters
    ----------
    folder : Path
        Of these settings, rounds left aside; is made when there is something to keep.
    searched : tuple of int
        The rounds that trials may ask for.
    """

    folder: Path
    searched: tuple[int, ...]

    def read(self, block: int, rounds: int | None) -> NDArray[np.float64] | None:
        """Return what `write` kept; None where there is nothing."""
        path = self._path(block, rounds)
        if not path.exists():
            return None
        kept: NDArray[np.float64] = np.load(path, allow_pickle=False)
        return kept

    def fewer(self, rounds: int | None) -> tuple[int, ...]:
        """Return the rounds that others may ask for and that are among the first of these."""
        return () if rounds is None else tuple(one for one in self.searched if one < rounds)

    def write(self, block: int, rounds: int, margin: NDArray[np.float64]) -> None:
        """Keep margins; whole, or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(block, rounds)
        half = path.with_suffix(f".{os.getpid()}")
        with half.open("wb") as file:
            np.save(file, margin, allow_pickle=False)
        half.replace(path)

    def _path(self, block: int, rounds: int | None) -> Path:
        return self.folder / f"{block}_{rounds}.npy"


def searched_rounds(space: tuple[Dimension, ...], rounds_key: str | None) -> tuple[int, ...]:
    """Return the rounds that a space offers as a choice.

    Parameters
    ----------
    space : tuple of Dimension
        What is searched.
    rounds_key : str, optional
        What the learner calls its rounds; nothing is offered without.
    """
    for one in space:
        if isinstance(one, Choice) and one.key == f"learner.{rounds_key}":
            return tuple(int(option) for option in one.options if option.isdigit())
    return ()


def most_rounds_first(
    combinations: list[dict[str, Any]], rounds_key: str | None
) -> list[dict[str, Any]]:
    """Sort the combinations of a grid so that others find their margins; otherwise as they come."""
    key = f"learner.{rounds_key}"
    return sorted(
        combinations, key=lambda one: -int(one[key]) if str(one.get(key)).isdigit() else 0
    )
