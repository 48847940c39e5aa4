"""History features of a table's rows, key by key.

Rows of one moment are simultaneous: none is before another. A row without a key has no values and
is in nobody's past. A label is known from the moment it arrives on, never at its row's own moment.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.data.names import comparable
from fraudml.data.schema import Dataset
from fraudml.features.history import HistoryFeature, HistoryPlan
from fraudml.features.windows import NO_KEY, EventIndex, Floats, Ints, Windows, distinct, extreme

_DAY = 86_400e6


class Timeline:
    """All rows that may be looked at, in any order, while a plan's features are computed."""

    def __init__(self, table: Dataset, plan: HistoryPlan) -> None:
        self._table = table
        self._plan = plan
        self.moment = _microseconds(table.facts["time"])

    def compute(self, put: Callable[[int, Floats], None], threads: int = 1) -> None:
        """Compute the features and pass each to `put`: its position in the plan, its values.

        Values are float64 in the order of the table, NaN where missing. Keys are computed side by
        side; each costs a sort and a few passes per feature, and its memory is freed before the
        next begins.
        """
        features = list(enumerate(self._plan.features))
        made_of = frozenset(feature.column for _, feature in features)

        def of_key(key: str) -> None:
            past = _Past(self, key, made_of)
            for position, feature in features:
                if feature.key == key:
                    put(position, past.values(feature))

        keys = dict.fromkeys(feature.key for _, feature in features)
        with ThreadPoolExecutor(max(1, min(threads, len(keys)))) as pool:
            list(pool.map(of_key, keys))

    def codes(self, column: str) -> Ints:
        """Return an integer code from 0 for each value of a column; `NO_KEY` where it is null."""
        values = comparable(self._table.frame[column], self._table.schema.spelling)
        if values.dtype == pl.String:
            values = values.cast(pl.Categorical).to_physical()
        return (values.rank("dense").cast(pl.Int64) - 1).fill_null(NO_KEY).to_numpy()

    def numbers(self, column: str) -> Floats:
        """Return a column of the table as float64; NaN is missing."""
        # Adding 0 turns −0 into 0: of the two, an extreme would be whichever came first.
        return self._table.frame[column].cast(pl.Float64).to_numpy() + 0.0

    @cached_property
    def fraud(self) -> NDArray[np.bool_]:
        """Whether a row's label is fraud, whenever it arrives."""
        fraud: NDArray[np.bool_] = self._table.label == 1
        return fraud

    @cached_property
    def arrival(self) -> Ints:
        """When each label arrives; never at the row's own moment."""
        label_time = _microseconds(self._table.facts["label_time"].fill_null(strategy="zero"))
        has_label_time = self._table.facts["label_time"].is_not_null().to_numpy()
        # A label never informs its own row, even if it is said to have arrived at once.
        arrival = np.where(has_label_time, label_time, self.moment + self._plan.label_delay)
        return np.maximum(arrival, self.moment + 1)

    @cached_property
    def labelled(self) -> Ints:
        """Rows with a label that arrives within the horizon, in an order of their own."""
        label = self._table.label
        rows = np.flatnonzero((label >= 0) & (self.arrival - self.moment <= self._reach))
        return rows[np.lexsort((label[rows], self.moment[rows]))]

    @property
    def _reach(self) -> int:
        return max(self._plan.horizon, self._plan.label_delay + 1)

    def everybody(self, code: Ints) -> _Everybody:
        """Return the rows that have a key, under one key."""
        # By the rule of bundles of format 1, rows without a key are in everybody's past.
        if self._table.schema.spelling.rule == 1 or not (code == NO_KEY).any():
            return self._all_rows
        return _Everybody(self, np.where(code == NO_KEY, NO_KEY, 0))

    @cached_property
    def _all_rows(self) -> _Everybody:
        return _Everybody(self, np.zeros_like(self.moment))


class _Everybody:
    """Rows under one key: what the usual rate, and the share of all rows, are taken of."""

    def __init__(self, timeline: Timeline, key: Ints) -> None:
        self._timeline = timeline
        self._key = key
        self._rates: dict[int, Floats] = {}

    @cached_property
    def _events(self) -> EventIndex:
        return EventIndex.of(self._key, self._timeline.moment)

    def share_of_frauds(self, window: int) -> Floats:
        """Return the share of frauds among all labels that arrived in a window before each row."""
        if window not in self._rates:
            timeline = self._timeline
            labels = EventIndex.of(self._key, timeline.arrival, timeline.labelled)
            end = labels.until(self._events, inclusive=True)
            windows = Windows.over(labels, self._events, window, end)
            frauds = windows.count(timeline.fraud[labels.rows])
            self._rates[window] = self._by_row(_share(frauds, windows.count()))
        return self._rates[window]

    def rows_within(self, window: int) -> Floats:
        """Return how many rows there are in the window of each row, itself included."""
        end = self._events.until(self._events, inclusive=True)
        windows = Windows.over(self._events, self._events, window, end)
        return self._by_row(windows.count().astype(np.float64))

    def _by_row(self, values: Floats) -> Floats:
        spread = np.full(len(self._key), np.nan)
        spread[self._events.rows] = values
        return spread


