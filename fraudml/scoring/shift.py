"""How far an input is from what the model was trained on: population stability by feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

TRUSTED_ROWS = 1_000
"""From how many rows on a population stability index is given without a caveat."""


def population_stability(training: Sequence[int], now: Sequence[int]) -> dict[str, Any]:
    """Return the population stability index (PSI) of counts in the same bins.

    The sum over bins of (a − e) · ln(a / e), of the shares now and in training: 0 where both are
    alike, and above. Half a row is added to each bin, so that an empty one stays finite.

    Parameters
    ----------
    training, now : sequence of int
        Rows by bin.

    Returns
    -------
    dict
        `psi` (None without rows), `chance` (what sampling alone exceeds in one of twenty inputs of
        this size without any shift), `rows`, `trusted` (whether there are at least 1,000) and
        `bins`.

    Notes
    -----
    Without a shift PSI / (1/n + 1/m) is about chi-squared with bins − 1 degrees of freedom
    (Yurdakul and Naranjo 2020, doi:10.21314/JRMV.2020.227), so that rules such as 'above 0.25' say
    nothing of small inputs.

    Examples
    --------
    >>> same = population_stability([500, 500], [500, 500])
    >>> same["psi"]
    0.0
    >>> bool(population_stability([500, 500], [900, 100])["psi"] > same["chance"])
    True
    """
    from scipy.special import chdtri

    before, after = np.asarray(training, dtype=float), np.asarray(now, dtype=float)
    rows, filled = int(after.sum()), int(np.count_nonzero(before + after))
    found: dict[str, Any] = {
        "psi": None,
        "chance": None,
        "rows": rows,
        "trusted": rows >= TRUSTED_ROWS,
        "bins": filled,
    }
    if rows and before.sum():
        used = before + after > 0
        e = (before[used] + 0.5) / (before.sum() + 0.5 * filled)
        a = (after[used] + 0.5) / (rows + 0.5 * filled)
        found["psi"] = round(float(np.sum((a - e) * np.log(a / e))), 6)
        scale = 1 / rows + 1 / before.sum()
        found["chance"] = round(float(chdtri(filled - 1, 0.05)) * scale, 6) if filled > 1 else 0.0
    return found
