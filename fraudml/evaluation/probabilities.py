"""Whether probabilities mean what they say on rows that tuned nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

RIGHT = (0.85, 1.18)
"""Within these the mean probability over the base rate is called right."""

ENOUGH_FRAUDS = 200
"""With fewer in the rows it was fitted on or is judged by, the ratio is mostly noise: of 36 against
75 frauds, a perfect model is within .8 to 1.25 in three draws of four."""


@dataclass(frozen=True)
class CalibrationVerdict:
    """What the mean probability over the base rate says about a calibrator.

    Parameters
    ----------
    verdict : str
        `right`, `wrong`, or `undecided` where there are too few frauds to tell.
    ratio, low, high : float, optional
        The ratio on the judged rows and its interval; None where there is none.
    fitted_frauds, judged_frauds : int
        How many frauds it was fitted on, and how many the judged rows hold.
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
        """Say it in words."""
        if self.ratio is None:
            return "undecided: the mean probability has no base rate to be held against"
        ends = "" if self.low is None else f" ({self.low:.2f} to {self.high:.2f})"
        few = min(self.fitted_frauds, self.judged_frauds)
        why = f", from {few} frauds" if self.verdict == "undecided" else ""
        return f"{self.verdict}: their mean over the base rate is {self.ratio:.2f}{ends}{why}"


def judge_calibration(
    entry: Mapping[str, Any], *, fitted_frauds: int, judged_frauds: int
) -> CalibrationVerdict:
    """Judge calibrated probabilities by their mean over the base rate.

    Parameters
    ----------
    entry : mapping
        `calibration_in_the_large` of the judged rows, as `metrics.json` has it.
    fitted_frauds : int
        Frauds among the out-of-fold scores that the calibrator was fitted on.
    judged_frauds : int
        Frauds among the judged rows.

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
