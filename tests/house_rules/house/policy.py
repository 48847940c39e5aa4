"""A policy: alerts for a share of the rows."""

from dataclasses import dataclass

import numpy as np

from fraudml.decisions.policies import TunedPolicy, TuningRows


@dataclass(frozen=True)
class TopShare:
    """Alert a share of the rows.

    Parameters
    ----------
    share : float
        Of all rows, above 0.
    """

    share: float = 0.01
    value_floor: float = 0.0

    uses_costs = False

    def tune(self, rows: TuningRows) -> TunedPolicy:
        threshold = float(np.quantile(rows.p_fraud, 1 - self.share))
        return TunedPolicy("top_share", threshold, value_floor=self.value_floor)
