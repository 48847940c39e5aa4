"""The sections of a backtest and of a sweep that stand before those of their last model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from fraudml.report.chart import Axis, Bar, Chart, Line, Mark
from fraudml.report.document import Block, Plot, Section, Table, Text
from fraudml.report.numbers import NONE, number, percent, ranged
from fraudml.report.people import time_line

_OVER_FOLDS = (
    "average_precision",
    "precision",
    "recall",
    "alerts_per_day",
    "value_recall",
    "savings",
    "card_precision_at_100",
    "calibration_in_the_large",
)
_BEST = 10
_MOST = 10


def backtest_sentence(metrics: Mapping[str, Any]) -> str:
    """Say what a backtest did over all of its folds.

    Parameters
    ----------
    metrics : mapping
        The content of `backtest.json`.
    """
    mean, spread, folds = metrics["mean"], metrics["sd"], len(metrics["folds"])
    told = [
        f"{title} {write(mean[name])} ± {write(spread[name])}"
        for name, title, write in (
            ("precision", "precision", percent),
            ("recall", "recall", percent),
            ("value_recall", "of the money", percent),
            ("alerts_per_day", "alerts a day", number),
        )
        if mean[name] is not None
    ]
    return (
        f"The paragraph above is about the model of the last fold. Over {folds} folds, each with a "
        f"model of its own, the means and standard deviations are: {', '.join(told)}."
    )


def fold_sections(metrics: Mapping[str, Any], level: float) -> list[Section]:
    """Return what a backtest has to say fold by fold.

    Parameters
    ----------
    metrics : mapping
        The content of `backtest.json`.
    level : float
        Confidence of its intervals.
    """
    folds = metrics["folds"]
    spans: dict[str, Any] = {}
    for fold in folds:
        spans[f"fold {fold['fold']}: training"] = fold["train"]
        spans[f"fold {fold['fold']}: test"] = fold
    left_out = metrics["folds_left_out"]
    short = [Text(f"{left_out} folds are left out: the budget ran out.")] if left_out else []
    return [
        Section(
            "Fold by fold",
            (*short, _fold_plot(metrics, level), _fold_table(metrics)),
        ),
        Section(
            "The folds on a time line",
            time_line(spans, "The gap before a test period is the label delay."),
        ),
    ]


def _fold_plot(metrics: Mapping[str, Any], level: float) -> Plot:
    folds = metrics["folds"]
    marks: list[Mark] = []
    kinds = [("metrics", "refitted in each fold", 0), ("without_refit", "never refitted", 1)]
    kept = [one for one in kinds if one[0] in folds[0]]
    for number_, (key, label, colour) in enumerate(kept):
        entries = [fold[key]["average_precision"] for fold in folds]
        marks.append(
            Line(
                [i + 0.06 * (number_ - (len(kept) - 1) / 2) for i in range(len(folds))],
                [one["value"] for one in entries],
                label,
                colour,
                [one["low"] for one in entries],
                [one["high"] for one in entries],
                dots=True,
            )
        )
    chance = [fold["metrics"]["average_precision"].get("baseline") for fold in folds]
    places = [float(i) for i in range(len(folds))]
    marks.append(Line(places, chance, "a random score", 2, dashed=True))
    ticks = [(place, _start(fold)) for place, fold in zip(places, folds, strict=True)]
    rows = tuple(
        (_start(fold), *(ranged(fold[key]["average_precision"]) for key, _, _ in kept))
        for fold in folds
    )
    return Plot(
        "Average precision, fold after fold",
        f"Each model on the period after its training; ranges are {100 * level:g} %.",
        Chart(
            Axis("first day of the test period", ticks=ticks, low=-0.4, high=len(folds) - 0.6),
            Axis("average precision", low=0),
            marks,
        ),
        Table(
            "Average precision by fold",
            ("test period from", *(label for _, label, _ in kept)),
            rows,
        ),
    )


def _start(fold: Mapping[str, Any]) -> str:
    return str(fold["start"])[:10]


def _fold_table(metrics: Mapping[str, Any]) -> Table:
    folds, mean, spread = metrics["folds"], metrics["mean"], metrics["sd"]
    rows = tuple(
        (
            name.replace("_", " "),
            NONE if mean[name] is None else f"{number(mean[name])} ± {number(spread[name])}",
            *(ranged(fold["metrics"][name]) for fold in folds),
        )
        for name in _OVER_FOLDS
    )
    return Table(
        "Means and standard deviations over the folds, and each fold with its range",
        ("metric", "mean ± sd", *(f"from {_start(fold)}" for fold in folds)),
        rows,
    )


def sweep_sections(
    record: Mapping[str, Any],
    trials: pl.DataFrame,
    importance: Mapping[str, float],
    *,
    lower_is_better: bool,
) -> list[Section]:
    """Return what a sweep has to say of its search.

    Parameters
    ----------
    record : mapping
        The content of `sweep.json`: `trials`, `objective`, `best`, `spent`.
    trials : DataFrame
        `trial`, `value` (null where there is none) and `overrides`, in order.
    importance : mapping
        Share of the spread of the values that each key explains; may be empty.
    lower_is_better : bool
        Which way is better.
    """
    objective = record["objective"].replace("_", " ")
    counts = ", ".join(f"{count} {state}" for state, count in record["trials"].items())
    known = trials.drop_nulls("value")
    found: list[Block] = [
        Text(
            f"Trials: {counts}; {record['spent']['seconds']:.0f} seconds. The chosen settings are "
            f"{' '.join(record['best']['overrides']) or 'those of the start'}, with {objective} "
            f"{number(record['best']['value'])} on development scores. A winner's own value "
            "flatters it; the numbers above are from the test block, which chose nothing."
        )
    ]
    if known.height:
        found.append(_history(known, objective, lower_is_better))
    if importance:
        found.append(_importance(importance))
    return [Section("The search", tuple(found))]


def _history(known: pl.DataFrame, objective: str, lower_is_better: bool) -> Plot:
    place, value = known["trial"].to_list(), known["value"]
    best = value.cum_min() if lower_is_better else value.cum_max()
    top = known.sort("value", descending=not lower_is_better, maintain_order=True).head(_BEST)
    return Plot(
        "Trial after trial",
        f"The {objective} of each trial on development scores, and of the best so far.",
        Chart(
            Axis("trial"),
            Axis(objective),
            (
                Line(place, value.to_list(), "trial", 2, dots=True, joined=False),
                Line(place, best.to_list(), "best so far", 0),
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
    ranked: Sequence[tuple[str, float]] = sorted(importance.items(), key=lambda one: -one[1])
    top = ranked[:_MOST]
    bars = [
        Bar(len(top) - 1 - i, 0.0, share, 0, percent(share), name)
        for i, (name, share) in enumerate(top)
    ]
    return Plot(
        "What mattered",
        "Share of the spread of the values that each key explains.",
        Chart(
            Axis("share explained", form="percent", low=0, high=1.2),
            Axis("", ticks=(), low=-0.5, high=len(top) - 0.3),
            bars,
            height=66 + 38 * len(top),
        ),
        Table(
            "Importance",
            ("key", "share"),
            tuple((name, percent(share)) for name, share in ranked),
        ),
    )
