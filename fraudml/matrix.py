"""The design matrix: the boundary between polars and the arrays of a learner.

Features before it are float64; from here on they are float32. Rows stay in the order of the as-of
clock, so that a block is a slice and costs no copy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

MISSING_CODE = 0
"""The code of a missing category."""
UNSEEN_CODE = 1
"""The code of a category that the fit rows did not have."""
FIRST_LEVEL_CODE = 2
"""The code of the first known category."""

_BY_ROW = ("label", "weight", "miss_cost", "false_alert_cost")
"""The optional fields with one value a row."""


@dataclass(frozen=True)
class DesignMatrix:
    """The rows that a learner is fitted on or scores.

    Parameters
    ----------
    values : ndarray of float32, shape (n_rows, n_features)
        Row-major; NaN is a missing value. A categorical column holds whole codes (see
        `MISSING_CODE`, `UNSEEN_CODE`, `FIRST_LEVEL_CODE`).
    names : tuple of str
        One name a column.
    categorical : tuple of int
        Positions of the categorical columns.
    label : ndarray of int8, shape (n_rows,), optional
        1 = fraud. None where labels are unknown, as in scoring.
    weight : ndarray of float64, shape (n_rows,), optional
        The weight of a row in the fit; None is 1 for each.
    miss_cost : ndarray of float64, shape (n_rows,), optional
        What a fraud on the row would cost, at least 0.
    false_alert_cost : ndarray of float64, shape (n_rows,), optional
        What a false alert on the row would cost, above 0.
    """

    values: NDArray[np.float32]
    names: tuple[str, ...]
    categorical: tuple[int, ...] = ()
    label: NDArray[np.int8] | None = None
    weight: NDArray[np.float64] | None = None
    miss_cost: NDArray[np.float64] | None = None
    false_alert_cost: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        assert self.values.dtype == np.float32, self.values.dtype
        assert self.values.shape[1] == len(self.names), (self.values.shape, len(self.names))
        for name in _BY_ROW:
            column = getattr(self, name)
            assert column is None or len(column) == len(self.values), name

    def __len__(self) -> int:
        return len(self.values)

    @property
    def y(self) -> NDArray[np.int8]:
        """The labels; there must be some."""
        assert self.label is not None, "this matrix has no labels"
        return self.label

    @property
    def mistake_cost(self) -> NDArray[np.float64]:
        """What a wrong decision on each row costs: a missed fraud, or a false alert."""
        assert self.miss_cost is not None, "the workflow sets the costs of each row"
        assert self.false_alert_cost is not None, "the workflow sets the costs of each row"
        return np.where(self.y == 1, self.miss_cost, self.false_alert_cost)

    @property
    def frauds(self) -> int:
        """The number of frauds."""
        return int(np.count_nonzero(self.y == 1))

    def take(self, rows: NDArray[np.int64]) -> DesignMatrix:
        """Select rows by increasing position: a view where they are consecutive, else a copy."""
        consecutive = len(rows) > 0 and int(rows[-1]) - int(rows[0]) + 1 == len(rows)
        chosen = slice(int(rows[0]), int(rows[-1]) + 1) if consecutive else rows
        columns = {name: getattr(self, name) for name in _BY_ROW}
        taken = {name: column[chosen] for name, column in columns.items() if column is not None}
        return replace(self, values=self.values[chosen], **taken)

    def with_weight(self, weight: NDArray[np.float64] | None) -> DesignMatrix:
        """Return the same matrix with other weights."""
        return replace(self, weight=weight)


def mask_unseen_categories(fit: DesignMatrix, score: DesignMatrix) -> DesignMatrix:
    """Give categories that the fit rows do not have the code for 'unseen'.

    The codes, made from a whole development window, are then those that the fit rows alone would
    have given. Costs one copy of `score` where there are categorical columns.
    """
    if not score.categorical:
        return score
    values = score.values.copy()
    for position in score.categorical:
        codes = values[:, position].astype(np.int64)
        known = np.zeros(int(codes.max(initial=UNSEEN_CODE)) + 1, dtype=bool)
        seen = np.unique(fit.values[:, position].astype(np.int64))
        known[seen[seen < len(known)]] = True
        known[MISSING_CODE] = True
        values[~known[codes], position] = UNSEEN_CODE
    return replace(score, values=values)
