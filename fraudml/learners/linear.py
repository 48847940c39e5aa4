"""Linear models of any estimator: coefficients and preprocessing as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.files import write_json
from fraudml.learners.boosting import unreadable
from fraudml.learners.preprocessing import Preprocessing
from fraudml.learners.protocol import check_score_columns
from fraudml.matrix import DesignMatrix

KIND = "linear"
MODEL_FILE = "linear.json"


class FittedLinear:
    """A linear model: margins are sums of coefficient × value, added column by column."""

    kind = KIND
    rounds = None

    def __init__(
        self,
        preprocessing: Preprocessing,
        coefficients: NDArray[np.float64],
        intercept: float,
        names: tuple[str, ...],
    ) -> None:
        self.preprocessing = preprocessing
        self.coefficients = coefficients
        self.intercept = intercept
        self.names = names

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the decision function, one float64 a row; the same bits in any batch."""
        check_score_columns(self.names, X)
        columns = self.preprocessing.transform(X.values)
        margin = np.full(len(X), self.intercept)
        for coefficient, column in zip(self.coefficients, columns.T, strict=True):
            margin += coefficient * column
        return margin

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        """Return coefficient × value, summed by feature; shape (n_rows, n_features + 1).

        Scaled values are 0 at their mean, so contributions are differences from the mean; the last
        column is the intercept.
        """
        check_score_columns(self.names, X)
        columns = self.preprocessing.transform(X.values)
        parts = np.zeros((len(X), len(self.names) + 1))
        parts[:, -1] = self.intercept
        for source, coefficient, column in zip(
            self.preprocessing.sources, self.coefficients, columns.T, strict=True
        ):
            parts[:, source] += coefficient * column
        return parts

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `linear.json`; return the names of the columns."""
        content = {
            "preprocessing": self.preprocessing.to_dict(),
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept,
        }
        write_json(folder / MODEL_FILE, content)
        return {"names": list(self.names)}


def load(
    files: Mapping[str, bytes],
    metadata: Mapping[str, Any],
    threads: int = 1,  # noqa: ARG001 - one is enough
) -> FittedLinear:
    """Read back what `FittedLinear.save` wrote; margins are the same bits."""
    try:
        content = json.loads(files[MODEL_FILE])
        preprocessing = Preprocessing.from_dict(content["preprocessing"])
        names = preprocessing.named(metadata["names"])
        coefficients = np.array(content["coefficients"], dtype=np.float64)
        intercept = float(content["intercept"])
        if coefficients.shape != preprocessing.sources.shape:
            raise ValueError(f"{coefficients.size} coefficients do not fit the columns")
        if not np.isfinite([*coefficients, intercept]).all():
            raise ValueError("a coefficient is not finite")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise unreadable(MODEL_FILE, error) from error
    return FittedLinear(preprocessing, coefficients, intercept, names)
