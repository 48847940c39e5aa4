"""Scored rows in fixed columns: what metrics, policies and reports speak about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.data.schema import Dataset


@dataclass(frozen=True)
class ScoredFrame:
    """Rows with the scores of a model that has not seen them.

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
        values = self._column("amount")
        return None if values is None else values.cast(pl.Float64).to_numpy()

    @property
    def entity(self) -> NDArray[np.int64] | None:
        """The entities as codes; None without the role."""
        values = self._column("entity")
        return None if values is None else values.to_numpy()

    @property
    def day(self) -> NDArray[np.int64] | None:
        """The days since 1970; None without a clock."""
        values = self._column("day")
        return None if values is None else values.to_numpy()

    @property
    def time(self) -> NDArray[np.datetime64] | None:
        """The times; None without a clock."""
        values = self._column("time")
        return None if values is None else values.to_numpy()

    @property
    def days(self) -> float | None:
        """How many days the rows span, with the gap after the last one; None without a clock."""
        time = self.time
        if time is None:
            return None
        between = float((time.max() - time.min()) / np.timedelta64(1, "D"))
        return between * len(time) / max(len(time) - 1, 1)

    def _column(self, name: str) -> pl.Series | None:
        values = self.frame[name]
        return None if values.null_count() == len(values) else values


def score_rows(
    dataset: Dataset,
    rows: NDArray[np.int64],
    margin: NDArray[np.float64],
    p: NDArray[np.float64],
) -> ScoredFrame:
    """Put scores beside the facts of their rows.

    Parameters
    ----------
    dataset : Dataset
        The table.
    rows : ndarray of int64
        Which of its rows were scored.
    margin, p : ndarray of float64
        Their scores.
    """
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
