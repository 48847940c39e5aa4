"""Tables that a report draws of scored rows, with intervals, thinned, computed once.

Intervals resample whole clusters, as those of single metrics do, and use the first
`BAND_REPLICATES` of the same replicates. Rows are first summed into cells (of a threshold, a
period, an outcome), so that a replicate costs one weighted sum of cells instead of a pass over the
rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.evaluation.intervals import BootstrapOptions, percentile_ends
from fraudml.evaluation.scored import ScoredFrame
from fraudml.evaluation.table import clusters_of
from fraudml.metrics import Cut, bootstrap_sums
from fraudml.metrics.alerts import case_rows
from fraudml.metrics.money import row_costs
from fraudml.metrics.ratios import ratio

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Alerts = NDArray[np.bool_]

BAND_REPLICATES = 200
"""Replicates of a band, at most; single metrics have more."""

THRESHOLDS = 120
"""Thresholds at even steps of the logarithm of the rank, and as many at even steps of recall."""

MAX_PERIODS = 31
"""Periods that the test block is cut into, at most."""

_DAY = 86_400_000_000
_LENGTHS = (_DAY // 24, _DAY // 4, _DAY, 7 * _DAY, 28 * _DAY, 91 * _DAY, 364 * _DAY)
"""How long a period may be, in microseconds: whole hours, days or weeks."""

OUTCOMES = ("frauds caught", "frauds missed", "false alerts", "legitimate, left alone")
"""The outcomes of a row, in the order of the table."""


@dataclass(frozen=True)
class Curves:
    """Tables that a report draws.

    Every metric has its ends beside it, as in `precision`, `precision_low`, `precision_high`; null
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
        The rows by outcome under the policy, in the order of `OUTCOMES`: `outcome`, `rows`,
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
    """Compute all tables of a block at natural prevalence, whose labels are all known.

    `threshold` is the policy's, where it has one for all rows. With the seed of `evaluate` the
    replicates are the same. Costs a few sorts of the rows, and one product of counts with sparse
    totals: a second or two at 500,000 rows.
    """
    fraud = scored.label == 1
    never = row_costs(fraud, np.zeros(len(fraud), dtype=np.bool_), costs.as_tuple())
    always = row_costs(fraud, np.ones(len(fraud), dtype=np.bool_), costs.as_tuple())
    thresholds, periods = _thresholds(scored.p, fraud, threshold), _periods(scored)
    cuts = [
        _threshold_cut(scored, fraud, never, always - never, thresholds),
        _outcome_cut(scored, fraud, alert, np.where(alert, always, never)),
    ]
    if periods is not None:
        cuts.append(_period_cut(scored, fraud, alert, periods))
    sums, level = _sums(cuts, scored, options), options.level
    no_periods = pl.DataFrame(schema={"start": pl.Datetime("us")})
    return Curves(
        by_threshold=_by_threshold(scored, thresholds, sums[0], level),
        over_time=no_periods if periods is None else _over_time(periods, sums[2], level),
        outcomes=_outcomes(scored, sums[1], level),
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


def _columns(tables: dict[str, Floats | None], cells: int, level: float) -> dict[str, pl.Series]:
    """Columns of each metric and its ends, from values of shape (1 + replicates, cells)."""
    columns: dict[str, pl.Series] = {}
    for name, values in tables.items():
        table = np.full((1, cells), np.nan) if values is None else values
        low, high = percentile_ends(table, level)
        for key, column in ((name, table[0]), (f"{name}_low", low), (f"{name}_high", high)):
            columns[key] = pl.Series(column, nan_to_null=True)
    return columns


def _at_stake(scored: ScoredFrame) -> Floats | None:
    """The amounts; None where one is not known, as for the metrics of value."""
    amount = scored.amount
    return None if amount is None or np.isnan(amount).any() else amount


def _thresholds(p: Floats, fraud: Alerts, threshold: float | None) -> Floats:
    """The thresholds of the table, falling; the lowest alerts every row."""
    order = np.argsort(-p, kind="stable")
    ranks = np.geomspace(1, len(p), THRESHOLDS).round().astype(np.int64) - 1
    caught = np.flatnonzero(fraud[order])
    caught = caught[np.linspace(0, len(caught) - 1, min(THRESHOLDS, len(caught))).astype(np.int64)]
    own = [] if threshold is None or threshold > p.max() else [threshold]
    return np.unique(np.concatenate([p[order][ranks], p[order][caught], own]))[::-1]


def _threshold_cut(
    scored: ScoredFrame, fraud: Alerts, never: Floats, change: Floats, thresholds: Floats
) -> Cut:
    """Rows by the highest threshold that they reach; a last cell for those that reach none."""
    cell = np.searchsorted(-thresholds, -scored.p, side="left")
    amount = _at_stake(scored)
    value = np.zeros(len(fraud)) if amount is None else np.where(fraud, amount, 0.0)
    cases = _cases(scored, np.ones(len(fraud), dtype=np.bool_))
    columns = [np.ones(len(fraud)), fraud.astype(np.float64), change, value, never, cases]
    return Cut(cell, len(thresholds) + 1, columns)


def _by_threshold(
    scored: ScoredFrame, thresholds: Floats, sums: list[Floats], level: float
) -> pl.DataFrame:
    count, days = len(thresholds), scored.days
    # A threshold alerts its own cell and all before it, so running sums are what it gives.
    alerts, caught, changed, saved, lost, cases = (np.cumsum(part, axis=1) for part in sums)
    tables = {
        "alerts_per_day": cases / days if days is not None and days >= 1 else None,
        "precision": ratio(caught, alerts),
        "recall": ratio(caught, caught[:, -1:]),
        "value_recall": ratio(saved, saved[:, -1:]) if _at_stake(scored) is not None else None,
        "cost": changed + lost[:, -1:],
    }
    cut = {name: None if table is None else table[:, :count] for name, table in tables.items()}
    return pl.DataFrame(
        {
            "threshold": pl.Series(thresholds),
            "alerts": pl.Series(alerts[0, :count].astype(np.int64)),
            **_columns(cut, count, level),
        }
    )


def _cases(scored: ScoredFrame, alert: Alerts) -> Floats:
    """1 on the alerted row of the highest probability of each card and day, 0 on the others."""
    cases: Floats = np.zeros(len(alert))
    if scored.day is not None:
        cases[case_rows(alert, scored.day, scored.entity, scored.p)] = 1.0
    return cases


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

    A period is as short as `MAX_PERIODS` allows; hours are used in less than three days.
    """
    if scored.time is None:
        return None
    clock = scored.time.astype("datetime64[us]").astype(np.int64)
    span = int(clock.max() - clock.min()) + 1
    lengths = _LENGTHS if span <= 3 * _DAY else _LENGTHS[2:]
    length = next((each for each in lengths if span // each <= MAX_PERIODS), lengths[-1])
    count = max(1, span // length)
    start = clock.min() + length * np.arange(count)
    of_row = np.minimum((clock - clock.min()) // length, count - 1)
    return _Periods(of_row, start, np.append(start[1:], clock.max() + 1))


def _period_cut(scored: ScoredFrame, fraud: Alerts, alert: Alerts, periods: _Periods) -> Cut:
    flags = [np.ones(len(fraud)), fraud, alert, fraud & alert, _cases(scored, alert)]
    return Cut(periods.of_row, len(periods.start), [flag.astype(np.float64) for flag in flags])


def _over_time(periods: _Periods, sums: list[Floats], level: float) -> pl.DataFrame:
    days, (rows, frauds, alerts, caught, cases) = periods.days, sums
    counts = {"rows": rows, "frauds": frauds, "alerts": alerts}
    rates: dict[str, Floats | None] = {
        "precision": ratio(caught, alerts),
        "recall": ratio(caught, frauds),
        "alerts_per_day": np.where(days >= 1, cases / days, np.nan),
    }
    return pl.DataFrame(
        {
            "start": pl.Series(periods.start).cast(pl.Datetime("us")),
            "end": pl.Series(periods.end).cast(pl.Datetime("us")),
            "days": pl.Series(days),
            **{name: pl.Series(count[0].astype(np.int64)) for name, count in counts.items()},
            **_columns(rates, len(days), level),
        }
    )


def _outcome_cut(scored: ScoredFrame, fraud: Alerts, alert: Alerts, cost: Floats) -> Cut:
    cell = np.where(fraud, np.where(alert, 0, 1), np.where(alert, 2, 3))
    amount = _at_stake(scored)
    stake = np.zeros(len(fraud)) if amount is None else amount
    return Cut(cell, len(OUTCOMES), [np.ones(len(fraud)), stake, cost])


def _outcomes(scored: ScoredFrame, sums: list[Floats], level: float) -> pl.DataFrame:
    rows, amounts, costs = sums
    amount = None if _at_stake(scored) is None else amounts
    columns = _columns({"rows": rows, "amount": amount, "cost": costs}, len(OUTCOMES), level)
    return pl.DataFrame({"outcome": pl.Series(OUTCOMES), **columns})
