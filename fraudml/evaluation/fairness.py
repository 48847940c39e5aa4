"""How alerts fall on the groups of a protected attribute, and what equal treatment would cost.

It informs, no more: no threshold by group reaches a bundle, as deciding by a protected attribute is
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
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.scored import ScoredFrame
from fraudml.evaluation.table import clusters_of
from fraudml.metrics import bootstrap_counts
from fraudml.metrics.money import row_costs

Floats = NDArray[np.float64]
Alerts = NDArray[np.bool_]

MOST_LEVELS = 50
"""A column with more is no attribute of groups but of single people, or was not banded."""

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
    """The group of each row.

    Parameters
    ----------
    column : str
        Which column says so.
    levels : tuple of str
        Its values as text, sorted; null is `NOT_KNOWN`.
    codes : ndarray of int64, shape (n_rows,)
        The position of each row's level.
    """

    column: str
    levels: tuple[str, ...]
    codes: NDArray[np.int64]


def read_groups(column: pl.Series) -> Groups:
    """Read the groups of a column.

    Raises
    ------
    DataError
        It has more than `MOST_LEVELS` levels.

    Examples
    --------
    >>> read_groups(pl.Series("region", ["north", None, "north"])).levels
    ('north', 'not known')
    """
    count = column.n_unique()
    if count > MOST_LEVELS:
        raise DataError(
            f"column '{column.name}' plays the role 'group' and has {count:,} levels. At most "
            f"{MOST_LEVELS} were expected. Band its values (ages by decade), or set "
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
    """Compare what the alerts do to each group.

    Parameters
    ----------
    scored : ScoredFrame
        Rows that tuned nothing, with all labels known.
    alert : ndarray of bool
        What the policy decided.
    costs : CostMatrix
        Of the same rows.
    groups : Groups
        Of the same rows.
    options : BootstrapOptions
        For the bootstrap; all groups and ratios see the same replicates.

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
    rates = _rates(by_group)
    compared = _compared(by_group[0])
    return {
        "column": groups.column,
        "groups": {
            level: _group(by_group[0, i], {k: v[:, i] for k, v in rates.items()}, options.level)
            for i, level in enumerate(groups.levels)
        },
        "compared": [level for level, one in zip(groups.levels, compared, strict=True) if one],
        "predictive_equality": _equality(
            rates["false_positive_rate"], compared, groups.levels, options.level
        ),
        "equal_rates": trade_off(scored.margin, fraud, alert, costs, groups.codes),
    }


def trade_off(
    margin: Floats, fraud: Alerts, alert: Alerts, costs: CostMatrix, codes: NDArray[np.int64]
) -> dict[str, Any]:
    """Return what equal false-positive rates within today's number of alerts would have brought.

    A threshold on the margin for each group, as low as one common cap on its false-positive rate
    allows; the cap is the highest with which there are no more alerts than today. Beside it stands
    one threshold for all rows with the same number of alerts, because today's policy may go by more
    than the margin: the price of equal rates is the difference from that. Both thresholds are
    picked on these rows, with hindsight.

    Parameters
    ----------
    margin : ndarray of float64
        What ranks the rows.
    fraud, alert : ndarray of bool
        Labels, and what the policy decided.
    costs : CostMatrix
        Of the same rows.
    codes : ndarray of int64
        The group of each row, from 0.

    Examples
    --------
    >>> costs = CostMatrix(np.ones(4), np.ones(4), np.full(4, 9.0), np.zeros(4))
    >>> margin, codes = np.array([4.0, 1.0, 3.0, 2.0]), np.array([0, 1, 0, 1])
    >>> fraud, alert = np.array([1, 1, 0, 0]) == 1, margin >= 3
    >>> found = trade_off(margin, fraud, alert, costs, codes)
    >>> found["today"], found["equal"]["alerts"]
    ({'alerts': 2, 'frauds_caught': 1, 'cost': 11.0}, 1)
    """
    alike = np.zeros(len(codes), dtype=np.int64)
    _, one = _within(margin, fraud, alike, int(alert.sum()))
    cap, equal = _within(margin, fraud, codes, int(alert.sum()))
    made = {
        name: _worth(fraud, flags, costs)
        for name, flags in (("today", alert), ("one_threshold", one), ("equal", equal))
    }
    apart = {
        name: made["equal"][name] - made["one_threshold"][name]
        for name in ("frauds_caught", "cost")
    }
    return {"false_positive_rate_cap": cap, **made, "price": apart}


