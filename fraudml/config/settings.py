"""The tree of settings that all commands share.

Defaults live in the dataclasses of the packages; `conf/` states what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fraudml.addresses import refuse_password
from fraudml.audit.settings import AuditSettings
from fraudml.config.components import Component, ComponentSettings
from fraudml.config.metrics import chosen_metrics
from fraudml.config.sweep import SweepSettings
from fraudml.data.settings import DataSettings
from fraudml.errors import ConfigError
from fraudml.evaluation.guard import GuardSettings
from fraudml.evaluation.intervals import IntervalSettings
from fraudml.evaluation.out_of_fold import RoundsSettings
from fraudml.export.settings import TOLERANCE
from fraudml.features.settings import FeatureSettings
from fraudml.learners.devices import DeviceSettings
from fraudml.metrics import registry
from fraudml.split import BacktestSettings, SplitSettings

_REFUSED_OBJECTIVES = {
    "accuracy": "never alerting reaches an accuracy of 1 minus the prevalence",
    "roc_auc": "at rare events ROC AUC rises while the alerts that a team can review get worse",
}


@dataclass(frozen=True)
class BudgetSettings:
    """The budget of a run.

    Parameters
    ----------
    seconds : float
        Wall clock of the whole run; fitting stops in time for what comes after it.
    trials : int
        Trials of a sweep, including those of earlier runs of the same sweep.
    price_per_hour : float, optional
        Price of an hour of the machine, in any currency.
    max_money : float, optional
        Most that a sweep may cost; with `price_per_hour` it limits the seconds.
    """

    seconds: float = 3600.0
    trials: int = 50
    price_per_hour: float | None = None
    max_money: float | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "trials", "price_per_hour", "max_money"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"budget.{name} is {value}. It is above 0.")
        if self.max_money is not None and self.price_per_hour is None:
            raise ConfigError(
                "budget.max_money is set and budget.price_per_hour is not. Set what an hour costs."
            )

    @property
    def wall_clock(self) -> float:
        """Seconds that time and money allow."""
        if self.max_money is None or self.price_per_hour is None:
            return self.seconds
        return min(self.seconds, 3600 * self.max_money / self.price_per_hour)

    def money(self, seconds: float) -> float | None:
        """Return the price of a number of seconds; None without a price per hour."""
        return None if self.price_per_hour is None else self.price_per_hour * seconds / 3600


@dataclass(frozen=True)
class StudySettings:
    """A study by `backtest`: every sampler with every learner, instead of one model.

    Parameters
    ----------
    resampling : mapping
        Samplers by a name of your own; the others are compared with the first.
    learners : mapping
        Learners by a name of your own; without any, the run's learner.
    """

    resampling: Mapping[str, Component] = field(default_factory=dict)
    learners: Mapping[str, Component] = field(default_factory=dict)


def _component(target: str) -> Component:
    return Component(target, {})


@dataclass(frozen=True)
class Settings:
    """All settings of a run.

    Parameters
    ----------
    command : str
        The command that these settings are for.
    data, split, features, audit : settings
        The table; its blocks; its features; what is looked for in it.
    resampling, weighting, loss, learner, calibration, costs, policy : Component
        The parts of the model, each by `_target_` with its arguments beside it.
    backtest, rounds, evaluation, guard, budget, device : settings
        The folds of `backtest`; how rounds are chosen; intervals; the guard's margin; the budget;
        the device.
    study : StudySettings
        Samplers and learners that `backtest` compares.
    sweep : SweepSettings
        The search of `sweep`.
    components : ComponentSettings
        Packages that components may come from.
    objective : str
        Metric optimised on the development window.
    metrics : tuple of str
        More metrics to report: names that installed packages register, or dotted paths.
    proof : bool
        Whether a model with a sampler or weighting is compared with one without.
    seed : int
        Seed from which that of every random choice is derived, by name.
    threads : int, optional
        Number of threads; by default as many as the machine grants.
    output_dir : str, optional
        The run folder; by default `runs/<date>_<time>_<run_name>`.
    output : str, optional
        The file that `features`, `simulate` and `score` write: .parquet, .csv or .arrow; what
        `export` writes; for `score` also a database, as `postgresql://host/database`.
    output_table : str, optional
        The table, or `schema.table`, in a database that is the output; created where it is missing.
    run_id : str, optional
        Identifies the rows of a run in that table, which are replaced together; by default derived
        from bundle and input, so that the same batch has one set of rows.
    record : str, optional
        File for the record of a job whose output is a database.
    overwrite : bool
        Whether an output that exists may be replaced.
    bundle : str, optional
        The folder of the bundle to score with, export or show, or of the run that wrote it.
    runs, bundles : tuple of str
        What `compare` compares: folders of finished runs, or bundles on `data`.
    input : str, optional
        The table to score, or to check an export on: a Parquet, CSV or Arrow IPC file, a folder or
        a glob of them; for `score` also a database with `input_query`.
    history : str, optional
        Rows before the input, for features that look back; as `input`.
    input_query, history_query : str, optional
        The SELECT, with an ORDER BY, where the input or the history is a database.
    allow_short_history, max_rejected, daily_top_k, chunk_rows, reasons
        Whether a history may start too late; the share of rows that `score` may reject; number of
        alerts a day instead of by the policy, or `true` for that of the bundle's alert budget; rows
        in memory at a time; number of reasons an alert.
    engine : str
        Library that computes margins in `score`: the learner's own (`native`), or `onnx`.
    format : str, optional
        Format that `export` writes: `onnx`, `c` or `lightgbm`.
    tolerance : float
        Greatest difference of a probability of an export, or of `engine=onnx`, from the bundle's.
    run_name : str
        Name of the run, part of its folder's name.
    from_run : str, optional
        The folder of a run of `train`, whose settings are fitted again.
    refit : str, optional
        Rows of that fit: `latest` is every row with a known label, those of the test block too.
    """

    command: str = "train"
    data: DataSettings = field(default_factory=DataSettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    resampling: Component = field(default_factory=Component)
    weighting: Component = field(default_factory=Component)
    loss: Component = field(default_factory=Component)
    learner: Component = field(
        default_factory=lambda: _component("fraudml.learners.lightgbm.LightGBM")
    )
    calibration: Component = field(
        default_factory=lambda: _component("fraudml.decisions.calibration.Auto")
    )
    costs: Component = field(default_factory=lambda: _component("fraudml.decisions.costs.Card"))
    policy: Component = field(
        default_factory=lambda: _component("fraudml.decisions.policies.MinimumCost")
    )
    backtest: BacktestSettings = field(default_factory=BacktestSettings)
    rounds: RoundsSettings = field(default_factory=RoundsSettings)
    evaluation: IntervalSettings = field(default_factory=IntervalSettings)
    guard: GuardSettings = field(default_factory=GuardSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)
    study: StudySettings = field(default_factory=StudySettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)
    components: ComponentSettings = field(default_factory=ComponentSettings)
    objective: str = "average_precision"
    metrics: tuple[str, ...] = ()
    proof: bool = True
    seed: int = 0
    threads: int | None = None
    output_dir: str | None = None
    output: str | None = None
    output_table: str | None = None
    run_id: str | None = None
    record: str | None = None
    overwrite: bool = False
    bundle: str | None = None
    runs: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    input: str | None = None
    history: str | None = None
    input_query: str | None = None
    history_query: str | None = None
    allow_short_history: bool = False
    max_rejected: float = 0.01
    daily_top_k: int | bool | None = None
    chunk_rows: int = 25_000
    reasons: int = 0
    engine: str = "native"
    format: str | None = None
    tolerance: float = TOLERANCE
    run_name: str = "train"
    from_run: str | None = None
    refit: Literal["latest"] | None = None

    def __post_init__(self) -> None:
        for metric in chosen_metrics(self.metrics, self.components.allowed):
            registry.add(metric)
        objectives = registry.names_in("objective")
        choices = ", ".join(objectives)
        if self.objective not in objectives:
            reason = _REFUSED_OBJECTIVES.get(self.objective)
            refused = f", which is refused: {reason}" if reason else ""
            raise ConfigError(f"objective is '{self.objective}'{refused}. Choose one of {choices}.")
        for name in self.sweep.secondary_objectives:
            if name == self.objective or name not in (*objectives, "roc_auc"):
                raise ConfigError(
                    f"sweep.secondary_objectives names '{name}'. Choose others than the objective, "
                    f"of {choices}, roc_auc."
                )
        if (self.from_run is None) != (self.refit is None):
            raise ConfigError(
                "from_run and refit go together: train from_run=runs/… refit=latest fits the "
                "settings of a run on all that is known today."
            )
        for name in ("input", "history", "output"):
            refuse_password(getattr(self, name), name)
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}. It is a whole number from 0.")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"threads is {self.threads}. It is at least 1.")
