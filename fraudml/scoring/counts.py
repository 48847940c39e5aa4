"""Counts of scored rows: rejects, alerts, and the bins that features and scores fall into."""

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
from fraudml.scoring.chunks import Chunk
from fraudml.scoring.rows import REASON

Integers = tuple[int, ...]


@dataclass(frozen=True)
class ScoreCounts:
    """Counts of some rows of an input; two of them add up.

    `rejects` are by reason, `without_key` by the column whose past is looked at. `missing` and
    `unseen` are by feature: rows without a value, and rows with a category that the training did
    not have. `features` and `score` are rows by bin of the reference distribution, empty where the
    bundle has none.
    """

    rows: int = 0
    rejects: Mapping[str, int] = field(default_factory=dict)
    alerts: int = 0
    refunds: int = 0
    without_key: Mapping[str, int] = field(default_factory=dict)
    missing: Integers = ()
    unseen: Integers = ()
    features: tuple[Integers, ...] = ()
    score: Integers = ()

    @property
    def rejected(self) -> int:
        """How many rows could not be scored."""
        return sum(self.rejects.values())

    @property
    def scored(self) -> int:
        """How many rows have a score."""
        return self.rows - self.rejected

    def __add__(self, more: ScoreCounts) -> ScoreCounts:
        """Return the counts of both."""
        own = self.features or [()] * len(more.features)
        return ScoreCounts(
            self.rows + more.rows,
            dict(Counter(self.rejects) + Counter(more.rejects)),
            self.alerts + more.alerts,
            self.refunds + more.refunds,
            dict(Counter(self.without_key) + Counter(more.without_key)),
            _sum(self.missing, more.missing),
            _sum(self.unseen, more.unseen),
            tuple(_sum(a, b) for a, b in zip(own, more.features, strict=True)),
            _sum(self.score, more.score),
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ScoreCounts:
        """Read counts from what `dataclasses.asdict` and JSON made of them."""
        tuples = {name: tuple(content[name]) for name in ("missing", "unseen", "score")}
        return cls(**{**content, **tuples, "features": tuple(map(tuple, content["features"]))})


def _sum(a: Integers, b: Integers) -> Integers:
    return tuple(x + y for x, y in zip(a, b, strict=True)) if a else b


def count_chunk(
    bundle: DecisionBundle, chunk: Chunk, X: DesignMatrix, decisions: Decisions
) -> ScoreCounts:
    """Count the rows of a chunk, their features `X`, and their decisions."""
    columns = np.ascontiguousarray(X.values.T)
    missing, unseen = np.isnan(columns).sum(axis=1), np.zeros(len(X.names), dtype=np.int64)
    for position in X.categorical:
        missing[position] = np.count_nonzero(columns[position] == MISSING_CODE)
        unseen[position] = np.count_nonzero(columns[position] == UNSEEN_CODE)
    table, reference = chunk.table, bundle.reference_distribution
    amount, keys = table.facts["amount"], sorted(bundle.features.history.keys)
    bins = () if reference is None else zip(reference.features, columns, strict=True)
    return ScoreCounts(
        rows=chunk.rows,
        rejects=dict(sorted(Counter(chunk.refused[REASON].to_list()).items())),
        alerts=int(decisions.alert.sum()),
        refunds=int((amount <= 0).sum()) if amount.dtype == pl.Float64 else 0,
        without_key={name: count for name in keys if (count := table.names(name).null_count())},
        missing=tuple(missing.tolist()),
        unseen=tuple(unseen.tolist()),
        features=tuple(tuple(own.count(column).tolist()) for own, column in bins),
        score=() if reference is None else tuple(reference.score.count(decisions.p).tolist()),
    )
