"""Intermediate results of a trial, reported while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHARES = (0.25, 0.5, 0.75)
"""Shares of the rounds of a fit after which it reports; it reports once more at its end."""


@dataclass(frozen=True)
class IntermediateResult:
    """How far a trial is, and its value so far.

    Parameters
    ----------
    block : int
        The block that is fitted, from 0.
    share : float
        The share of its rounds that are done; 1 at the end of the block.
    rounds : int, optional
        The number of these rounds; None for a learner without rounds.
    value : float
        The first objective on this block.
    mean : float
        Its mean over the blocks so far, this one included.
    """

    block: int
    share: float
    rounds: int | None
    value: float
    mean: float

    @property
    def step(self) -> int:
        """A number that rises from result to result, and is the same in every trial."""
        results = len(SHARES) + 1
        return self.block * results + round(self.share * results) - 1

    @property
    def block_done(self) -> bool:
        """Whether the fit on the block is done."""
        return self.share == 1


def learning_curve(results: Sequence[IntermediateResult]) -> list[tuple[int, float]]:
    """Return the mean over the blocks after each number of rounds, of a complete trial."""
    by_rounds: dict[int, list[float]] = {}
    for result in results:
        if result.rounds is not None:
            by_rounds.setdefault(result.rounds, []).append(result.value)
    return [(rounds, sum(values) / len(values)) for rounds, values in sorted(by_rounds.items())]
