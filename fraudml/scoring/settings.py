"""Settings of a job that scores a table."""

from __future__ import annotations

from dataclasses import dataclass

from fraudml.errors import ConfigError


@dataclass(frozen=True)
class ScoreSettings:
    """How an input is scored.

    Parameters
    ----------
    allow_short_history : bool
        Whether to score although the history starts later than features look back.
    max_rejected : float
        The share of rows that may be impossible to score; above it there is no output.
    daily_top_k : int, optional
        Alert the best so many cases of each day, instead of what the policy says.
    chunk_rows : int
        How many rows are in memory at a time; the scores do not depend on it.
    reasons : int
        How many reasons an alert is given.
    """

    allow_short_history: bool = False
    max_rejected: float = 0.01
    daily_top_k: int | None = None
    chunk_rows: int = 25_000
    reasons: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.max_rejected <= 1:
            raise ConfigError(f"max_rejected is {self.max_rejected}. It is a share from 0 to 1.")
        if self.daily_top_k is not None and self.daily_top_k < 1:
            raise ConfigError(f"daily_top_k is {self.daily_top_k}. It is a whole number from 1.")
        if self.chunk_rows < 1:
            raise ConfigError(f"chunk_rows is {self.chunk_rows}. It is at least 1.")
        if self.reasons < 0:
            raise ConfigError(f"reasons is {self.reasons}. It is a whole number from 0.")
