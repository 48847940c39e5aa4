"""Confidence bounds on shares and rates, and the sizes at which thresholds are tested.

The threshold whose sample value is just right is usually wrong, because it was picked from many. So
a policy tests thresholds in an order that is fixed beforehand, with a bound at each, and stops at
the first failure: the chance of a wrong threshold is then that of a single test, however many there
were (Angelopoulos et al. 2021, Learn then test, section 2.3).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, chdtri, stdtrit

Counts = NDArray[np.int64]
Side = Literal["lower", "upper"]

GROWTH = 1.1
"""How much larger each tested size is than the one before."""


def share_bound(hits: float, rows: float, *, level: float, side: Side) -> float:
    """Return the exact one-sided bound of a share of independent rows; of no rows 0 or 1.

    Counts may be fractions, where they were divided by a design effect. Clopper and Pearson (1934),
    The use of confidence or fiducial limits illustrated in the case of the binomial.

    Examples
    --------
    >>> round(share_bound(7, 8, level=0.95, side="lower"), 4)
    0.5293
    >>> share_bound(0, 8, level=0.95, side="lower")
    0.0
    """
    misses = max(rows - hits, 0.0)
    if side == "lower":
        return 0.0 if hits <= 0 else float(betaincinv(hits, misses + 1, 1 - level))
    return 1.0 if misses <= 0 else float(betaincinv(hits + 1, misses, level))


def clustered_share_bound(hits: Counts, rows: Counts, *, level: float, side: Side) -> float:
    """Return a one-sided bound of a share, from the hits and rows of each cluster.

    The exact bound of as many independent rows as would be as certain: the count divided by the
    design effect, at least 1, that the clusters show, and by a factor for measuring it on few of
    them. The effect that rows which are all alike within a cluster would have counts as one more
    cluster: it alone decides where all rows or none are hits. Korn and Graubard (1998), Confidence
    intervals for proportions with small expected number of positive counts.

    Examples
    --------
    >>> alone = clustered_share_bound(np.array([1] * 7 + [0]), np.ones(8, int), level=0.95,
    ...                               side="lower")
    >>> two_cards = clustered_share_bound(np.array([4, 3]), np.array([4, 4]), level=0.95,
    ...                                   side="lower")
    >>> two_cards < alone < 7 / 8
    True
    """
    count = float(rows.sum())
    if count == 0:
        return share_bound(0, 0, level=level, side=side)
    share = float(hits.sum()) / count
    effective = _effective_rows(hits, rows, share, level)
    return share_bound(share * effective, effective, level=level, side=side)


def rows_if_alike(rows: Counts) -> float:
    """Return how many independent rows equal clusters whose rows are all alike.

    Kish (1965), Survey sampling, section 8.2.

    Examples
    --------
    >>> rows_if_alike(np.array([1, 1, 1])), rows_if_alike(np.array([3, 1]))
    (3.0, 1.6)
    """
    squares = float(np.sum(rows.astype(np.float64) ** 2))
    return float(rows.sum()) ** 2 / squares if squares else 0.0


def _effective_rows(hits: Counts, rows: Counts, share: float, level: float) -> float:
    count, clusters = float(rows.sum()), int(np.count_nonzero(rows))
    alike = rows_if_alike(rows)
    if clusters < 2 or not 0 < share < 1:
        return alike
    # Variance of the share between clusters, over that of independent rows: the design effect.
    variance = np.sum((hits - share * rows) ** 2) * clusters / (clusters - 1) / count**2
    measured = max(float(variance) / (share * (1 - share)) * (count - 1), 1.0)
    # Only clusters that hold both kinds of rows tell how alike their rows are.
    informative = min(np.count_nonzero(hits), np.count_nonzero(rows - hits))
    effect = (informative * measured + count / alike) / (informative + 1)
    # Student's quantiles: an effect that was measured on few clusters is itself uncertain.
    few = float(stdtrit(count - 1, level) / stdtrit(clusters - 1, level)) ** 2
    return count / effect * few


def rate_bound(by_day: Counts, *, days: float, level: float) -> float:
    """Return an upper bound of the mean count a day, from the counts of all days.

    The larger of two: that of a Poisson count whose variance is as many times its mean as the days
    show, and Student's of the counts. `days` is how many they span, the first and the last perhaps
    in part. Garwood (1936), Fiducial limits for the Poisson distribution.

    Examples
    --------
    >>> round(rate_bound(np.zeros(10, dtype=np.int64), days=10, level=0.95), 3)
    0.3
    """
    total, count = float(by_day.sum()), len(by_day)
    dispersion, student = 1.0, 0.0
    if count > 1 and total:
        variance = float(np.var(by_day, ddof=1))
        dispersion = max(1.0, variance * count / total)
        student = total / days + float(stdtrit(count - 1, level)) * np.sqrt(variance / count)
    poisson = dispersion * float(chdtri(2 * (total / dispersion + 1), 1 - level)) / 2 / days
    return max(poisson, student)


def look_sizes(first: int, last: int) -> Counts:
    """Return the sizes to test from the first to the last, each about a tenth larger.

    Examples
    --------
    >>> look_sizes(8, 14).tolist()
    [8, 9, 10, 11, 12, 14]
    """
    if last < first:
        return np.empty(0, dtype=np.int64)
    steps = int(np.log(last / first) / np.log(GROWTH)) + 1
    sizes = np.floor(first * GROWTH ** np.arange(steps + 1)).astype(np.int64)
    # Below ten a tenth is less than one: every size is tested.
    sizes = np.union1d(np.arange(first, min(last, 10) + 1), sizes)
    return np.unique(np.minimum(sizes, last))
