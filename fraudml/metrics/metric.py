"""What a metric is: its function, what it needs, and where it is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fraudml.errors import ConfigError, DataError, nearest
from fraudml.metrics._checks import Float
from fraudml.metrics._groups import FraudGroups
from fraudml.metrics.ratios import ratio
from fraudml.metrics.rows import ScoredRows

Direction = Literal["higher", "lower", "none"]
"""Which way is better; 'none' for counts, and for ratios whose best value is 1."""

GROUPS = {
    "test": "`test` of metrics.json: the scores and alerts on the test block",
    "policy": "`policy.test` of metrics.json: the alerts of the policy on the test block",
    "ablation": "`proof` of metrics.json: with and without an intervention",
    "baselines": "`baselines` of metrics.json: the model against simple scores",
    "study": "study.json: samplers and learners over the folds of a backtest",
    "compare": "compare.json: finished models on the same rows",
    "headline": "the first paragraph of the report of a comparison",
    "objective": "the values that `objective` may take",
    "terminal": "the closing table of `train`",
    "backtest": "the closing table of `backtest`",
    "folds": "the table over the folds in the report of a backtest",
    "show": "what `show` prints of a bundle",
}
"""Where metrics are listed, by group."""

EVERYWHERE = ("test", "terminal", "backtest", "folds", "show", "compare")
"""The groups of a metric that names none."""


def check_group(group: str, subject: str = "") -> None:
    """Refuse a group of metrics that does not exist."""
    if group not in GROUPS:
        raise ConfigError(f"{subject}'{group}' is not a group. {nearest(group, GROUPS)}")


_FROM_RECORD = ("terminal", "backtest", "folds", "show")


@dataclass(frozen=True)
class Ranked:
    """A metric of the ranking alone: a statistic of the groups, replicates on the first axis."""

    statistic: Callable[[FraudGroups], Float]


@dataclass(frozen=True)
class Sums:
    """A metric of totals over rows: `terms` gives their columns, `combine` takes the totals.

    Where `exact` is false a replicate is near what the function gives with its weights, no more.
    """

    terms: Callable[..., Iterable[Float]]
    combine: Callable[[Float], Float]
    exact: bool = True

    @classmethod
    def share(cls, terms: Callable[..., Iterable[Float]]) -> Sums:
        """The total of the first column over that of the second; NaN where that is 0."""
        return cls(terms, lambda sums: ratio(sums[..., 0], sums[..., 1]))


@dataclass(frozen=True)
class TopCards:
    """Card precision at k."""

    k: int


@dataclass(frozen=True)
class Metric:
    """One metric: its function and what a caller can rely on.

    Parameters
    ----------
    name : str
        As in `metrics.json`.
    function : callable
        Takes the columns in `needs` and `uses` by name, and `weight`; returns a number or raises
        `DataError`.
    needs : tuple of str
        Columns of `ScoredRows` without which there is no value.
    direction : {'higher', 'lower', 'none'}
        Which way is better.
    domain : tuple of float
        The smallest and the largest value there can be.
    form : Ranked, Sums, TopCards or None
        How replicates are evaluated side by side.
    uses : tuple of str
        Columns that are passed where they are known.
    reference_values : mapping of str to callable
        Numbers to compare it with (a baseline, what is attainable), from the rows.
    groups : tuple of str
        Where it is listed, by the names of `GROUPS`; by default wherever a reader looks for it.
    after : mapping of str to str
        By group, the metric that it follows there, where that is not the order of the registry.

    Raises
    ------
    ConfigError
        A group is not known, or the metric is shown from a record that does not hold it.
    """

    name: str
    function: Callable[..., float]
    needs: tuple[str, ...]
    direction: Direction
    domain: tuple[float, float]
    form: Ranked | Sums | TopCards | None = None
    uses: tuple[str, ...] = ()
    reference_values: Mapping[str, Callable[[ScoredRows], float]] = field(default_factory=dict)
    groups: tuple[str, ...] = EVERYWHERE
    after: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group in (*self.groups, *self.after):
            check_group(group, f"metric '{self.name}': ")
        shown = [group for group in self.groups if group in _FROM_RECORD]
        if shown and not {"test", "policy"} & {*self.groups}:
            raise ConfigError(
                f"metric '{self.name}' is in the group '{shown[0]}' and in neither 'test' nor "
                "'policy', so no record would hold its value. Add one of the two to its groups."
            )

    def columns(self, rows: ScoredRows) -> dict[str, Any]:
        """Return the arguments of `function` and of `terms`, or say which are not known."""
        missing = [name for name in self.needs if getattr(rows, name) is None]
        if missing:
            raise DataError(f"{self.name} needs {' and '.join(missing)}, which is not known here.")
        return {name: getattr(rows, name) for name in (*self.needs, *self.uses)}

    def value(self, rows: ScoredRows, weight: Float | None = None) -> float:
        """Return the value on the rows; a `DataError` where it has none."""
        return self.function(**self.columns(rows), weight=weight)
