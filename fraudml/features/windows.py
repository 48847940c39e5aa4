"""Trailing windows over the events of a key: arrays in, one value a question out.

A *trail* holds events sorted by key and moment. A *question* is a key and a moment; it is answered
from the events of that key alone. Windows are `(t − w, t]`, all events at the very moment included,
or `(t − w, t)`. Every answer depends on the events inside its window and on nothing else, to the
last bit: counts are differences of whole numbers, and sums are built anew inside each window (see
`_scanned`), never by subtracting running totals. So a table in pieces, each with its history, gives
what the table gives in one go, and the order in which rows came changes no value.

What features mean is `history`; here is how they are computed. Everything is O(n log n) or less in
the events, whatever the windows' lengths.
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
"""The code of a row without a key: it has no history and is in nobody's."""


@dataclass(frozen=True)
class EventIndex:
    """Events sorted by key and moment, and the clock that they were taken from.

    Parameters
    ----------
    rows : ndarray of int64
        Where each event stands in the table, in the order of the trail.
    key : ndarray of int64
        Of each event, ascending.
    clock : ndarray of int64
        The moments of all events in microseconds, ascending.
    at : ndarray of int64
        Where each event stands on the clock.
    place : ndarray of int64
        Key and moment in one ascending number, equal where both are.
    """

    rows: Ints
    key: Ints
    clock: Ints
    at: Ints
    place: Ints

    @classmethod
    def of(cls, key: Ints, moment: Ints, rows: Ints | None = None) -> EventIndex:
        """Sort events; those without a key are left out.

        Parameters
        ----------
        key, moment : ndarray of int64
            One entry a row of the table.
        rows : ndarray of int64, optional
            Which rows are events, all by default. Events that are equal in key and moment stand
            in the trail in this order.
        """
        rows = np.flatnonzero(key != NO_KEY) if rows is None else rows[key[rows] != NO_KEY]
        if not _is_sorted(moment[rows]):
            rows = rows[np.argsort(moment[rows], kind="stable")]
        at = _stable_order(key[rows])
        clock, key = moment[rows], key[rows][at]
        place = key * (len(rows) + 1) + _run_starts(clock)[at]
        return cls(rows[at], key, clock, at, place)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def moment(self) -> Ints:
        """When each event was, in the order of the trail."""
        return self.clock[self.at]

    @cached_property
    def _tied(self) -> Ints:
        """Events that are equal to another in key and moment."""
        same = self.place[1:] == self.place[:-1]
        return np.flatnonzero(np.append(same, False) | np.append(False, same))

    def in_one_order(self, values: Floats) -> Floats:
        """Sort the values of events of one key and moment, so that no order is by chance."""
        among = self._tied
        if not len(among):
            return values
        ordered = values.copy()
        ordered[among] = values[among][np.lexsort((values[among], self.place[among]))]
        return ordered

    def until(self, asked: EventIndex, back: int = 0, *, inclusive: bool) -> Ints:
        """Return where in this trail the events of a key end that happened up to a moment.

        Parameters
        ----------
        asked : EventIndex
            Each of its events asks about its own key.
        back : int
            How long before its own moment, in microseconds.
        inclusive : bool
            Whether events at the very moment count.

        Returns
        -------
        ndarray of int64
            Positions in the trail, one an event that asks: what stands before belongs to earlier
            keys or moments.
        """
        side: Literal["left", "right"] = "right" if inclusive else "left"
        # Asked in the order of the clock, and then of the trail: both searches walk forward.
        bound = np.searchsorted(self.clock, asked.clock - back, side=side)[asked.at]
        ends: Ints = np.searchsorted(self.place, asked.key * (len(self) + 1) + bound)
        return ends


def _is_sorted(values: Ints) -> bool:
    return bool((values[1:] >= values[:-1]).all())


def _stable_order(key: Ints) -> Ints:
    small = len(key) == 0 or int(key.max()) < np.iinfo(np.uint16).max
    return np.argsort(key.astype(np.uint16) if small else key, kind="stable").astype(np.int64)


