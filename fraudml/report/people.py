"""The sections for those who answer for a model: drivers of its score, groups, blocks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fraudml.report.chart import Axis, Bar, Chart, ranked_bars
from fraudml.report.document import Block, Plot, Table, Text
from fraudml.report.model import ReportedModel
from fraudml.report.numbers import NONE, number, percent, ranged, signed

_MOST_BARS = 15
_COLOURS = {"higher": 1, "lower": 0}


def drivers(model: ReportedModel) -> tuple[Block, ...]:
    """Draw which features drive the score, and which way."""
    table = model.drivers
    if not table.height:
        return (Text(model.texts.get("no_drivers", "No feature adds anything to the score.")),)
    bars = [
        (row["feature"], row["share"], row["direction"], _COLOURS.get(row["direction"], 2))
        for row in table.head(_MOST_BARS).iter_rows(named=True)
    ]
    rows = tuple(
        (
            row["feature"],
            row["direction"],
            percent(row["share"]),
            number(row["weight"]),
            signed(row["in_alerts"]),
            NONE if row["correlation"] is None else f"{row['correlation']:+.2f}",
        )
        for row in table.head(3 * _MOST_BARS).iter_rows(named=True)
    )
    explained, alerts = model.explained
    return (
        Plot(
            "The features that move the score most",
            f"Share of all contributions to the score, by the learner's own account of "
            f"{explained:,} test rows, and {alerts:,} alerts besides. The word at a bar says which "
            "values are more suspicious. What drives a score need not cause fraud. Shares have no "
            "interval.",
            ranked_bars(bars, "share of all contributions"),
            Table(
                "Contributions in log-odds: the mean size on all rows, and how much more they add "
                "on alerted rows than on others",
                ("feature", "more suspicious", "share", "mean size", "in alerts", "correlation"),
                rows,
                words=(1,),
            ),
        ),
    )


def groups(model: ReportedModel) -> tuple[Block, ...]:
    """Tabulate how the alerts fall on groups."""
    record = model.fairness
    if record["column"] is None:
        return (Text(f"Not evaluated: {record['reason']}."),)
    rows = tuple(
        (
            level,
            *(f"{group[count]:,}" for count in ("rows", "frauds", "alerts")),
            ranged(group["false_positive_rate"], percent),
            ranged(group["ratio"]),
            ranged(group["true_positive_rate"], percent),
            ranged(group["precision"], percent),
        )
        for level, group in record["groups"].items()
    )
    rates = ("false-positive rate", "ratio", "true-positive rate", "precision")
    return (
        Text(
            f"{model.texts['fairness']}. This is reported only: no threshold by group reaches a "
            "bundle."
        ),
        Table(
            f"Alerts by '{record['column']}', intervals {model.interval}; the ratio is that of the "
            "false-positive rate to that of all rows",
            ("group", "rows", "frauds", "alerts", *rates),
            rows,
        ),
        _trade_off(record["equal_rates"]),
    )


_RULES = {
    "today": "the policy",
    "one_threshold": "one threshold, as many alerts",
    "equal": "equal false-positive rates",
}


def _trade_off(record: Mapping[str, Any]) -> Table:
    rows = (
        (title, f"{rule['alerts']:,}", f"{rule['frauds_caught']:,}", number(rule["cost"]))
        for title, rule in ((title, record[name]) for name, title in _RULES.items())
    )
    return Table(
        "What equal rates would have brought with no more alerts, with hindsight",
        ("rule", "alerts", "frauds caught", "cost"),
        tuple(rows),
    )


def blocks(model: ReportedModel) -> tuple[Block, ...]:
    """Draw what the model was fitted and tested on."""
    return time_line(
        model.blocks,
        f"The gap before the test block is the time that labels take: {model.texts['delay']}.",
    )


def time_line(blocks: Mapping[str, Any], description: str) -> tuple[Block, ...]:
    """Draw blocks in the order of time; each has rows, frauds, start and end."""
    table = _block_table(blocks)
    spans = [
        (name, _seconds(block["start"]), _seconds(block["end"]))
        for name, block in blocks.items()
        if block["start"] is not None
    ]
    if not spans:
        return (Text("Rows are drawn at random, as there is no time."), table)
    first = next(iter(blocks.values()))["start"]
    chart = _spans(spans, dates=isinstance(first, str))
    title = "What was fitted and what was tested, in the order of time"
    return (Plot(title, description, chart, table),)


def _block_table(blocks: Mapping[str, Any]) -> Table:
    rows = (
        (
            name,
            _moment(block["start"]),
            _moment(block["end"]),
            f"{block['rows']:,}",
            f"{block['frauds']:,}",
            percent(block["frauds"] / max(block["rows"], 1)),
        )
        for name, block in blocks.items()
    )
    header = ("block", "from", "to", "rows", "frauds", "share")
    return Table("The blocks", header, tuple(rows), words=(1, 2))


def _spans(spans: list[tuple[str, float, float]], *, dates: bool) -> Chart:
    count = len(spans)
    bars = [
        Bar(count - 1 - i, start, end, 1 if name.endswith("test") else 0)
        for i, (name, start, end) in enumerate(spans)
    ]
    low, high = min(start for _, start, _ in spans), max(end for _, _, end in spans)
    names = [(float(count - 1 - i), name) for i, (name, _, _) in enumerate(spans)]
    return Chart(
        Axis("time", ticks=_date_ticks(low, high) if dates else None, low=low, high=high),
        Axis("", ticks=names, low=-0.6, high=count - 0.4),
        bars,
        height=66 + 28 * count,
    )


def _moment(value: Any) -> str:
    return NONE if value is None else str(value)


def _seconds(value: Any) -> float:
    """A moment as a number: seconds since 1970 of a date, or the number that it is."""
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()
    return float(value)


def _date_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Four days from the first to the last."""
    day = 86_400.0
    moments = [low + share * (high - low) for share in (0.0, 1 / 3, 2 / 3, 1.0)]
    days = dict.fromkeys(day * round(moment / day) for moment in moments)
    return [(moment, f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}") for moment in days]
