"""The report of models compared on the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from fraudml.report.chart import Axis, Chart
from fraudml.report.document import Block, Code, Document, Notice, Plot, Section, Table, Text
from fraudml.report.numbers import (
    NONE,
    column,
    difference,
    label,
    number,
    percent,
    probability,
    ranged,
)
from fraudml.report.plots import alert_axis, curve, thinned

_COLOURS = (0, 1, 3, 4, 2)
_CURVE_ROWS = 15

Record = Mapping[str, Any]


def comparison_document(
    record: Record, curves: Mapping[str, pl.DataFrame], repeat: str, headlines: Sequence[str]
) -> Document:
    """Return the report of a comparison.

    `record` is the content of `compare.json`; `curves` has by model its `by_threshold` of
    `evaluation.curves`, and may be empty; `repeat` is the command that repeats it; `headlines`
    names the metrics whose difference stands in the first paragraph.
    """
    names = list(record["models"])
    notes = (Notice("Before you read on", tuple(record["notes"])),) if record["notes"] else ()
    rows = f"{record['rows']:,} rows, {record['frauds']:,} of them frauds"
    verdicts = [Text(verdict(record, *pair, headlines), lead=True) for pair in _pairs(record)]
    caution = Text(
        f"All models are evaluated on the same {rows}; intervals are {100 * record['level']:g} %, "
        f"bootstrapped by cluster ({record['clusters']}), and each difference is paired. "
        "'Probability better' is the share of replicates in which the model that looks better is "
        "better. With many metrics one or another interval excludes 0 by chance. "
        f"Costs: {record['costs']}."
    )
    return Document(
        f"{_and(names)}, side by side",
        f"A comparison on the same {rows}",
        (*notes, *verdicts, caution),
        [
            Section("Every metric", (_values(record, names),)),
            Section("Every difference", tuple(_differences(record))),
            Section("Curves", tuple(_curves(curves))),
            Section("How to repeat it", (Code(repeat),)),
        ],
    )


def verdict(record: Record, first: str, second: str, headlines: Sequence[str]) -> str:
    """Say which of two models is better for what, and with what probability."""
    pairs = {
        name: pair
        for name, entry in record["metrics"].items()
        for pair in entry["pairs"]
        if (pair["first"], pair["second"]) == (first, second)
    }
    sentences = []
    for better, worse in ((first, second), (second, first)):
        ahead = [
            f"{label(name)} by {_lead(pair)}" if name in headlines else label(name)
            for name, pair in pairs.items()
            if pair["better"] == better
        ]
        if ahead:
            sentences.append(f"{better} is better than {worse} in {_and(ahead)}.")
    undecided = [label(name) for name, pair in pairs.items() if _better(pair) == "undecided"]
    if undecided:
        sentences.append(f"Undecided between {first} and {second}: {_and(undecided)}.")
    return " ".join(sentences) or (
        f"{first} and {second} cannot be compared: no metric has an interval."
    )


def _better(pair: Record) -> str:
    undecided = "undecided" if pair["probability_better"] is not None else NONE
    return pair["better"] or undecided


def _lead(pair: Record) -> str:
    """By how much the better model is better, without a sign."""
    low, high = sorted(abs(pair[end]) for end in ("low", "high"))
    return ranged({"value": abs(pair["difference"]), "low": low, "high": high})


def comparison_cells(pair: Record) -> tuple[str, str, str]:
    """Return the difference, the better model and its probability, for a row of a table."""
    return difference(pair), _better(pair), probability(pair["probability_better"])


def _pairs(record: Record) -> list[tuple[str, str]]:
    entry = next(iter(record["metrics"].values()))
    return [(pair["first"], pair["second"]) for pair in entry["pairs"]]


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _values(record: Record, names: list[str]) -> Table:
    better = {"higher": "more", "lower": "less", "none": NONE}
    rows = (
        (
            label(name),
            better[entry["direction"]],
            *(ranged(entry["values"][model]) for model in names),
        )
        for name, entry in record["metrics"].items()
    )
    header = ("metric", "better is", *names)
    return Table("Each model by itself", header, tuple(rows), words=(1,))


def _differences(record: Record) -> Iterator[Block]:
    for position, (first, second) in enumerate(_pairs(record)):
        rows = (
            (label(name), *comparison_cells(entry["pairs"][position]))
            for name, entry in record["metrics"].items()
        )
        header = ("metric", "difference", "better", "probability better")
        yield Table(f"{first} minus {second}", header, tuple(rows), words=(2,))


def _curves(curves: Mapping[str, pl.DataFrame]) -> Iterator[Plot]:
    if not curves:
        return
    tables = list(curves.values())
    alerts = alert_axis(*tables)
    recall = Axis("recall", form="percent", low=0, high=1)
    yield _curve_plot("Precision over recall", curves, ("recall", "precision"), recall)
    count = Axis(label(alerts), "log")
    if all(table["value_recall"].null_count() == 0 for table in tables):
        yield _curve_plot(
            "Money found with so many alerts", curves, (alerts, "value_recall"), count
        )
    yield _curve_plot("Frauds found with so many alerts", curves, (alerts, "recall"), count)


def _curve_plot(
    title: str, curves: Mapping[str, pl.DataFrame], columns: tuple[str, str], axis: Axis
) -> Plot:
    x, y = columns
    lines = [
        curve(table, x, y, name, _COLOURS[position % len(_COLOURS)])
        for position, (name, table) in enumerate(curves.items())
    ]
    rows = tuple(
        (name, f"{row['threshold']:.3g}", number(row[x]), column(row, y, percent))
        for name, table in curves.items()
        for row in thinned(table, _CURVE_ROWS).iter_rows(named=True)
    )
    return Plot(
        title,
        "One line a model, with its band; bands that overlap may still differ, as they are not "
        "paired.",
        Chart(axis, Axis(label(y), form="percent", low=0, high=1), lines),
        Table(title, ("model", "threshold", label(x), label(y)), rows),
    )