@dataclass(frozen=True)
class Windows:
    """One window an event that asks: the events from `start` up to `end` of a trail.

    Parameters
    ----------
    trail : EventIndex
        The events.
    start, end : ndarray of int64
        Positions in it, one of each a window; equal where it is empty.
    length : int
        How long a window is, in microseconds.
    """

    trail: EventIndex
    start: Ints
    end: Ints
    length: int

    @classmethod
    def over(cls, trail: EventIndex, asked: EventIndex, length: int, end: Ints) -> Windows:
        """Find where the window of each event that asks starts.

        Parameters
        ----------
        trail : EventIndex
            The events in the windows.
        asked : EventIndex
            The events that ask.
        length : int
            In microseconds; what lies exactly so far back is outside.
        end : ndarray of int64
            Where the windows end: `trail.until(asked)`, the very moment inclusive or not.
        """
        start = trail.until(asked, length, inclusive=True)
        return cls(trail, start, np.maximum(start, end), length)

    def count(self, chosen: NDArray[np.bool_] | None = None) -> Ints:
        """Return how many events are in each window; of all, or of those that are chosen."""
        if chosen is None:
            return self.end - self.start
        upto = np.concatenate([[0], np.cumsum(chosen, dtype=np.int64)])
        counted: Ints = upto[self.end] - upto[self.start]
        return counted

    def total(self, values: Floats) -> Floats:
        """Return the sum of the values in the window of each event of the trail itself.

        The sum of an empty window is 0.

        Parameters
        ----------
        values : ndarray of float64
            One an event of the trail, in its order; NaN counts 0.
        """
        values = np.where(np.isnan(values), 0.0, values)
        (summed,) = self._folded(_add, (self.trail.in_one_order(values),))
        return summed

    def moments(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Return count, mean and sum of squared deviations, as `total` does.

        The mean of an empty window is 0.
        """
        values = self.trail.in_one_order(values)
        known = ~np.isnan(values)
        state = (known.astype(np.float64), np.where(known, values, 0.0), np.zeros(len(values)))
        count, mean, squares = self._folded(_merge, state)
        return count, mean, squares

    def _folded(self, merge: _Merge, state: tuple[Floats, ...]) -> tuple[Floats, ...]:
        """Merge the states of the events in each window; all of them are 0 where it is empty."""
        assert len(self.start) == len(self.trail), "windows of the trail's own events"
        # Multiples of the length cut the clock into stretches; no window reaches into a third.
        first = _run_starts(self.trail.key, self.trail.moment // self.length)
        here = np.arange(len(self.trail))
        forward = _scanned(here - first, merge, state)
        backward = _scanned(
            (_run_ends(first) - here)[::-1], merge, tuple(one[::-1] for one in state)
        )
        heads = tuple(
            np.where(self.start < np.minimum(first, self.end), one[::-1][_within(self.start)], 0.0)
            for one in backward
        )
        tails = tuple(
            np.where(self.end > np.maximum(first, self.start), one[self.end - 1], 0.0)
            for one in forward
        )
        return merge(heads, tails)


def _within(start: Ints) -> Ints:
    """Keep positions inside the trail: those after its end belong to empty windows."""
    return np.minimum(start, len(start) - 1)


_Merge = Callable[[tuple[Floats, ...], tuple[Floats, ...]], tuple[Floats, ...]]


def _add(left: tuple[Floats, ...], right: tuple[Floats, ...]) -> tuple[Floats, ...]:
    return (left[0] + right[0],)


def _merge(left: tuple[Floats, ...], right: tuple[Floats, ...]) -> tuple[Floats, ...]:
    """Merge counts, means and squared deviations (Chan, Golub and LeVeque 1979)."""
    (n, mean, squares), (m, other, more) = left, right
    count = n + m
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(count > 0, m / count, 0.0)
    apart = other - mean
    return count, mean + apart * share, squares + more + apart * apart * n * share


def _scanned(place: Ints, merge: _Merge, state: tuple[Floats, ...]) -> tuple[Floats, ...]:
    """Merge each event with all before it in its run, by doubling.

    Any state that can be merged will do, and a running total is never subtracted from: what stands
    at an event depends on its run up to it alone, in value and in last bits.

    Parameters
    ----------
    place : ndarray of int64
        Of each event in its run, from 0; runs stand one after the other.
    merge : callable
        Takes two states and returns one.
    state : tuple of ndarray
        Of each event by itself.
    """
    done = tuple(np.array(one) for one in state)
    step, active = 1, np.flatnonzero(place >= 1)
    while len(active):
        before, here = tuple(one[active - step] for one in done), tuple(one[active] for one in done)
        for one, merged in zip(done, merge(before, here), strict=True):
            one[active] = merged
        step *= 2
        active = active[place[active] >= step]
    return done


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
    trail: EventIndex, values: Floats, length: int, statistic: str, *, present: bool = True
) -> Floats:
    """Return the maximum, minimum or median of the values in the window of each event itself.

    Parameters
    ----------
    trail : EventIndex
        The events, which are the questions too.
    values : ndarray of float64
        One an event, in the order of the trail; NaN is missing.
    length : int
        Of the windows, in microseconds.
    statistic : {'max', 'min', 'median'}
        Which.
    present : bool
        Whether events at the very moment are inside.

    Returns
    -------
    ndarray of float64
        NaN where the window holds no value.
    """
    events = pl.DataFrame(
        {"key": trail.key, "moment": trail.moment, "value": pl.Series(values).fill_nan(None)}
    ).with_columns(pl.col("moment").cast(pl.Datetime("us")), pl.col("key").set_sorted())
    rolling = getattr(pl.col("value"), f"rolling_{statistic}_by")
    closed = "right" if present else "none"
    found = rolling("moment", window_size=f"{length}us", min_samples=1, closed=closed).over("key")
    return events.select(found).to_series().to_numpy()


def distinct(trail: EventIndex, partner: Ints, length: int) -> Ints:
    """Count the different partners in the window `(t − length, t]` of each event itself.

    An event is the one that counts for its partner from its own moment until the partner's next
    event, and at most for the length of the window: two steps on the clock, summed up.

    Parameters
    ----------
    trail : EventIndex
        The events.
    partner : ndarray of int64
        Codes in the order of the trail; `NO_KEY` is nobody.
    length : int
        Of the windows, in microseconds.
    """
    named = np.flatnonzero(partner != NO_KEY)
    pair = trail.key[named] * (int(partner.max(initial=0)) + 1) + partner[named]
    order = named[np.argsort(pair, kind="stable")]
    pair = np.sort(pair)
    comes, leaves = (
        trail.until(trail, inclusive=False),
        trail.until(trail, -length, inclusive=False),
    )
    again = np.flatnonzero(pair[1:] == pair[:-1])
    leaves[order[again]] = np.minimum(leaves[order[again]], comes[order[again + 1]])
    steps = np.bincount(comes[named], minlength=len(trail) + 1)
    steps -= np.bincount(leaves[named], minlength=len(trail) + 1)
    counted: Ints = np.cumsum(steps)[:-1]
    return counted
