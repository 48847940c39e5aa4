"""What a report draws of scored rows: tidy tables with bands, thinned, computed once.

All bands draw whole clusters, as the intervals of single numbers do, and the same ones: the first
`BAND_REPLICATES` of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.evaluation.scored import ScoredFrame
from fraudml.evaluation.table import IntervalSettings, clusters_of
from fraudml.metrics import Clusters, bootstrap_sums
from fraudml.metrics.alerts import case_rows
from fraudml.metrics.money import row_costs

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Alerts = NDArray[np.bool_]

BAND_REPLICATES = 200
"""Replicates of a band, at most; single numbers have more."""

RUNGS = 120
"""Thresholds at even steps of the logarithm of the rank, and as many at even steps of recall."""

MOST_PERIODS = 31
"""Periods that the test block is cut into, at most."""

_DAY = 86_400_000_000
_LENGTHS = (_DAY // 24, _DAY // 4, _DAY, 7 * _DAY, 28 * _DAY, 91 * _DAY, 364 * _DAY)
"""How long a period may be, in microseconds: whole hours, days or weeks."""

OUTCOMES = ("frauds caught", "frauds missed", "false alerts", "legitimate, left alone")
"""What can come of a row, in the order of the table."""


@dataclass(frozen=True)
class Curves:
    """What a report draws.

    Every number has its ends beside it, as in `precision`, `precision_low`, `precision_high`; null
    where it has no value, or where intervals are left out.

    Parameters
    ----------
    by_threshold : DataFrame
        One row a threshold on the probability, falling, a few hundred of them: `threshold`,
        `alerts` (rows), `alerts_per_day` (cases, as in `metrics.alerts_per_day`; null in less than
        a day), `precision`, `recall`, `value_recall` (null without an amount), `cost`. A row is
        alerted where its probability is at least the threshold; the policy's own is among them
        where it has one.
    over_time : DataFrame
        One row a period of the block, in order: `start`, `end`, `days`, `rows`, `frauds`, and of
        the policy's alerts `alerts`, `precision`, `recall`, `alerts_per_day`. Empty without a
        clock.
    outcomes : DataFrame
        What came of the rows under the policy, in the order of `OUTCOMES`: `outcome`, `rows`,
        `amount` (null without an amount), `cost`.
    cost_never, cost_always : float
        Of alerting no row, and every row.
    """

    by_threshold: pl.DataFrame
    over_time: pl.DataFrame
    outcomes: pl.DataFrame
    cost_never: float
    cost_always: float


def draw_curves(
    scored: ScoredFrame,
    alert: Alerts,
    costs: CostMatrix,
    settings: IntervalSettings,
    *,
    threshold: float | None,
    seed: int,
    threads: int,
) -> Curves:
    """Compute all curves of a block at natural prevalence.

    Costs one sort of the rows, and a product of counts with sparse totals for each curve: under
    half a second at 500,000 rows.

    Parameters
    ----------
    scored : ScoredFrame
        With all labels known.
    alert : ndarray of bool
        What the policy decided.
    costs : CostMatrix
        Of the same rows.
    settings : IntervalSettings
        Replicates and level.
    threshold : float, optional
        The policy's, where it has one for all rows.
    seed, threads : int
        For the bootstrap; with the seed of `evaluate` the draws are the same.
    """
    drawn = _Sums(
        clusters_of(scored) if settings.replicates else None,
        min(settings.replicates, BAND_REPLICATES),
        settings.level,
        seed,
        threads,
    )
    fraud = scored.label == 1
    columns = [costs.tp_cost, costs.fp_cost, costs.fn_cost, costs.tn_cost]
    never = row_costs(fraud, np.zeros(len(fraud), dtype=np.bool_), columns)
    always = row_costs(fraud, np.ones(len(fraud), dtype=np.bool_), columns)
    return Curves(
        by_threshold=_by_threshold(
            scored, fraud, never, always - never, drawn, threshold=threshold
        ),
        over_time=_over_time(scored, fraud, alert, drawn),
        outcomes=_outcomes(scored, fraud, alert, np.where(alert, always, never), drawn),
        cost_never=float(never.sum()),
        cost_always=float(always.sum()),
    )


@dataclass(frozen=True)
class _Sums:
    """Sums by cell on the sample and on replicates, and the columns of a table made of them."""

    clusters: Clusters | None
    replicates: int
    level: float
    seed: int
    threads: int

    def of(self, cell: Codes, cells: int, columns: list[Floats]) -> list[Floats]:
        """Return the sums of each column, of shape (1 + replicates, cells)."""
        if self.clusters is None:
            sums = [np.bincount(cell, one, minlength=cells)[None] for one in columns]
            return [one.astype(np.float64) for one in sums]
        found = bootstrap_sums(
            cell,
            columns,
            self.clusters,
            cells=cells,
            replicates=self.replicates,
            seed=self.seed,
            threads=self.threads,
        )
        return [found[..., position] for position in range(len(columns))]

    def columns(self, name: str, values: Floats | None, cells: int) -> dict[str, pl.Series]:
        """Return a number of the sample and its ends, of values (1 + replicates, cells)."""
        if values is None:
            nothing = pl.Series([None], dtype=pl.Float64).new_from_index(0, cells)
            return {name: nothing, f"{name}_low": nothing, f"{name}_high": nothing}
        tail = (1 - self.level) / 2
        low, high = (_quantile(values, share) for share in (tail, 1 - tail))
        made = {name: values[0], f"{name}_low": low, f"{name}_high": high}
        return {key: pl.Series(one, nan_to_null=True) for key, one in made.items()}


def _quantile(values: Floats, share: float) -> Floats:
    """The quantile over the replicates that have a value; NaN where none or no sample has one."""
    drawn = values[1:]
    known = ~np.isnan(drawn)
    kept = known.any(axis=0) & ~np.isnan(values[0])
    out: Floats = np.full(values.shape[1], np.nan)
    if kept.any():
        out[kept] = np.nanquantile(drawn[:, kept], share, axis=0)
    return out


def _share(part: Floats, whole: Floats) -> Floats:
    out: Floats = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=out, where=np.broadcast_to(whole, out.shape) > 0)
    return out


def _at_stake(scored: ScoredFrame) -> Floats | None:
    """The amounts; None where one is not known, as for the metrics of value."""
    amount = scored.amount
    return None if amount is None or np.isnan(amount).any() else amount


def _rungs(p: Floats, fraud: Alerts, threshold: float | None) -> Floats:
    """The thresholds that are looked at, falling; the lowest alerts every row."""
    order = np.argsort(-p, kind="stable")
    ranks = np.geomspace(1, len(p), RUNGS).round().astype(np.int64) - 1
    caught = np.flatnonzero(fraud[order])
    caught = caught[np.linspace(0, len(caught) - 1, min(RUNGS, len(caught))).astype(np.int64)]
    own = [] if threshold is None or threshold > p.max() else [threshold]
    return np.unique(np.concatenate([p[order][ranks], p[order][caught], own]))[::-1]


def _by_threshold(
    scored: ScoredFrame,
    fraud: Alerts,
    never: Floats,
    change: Floats,
    drawn: _Sums,
    *,
    threshold: float | None,
) -> pl.DataFrame:
    rungs = _rungs(scored.p, fraud, threshold)
    count = len(rungs)
    cell = np.searchsorted(-rungs, -scored.p, side="left")
    amount = _at_stake(scored)
    value = np.zeros(len(fraud)) if amount is None else np.where(fraud, amount, 0.0)
    every = np.ones(len(fraud), dtype=np.bool_)
    cases = _cases(scored, every)
    columns = [np.ones(len(fraud)), fraud.astype(np.float64), change, value, never, cases]
    alerts, caught, changed, saved, lost, cased = (
        np.cumsum(one, axis=1) for one in drawn.of(cell, count + 1, columns)
    )
    days = scored.days
    tables = {
        "alerts_per_day": cased / days if days is not None and days >= 1 else None,
        "precision": _share(caught, alerts),
        "recall": _share(caught, caught[:, -1:]),
        "value_recall": None if amount is None else _share(saved, saved[:, -1:]),
        "cost": changed + lost[:, -1:],
    }
    made = {
        "threshold": pl.Series(rungs),
        "alerts": pl.Series(alerts[0, :count].astype(np.int64)),
    }
    for name, values in tables.items():
        made |= drawn.columns(name, None if values is None else values[:, :count], count)
    return pl.DataFrame(made)


def _cases(scored: ScoredFrame, alert: Alerts) -> Floats:
    """1 on the alerted row of the highest probability of each card and day, 0 on the others."""
    day = scored.day
    out: Floats = np.zeros(len(alert))
    if day is not None:
        out[case_rows(alert, day, scored.entity, scored.p)] = 1.0
    return out


def _periods(time: Codes) -> tuple[Codes, int, int]:
    """The period of each moment, how many there are, and how long one is; the last takes the rest.

    A period is as short as `MOST_PERIODS` allow, but for hours, which want less than three days.
    """
    span = int(time.max() - time.min()) + 1
    lengths = _LENGTHS if span <= 3 * _DAY else _LENGTHS[2:]
    length = next((one for one in lengths if span // one <= MOST_PERIODS), lengths[-1])
    count = max(1, span // length)
    return np.minimum((time - time.min()) // length, count - 1), count, length


def _over_time(scored: ScoredFrame, fraud: Alerts, alert: Alerts, drawn: _Sums) -> pl.DataFrame:
    time = scored.time
    if time is None:
        return pl.DataFrame(schema={"start": pl.Datetime("us")})
    clock = time.astype("datetime64[us]").astype(np.int64)
    period, count, length = _periods(clock)
    flags = [one.astype(np.float64) for one in (fraud, alert, fraud & alert)]
    frauds, alerts, caught, cases = drawn.of(period, count, [*flags, _cases(scored, alert)])
    start = clock.min() + length * np.arange(count)
    end = np.append(start[1:], clock.max() + 1)
    days = (end - start) / _DAY
    made = {
        "start": pl.Series(start).cast(pl.Datetime("us")),
        "end": pl.Series(end).cast(pl.Datetime("us")),
        "days": pl.Series(days),
        "rows": pl.Series(np.bincount(period, minlength=count)),
        "frauds": pl.Series(frauds[0].astype(np.int64)),
        "alerts": pl.Series(alerts[0].astype(np.int64)),
    }
    rates = {
        "precision": _share(caught, alerts),
        "recall": _share(caught, frauds),
        "alerts_per_day": np.where(days >= 1, cases / days, np.nan),
    }
    for name, values in rates.items():
        made |= drawn.columns(name, values, count)
    return pl.DataFrame(made)


def _outcomes(
    scored: ScoredFrame, fraud: Alerts, alert: Alerts, cost: Floats, drawn: _Sums
) -> pl.DataFrame:
    cell = np.where(fraud, np.where(alert, 0, 1), np.where(alert, 2, 3))
    amount = _at_stake(scored)
    stake = np.zeros(len(fraud)) if amount is None else amount
    rows, amounts, costs = drawn.of(cell, len(OUTCOMES), [np.ones(len(fraud)), stake, cost])
    made = {"outcome": pl.Series(OUTCOMES)}
    made |= drawn.columns("rows", rows, len(OUTCOMES))
    made |= drawn.columns("amount", None if amount is None else amounts, len(OUTCOMES))
    made |= drawn.columns("cost", costs, len(OUTCOMES))
    return pl.DataFrame(made)
