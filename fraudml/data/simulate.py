"""The built-in table: cards that buy at terminals, and three kinds of fraud among them.

It is there to run every command without a file, and to be learnable for the reasons that hold on
real cards: single columns say little, what a card and a terminal did before says much. Nothing in
here is fitted to anybody's data.

Legitimate purchases go to a card's own few terminals, at its own level of amounts. The frauds are

- *stolen cards*: a burst of purchases within a day and a half, at shops that thieves like and for
  more than is usual for the card;
- *compromised terminals*: for one to four weeks, a part of what passes a terminal is cloned cards,
  with hardly unusual amounts;
- *card testing*: small payments on the internet within minutes, mostly at night and from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.data.settings import SimulateSettings
from fraudml.seeds import child_generator

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]

_START = np.datetime64("2026-01-05T00:00:00", "us")  # a Monday, so that weeks are whole
_DAY, _HOUR = 86_400.0, 3_600.0

# Name, share of the terminals, share of these on the internet, log amount over what is usual for a
# card, appeal to thieves.
_MERCHANTS = (
    ("groceries", 0.24, 0.08, -0.1, 0.6),
    ("fuel", 0.10, 0.00, 0.2, 0.9),
    ("restaurant", 0.16, 0.15, -0.1, 0.5),
    ("pharmacy", 0.07, 0.20, -0.4, 0.4),
    ("clothing", 0.11, 0.50, 0.4, 1.3),
    ("electronics", 0.06, 0.60, 0.9, 3.5),
    ("jewellery", 0.02, 0.30, 1.3, 4.5),
    ("travel", 0.05, 0.85, 1.3, 1.5),
    ("games", 0.08, 1.00, -1.2, 1.0),
    ("subscriptions", 0.06, 1.00, -0.9, 0.6),
    ("cash", 0.05, 0.00, 0.8, 3.0),
)
_CATEGORIES = tuple(merchant[0] for merchant in _MERCHANTS)
_COUNTRIES = ("DE", "FR", "IT", "ES", "NL", "PL", "AT", "CH", "GB", "US")
_COUNTRY_SHARES = (0.40, 0.14, 0.10, 0.09, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02)
_ENTRY_MODES = ("chip", "contactless", "magstripe", "manual", "online", "wallet")
_DEVICES = ("android", "ios", "web")

# How the frauds are shared between stolen cards, compromised terminals and card testing.
_PATTERN_SHARES = (0.38, 0.30, 0.32)
_FAVOURITES = 10


@dataclass(frozen=True)
class _Pool:
    """Members of a population that can be drawn, by weight, within a country."""

    country: _Ints  # ascending
    upto: _Floats  # cumulative weight, ends with 1
    low: _Floats  # by country: the weights of its members lie in [low, high)
    high: _Floats

    @classmethod
    def of(cls, country: _Ints, weight: _Floats) -> _Pool:
        upto = np.cumsum(weight) / weight.sum()
        bounds = np.searchsorted(country, np.arange(len(_COUNTRIES) + 1))
        edges = np.concatenate([[0.0], upto])[bounds]
        empty = edges[1:] <= edges[:-1]
        return cls(country, upto, np.where(empty, 0, edges[:-1]), np.where(empty, 1, edges[1:]))

    def draw(self, rng: np.random.Generator, size: int) -> _Ints:
        return self._at(rng.random(size))

    def draw_in(self, rng: np.random.Generator, country: _Ints) -> _Ints:
        """One member a country given; of any country where it has none."""
        low, high = self.low[country], self.high[country]
        return self._at(low + (high - low) * rng.random(len(country)))

    def _at(self, weight: _Floats) -> _Ints:
        return np.minimum(np.searchsorted(self.upto, weight, side="right"), len(self.upto) - 1)


@dataclass(frozen=True)
class _World:
    """Cards and terminals before anything happens."""

    cards: _Pool
    log_amount: _Floats  # by card: its usual log amount
    opened: _Floats  # by card: age in days when the table starts
    age: _Floats  # by card: the holder's age in years, NaN where nobody asked
    favourites: _Ints  # by card: the terminals it goes to, the most used first
    terminals: _Pool
    appealing: _Pool  # the same terminals, weighted by what thieves like
    online_only: _Ints  # terminals on the internet, at least one
    category: _Ints  # by terminal
    online: _Bools  # by terminal


@dataclass(frozen=True)
class _Events:
    """Purchases of one kind, one entry a row in every array."""

    card: _Ints
    terminal: _Ints
    seconds: _Floats
    log_amount: _Floats
    away: _Floats  # chance that a purchase on the internet is made from another country
    cloned: _Floats  # chance that a purchase in a shop goes by the magnetic stripe
    guest: _Floats  # chance that a purchase on the internet comes without a login
    web: _Floats  # chance that it comes from a browser
    label_days: _Floats | None  # mean days until the fraud is known; None: legitimate


def simulate(settings: SimulateSettings) -> pl.DataFrame:
    """Simulate a table of card transactions with labels.

    Parameters
    ----------
    settings : SimulateSettings
        Size, prevalence, drift and seed. With `drift`, this share of the frauds after the middle of
        the time, or after `drift_date`, behaves differently: theft turns to ordinary amounts,
        cloning leaves the magnetic stripe, testing moves to the daytime, to larger amounts and
        home.

    Returns
    -------
    DataFrame
        `settings.rows` rows sorted by time, of which round(rows × prevalence), at least 1, are
        frauds. `transaction_id` is Int64; `time` Datetime('us'); `card_id`, `terminal_id`,
        `merchant_category`, `entry_mode`, `country` and `device` String; `amount`,
        `card_age_days`, `customer_age` and `minutes_since_login` Float64; `label` Int8;
        `label_time` Datetime('us'): when a fraud became known, null on legitimate rows. The
        category and the customer's age are missing here and there; the device and the login are
        missing in shops, and on the internet more often under fraud.

    Notes
    -----
    The same settings give the same table. The work grows with the rows, about 1 µs each.

    Examples
    --------
    >>> from fraudml.data.settings import SimulateSettings
    >>> table = simulate(SimulateSettings(rows=1_000, prevalence=0.05))
    >>> table.height, table["label"].sum()
    (1000, 50)
    """
    world = _make_world(settings)
    frauds = max(1, round(settings.rows * settings.prevalence))
    legitimate = _legitimate(world, settings, settings.rows - frauds)
    parts = [legitimate, *_frauds(world, settings, frauds)]
    table = pl.concat(
        [
            _rows(part, world, child_generator(settings.seed, f"rows {i}"))
            for i, part in enumerate(parts)
        ]
    ).sort("time", maintain_order=True)
    return _named(table, settings)


def _make_world(settings: SimulateSettings) -> _World:
    rng = child_generator(settings.seed, "terminals")
    country = _countries(rng, settings.terminals)
    shares = np.array([merchant[1] for merchant in _MERCHANTS])
    category = rng.choice(len(_MERCHANTS), settings.terminals, p=shares / shares.sum())
    online = rng.random(settings.terminals) < np.array([m[2] for m in _MERCHANTS])[category]
    popularity = rng.lognormal(0.0, 0.8, settings.terminals)
    terminals = _Pool.of(country, popularity)
    appeal = np.array([merchant[4] for merchant in _MERCHANTS])[category]

    rng = child_generator(settings.seed, "cards")
    home = _countries(rng, settings.cards)
    favourites = terminals.draw_in(rng, np.repeat(home, _FAVOURITES))
    age = np.clip(rng.normal(46.0, 15.0, settings.cards).round(), 18.0, 92.0)
    return _World(
        cards=_Pool.of(home, rng.gamma(1.5, 1.0, settings.cards) + 0.05),
        log_amount=rng.normal(3.3, 0.6, settings.cards),
        opened=rng.gamma(1.6, 450.0, settings.cards).round(),
        age=np.where(rng.random(settings.cards) < 0.07, np.nan, age),
        favourites=favourites.reshape(settings.cards, _FAVOURITES),
        terminals=terminals,
        appealing=_Pool.of(country, np.sqrt(popularity) * appeal),
        online_only=np.flatnonzero(online) if online.any() else np.arange(settings.terminals),
        category=category,
        online=online,
    )


def _countries(rng: np.random.Generator, size: int) -> _Ints:
    shares = np.array(_COUNTRY_SHARES)
    return np.sort(rng.choice(len(_COUNTRIES), size, p=shares / shares.sum()))


def _legitimate(world: _World, settings: SimulateSettings, size: int) -> _Events:
    rng = child_generator(settings.seed, "legitimate")
    card = world.cards.draw(rng, size)
    rank = (rng.random(size) ** 2 * _FAVOURITES).astype(np.int64)
    terminal = world.favourites[card, rank]
    strange = rng.random(size) < 0.2
    travels = rng.random(size) < 0.2
    terminal[strange] = world.terminals.draw_in(rng, world.cards.country[card[strange]])
    abroad = strange & travels
    terminal[abroad] = world.terminals.draw(rng, int(abroad.sum()))
    splurge = np.where(rng.random(size) < 0.06, rng.exponential(1.1, size), 0.0)
    return _Events(
        card=card,
        terminal=terminal,
        seconds=_shopping_days(rng, settings.days, size) * _DAY
        + _shopping_hours(rng, world.online[terminal]) * _HOUR,
        log_amount=_usual(rng, world, card, terminal) + splurge,
        away=np.full(size, 0.06),
        cloned=np.full(size, 0.04),
        guest=np.full(size, 0.25),
        web=np.full(size, 0.35),
        label_days=None,
    )


def _usual(rng: np.random.Generator, world: _World, card: _Ints, terminal: _Ints) -> _Floats:
    """Log amounts that are usual for the card at such a shop."""
    shift = np.array([merchant[3] for merchant in _MERCHANTS])[world.category[terminal]]
    usual: _Floats = world.log_amount[card] + shift + rng.normal(0.0, 0.55, len(card))
    return usual


def _shopping_days(rng: np.random.Generator, days: int, size: int) -> _Ints:
    week = np.array([1.0, 1.0, 1.0, 1.05, 1.25, 1.4, 0.8])
    weight = np.cumsum(week[np.arange(days) % 7])
    day: _Ints = np.searchsorted(weight, rng.random(size) * weight[-1], side="right")
    return day


def _shopping_hours(rng: np.random.Generator, online: _Bools) -> _Floats:
    size = len(online)
    shop = rng.normal(14.0, 3.4, size)
    internet = rng.normal(19.0, 3.4, size)
    hours: _Floats = np.mod(np.where(online, internet, shop), 24.0)
    return hours


def _frauds(world: _World, settings: SimulateSettings, size: int) -> list[_Events]:
    rng = child_generator(settings.seed, "patterns")
    counts = rng.multinomial(size, _PATTERN_SHARES)
    return [
        make(world, settings, int(count))
        for make, count in zip((_stolen, _compromised, _testing), counts, strict=True)
    ]


def _episodes(rng: np.random.Generator, size: int, low: int, high: int) -> _Ints:
    """Share rows out over episodes of `low` to `high` rows each: the episode of every row."""
    lengths = rng.integers(low, high + 1, size // low + 1)
    return np.repeat(np.arange(len(lengths)), lengths)[:size]


def _when(rng: np.random.Generator, episode: _Ints, lengths: _Floats, span: float) -> _Floats:
    """Moments spread over the length of each row's episode, which lies inside the span."""
    lengths = np.minimum(lengths, span)
    starts = rng.random(len(lengths)) * (span - lengths)
    return starts[episode] + rng.random(len(episode)) * lengths[episode]


