"""Whether probabilities are called right, wrong, or undecided."""

from __future__ import annotations

import pytest

from fraudml.evaluation.probabilities import judge_calibration


def entry(value: float | None) -> dict[str, float | None]:
    ends = (None, None) if value is None else (value - 0.1, value + 0.1)
    return {"value": value, "low": ends[0], "high": ends[1]}


@pytest.mark.parametrize(
    ("ratio", "fitted", "judged", "verdict"),
    [
        (1.0, 500, 500, "right"),
        (0.85, 200, 200, "right"),
        (1.18, 200, 200, "right"),
        (0.84, 500, 500, "wrong"),
        (1.19, 500, 500, "wrong"),
        (1.0, 199, 500, "undecided"),
        (1.0, 500, 199, "undecided"),
        (5.0, 500, 75, "undecided"),
        (None, 500, 500, "undecided"),
    ],
)
def test_few_frauds_decide_nothing(
    ratio: float | None, fitted: int, judged: int, verdict: str
) -> None:
    made = judge_calibration(entry(ratio), fitted_frauds=fitted, judged_frauds=judged)
    assert made.verdict == verdict
    assert made.sentence().startswith(verdict)


def test_the_sentence_has_the_interval_and_the_count() -> None:
    made = judge_calibration(entry(1.3), fitted_frauds=900, judged_frauds=75)
    assert made.sentence() == (
        "undecided: their mean over the base rate is 1.30 (1.20 to 1.40), from 75 frauds"
    )
