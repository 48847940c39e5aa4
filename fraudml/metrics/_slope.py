"""The slope of a logistic regression of labels on log-odds: once, and on replicates side by side.

A replicate changes the fitted line by little. So the sums in the gradient of the likelihood are
expanded around the line of the whole sample, to the fifth order in the shift: sums over rows, which
are computed once a cluster and weighted in a replicate. The shift of a replicate then solves two
equations in two unknowns, without another pass over the rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fraudml.metrics._checks import Flags, Float
from fraudml.metrics.ratios import ratio

SMALLEST_P = 1e-15
"""Probabilities are moved to [1e-15, 1 − 1e-15] before a logarithm is taken."""
_NEWTON_STEPS = 100
_ROUNDING = 1 + 1e-12
_SHIFT_STEPS = 8
_TOLERANCE = 1e-6  # a shift that still moves by more has not converged
_ORDERS = (2, 3, 4, 5, 6, 7)  # how many sums each order of the expansion has


def log_odds(p: Float) -> Float:
    """Return log(p / (1 − p)) of the clipped probabilities."""
    p = np.clip(p, SMALLEST_P, 1 - SMALLEST_P)
    return np.log(p) - np.log1p(-p)


def fit_line(fraud: Flags, odds: Float, weight: Float) -> tuple[float, float, float]:
    """Fit by Newton steps, halved until the likelihood rises: centre, height there, slope."""
    centre = float(np.average(odds, weights=weight))
    spread = float(np.sqrt(np.average((odds - centre) ** 2, weights=weight)))
    x = (odds - centre) / spread
    rate = float(np.average(fraud, weights=weight))
    # Start from the odds or from the base rate alone: the nearer one saves most of the steps.
    starts = (np.array([centre, spread]), np.array([np.log(rate / (1 - rate)), 0.0]))
    losses = [_loss(_at(line, x), fraud, weight) for line in starts]
    line, loss = starts[int(np.argmin(losses))], min(losses)
    for _ in range(_NEWTON_STEPS):
        p = _sigmoid(_at(line, x))
        off, curve = weight * (p - fraud), weight * (p * (1 - p))
        leaning = curve * x
        curvature = np.array([[curve.sum(), leaning.sum()], [leaning.sum(), leaning @ x]])
        step = np.linalg.solve(curvature, np.array([off.sum(), off @ x]))
        while (tried := _loss(_at(line - step, x), fraud, weight)) > loss * _ROUNDING:
            step = step / 2
        line, loss = line - step, tried
        if np.abs(step).max() < 1e-6:  # Newton: the next step would be about its square
            break
    return centre, float(line[0]), float(line[1] / spread)


def slope_terms(y_true: Flags, p_fraud: Float) -> Iterator[Float]:
    """Give rows, frauds, the sample's slope, then the sums of the expansion, order by order."""
    odds = log_odds(p_fraud)
    centre, height, slope = fit_line(y_true, odds, np.ones(len(odds)))
    x = odds - centre
    p = _sigmoid(height + slope * x)
    yield np.ones(len(x))
    yield y_true.astype(np.float64)
    # A replicate gets totals alone, so the sample's slope is passed on as a total too.
    yield np.full(len(x), slope)
    for derivative, count in zip(_derivatives(p, y_true), _ORDERS, strict=True):
        term = derivative
        yield term
        for _ in range(1, count):
            term = term * x
            yield term


def slope_of(sums: Float) -> Float:
    """Return the slope of each replicate; NaN with one class, or with no solution nearby."""
    rows, frauds, slope = sums[..., 0], sums[..., 1], ratio(sums[..., 2], sums[..., 0])
    orders = np.split(sums[..., 3:], np.cumsum(_ORDERS)[:-1], axis=-1)
    a, b = np.zeros_like(slope), np.zeros_like(slope)
    step = np.full_like(slope, np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_SHIFT_STEPS):
            down, along = np.moveaxis(_expansion(orders, a, b), -1, 0)
            aa, ab, bb = np.moveaxis(_expansion(orders[1:], a, b), -1, 0)
            determinant = aa * bb - ab**2
            step = ratio(aa * along - ab * down, determinant)
            a, b = a - ratio(bb * down - ab * along, determinant), b - step
    defined = (np.abs(step) < _TOLERANCE) & (frauds > 0) & (frauds < rows)
    return np.where(defined, slope + b, np.nan)


def _derivatives(p: Float, fraud: Flags) -> Iterator[Float]:
    """Each row's gradient, and the derivatives of p."""
    curve, tilt = p * (1 - p), 1 - 2 * p
    yield p - fraud
    yield curve
    yield curve * tilt
    yield curve * (1 - 6 * curve)
    yield curve * tilt * (1 - 12 * curve)
    yield curve * (1 - 30 * curve + 120 * curve**2)


def _expansion(orders: list[Float], a: Float, b: Float) -> Float:
    """Evaluate Taylor's series at a shift (a, b) of the line, by Horner's scheme.

    The sums of an order are a symmetric form; inserting the shift into one of its arguments leaves
    one sum less.
    """
    total = orders[-1]
    for order, sums in reversed(list(enumerate(orders[:-1], start=1))):
        inserted = a[..., None] * total[..., :-1] + b[..., None] * total[..., 1:]
        total = sums + inserted / order
    return total


def _sigmoid(margin: Float) -> Float:
    half: Float = 0.5 * (1 + np.tanh(margin / 2))
    return half


def _at(line: Float, x: Float) -> Float:
    height: Float = line[0] + line[1] * x
    return height


def _loss(margin: Float, fraud: Flags, weight: Float) -> float:
    signed = np.where(fraud, -margin, margin)
    surprise = np.log1p(np.exp(-np.abs(signed))) + np.maximum(signed, 0.0)
    return float(weight @ surprise)
