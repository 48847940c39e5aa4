"""The two isotonic regressions of Venn–Abers prediction, at chosen scores.

Adding a row of the score s with the label 1 to the fitted rows moves everything below s by one row
and one fraud in the cumulative sum diagram of isotonic regression. Its value at s is the slope of
the tangent from below that touches both what lies below s and what does not; with the label 0
likewise. So no score needs a fit of its own, and points that are no corner of the lower hull
between two chosen scores can be left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

MAX_SCORES = 1000
"""About how many scores are evaluated; between them a calibrator interpolates."""
_ROUNDS = 200
_CELLS = 1 << 20


def pairs(rows: Floats, frauds: Floats, chosen: Positions) -> tuple[Floats, Floats]:
    """Return the value at each chosen score of the fits that have it added with label 0, and 1.

    `rows` and `frauds` count those of each distinct score, lowest first; `chosen` ascends and has
    the first and the last. Both values rise with the score, and the first is below the second.
    O(n_scores) and the chosen scores times the corners between them. Vovk, Petej and Fedorova
    (2015), Large-scale probabilistic predictors with and without guarantees of validity, section 3.

    Examples
    --------
    >>> low, high = pairs(np.array([2.0, 2.0]), np.array([0.0, 1.0]), np.array([0, 1]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.333], [0.333, 0.667])
    """
    x, y = np.append(0.0, np.cumsum(rows)), np.append(0.0, np.cumsum(frauds))
    edges = np.concatenate([[0], chosen + 1, [len(x)]])
    corners = [_lower_hull(x, y, *edges[i : i + 2]) for i in range(len(edges) - 1)]
    below = np.cumsum([len(corner) for corner in corners])[:-1]
    points = np.concatenate(corners)
    size = max(1, _CELLS // len(points))
    parts = [below[start : start + size] for start in range(0, len(below), size)]
    low, high = (
        np.concatenate([_bridges(x[points], y[points], part, fraud) for part in parts])
        for fraud in (0.0, 1.0)
    )
    return np.maximum.accumulate(low), np.maximum.accumulate(high)


def choose(rows: Floats, frauds: Floats, most: int = MAX_SCORES) -> Positions:
    """Choose scores to evaluate: all where they are few, else dense where frauds and alerts are.

    Half of them are evenly spaced over the frauds, half on a logarithmic scale over the rows from
    the highest score down.
    """
    count = len(rows)
    if count <= most:
        return np.arange(count)
    total = float(rows.sum())
    from_top = total + 1 - np.geomspace(1, total, most // 2)
    fraud = np.linspace(0.0, float(frauds.sum()), most // 2)
    picked = [
        *np.searchsorted(np.cumsum(rows), from_top),
        *np.searchsorted(np.cumsum(frauds), fraud),
        *(0, count - 1),
    ]
    return np.unique(np.clip(picked, 0, count - 1)).astype(np.int64)


def _lower_hull(x: Floats, y: Floats, start: int, stop: int) -> Positions:
    """The corners of the points' lower hull: where steps of an isotonic regression meet."""
    if stop - start <= 2:
        return np.arange(start, stop)
    width = np.diff(x[start:stop])
    steps = isotonic_regression(np.diff(y[start:stop]) / width, weights=width)
    return np.asarray(start + steps.blocks, dtype=np.int64)


def _bridges(x: Floats, y: Floats, below: Positions, fraud: float) -> Floats:
    """The slope that touches the first `below` points, moved by one row, and all others.

    Newton steps on the difference of the two sides' heights, inside a bracket that is halved where
    a step would leave it.
    """
    left = np.arange(len(x)) < below[:, None]
    each = np.arange(len(below))  # a row a chosen score, a column a point
    low, high = np.zeros(len(below)), np.ones(len(below))
    slope = np.full(len(below), y[-1] / x[-1])
    for turn in range(_ROUNDS):
        height = y - slope[:, None] * x
        before = np.where(left, height, np.inf).argmin(axis=1)
        after = np.where(left, np.inf, height).argmin(axis=1)
        gap = height[each, after] - height[each, before] + fraud - slope
        low, high = np.where(gap > 0, slope, low), np.where(gap < 0, slope, high)
        step = (y[after] - y[before] + fraud) / (x[after] - x[before] + 1)
        inside = (step >= low) & (step <= high) & (turn % 4 != 3)
        moved = np.where(inside, step, (low + high) / 2)
        # The same two points again: their slope is the tangent's.
        done = np.abs(step - slope) <= 1e-15 * (1 + slope)
        slope = np.where(done, step, moved)
        if done.all():
            break
    return slope
