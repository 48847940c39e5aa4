"""Calibration as nodes of a graph: the same lines and curves as `FittedCalibrator`."""

from __future__ import annotations

import numpy as np

from fraudml.decisions.calibration import KNOTS, FittedCalibrator
from fraudml.export.forest import Floats, Forest
from fraudml.export.nodes import Nodes, put_forest


def add_probability(
    nodes: Nodes, margin: str, calibrator: FittedCalibrator, *, output: str
) -> None:
    """Add the nodes from `margin`, of the shape (n,), to the probability, named `output`."""
    nodes.put("Sigmoid", _log_odds(nodes, margin, calibrator), output=output)


def segments(calibrator: FittedCalibrator) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the lines of a calibrator with knots: bounds, and start, height and slope of each.

    Line k reaches from bound k − 1 to bound k; the first and the last have slope 1 and no end.
    """
    knots, height = np.split(np.array(calibrator.parameters), 2)
    slope = np.diff(height) / np.diff(knots)
    start = np.concatenate([knots[:1], knots])
    return knots, start, np.concatenate([height[:1], height]), np.concatenate([[1.0], slope, [1.0]])


def _log_odds(nodes: Nodes, margin: str, calibrator: FittedCalibrator) -> str:
    if calibrator.kind == "identity":
        return margin
    if calibrator.kind in KNOTS:
        return _lines(nodes, margin, calibrator)
    if calibrator.kind == "sigmoid":
        slope, intercept = calibrator.parameters
        return nodes.put("Add", _times(nodes, margin, slope), _number(nodes, intercept))
    up, down, intercept = calibrator.parameters
    # log s = min(m, 0) − t and −log(1 − s) = max(m, 0) + t, where t = log(1 + exp(−|m|)).
    tail = nodes.put("Exp", nodes.put("Neg", nodes.put("Abs", margin)))
    tail = nodes.put("Log", nodes.put("Add", tail, _number(nodes, 1.0)))
    zero = _number(nodes, 0.0)
    log_s = nodes.put("Sub", nodes.put("Min", margin, zero), tail)
    log_not_s = nodes.put("Add", nodes.put("Max", margin, zero), tail)
    curve = nodes.put("Add", _times(nodes, log_s, up), _times(nodes, log_not_s, down))
    return nodes.put("Add", curve, _number(nodes, intercept))


def _lines(nodes: Nodes, margin: str, calibrator: FittedCalibrator) -> str:
    """Find the line of a row by a tree over the bounds, and evaluate it."""
    bounds, *lines = segments(calibrator)
    column = nodes.put("Unsqueeze", margin, nodes.constant(np.array([1])))
    number = nodes.as_whole(nodes.squeeze(put_forest(nodes, column, _lookup(bounds))))
    start, height, slope = (
        nodes.put("Gather", nodes.constant(values), number, axis=0) for values in lines
    )
    along = nodes.put("Mul", slope, nodes.put("Sub", margin, start))
    return nodes.put("Add", along, height)


def _lookup(bounds: Floats) -> Forest:
    """Return a tree that counts the bounds below a number."""
    count = len(bounds)
    true, false = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    left = [(0, count)]
    while left:
        low, high = left.pop()
        middle = (low + high) // 2
        for side, first, last in ((true, low, middle), (false, middle + 1, high)):
            side[middle] = (first + last) // 2 if first < last else ~first
            if first < last:
                left.append((first, last))
    no = np.zeros(count, dtype=bool)
    return Forest(
        roots=np.array([count // 2]),
        feature=np.zeros(count, dtype=np.int64),
        threshold=bounds,
        is_set=no,
        sets=(),
        missing_true=no,
        true=true,
        false=false,
        values=np.arange(count + 1, dtype=np.float64),
    )


def _times(nodes: Nodes, values: str, factor: float) -> str:
    return nodes.put("Mul", _number(nodes, factor), values)


def _number(nodes: Nodes, value: float) -> str:
    return nodes.constant(np.array(value))
