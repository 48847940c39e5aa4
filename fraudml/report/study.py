"""The report of a study: samplers and learners over the folds of a backtest, ranked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fraudml.report.chart import Axis, Chart, Line, Rule
from fraudml.report.document import Block, Code, Document, Plot, Section, Table, Text
from fraudml.report.numbers import NONE, number, ranged, signed
from fraudml.report.people import time_line

_HEIGHT = 34


def study_document(record: Mapping[str, Any], name: str, level: float, repeat: str) -> Document:
    """Return the report of a study.

    Parameters
    ----------
    record : mapping
        The content of `study.json`.
    name : str
        What the run is called.
    level : float
        Confidence of the intervals.
    repeat : str
        The commands that repeat it.
    """
    folds, objective = record["folds"], record["objective"].replace("_", " ")
    spans: dict[str, Any] = {}
    for position, fold in enumerate(folds):
        spans[f"fold {position}: training"] = fold["train"]
        spans[f"fold {position}: test"] = fold
    return Document(
        f"{name}: what samplers and learners do",
        f"A study over {len(folds)} folds of a backtest",
        (
            Text(_summary(record, objective, level), lead=True),
            Text(
                "Every sampler is fitted with every learner on the training period of each fold, "
                "and ranks the rows of its test period at their natural share of fraud. "
                "Differences are from the first sampler of the same learner, paired, and of means "
                "over the folds. With many samplers one or another range leaves 0 out by chance."
            ),
        ),
        [
            Section("Ranked", (_ranked(record, objective, level),)),
            Section("Differences", _differences(record, objective, level)),
            Section("The folds on a time line", time_line(spans, "The gap is the label delay.")),
            Section("How to repeat it", (Code(repeat),)),
        ],
    )


def _called(one: Mapping[str, Any]) -> str:
    return f"{one['learner']} with {one['resampling']}"


def _summary(record: Mapping[str, Any], objective: str, level: float) -> str:
    known = [one for one in record["variants"] if one["mean"][record["objective"]] is not None]
    if not known:
        return "No sampler could be fitted in every fold."
    best = known[0]
    told = f"By {objective}, {_called(best)} ranks first, {number(_mean(best, record))} on average"
    compared = [found for one in known if (found := _difference(one, record)) is not None]
    if not compared:
        return f"{told}."
    words = [str(found["verdict"]) for found in compared]
    return (
        f"{told}. Beside doing without, better with {100 * level:g} % confidence: "
        f"{words.count('keep')}; worse: {words.count('drop')}; undecided: "
        f"{words.count('undecided')}."
    )


def _mean(one: Mapping[str, Any], record: Mapping[str, Any]) -> float | None:
    value: float | None = one["mean"][record["objective"]]
    return value


def _difference(one: Mapping[str, Any], record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = one.get("difference", {}).get(record["objective"])
    return found


def _ranked(record: Mapping[str, Any], objective: str, level: float) -> Table:
    metrics = list(record["variants"][0]["mean"])
    rows = []
    for one in record["variants"]:
        found = _difference(one, record)
        told = NONE if found is None else ranged({**found, "value": found["difference"]}, signed)
        rows.append(
            (
                _called(one),
                *(
                    NONE
                    if one["mean"][name] is None
                    else f"{number(one['mean'][name])} ± {number(one['sd'][name])}"
                    for name in metrics
                ),
                told,
                one.get("failed") or ("" if found is None else str(found["verdict"])),
            )
        )
    return Table(
        f"Means and standard deviations over the folds; ranges {100 * level:g} %",
        (
            "variant",
            *(name.replace("_", " ") for name in metrics),
            f"change in {objective}",
            "verdict",
        ),
        tuple(rows),
        words=(len(metrics) + 2,),
    )


def _differences(record: Mapping[str, Any], objective: str, level: float) -> tuple[Block, ...]:
    known = [(one, found) for one in record["variants"] if (found := _difference(one, record))]
    known = [(one, found) for one, found in known if found["low"] is not None]
    if not known:
        return (Text("There is nothing to compare with: intervals or variants are missing."),)
    count = len(known)
    lines = [
        Line([found["low"], found["high"]], [float(count - 1 - i)] * 2)
        for i, (_, found) in enumerate(known)
    ]
    dots = [
        Line([found["difference"]], [float(count - 1 - i)], dots=True)
        for i, (_, found) in enumerate(known)
    ]
    names = [(float(count - 1 - i), _called(one)) for i, (one, _) in enumerate(known)]
    return (
        Plot(
            f"Change in {objective}",
            f"With the sampler minus without, and its {100 * level:g} % range; right of 0 is "
            "better.",
            Chart(
                Axis(f"difference in {objective}"),
                Axis("", ticks=names, low=-0.6, high=count - 0.4),
                [*lines, *dots, Rule(0.0, "no difference", "x")],
                height=66 + _HEIGHT * count,
            ),
            Table(
                "Every difference",
                ("variant", *(name.replace("_", " ") for name in known[0][0]["difference"])),
                tuple(
                    (
                        _called(one),
                        *(
                            ranged({**entry, "value": entry["difference"]}, signed)
                            for entry in one["difference"].values()
                        ),
                    )
                    for one, _ in known
                ),
            ),
        ),
    )
