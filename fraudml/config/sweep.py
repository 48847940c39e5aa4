"""What decides a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fraudml.addresses import refuse_password
from fraudml.errors import ConfigError


@dataclass(frozen=True)
class SweepSettings:
    """What a sweep searches, on what, and how.

    Parameters
    ----------
    space : tuple of str
        Overrides that stand for many values, as `learner.num_leaves=int(interval(4,64))`.
    blocks : {'steps', 'folds'}
        Trials are scored on the out-of-fold steps of the development window, or on the folds of
        `backtest`. The test block, or the test folds, are scored once, for the chosen trial.
    folds_end : str, optional
        With `blocks=folds`, where the last of these folds ends; its labels must have arrived when
        the test folds, of which the last ends at `backtest.end`, begin.
    secondary_objectives : tuple of str
        More metrics that trials should do well in. The sweep then looks for trials that no other
        one beats in all of them (the Pareto front), and takes the one of these whose worst
        shortfall, as a share of what the front spans, is least. Nothing is pruned.
    sampler : {'tpe', 'random', 'grid'}
        How values are drawn; `grid` tries every combination of choices once.
    startup_trials : int
        Random trials before `tpe` learns from them.
    pruner : {'median', 'wilcoxon', 'none'}
        Which trials are ended early: whose mean over the blocks so far is below the median of the
        others there, looked at within the rounds of each block too; or which are surely worse than
        the best one, block for block (for many blocks); or none.
    choose : {'mean', 'lower_bound'}
        What the chosen trial is best in: the mean over the blocks, or that less 1.64 standard
        errors, against the luck of the winner.
    patience : int
        The sweep ends after so many trials without a better one; 0 never does.
    workers : int
        Trials at a time on this machine; threads are shared among them.
    storage : str, optional
        A database for the trials, as `sqlite:///trials.db` or `postgresql+psycopg://…`; by default
        a journal file in the run folder. Never with a password: PGPASSWORD is for that.
    study_name : str, optional
        The name of the study in the storage; by default that of the run folder.
    trial_seconds : float
        A trial is ended after this long.
    trial_memory_mb : int, optional
        A trial that holds more is ended; by default four fifths of what the machine grants.
    """

    space: tuple[str, ...] = ()
    blocks: Literal["steps", "folds"] = "steps"
    folds_end: str | None = None
    secondary_objectives: tuple[str, ...] = ()
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    startup_trials: int = 10
    pruner: Literal["median", "wilcoxon", "none"] = "median"
    choose: Literal["mean", "lower_bound"] = "mean"
    patience: int = 40
    workers: int = 1
    storage: str | None = None
    study_name: str | None = None
    trial_seconds: float = 600.0
    trial_memory_mb: int | None = None

    def __post_init__(self) -> None:
        least = {"startup_trials": 1, "patience": 0, "workers": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ConfigError(f"sweep.{name} is {getattr(self, name)}. It is at least {low}.")
        if self.blocks == "folds" and self.folds_end is None:
            raise ConfigError(
                "sweep.blocks=folds needs sweep.folds_end: where the last validation fold ends, "
                "before the test folds of the backtest begin."
            )
        refuse_password(self.storage, "sweep.storage")
        if not self.trial_seconds > 0:
            raise ConfigError(f"sweep.trial_seconds is {self.trial_seconds}. It is above 0.")
        if self.trial_memory_mb is not None and self.trial_memory_mb < 1:
            raise ConfigError(f"sweep.trial_memory_mb is {self.trial_memory_mb}. It is at least 1.")

    def objectives(self, first: str) -> tuple[str, ...]:
        """Return all that trials should do well in; `first` is the run's objective."""
        return (first, *self.secondary_objectives)
