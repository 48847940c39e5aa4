"""An export held against its bundle, row by row: the same probabilities, the same alerts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.bundle.decision import Decisions
from fraudml.errors import RefusedError


@dataclass(frozen=True)
class Agreement:
    """How far an export is from its bundle.

    Parameters
    ----------
    rows : int
        How many were compared.
    largest_difference : float
        Of the probability, over all rows.
    largest_margin_difference : float
        Of the margin.
    alerts : int
        How many rows the bundle alerts.
    flipped_alerts : int
        How many rows one of the two alerts and the other does not.
    tolerance : float
        How far the probability may be.
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

    def refuse(self, what: str, instead: str) -> None:
        """Refuse an export that differs.

        Parameters
        ----------
        what : str
            The export, as the message begins.
        instead : str
            What to do.

        Raises
        ------
        RefusedError
            It does not hold.
        """
        if not self.holds:
            raise RefusedError(
                f"{what} is not the bundle's model: on {self.rows:,} rows p differs by up to "
                f"{self.largest_difference:.3g}, where tolerance={self.tolerance:g} allows no more "
                f"than that, and {self.flipped_alerts:,} alerts are other ones (none may be). "
                f"{instead}"
            )


def compare(
    decided: Decisions, margin: NDArray[np.float64], p: NDArray[np.float64], tolerance: float
) -> Agreement:
    """Compare what an export says of some rows with what the bundle says.

    Parameters
    ----------
    decided : Decisions
        The bundle's.
    margin, p : ndarray of float64
        The export's.
    tolerance : float
        How far p may be.
    """
    alert = p >= decided.threshold
    return Agreement(
        rows=len(p),
        largest_difference=_largest(p, decided.p),
        largest_margin_difference=_largest(margin, decided.margin),
        alerts=int(decided.alert.sum()),
        flipped_alerts=int(np.count_nonzero(alert != decided.alert)),
        tolerance=tolerance,
    )


def _largest(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The largest difference; what is no number in one of them is as far away as can be."""
    away = np.abs(one - other)
    away[np.isnan(away)] = np.finfo(np.float64).max
    return float(away.max(initial=0.0))