def fairness_sentence(record: dict[str, Any]) -> str:
    """Say in words how far the false-positive rates of groups are apart."""
    found = record["predictive_equality"]
    if found["value"] is None:
        return f"{record['column']}: {found['reason']}"
    low, high = (
        f"{found[which]} {record['groups'][found[which]]['false_positive_rate']['value']:.2%}"
        for which in ("lowest", "highest")
    )
    ends = "" if found["low"] is None else f" ({found['low']:.2f} to {found['high']:.2f})"
    return (
        f"{record['column']}: the lowest false-positive rate is {found['value']:.2f}{ends} of the "
        f"highest ({low}, {high})"
    )


def _rates(counts: Floats) -> dict[str, Floats]:
    """Rates of shape (1 + replicates, groups); NaN where nothing is divided by."""
    tn, fp, fn, tp = (counts[..., cell] for cell in (_TN, _FP, _FN, _TP))
    false_positive = _share(fp, fp + tn)
    overall = _share(fp.sum(axis=1), (fp + tn).sum(axis=1))
    return {
        "false_positive_rate": false_positive,
        "true_positive_rate": _share(tp, tp + fn),
        "precision": _share(tp, tp + fp),
        "alert_rate": _share(tp + fp, tn + fp + fn + tp),
        "ratio": _share(false_positive, np.broadcast_to(overall[:, None], fp.shape)),
    }


def _compared(counts: Floats) -> Alerts:
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
    entry = _entry(_share(rates[:, lowest], rates[:, highest]), confidence)
    return entry | {"lowest": levels[lowest], "highest": levels[highest]}


def _group(counts: Floats, rates: dict[str, Floats], level: float) -> dict[str, Any]:
    tn, fp, fn, tp = map(int, counts)
    rows, frauds = tn + fp + fn + tp, fn + tp
    entries = {name: _entry(values, level) for name, values in rates.items()}
    if frauds < ENOUGH_FRAUDS:
        entries["true_positive_rate"] = _no_value(
            f"{frauds} frauds; at least {ENOUGH_FRAUDS} were expected"
        )
    if rows < ENOUGH_ROWS:
        few = _no_value(f"{rows} rows; at least {ENOUGH_ROWS} were expected")
        entries = dict.fromkeys(entries, few)
    return {"rows": rows, "frauds": frauds, "alerts": fp + tp, **entries}


def _entry(values: Floats, level: float) -> dict[str, Any]:
    """The value, which comes first, and the percentiles of the replicates after it."""
    if np.isnan(values[0]):
        return _no_value("there is nothing to divide by")
    drawn = values[1:][~np.isnan(values[1:])]
    if not len(drawn):
        return {"value": float(values[0]), "low": None, "high": None}
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return {"value": float(values[0]), "low": float(low), "high": float(high)}


def _no_value(reason: str) -> dict[str, Any]:
    return {"value": None, "low": None, "high": None, "reason": reason}


def _share(part: Floats, whole: Floats) -> Floats:
    out: Floats = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def _within(
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
    # Rows that are level take the count of the last of them.
    last = np.append((np.diff(group) != 0) | (np.diff(score) != 0), True)
    ends = np.flatnonzero(last)
    upto = upto[ends[np.searchsorted(ends, np.arange(len(order)))]]
    need = np.empty(len(order))
    need[order] = upto / np.maximum(legit[group], 1)
    caps, rows = np.unique(need, return_counts=True)
    kept = int(np.searchsorted(np.cumsum(rows), budget, side="right"))
    if kept == 0:
        return None, np.zeros(len(order), dtype=np.bool_)
    cap = float(caps[kept - 1])
    return cap, need <= cap


def _worth(fraud: Alerts, alert: Alerts, costs: CostMatrix) -> dict[str, Any]:
    columns = [costs.tp_cost, costs.fp_cost, costs.fn_cost, costs.tn_cost]
    return {
        "alerts": int(alert.sum()),
        "frauds_caught": int((alert & fraud).sum()),
        "cost": float(row_costs(fraud, alert, columns).sum()),
    }