def _microseconds(moments: pl.Series) -> Ints:
    return moments.dt.epoch("us").to_numpy()


class _Past:
    """The events of one key, and what several of its features share."""

    def __init__(self, timeline: Timeline, key: str, cached_columns: frozenset[str | None]) -> None:
        self.timeline = timeline
        self.code = timeline.codes(key)
        self.everybody = timeline.everybody(self.code)
        self.events = EventIndex.of(self.code, timeline.moment)
        self._cached_columns = cached_columns
        self._cached: dict[str, Floats] = {}
        self._windows: dict[tuple[int, bool], Windows] = {}
        self._label_windows: dict[int, Windows] = {}

    def values(self, feature: HistoryFeature) -> Floats:
        """Compute a feature, in the order of the table."""
        values = _KINDS[feature.kind](self, feature)
        if feature.name in self._cached_columns:
            self._cached[feature.name] = values
        return self._spread(self.events, values)

    def numbers(self, feature: HistoryFeature) -> Floats:
        """The column, or earlier feature, that a feature is made of, event by event."""
        assert feature.column is not None
        if feature.column in self._cached:
            return self._cached[feature.column]
        return self.timeline.numbers(feature.column)[self.events.rows]

    @cached_property
    def _upto_now(self) -> Ints:
        return self.events.until(self.events, inclusive=True)

    @cached_property
    def _upto_before(self) -> Ints:
        return self.events.until(self.events, inclusive=False)

    def windows(self, length: int, *, present: bool = True) -> Windows:
        """The windows of every row over the key's events."""
        if (length, present) not in self._windows:
            end = self._upto_now if present else self._upto_before
            self._windows[length, present] = Windows.over(self.events, self.events, length, end)
        return self._windows[length, present]

    @cached_property
    def labels(self) -> EventIndex:
        """The key's labels in the order of their arrival."""
        return EventIndex.of(self.code, self.timeline.arrival, self.timeline.labelled)

    @cached_property
    def _upto_known(self) -> Ints:
        return self.labels.until(self.events, inclusive=True)

    def label_windows(self, length: int) -> Windows:
        """The windows of every row over the labels that arrived."""
        if length not in self._label_windows:
            end = self._upto_known
            self._label_windows[length] = Windows.over(self.labels, self.events, length, end)
        return self._label_windows[length]

    @cached_property
    def is_fraud(self) -> NDArray[np.bool_]:
        """Whether each label is a fraud, in the order of arrival."""
        return self.timeline.fraud[self.labels.rows]

    def pairs(self, partner: str | None) -> EventIndex:
        """The events of the key together with a partner; rows without one have no part in it."""
        partner_code = self.timeline.codes(str(partner))
        # One code per pair: the key's, shifted beyond the highest code of a partner.
        both = self.code * (partner_code.max(initial=0) + 1) + partner_code
        both[(self.code == NO_KEY) | (partner_code == NO_KEY)] = NO_KEY
        return EventIndex.of(both, self.timeline.moment)

    def in_order(self, index: EventIndex, values: Floats) -> Floats:
        """Put the values of another index of the same table in the order of the key's events."""
        return self._spread(index, values)[self.events.rows]

    def _spread(self, index: EventIndex, values: Floats) -> Floats:
        spread = np.full(len(self.code), np.nan)
        spread[index.rows] = values
        return spread


def _aggregate(past: _Past, feature: HistoryFeature) -> Floats:
    if feature.statistic in ("max", "min", "median"):
        values = past.numbers(feature)
        return extreme(
            past.events, values, feature.window, feature.statistic, present=feature.present
        )
    windows = past.windows(feature.window, present=feature.present)
    if feature.statistic == "count":
        return windows.count().astype(np.float64)
    values = past.numbers(feature)
    if feature.statistic == "std":
        count, _, squares = windows.moments(values)
        return np.sqrt(_divided(squares, count - 1.0, mask=count > 1))
    known = windows.count(~np.isnan(values))
    total = windows.total(values)
    if feature.statistic == "sum":
        return np.where(known > 0, total, np.nan)
    return _divided(total, known, mask=known > 0)


