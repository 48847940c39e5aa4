"""Division that has a value where the divisor is 0."""

from __future__ import annotations

import numpy as np

from fraudml.metrics._checks import Float


def ratio(over: Float, under: Float, otherwise: float = np.nan) -> Float:
    """Divide, with `otherwise` where the divisor is 0."""
    over, under = np.broadcast_arrays(np.asarray(over, float), np.asarray(under, float))
    out: Float = np.full(under.shape, otherwise)
    np.divide(over, under, out=out, where=under != 0)
    return out
