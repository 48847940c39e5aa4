"""The plots of a model's report: curves over thresholds, periods and bins, each with its table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from fraudml.report.chart import Axis, Chart, Line, Rule, Spot
from fraudml.report.document import Block, Plot, Table, Text
from fraudml.report.facts import ModelFacts
from fraudml.report.numbers import column, number, percent, ranged

_FEW_ROWS = 24
"""Rows of a curve that its table shows."""


def precision_recall(facts: ModelFacts) -> tuple[Block, ...]:
    """Draw precision over recall, with the policy."""
    share = facts.blocks["test"]["frauds"] / facts.blocks["test"]["rows"]
    decided = facts.decided
    marks: list[Any] = [
        _curve(facts, "recall", "precision", f"the model, band {facts.ends}"),
        Rule(share, f"a random score: {percent(share)}"),
    ]
    point = ""
    if decided["precision"]["value"] is not None:
        precision, recall = decided["precision"], decided["recall"]
        marks.append(
            Spot(recall["value"], precision["value"], "the policy", _ends(recall), _ends(precision))
        )
        point = (
            f" The policy stands at a precision of {ranged(precision, percent)} and a recall of "
            f"{ranged(recall, percent)}."
        )
    return (
        Plot(
            "Precision over recall",
            "How pure the alerts are, when more and more of the frauds are to be found." + point,
            Chart(
                Axis("recall: share of the frauds that are alerted", form="percent", low=0, high=1),
                Axis("precision", form="percent", low=0, high=1),
                marks,
            ),
            _ladder(
                facts,
                {"precision": percent, "recall": percent},
                "Alerting every row whose probability is at least the threshold",
            ),
        ),
    )


def _cost_axis(*seen: float) -> Axis:
    """An axis that shows what is worth choosing; alerting every row may cost a hundred times that.

    Costs may be negative.
    """
    low, high = min(0.0, *seen), max(seen)
    top = high + 0.4 * (high - low)
    return Axis("cost", low=low, high=top if top > low else None)


def cost_over_threshold(facts: ModelFacts) -> tuple[Block, ...]:
    """Draw cost over the threshold, with the policy and doing nothing."""
    table, cost = facts.by_threshold, facts.test["cost"]
    low = max(min(table["threshold"].to_list()), 1e-6)
    marks: list[Any] = [
        _curve(facts, "threshold", "cost", f"one threshold for all rows, band {facts.ends}"),
        Rule(facts.cost_never, f"alerting never: {number(facts.cost_never)}", colour=2),
    ]
    threshold = facts.policy["threshold"]
    if threshold is None:
        marks.append(Rule(cost["value"], f"the policy: {ranged(cost)}", colour=1))
        chosen = (
            "The policy has a threshold for each row, which follows from its costs; what it costs "
            "is the level line."
        )
    else:
        chosen = f"The policy alerts from a probability of {threshold:.4g} on."
        if threshold <= 1:
            marks.append(Spot(threshold, cost["value"], "the policy", None, _ends(cost)))
    return (
        Text(f"Costs: {facts.words['costs']}."),
        Plot(
            "Cost on the test block over the threshold",
            f"{chosen} Alerting every row would cost {number(facts.cost_always)}, alerting none "
            f"{number(facts.cost_never)}. The lowest point of the curve is known with hindsight.",
            Chart(
                Axis("threshold on the probability of fraud", scale="log", low=low, high=1.0),
                _cost_axis(facts.cost_never, cost["value"], min(table["cost"].to_list())),
                marks,
            ),
            _ladder(facts, {"cost": number}, "Cost of alerting from each threshold on"),
        ),
    )


_RATES = {
    "precision": ("Precision", "share of the alerts that are fraud", percent, 0),
    "recall": ("Recall", "share of the frauds that are alerted", percent, 3),
    "alerts_per_day": ("Alerts per day", "how much there is to review", number, 4),
}


def over_time(facts: ModelFacts) -> tuple[Block, ...]:
    """Draw precision, recall and alerts a day, period by period."""
    table = facts.over_time
    if not table.height:
        return (Text("No column has the role of the time, so nothing can be told over time."),)
    known = [name for name in _RATES if table[name].null_count() < table.height]
    return tuple(_period_plot(facts, table, name) for name in known)


def _period_plot(facts: ModelFacts, table: pl.DataFrame, name: str) -> Plot:
    title, what, write, colour = _RATES[name]
    places = [float(i) for i in range(table.height)]
    step = max(1, -(-table.height // 4))
    ticks = [(float(i), table["label"][i]) for i in range(0, table.height, step)]
    line = Line(
        places,
        table[name].to_list(),
        f"{title.lower()}, {facts.ends}",
        colour,
        table[f"{name}_low"].to_list(),
        table[f"{name}_high"].to_list(),
        dots=True,
    )
    share = name != "alerts_per_day"
    rows = [
        (
            row["label"],
            f"{row['rows']:,}",
            f"{row['frauds']:,}",
            f"{row['alerts']:,}",
            column(row, name, write),
        )
        for row in table.iter_rows(named=True)
    ]
    marks: list[Any] = [line]
    overall = facts.decided[name]["value"]
    if overall is not None:
        marks.append(Rule(overall, f"{facts.words['whole']}: {write(overall)}"))
    ends = Axis("start of the period", ticks=ticks, low=-0.5, high=table.height - 0.5)
    top = 1 if name == "recall" else None
    scale = Axis("", form="percent" if share else "number", low=0, high=top)
    return Plot(
        f"{title} over time",
        f"{what[0].upper()}{what[1:]}, period by period. A gap is a period where it has no value.",
        Chart(ends, scale, marks, height=220),
        Table(
            f"{title} by period",
            ("from", "rows", "frauds", "alerts", f"{title.lower()} ({facts.ends})"),
            tuple(rows),
        ),
    )


def reliability(facts: ModelFacts) -> tuple[Block, ...]:
    """Draw what was predicted beside what was observed."""
    bins = facts.calibration["reliability"]
    known = [one for one in bins if one["mean_p"] > 0]
    positive = [v for one in known for v in (one["mean_p"], one["rate"]) if v > 0]
    low = 10.0 ** math.floor(math.log10(min(positive, default=1e-4)))
    line = Line(
        [one["mean_p"] for one in known],
        [one["rate"] for one in known],
        f"observed, {facts.ends}",
        0,
        [one["rate_low"] for one in known],
        [one["rate_high"] for one in known],
        dots=True,
    )
    right = Line([low, 1.0], [low, 1.0], "right", 2, dashed=True)
    rows = [
        (
            f"{one['low']:.3g} to {one['high']:.3g}",
            f"{one['rows']:,}",
            f"{one['frauds']:,}",
            percent(one["mean_p"]),
            ranged(
                {"value": one["rate"], "low": one["rate_low"], "high": one["rate_high"]}, percent
            ),
        )
        for one in bins
    ]
    kind, verdict = facts.calibration["kind"], facts.words["calibration"]
    return (
        Text(f"The calibration is {kind}. Verdict on the probabilities: {verdict}."),
        Plot(
            "Predicted beside observed",
            "Bins that grow by a factor, because nearly all rows have small probabilities. On the "
            "dashed line a probability means what it says. A bin without fraud has no point.",
            Chart(
                Axis("mean probability in the bin", scale="log", form="percent", low=low, high=1.0),
                Axis("share of fraud", scale="log", form="percent", low=low, high=1.0),
                (right, line),
                height=300,
            ),
            Table(
                "Bins of the probability",
                ("bin", "rows", "frauds", "predicted", f"observed ({facts.ends})"),
                tuple(rows),
            ),
        ),
    )


def by_rank(facts: ModelFacts) -> tuple[Block, ...]:
    """Draw how much is found with so many alerts."""
    table = facts.by_threshold
    pace = "alerts_per_day" if table["alerts_per_day"].null_count() == 0 else "alerts"
    marks: list[Any] = [_curve(facts, pace, "recall", f"frauds found, band {facts.ends}", 3)]
    names = {"recall": percent}
    if table["value_recall"].null_count() == 0:
        marks.insert(0, _curve(facts, pace, "value_recall", f"money found, band {facts.ends}"))
        names["value_recall"] = percent
    alerts = facts.decided["alerts_per_day"]["value"]
    if pace == "alerts_per_day" and alerts:
        marks.append(Rule(alerts, f"alerts of the policy: {number(alerts)} a day", "x", 1))
    return (
        Plot(
            "What is found with so many reviews",
            "The rows of the highest probability first: how much of the fraud, and of its money, "
            "is found with a given number of alerts.",
            Chart(
                Axis(pace.replace("_", " "), scale="log"),
                Axis("share found", form="percent", low=0, high=1),
                marks,
            ),
            _ladder(facts, names, "What alerting from each threshold on finds"),
        ),
    )


def _thinned(table: pl.DataFrame, rows: int = _FEW_ROWS) -> pl.DataFrame:
    """Rows at even steps, both ends among them."""
    if table.height <= rows:
        return table
    steps = [round(i * (table.height - 1) / (rows - 1)) for i in range(rows)]
    return table[steps]


def _ladder(facts: ModelFacts, names: Mapping[str, Any], caption: str) -> Table:
    """Some thresholds with what alerting from them on gives."""
    table = _thinned(facts.by_threshold)
    pace = "alerts_per_day" if table["alerts_per_day"].null_count() == 0 else "alerts"
    rows = [
        (
            f"{row['threshold']:.3g}",
            number(row[pace]),
            *(column(row, name, write) for name, write in names.items()),
        )
        for row in table.iter_rows(named=True)
    ]
    header = ("threshold", pace.replace("_", " "), *(name.replace("_", " ") for name in names))
    return Table(caption, header, tuple(rows))


def _curve(facts: ModelFacts, x: str, y: str, label: str, colour: int = 0) -> Line:
    table = facts.by_threshold
    return Line(
        table[x].to_list(),
        table[y].to_list(),
        label,
        colour,
        table[f"{y}_low"].to_list(),
        table[f"{y}_high"].to_list(),
    )


def _ends(entry: Mapping[str, Any]) -> tuple[float, float] | None:
    return None if entry.get("low") is None else (entry["low"], entry["high"])
