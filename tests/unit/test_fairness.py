"""Alerts by group: counts, rates, their ratios, and what equal rates would cost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.evaluation.fairness import (
    judge_groups,
    read_groups,
)
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.scored import ScoredFrame

NONE = BootstrapOptions(replicates=0)
FEW = BootstrapOptions(replicates=200, seed=3)
RATES = ("false_positive_rate", "true_positive_rate", "precision", "alert_rate", "ratio")


def scored(
    margin: NDArray[np.float64], label: NDArray[np.int8], entity: NDArray[np.int64]
) -> ScoredFrame:
    nothing = pl.Series([None]).new_from_index(0, len(margin))
    return ScoredFrame(
        pl.DataFrame(
            {
                "margin": margin,
                "label": label,
                "time": nothing.cast(pl.Datetime("us")),
                "entity": entity,
            }
        )
    )


def costs(amount: NDArray[np.float64]) -> CostMatrix:
    review = np.full(len(amount), 10.0)
    return CostMatrix(review, review, amount, np.zeros(len(amount)))


def table(size: int = 3000, seed: int = 0) -> dict[str, Any]:
    """Cards of three groups, one of which is scored higher for nothing."""
    random = np.random.default_rng(seed)
    entity = random.integers(0, 150, size)
    names = np.array(["north", "south", None], dtype=object)
    group = names[entity % 3]
    label = (random.random(size) < 0.05).astype(np.int8)
    margin = np.round(random.normal(size=size) + 2.0 * label + 0.8 * (entity % 3 == 1), 2)
    return {
        "scored": scored(margin, label, entity),
        "alert": margin > 1.8,
        "costs": costs(random.gamma(1.0, 60.0, size)),
        "groups": read_groups(pl.Series("region", group.tolist(), dtype=pl.String)),
    }


def judged(made: dict[str, Any], options: BootstrapOptions = FEW) -> dict[str, Any]:
    return judge_groups(**made, options=options)


def counts(made: dict[str, Any], times: NDArray[Any]) -> dict[str, Counter[str]]:
    """The slow way: row by row."""
    found: dict[str, Counter[str]] = {level: Counter() for level in made["groups"].levels}
    rows = zip(made["groups"].codes, made["scored"].label, made["alert"], times, strict=True)
    for code, label, alert, n in rows:
        cell = {(0, 0): "tn", (0, 1): "fp", (1, 0): "fn", (1, 1): "tp"}[(int(label), int(alert))]
        found[made["groups"].levels[code]][cell] += int(n)
    return found


def slow_rates(made: dict[str, Any], times: NDArray[Any]) -> dict[str, dict[str, float]]:
    found = counts(made, times)
    false = sum(c["fp"] for c in found.values())
    overall = false / sum(c["fp"] + c["tn"] for c in found.values())
    return {
        level: {
            "false_positive_rate": c["fp"] / (c["fp"] + c["tn"]),
            "true_positive_rate": c["tp"] / (c["tp"] + c["fn"]),
            "precision": c["tp"] / (c["tp"] + c["fp"]),
            "alert_rate": (c["tp"] + c["fp"]) / c.total(),
            "ratio": c["fp"] / (c["fp"] + c["tn"]) / overall,
        }
        for level, c in found.items()
    }
