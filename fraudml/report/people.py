"""The sections of a model's report that are read by those who answer for it: what drives the score,
whom its alerts fall on, and what it was fitted and tested on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from fraudml.report.chart import Axis, Bar, Chart
from fraudml.report.document import Block, Plot, Table, Text
from fraudml.report.facts import ModelFacts
from fraudml.report.numbers import NONE, number, percent, ranged, signed

_MOST = 15
"""Features that are drawn."""


def drivers(facts: ModelFacts) -> tuple[Block, ...]:
    """Say what drives the score and which way."""
    table = facts.drivers
    if not table.height:
        return (Text(facts.words.get("no_drivers", "No feature adds anything to the score.")),)
    top = table.head(_MOST)
    count = top.height
    colours = {"higher": 1, "lower": 0}
    bars = [
        Bar(
            count - 1 - i,
            0.0,
            row["share"],
            colours.get(row["direction"], 2),
            row["direction"],
            row["feature"],
        )
        for i, row in enumerate(top.iter_rows(named=True))
    ]
    rows, alerts = facts.explained
    lines = tuple(
        (
            row["feature"],
            row["direction"],
            percent(row["share"]),
            number(row["weight"]),
            signed(row["in_alerts"]),
            NONE if row["correlation"] is None else f"{row['correlation']:+.2f}",
        )
        for row in table.head(3 * _MOST).iter_rows(named=True)
    )
    return (
        Plot(
            "The features that move the score most",
            f"Share of all contributions to the score, by the learner's own account of {rows:,} "
            f"test rows, and {alerts:,} alerts besides. The word at a bar says which values are "
            "more suspicious. What drives a score need not cause fraud. Shares have no range.",
            Chart(
                Axis("share of all contributions", form="percent", low=0, high=_room(top["share"])),
                Axis("", ticks=(), low=-0.5, high=count - 0.3),
                bars,
                height=66 + 38 * count,
            ),
            Table(
                "Contributions in log-odds: the mean size on all rows, and how much more they add "
                "on alerted rows than on others",
                ("feature", "more suspicious", "share", "mean size", "in alerts", "correlation"),
                lines,
                words=(1,),
            ),
        ),
    )


def _room(shares: pl.Series) -> float:
    """Where the axis of shares ends, so that a word stands behind the longest bar."""
    return 1.3 * max(float(one) for one in shares)


def groups(facts: ModelFacts) -> tuple[Block, ...]:
    """Say whom the alerts fall on."""
    record = facts.fairness
    if record["column"] is None:
        return (Text(f"Not looked at: {record['reason']}."),)
    rows = tuple(_group(level, one) for level, one in record["groups"].items())
    return (
        Text(
            f"{facts.words['fairness']}. This informs and decides nothing: no threshold by group "
            "reaches a bundle."
        ),
        Table(
            f"Alerts by '{record['column']}', ranges {facts.ends}; the ratio is that of the "
            "false-positive rate to that of all rows",
            (
                *("group", "rows", "frauds", "alerts", "false-positive rate", "ratio"),
                *("true-positive rate", "precision"),
            ),
            rows,
        ),
        *_trade_off(record["equal_rates"]),
    )


def _group(level: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        level,
        f"{one['rows']:,}",
        f"{one['frauds']:,}",
        f"{one['alerts']:,}",
        ranged(one["false_positive_rate"], percent),
        ranged(one["ratio"]),
        ranged(one["true_positive_rate"], percent),
        ranged(one["precision"], percent),
    )


def _trade_off(record: Mapping[str, Any]) -> Iterator[Block]:
    titles = {
        "today": "the policy",
        "one_threshold": "one threshold, as many alerts",
        "equal": "equal false-positive rates",
    }
    rows = tuple(
        (
            title,
            f"{record[name]['alerts']:,}",
            f"{record[name]['frauds_caught']:,}",
            number(record[name]["cost"]),
        )
        for name, title in titles.items()
    )
    yield Table(
        "What equal rates would have brought with no more alerts, with hindsight",
        ("rule", "alerts", "frauds caught", "cost"),
        rows,
    )


def blocks(facts: ModelFacts) -> tuple[Block, ...]:
    """Draw what the model was fitted and tested on."""
    return time_line(
        facts.blocks,
        f"The gap before the test block is the time that labels take: {facts.words['delay']}.",
    )


def time_line(blocks: Mapping[str, Any], description: str) -> tuple[Block, ...]:
    """Draw blocks in the order of time.

    Parameters
    ----------
    blocks : mapping
        By name: rows, frauds, start, end.
    description : str
        What is said of the plot.
    """
    table = Table(
        "The blocks",
        ("block", "from", "to", "rows", "frauds", "share"),
        tuple(
            (
                name,
                _moment(one["start"]),
                _moment(one["end"]),
                f"{one['rows']:,}",
                f"{one['frauds']:,}",
                percent(one["frauds"] / max(one["rows"], 1)),
            )
            for name, one in blocks.items()
        ),
        words=(1, 2),
    )
    spans = [(name, *_ends(one)) for name, one in blocks.items() if one["start"] is not None]
    if not spans:
        return (Text("Rows are drawn at random, as there is no time."), table)
    count = len(spans)
    bars = [
        Bar(count - 1 - i, start, end, 1 if name.endswith("test") else 0)
        for i, (name, start, end) in enumerate(spans)
    ]
    low, high = min(one[1] for one in spans), max(one[2] for one in spans)
    first = next(iter(blocks.values()))["start"]
    ticks = _date_ticks(low, high) if isinstance(first, str) else None
    return (
        Plot(
            "What was fitted and what was tested, in the order of time",
            description,
            Chart(
                Axis("time", ticks=ticks, low=low, high=high),
                Axis(
                    "",
                    ticks=[(float(count - 1 - i), one[0]) for i, one in enumerate(spans)],
                    low=-0.6,
                    high=count - 0.4,
                ),
                bars,
                height=66 + 28 * count,
            ),
            table,
        ),
    )


def _moment(value: Any) -> str:
    return NONE if value is None else str(value)


def _ends(block: Mapping[str, Any]) -> tuple[float, float]:
    return _seconds(block["start"]), _seconds(block["end"])


def _seconds(value: Any) -> float:
    """A moment as a number: seconds since 1970 of a date, or the number that it is."""
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()
    return float(value)


def _date_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Four days from the first to the last."""
    day = 86_400.0
    marks = [low + share * (high - low) for share in (0.0, 1 / 3, 2 / 3, 1.0)]
    days = dict.fromkeys(day * round(mark / day) for mark in marks)
    return [(one, f"{datetime.fromtimestamp(one, UTC):%Y-%m-%d}") for one in days]
