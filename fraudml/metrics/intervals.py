"""Intervals by the cluster bootstrap: percentile, paired for differences, the same for all metrics.

A card's transactions are not independent: intervals that resample rows are half as wide as the
truth. So whole clusters are resampled, and `Clusters` says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike

from fraudml.errors import ConfigError, DataError
from fraudml.metrics import _replicates
from fraudml.metrics._checks import Codes, Float, at_least_one, checked
from fraudml.metrics._replicates import Cut
from fraudml.metrics.clusters import Clusters, choose_clusters
from fraudml.metrics.metric import Metric, TopCards
from fraudml.metrics.registry import find_metrics
from fraudml.metrics.rows import ScoredRows

__all__ = [
    "Bootstrap",
    "Clusters",
    "Cut",
    "Interval",
    "bootstrap",
    "bootstrap_counts",
    "bootstrap_sums",
    "choose_clusters",
]

_CHUNK = 16  # replicates at once, where there are at most a million clusters
_CHUNK_CELLS = 1 << 24
_SPLIT = (
    "An entity has rows in several clusters, so its card-days cannot be drawn. An interval needs "
    "clusters of whole entities."
)


@dataclass(frozen=True)
class _Options:
    """How replicates are drawn; a `ConfigError` where a number is out of range."""

    replicates: int
    seed: int
    threads: int

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}. A whole number of 0 or more was expected.")
        at_least_one("replicates", self.replicates)
        at_least_one("threads", self.threads)


@dataclass(frozen=True)
class Interval:
    """A value with its percentile interval.

    Parameters
    ----------
    value : float or None
        On the sample; None where the metric has none.
    low, high : float or None
        The ends; None where there is no interval.
    confidence : float
        The nominal coverage.
    undefined : int
        In how many replicates the metric had no value; they are left out.
    reason : str or None
        Why there is no value or no interval.
    """

    value: float | None
    low: float | None
    high: float | None
    confidence: float
    undefined: int = 0
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Metrics on a sample and on its replicates.

    Parameters
    ----------
    values : dict of str to float or None
        Each metric on the sample.
    draws : dict of str to ndarray of float64, shape (replicates,)
        Each metric on the replicates, NaN where it has no value there. A metric without a value
        on the sample, or without replicates, is left out.
    reasons : dict of str to str
        Why a metric has no value or no replicates.
    clusters : Clusters
        What was resampled.
    seed, replicates : int
        As given.
    """

    values: dict[str, float | None]
    draws: dict[str, Float]
    reasons: dict[str, str]
    clusters: Clusters
    seed: int
    replicates: int

    def interval(self, name: str, confidence: float = 0.95) -> Interval:
        """Return the two-sided percentile interval of a metric; a KeyError where it is not here."""
        tail = (1 - confidence) / 2
        defined = self._defined(name)
        if not len(defined):
            reason = self.reasons.get(name, "no replicate has a value")
            return Interval(self.values[name], None, None, confidence, self.replicates, reason)
        low, high = np.quantile(defined, [tail, 1 - tail])
        undefined = self.replicates - len(defined)
        return Interval(self.values[name], float(low), float(high), confidence, undefined)

    def lower_bound(self, name: str, confidence: float = 0.95) -> float | None:
        """Return the one-sided lower bound of a metric; None where no replicate has a value."""
        return self._quantile(name, 1 - confidence)

    def upper_bound(self, name: str, confidence: float = 0.95) -> float | None:
        """Return the one-sided upper bound of a metric; None where no replicate has a value."""
        return self._quantile(name, confidence)

    def minus(self, other: Bootstrap) -> Bootstrap:
        """Return the paired differences from another model on the same rows and replicates.

        Parameters
        ----------
        other : Bootstrap
            Of the same clusters, seed and number of replicates.

        Raises
        ------
        ConfigError
            The two did not draw the same replicates.
        """
        if self._identity() != other._identity():
            raise ConfigError(
                "The two results differ in clusters, seed or number of replicates. A paired "
                "difference needs the same draws: pass the same clusters and seed to both."
            )
        names = [name for name in self.values if name in other.values]
        return replace(
            self,
            values={name: _difference(self.values[name], other.values[name]) for name in names},
            draws={
                name: self.draws[name] - other.draws[name]
                for name in names
                if name in self.draws and name in other.draws
            },
            reasons={**other.reasons, **self.reasons},
        )

    def _defined(self, name: str) -> Float:
        if name not in self.values:
            raise KeyError(name)
        values = self.draws.get(name, np.empty(0))
        return values[~np.isnan(values)]

    def _quantile(self, name: str, share: float) -> float | None:
        defined = self._defined(name)
        return float(np.quantile(defined, share)) if len(defined) else None

    def _identity(self) -> tuple[int, int, int, int]:
        """What two results must have in common for their replicates to be the same."""
        digest = crc32(np.ascontiguousarray(self.clusters.codes).tobytes())
        return self.seed, self.replicates, self.clusters.count, digest


