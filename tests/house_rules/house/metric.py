"""A metric: the precision of the tenth of the rows with the highest scores."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.metrics import Metric


def top_decile(
    y_true: NDArray[Any], y_score: NDArray[Any], weight: NDArray[Any] | None = None
) -> float:
    """Return the share of frauds among the tenth of the rows with the highest scores."""
    top = y_score >= np.quantile(y_score, 0.9)
    return float(np.average(y_true[top], weights=None if weight is None else weight[top]))


TOP_DECILE = Metric("top_decile", top_decile, ("y_true", "y_score"), "higher", (0.0, 1.0))
