"""The plots of a model's report: curves over thresholds, periods and bins, each with its table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from fraudml.report.chart import Axis, Chart, Form, Interval, Line, Mark, Rule, Spot
from fraudml.report.document import Block, Plot, Table, Text
from fraudml.report.model import ReportedModel
from fraudml.report.numbers import Write, column, label, number, percent, ranged

_CURVE_ROWS = 24
"""Rows of a curve that its table shows."""


def curve(table: pl.DataFrame, x: str, y: str, name: str, colour: int = 0) -> Line:
    """Draw a column over another, with its band."""
    low, high = table[f"{y}_low"].to_list(), table[f"{y}_high"].to_list()
    return Line(table[x].to_list(), table[y].to_list(), name, colour, low, high)


def thinned(table: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Take rows at even steps, the first and the last among them."""
    steps = {round(step * (table.height - 1) / (rows - 1)) for step in range(rows)}
    return table[sorted(steps)]


def alert_axis(*tables: pl.DataFrame) -> str:
    """Name the column that counts alerts: per day where days are known everywhere."""
    per_day = all(table["alerts_per_day"].null_count() == 0 for table in tables)
    return "alerts_per_day" if per_day else "alerts"


def _by_threshold(model: ReportedModel, writers: Mapping[str, Write], caption: str) -> Table:
    """Some thresholds with the metrics of alerting from them on."""
    table = thinned(model.by_threshold, _CURVE_ROWS)
    alerts = alert_axis(model.by_threshold)
    rows = (
        (
            f"{row['threshold']:.3g}",
            number(row[alerts]),
            *(column(row, name, write) for name, write in writers.items()),
        )
        for row in table.iter_rows(named=True)
    )
    return Table(caption, ("threshold", label(alerts), *map(label, writers)), tuple(rows))


def _interval(entry: Mapping[str, Any]) -> Interval | None:
    return None if entry.get("low") is None else (entry["low"], entry["high"])


def _share_axis(title: str) -> Axis:
    return Axis(title, form="percent", low=0, high=1)


def precision_recall(model: ReportedModel) -> tuple[Block, ...]:
    """Draw precision over recall, with the policy."""
    share = model.blocks["test"]["frauds"] / model.blocks["test"]["rows"]
    precision, recall = model.alerts["precision"], model.alerts["recall"]
    title = f"the model, band {model.interval}"
    marks: list[Mark] = [
        curve(model.by_threshold, "recall", "precision", title),
        Rule(share, f"a random score: {percent(share)}"),
    ]
    policy = ""
    if precision["value"] is not None:
        intervals = _interval(recall), _interval(precision)
        marks.append(Spot(recall["value"], precision["value"], "the policy", *intervals))
        policy = (
            f" The policy stands at a precision of {ranged(precision, percent)} and a recall of "
            f"{ranged(recall, percent)}."
        )
    return (
        Plot(
            "Precision over recall",
            "How pure the alerts are, when more and more of the frauds are to be found." + policy,
            Chart(
                _share_axis("recall: share of the frauds that are alerted"),
                _share_axis("precision"),
                marks,
            ),
            _by_threshold(
                model,
                {"precision": percent, "recall": percent},
                "Alerting every row whose probability is at least the threshold",
            ),
        ),
    )


def _cost_axis(*values: float) -> Axis:
    """An axis for costs worth choosing: alerting every row may cost a hundred times as much."""
    low, high = min(0.0, *values), max(values)  # costs may be negative
    top = high + 0.4 * (high - low)
    return Axis("cost", low=low, high=top if top > low else None)


def cost_over_threshold(model: ReportedModel) -> tuple[Block, ...]:
    """Draw cost over the threshold, with the policy and alerting never."""
    table, cost = model.by_threshold, model.test["cost"]
    lowest = max(min(table["threshold"].to_list()), 1e-6)
    name = f"one threshold for all rows, band {model.interval}"
    marks: list[Mark] = [
        curve(table, "threshold", "cost", name),
        Rule(model.cost_never, f"alerting never: {number(model.cost_never)}", colour=2),
    ]
    threshold = model.policy["threshold"]
    if threshold is None:
        marks.append(Rule(cost["value"], f"the policy: {ranged(cost)}", colour=1))
        policy = (
            "The policy has a threshold for each row, which follows from its costs; what it costs "
            "is the level line."
        )
    else:
        policy = f"The policy alerts from a probability of {threshold:.4g} on."
        if threshold <= 1:
            marks.append(Spot(threshold, cost["value"], "the policy", None, _interval(cost)))
    return (
        Text(f"Costs: {model.texts['costs']}."),
        Plot(
            "Cost on the test block over the threshold",
            f"{policy} Alerting every row would cost {number(model.cost_always)}, alerting none "
            f"{number(model.cost_never)}. The lowest point of the curve is known with hindsight.",
            Chart(
                Axis("threshold on the probability of fraud", scale="log", low=lowest, high=1.0),
                _cost_axis(model.cost_never, cost["value"], min(table["cost"].to_list())),
                marks,
            ),
            _by_threshold(model, {"cost": number}, "Cost of alerting from each threshold on"),
        ),
    )


