"""What a trial says of itself while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHARES = (0.25, 0.5, 0.75)
"""After which shares of its rounds a fit says what it is worth; the whole of them is the last."""


@dataclass(frozen=True)
class IntermediateResult:
    """Where a trial stands, and what it is worth so far.

    Parameters
    ----------
    block : int
        Which block is fitted, from 0.
    share : float
        The share of its rounds that is done; 1 where the block is.
    rounds : int, optional
        How many that are; None for a learner without rounds.
    value : float
        The first objective on this block.
    so_far : float
        Its mean over the blocks so far, this one included.
    """

    block: int
    share: float
    rounds: int | None
    value: float
    so_far: float

    @property
    def step(self) -> int:
        """A number that rises from stop to stop, and is the same in every trial."""
        stops = len(SHARES) + 1
        return self.block * stops + round(self.share * stops) - 1

    @property
    def whole(self) -> bool:
        """Whether the block is done."""
        return self.share == 1


def learning_curve(stops: Sequence[IntermediateResult]) -> list[tuple[int, float]]:
    """Return the mean over the blocks after each number of rounds, of a trial that is whole."""
    found: dict[int, list[float]] = {}
    for stop in stops:
        if stop.rounds is not None:
            found.setdefault(stop.rounds, []).append(stop.value)
    return [(rounds, sum(values) / len(values)) for rounds, values in sorted(found.items())]