def _changed(rng: np.random.Generator, seconds: _Floats, settings: SimulateSettings) -> _Bools:
    """Whether a fraud follows the habits of the second half of the time."""
    late = seconds >= _drift_second(settings)
    return late & (rng.random(len(seconds)) < settings.drift)


def _drift_second(settings: SimulateSettings) -> float:
    if settings.drift_date is None:
        return settings.days * _DAY / 2
    return float((np.datetime64(settings.drift_date, "us") - _START) / np.timedelta64(1, "s"))


def _stolen(world: _World, settings: SimulateSettings, size: int) -> _Events:
    rng = child_generator(settings.seed, "stolen")
    episode = _episodes(rng, size, 3, 9)
    count = size // 3 + 1
    seconds = _when(rng, episode, np.full(count, 1.5 * _DAY), settings.days * _DAY)
    card = world.cards.draw(rng, count)[episode]
    terminal = world.appealing.draw_in(rng, world.cards.country[card])
    raised = np.where(_changed(rng, seconds, settings), 0.1, 1.4)
    return _Events(
        card=card,
        terminal=terminal,
        seconds=seconds,
        log_amount=_usual(rng, world, card, terminal) + raised,
        away=np.full(size, 0.20),
        cloned=np.full(size, 0.25),
        guest=np.full(size, 0.50),
        web=np.full(size, 0.50),
        label_days=np.full(size, 2.0),
    )