_RATES: dict[str, tuple[str, str, Write, int]] = {
    "precision": ("Precision", "Share of the alerts that are fraud", percent, 0),
    "recall": ("Recall", "Share of the frauds that are alerted", percent, 3),
    "alerts_per_day": ("Alerts per day", "How much there is to review", number, 4),
}


def over_time(model: ReportedModel) -> tuple[Block, ...]:
    """Draw precision, recall and alerts a day, period by period."""
    table = model.over_time
    if not table.height:
        return (Text("No column has the role of the time, so nothing can be shown over time."),)
    known = [name for name in _RATES if table[name].null_count() < table.height]
    return tuple(_period_plot(model, table, name) for name in known)


def _period_plot(model: ReportedModel, table: pl.DataFrame, name: str) -> Plot:
    title, text, write, colour = _RATES[name]
    step = max(1, -(-table.height // 4))
    ticks = [(float(i), table["label"][i]) for i in range(0, table.height, step)]
    periods = table.with_columns(place=pl.int_range(table.height, eager=True).cast(pl.Float64))
    line = curve(periods, "place", name, f"{title.lower()}, {model.interval}", colour)
    marks: list[Mark] = [replace(line, dots=True)]
    overall = model.alerts[name]["value"]
    if overall is not None:
        marks.append(Rule(overall, f"{model.texts['period']}: {write(overall)}"))
    form: Form = "number" if name == "alerts_per_day" else "percent"
    rows = (
        (
            row["label"],
            *(f"{row[count]:,}" for count in ("rows", "frauds", "alerts")),
            column(row, name, write),
        )
        for row in table.iter_rows(named=True)
    )
    return Plot(
        f"{title} over time",
        f"{text}, period by period. A gap is a period where it has no value.",
        Chart(
            Axis("start of the period", ticks=ticks, low=-0.5, high=table.height - 0.5),
            Axis("", form=form, low=0, high=1 if name == "recall" else None),
            marks,
            height=220,
        ),
        Table(
            f"{title} by period",
            ("from", "rows", "frauds", "alerts", f"{title.lower()} ({model.interval})"),
            tuple(rows),
        ),
    )


def reliability(model: ReportedModel) -> tuple[Block, ...]:
    """Draw observed over predicted shares of fraud."""
    bins = model.calibration["reliability"]
    known = [each for each in bins if each["mean_p"] > 0]
    positive = [value for each in known for value in (each["mean_p"], each["rate"]) if value > 0]
    low = 10.0 ** math.floor(math.log10(min(positive, default=1e-4)))
    predicted, observed, lows, highs = (
        [each[key] for each in known] for key in ("mean_p", "rate", "rate_low", "rate_high")
    )
    name = f"observed, {model.interval}"
    line = Line(predicted, observed, name, 0, lows, highs, dots=True)
    right = Line([low, 1.0], [low, 1.0], "right", 2, dashed=True)
    rows = (
        (
            f"{each['low']:.3g} to {each['high']:.3g}",
            f"{each['rows']:,}",
            f"{each['frauds']:,}",
            percent(each["mean_p"]),
            column(each, "rate", percent),
        )
        for each in bins
    )
    kind, verdict = model.calibration["kind"], model.texts["calibration"]

    def axis(title: str) -> Axis:
        return Axis(title, scale="log", form="percent", low=low, high=1.0)

    return (
        Text(f"The calibration is {kind}. Verdict on the probabilities: {verdict}."),
        Plot(
            "Predicted beside observed",
            "Bins that grow by a factor, because nearly all rows have small probabilities. On the "
            "dashed line a probability means what it says. A bin without fraud has no point.",
            Chart(
                axis("mean probability in the bin"),
                axis("share of fraud"),
                (right, line),
                height=300,
            ),
            Table(
                "Bins of the probability",
                ("bin", "rows", "frauds", "predicted", f"observed ({model.interval})"),
                tuple(rows),
            ),
        ),
    )


def cumulative_gains(model: ReportedModel) -> tuple[Block, ...]:
    """Draw the shares of frauds and of their money that so many alerts find."""
    table, alerts = model.by_threshold, alert_axis(model.by_threshold)
    marks: list[Mark] = [curve(table, alerts, "recall", f"frauds found, band {model.interval}", 3)]
    writers = {"recall": percent}
    if table["value_recall"].null_count() == 0:
        money = f"money found, band {model.interval}"
        marks.insert(0, curve(table, alerts, "value_recall", money))
        writers["value_recall"] = percent
    a_day = model.alerts["alerts_per_day"]["value"]
    if alerts == "alerts_per_day" and a_day:
        marks.append(Rule(a_day, f"alerts of the policy: {number(a_day)} a day", "x", 1))
    return (
        Plot(
            "What is found with so many reviews",
            "The rows of the highest probability first: how much of the fraud, and of its money, "
            "is found with a given number of alerts.",
            Chart(Axis(label(alerts), scale="log"), _share_axis("share found"), marks),
            _by_threshold(model, writers, "What alerting from each threshold on finds"),
        ),
    )
