"""The report of models side by side on the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from fraudml.report.chart import Axis, Chart, Line
from fraudml.report.document import Block, Code, Document, Notice, Plot, Section, Table, Text
from fraudml.report.numbers import NONE, column, number, percent, probability, ranged, signed

_COLOURS = 5
_ROWS = 15
_HEADLINES = ("average_precision", "value_recall", "cost")
"""Metrics whose difference stands in the first paragraph; all stand in the tables."""


def comparison_document(
    record: Mapping[str, Any], curves: Mapping[str, pl.DataFrame], repeat: str
) -> Document:
    """Return the report of a comparison.

    Parameters
    ----------
    record : mapping
        The content of `compare.json`.
    curves : mapping
        By model, its `by_threshold` from `evaluation.curves`; may be empty.
    repeat : str
        The command that repeats it.
    """
    names = list(record["models"])
    notes = (Notice("Before you read on", tuple(record["notes"])),) if record["notes"] else ()
    where = f"{record['rows']:,} rows, {record['frauds']:,} of them frauds"
    told = [Text(verdict(record, one, other), lead=True) for one, other in _pairs(record)]
    caution = Text(
        f"All models are judged on the same {where}; ranges are {100 * record['level']:g} %, "
        f"from draws of whole clusters ({record['clusters']}), and each difference is paired. "
        "'Probability better' is the share of replicates in which the model that looks better is "
        "better. With many "
        "metrics one or another range leaves 0 out by chance. "
        f"Costs: {record['costs']}."
    )
    return Document(
        f"{_and(names)}, side by side",
        f"A comparison on the same {where}",
        (*notes, *told, caution),
        [
            Section("Every metric", (_values(record, names),)),
            Section("Every difference", tuple(_differences(record))),
            Section("Curves", tuple(_curves(curves))),
            Section("How to repeat it", (Code(repeat),)),
        ],
    )


def verdict(record: Mapping[str, Any], one: str, other: str) -> str:
    """Say which of two models is better for what, and with what probability."""
    metrics = record["metrics"]
    found = {
        name: pair
        for name, entry in metrics.items()
        for pair in entry["pairs"]
        if (pair["first"], pair["second"]) == (one, other)
    }
    sentences = []
    for better, worse in ((one, other), (other, one)):
        ahead = [
            f"{_words(name)} by {_lead(pair)}" if name in _HEADLINES else _words(name)
            for name, pair in found.items()
            if pair["better"] == better
        ]
        if ahead:
            sentences.append(f"{better} is better than {worse} in {_and(ahead)}.")
    open_ = [
        _words(name)
        for name, pair in found.items()
        if pair["better"] is None and pair["probability_better"] is not None
    ]
    if open_:
        sentences.append(f"Nothing tells {one} and {other} apart in {_and(open_)}.")
    return " ".join(sentences) or f"{one} and {other} cannot be compared: no metric has a range."


def _lead(pair: Mapping[str, Any]) -> str:
    """By how much the better one is better, without a sign."""
    ends = sorted(abs(pair[end]) for end in ("low", "high"))
    return ranged({"value": abs(pair["difference"]), "low": ends[0], "high": ends[1]})


def _pairs(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    first = next(iter(record["metrics"].values()))
    return [(pair["first"], pair["second"]) for pair in first["pairs"]]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _difference(pair: Mapping[str, Any]) -> str:
    return ranged({**pair, "value": pair["difference"]}, signed)


def _values(record: Mapping[str, Any], names: list[str]) -> Table:
    better = {"higher": "more", "lower": "less", "none": NONE}
    return Table(
        "Each model by itself",
        ("metric", "better is", *names),
        tuple(
            (
                _words(name),
                better[entry["direction"]],
                *(ranged(entry["values"][one]) for one in names),
            )
            for name, entry in record["metrics"].items()
        ),
        words=(1,),
    )


def _differences(record: Mapping[str, Any]) -> Iterator[Block]:
    for position, (one, other) in enumerate(_pairs(record)):
        rows = []
        for name, entry in record["metrics"].items():
            pair = entry["pairs"][position]
            rows.append(
                (
                    _words(name),
                    _difference(pair),
                    pair["better"]
                    or ("undecided" if pair["probability_better"] is not None else NONE),
                    probability(pair["probability_better"]),
                )
            )
        yield Table(
            f"{one} minus {other}",
            ("metric", "difference", "better", "probability better"),
            tuple(rows),
            words=(2,),
        )


def _curves(curves: Mapping[str, pl.DataFrame]) -> Iterator[Plot]:
    if not curves:
        return
    plots = [("Precision over recall", "recall", "precision", "linear")]
    tables = list(curves.values())
    pace = _pace(tables)
    if all(table["value_recall"].null_count() == 0 for table in tables):
        plots.append(("Money found with so many alerts", pace, "value_recall", "log"))
    plots.append(("Frauds found with so many alerts", pace, "recall", "log"))
    for title, x, y, scale in plots:
        share = scale == "linear"
        yield Plot(
            title,
            "One line a model, with its band; bands that overlap may still differ, as they are not "
            "paired.",
            Chart(
                Axis(_words(x), "linear", "percent", 0, 1) if share else Axis(_words(x), "log"),
                Axis(_words(y), form="percent", low=0, high=1),
                [_line(table, x, y, name, i) for i, (name, table) in enumerate(curves.items())],
            ),
            _table(curves, x, y, title),
        )


def _pace(tables: list[pl.DataFrame]) -> str:
    known = all(table["alerts_per_day"].null_count() == 0 for table in tables)
    return "alerts_per_day" if known else "alerts"


def _line(table: pl.DataFrame, x: str, y: str, name: str, position: int) -> Line:
    return Line(
        table[x].to_list(),
        table[y].to_list(),
        name,
        (0, 1, 3, 4, 2)[position % _COLOURS],
        table[f"{y}_low"].to_list(),
        table[f"{y}_high"].to_list(),
    )


def _table(curves: Mapping[str, pl.DataFrame], x: str, y: str, title: str) -> Table:
    rows = []
    for name, table in curves.items():
        steps = {round(i * (table.height - 1) / (_ROWS - 1)) for i in range(_ROWS)}
        rows += [
            (name, f"{row['threshold']:.3g}", number(row[x]), column(row, y, percent))
            for row in table[sorted(steps)].iter_rows(named=True)
        ]
    return Table(title, ("model", "threshold", _words(x), _words(y)), tuple(rows))
