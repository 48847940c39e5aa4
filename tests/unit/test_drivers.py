"""What drives a score: weights and directions that can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fraudml.errors import ConfigError
from fraudml.evaluation.drivers import find_drivers
from fraudml.matrix import DesignMatrix


class Line:
    """A model whose contributions are its coefficients times the values."""

    kind = "line"
    rounds = None

    def __init__(self, *slopes: float) -> None:
        self.slopes = np.array(slopes)

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> Any:
        return self.contributions(X).sum(axis=1)

    def contributions(self, X: DesignMatrix) -> Any:
        values = np.nan_to_num(X.values.astype(np.float64))
        return np.column_stack([values * self.slopes, np.zeros(len(X))])

    def save(self, folder: Path) -> dict[str, Any]:
        return {}


class Silent(Line):
    """A model without contributions."""

    def contributions(self, X: DesignMatrix) -> Any:
        raise ConfigError("There are no reasons for it.")


def matrix() -> DesignMatrix:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 4)).astype(np.float32)
    values[:, 3] = rng.integers(0, 3, 500)
    values[::7, 0] = np.nan
    return DesignMatrix(values, ("up", "down", "nothing", "kind"), categorical=(3,))


def test_weights_and_directions_are_those_of_the_line() -> None:
    X = matrix()
    alert = np.nan_to_num(X.values[:, 0]) > 1.5
    found = find_drivers(Line(2.0, -1.0, 0.0, 0.5), X, alert, X.values[:, 0].astype(float))
    rows = {row["feature"]: row for row in found.table.iter_rows(named=True)}
    assert set(rows) == {"up", "down", "kind"}  # what adds nothing is left out
    assert found.table["weight"].is_sorted(descending=True)
    assert (rows["up"]["direction"], rows["down"]["direction"]) == ("higher", "lower")
    assert rows["up"]["correlation"] == pytest.approx(1.0)
    assert rows["kind"]["direction"] == "by category"
    assert rows["kind"]["correlation"] is None
    assert found.table["share"].sum() == pytest.approx(1.0)
    expected = np.abs(2 * np.nan_to_num(X.values[:, 0].astype(float))).mean()
    assert rows["up"]["weight"] == pytest.approx(expected)
    assert rows["up"]["in_alerts"] > 2
    assert (found.rows, found.alerts) == (500, int(alert.sum()))


def test_without_alerts_and_without_contributions_it_says_so() -> None:
    X = matrix()
    nothing = np.zeros(len(X), dtype=np.bool_)
    found = find_drivers(Line(1.0, 1.0, 1.0, 1.0), X, nothing, np.zeros(len(X)))
    assert found.table["in_alerts"].null_count() == found.table.height
    silent = find_drivers(Silent(), X, nothing, np.zeros(len(X)))
    assert silent.table.is_empty()
    assert silent.reason == "There are no reasons for it."
