"""Card precision at k: how many of the k cards a team checks each day are compromised.

A day is evaluated by its cards, not its transactions: a card has the highest score and the highest
label of its transactions of the day. Compromised cards among the k leave the later days.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fraudml.errors import DataError
from fraudml.metrics._checks import Codes, Flags, Float, at_least_one, checked, weights_or_ones
from fraudml.metrics.ratios import ratio


@dataclass(frozen=True)
class CardDay:
    """The cards of one day, highest score first."""

    card: Codes  # positions in the list of cards
    home: Codes  # the column of the weights that each card has
    tie: Codes  # the number of the run of equal scores that a card is in, from 0
    compromised: Codes  # positions in this day of the compromised cards


@dataclass(frozen=True)
class CardDays:
    """All days of a sample, in order, and how many cards there are."""

    days: tuple[CardDay, ...]
    count: int

    @cached_property
    def suspects(self) -> Codes:
        """Cards that are compromised on any day; no other card ever leaves."""
        return np.unique(np.concatenate([day.card[day.compromised] for day in self.days]))


def card_precision_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    day: ArrayLike,
    entity: ArrayLike,
    k: int = 100,
    *,
    weight: ArrayLike | None = None,
) -> float:
    """Return the mean over days of the share of compromised cards among the k highest scored.

    The larger the better. Its largest value is often well below 1, as few cards are compromised
    on a day: report `attainable_card_precision_at_k` with it.

    Parameters
    ----------
    y_true : array-like of 0/1 or bool, shape (n_rows,)
        1 is fraud.
    y_score : array-like of float, shape (n_rows,)
        Any score that rises with suspicion.
    day : array-like of int, shape (n_rows,)
        The day of each row, as a code that grows with time. Days without rows do not count.
    entity : array-like of int, shape (n_rows,)
        The card or customer of each row, as a code.
    k : int
        How many cards are checked a day. The share is of k, also on a day of fewer cards.
    weight : array-like of float, shape (n_rows,), optional
        How many such cards there are: one weight for all rows of a card.

    Raises
    ------
    DataError
        A card has two weights.

    Notes
    -----
    Cards tied for the last places share them equally, and a compromised card that is checked in
    part leaves in that part. So the value depends on neither the order of the rows nor the codes of
    the cards, and w equal cards are one of weight w. Without such ties it is the value of Le Borgne
    et al., Fraud Detection Handbook, ch. 4; Dal Pozzolo (2015). No fraud: 0. One sort of the rows,
    then a loop over days.

    Examples
    --------
    >>> card_precision_at_k([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.7], [0, 0, 1, 1], [5, 6, 6, 7], k=1)
    0.5
    """
    days, mass = _prepare((y_true, y_score, day, entity), weight)
    return float(mean_card_precision(days, mass, at_least_one("k", k)))


def attainable_card_precision_at_k(
    y_true: ArrayLike,
    day: ArrayLike,
    entity: ArrayLike,
    k: int = 100,
    *,
    weight: ArrayLike | None = None,
) -> float:
    """Return the card precision at k of a score that knows the labels.

    Each day it checks compromised cards alone, and where there are more than k, first those that
    will not be compromised again soon.

    Parameters
    ----------
    y_true, day, entity, k, weight
        As in `card_precision_at_k`.

    Raises
    ------
    DataError
        A card has two weights.

    Examples
    --------
    >>> attainable_card_precision_at_k([0, 1, 1, 0], [0, 0, 1, 1], [5, 6, 6, 7], k=1)
    0.5
    """
    fraud, days, entities = checked(y_true=y_true, day=day, entity=entity)
    score = knowing_score(fraud, days, entities)
    return card_precision_at_k(fraud, score, days, entities, k, weight=weight)


def knowing_score(fraud: Flags, day: Codes, entity: Codes) -> Float:
    """Score frauds above the rest, those of cards whose last fraud is earlier higher."""
    _, card = np.unique(entity, return_inverse=True)
    _, order = np.unique(day, return_inverse=True)
    last = np.full(card.max() + 1, -1)
    np.maximum.at(last, card[fraud], order[fraud])
    return np.where(fraud, order.max() + 1.0 - last[card], 0.0)


def card_days(
    fraud: Flags, score: Float, day: Codes, card: Codes, home: Codes | None = None
) -> CardDays:
    """Reduce rows to one entry a card and day, sorted by score within the day.

    `home` is the weight that each card has, where several cards share one.
    """
    count = int(card.max()) + 1
    home = np.arange(count) if home is None else home
    key = np.unique(day, return_inverse=True)[1] * count + card
    rows = np.argsort(key)
    key = key[rows]
    starts = np.append(0, np.flatnonzero(np.diff(key)) + 1)
    highest = np.maximum.reduceat(score[rows], starts)
    label = np.logical_or.reduceat(fraud[rows], starts)
    day, card = np.divmod(key[starts], count)
    order = np.lexsort((-highest, day))
    days = np.split(order, np.flatnonzero(np.diff(day)) + 1)
    built = tuple(
        CardDay(card[part], home[card[part]], _runs(highest[part]), np.flatnonzero(label[part]))
        for part in days
    )
    return CardDays(built, count)


def mean_card_precision(days: CardDays, mass: NDArray[Any], k: int) -> Float:
    """Return the mean over days for weights of the cards, shape (..., homes)."""
    replicates = np.atleast_2d(mass)
    slot = np.full(days.count, -1)
    slot[days.suspects] = np.arange(len(days.suspects))
    left = np.ones((len(replicates), len(days.suspects)))
    hits, day_count = np.zeros((2, len(replicates)))
    for day in days.days:
        day_hits, any_card = _check_day(day, replicates, slot, left, k)
        hits += day_hits
        day_count += any_card
    return ratio(hits, k * day_count).reshape(mass.shape[:-1])


def _check_day(
    day: CardDay, mass: NDArray[Any], slot: Codes, left: Float, k: int
) -> tuple[Float, Flags]:
    """Return the compromised cards among the k of a day, and whether the day has any card.

    They are taken out of what is left of the suspects.
    """
    present, any_card = _leading(day, mass, slot, left, k)
    end = present.shape[1]
    # Weight up to and above each run of tied scores; the k places fill it from the top.
    upto = np.cumsum(present, axis=1)[:, np.append(np.flatnonzero(np.diff(day.tie[:end])), end - 1)]
    above = np.concatenate([np.zeros((len(mass), 1)), upto[:, :-1]], axis=1)
    share = np.clip(ratio(k - above, upto - above, otherwise=0.0), 0.0, 1.0)
    hits = day.compromised[: np.searchsorted(day.compromised, end)]
    share = share[:, day.tie[hits]]
    left[:, slot[day.card[hits]]] *= 1 - share
    return (present[:, hits] * share).sum(axis=1), any_card


def _leading(
    day: CardDay, mass: NDArray[Any], slot: Codes, left: Float, k: int
) -> tuple[Float, Flags]:
    """Return the weight left of the leading cards of a day, enough for k places everywhere.

    Runs of ties stay whole, and the number of cards doubles until every replicate has k of them.
    """
    length = 2 * k + 32
    while True:
        last = day.tie[min(length, len(day.tie)) - 1]
        end = int(np.searchsorted(day.tie, last, side="right"))
        weights = mass[:, day.home[:end]]
        present: Float = weights.astype(np.float64)
        suspect = slot[day.card[:end]]
        present[:, suspect >= 0] *= left[:, suspect[suspect >= 0]]
        if end == len(day.tie) or present.sum(axis=1).min() >= k:
            return present, np.asarray(weights.any(axis=1))
        length *= 2


def _runs(ordered: Float) -> Codes:
    """Number the runs of equal values, from 0."""
    return np.append(0, np.cumsum(ordered[1:] != ordered[:-1]))


def _prepare(
    columns: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike], weight: ArrayLike | None
) -> tuple[CardDays, Float]:
    y_true, y_score, day, entity = columns
    fraud, score, days, entities, weights = checked(
        y_true=y_true, y_score=y_score, day=day, entity=entity, weight=weight
    )
    weights = weights_or_ones(weights, fraud)
    counted = weights > 0
    fraud, score, days = fraud[counted], score[counted], days[counted]
    entities, weights = entities[counted], weights[counted]
    codes, card = np.unique(entities, return_inverse=True)
    mass = np.ones(len(codes))
    mass[card] = weights
    _refuse_two_weights(mass[card] != weights, entities)
    return card_days(fraud, score, days, card), mass


def _refuse_two_weights(differs: Flags, entity: Codes) -> None:
    if differs.any():
        cards = len(np.unique(entity[differs]))
        raise DataError(
            f"weight differs within {cards:,} entities (one is {entity[np.argmax(differs)]}). "
            "One weight for all rows of an entity was expected."
        )
