"""Settings of the intervals, and the options that one bootstrap is drawn with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import ConfigError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BootstrapOptions:
    """How replicates are drawn, and how wide intervals are; 0 replicates leave intervals out.

    Results that are compared have the same seed; threads change no number.
    """

    replicates: int = 1000
    level: float = 0.95
    seed: int = 0
    threads: int = 1

    @property
    def drawing(self) -> dict[str, int]:
        """The keywords of `fraudml.metrics.bootstrap`, with one replicate where there are none."""
        replicates = max(self.replicates, 1)
        return {"replicates": replicates, "seed": self.seed, "threads": self.threads}


def percentile_ends(values: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the ends of the percentile interval of each column; NaN where it has none.

    The first row of `values` is the sample, the others are replicates; a replicate without a value
    is left out.
    """
    sample, replicates = values[0], values[1:]
    known = (~np.isnan(replicates)).any(axis=0) & ~np.isnan(sample)
    ends: Floats = np.full((2, len(sample)), np.nan)
    if known.any():
        tail = (1 - level) / 2
        ends[:, known] = np.nanquantile(replicates[:, known], [tail, 1 - tail], axis=0)
    return ends[0], ends[1]


@dataclass(frozen=True)
class IntervalSettings:
    """How intervals are computed.

    Parameters
    ----------
    replicates : int
        Bootstrap replicates; 0 leaves intervals out, and then the guard goes by a single value.
    level : float
        Confidence of the two-sided intervals.
    baselines : bool
        Whether the model is compared with simple scores.
    """

    replicates: int = 1000
    level: float = 0.95
    baselines: bool = True

    def __post_init__(self) -> None:
        if self.replicates != 0 and self.replicates < 100:
            raise ConfigError(
                f"evaluation.replicates is {self.replicates}. It is 0, or at least 100."
            )
        if not 0.5 <= self.level < 1:
            raise ConfigError(f"evaluation.level is {self.level}. It lies in [0.5, 1).")

    def options(self, seed: int, threads: int) -> BootstrapOptions:
        """Return the options of one bootstrap."""
        return BootstrapOptions(self.replicates, self.level, seed, threads)
