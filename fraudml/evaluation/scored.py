"""Scored rows in fixed columns, for metrics, policies and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.data.schema import Dataset


@dataclass(frozen=True)
class ScoredFrame:
    """Rows with the scores of a model that was not fitted on them.

    Parameters
    ----------
    frame : DataFrame
        `row` (position in the input), `margin`, `p` (calibrated; Float64), `label` (Int8, null =
        not known), `amount` (Float64, at least 0, null = not known), `day` (Int64, since
        1970; null without a clock), `time`, `entity` (a code; null without the role).
    """

    frame: pl.DataFrame

    def __len__(self) -> int:
        return self.frame.height

    @property
    def margin(self) -> NDArray[np.float64]:
        """The margins."""
        return self.frame["margin"].to_numpy()

    @property
    def p(self) -> NDArray[np.float64]:
        """The probabilities."""
        return self.frame["p"].to_numpy()

    @property
    def label(self) -> NDArray[np.int8]:
        """The labels, which must all be known."""
        return self.frame["label"].to_numpy()

    @property
    def amount(self) -> NDArray[np.float64] | None:
        """The amounts, NaN where not known; None without the role."""
        return self._column("amount", pl.Float64)

    @property
    def entity(self) -> NDArray[np.int64] | None:
        """The entities as codes; None without the role."""
        return self._column("entity")

    @property
    def day(self) -> NDArray[np.int64] | None:
        """The days since 1970; None without a clock."""
        return self._column("day")

    @property
    def time(self) -> NDArray[np.datetime64] | None:
        """The times; None without a clock."""
        return self._column("time")

    @property
    def days(self) -> float | None:
        """How many days the rows span, with the gap after the last one; None without a clock."""
        time = self.time
        if time is None:
            return None
        between = float((time.max() - time.min()) / np.timedelta64(1, "D"))
        return between * len(time) / max(len(time) - 1, 1)

    def _column(self, name: str, dtype: type[pl.DataType] | None = None) -> NDArray[Any] | None:
        values = self.frame[name]
        if values.null_count() == len(values):
            return None
        return (values if dtype is None else values.cast(dtype)).to_numpy()


def score_rows(
    dataset: Dataset,
    rows: NDArray[np.int64],
    margin: NDArray[np.float64],
    p: NDArray[np.float64],
) -> ScoredFrame:
    """Combine the scores of some rows of a table with their labels, amounts, times and entities."""
    facts = dataset.facts[rows]
    amount, entity = dataset.amount, dataset.entity_codes()
    nothing = pl.Series([None]).new_from_index(0, len(rows))
    return ScoredFrame(
        pl.DataFrame(
            {
                "row": facts["row"],
                "margin": margin,
                "p": p,
                "label": facts["label"],
                "amount": nothing.cast(pl.Float64) if amount is None else amount[rows],
                "day": facts["time"].dt.epoch("d").cast(pl.Int64),
                "time": facts["time"],
                "entity": nothing.cast(pl.Int64) if entity is None else entity[rows],
            }
        )
    )
