"""Settings of the intervals, and the options that one bootstrap is drawn with."""

from __future__ import annotations

from dataclasses import dataclass

from fraudml.errors import ConfigError


@dataclass(frozen=True)
class BootstrapOptions:
    """How replicates are drawn, and how wide an interval is.

    Parameters
    ----------
    replicates : int
        How many; 0 leaves intervals out.
    level : float
        Confidence of the two-sided intervals.
    seed : int
        Results that are compared take the same one.
    threads : int
        How many threads to use; they change no number.
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
        Whether simple scores are evaluated beside the model.
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
