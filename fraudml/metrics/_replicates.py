"""Bootstrap replicates side by side: how often each cluster was drawn, and the metrics of that.

A replicate draws as many clusters as there are, with replacement; a cluster drawn w times counts
w times. No row is copied or sorted for it. The counts of a cluster in four replicates share a
64-bit word, 16 bits each, so that one gather and one running sum over the rows serve four.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import DataError
from fraudml.metrics._checks import Codes, Float
from fraudml.metrics._groups import FraudGroups, locate
from fraudml.metrics.cards import card_days, mean_card_precision
from fraudml.metrics.clusters import Clusters
from fraudml.metrics.metric import Metric, Ranked, Sums, TopCards
from fraudml.metrics.rows import ScoredRows

LANES = 4
"""How many replicates share a word."""
_LARGEST_COUNT = 255  # a cluster is drawn more often once in 10^500 replicates
_PIECE = (2**16 - 1) // _LARGEST_COUNT  # rows whose counts add up within 16 bits
_BLAS_ALONE = 1 << 18  # products of a matrix product that OpenBLAS computes on one thread

Counts = NDArray[np.uint16]
"""Shape (words, clusters, LANES): how often each replicate drew each cluster."""
Evaluate = Callable[[Counts], Float]
"""From counts to values, shape (replicates, metrics)."""


def draw(seed: int, replicates: range, clusters: int) -> Counts:
    """Draw replicates, each from its own seed, so that their grouping changes nothing."""
    words = -(-len(replicates) // LANES)
    counts = np.zeros((words, clusters, LANES), dtype=np.uint16)
    stream = crc32(b"bootstrap")
    for position, replicate in enumerate(replicates):
        source = np.random.SFC64(np.random.SeedSequence([seed, stream, replicate]))
        sample = np.random.Generator(source).integers(0, clusters, clusters)
        count = np.bincount(sample, minlength=clusters)
        assert count.max() <= _LARGEST_COUNT
        counts[position // LANES, :, position % LANES] = count
    return counts


def per_replicate(counts: Counts) -> NDArray[np.uint16]:
    """Return the counts as shape (replicates, clusters)."""
    words, clusters, lanes = counts.shape
    return np.ascontiguousarray(counts.transpose(0, 2, 1)).reshape(words * lanes, clusters)


def prepare(
    rows: ScoredRows, metrics: list[Metric], clusters: Clusters
) -> list[tuple[list[int], Evaluate]]:
    """Plan the metrics, those of one form together: their positions, and how to evaluate them."""
    plans: list[tuple[list[int], Evaluate]] = []
    for form, planner in _PLANNERS.items():
        chosen = [i for i, metric in enumerate(metrics) if type(metric.form) is form]
        if chosen:
            picked = [metrics[i] for i in chosen]
            plans.append((chosen, planner(rows, picked, clusters)))
    return plans


@dataclass(frozen=True)
class _Stream:
    """Rows in a fixed order, whose running count is read at some points only."""

    codes: Codes  # the cluster of each row
    starts: Codes  # where each piece begins
    ends: Codes  # how many pieces come before each point that is read

    def read(self, counts: Counts) -> Float:
        """Return the running counts, shape (replicates, points)."""
        out = np.empty((len(counts), LANES, len(self.ends)))
        for word, lanes in enumerate(counts.view(np.uint64)[..., 0]):
            # Four 16-bit sums at once: a piece is short enough that none carries into the next.
            pieces = self._pieces(lanes).view(np.uint16).reshape(-1, LANES)
            running = np.zeros((LANES, len(pieces) + 1), dtype=np.int64)
            np.cumsum(pieces.T, axis=1, out=running[:, 1:])
            out[word] = running[:, self.ends]
        return out.reshape(len(counts) * LANES, len(self.ends))

    def _pieces(self, lanes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        if not len(self.codes):
            return np.zeros(0, dtype=np.uint64)
        return np.add.reduceat(lanes[self.codes], self.starts)


def _stream(key: Codes, codes: Codes, clusters: int, points: Codes) -> _Stream:
    """Order rows by key; read the running count of all keys up to each point."""
    # One sort by key and cluster: gathers of neighbouring clusters are then close in memory.
    mixed = np.sort(key * clusters + codes)
    key, codes = mixed // clusters, mixed % clusters
    position = np.arange(len(key))
    new = np.append(True, np.diff(key) != 0)[: len(key)]
    first = np.maximum.accumulate(np.where(new, position, 0))
    # A piece ends with its key, so that every point lies between pieces, or when 16 bits are full.
    starts = np.flatnonzero((position - first) % _PIECE == 0)
    ends = np.searchsorted(key[starts], points, side="right")
    return _Stream(codes, starts, ends)


def _plan_ranked(rows: ScoredRows, metrics: list[Metric], clusters: Clusters) -> Evaluate:
    statistics = [metric.form.statistic for metric in metrics if isinstance(metric.form, Ranked)]
    group, around, count = locate(rows.y_true, rows.y_score)
    groups = np.arange(count)
    fraud = _stream(group, clusters.codes[rows.y_true], clusters.count, groups)
    reads = np.concatenate([2 * groups, 2 * groups + 1, [2 * count]])
    legit = _stream(around, clusters.codes[~rows.y_true], clusters.count, reads)

    def evaluate(counts: Counts) -> Float:
        caught, around = fraud.read(counts), legit.read(counts)
        replicate = FraudGroups(
            fraud=np.diff(caught, axis=1, prepend=0.0),
            legit_above=around[:, :count],
            legit_upto=around[:, count : 2 * count],
            legit_total=around[:, -1],
        )
        return np.column_stack([statistic(replicate) for statistic in statistics])

    return evaluate


def _plan_sums(rows: ScoredRows, metrics: list[Metric], clusters: Clusters) -> Evaluate:
    forms = [metric.form for metric in metrics if isinstance(metric.form, Sums)]
    totals = [
        # One column of rows at a time: all of them would be many times the rows' own size.
        np.column_stack(
            [
                np.bincount(clusters.codes, column, minlength=clusters.count)
                for column in form.terms(**metric.columns(rows))
            ]
        )
        for form, metric in zip(forms, metrics, strict=True)
    ]
    edges = np.cumsum([part.shape[1] for part in totals])[:-1]
    together = np.concatenate(totals, axis=1).astype(np.float64)

    def evaluate(counts: Counts) -> Float:
        parts = np.split(_weighted_totals(counts, together), edges, axis=1)
        return np.column_stack(
            [form.combine(part) for form, part in zip(forms, parts, strict=True)]
        )

    return evaluate


def plan_counts(cell: Codes, cells: int, clusters: Clusters) -> Evaluate:
    """Plan the number of rows of each cell in a replicate."""
    flat = np.bincount(clusters.codes * cells + cell, minlength=clusters.count * cells)
    totals = flat.reshape(clusters.count, cells).astype(np.float64)

    def evaluate(counts: Counts) -> Float:
        return _weighted_totals(counts, totals)

    return evaluate


@dataclass(frozen=True, eq=False)
class Cut:
    """Rows cut into cells, and columns of numbers that are summed in each.

    Parameters
    ----------
    cell : ndarray of int64, shape (n_rows,)
        The cell of each row, from 0 to `cells` − 1.
    cells : int
        How many there are.
    columns : list of ndarray of float64, each of shape (n_rows,)
        The columns to sum; zeros cost nothing.
    """

    cell: Codes
    cells: int
    columns: list[Float]

    @property
    def width(self) -> int:
        """How many sums there are."""
        return self.cells * len(self.columns)

    def sums(self) -> Float:
        """Return the sums on the sample, shape (cells, columns)."""
        sums = [np.bincount(self.cell, column, minlength=self.cells) for column in self.columns]
        return np.column_stack(sums).astype(np.float64)


def plan_cuts(cuts: Sequence[Cut], clusters: Clusters) -> Evaluate:
    """Plan the sums of cuts, flat: cut by cut, cell by cell, and in each the columns in order.

    A cluster is in few of many cells, so that the totals are a sparse matrix.
    """
    from scipy.sparse import coo_array

    parts, start = [], 0
    for cut in cuts:
        for position, column in enumerate(cut.columns):
            rows = np.flatnonzero(column)
            total = start + cut.cell[rows] * len(cut.columns) + position
            parts.append((column[rows], total, clusters.codes[rows]))
        start += cut.width
    values, positions, codes = (np.concatenate(part) for part in zip(*parts, strict=True))
    totals = coo_array((values, (positions, codes)), shape=(start, clusters.count)).tocsr()

    def evaluate(counts: Counts) -> Float:
        sums: Float = totals @ per_replicate(counts).T.astype(np.float64)
        return sums.T

    return evaluate


def _weighted_totals(counts: Counts, totals: Float) -> Float:
    """Multiply counts and totals, in blocks too small for BLAS to use threads of its own.

    Its threads would compete with ours, and the last bits would depend on their number.
    """
    words, clusters, lanes = counts.shape
    size = max(1, _BLAS_ALONE // (words * lanes * totals.shape[1]))
    out = np.zeros((words * lanes, totals.shape[1]))
    for start in range(0, clusters, size):
        block = counts[:, start : start + size].transpose(0, 2, 1).astype(np.float64)
        out += block.reshape(words * lanes, -1) @ totals[start : start + size]
    return out


def _plan_cards(rows: ScoredRows, metrics: list[Metric], clusters: Clusters) -> Evaluate:
    sizes = [metric.form.k for metric in metrics if isinstance(metric.form, TopCards)]
    entities, card = np.unique(rows.entity, return_inverse=True)
    home = np.empty(len(entities), dtype=np.int64)
    home[card] = clusters.codes
    days = card_days(rows.y_true, rows.y_score, rows.day, card, home)

    def evaluate(counts: Counts) -> Float:
        mass = per_replicate(counts)
        return np.column_stack([mean_card_precision(days, mass, k) for k in sizes])

    return evaluate


def _plan_calls(rows: ScoredRows, metrics: list[Metric], clusters: Clusters) -> Evaluate:
    def call(metric: Metric, weight: Float) -> float:
        try:
            return metric.value(rows, weight)
        except DataError:
            return np.nan

    def evaluate(counts: Counts) -> Float:
        weights = per_replicate(counts)
        return np.array(
            [
                [call(metric, weight[clusters.codes].astype(float)) for metric in metrics]
                for weight in weights
            ]
        )

    return evaluate


_PLANNERS: dict[type, Callable[[ScoredRows, list[Metric], Clusters], Evaluate]] = {
    Ranked: _plan_ranked,
    Sums: _plan_sums,
    TopCards: _plan_cards,
    type(None): _plan_calls,
}
