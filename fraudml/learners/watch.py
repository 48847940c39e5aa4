"""What a fit of boosted trees may be given besides its rows: a callback, and a cache of bins."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.matrix import DesignMatrix

Score = Callable[[NDArray[np.float32], int, int], NDArray[Any]]
"""From rows, a first round and an end to what these rounds add to the margins."""


@dataclass(frozen=True)
class EvalCallback:
    """Rows that a fit scores after some shares of its rounds, below 1.

    `report` gets the number of rounds done and the margins of the rows up to a constant; an
    exception from it ends the fit. Nothing is learnt from the rows.
    """

    rows: DesignMatrix
    shares: tuple[float, ...]
    report: Callable[[int, NDArray[np.float64]], None]


def every_round(callback: EvalCallback | None, rounds: int, score: Score) -> Callable[[int], None]:
    """Return what a fit calls after each round, with the number of rounds done.

    `score` is called only where margins are reported, so that each round is scored once.
    """
    if callback is None:
        return lambda _: None
    stops = {max(1, round(share * rounds)) for share in callback.shares} - {rounds}
    margin, scored = np.zeros(len(callback.rows)), 0

    def after_round(done: int) -> None:
        nonlocal margin, scored
        if done in stops:
            margin = margin + score(callback.rows.values, scored, done)
            scored = done
            callback.report(done, margin)

    return after_round


class BinStore:
    """Binned rows that fits on the same rows share; the oldest are dropped first.

    It holds up to `max_bytes`, counted as the rows were before binning.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._cached: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def of(self, rows: Hashable) -> Bins:
        """Return the bins of some rows, named by everything that they follow from."""
        return Bins(self, rows)

    def get(self, key: Hashable, size: int, make: Callable[[], Any]) -> Any:
        """Return what is cached under a key, or make it."""
        cached = self._cached
        if key not in cached:
            cached[key] = (make(), size)
            while len(cached) > 1 and sum(size for _, size in cached.values()) > self._max_bytes:
                cached.popitem(last=False)
        cached.move_to_end(key)
        return cached[key][0]


@dataclass(frozen=True)
class Bins:
    """The bins of one fit; `rows` stands for its rows, labels, weights and starting margin."""

    store: BinStore
    rows: Hashable

    def of(self, key: Hashable, size: int, make: Callable[[], Any]) -> Any:
        """Return the rows binned in one way, made once."""
        return self.store.get((self.rows, key), size, make)


def shared_bins(
    bins: Bins | None, key: Hashable, train: DesignMatrix, make: Callable[[], Any]
) -> Any:
    """Return the rows binned in one way: those of another fit on the same rows, or new ones."""
    return make() if bins is None else bins.of(key, train.values.nbytes, make)
