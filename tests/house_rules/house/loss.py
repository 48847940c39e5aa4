"""A loss: the log loss with frauds that count more."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.learners.losses import RowLoss
from fraudml.matrix import DesignMatrix


@dataclass(frozen=True)
class HeavyFraud:
    weight: float = 2.0

    def rows(self, train: DesignMatrix) -> RowLoss:
        fraud = train.y == 1
        return RowLoss(fraud, np.where(fraud, self.weight, 1.0).astype(np.float32))

    def start(self, train: DesignMatrix) -> float:
        share = float(train.y.mean())
        return float(np.log(share / (1 - share)))

    def gradients(self, margin: NDArray[Any], rows: RowLoss) -> tuple[NDArray[Any], NDArray[Any]]:
        p = 1 / (1 + np.exp(-margin))
        hessian = rows.scale * (p * (1 - p) + 1e-6)
        return (rows.scale * (p - rows.fraud)).astype(np.float32), hessian.astype(np.float32)

    def value(self, margin: NDArray[Any], rows: RowLoss) -> NDArray[Any]:
        return rows.scale * np.logaddexp(0, np.where(rows.fraud, -margin, margin))