def _compromised(world: _World, settings: SimulateSettings, size: int) -> _Events:
    rng = child_generator(settings.seed, "compromised")
    episode = _episodes(rng, size, 8, 20)
    count = size // 8 + 1
    lengths = rng.uniform(7.0, 28.0, count) * _DAY
    seconds = _when(rng, episode, lengths, settings.days * _DAY)
    terminal = world.terminals.draw(rng, count)[episode]
    card = world.cards.draw_in(rng, world.terminals.country[terminal])
    day = np.floor(seconds / _DAY)
    changed = _changed(rng, seconds, settings)
    return _Events(
        card=card,
        terminal=terminal,
        seconds=day * _DAY + _shopping_hours(rng, world.online[terminal]) * _HOUR,
        log_amount=_usual(rng, world, card, terminal) + 0.3,
        away=np.full(size, 0.15),
        cloned=np.where(changed, 0.04, 0.60),
        guest=np.full(size, 0.40),
        web=np.full(size, 0.45),
        label_days=np.full(size, 6.0),
    )


def _testing(world: _World, settings: SimulateSettings, size: int) -> _Events:
    rng = child_generator(settings.seed, "testing")
    episode = _episodes(rng, size, 3, 8)
    count = size // 3 + 1
    day = np.floor(rng.random(count) * settings.days)
    changed = _changed(rng, day[episode] * _DAY, settings)
    hour = np.where(
        rng.random(count) < 0.75, rng.normal(3.0, 2.0, count), rng.uniform(0, 24, count)
    )
    start = np.mod(hour[episode] + np.where(changed, 12.0, 0.0), 24.0) * _HOUR
    within = np.minimum(start + rng.exponential(600.0, size), _DAY - 1.0)
    return _Events(
        card=world.cards.draw(rng, count)[episode],
        terminal=rng.choice(world.online_only, count)[episode],
        seconds=day[episode] * _DAY + within,
        log_amount=rng.normal(0.5, 0.6, size) + np.where(changed, 2.0, 0.0),
        away=np.where(changed, 0.10, 0.75),
        cloned=np.zeros(size),
        guest=np.full(size, 0.70),
        web=np.full(size, 0.80),
        label_days=np.full(size, 3.0),
    )