def _ratio(past: _Past, feature: HistoryFeature) -> Floats:
    values = past.numbers(feature)
    if feature.statistic == "mean":
        windows = past.windows(feature.window, present=False)
        known = windows.count(~np.isnan(values))
        usual = _divided(windows.total(values), known, mask=known > 0)
    else:
        assert feature.statistic is not None
        usual = extreme(past.events, values, feature.window, feature.statistic, present=False)
    return _divided(values, usual, mask=usual > 0)


def _distinct(past: _Past, feature: HistoryFeature) -> Floats:
    partner = past.timeline.codes(str(feature.partner))[past.events.rows]
    return distinct(past.events, partner, feature.window).astype(np.float64)


def _time_since(past: _Past, feature: HistoryFeature) -> Floats:
    if feature.partner is None:
        return _days_since_last(past.events, feature.window)
    index = past.pairs(feature.partner)
    return past.in_order(index, _days_since_last(index, feature.window))


def _first_seen(past: _Past, feature: HistoryFeature) -> Floats:
    index = past.pairs(feature.partner)
    met = ~np.isnan(_days_since_last(index, feature.window))
    return past.in_order(index, (~met).astype(np.float64))


def _days_since_last(index: EventIndex, window: int) -> Floats:
    """Days since the last event of an earlier moment, of each event of an index."""
    return _days_since(index, index, index.moment, window=window, inclusive=False)


def _days_since(
    queries: EventIndex, index: EventIndex, happened: Ints, *, window: int, inclusive: bool
) -> Floats:
    """Days from what happened at the last event of an index up to now, where that is in reach."""
    last = index.until(queries, inclusive=inclusive) - 1
    at = np.maximum(last, 0)
    since = queries.moment - happened[at]
    in_reach = (last >= 0) & (index.key[at] == queries.key) & (since < window)
    return np.where(in_reach, since / _DAY, np.nan)


def _fraud_rate(past: _Past, feature: HistoryFeature) -> Floats:
    windows = past.label_windows(feature.window)
    if feature.statistic == "known":
        return windows.count().astype(np.float64)
    frauds = windows.count(past.is_fraud)
    if feature.statistic == "frauds":
        return frauds.astype(np.float64)
    rate = _share(frauds, windows.count(), empty=feature.empty)
    if not feature.smoothing:
        return rate
    usual = past.everybody.share_of_frauds(feature.window)[past.events.rows]
    mixed = (frauds + feature.smoothing * usual) / (windows.count() + feature.smoothing)
    return np.where(np.isnan(usual), rate, mixed)


def _recent_labels(past: _Past, feature: HistoryFeature) -> Floats:
    assert feature.last is not None
    windows = past.label_windows(feature.window)
    start = np.maximum(windows.start, windows.end - feature.last)
    upto = np.concatenate([[0], np.cumsum(past.is_fraud)])
    return _share(upto[windows.end] - upto[start], windows.end - start, empty=feature.empty)


def _since_label(past: _Past, feature: HistoryFeature) -> Floats:
    """Days since the latest row of a class whose label has arrived, in whatever order they came."""
    timeline = past.timeline
    of_class = timeline.fraud[timeline.labelled] == (feature.statistic == "fraud")
    index = EventIndex.of(past.code, timeline.arrival, timeline.labelled[of_class])
    if not len(index):
        return np.full(len(past.events), np.nan)
    moments, rank = np.unique(timeline.moment[index.rows], return_inverse=True)
    # Keys are ascending and weigh more than any rank, so that a running maximum never carries the
    # latest row of one key over into the next.
    highest = np.maximum.accumulate(index.key * len(moments) + rank) - index.key * len(moments)
    return _days_since(past.events, index, moments[highest], window=feature.window, inclusive=True)


def _frequency(past: _Past, feature: HistoryFeature) -> Floats:
    rows = past.everybody.rows_within(feature.window)[past.events.rows]
    return past.windows(feature.window).count() / rows


def _share(part: Ints, whole: Ints, *, empty: float | None = None) -> Floats:
    share = _divided(part.astype(np.float64), whole, mask=whole > 0)
    return share if empty is None else np.where(whole > 0, share, empty)


def _divided(part: Floats, whole: NDArray[np.generic], *, mask: NDArray[np.bool_]) -> Floats:
    divided: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=mask)
    return divided


_KINDS: dict[str, Callable[[_Past, HistoryFeature], Floats]] = {
    "aggregate": _aggregate,
    "ratio": _ratio,
    "distinct": _distinct,
    "time_since": _time_since,
    "first_seen": _first_seen,
    "fraud_rate": _fraud_rate,
    "recent_labels": _recent_labels,
    "since_label": _since_label,
    "frequency": _frequency,
}
