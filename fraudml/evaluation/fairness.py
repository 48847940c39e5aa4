"""How alerts fall on the groups of a protected attribute, and what equal treatment would cost.

Reported only: no threshold by group reaches a bundle, as deciding by a protected attribute is
unlawful in many places. False-positive rates are compared (predictive equality), because a false
alert is what an honest customer suffers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.errors import DataError
from fraudml.evaluation.intervals import BootstrapOptions, percentile_ends
from fraudml.evaluation.scored import ScoredFrame
from fraudml.evaluation.table import clusters_of
from fraudml.metrics import bootstrap_counts
from fraudml.metrics.money import row_costs
from fraudml.metrics.ratios import ratio

Floats = NDArray[np.float64]
Alerts = NDArray[np.bool_]

MAX_LEVELS = 50
"""A column with more identifies people instead of groups, or was not banded."""

NOT_KNOWN = "not known"
"""The level of rows whose group is null."""

ENOUGH_ROWS = 20
"""With fewer rows a group has counts and no rates."""

ENOUGH_FRAUDS = 5
"""With fewer frauds a group has no true-positive rate."""

ENOUGH_FALSE_ALERTS = 5
"""Groups that would have fewer false alerts at the rate of all rows are not compared."""

_TN, _FP, _FN, _TP = range(4)


@dataclass(frozen=True)
class Groups:
    """The group of each row: a code into `levels`, which are text and sorted."""

    column: str
    levels: tuple[str, ...]
    codes: NDArray[np.int64]


def read_groups(column: pl.Series) -> Groups:
    """Read the groups of a column; a `DataError` with more than `MAX_LEVELS` levels.

    Examples
    --------
    >>> read_groups(pl.Series("region", ["north", None, "north"])).levels
    ('north', 'not known')
    """
    count = column.n_unique()
    if count > MAX_LEVELS:
        raise DataError(
            f"column '{column.name}' plays the role 'group' and has {count:,} levels. At most "
            f"{MAX_LEVELS} were expected. Band its values (ages by decade), or set "
            "data.columns.group to another column or to null."
        )
    text = column.cast(pl.String).fill_null(NOT_KNOWN)
    levels, codes = np.unique(text.to_numpy().astype(str), return_inverse=True)
    return Groups(column.name, tuple(levels.tolist()), codes.astype(np.int64))


def no_groups() -> dict[str, Any]:
    """Return the record of a run where no column plays the role."""
    return {"column": None, "reason": "no column plays the role 'group' (data.columns.group)"}


def judge_groups(
    scored: ScoredFrame,
    alert: Alerts,
    costs: CostMatrix,
    groups: Groups,
    options: BootstrapOptions,
) -> dict[str, Any]:
    """Compare the alerts of each group, on rows that tuned nothing and whose labels are known.

    Returns
    -------
    dict
        Plain data for JSON: `column`; `groups`, by level, with `rows`, `frauds`, `alerts` and, each
        with its interval or the reason that there is none, `false_positive_rate`,
        `true_positive_rate`, `precision`, `alert_rate`, `ratio` (of its false-positive rate to that
        of all rows); `predictive_equality`, the lowest over the highest false-positive rate of the
        groups that are `compared`, which chance alone keeps below 1, with the interval of the ratio
        of these two groups, which can hold 1; and `equal_rates`, from `trade_off`.
    """
    fraud = scored.label == 1
    cell = 4 * groups.codes + 2 * fraud + alert
    cells = 4 * len(groups.levels)
    counts = np.bincount(cell, minlength=cells)[None].astype(np.float64)
    if options.replicates:
        replicates = bootstrap_counts(cell, clusters_of(scored), cells=cells, **options.drawing)
        counts = np.concatenate([counts, replicates])
    by_group = counts.reshape(len(counts), -1, 4)
    rates, level = _rates(by_group), options.level
    compared = _compared(by_group[0])
    equality = _equality(rates["false_positive_rate"], compared, groups.levels, level)
    return {
        "column": groups.column,
        "groups": {
            name: _group(by_group[0, i], {key: rate[:, i] for key, rate in rates.items()}, level)
            for i, name in enumerate(groups.levels)
        },
        "compared": [groups.levels[i] for i in np.flatnonzero(compared)],
        "predictive_equality": equality,
        "equal_rates": trade_off(scored.margin, fraud, alert, costs, groups.codes),
    }


def trade_off(
    margin: Floats, fraud: Alerts, alert: Alerts, costs: CostMatrix, codes: NDArray[np.int64]
) -> dict[str, Any]:
    """Return the outcome of equal false-positive rates within today's number of alerts.

    A threshold on the margin for each group, as low as one common cap on its false-positive rate
    allows; the cap is the highest with which there are no more alerts than today. It is compared
    with one threshold for all rows with the same number of alerts, because today's policy may
    decide by more than the margin: the price of equal rates is the difference from that. Both
    thresholds are picked on these rows, with hindsight.

    Examples
    --------
    >>> costs = CostMatrix(np.ones(4), np.ones(4), np.full(4, 9.0), np.zeros(4))
    >>> margin, codes = np.array([4.0, 1.0, 3.0, 2.0]), np.array([0, 1, 0, 1])
    >>> fraud, alert = np.array([1, 1, 0, 0]) == 1, margin >= 3
    >>> result = trade_off(margin, fraud, alert, costs, codes)
    >>> result["today"], result["equal"]["alerts"]
    ({'alerts': 2, 'frauds_caught': 1, 'cost': 11.0}, 1)
    """
    budget, one_group = int(alert.sum()), np.zeros(len(codes), dtype=np.int64)
    _, common = _within_budget(margin, fraud, one_group, budget)
    cap, equal = _within_budget(margin, fraud, codes, budget)
    rules = {"today": alert, "one_threshold": common, "equal": equal}
    results = {name: _outcomes(fraud, alerts, costs) for name, alerts in rules.items()}
    price = {
        name: results["equal"][name] - results["one_threshold"][name]
        for name in ("frauds_caught", "cost")
    }
    return {"false_positive_rate_cap": cap, **results, "price": price}


def fairness_sentence(record: dict[str, Any]) -> str:
    """Say how far the false-positive rates of groups are apart."""
    equality = record["predictive_equality"]
    if equality["value"] is None:
        return f"{record['column']}: {equality['reason']}"
    names = (equality["lowest"], equality["highest"])
    low, high = (
        f"{name} {record['groups'][name]['false_positive_rate']['value']:.2%}" for name in names
    )
    ends = "" if equality["low"] is None else f" ({equality['low']:.2f} to {equality['high']:.2f})"
    return (
        f"{record['column']}: the lowest false-positive rate is {equality['value']:.2f}{ends} of "
        f"the highest ({low}, {high})"
    )


def _rates(counts: Floats) -> dict[str, Floats]:
    """Rates of shape (1 + replicates, groups); NaN where nothing is divided by."""
    tn, fp, fn, tp = (counts[..., cell] for cell in (_TN, _FP, _FN, _TP))
    false_positive = ratio(fp, fp + tn)
    overall = ratio(fp.sum(axis=1), (fp + tn).sum(axis=1))
    return {
        "false_positive_rate": false_positive,
        "true_positive_rate": ratio(tp, tp + fn),
        "precision": ratio(tp, tp + fp),
        "alert_rate": ratio(tp + fp, tn + fp + fn + tp),
        "ratio": ratio(false_positive, overall[:, None]),
    }


def _compared(counts: Floats) -> Alerts:
    """Whether each group has enough legitimate rows, and would have enough false alerts."""
    legit = counts[:, _FP] + counts[:, _TN]
    rate = counts[:, _FP].sum() / max(legit.sum(), 1.0)
    enough: Alerts = (legit >= ENOUGH_ROWS) & (rate * legit >= ENOUGH_FALSE_ALERTS)
    return enough


def _equality(
    rates: Floats, compared: Alerts, levels: tuple[str, ...], confidence: float
) -> dict[str, Any]:
    among = np.flatnonzero(compared)
    if len(among) < 2:
        return _no_value("fewer than two groups have enough rows for their rates to be compared")
    # The same two groups in every replicate: the extremes of each would be further apart than
    # those of the sample, the more so the more groups there are.
    lowest, highest = among[rates[0, among].argmin()], among[rates[0, among].argmax()]
    entry = _entry(ratio(rates[:, lowest], rates[:, highest]), confidence)
    return entry | {"lowest": levels[lowest], "highest": levels[highest]}


def _group(counts: Floats, rates: dict[str, Floats], level: float) -> dict[str, Any]:
    tn, fp, fn, tp = map(int, counts)
    rows, frauds = tn + fp + fn + tp, fn + tp
    entries = {name: _entry(values, level) for name, values in rates.items()}
    if frauds < ENOUGH_FRAUDS:
        few = f"{frauds} frauds; at least {ENOUGH_FRAUDS} were expected"
        entries["true_positive_rate"] = _no_value(few)
    if rows < ENOUGH_ROWS:
        few = f"{rows} rows; at least {ENOUGH_ROWS} were expected"
        entries = dict.fromkeys(entries, _no_value(few))
    return {"rows": rows, "frauds": frauds, "alerts": fp + tp, **entries}


def _entry(values: Floats, level: float) -> dict[str, Any]:
    """The value of the sample, which comes first, and its interval from the replicates after it."""
    if np.isnan(values[0]):
        return _no_value("there is nothing to divide by")
    low, high = (float(end[0]) for end in percentile_ends(values[:, None], level))
    ends = {"low": None, "high": None} if np.isnan(low) else {"low": low, "high": high}
    return {"value": float(values[0]), **ends}


def _no_value(reason: str) -> dict[str, Any]:
    return {"value": None, "low": None, "high": None, "reason": reason}


def _within_budget(
    margin: Floats, fraud: Alerts, codes: NDArray[np.int64], budget: int
) -> tuple[float | None, Alerts]:
    """The highest common cap on false-positive rates within a budget of alerts, and its alerts.

    A row is alerted once the cap reaches the rate that its group has with the row and all of higher
    or equal margins alerted. None where no cap keeps the budget.
    """
    order = np.lexsort((-margin, codes))
    group, score = codes[order], margin[order]
    legit = np.bincount(codes, ~fraud)
    start = np.cumsum(legit) - legit
    upto = np.cumsum(~fraud[order]) - start[group]
    # Equal margins are alerted together: each row takes the count of the last of them.
    last = np.append((np.diff(group) != 0) | (np.diff(score) != 0), True)
    ends = np.flatnonzero(last)
    upto = upto[ends[np.searchsorted(ends, np.arange(len(order)))]]
    need = np.empty(len(order))
    need[order] = upto / np.maximum(legit[group], 1)
    caps, rows = np.unique(need, return_counts=True)
    affordable = int(np.searchsorted(np.cumsum(rows), budget, side="right"))
    if affordable == 0:
        return None, np.zeros(len(order), dtype=np.bool_)
    cap = float(caps[affordable - 1])
    return cap, need <= cap


def _outcomes(fraud: Alerts, alert: Alerts, costs: CostMatrix) -> dict[str, Any]:
    return {
        "alerts": int(alert.sum()),
        "frauds_caught": int((alert & fraud).sum()),
        "cost": float(row_costs(fraud, alert, costs.as_tuple()).sum()),
    }