def bootstrap(
    rows: ScoredRows,
    metrics: Iterable[Metric | str],
    clusters: Clusters,
    *,
    replicates: int = 1000,
    seed: int = 0,
    threads: int = 1,
) -> Bootstrap:
    """Evaluate metrics on the sample and on replicates that resample whole clusters.

    Each replicate draws as many clusters as there are, with replacement. All metrics get the same
    replicates, and so do other scores of the same rows with the same clusters and seed: subtract
    two results by `Bootstrap.minus`. For card precision at k a card drawn w times is w cards of
    the same scores, over the days of the sample. Decisions (`alert`) are not changed.

    Parameters
    ----------
    rows : ScoredRows
        At natural prevalence.
    metrics : iterable of Metric or str
        Entries of `METRICS`, or names that `find_metric` knows.
    clusters : Clusters
        As from `choose_clusters`.
    replicates : int
        How many; 1000 puts the ends of a .95 interval within about .03 of their percentiles.
    seed : int
        The same seed gives the same replicates, whatever `threads`.
    threads : int
        How many threads to use.

    Raises
    ------
    ConfigError
        A metric, `replicates`, `seed` or `threads` is wrong.
    DataError
        The clusters do not fit the rows, or there are fewer than two.

    Notes
    -----
    Ranking metrics cost a gather over the rows for every four replicates; metrics that are sums
    over rows cost a matrix product over the clusters; a metric without a `form` is called once a
    replicate. Each replicate is what the function gives with its weights, but for metrics whose
    form is not `exact` (the calibration slope), which are near it. Memory is bounded, whatever
    `replicates`.

    Examples
    --------
    >>> rows = ScoredRows([0, 1, 0, 1, 0, 0], y_score=[0.1, 0.4, 0.5, 0.8, 0.2, 0.3])
    >>> result = bootstrap(rows, ["average_precision"], choose_clusters(n_rows=6))
    >>> result.interval("average_precision").value
    0.8333333333333333
    """
    options = _Options(replicates, seed, threads)
    _check(rows, clusters)
    selected = find_metrics(metrics)
    reasons: dict[str, str] = {}
    values = {metric.name: _value(metric, rows, reasons) for metric in selected}
    defined = [metric for metric in selected if metric.name not in reasons]
    drawable = _drawable(defined, rows, clusters, reasons)
    plans = _replicates.prepare(rows, drawable, clusters)
    table = _fill(plans, len(drawable), clusters, options)
    return Bootstrap(
        values=values,
        draws={metric.name: table[:, i] for i, metric in enumerate(drawable)},
        reasons=reasons,
        clusters=clusters,
        seed=seed,
        replicates=replicates,
    )


