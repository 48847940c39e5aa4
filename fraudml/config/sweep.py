"""Settings of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fraudml.addresses import refuse_password
from fraudml.errors import ConfigError


@dataclass(frozen=True)
class SweepSettings:
    """The search of a sweep: its space, the blocks of its trials, how values are drawn and chosen.

    Parameters
    ----------
    space : tuple of str
        Overrides with many values each, as `learner.num_leaves=int(interval(4,64))`.
    blocks : {'steps', 'folds'}
        Trials are scored on the out-of-fold steps of the development window, or on the folds of
        `backtest`. The test block, or the test folds, are scored once, for the chosen trial.
    folds_end : str, optional
        With `blocks=folds`, the end of the last validation fold; its labels must have arrived when
        the test folds, of which the last ends at `backtest.end`, begin.
    secondary_objectives : tuple of str
        More metrics to optimise. The sweep then looks for trials that no other trial beats in all
        of them (the Pareto front), and chooses the one of these whose worst shortfall, as a share
        of what the front spans, is smallest. Nothing is pruned.
    sampler : {'tpe', 'random', 'grid'}
        How values are drawn; `grid` tries every combination of choices once.
    startup_trials : int
        Random trials before `tpe` learns from them.
    pruner : {'median', 'wilcoxon', 'none'}
        Which trials are ended early: those whose mean over the blocks so far is below the median of
        the others, within the rounds of each block too; those that are significantly worse than the
        best one, block for block (for many blocks); or none.
    choose : {'mean', 'lower_bound'}
        What the chosen trial is best in: the mean over the blocks, or that less 1.64 standard
        errors, against the luck of the winner.
    patience : int
        Number of trials without a better one after which the sweep ends; 0 means no limit.
    workers : int
        Trials at a time on this machine; threads are shared among them.
    storage : str, optional
        A database for the trials, as `sqlite:///trials.db` or `postgresql+psycopg://…`; by default
        a journal file in the run folder. Never with a password: PGPASSWORD is for that.
    study_name : str, optional
        The name of the study in the storage; by default that of the run folder.
    trial_seconds : float
        Time limit of a trial.
    trial_memory_mb : int, optional
        Memory limit of a trial; by default four fifths of what the machine grants.
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
        minima = {"startup_trials": 1, "patience": 0, "workers": 1, "trial_memory_mb": 1}
        for name, low in minima.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise ConfigError(f"sweep.{name} is {value}. It is at least {low}.")
        if self.blocks == "folds" and self.folds_end is None:
            raise ConfigError(
                "sweep.blocks=folds needs sweep.folds_end: where the last validation fold ends, "
                "before the test folds of the backtest begin."
            )
        refuse_password(self.storage, "sweep.storage")
        if not self.trial_seconds > 0:
            raise ConfigError(f"sweep.trial_seconds is {self.trial_seconds}. It is above 0.")

    def objectives(self, first: str) -> tuple[str, ...]:
        """Return all objectives; `first` is the run's."""
        return (first, *self.secondary_objectives)
