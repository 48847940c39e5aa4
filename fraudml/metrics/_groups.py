"""Ranking statistics, each once: on a sample, or on many bootstrap replicates side by side.

A ranking metric changes only where the score has a fraud. So a sample is reduced to its distinct
fraud scores, the 'groups': the weight of fraud at each, and the legitimate weight above it and
level with it. Every array has the groups on its last axis, highest score first; replicates, if
any, on the first. Where a statistic is undefined it is NaN here, and never outside this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fraudml.metrics._checks import Codes, Flags, Float
from fraudml.metrics.ratios import ratio


@dataclass(frozen=True)
class FraudGroups:
    """The weight of fraud and of legitimate rows around each distinct fraud score."""

    fraud: Float  # (..., groups): fraud at the score
    legit_above: Float  # (..., groups): legitimate rows of a higher score
    legit_upto: Float  # (..., groups): the same, with the rows level with it
    legit_total: Float  # (...,)

    @cached_property
    def caught(self) -> Float:
        """Fraud at the score or above."""
        total: Float = np.cumsum(self.fraud, axis=-1)
        return total

    @cached_property
    def fraud_total(self) -> Float:
        """All fraud."""
        total: Float = self.fraud.sum(axis=-1)
        return total

    @cached_property
    def precision(self) -> Float:
        """Precision of alerting at the score or above; 0 where the weight is 0."""
        return ratio(self.caught, self.caught + self.legit_upto, otherwise=0.0)


def positive(y_true: Flags, y_score: Float, weight: Float | None) -> tuple[Flags, Float, Float]:
    """Return the rows whose weight is above 0."""
    if weight is None:
        return y_true, y_score, np.ones(len(y_true))
    keep = weight > 0
    return y_true[keep], y_score[keep], weight[keep]


def locate(y_true: Flags, y_score: Float) -> tuple[Codes, Codes, int]:
    """Locate the frauds in groups and the legitimate rows around them, highest score first.

    Returns the group of each fraud; the bin of each legitimate row (2 g before group g, 2 g + 1
    level with it, 2 G after the last of G); and G.
    """
    distinct, ascending = np.unique(y_score[y_true], return_inverse=True)
    count = len(distinct)
    legit = y_score[~y_true]
    # One binary search a row among the fraud scores, which are few: no sort of all rows.
    below = np.searchsorted(distinct, legit)
    level = np.zeros(len(legit), dtype=np.bool_)
    if count:
        level = distinct[np.minimum(below, count - 1)] == legit
    return count - 1 - ascending, 2 * (count - below) - level, count


def fraud_groups(y_true: Flags, y_score: Float, weight: Float | None) -> FraudGroups:
    """Reduce a sample to its groups."""
    y_true, y_score, weight = positive(y_true, y_score, weight)
    group, around, count = locate(y_true, y_score)
    legit = np.cumsum(np.bincount(around, weight[~y_true], 2 * count + 1), dtype=np.float64)
    above = legit[0 : 2 * count : 2]
    return FraudGroups(
        fraud=np.bincount(group, weight[y_true], minlength=count)[:count].astype(float),
        legit_above=above,
        legit_upto=legit[1 : 2 * count : 2],
        legit_total=legit[-1],
    )


def average_precision(groups: FraudGroups) -> Float:
    """Σ (R_n − R_{n−1}) P_n."""
    return ratio((groups.fraud * groups.precision).sum(axis=-1), groups.fraud_total)


def standardised_area(groups: FraudGroups, max_fpr: float) -> Float:
    """McClish's partial area; at `max_fpr` 1 the whole area.

    A group adds its share of the fraud times the width to the right of it, and as it rises in a
    straight line over the legitimate rows level with it, half of the width on that line.
    """
    total = groups.legit_total[..., None]
    start, end = ratio(groups.legit_above, total), ratio(groups.legit_upto, total)  # FPRs
    reached = np.clip(max_fpr, start, end)
    rising = ratio((reached - start) ** 2, 2 * (end - start), otherwise=0.0)
    width = rising + np.maximum(max_fpr - end, 0.0)
    area = ratio((groups.fraud * width).sum(axis=-1), groups.fraud_total)
    chance = max_fpr**2 / 2
    return 0.5 * (1 + (area - chance) / (max_fpr - chance))


def recall_at_fpr(groups: FraudGroups, cap: float) -> Float:
    """The largest recall whose false-positive rate is at most the cap."""
    total = groups.legit_total[..., None]
    allowed = ratio(groups.legit_upto, total, otherwise=0.0) <= cap
    return ratio((groups.fraud * allowed).sum(axis=-1), groups.fraud_total)


def recall_at_precision(groups: FraudGroups, floor: float) -> Float:
    """The largest recall whose precision is at least the floor."""
    caught = np.where(groups.precision >= floor, groups.caught, 0.0)
    return ratio(caught.max(axis=-1, initial=0.0), groups.fraud_total)


def precision_at_k(groups: FraudGroups, k: int) -> Float:
    """The share of fraud in the top k, where tied rows share the last places."""
    top = np.minimum(k, groups.fraud_total + groups.legit_total)
    before = groups.legit_above + groups.caught - groups.fraud
    size = groups.fraud + groups.legit_upto - groups.legit_above
    share = np.clip(ratio(top[..., None] - before, size, otherwise=0.0), 0.0, 1.0)
    return ratio((groups.fraud * share).sum(axis=-1), top)


def gain_area(groups: FraudGroups) -> Float:
    """The area under the precision–recall gain curve, from a recall gain of 0 on.

    Both gains are linear in 1/TP where the false alerts rise linearly with TP, so a group is a
    straight segment, and the segment from no alert on is cut where the recall gain is 0: TP = π P.
    """
    positives = groups.fraud_total[..., None]
    negatives = groups.legit_total[..., None]
    origin = positives * ratio(positives, positives + negatives)
    before = groups.caught - groups.fraud
    start, end = np.maximum(before, origin), np.maximum(groups.caught, origin)
    slope = ratio(groups.legit_upto - groups.legit_above, groups.fraud, otherwise=0.0)
    odds = ratio(positives, negatives)

    def gains(caught: Float) -> tuple[Float, Float]:
        false = groups.legit_above + slope * (caught - before)
        recall = 1 - odds * ratio(positives - caught, caught)
        return 1 - odds * ratio(false, caught), recall

    precision_start, recall_start = gains(start)
    precision_end, recall_end = gains(end)
    area = (recall_end - recall_start) * (precision_start + precision_end) / 2
    return np.where(groups.fraud_total > 0, area.sum(axis=-1), np.nan)