def _rows(events: _Events, world: _World, rng: np.random.Generator) -> pl.DataFrame:
    """Fill in the columns that follow from card, shop and kind of purchase."""
    size = len(events.card)
    online = world.online[events.terminal]
    return pl.DataFrame(
        {
            "time": _START + (events.seconds * 1e6).astype("timedelta64[us]"),
            "card": events.card,
            "terminal": events.terminal,
            "amount": np.clip(np.exp(events.log_amount), 0.5, 10_000.0).round(2),
            "category": np.where(rng.random(size) < 0.01, -1, world.category[events.terminal]),
            "entry": _entry_mode(rng, events, online),
            "country": _place(rng, events, world, online),
            "device": _device(rng, events, online),
            "card_age_days": world.opened[events.card] + np.floor(events.seconds / _DAY),
            "customer_age": world.age[events.card],
            "minutes_since_login": _login(rng, events, online),
            **_label(rng, events),
        }
    )


def _entry_mode(rng: np.random.Generator, events: _Events, online: _Bools) -> _Ints:
    size = len(online)
    wallet, stripe, contactless, manual = (rng.random(size) for _ in range(4))
    shop = np.where(contactless < 0.6, 1, np.where(manual < 0.03, 3, 0))
    shop = np.where(stripe < events.cloned, 2, shop)
    return np.where(online, np.where(wallet < 0.25, 5, 4), shop)


