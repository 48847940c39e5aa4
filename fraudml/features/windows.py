"""Trailing windows over the events of a key: arrays in, one value per query out.

An `EventIndex` holds events sorted by key and moment. A query is a key and a moment, answered from
the events of that key alone, in a window `(t − w, t]` (all events at the very moment included) or
`(t − w, t)`. An answer depends on the events inside its window and on nothing else, to the last
bit: counts are differences of integers, and sums are rebuilt inside each window (`_scanned`), never
taken as differences of running totals. So scoring in chunks, each with its history, gives what the
whole table gives, and the order of the rows changes no value.

Everything is O(n log n) or less in the events, whatever the length of the windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NO_KEY = -1
"""The code of a row without a key: it has no past and is in nobody's."""


@dataclass(frozen=True)
class EventIndex:
    """Events sorted by key and moment.

    Parameters
    ----------
    rows : ndarray of int64
        The table's row of each event.
    key : ndarray of int64
        Of each event, ascending.
    clock : ndarray of int64
        The moments of all events in microseconds, ascending: sorted by time alone, not by key.
    at : ndarray of int64
        The position of each event on `clock`.
    rank : ndarray of int64
        Key and moment in one ascending number, equal where both are.
    """

    rows: Ints
    key: Ints
    clock: Ints
    at: Ints
    rank: Ints

    @classmethod
    def of(cls, key: Ints, moment: Ints, rows: Ints | None = None) -> EventIndex:
        """Sort the events of a table, without those that have no key.

        `rows` are the rows that are events, all by default; those that are equal in key and moment
        stay in this order.
        """
        rows = np.flatnonzero(key != NO_KEY) if rows is None else rows[key[rows] != NO_KEY]
        if not _is_sorted(moment[rows]):
            rows = rows[np.argsort(moment[rows], kind="stable")]
        at = _stable_order(key[rows])
        clock, key = moment[rows], key[rows][at]
        # Events of one moment share the position of the first, so that equal moments rank equal;
        # a moment between events ranks up to len(rows), which is why a key takes len(rows) + 1.
        rank = key * (len(rows) + 1) + _run_starts(clock)[at]
        return cls(rows[at], key, clock, at, rank)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def moment(self) -> Ints:
        """The moment of each event."""
        return self.clock[self.at]

    @cached_property
    def _tied(self) -> Ints:
        """Events that are equal to another in key and moment."""
        same = self.rank[1:] == self.rank[:-1]
        return np.flatnonzero(np.append(same, False) | np.append(False, same))

    def in_one_order(self, values: Floats) -> Floats:
        """Sort values among events of one key and moment: sums must not depend on row order."""
        among = self._tied
        if not len(among):
            return values
        ordered = values.copy()
        ordered[among] = values[among][np.lexsort((values[among], self.rank[among]))]
        return ordered

    def until(self, queries: EventIndex, back: int = 0, *, inclusive: bool) -> Ints:
        """Return where the events of a query's key end that happened up to its moment.

        Parameters
        ----------
        queries : EventIndex
            Each of its events is a query.
        back : int
            Microseconds before the query's moment.
        inclusive : bool
            Whether events at that very moment count.

        Returns
        -------
        ndarray of int64
            Positions in this index; what comes before belongs to earlier moments or other keys.
        """
        side: Literal["left", "right"] = "right" if inclusive else "left"
        # Sorted queries keep both binary searches in cache: first by clock, then by key.
        bound = np.searchsorted(self.clock, queries.clock - back, side=side)[queries.at]
        ends: Ints = np.searchsorted(self.rank, queries.key * (len(self) + 1) + bound)
        return ends


def _is_sorted(values: Ints) -> bool:
    return bool((values[1:] >= values[:-1]).all())


def _stable_order(key: Ints) -> Ints:
    small = len(key) == 0 or int(key.max()) < np.iinfo(np.uint16).max
    return np.argsort(key.astype(np.uint16) if small else key, kind="stable").astype(np.int64)


