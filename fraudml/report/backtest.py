"""The sections of a backtest that stand before those of its last model, and its plots over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fraudml.report.chart import Axis, Chart, Line, Mark
from fraudml.report.document import Plot, Section, Table, Text
from fraudml.report.numbers import label, mean_sd, number, percent, ranged
from fraudml.report.people import time_line

_MODELS = {"metrics": "refitted in each fold", "without_refit": "never refitted"}


def backtest_sentence(metrics: Mapping[str, Any]) -> str:
    """Give the means over all folds; `metrics` is the content of `backtest.json`."""
    mean, sd = metrics["mean"], metrics["sd"]
    values = [
        f"{title} {mean_sd(mean[name], sd[name], write)}"
        for name, title, write in (
            ("precision", "precision", percent),
            ("recall", "recall", percent),
            ("value_recall", "of the money", percent),
            ("alerts_per_day", "alerts a day", number),
        )
        if mean[name] is not None
    ]
    return (
        f"The paragraph above is about the model of the last fold. Over {len(metrics['folds'])} "
        "folds, each with a model of its own, the means and standard deviations are: "
        f"{', '.join(values)}."
    )


def fold_sections(metrics: Mapping[str, Any], level: float, names: Sequence[str]) -> list[Section]:
    """Return the sections of a backtest fold by fold; `names` are the metrics of its table."""
    spans: dict[str, Any] = {}
    for fold in metrics["folds"]:
        spans[f"fold {fold['fold']}: training"] = fold["train"]
        spans[f"fold {fold['fold']}: test"] = fold
    left_out = metrics["folds_left_out"]
    short = [Text(f"{left_out} folds are left out: the budget ran out.")] if left_out else []
    plots = over_time_plots(metrics, level)
    line = time_line(spans, "The gap before a test period is the label delay.")
    return [
        Section("Fold by fold", (*short, *plots, _fold_table(metrics, names))),
        Section("The folds on a time line", line),
    ]


def over_time_plots(metrics: Mapping[str, Any], level: float) -> list[Plot]:
    """Draw average precision and alerts, fold after fold, a line a model."""
    return [_fold_plot(metrics, name, level) for name in ("average_precision", "alerts_per_day")]


def _fold_plot(metrics: Mapping[str, Any], name: str, level: float) -> Plot:
    folds, title = metrics["folds"], label(name)
    models = [key for key in _MODELS if key in folds[0]]
    positions = [float(position) for position in range(len(folds))]
    marks: list[Mark] = []
    for index, key in enumerate(models):
        shift = 0.06 * (index - (len(models) - 1) / 2)  # intervals side by side
        values, low, high = (
            [fold[key][name].get(end) for fold in folds] for end in ("value", "low", "high")
        )
        at = [position + shift for position in positions]
        marks.append(Line(at, values, _MODELS[key], index, low, high, dots=True))
    chance = [fold["metrics"][name].get("baseline") for fold in folds]
    if None not in chance:
        marks.append(Line(positions, chance, "a random score", 2, dashed=True))
    ticks = list(zip(positions, map(_start, folds), strict=True))
    rows = tuple((_start(fold), *(ranged(fold[key][name]) for key in models)) for fold in folds)
    return Plot(
        f"{title.capitalize()}, fold after fold",
        f"Each model on the period after its training; intervals are {100 * level:g} %.",
        Chart(
            Axis("first day of the test period", ticks=ticks, low=-0.4, high=len(folds) - 0.6),
            Axis(title, low=0),
            marks,
        ),
        Table(
            f"{title.capitalize()} by fold",
            ("test period from", *(_MODELS[key] for key in models)),
            rows,
        ),
    )


def _start(fold: Mapping[str, Any]) -> str:
    return str(fold["start"])[:10]


def _fold_table(metrics: Mapping[str, Any], names: Sequence[str]) -> Table:
    folds, mean, sd = metrics["folds"], metrics["mean"], metrics["sd"]
    rows = tuple(
        (
            label(name),
            mean_sd(mean[name], sd[name]),
            *(ranged(fold["metrics"][name]) for fold in folds),
        )
        for name in names
    )
    return Table(
        "Means and standard deviations over the folds, and each fold with its interval",
        ("metric", "mean ± sd", *(f"from {_start(fold)}" for fold in folds)),
        rows,
    )
