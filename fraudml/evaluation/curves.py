"""What a report draws of scored rows: tidy tables with bands, thinned, computed once.

All bands draw whole clusters, as the intervals of single numbers do, and the same ones: the first
`BAND_REPLICATES` of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.scored import ScoredFrame
from fraudml.evaluation.table import clusters_of
from fraudml.metrics import Cut, bootstrap_sums
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
    options: BootstrapOptions,
    *,
    threshold: float | None,
) -> Curves:
    """Compute all curves of a block at natural prevalence.

    Costs a few sorts of the rows, and one product of counts with sparse totals: a second or two at
    500,000 rows.

    Parameters
    ----------
    scored : ScoredFrame
        With all labels known.
    alert : ndarray of bool
        What the policy decided.
    costs : CostMatrix
        Of the same rows.
    options : BootstrapOptions
        For the bootstrap; with the seed of `evaluate` the replicates are the same.
    threshold : float, optional
        The policy's, where it has one for all rows.
    """
    fraud = scored.label == 1
    columns = [costs.tp_cost, costs.fp_cost, costs.fn_cost, costs.tn_cost]
    never = row_costs(fraud, np.zeros(len(fraud), dtype=np.bool_), columns)
    always = row_costs(fraud, np.ones(len(fraud), dtype=np.bool_), columns)
    rungs, periods = _rungs(scored.p, fraud, threshold), _periods(scored)
    cuts = [
        _threshold_cut(scored, fraud, never, always - never, rungs),
        _outcome_cut(scored, fraud, alert, np.where(alert, always, never)),
    ]
    if periods is not None:
        cuts.append(_period_cut(scored, fraud, alert, periods))
    sums, ends = _sums(cuts, scored, options), _Ends(options.level)
    no_periods = pl.DataFrame(schema={"start": pl.Datetime("us")})
    return Curves(
        by_threshold=_by_threshold(scored, rungs, sums[0], ends),
        over_time=no_periods if periods is None else _over_time(periods, sums[2], ends),
        outcomes=_outcomes(scored, sums[1], ends),
        cost_never=float(never.sum()),
        cost_always=float(always.sum()),
    )


def _sums(cuts: list[Cut], scored: ScoredFrame, options: BootstrapOptions) -> list[list[Floats]]:
    """The sums of each column of each cut, of shape (1 + replicates, cells)."""
    if options.replicates:
        few = replace(options, replicates=min(options.replicates, BAND_REPLICATES))
        tables = bootstrap_sums(cuts, clusters_of(scored), **few.drawing)
    else:
        tables = [cut.sums()[None] for cut in cuts]
    return [[sums[..., i] for i in range(sums.shape[-1])] for sums in tables]


@dataclass(frozen=True)
class _Ends:
    """Columns of a table: a number of the sample, and its ends."""

    level: float

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


def _threshold_cut(
    scored: ScoredFrame, fraud: Alerts, never: Floats, change: Floats, rungs: Floats
) -> Cut:
    """Rows by the highest threshold that they reach; a last cell for those that reach none."""
    cell = np.searchsorted(-rungs, -scored.p, side="left")
    amount = _at_stake(scored)
    value = np.zeros(len(fraud)) if amount is None else np.where(fraud, amount, 0.0)
    cases = _cases(scored, np.ones(len(fraud), dtype=np.bool_))
    columns = [np.ones(len(fraud)), fraud.astype(np.float64), change, value, never, cases]
    return Cut(cell, len(rungs) + 1, columns)


def _by_threshold(
    scored: ScoredFrame, rungs: Floats, sums: list[Floats], ends: _Ends
) -> pl.DataFrame:
    count, days = len(rungs), scored.days
    alerts, caught, changed, saved, lost, cased = (np.cumsum(one, axis=1) for one in sums)
    tables = {
        "alerts_per_day": cased / days if days is not None and days >= 1 else None,
        "precision": _share(caught, alerts),
        "recall": _share(caught, caught[:, -1:]),
        "value_recall": _share(saved, saved[:, -1:]) if _at_stake(scored) is not None else None,
        "cost": changed + lost[:, -1:],
    }
    made = {
        "threshold": pl.Series(rungs),
        "alerts": pl.Series(alerts[0, :count].astype(np.int64)),
    }
    for name, values in tables.items():
        made |= ends.columns(name, None if values is None else values[:, :count], count)
    return pl.DataFrame(made)


def _cases(scored: ScoredFrame, alert: Alerts) -> Floats:
    """1 on the alerted row of the highest probability of each card and day, 0 on the others."""
    day = scored.day
    out: Floats = np.zeros(len(alert))
    if day is not None:
        out[case_rows(alert, day, scored.entity, scored.p)] = 1.0
    return out


@dataclass(frozen=True)
class _Periods:
    """The period of each row, and where they start and end, in microseconds."""

    of_row: Codes
    start: Codes
    end: Codes

    @property
    def days(self) -> Floats:
        length: Floats = (self.end - self.start) / _DAY
        return length


def _periods(scored: ScoredFrame) -> _Periods | None:
    """Cut the time of the block; the last period takes the rest. None without a clock.

    A period is as short as `MOST_PERIODS` allow, but for hours, which want less than three days.
    """
    if scored.time is None:
        return None
    clock = scored.time.astype("datetime64[us]").astype(np.int64)
    span = int(clock.max() - clock.min()) + 1
    lengths = _LENGTHS if span <= 3 * _DAY else _LENGTHS[2:]
    length = next((one for one in lengths if span // one <= MOST_PERIODS), lengths[-1])
    count = max(1, span // length)
    start = clock.min() + length * np.arange(count)
    of_row = np.minimum((clock - clock.min()) // length, count - 1)
    return _Periods(of_row, start, np.append(start[1:], clock.max() + 1))


def _period_cut(scored: ScoredFrame, fraud: Alerts, alert: Alerts, periods: _Periods) -> Cut:
    flags = [np.ones(len(fraud)), fraud, alert, fraud & alert, _cases(scored, alert)]
    return Cut(periods.of_row, len(periods.start), [one.astype(np.float64) for one in flags])


def _over_time(periods: _Periods, sums: list[Floats], ends: _Ends) -> pl.DataFrame:
    days, (rows, frauds, alerts, caught, cases) = periods.days, sums
    made = {
        "start": pl.Series(periods.start).cast(pl.Datetime("us")),
        "end": pl.Series(periods.end).cast(pl.Datetime("us")),
        "days": pl.Series(days),
        "rows": pl.Series(rows[0].astype(np.int64)),
        "frauds": pl.Series(frauds[0].astype(np.int64)),
        "alerts": pl.Series(alerts[0].astype(np.int64)),
    }
    rates = {
        "precision": _share(caught, alerts),
        "recall": _share(caught, frauds),
        "alerts_per_day": np.where(days >= 1, cases / days, np.nan),
    }
    for name, values in rates.items():
        made |= ends.columns(name, values, len(days))
    return pl.DataFrame(made)


def _outcome_cut(scored: ScoredFrame, fraud: Alerts, alert: Alerts, cost: Floats) -> Cut:
    cell = np.where(fraud, np.where(alert, 0, 1), np.where(alert, 2, 3))
    amount = _at_stake(scored)
    stake = np.zeros(len(fraud)) if amount is None else amount
    return Cut(cell, len(OUTCOMES), [np.ones(len(fraud)), stake, cost])


def _outcomes(scored: ScoredFrame, sums: list[Floats], ends: _Ends) -> pl.DataFrame:
    rows, amounts, costs = sums
    made = {"outcome": pl.Series(OUTCOMES)}
    made |= ends.columns("rows", rows, len(OUTCOMES))
    known = _at_stake(scored) is not None
    made |= ends.columns("amount", amounts if known else None, len(OUTCOMES))
    made |= ends.columns("cost", costs, len(OUTCOMES))
    return pl.DataFrame(made)