def bootstrap_counts(
    cell: ArrayLike,
    clusters: Clusters,
    *,
    cells: int,
    replicates: int = 1000,
    seed: int = 0,
    threads: int = 1,
) -> Float:
    """Count rows by cell in replicates; with the same clusters and seed, those of `bootstrap`.

    For numbers that follow from counts alone, such as rates of many groups and their ratios.

    Parameters
    ----------
    cell : array-like of int, shape (n_rows,)
        The cell of each row, from 0 to `cells` − 1.
    clusters : Clusters
        As from `choose_clusters`.
    cells : int
        How many cells there are.
    replicates, seed, threads : int
        As in `bootstrap`.

    Returns
    -------
    ndarray of float64, shape (replicates, cells)
        How many rows of a cell each replicate has.

    Raises
    ------
    ConfigError, DataError
        As in `bootstrap`.

    Examples
    --------
    >>> counts = bootstrap_counts([0, 1, 1], choose_clusters(n_rows=3), cells=2, replicates=4)
    >>> counts.sum(axis=1).tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    options = _Options(replicates, seed, threads)
    (codes,) = checked(day=cell)
    _check(codes, clusters)
    plan = _replicates.plan_counts(codes, at_least_one("cells", cells), clusters)
    return _fill([(list(range(cells)), plan)], cells, clusters, options)


def bootstrap_sums(
    cuts: Sequence[Cut],
    clusters: Clusters,
    *,
    replicates: int = 1000,
    seed: int = 0,
    threads: int = 1,
) -> list[Float]:
    """Sum columns by cell on the sample, and in replicates: the first of those of `bootstrap`.

    For curves: with the rows cut into cells by their score, running sums over the cells are the
    sums at every threshold between them. All cuts get the same replicates, which are drawn once.

    Parameters
    ----------
    cuts : sequence of Cut
        The columns to sum, and the cells.
    clusters : Clusters
        As from `choose_clusters`.
    replicates, seed, threads : int
        As in `bootstrap`.

    Returns
    -------
    list of ndarray of float64, each of shape (1 + replicates, cells, columns)
        The sums of each cut, those of the sample first.

    Raises
    ------
    ConfigError, DataError
        As in `bootstrap`.

    Examples
    --------
    >>> cut = Cut(np.array([0, 1, 1]), 2, [np.array([5.0, 1.0, 2.0])])
    >>> [sums] = bootstrap_sums([cut], choose_clusters(n_rows=3), replicates=4)
    >>> sums.shape, sums[0, :, 0].tolist()
    ((5, 2, 1), [5.0, 3.0])
    """
    options = _Options(replicates, seed, threads)
    for cut in cuts:
        _check(cut.cell, clusters)
    plan = _replicates.plan_cuts(cuts, clusters)
    width = sum(cut.width for cut in cuts)
    table = _fill([(list(range(width)), plan)], width, clusters, options)
    parts = np.split(table, np.cumsum([cut.width for cut in cuts])[:-1], axis=1)
    return [
        np.concatenate([cut.sums()[None], part.reshape(-1, cut.cells, len(cut.columns))])
        for cut, part in zip(cuts, parts, strict=True)
    ]


def _fill(
    plans: list[tuple[list[int], _replicates.Evaluate]],
    width: int,
    clusters: Clusters,
    options: _Options,
) -> Float:
    """Evaluate plans on all replicates, in chunks that bound the memory and share the threads."""
    out = np.empty((options.replicates, width))
    words = max(1, min(_CHUNK, _CHUNK_CELLS // clusters.count) // _replicates.LANES)
    size = words * _replicates.LANES

    def fill(start: int) -> None:
        chunk = range(start, min(start + size, options.replicates))
        counts = _replicates.draw(options.seed, chunk, clusters.count)
        for positions, evaluate in plans:
            out[start : chunk.stop, positions] = evaluate(counts)[: len(chunk)]

    with ThreadPoolExecutor(options.threads) as pool:
        list(pool.map(fill, range(0, options.replicates, size)))
    return out


def _value(metric: Metric, rows: ScoredRows, reasons: dict[str, str]) -> float | None:
    try:
        return metric.value(rows)
    except DataError as error:
        reasons[metric.name] = str(error)
        return None


def _drawable(
    metrics: list[Metric], rows: ScoredRows, clusters: Clusters, reasons: dict[str, str]
) -> list[Metric]:
    """Leave out the card metrics, with the reason, where clusters are not made of whole cards."""
    cards = [metric for metric in metrics if isinstance(metric.form, TopCards)]
    if not cards or _whole(rows.entity, clusters):
        return metrics
    reasons.update({metric.name: _SPLIT for metric in cards})
    return [metric for metric in metrics if metric not in cards]


def _whole(entity: Codes, clusters: Clusters) -> bool:
    """Whether every entity lies in one cluster."""
    distinct, card = np.unique(entity, return_inverse=True)
    home = np.empty(len(distinct), dtype=np.int64)
    home[card] = clusters.codes
    return bool((home[card] == clusters.codes).all())


def _check(rows: ScoredRows | Codes, clusters: Clusters) -> None:
    if len(clusters.codes) != len(rows):
        raise DataError(
            f"The clusters have {len(clusters.codes):,} rows, the scores {len(rows):,}. "
            "One cluster a row was expected."
        )
    if clusters.count < 2:
        raise DataError("There is one cluster only. At least two were expected to resample.")


def _difference(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other
