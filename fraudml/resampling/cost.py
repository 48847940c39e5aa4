"""The time that a sampler will take, estimated from trials on a few rows."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BudgetError
from fraudml.progress import Deadline

_log = logging.getLogger(__name__)

_FREE_ROWS = 5_000
_FIRST_TRIAL = 500
_ENOUGH_SECONDS = 0.1
_INFO_SECONDS = 5.0
_MIN_OF_A_CLASS = 20
_MAX_POWER = 3.0


def check_cost(
    trial: Callable[[NDArray[np.int64]], None], y: NDArray[np.int64], deadline: Deadline, name: str
) -> None:
    """Estimate a sampler's time by runs on a few rows, log it, and refuse what is too long.

    Trials double in size until one takes a tenth of a second or has a quarter of the rows, two at
    least. The time is assumed to grow further as between the last two: at least with the rows, at
    most with their cube. Tables of up to 5,000 rows are not tried.

    `trial` runs the sampler on the rows at given positions; a trial has the same share of frauds as
    all rows, and at least 20 of each class.
    """
    if len(y) <= _FREE_ROWS and not deadline.expired:
        return
    seconds = 0.0 if deadline.expired else _estimate(trial, y)
    level = logging.INFO if seconds >= _INFO_SECONDS else logging.DEBUG
    _log.log(level, "%s: about %.0f s for %s rows", name, seconds, f"{len(y):,}")
    if seconds >= deadline.left:
        raise BudgetError(
            f"resampling by {name} would take about {seconds:,.0f} s on {len(y):,} rows; the "
            f"budget leaves {deadline.left:,.0f} s. Its time grows faster than the number of rows. "
            "Thin the legitimate rows with data.keep_legit, put a random_under step before it, "
            "or raise budget.seconds."
        )


def _estimate(trial: Callable[[NDArray[np.int64]], None], y: NDArray[np.int64]) -> float:
    sizes: list[int] = []
    seconds: list[float] = []
    while True:
        rows = _sample(y, _FIRST_TRIAL * 2 ** len(sizes))
        started = time.perf_counter()
        trial(rows)
        seconds.append(max(time.perf_counter() - started, 1e-6))
        sizes.append(len(rows))
        enough = seconds[-1] >= _ENOUGH_SECONDS or 2 * sizes[-1] > len(y) / 4
        if enough and len(sizes) > 1:
            break
    power = math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2])
    growth: float = (len(y) / sizes[-1]) ** min(max(power, 1.0), _MAX_POWER)
    return seconds[-1] * growth


def _sample(y: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Choose evenly spaced rows of each class, in order."""
    chosen = []
    for value in (0, 1):
        rows = np.flatnonzero(y == value)
        count = max(round(size * len(rows) / len(y)), min(_MIN_OF_A_CLASS, len(rows)))
        chosen.append(rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)])
    return np.sort(np.concatenate(chosen))
