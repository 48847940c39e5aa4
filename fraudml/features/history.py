"""What to compute from the rows before: looks spelt out into features, one column each.

The plan knows names, windows and how much history it needs; `timeline` computes the values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any

from fraudml.data.clock import parse_duration
from fraudml.data.schema import Schema
from fraudml.errors import ConfigError, listing
from fraudml.features.settings import Aggregate, FeatureSettings, HistoryKind

_MICROSECOND = timedelta(microseconds=1)
_LABEL_KINDS = frozenset({"fraud_rate", "recent_labels", "since_label"})


@dataclass(frozen=True)
class HistoryFeature:
    """One column made from the rows before.

    Parameters
    ----------
    name : str
        What it is called.
    kind : str
        As in `Aggregate`.
    key : str
        The column whose past is looked at.
    window : int
        How far back, in microseconds.
    column : str, optional
        The column, or the earlier feature, that a statistic is made of.
    partner : str, optional
        The column that names whom the key meets.
    statistic : str, optional
        As in `Aggregate`.
    last : int, optional
        How many labels `recent_labels` looks at.
    smoothing : float
        How many labels at the rate of the whole table a rate is mixed with.
    empty : float, optional
        The value without any known label; None is missing.
    present : bool
        Whether a window takes in the row's own moment.
    """

    name: str
    kind: HistoryKind
    key: str
    window: int
    column: str | None = None
    partner: str | None = None
    statistic: str | None = None
    last: int | None = None
    smoothing: float = 0.0
    empty: float | None = None
    present: bool = True

    @property
    def uses_labels(self) -> bool:
        """Whether it is made of labels that are known by then."""
        return self.kind in _LABEL_KINDS

    def explained(self) -> str:
        """Say in words what it is."""
        days = in_words(self.window)
        key, partner, column = f"the same {self.key}", self.partner, self.column
        match self.kind:
            case "aggregate":
                subject = "rows" if column is None else f"{column}, its {self.statistic},"
                text = f"{subject} of {key} over {days}{'' if self.present else ' before'}"
            case "ratio":
                text = f"{column} over its {self.statistic} of {key} in the {days} before"
            case "distinct":
                text = f"different {partner} of {key} over {days}"
            case "time_since":
                pair = "" if partner is None else f" and {partner}"
                text = f"days since the row before of {key}{pair}, up to {days}"
            case "first_seen":
                text = f"1 where {key} has not met this {partner} in the {days} before"
            case "fraud_rate":
                subject = _RISK_WORDS[str(self.statistic)]
                text = f"{subject} of {key}, of those labels that arrived over {days}"
            case "recent_labels":
                text = f"share of frauds among the last {self.last} known labels of {key}"
            case "since_label":
                text = f"days since the last {self.statistic} row of {key} that is known"
            case "frequency":
                text = f"share of all rows over {days} that are of {key}"
        return text


def in_words(length: int, *, joined: bool = False) -> str:
    """Write a length of time in days or hours.

    Parameters
    ----------
    length : int
        In microseconds.
    joined : bool
        Whether it stands before what it is of, as in '30-day mean'.

    Examples
    --------
    >>> in_words(30 * 86_400_000_000), in_words(3_600_000_000, joined=True)
    ('30 days', '1-hour')
    """
    hours = length / 3_600e6
    number, unit = (hours / 24, "day") if hours >= 24 else (hours, "hour")
    return f"{number:g}-{unit}" if joined else f"{number:g} {unit}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class HistoryPlan:
    """All that is made from the rows before, and on which clock.

    Parameters
    ----------
    features : tuple of HistoryFeature
        In the order of the design matrix; one that is made of another comes after it.
    label_delay : int
        How long a label takes to arrive where the row does not say, in microseconds.
    horizon : int
        How far back anything reaches; a label that takes longer than this, and longer than
        `label_delay`, to arrive is never used.
    """

    features: tuple[HistoryFeature, ...] = ()
    label_delay: int = 0
    horizon: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def columns(self) -> frozenset[str]:
        """The table's columns that they are made from, without the label's."""
        named = {name for feature in self.features for name in (feature.key, feature.partner)}
        return frozenset(name for name in named if name is not None) | self.numbers

    @property
    def keys(self) -> frozenset[str]:
        """Those of the columns whose past is looked at."""
        return frozenset(feature.key for feature in self.features)

    @property
    def numbers(self) -> frozenset[str]:
        """Those of the columns that statistics are made of."""
        named = {feature.column for feature in self.features if feature.column is not None}
        return frozenset(named - set(self.names))

    @property
    def uses_labels(self) -> bool:
        """Whether any is made of labels."""
        return any(feature.uses_labels for feature in self.features)

    def needed(self, *, labels_have_times: bool) -> float:
        """Return how many seconds before a row its features look at.

        Parameters
        ----------
        labels_have_times : bool
            Whether each label has an arrival time of its own, which may be late.
        """
        reach: dict[str, int] = {}
        late = max(self.horizon, self.label_delay) if labels_have_times else self.label_delay
        for feature in self.features:
            below = reach.get(feature.column or "", 0)
            reach[feature.name] = feature.window + (late if feature.uses_labels else 0) + below
        return max(reach.values(), default=0) / 1e6

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; `from_dict` is the way back."""
        return {
            "features": [asdict(feature) for feature in self.features],
            "label_delay": self.label_delay,
            "horizon": self.horizon,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> HistoryPlan:
        """Make a plan from what `to_dict` gave."""
        features = tuple(HistoryFeature(**feature) for feature in content["features"])
        return cls(features, content["label_delay"], content["horizon"])


def plan_history(settings: FeatureSettings, schema: Schema, label_delay: timedelta) -> HistoryPlan:
    """Spell out how rows look back.

    Parameters
    ----------
    settings : FeatureSettings
        The looks, or none for the default plan.
    schema : Schema
        The roles that the default plan goes by.
    label_delay : timedelta
        How long a label takes to arrive where the table does not say.

    Raises
    ------
    ConfigError
        There is no time, or no key to look back on; two features of one name.
    """
    looks = default_looks(settings, schema) if settings.history is None else settings.history
    if not looks:
        return HistoryPlan()
    if schema.roles.time is None:
        raise ConfigError(
            "features.history looks back in time, and data.columns.time is not set. Name the "
            "column, or set features=columns."
        )
    features = tuple(feature for look in looks for feature in _spelt_out(look, settings))
    names = [feature.name for feature in features]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"features.history makes {listing(twice)} twice. Leave one of the looks out."
        )
    of_key = {feature.name: feature.key for feature in features}
    for position, feature in enumerate(features):
        if feature.column in of_key and feature.column not in [
            earlier.name for earlier in features[:position] if earlier.key == feature.key
        ]:
            raise ConfigError(
                f"features.history makes '{feature.name}' of the feature '{feature.column}', which "
                "is of another key or comes after it. Name an earlier feature of the same key."
            )
    horizon = parse_duration(settings.horizon, "features.horizon") // _MICROSECOND
    return HistoryPlan(features, label_delay // _MICROSECOND, horizon)


def default_looks(settings: FeatureSettings, schema: Schema) -> tuple[Aggregate, ...]:
    """Make a plan from the roles alone: what tells frauds from the rest on most card tables.

    Parameters
    ----------
    settings : FeatureSettings
        `keys` beside the entity, and the horizon.
    schema : Schema
        Entity, amount, time and categorical columns.

    Raises
    ------
    ConfigError
        No entity, no other key and no categorical column is named.
    """
    roles = schema.roles
    keys = tuple(key for key in (roles.entity, *settings.keys) if key is not None)
    encoded = tuple(name for name in roles.categorical if name not in keys)
    if not keys and not encoded:
        raise ConfigError(
            "features=transactions needs somebody whose past it can look at. Set "
            "data.columns.entity, or features.keys=[terminal]."
        )
    looks = [look for key in keys for look in _looks_at(key, keys, roles.amount, settings)]
    if encoded:
        looks += [
            Aggregate("frequency", encoded),
            Aggregate(
                "fraud_rate",
                encoded,
                windows=(settings.horizon,),
                statistics=("rate",),
                smoothing=50.0,
            ),
        ]
    return tuple(looks)


def _looks_at(
    key: str, keys: tuple[str, ...], amount: str | None, settings: FeatureSettings
) -> Iterator[Aggregate]:
    partners = tuple(name for name in keys if name != key)
    longest = (settings.windows[-1],) if settings.windows else (settings.horizon,)
    whole = (settings.horizon,)
    yield Aggregate("aggregate", (key,))
    yield Aggregate("time_since", (key,))
    if amount is not None:
        yield Aggregate("aggregate", (key,), columns=(amount,), statistics=("mean",))
        spread = ("std", "max")
        yield Aggregate("aggregate", (key,), columns=(amount,), statistics=spread, windows=longest)
        over = ("mean", "median", "max")
        yield Aggregate("ratio", (key,), columns=(amount,), statistics=over, windows=whole)
        above = f"{amount} over median {settings.horizon} by {key}"
        yield Aggregate("aggregate", (key,), columns=(above,), statistics=("mean", "max"))
    if partners:
        yield Aggregate("distinct", (key,), partners=partners, windows=longest)
        yield Aggregate("first_seen", (key,), partners=partners)
    yield Aggregate("fraud_rate", (key,), statistics=("known", "frauds", "rate"), smoothing=10.0)
    yield Aggregate("recent_labels", (key,), lasts=(1, 2, 3, 5, 10))
    yield Aggregate("since_label", (key,))


def _spelt_out(look: Aggregate, settings: FeatureSettings) -> Iterator[HistoryFeature]:
    """Every combination of what a look names, one feature each."""
    windows = _windows(look, settings)
    lasts = look.lasts if look.kind == "recent_labels" else (None,)
    measures = tuple(_statistics(look))
    for key, window, partner, last in product(look.keys, windows, look.partners or (None,), lasts):
        for statistic, column in measures:
            smoothed = look.kind == "fraud_rate" and statistic == "rate"
            feature = HistoryFeature(
                name="",
                kind=look.kind,
                key=key,
                window=parse_duration(window, "features.windows") // _MICROSECOND,
                column=column,
                partner=partner,
                statistic=statistic,
                last=last,
                smoothing=look.smoothing if smoothed else 0.0,
                empty=look.empty if smoothed or look.kind == "recent_labels" else None,
                present=look.present,
            )
            yield replace(feature, name=_name(feature, window))


def _windows(look: Aggregate, settings: FeatureSettings) -> tuple[str, ...]:
    if look.kind in ("aggregate", "distinct", "fraud_rate"):
        return look.windows or settings.windows
    return look.windows or (settings.horizon,)


def _statistics(look: Aggregate) -> Iterator[tuple[str | None, str | None]]:
    """The statistics of a look, each with its column; a count has none."""
    usual: dict[str, tuple[str, ...]] = {
        "aggregate": ("mean",) if look.columns else ("count",),
        "ratio": ("mean",),
        "fraud_rate": ("known", "rate"),
        "since_label": ("fraud", "legitimate"),
    }
    for statistic in look.statistics or usual.get(look.kind) or (None,):
        for column in (None,) if statistic == "count" else look.columns or (None,):
            yield statistic, column


def _name(feature: HistoryFeature, window: str) -> str:
    statistic, partner = feature.statistic, feature.partner
    match feature.kind:
        case "aggregate":
            subject = statistic if feature.column is None else f"{feature.column} {statistic}"
            text = f"{subject} {window}{'' if feature.present else ' before'}"
        case "ratio":
            text = f"{feature.column} over {statistic} {window}"
        case "distinct":
            text = f"distinct {partner} {window}"
        case "time_since":
            text = "days since last" if partner is None else f"days since last {partner}"
        case "first_seen":
            text = f"new {partner}"
        case "fraud_rate":
            text = f"{_RISK_WORDS[str(statistic)]} {window}"
        case "recent_labels":
            text = f"fraud rate of last {feature.last}"
        case "since_label":
            text = f"days since known {statistic}"
        case "frequency":
            text = f"frequency {window}"
    return f"{text} by {feature.key}"


_OLD_KINDS = {
    "trailing": "aggregate",
    "since": "time_since",
    "new": "first_seen",
    "risk": "fraud_rate",
    "streak": "recent_labels",
}
"""The kinds of bundles of format 1, each with its name of today."""


def upgrade_plan(old: dict[str, Any]) -> dict[str, Any]:
    """Give the features of a bundle of format 1 the kinds that they have today.

    Parameters
    ----------
    old : dict
        What `FittedFeatures.to_dict` gave then; it is not changed.
    """
    features = [
        feature | {"kind": _OLD_KINDS.get(feature["kind"], feature["kind"])}
        for feature in old["history"]["features"]
    ]
    return old | {"history": old["history"] | {"features": features}}


_RISK_WORDS = {"known": "known labels", "frauds": "known frauds", "rate": "fraud rate"}
"""What a risk is called."""
