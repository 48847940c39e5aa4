"""What a user says about features: which columns, and what to make of the rows before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fraudml.data.clock import parse_duration
from fraudml.errors import ConfigError, all_problems, listing

HistoryKind = Literal[
    "aggregate",
    "ratio",
    "distinct",
    "time_since",
    "first_seen",
    "fraud_rate",
    "recent_labels",
    "since_label",
    "frequency",
]
TimePart = Literal[
    "hour",
    "weekday",
    "day_of_month",
    "weekend",
    "night",
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
]

STATISTICS: Mapping[HistoryKind, tuple[str, ...]] = {
    "aggregate": ("count", "sum", "mean", "std", "min", "max", "median"),
    "ratio": ("mean", "median", "max"),
    "fraud_rate": ("known", "frauds", "rate"),
    "since_label": ("fraud", "legitimate"),
}
"""What each kind can say; a kind that is not here says one thing."""

_USES: Mapping[HistoryKind, frozenset[str]] = {
    "aggregate": frozenset({"columns", "windows", "statistics", "present"}),
    "ratio": frozenset({"columns", "windows", "statistics"}),
    "distinct": frozenset({"partners", "windows"}),
    "time_since": frozenset({"partners"}),
    "first_seen": frozenset({"partners"}),
    "fraud_rate": frozenset({"windows", "statistics", "smoothing", "empty"}),
    "recent_labels": frozenset({"lasts", "empty"}),
    "since_label": frozenset({"statistics"}),
    "frequency": frozenset({"windows"}),
}
_NEEDS: Mapping[HistoryKind, str] = {
    "ratio": "columns",
    "distinct": "partners",
    "first_seen": "partners",
}


@dataclass(frozen=True)
class Aggregate:
    """One way of looking back from a row: at what its keys did before, or what was known of them.

    A row looks at rows of the same key, the present moment included or not as the kind says; rows
    of one moment look alike whatever their order. A row without the key has no value.

    Parameters
    ----------
    kind : str
        `aggregate` (statistics of columns over `(t − w, t]`), `ratio` (this row's value over a
        statistic of `(t − w, t)`, missing where that is not above 0), `distinct` (partners in
        `(t − w, t]`), `time_since` (days since the last event, of the key or of the key with the
        partner), `first_seen` (1 where the key has not met this partner), `fraud_rate` (labels
        that arrived in `(t − w, t]`), `recent_labels` (share of frauds among the last labels that
        arrived), `since_label` (days since the last known fraud or legitimate row), `frequency`
        (share of the rows with a key in `(t − w, t]`).
    keys : tuple of str
        Columns; each is looked at by itself.
    columns : tuple of str
        What statistics are made of: numbers of the table, or earlier features by name.
    partners : tuple of str
        Columns that name whom a key meets.
    windows : tuple of str
        Lengths, as `7d` or `36h`; by default `features.windows`, and one of the horizon for
        `ratio` and `frequency`.
    statistics : tuple of str
        For `aggregate` count, sum, mean, std, min, max, median; for `ratio` mean, median, max; for
        `fraud_rate` known, frauds, rate; for `since_label` fraud, legitimate. By default all that
        need no column.
    lasts : tuple of int
        How many labels `recent_labels` looks at.
    smoothing : float
        How many labels at the rate of all rows with a key, as known by then, a `rate` is mixed
        with.
    empty : float, optional
        The value of a rate without any known label (with smoothing, of anybody's); by
        default it is missing.
    present : bool
        Whether an `aggregate` window takes in the row itself and others of its moment.
    """

    kind: HistoryKind
    keys: tuple[str, ...]
    columns: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    lasts: tuple[int, ...] = (1, 3, 5)
    smoothing: float = 0.0
    empty: float | None = None
    present: bool = True

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError(
                all_problems(f"{len(problems)} problems in features.history.", problems)
            )

    def _problems(self) -> Iterator[str]:
        prefix = f"features.history: a look of kind '{self.kind}'"
        if not self.keys:
            yield f"{prefix} has no keys. Name the columns whose past it looks at."
        for name, default in _DEFAULTS.items():
            used = _USES[self.kind]
            if getattr(self, name) != default and name not in used:
                yield f"{prefix} has no use for '{name}'. It uses {listing(sorted(used))}."
        needed = _NEEDS.get(self.kind)
        if needed and not getattr(self, needed):
            yield f"{prefix} needs '{needed}'."
        known = STATISTICS.get(self.kind, ())
        if unknown := [statistic for statistic in self.statistics if statistic not in known]:
            yield f"{prefix} has no statistic {listing(unknown)}. It has {listing(known, 10)}."
        if self.kind == "aggregate" and set(self.statistics) - {"count"} and not self.columns:
            yield f"{prefix} needs 'columns' for {listing(self.statistics)}."
        for window in self.windows:
            yield from _window_problems(window, "features.history.windows")
        if not self.lasts:
            yield "features.history.lasts is empty. Name how many labels each share is taken of."
        if any(last < 1 for last in self.lasts):
            yield f"features.history.lasts are {listing(self.lasts)}. Each is at least 1."
        if self.smoothing < 0:
            yield f"features.history.smoothing is {self.smoothing}. It is at least 0."


_DEFAULTS = {
    "columns": (),
    "partners": (),
    "windows": (),
    "statistics": (),
    "lasts": (1, 3, 5),
    "smoothing": 0.0,
    "empty": None,
    "present": True,
}


def _window_problems(window: str, key: str) -> Iterator[str]:
    try:
        length = parse_duration(window, key)
    except ConfigError as error:
        yield str(error)
        return
    if not length:
        yield f"{key} holds '{window}'. A window is longer than nothing."


@dataclass(frozen=True)
class FeatureSettings:
    """What is made into features.

    Parameters
    ----------
    time_parts : tuple of str
        What of a time with a calendar is a feature: hour, weekday (Monday 1), day_of_month,
        weekend, night (before 7 o'clock), and the sines and cosines of hour and weekday.
    keys : tuple of str
        Columns that name somebody besides the entity (a terminal, a device): not features
        themselves, but what is looked back on.
    drop : tuple of str
        Columns that are no features, though they play no other role.
    max_levels : int
        A text column with more levels is left out, unless it is named under
        `data.columns.categorical`.
    history : tuple of Aggregate, optional
        How rows look back; null makes the default plan from the roles, an empty list none.
    windows : tuple of str
        Lengths of the windows where a look names none.
    horizon : str
        How far back anything is looked at; what lies beyond is missing.
    rename : mapping
        Names of features, where others are wanted.
    texts : mapping
        By the name of a feature, what it says where it is a reason for an alert, with `{value}`
        where its value belongs; docs/scoring.md has the words that are made without.
    """

    time_parts: tuple[TimePart, ...] = ("hour", "weekday")
    keys: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    max_levels: int = 1000
    history: tuple[Aggregate, ...] | None = ()
    windows: tuple[str, ...] = ("1d", "7d", "30d")
    horizon: str = "90d"
    rename: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError(all_problems(f"{len(problems)} problems in features.", problems))

    def _problems(self) -> Iterator[str]:
        if self.max_levels < 1:
            yield f"features.max_levels is {self.max_levels}. It is at least 1."
        wrong = list(_window_problems(self.horizon, "features.horizon"))
        if not self.windows:
            wrong.append("features.windows is empty. Name at least one length, as [7d].")
        for window in self.windows:
            wrong += _window_problems(window, "features.windows")
        yield from wrong
        if wrong:
            return
        horizon = parse_duration(self.horizon, "features.horizon")
        history_values = [window for look in self.history or () for window in look.windows]
        for window in dict.fromkeys((*self.windows, *history_values)):
            if parse_duration(window, "features.windows") > horizon and self.history != ():
                yield (
                    f"features: a window of {window} reaches beyond features.horizon="
                    f"{self.horizon}. Shorten the window or lengthen the horizon."
                )
