"""What a metric is: its function, what it needs, and how its replicates are evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fraudml.errors import DataError
from fraudml.metrics._checks import Float
from fraudml.metrics._groups import FraudGroups
from fraudml.metrics.rows import ScoredRows

Direction = Literal["higher", "lower", "none"]
"""Which way is better; 'none' for counts, and for ratios whose best value is 1."""


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
    """

    name: str
    function: Callable[..., float]
    needs: tuple[str, ...]
    direction: Direction
    domain: tuple[float, float]
    form: Ranked | Sums | TopCards | None = None
    uses: tuple[str, ...] = ()
    reference_values: Mapping[str, Callable[[ScoredRows], float]] = field(default_factory=dict)

    def columns(self, rows: ScoredRows) -> dict[str, Any]:
        """Return the arguments of `function` and of `terms`, or say which are not known."""
        missing = [name for name in self.needs if getattr(rows, name) is None]
        if missing:
            raise DataError(f"{self.name} needs {' and '.join(missing)}, which is not known here.")
        return {name: getattr(rows, name) for name in (*self.needs, *self.uses)}

    def value(self, rows: ScoredRows, weight: Float | None = None) -> float:
        """Return the value on the rows; a `DataError` where it has none."""
        return self.function(**self.columns(rows), weight=weight)
