"""A learner: scores along the difference of the classes' means."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.learners.protocol import CPU_ONLY, FitContext, check_device, check_fit_rows
from fraudml.matrix import DesignMatrix


@dataclass(frozen=True)
class Centroid:
    """Scores along the difference of the classes' means.

    Parameters
    ----------
    scale : float
        Factor of the scores.
    """

    scale: float = 1.0

    max_rounds = None
    rounds_key = None
    devices = CPU_ONLY

    def on(self, device: str, *, deterministic: bool = False) -> "Centroid":
        check_device("Centroid", device)
        return self

    def to_dict(self) -> dict[str, Any]:
        return {"scale": self.scale}

    def fit(
        self, train: DesignMatrix, context: FitContext, *, rounds: int | None = None
    ) -> "FittedCentroid":
        check_fit_rows(train)
        values = _finite(train)
        difference = values[train.y == 1].mean(axis=0) - values[train.y == 0].mean(axis=0)
        return FittedCentroid(self.scale * difference / (values.var(axis=0) + 1e-9))


class FittedCentroid:
    kind = "centroid"
    rounds = None

    def __init__(self, weights: NDArray[np.float64]) -> None:
        self.weights = weights

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        return self.contributions(X).sum(axis=1)

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        return np.column_stack([_finite(X) * self.weights, np.zeros(len(X))])

    def save(self, folder: Path) -> dict[str, Any]:
        (folder / "weights.json").write_text(json.dumps(self.weights.tolist()), encoding="utf-8")
        return {}


def load(
    files: Mapping[str, bytes], metadata: Mapping[str, Any], threads: int = 1
) -> FittedCentroid:
    return FittedCentroid(np.array(json.loads(files["weights.json"])))


def _finite(X: DesignMatrix) -> NDArray[np.float64]:
    return np.nan_to_num(X.values.astype(np.float64))
