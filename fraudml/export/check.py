"""The check of an export against its bundle, row by row: the same probabilities and alerts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.bundle.decision import Decisions
from fraudml.errors import RefusedError


@dataclass(frozen=True)
class Agreement:
    """The largest differences between an export and its bundle on some rows.

    `alerts` are the bundle's; `flipped_alerts` counts the rows that only one of the two alerts.
    """

    rows: int
    largest_difference: float
    largest_margin_difference: float
    alerts: int
    flipped_alerts: int
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the export may stand for the bundle."""
        return self.largest_difference <= self.tolerance and not self.flipped_alerts

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    def refuse(self, export: str, instead: str) -> None:
        """Raise a `RefusedError` where it does not hold; `instead` says what to do."""
        if not self.holds:
            raise RefusedError(
                f"{export} is not the bundle's model: on {self.rows:,} rows p differs by up to "
                f"{self.largest_difference:.3g} (tolerance={self.tolerance:g}), and "
                f"{self.flipped_alerts:,} alerts differ (none may). "
                f"{instead}"
            )


def compare(
    decisions: Decisions, margin: NDArray[np.float64], p: NDArray[np.float64], tolerance: float
) -> Agreement:
    """Compare the margins and probabilities of an export with the bundle's decisions."""
    alert = p >= decisions.threshold
    return Agreement(
        rows=len(p),
        largest_difference=_largest(p, decisions.p),
        largest_margin_difference=_largest(margin, decisions.margin),
        alerts=int(decisions.alert.sum()),
        flipped_alerts=int(np.count_nonzero(alert != decisions.alert)),
        tolerance=tolerance,
    )


def _largest(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The largest difference; NaN in one of them counts as the largest number."""
    difference = np.abs(a - b)
    difference[np.isnan(difference)] = np.finfo(np.float64).max
    return float(difference.max(initial=0.0))
