"""The cost of each outcome of a decision on each row.

Positive is a loss, negative a gain; all in the currency of the amount. `fraudml.metrics.money`
computes with these costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.errors import ConfigError, DataError

Floats = NDArray[np.float64]

DEFAULT_REVIEW_COST = 10.0
"""The cost of reviewing an alert where the user sets none."""


@dataclass(frozen=True)
class CostMatrix:
    """The four costs of each row.

    Parameters
    ----------
    tp_cost, fp_cost, fn_cost, tn_cost : ndarray of float64, shape (n_rows,)
        Cost of alerting a fraud, alerting a legitimate row, missing a fraud, passing a legitimate
        row.
    """

    tp_cost: Floats
    fp_cost: Floats
    fn_cost: Floats
    tn_cost: Floats

    def __len__(self) -> int:
        return len(self.fn_cost)

    @property
    def differ(self) -> bool:
        """Whether the costs are not the same on every row."""
        return len(self) > 0 and any(bool(np.ptp(cost) > 0) for cost in self.as_tuple())

    def take(self, rows: NDArray[np.int64]) -> CostMatrix:
        """Select rows by position."""
        return CostMatrix(*(cost[rows] for cost in self.as_tuple()))

    def as_tuple(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the four columns: of TP, FP, FN and TN."""
        return self.tp_cost, self.fp_cost, self.fn_cost, self.tn_cost

    def as_mapping(self) -> dict[str, Floats]:
        """Return the four columns by name, as the functions of `metrics.money` take them."""
        return dict(zip(("tp_cost", "fp_cost", "fn_cost", "tn_cost"), self.as_tuple(), strict=True))


class CostModel(Protocol):
    """The costs of any row, from the row itself."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns that hold costs; they are never features."""

    @property
    def needs_amount(self) -> bool:
        """Whether every row must have an amount."""

    @property
    def is_default(self) -> bool:
        """Whether the user left the costs at their defaults."""

    def costs(self, frame: pl.DataFrame, amount: Floats | None) -> CostMatrix:
        """Return the costs of each row of a table; amounts are at least 0, NaN where not known."""


def _refuse_endless(where: str, costs: Fixed | Line) -> None:
    wrong = [f"{name} is {value}" for name, value in asdict(costs).items() if not isfinite(value)]
    if wrong:
        raise ConfigError(f"{where} {', '.join(wrong)}. Costs are finite numbers.")


@dataclass(frozen=True)
class Card:
    """A missed fraud costs its amount, an alert its review.

    Parameters
    ----------
    review_cost : float, optional
        Cost of reviewing an alert; `DEFAULT_REVIEW_COST` where it is not set.
    """

    review_cost: float | None = None

    columns = ()
    needs_amount = True

    def __post_init__(self) -> None:
        if self.review_cost is not None and not 0 < self.review_cost < np.inf:
            raise ConfigError(
                f"costs.review_cost is {self.review_cost}. It is above 0 and finite: where an "
                "alert costs nothing, alerting every row is best."
            )

    @property
    def is_default(self) -> bool:
        """Whether the review cost is the default."""
        return self.review_cost is None

    def costs(self, frame: pl.DataFrame, amount: Floats | None) -> CostMatrix:
        """Return review cost for alerts, the amount for missed frauds, nothing otherwise."""
        assert amount is not None, "card costs need an amount"
        review = np.full(
            frame.height, DEFAULT_REVIEW_COST if self.review_cost is None else self.review_cost
        )
        return CostMatrix(review, review, amount, np.zeros(frame.height))


@dataclass(frozen=True)
class Fixed:
    """The same four costs on every row.

    Parameters
    ----------
    tp_cost, fp_cost, fn_cost, tn_cost : float
        As in `CostMatrix`.
    """

    tp_cost: float = DEFAULT_REVIEW_COST
    fp_cost: float = DEFAULT_REVIEW_COST
    fn_cost: float = 10 * DEFAULT_REVIEW_COST
    tn_cost: float = 0.0

    columns = ()
    needs_amount = False

    def __post_init__(self) -> None:
        _refuse_endless("costs", self)
        if self.fp_cost <= self.tn_cost:
            raise ConfigError(
                f"costs.fp_cost is {self.fp_cost} and costs.tn_cost {self.tn_cost}. A false alert "
                "costs more than no alert; otherwise alerting every row is best."
            )

    @property
    def is_default(self) -> bool:
        """Whether all four are the defaults."""
        return self == Fixed()

    def costs(self, frame: pl.DataFrame, amount: Floats | None) -> CostMatrix:
        """Return the four numbers on every row."""
        del amount
        values = (self.tp_cost, self.fp_cost, self.fn_cost, self.tn_cost)
        return CostMatrix(*(np.full(frame.height, float(value)) for value in values))


