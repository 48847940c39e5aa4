"""The sentences that a report is given: what outcomes cost."""

from __future__ import annotations

import pytest

from fraudml.decisions.costs import Affine, Card, Columns, CostModel, Fixed, Line
from fraudml.records.sentences import costs_sentence


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        (Card(), "a missed fraud costs its amount and an alert 10 (built in, not yours)"),
        (Card(7.5), "a missed fraud costs its amount and an alert 7.5"),
        (
            Fixed(1.0, 2.0, 30.0),
            "a caught fraud costs 1, a false alert costs 2, a missed fraud costs 30, a legitimate "
            "row that is left alone costs 0",
        ),
        (
            Columns("harm", "loss"),
            "a false alert costs 'harm', a missed fraud costs 'loss' (columns of the table)",
        ),
        (
            Affine(fn=Line(5.0, 0.5)),
            "a caught fraud costs 10, a false alert costs 10, a missed fraud costs 5 and 50% of "
            "the amount, a legitimate row that is left alone costs 0",
        ),
    ],
)
def test_costs_are_said_in_words(costs: CostModel, words: str) -> None:
    assert costs_sentence(costs) == words
