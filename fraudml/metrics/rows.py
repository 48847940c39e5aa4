"""The rows that metrics are evaluated on, column by column, checked once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fraudml.metrics._checks import checked


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """The rows of a block with what is known of them: labels, scores, decisions, money.

    Columns that are not known stay None, and the metrics that need them say so. All columns are
    checked here, once, and all problems are in one error.

    Parameters
    ----------
    y_true : array-like of 0/1 or bool, shape (n_rows,)
        1 is fraud.
    y_score : array-like of float, shape (n_rows,), optional
        Any score that rises with suspicion.
    p_fraud : array-like of float, shape (n_rows,), optional
        Calibrated probabilities.
    alert : array-like of 0/1 or bool, shape (n_rows,), optional
        Whether the policy alerts the row.
    amount : array-like of float, shape (n_rows,), optional
        Amounts; ≤ 0 counts 0.
    day, entity : array-like of int, shape (n_rows,), optional
        Codes; days grow with time.
    tp_cost, fp_cost, fn_cost, tn_cost : float or array-like of float, optional
        What each outcome costs on the row.
    n_days : float, optional
        How many days the rows span; by default the number of distinct days among them.

    Raises
    ------
    DataError
        A column is wrong, or lengths differ.
    """

    y_true: Any
    y_score: Any = None
    p_fraud: Any = None
    alert: Any = None
    amount: Any = None
    day: Any = None
    entity: Any = None
    tp_cost: Any = None
    fp_cost: Any = None
    fn_cost: Any = None
    tn_cost: Any = None
    n_days: float | None = None

    def __post_init__(self) -> None:
        names = [each.name for each in fields(self) if each.name != "n_days"]
        arrays = checked(**{name: getattr(self, name) for name in names})
        for name, array in zip(names, arrays, strict=True):
            object.__setattr__(self, name, array)
        if self.n_days is None and self.day is not None:
            object.__setattr__(self, "n_days", float(len(np.unique(self.day))))

    def __len__(self) -> int:
        return len(self.y_true)

    def take(self, rows: ArrayLike) -> ScoredRows:
        """Return some of the rows, by position or by a mask; a slice, or a group of customers."""
        picked = {
            each.name: _take(getattr(self, each.name), np.asarray(rows))
            for each in fields(self)
            if each.name != "n_days"
        }
        return ScoredRows(**picked, n_days=self.n_days)


def _take(column: Any, rows: Any) -> Any:
    return column[rows] if column is not None and column.ndim else column