def _place(rng: np.random.Generator, events: _Events, world: _World, online: _Bools) -> _Ints:
    """Where the buyer is: in the shop, or wherever a purchase on the internet is made."""
    elsewhere = rng.integers(0, len(_COUNTRIES), len(online))
    away = rng.random(len(online)) < events.away
    buyer = np.where(away, elsewhere, world.cards.country[events.card])
    return np.where(online, buyer, world.terminals.country[events.terminal])


def _device(rng: np.random.Generator, events: _Events, online: _Bools) -> _Ints:
    size = len(online)
    device = np.where(rng.random(size) < events.web, 2, rng.integers(0, 2, size))
    known = online & (rng.random(size) >= 0.2 * events.guest)
    return np.where(known, device, -1)


def _login(rng: np.random.Generator, events: _Events, online: _Bools) -> _Floats:
    size = len(online)
    minutes = rng.lognormal(1.6, 1.0, size).round(1)
    return np.where(online & (rng.random(size) >= events.guest), minutes, np.nan)


def _label(rng: np.random.Generator, events: _Events) -> dict[str, NDArray[np.generic]]:
    size = len(events.card)
    if events.label_days is None:
        never = np.full(size, np.datetime64("NaT", "us"))
        return {"label": np.zeros(size, np.int8), "label_time": never}
    days = np.minimum(0.1 + rng.exponential(events.label_days), 30.0)
    known = _START + ((events.seconds + days * _DAY) * 1e6).astype("timedelta64[us]")
    return {"label": np.ones(size, np.int8), "label_time": known}


def _named(table: pl.DataFrame, settings: SimulateSettings) -> pl.DataFrame:
    """Replace numbers by names and put the columns in the order of a reader."""
    return table.select(
        pl.int_range(1, pl.len() + 1).alias("transaction_id"),
        pl.col("time").dt.truncate("1s"),
        _word("card", _numbered("C", settings.cards)).alias("card_id"),
        _word("terminal", _numbered("T", settings.terminals)).alias("terminal_id"),
        "amount",
        _word("category", _CATEGORIES).alias("merchant_category"),
        _word("entry", _ENTRY_MODES).alias("entry_mode"),
        _word("country", _COUNTRIES).alias("country"),
        _word("device", _DEVICES).alias("device"),
        "card_age_days",
        pl.col("customer_age", "minutes_since_login").fill_nan(None),
        "label",
        pl.col("label_time").dt.truncate("1s"),
    )


def _numbered(letter: str, count: int) -> pl.Series:
    return pl.select(
        pl.format(letter + "{}", pl.int_range(count).cast(pl.String).str.zfill(6))
    ).to_series()


def _word(column: str, words: Sequence[str] | pl.Series) -> pl.Expr:
    return pl.lit(pl.Series(words)).gather(pl.col(column).replace(-1, None))
