"""The report of a study: samplers and learners over the folds of a backtest, ranked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fraudml.report.chart import Axis, Chart, Line, Rule
from fraudml.report.document import Block, Code, Document, Plot, Section, Table, Text
from fraudml.report.numbers import NONE, difference, label, mean_sd, number
from fraudml.report.people import time_line

_HEIGHT = 34

Variant = Mapping[str, Any]


def study_document(record: Mapping[str, Any], name: str, level: float, repeat: str) -> Document:
    """Return the report of a study; `record` is the content of `study.json`."""
    folds, interval = record["folds"], f"{100 * level:g} %"
    spans: dict[str, Any] = {}
    for position, fold in enumerate(folds):
        spans[f"fold {position}: training"] = fold["train"]
        spans[f"fold {position}: test"] = fold
    return Document(
        f"{name}: what samplers and learners do",
        f"A study over {len(folds)} folds of a backtest",
        (
            Text(_summary(record, interval), lead=True),
            Text(
                "Every sampler is fitted with every learner on the training period of each fold, "
                "and ranks the rows of its test period at their natural share of fraud. "
                "Differences are from the first sampler of the same learner, paired, and of means "
                "over the folds. With many samplers one or another interval excludes 0 by chance."
            ),
        ),
        [
            Section("Ranked", (_ranked(record, interval),)),
            Section("Differences", _differences(record, interval)),
            Section("The folds on a time line", time_line(spans, "The gap is the label delay.")),
            Section("How to repeat it", (Code(repeat),)),
        ],
    )


def variant_name(variant: Variant) -> str:
    """Name a variant by its learner and sampler."""
    return f"{variant['learner']} with {variant['resampling']}"


def _summary(record: Mapping[str, Any], interval: str) -> str:
    objective = record["objective"]
    known = [each for each in record["variants"] if each["mean"][objective] is not None]
    if not known:
        return "No sampler could be fitted in every fold."
    best = known[0]
    ranking = (
        f"By {label(objective)}, {variant_name(best)} ranks first, "
        f"{number(best['mean'][objective])} on average"
    )
    changes = [change for each in known if (change := _change(each, objective)) is not None]
    if not changes:
        return f"{ranking}."
    verdicts = [str(change["verdict"]) for change in changes]
    return (
        f"{ranking}. Against doing without, better with {interval} confidence: "
        f"{verdicts.count('keep')}; worse: {verdicts.count('drop')}; undecided: "
        f"{verdicts.count('undecided')}."
    )


def _change(variant: Variant, objective: str) -> Mapping[str, Any] | None:
    change: Mapping[str, Any] | None = variant.get("difference", {}).get(objective)
    return change


def _ranked(record: Mapping[str, Any], interval: str) -> Table:
    objective, metrics = record["objective"], list(record["variants"][0]["mean"])
    rows = []
    for variant in record["variants"]:
        change, mean, sd = _change(variant, objective), variant["mean"], variant["sd"]
        rows.append(
            (
                variant_name(variant),
                *(mean_sd(mean[name], sd[name]) for name in metrics),
                NONE if change is None else difference(change),
                variant.get("failed") or ("" if change is None else str(change["verdict"])),
            )
        )
    return Table(
        f"Means and standard deviations over the folds; intervals {interval}",
        ("variant", *map(label, metrics), f"change in {label(objective)}", "verdict"),
        tuple(rows),
        words=(len(metrics) + 2,),
    )


def _differences(record: Mapping[str, Any], interval: str) -> tuple[Block, ...]:
    objective = record["objective"]
    changes = [
        (each, change) for each in record["variants"] if (change := _change(each, objective))
    ]
    changes = [(each, change) for each, change in changes if change["low"] is not None]
    if not changes:
        return (Text("There is nothing to compare with: intervals or variants are missing."),)
    heights = [float(len(changes) - 1 - position) for position in range(len(changes))]
    marks: list[Line | Rule] = []
    for height, (_, change) in zip(heights, changes, strict=True):
        marks.append(Line([change["low"], change["high"]], [height] * 2))
        marks.append(Line([change["difference"]], [height], dots=True))
    names = [variant_name(variant) for variant, _ in changes]
    rows = tuple(
        (name, *map(difference, variant["difference"].values()))
        for name, (variant, _) in zip(names, changes, strict=True)
    )
    return (
        Plot(
            f"Change in {label(objective)}",
            f"With the sampler minus without, and its {interval} interval; right of 0 is better.",
            Chart(
                Axis(f"difference in {label(objective)}"),
                Axis(
                    "",
                    ticks=list(zip(heights, names, strict=True)),
                    low=-0.6,
                    high=len(changes) - 0.4,
                ),
                [*marks, Rule(0.0, "no difference", "x")],
                height=66 + _HEIGHT * len(changes),
            ),
            Table(
                "Every difference",
                ("variant", *map(label, changes[0][0]["difference"])),
                rows,
            ),
        ),
    )
