"""Whether probabilities are calibrated, on rows that tuned nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from fraudml.metrics import Bootstrap, Metric, Reliability
from fraudml.metrics.metric import Sums

Floats = NDArray[np.float64]

RIGHT = (0.85, 1.18)
"""The mean probability over the base rate that counts as right."""

ENOUGH_FRAUDS = 200
"""With fewer in the fitted or the judged rows the ratio is mostly noise: of 36 against 75 frauds, a
perfect model is within .8 to 1.25 in three samples of four."""


@dataclass(frozen=True)
class CalibrationVerdict:
    """What the mean probability over the base rate says about a calibrator.

    `undecided` where the fitted or the judged rows hold too few frauds to tell.
    """

    verdict: Literal["right", "wrong", "undecided"]
    ratio: float | None
    low: float | None
    high: float | None
    fitted_frauds: int
    judged_frauds: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    def sentence(self) -> str:
        """Return the verdict as a sentence."""
        if self.ratio is None:
            return "undecided: there is no base rate to compare the mean probability with"
        ends = "" if self.low is None else f" ({self.low:.2f} to {self.high:.2f})"
        few = min(self.fitted_frauds, self.judged_frauds)
        why = f", from {few} frauds" if self.verdict == "undecided" else ""
        return f"{self.verdict}: their mean over the base rate is {self.ratio:.2f}{ends}{why}"


def judge_calibration(
    entry: Mapping[str, Any], *, fitted_frauds: int, judged_frauds: int
) -> CalibrationVerdict:
    """Judge calibrated probabilities by their mean over the base rate.

    `entry` is `calibration_in_the_large` of the judged rows, as `metrics.json` has it.

    Examples
    --------
    >>> entry = {"value": 1.3, "low": 1.1, "high": 1.5}
    >>> judge_calibration(entry, fitted_frauds=900, judged_frauds=300).verdict
    'wrong'
    >>> judge_calibration(entry, fitted_frauds=900, judged_frauds=75).verdict
    'undecided'
    """
    ratio = entry["value"]
    verdict: Literal["right", "wrong", "undecided"] = "undecided"
    if ratio is not None and min(fitted_frauds, judged_frauds) >= ENOUGH_FRAUDS:
        verdict = "right" if RIGHT[0] <= ratio <= RIGHT[1] else "wrong"
    return CalibrationVerdict(
        verdict, ratio, entry["low"], entry["high"], fitted_frauds, judged_frauds
    )


def bin_metrics(table: Reliability) -> list[Metric]:
    """Return the share of fraud in each bin as a metric, for one bootstrap with the others."""
    return [
        Metric(
            _bin_name(i),
            partial(_rate, low=low, high=high),
            ("y_true", "p_fraud"),
            "none",
            (0.0, 1.0),
            Sums.share(partial(_bin_terms, low=low, high=high)),
        )
        for i, (low, high) in enumerate(zip(table.low, table.high, strict=True))
    ]


def reliability_record(
    table: Reliability, sample: Bootstrap | None, level: float
) -> tuple[dict[str, float | None], ...]:
    """Return predicted and observed fraud, bin by bin, with intervals of what was observed.

    An end of an interval is that of the clusters or that of an exact binomial interval (Clopper and
    Pearson, 1934), whichever is further out: replicates vary nothing in a bin without fraud, and
    the binomial knows nothing of frauds that come in series. Without `sample`, which has the
    metrics of `bin_metrics`, there are no intervals.
    """
    low, high = exact_interval(table.frauds, table.rows, level)
    records = []
    for i in range(len(table.rows)):
        ends: dict[str, float | None] = {"rate_low": None, "rate_high": None}
        if sample is not None:
            by_cluster = sample.interval(_bin_name(i), level)
            ends["rate_low"] = min(v for v in (float(low[i]), by_cluster.low) if v is not None)
            ends["rate_high"] = max(v for v in (float(high[i]), by_cluster.high) if v is not None)
        records.append(
            {
                "low": float(table.low[i]),
                "high": float(table.high[i]),
                "rows": int(table.rows[i]),
                "frauds": int(table.frauds[i]),
                "mean_p": float(table.mean_p[i]),
                "rate": float(table.observed[i]),
                **ends,
            }
        )
    return tuple(records)


def exact_interval(hits: Floats, tries: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the two-sided binomial interval of Clopper and Pearson for hits of at least one try.

    Examples
    --------
    >>> low, high = exact_interval(np.array([0.0, 5.0]), np.array([10.0, 10.0]), 0.95)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.187], [0.308, 0.813])
    """
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), tries - hits + 1, tail), 0.0)
        missed = np.maximum(tries - hits, 1)
        high = np.where(hits < tries, betaincinv(hits + 1, missed, 1 - tail), 1.0)
    return low, high


def _bin_name(position: int) -> str:
    return f"reliability_bin_{position}"


def _bin_terms(
    y_true: NDArray[np.bool_], p_fraud: Floats, *, low: float, high: float
) -> tuple[Floats, Floats]:
    inside = (p_fraud >= low) & ((p_fraud < high) | (high == 1.0))
    return (inside & y_true).astype(np.float64), inside.astype(np.float64)


def _rate(
    y_true: NDArray[np.bool_], p_fraud: Floats, weight: Floats | None, *, low: float, high: float
) -> float:
    frauds, rows = _bin_terms(y_true, p_fraud, low=low, high=high)
    return float(np.average(frauds, weights=rows if weight is None else rows * weight))
