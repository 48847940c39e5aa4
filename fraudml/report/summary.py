"""The opening of a report: a paragraph for people who do not train models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fraudml.report.document import Block, Notice, Text
from fraudml.report.model import ReportedModel
from fraudml.report.numbers import column, number, percent, ranged


def opening(model: ReportedModel) -> tuple[Block, ...]:
    """Return the blocks before the first heading: a refusal, what the alerts do, under what."""
    refusal = [] if model.guard["passed"] else [_refusal(model)]
    return (*refusal, Text(" ".join(_alerts(model)), lead=True), Text(_conditions(model)))


def _refusal(model: ReportedModel) -> Notice:
    return Notice(
        "The guard refused this model, and there is no bundle to score with. The numbers below say "
        "what it did; they are no reason to use it.",
        tuple(model.guard["reasons"]),
    )


def _alerts(model: ReportedModel) -> Iterator[str]:
    alerts, test = model.alerts, model.test
    frauds = model.blocks["test"]["frauds"]
    if alerts["precision"]["value"] is None:
        yield f"The policy raises no alert at all, and so finds none of the {frauds:,} frauds."
        return
    yield f"Of 100 alerts about {ranged(alerts['precision'], per=100)} are fraud."
    money = ""
    if test["value_recall"]["value"] is not None:
        money = f" and {ranged(test['value_recall'], percent)} of the money in them"
    yield f"It finds {ranged(alerts['recall'], percent)} of the frauds{money}, {_workload(model)}."
    yield _missed(model)
    if test["savings"]["value"] is not None:
        yield _saved(model, test["savings"])


def _workload(model: ReportedModel) -> str:
    per_day = model.alerts["alerts_per_day"]
    if per_day["value"] is not None:
        return f"with {ranged(per_day)} alerts a day"
    rows = model.blocks["test"]["rows"]
    alerts = sum(model.outcome[name]["rows"] for name in ("frauds caught", "false alerts"))
    return f"with {alerts:,.0f} alerts among {rows:,} rows"


def _missed(model: ReportedModel) -> str:
    missed, recall = model.outcome["frauds missed"], model.alerts["recall"]
    share = {
        "value": 1 - recall["value"],
        "low": None if recall["high"] is None else 1 - recall["high"],
        "high": None if recall["low"] is None else 1 - recall["low"],
    }
    worth = ""
    if missed["amount"] is not None:
        worth = f", worth {column(missed, 'amount')} together"
    return (
        f"It does not find the other {ranged(share, percent)}: {column(missed, 'rows')} of "
        f"{model.blocks['test']['frauds']:,} frauds in the test block{worth}."
    )


def _saved(model: ReportedModel, savings: Any) -> str:
    text = (
        f"Against the cheaper of never and always alerting it saves {ranged(savings, percent)} of "
        f"the cost, where {model.texts['costs']}."
    )
    if savings["low"] is not None and savings["low"] <= 0 < savings["high"]:
        text += " The interval includes 0: it may save nothing."
    return text


def _conditions(model: ReportedModel) -> str:
    test = model.blocks["test"]
    period = "" if test["start"] is None else f", from {_day(test['start'])} to {_day(test['end'])}"
    share = percent(test["frauds"] / test["rows"])
    return (
        f"These numbers are counted on {test['rows']:,} rows that the model had not seen{period}; "
        f"{test['frauds']:,} of them are frauds. The intervals include the true value in about "
        f"{model.interval} of such cases; they are made of {model.texts['clusters']}."
        f"{model.texts['cases']} The numbers hold while new rows look like these, about {share} "
        f"of them are fraud, {model.texts['delay']}, and the policy stays as it is. "
        "They do not cover fraud types that were never labelled."
    )


def _day(moment: Any) -> str:
    """The date of a moment; a number as it is."""
    return moment[:10] if isinstance(moment, str) else number(moment)