@dataclass(frozen=True)
class Windows:
    """One window per query: the events from `start` up to `end` of an index.

    `start` and `end` are equal where a window is empty; `length` is in microseconds.
    """

    index: EventIndex
    start: Ints
    end: Ints
    length: int

    @classmethod
    def over(cls, index: EventIndex, queries: EventIndex, length: int, end: Ints) -> Windows:
        """Find where the window of each query starts; what is exactly `length` back is outside.

        `end` is `index.until(queries)`, the very moment inclusive or not.
        """
        start = index.until(queries, length, inclusive=True)
        return cls(index, start, np.maximum(start, end), length)

    def count(self, chosen: NDArray[np.bool_] | None = None) -> Ints:
        """Count the events in each window: all, or the chosen ones."""
        if chosen is None:
            return self.end - self.start
        upto = np.concatenate([[0], np.cumsum(chosen, dtype=np.int64)])
        counted: Ints = upto[self.end] - upto[self.start]
        return counted

    def total(self, values: Floats) -> Floats:
        """Sum the values in the window of each event itself; NaN and empty windows count 0."""
        values = np.where(np.isnan(values), 0.0, values)
        (summed,) = self._folded(_add, (self.index.in_one_order(values),))
        return summed

    def moments(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Return count, mean and sum of squared deviations, as `total` does; 0 where empty."""
        values = self.index.in_one_order(values)
        known = ~np.isnan(values)
        state = (known.astype(np.float64), np.where(known, values, 0.0), np.zeros(len(values)))
        count, mean, squares = self._folded(_merge, state)
        return count, mean, squares

    def _folded(self, merge: _Merge, state: tuple[Floats, ...]) -> tuple[Floats, ...]:
        """Merge the states of the events in each window; all of them are 0 where it is empty."""
        assert len(self.start) == len(self.index), "windows of the index's own events"
        # Multiples of the window's length cut the clock into stretches, and a window touches at
        # most two: the tail of one and the head of the next. Merging a backward scan of the first
        # with a forward scan of the second gives every window in two passes (van Herk 1992).
        first = _run_starts(self.index.key, self.index.moment // self.length)
        here = np.arange(len(self.index))
        forward = _scanned(here - first, merge, state)
        backward = _scanned(
            (_run_ends(first) - here)[::-1], merge, tuple(part[::-1] for part in state)
        )
        heads = tuple(
            np.where(self.start < np.minimum(first, self.end), part[::-1][_within(self.start)], 0.0)
            for part in backward
        )
        tails = tuple(
            np.where(self.end > np.maximum(first, self.start), part[self.end - 1], 0.0)
            for part in forward
        )
        return merge(heads, tails)


def _within(start: Ints) -> Ints:
    """Clip positions to the index: those past its end belong to empty windows."""
    return np.minimum(start, len(start) - 1)


_Merge = Callable[[tuple[Floats, ...], tuple[Floats, ...]], tuple[Floats, ...]]


def _add(left: tuple[Floats, ...], right: tuple[Floats, ...]) -> tuple[Floats, ...]:
    return (left[0] + right[0],)


def _merge(left: tuple[Floats, ...], right: tuple[Floats, ...]) -> tuple[Floats, ...]:
    """Merge counts, means and squared deviations (Chan, Golub and LeVeque 1979)."""
    (n, mean, squares), (m, right_mean, right_squares) = left, right
    count = n + m
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(count > 0, m / count, 0.0)
    apart = right_mean - mean
    return count, mean + apart * share, squares + right_squares + apart * apart * n * share


def _scanned(position: Ints, merge: _Merge, state: tuple[Floats, ...]) -> tuple[Floats, ...]:
    """Merge each event with all before it in its run, by doubling.

    `position` counts from 0 inside each run. Prefix doubling takes log2(run) vectorised steps, and
    the result at an event depends on its run up to it alone, in value and in last bits, which a
    difference of running totals would not.
    """
    merged = tuple(np.array(part) for part in state)
    step, active = 1, np.flatnonzero(position >= 1)
    while len(active):
        before = tuple(part[active - step] for part in merged)
        here = tuple(part[active] for part in merged)
        for part, result in zip(merged, merge(before, here), strict=True):
            part[active] = result
        step *= 2
        active = active[position[active] >= step]
    return merged


def _run_starts(*columns: Ints) -> Ints:
    """Return for each position where its run of equal values starts."""
    here = np.arange(len(columns[0]))
    new = np.zeros(len(here), dtype=bool)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    starts: Ints = np.maximum.accumulate(np.where(new, here, 0))
    return starts


def _run_ends(starts: Ints) -> Ints:
    """Return for each position where its run ends, the last position of the run."""
    begins = np.flatnonzero(starts == np.arange(len(starts)))
    lengths = np.diff(np.append(begins, len(starts)))
    return np.repeat(begins + lengths - 1, lengths)


def extreme(
    index: EventIndex, values: Floats, length: int, statistic: str, *, present: bool = True
) -> Floats:
    """Return the `max`, `min` or `median` of the values in the window of each event itself.

    NaN is missing in `values`, and the result where a window holds no value; `present` says whether
    events at the very moment are inside.
    """
    events = pl.DataFrame(
        {"key": index.key, "moment": index.moment, "value": pl.Series(values).fill_nan(None)}
    ).with_columns(pl.col("moment").cast(pl.Datetime("us")), pl.col("key").set_sorted())
    rolling = getattr(pl.col("value"), f"rolling_{statistic}_by")
    closed = "right" if present else "none"
    rolled = rolling("moment", window_size=f"{length}us", min_samples=1, closed=closed).over("key")
    return events.select(rolled).to_series().to_numpy()


def distinct(index: EventIndex, partner: Ints, length: int) -> Ints:
    """Count the different partners in the window `(t − length, t]` of each event itself.

    `partner` holds codes; `NO_KEY` is nobody.
    """
    named = np.flatnonzero(partner != NO_KEY)
    pair = index.key[named] * (int(partner.max(initial=0)) + 1) + partner[named]
    # An event is the one that counts for its partner from its own moment until the partner's next
    # event, at most for the window's length: +1 where it comes, −1 where it leaves, summed up.
    order = named[np.argsort(pair, kind="stable")]
    pair = np.sort(pair)
    comes, leaves = (
        index.until(index, inclusive=False),
        index.until(index, -length, inclusive=False),
    )
    again = np.flatnonzero(pair[1:] == pair[:-1])
    leaves[order[again]] = np.minimum(leaves[order[again]], comes[order[again + 1]])
    steps = np.bincount(comes[named], minlength=len(index) + 1)
    steps -= np.bincount(leaves[named], minlength=len(index) + 1)
    counted: Ints = np.cumsum(steps)[:-1]
    return counted