@dataclass(frozen=True)
class Columns:
    """Costs in columns of the table.

    Parameters
    ----------
    fp, fn : str
        Columns with the cost of a false alert and of a missed fraud.
    tp, tn : str, optional
        Columns with the cost of an alerted fraud and of a passed legitimate row; 0 by default.
    """

    fp: str
    fn: str
    tp: str | None = None
    tn: str | None = None

    needs_amount = False
    is_default = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that hold costs."""
        return tuple(name for name in (self.fp, self.fn, self.tp, self.tn) if name is not None)

    def costs(self, frame: pl.DataFrame, amount: Floats | None) -> CostMatrix:
        """Read the four columns; null or infinite costs are refused."""
        del amount
        values = {name: _cost_column(frame, name) for name in self.columns}
        nothing = np.zeros(frame.height)
        return _coherent(
            CostMatrix(
                tp_cost=values[self.tp] if self.tp else nothing,
                fp_cost=values[self.fp],
                fn_cost=values[self.fn],
                tn_cost=values[self.tn] if self.tn else nothing,
            )
        )


@dataclass(frozen=True)
class Line:
    """A cost that is a fixed sum and a share of the amount.

    Parameters
    ----------
    fixed : float
        In money.
    share : float
        Of the amount.
    """

    fixed: float = 0.0
    share: float = 0.0

    def __post_init__(self) -> None:
        _refuse_endless("A cost's", self)


@dataclass(frozen=True)
class Affine:
    """Each cost as `fixed + share × amount`.

    Parameters
    ----------
    tp, fp, fn, tn : Line
        Two numbers each; by default those of `Card`.
    """

    tp: Line = Line(DEFAULT_REVIEW_COST)
    fp: Line = Line(DEFAULT_REVIEW_COST)
    fn: Line = Line(0.0, 1.0)
    tn: Line = Line()

    columns = ()
    needs_amount = True

    @property
    def is_default(self) -> bool:
        """Whether all four are the defaults."""
        return self == Affine()

    def costs(self, frame: pl.DataFrame, amount: Floats | None) -> CostMatrix:
        """Return the four costs at each row's amount."""
        assert amount is not None, "affine costs need an amount"
        del frame
        lines = (self.tp, self.fp, self.fn, self.tn)
        return _coherent(CostMatrix(*(line.fixed + line.share * amount for line in lines)))


def _cost_column(frame: pl.DataFrame, name: str) -> Floats:
    if name not in frame.columns:
        raise DataError(f"column '{name}' holds costs and is not in the table. Set costs again.")
    if not frame[name].dtype.is_numeric():
        raise DataError(
            f"column '{name}' holds costs and is of type {frame[name].dtype}, no number."
        )
    values = frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise DataError(
            f"column '{name}' holds costs and is null or not finite in {wrong.sum():,} of "
            f"{len(values):,} rows (first at row {int(np.argmax(wrong)):,}). Costs are finite in "
            "every row. Fill them at the source, or set costs=fixed."
        )
    return values


def _coherent(costs: CostMatrix) -> CostMatrix:
    wrong = costs.fp_cost <= costs.tn_cost
    if wrong.any():
        raise DataError(
            f"In {wrong.sum():,} of {len(wrong):,} rows (first at row {int(np.argmax(wrong)):,}) a "
            "false alert costs no more than passing a legitimate row. There, alerting would always "
            "be best. Mend the costs, or leave these rows out."
        )
    return costs


def check_amounts(amount: Floats | None, name: str | None, rows: NDArray[np.int64]) -> None:
    """Refuse rows without an amount where costs or a policy need one.

    `name` is the amount's column and `rows` the numbers of the rows in the input, for the error.
    """
    if amount is None:
        raise ConfigError(
            "These costs, or policy.value_floor, need an amount, and no column has that role. Set "
            "data.columns.amount; or costs=fixed, and no value_floor."
        )
    missing = np.isnan(amount)
    if missing.any():
        raise DataError(
            f"column '{name}' is null in {missing.sum():,} of {len(amount):,} rows (first at row "
            f"{int(rows[missing].min()):,}). Costs and policy.value_floor need an amount in "
            "every row. Fill it at the source; or set costs=fixed, and no value_floor."
        )


def describe(costs: CostModel) -> Mapping[str, object]:
    """Return the costs as plain data for `metrics.json` and the bundle."""
    return {"kind": type(costs).__name__.lower(), **asdict(costs)}  # type: ignore[call-overload]


COST_KINDS: Mapping[str, Callable[..., CostModel]] = {
    "card": Card,
    "fixed": Fixed,
    "columns": Columns,
    "affine": Affine,
}
"""The cost models that a bundle may name."""
