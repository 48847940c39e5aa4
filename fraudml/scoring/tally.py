"""What is counted while rows are scored: rows, rejects, alerts, and how features are spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from fraudml.bundle import DecisionBundle
from fraudml.bundle.decision import Decisions
from fraudml.matrix import MISSING_CODE, UNSEEN_CODE, DesignMatrix
from fraudml.scoring.pieces import Chunk
from fraudml.scoring.rows import REASON


@dataclass(frozen=True)
class ScoreCounts:
    """Counts of some rows of an input; two of them add up.

    Parameters
    ----------
    rows : int
        Rows of the input.
    rejects : mapping
        How many rows could not be scored, by reason.
    alerts, refunds : int
        Rows that are alerted; rows whose amount is at most 0.
    missing, unseen : tuple of int
        By feature: rows without a value; rows whose category the training did not have.
    features : tuple of tuple of int
        By feature, rows in each of the bins of training; none where the bundle has no bins.
    score : tuple of int
        Rows in each of the bins of the score.
    """

    rows: int = 0
    rejects: Mapping[str, int] = field(default_factory=dict)
    alerts: int = 0
    refunds: int = 0
    missing: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()
    features: tuple[tuple[int, ...], ...] = ()
    score: tuple[int, ...] = ()

    @property
    def rejected(self) -> int:
        """How many rows could not be scored."""
        return sum(self.rejects.values())

    @property
    def scored(self) -> int:
        """How many rows have a score."""
        return self.rows - self.rejected

    def __add__(self, other: ScoreCounts) -> ScoreCounts:
        """Return the counts of both."""
        both = Counter(self.rejects) + Counter(other.rejects)
        features = tuple(
            _sum(mine, theirs)
            for mine, theirs in zip(
                self.features or [()] * len(other.features), other.features, strict=True
            )
        )
        return ScoreCounts(
            self.rows + other.rows,
            dict(both),
            self.alerts + other.alerts,
            self.refunds + other.refunds,
            _sum(self.missing, other.missing),
            _sum(self.unseen, other.unseen),
            features,
            _sum(self.score, other.score),
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ScoreCounts:
        """Make a tally from what `dataclasses.asdict` and JSON made of one."""
        plain = dict(content)
        for name in ("missing", "unseen", "score"):
            plain[name] = tuple(plain[name])
        return cls(**{**plain, "features": tuple(tuple(one) for one in plain["features"])})


def _sum(mine: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(mine, theirs, strict=True)) if mine else theirs


def count_chunk(
    bundle: DecisionBundle, piece: Chunk, X: DesignMatrix, made: Decisions
) -> ScoreCounts:
    """Count what a piece of an input holds and what became of it.

    Parameters
    ----------
    bundle : DecisionBundle
        What scored it.
    piece : Chunk
        The rows.
    X : DesignMatrix
        Their features.
    made : Decisions
        Their scores and alerts.
    """
    reasons = piece.refused[REASON].value_counts()
    rejects = dict(sorted(zip(reasons[REASON].to_list(), reasons["count"].to_list(), strict=True)))
    columns = np.ascontiguousarray(X.values.T)
    missing, unseen = np.isnan(columns).sum(axis=1), np.zeros(len(X.names), dtype=np.int64)
    for position in X.categorical:
        missing[position] = np.count_nonzero(columns[position] == MISSING_CODE)
        unseen[position] = np.count_nonzero(columns[position] == UNSEEN_CODE)
    amount = piece.table.facts["amount"]
    spread = bundle.spread
    return ScoreCounts(
        rows=piece.rows,
        rejects=rejects,
        alerts=int(made.alert.sum()),
        refunds=int((amount <= 0).sum()) if amount.dtype == pl.Float64 else 0,
        missing=tuple(map(int, missing)),
        unseen=tuple(map(int, unseen)),
        features=()
        if spread is None
        else tuple(
            tuple(map(int, bins.count(column)))
            for bins, column in zip(spread.features, columns, strict=True)
        ),
        score=() if spread is None else tuple(map(int, spread.score.count(made.p))),
    )
