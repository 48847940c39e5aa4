"""A sampler: every second legitimate row is dropped."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Halved:
    def __init__(self, step: int = 2) -> None:
        self.step = step

    def fit_resample(self, X: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        legitimate = np.flatnonzero(y == 0)[:: self.step]
        self.sample_indices_ = np.sort(np.concatenate([np.flatnonzero(y == 1), legitimate]))
        return X[self.sample_indices_], y[self.sample_indices_]
