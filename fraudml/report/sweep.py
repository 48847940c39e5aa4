"""The section of a sweep's search: its history, parameter importance, learning curves, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from fraudml.report.chart import Axis, Chart, Line, ranked_bars
from fraudml.report.document import Plot, Section, Table, Text
from fraudml.report.numbers import label, number, percent

_BEST = 10
_MOST_KEYS = 8
_MOST_LINES = 100
_BLUE, _ORANGE, _GREY = 0, 1, 2


def sweep_section(record: Mapping[str, Any], plots: Sequence[Plot]) -> Section:
    """Return the section of the search; `record` is the content of `sweep.json`."""
    counts = ", ".join(f"{count} {state}" for state, count in record["trials"].items())
    best = record["best"]
    text = (
        f"Trials: {counts}; {record['spent']['seconds']:.0f} seconds. The chosen settings are "
        f"{' '.join(best['overrides']) or 'those of the start'}, with {label(record['objective'])} "
        f"{number(best['value'])} on development scores, which is optimistic: they were selected "
        "on it. The numbers above are from the test block, which chose nothing."
    )
    return Section("The search", (Text(text), *plots))


def sweep_plots(
    record: Mapping[str, Any],
    trials: pl.DataFrame,
    importance: Mapping[str, float],
    *,
    lower_is_better: bool,
) -> list[Plot]:
    """Draw a sweep; where there is nothing to draw, a plot is left out.

    `trials` has `trial`, `value` (null where there is none), `rounds` and `curve` (lists: the value
    after so many rounds) and `overrides` (a list of `key=value`); `importance` is the share of the
    variance of the values that each key explains.
    """
    known = trials.drop_nulls("value")
    best = known.sort("value", descending=not lower_is_better, maintain_order=True)
    objective, chosen = label(record["objective"]), record["best"]["trial"]
    plots = [_history(known, best, objective, lower_is_better)] if known.height else []
    if importance:
        plots.append(_importance(importance))
    # The worst first, and the chosen one last, over the others.
    lines = best.head(_MOST_LINES).reverse()
    is_chosen = pl.col("trial") == chosen
    lines = pl.concat([lines.filter(~is_chosen), known.filter(is_chosen)])
    if known.select(pl.col("rounds").list.len().max() > 1).item():
        plots.append(_curves(lines, chosen, objective))
    keys = sorted(_keys(known), key=lambda key: -importance.get(key, 0.0))[:_MOST_KEYS]
    if len(keys) > 1:
        plots.append(_settings(lines, known, keys, chosen))
    return plots


def _history(known: pl.DataFrame, best: pl.DataFrame, objective: str, lower: bool) -> Plot:
    order, value = known["trial"].to_list(), known["value"]
    so_far = value.cum_min() if lower else value.cum_max()
    top = best.head(_BEST)
    return Plot(
        "Trial after trial",
        f"The {objective} of each trial on development scores, and of the best so far.",
        Chart(
            Axis("trial"),
            Axis(objective),
            (
                Line(order, value.to_list(), "trial", _GREY, dots=True, joined=False),
                Line(order, so_far.to_list(), "best so far", _BLUE),
            ),
        ),
        Table(
            f"The best {top.height} trials",
            ("trial", objective, "settings"),
            tuple(
                (str(row["trial"]), number(row["value"]), " ".join(row["overrides"]))
                for row in top.iter_rows(named=True)
            ),
            words=(2,),
        ),
    )


def _importance(importance: Mapping[str, float]) -> Plot:
    ranked = sorted(importance.items(), key=lambda item: -item[1])
    bars = [(key, share, percent(share), _BLUE) for key, share in ranked[:_BEST]]
    return Plot(
        "Parameter importance",
        "Share of the variance of the values that each key explains.",
        ranked_bars(bars, "share explained"),
        Table(
            "Importance", ("key", "share"), tuple((key, percent(share)) for key, share in ranked)
        ),
    )


def _curves(lines: pl.DataFrame, chosen: int, objective: str) -> Plot:
    rows = list(lines.iter_rows(named=True))
    marks = [Line(row["rounds"], row["curve"], **_style(row["trial"] == chosen)) for row in rows]
    return Plot(
        "Learning curves",
        f"The {objective} after so many rounds, a line a trial.",
        Chart(Axis("rounds"), Axis(objective), marks),
        Table(
            "The last value of each curve",
            ("trial", "rounds", objective),
            tuple(
                (str(row["trial"]), str(row["rounds"][-1]), number(row["curve"][-1]))
                for row in reversed(rows)
                if row["rounds"]
            )[:_BEST],
        ),
    )


def _style(is_chosen: bool, opacity: float = 0.3) -> dict[str, Any]:
    if is_chosen:
        return {"label": "chosen", "colour": _ORANGE}
    return {"colour": _BLUE, "opacity": opacity}


def _keys(trials: pl.DataFrame) -> list[str]:
    return list(
        dict.fromkeys(key for overrides in trials["overrides"] for key in _split(overrides))
    )


def _split(overrides: Sequence[str]) -> dict[str, str]:
    return dict(override.split("=", 1) for override in overrides)


def _settings(lines: pl.DataFrame, known: pl.DataFrame, keys: Sequence[str], chosen: int) -> Plot:
    """One line a trial through its values; the better, the darker."""
    settings = [_split(overrides) for overrides in known["overrides"]]
    ranked = {key: _ranked({values[key] for values in settings if key in values}) for key in keys}
    marks, of_chosen = [], dict[str, str]()
    for position, row in enumerate(lines.iter_rows(named=True)):
        values = _split(row["overrides"])
        if row["trial"] == chosen:
            of_chosen = values
        ranks = [_rank(values.get(key), ranked[key]) for key in keys]
        style = _style(row["trial"] == chosen, 0.08 + 0.5 * position / lines.height)
        marks.append(Line(range(len(keys)), ranks, **style))
    ticks = [(float(position), key.rpartition(".")[2]) for position, key in enumerate(keys)]
    return Plot(
        "Settings of the trials",
        "One line a trial through the ranks of its values; the better, the darker.",
        Chart(
            Axis("key", ticks=ticks, low=-0.3, high=len(keys) - 0.7),
            Axis("", ticks=[(0.0, "lowest"), (1.0, "highest")], low=-0.05, high=1.05),
            marks,
        ),
        Table(
            "Values that were tried",
            ("key", "chosen", "lowest", "highest"),
            tuple((key, of_chosen.get(key, "–"), ranked[key][0], ranked[key][-1]) for key in keys),
            words=(1, 2, 3),
        ),
    )


def _ranked(values: set[str]) -> list[str]:
    """Distinct values: numbers by size, then words."""
    return sorted(values, key=lambda text: (_number(text) is None, _number(text) or 0.0, text))


def _rank(value: str | None, ranked: Sequence[str]) -> float | None:
    return None if value is None else ranked.index(value) / max(len(ranked) - 1, 1)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
