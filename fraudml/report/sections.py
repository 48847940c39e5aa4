"""The sections of a model's report: each takes the facts and gives blocks, none computes a number
that decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from fraudml.report.chart import Axis, Chart, Line, Rule, Spot
from fraudml.report.document import Block, Code, Plot, Section, Table, Text
from fraudml.report.facts import ModelFacts
from fraudml.report.numbers import NONE, column, number, percent, ranged, signed
from fraudml.report.people import blocks, drivers, groups

_FEW_ROWS = 24
"""Rows of a curve that its table shows."""


def model_sections(facts: ModelFacts) -> list[Section]:
    """Return every section about one model on its test block, in order.

    Parameters
    ----------
    facts : ModelFacts
        The numbers and words.
    """
    return [
        Section("Beside trivial rivals", _rivals(facts)),
        Section("Beside doing without", _proof(facts)),
        Section("Precision and recall", _precision_recall(facts)),
        Section("Cost over the threshold", _cost(facts)),
        Section("Over time", _over_time(facts)),
        Section("Are the probabilities right?", _reliability(facts)),
        Section("Value caught by rank", _by_rank(facts)),
        Section("What came of the rows", _outcomes(facts)),
        Section("What drives the score", drivers(facts)),
        Section("Groups", groups(facts)),
        Section("The blocks on a time line", blocks(facts)),
        Section("What the audit found", _findings(facts)),
        Section("All numbers of the test block", _all_numbers(facts)),
        Section("How to repeat it", _repeat(facts)),
    ]


def _rivals(facts: ModelFacts) -> tuple[Block, ...]:
    if not facts.rivals:
        return (Text("Trivial rivals were not evaluated (evaluation.rivals=false)."),)
    model = facts.test["average_precision"]
    recall = ranged(facts.test["recall_at_fpr_0.01"])
    rows: list[tuple[str, ...]] = [("the model", ranged(model), NONE, recall, NONE)]
    for name, one in facts.rivals.items():
        rows.append((_rival(name, one), *_rival_cells(one)))
    return (
        Text(
            "Scores that cost next to nothing, on the same rows. A model that is not clearly ahead "
            "of all of them earns nothing. A difference whose range holds 0 may be chance."
        ),
        Table(
            f"The model beside trivial scores; differences are paired, ranges are {facts.ends}",
            (
                "score",
                "average precision",
                "the model is ahead by",
                "recall at 1 % false-positive rate",
                "the model is ahead by",
            ),
            tuple(rows),
        ),
    )


def _rival(name: str, one: Mapping[str, Any]) -> str:
    column_name = f" '{one['column']}'" if "column" in one else ""
    return name.replace("_", " ") + column_name


def _rival_cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    if one["average_precision"] is None:
        return (f"{NONE} ({one['reason']})", NONE, NONE, NONE)
    cells: list[str] = []
    for metric in ("average_precision", "recall_at_fpr_0.01"):
        ahead = one[metric]["ahead"]
        cells += [f"{one[metric]['value']:.3f}", difference(ahead)]
    return tuple(cells)


def difference(entry: Mapping[str, Any]) -> str:
    """Write a difference with its range; `difference`, `low`, `high`, perhaps `reason`."""
    return ranged({**entry, "value": entry["difference"]}, signed)


def _proof(facts: ModelFacts) -> tuple[Block, ...]:
    if facts.proof is None:
        return ()
    if not facts.proof:
        return (
            Text(
                "There is nothing to prove: the model has no sampler, weighting or custom loss, or "
                "the proof was switched off (proof=false)."
            ),
        )
    found: list[Block] = []
    for name, one in facts.proof.items():
        found.append(Text(f"{name}: {facts.proof_words[name]}."))
        rows = [
            (
                metric.replace("_", " "),
                difference(entry),
                str(entry["verdict"]),
                signed(entry["test_difference"]),
            )
            for metric, entry in one["metrics"].items()
        ]
        found.append(
            Table(
                f"With {name} minus without, on out-of-fold scores; the test block decides nothing",
                ("metric", f"difference ({facts.ends})", "verdict", "on test"),
                tuple(rows),
                words=(2,),
            )
        )
    return tuple(found)


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


def _precision_recall(facts: ModelFacts) -> tuple[Block, ...]:
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


def _cost(facts: ModelFacts) -> tuple[Block, ...]:
    table, cost = facts.by_threshold, facts.test["cost"]
    low = max(float(table["threshold"].min() or 0.0), 1e-6)  # type: ignore[arg-type]
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
    top = 1.4 * max(facts.cost_never, cost["value"], float(table["cost"].min() or 0.0))  # type: ignore[arg-type]
    return (
        Text(f"Costs: {facts.words['costs']}."),
        Plot(
            "Cost on the test block over the threshold",
            f"{chosen} Alerting every row would cost {number(facts.cost_always)}, alerting none "
            f"{number(facts.cost_never)}. The lowest point of the curve is known with hindsight.",
            Chart(
                Axis("threshold on the probability of fraud", scale="log", low=low, high=1.0),
                Axis("cost", low=min(0.0, float(table["cost"].min() or 0.0)), high=top or None),  # type: ignore[arg-type]
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


def _over_time(facts: ModelFacts) -> tuple[Block, ...]:
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
        marks.append(Rule(overall, f"over the whole block: {write(overall)}"))
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


def _reliability(facts: ModelFacts) -> tuple[Block, ...]:
    bins = facts.calibration["reliability"]
    known = [one for one in bins if one["mean_p"] > 0]
    positive = [v for one in known for v in (one["mean_p"], one["rate"]) if v > 0]
    low = 10.0 ** _floor_decade(min(positive, default=1e-4))
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


def _floor_decade(value: float) -> int:
    return len(f"{value:.0e}".partition("e-")[2]) and -int(f"{value:.0e}".partition("e-")[2])


def _by_rank(facts: ModelFacts) -> tuple[Block, ...]:
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


def _outcomes(facts: ModelFacts) -> tuple[Block, ...]:
    money = facts.outcomes["amount"].null_count() == 0
    header = ("outcome", "rows", *(("amount",) if money else ()), "cost")
    rows = [
        (
            row["outcome"],
            column(row, "rows"),
            *((column(row, "amount"),) if money else ()),
            column(row, "cost"),
        )
        for row in facts.outcomes.iter_rows(named=True)
    ]
    promise = [Text(f"Promise: {facts.words['promise']}.")] if "promise" in facts.words else []
    threshold = facts.policy["threshold"]
    where = "a threshold for each row" if threshold is None else f"a threshold of {threshold:.6g}"
    return (
        Text(f"The policy is {facts.policy['kind'].replace('_', ' ')}, with {where}."),
        *promise,
        Table(
            f"What came of the rows of the test block under the policy, ranges {facts.ends}",
            header,
            tuple(rows),
        ),
    )


def _findings(facts: ModelFacts) -> tuple[Block, ...]:
    if facts.findings is None:
        return ()
    note = Text(
        "Training looks for columns that give the label away, for dates after the fact and for "
        "copied rows. The command audit, with the same settings, looks for more."
    )
    if not facts.findings:
        return (Text("Nothing was found on the way."), note)
    rows = tuple(facts.findings)
    return (Table("Findings", ("severity", "what was found"), rows, words=(1,)), note)


def _all_numbers(facts: ModelFacts) -> tuple[Block, ...]:
    return (
        Table(
            f"Ranges are {facts.ends}; the baseline is what a random score reaches",
            ("metric", "value", "baseline", "attainable"),
            tuple(_metric_rows({**facts.test, **facts.decided})),
        ),
    )


def _metric_rows(metrics: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for name, entry in metrics.items():
        yield (
            name.replace("_", " "),
            ranged(entry),
            number(entry.get("baseline")),
            number(entry.get("attainable")),
        )


def _repeat(facts: ModelFacts) -> tuple[Block, ...]:
    versions = ", ".join(f"{name} {one}" for name, one in facts.versions.items())
    return (
        Text(
            f"The table had {facts.data['rows']:,} rows and the fingerprint "
            f"{facts.data['fingerprint']}. The same table, config, versions and number of threads "
            f"give the same numbers. Made with {versions}."
        ),
        Code(facts.repeat),
    )
