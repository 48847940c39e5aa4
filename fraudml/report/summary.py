"""What stands first in a report: a paragraph for people who do not train models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fraudml.report.document import Block, Notice, Text
from fraudml.report.facts import ModelFacts
from fraudml.report.numbers import number, percent, ranged


def opening(facts: ModelFacts) -> tuple[Block, ...]:
    """Return what is said before the first heading: a refusal first, then what the alerts do.

    Parameters
    ----------
    facts : ModelFacts
        The numbers; each is written with its range.
    """
    refusal = [] if facts.guard["passed"] else [_refusal(facts)]
    return (*refusal, Text(" ".join(_alerts(facts)), lead=True), Text(_conditions(facts)))


def _refusal(facts: ModelFacts) -> Notice:
    return Notice(
        "The guard refused this model, and there is no bundle to score with. The numbers below say "
        "what it did; they are no reason to use it.",
        tuple(facts.guard["reasons"]),
    )


def _alerts(facts: ModelFacts) -> Iterator[str]:
    decided, test = facts.decided, facts.test
    frauds = facts.blocks["test"]["frauds"]
    if decided["precision"]["value"] is None:
        yield f"The policy raises no alert at all, and so finds none of the {frauds:,} frauds."
        return
    yield f"Of 100 alerts about {ranged(decided['precision'], per=100)} are fraud."
    money = ""
    if test["value_recall"]["value"] is not None:
        money = f" and {ranged(test['value_recall'], percent)} of the money in them"
    yield f"It finds {ranged(decided['recall'], percent)} of the frauds{money}, {_pace(facts)}."
    yield _missed(facts)
    if test["savings"]["value"] is not None:
        yield _saved(facts, test["savings"])


def _pace(facts: ModelFacts) -> str:
    pace = facts.decided["alerts_per_day"]
    if pace["value"] is not None:
        return f"with {ranged(pace)} alerts a day"
    rows = facts.blocks["test"]["rows"]
    alerts = sum(facts.outcome[name]["rows"] for name in ("frauds caught", "false alerts"))
    return f"with {alerts:,.0f} alerts among {rows:,} rows"


def _missed(facts: ModelFacts) -> str:
    missed, recall = facts.outcome["frauds missed"], facts.decided["recall"]
    share = {
        "value": 1 - recall["value"],
        "low": None if recall["high"] is None else 1 - recall["high"],
        "high": None if recall["low"] is None else 1 - recall["low"],
    }
    worth = ""
    if missed["amount"] is not None:
        worth = f", worth {_counted(missed, 'amount')} together"
    return (
        f"It does not find the other {ranged(share, percent)}: {_counted(missed, 'rows')} of "
        f"{facts.blocks['test']['frauds']:,} frauds in the test block{worth}."
    )


def _counted(row: Any, name: str) -> str:
    return ranged({"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]})


def _saved(facts: ModelFacts, entry: Any) -> str:
    text = (
        f"Against the cheaper of never and always alerting it saves {ranged(entry, percent)} of "
        f"the cost, where {facts.words['costs']}."
    )
    if entry["low"] is not None and entry["low"] <= 0 < entry["high"]:
        text += " The range holds 0: it may save nothing."
    return text


def _conditions(facts: ModelFacts) -> str:
    test = facts.blocks["test"]
    when = "" if test["start"] is None else f", from {_day(test['start'])} to {_day(test['end'])}"
    share = percent(test["frauds"] / test["rows"])
    return (
        f"These numbers are counted on {test['rows']:,} rows that the model had not seen{when}; "
        f"{test['frauds']:,} of them are frauds. The ranges hold the true value in about "
        f"{facts.ends} of such cases; they are made of {facts.words['clusters']}."
        f"{facts.words['cases']} The numbers hold while new rows look like these, about {share} "
        f"of them are fraud, {facts.words['delay']}, and the policy stays as it is. "
        "They say nothing of kinds of fraud that nobody had labelled yet."
    )


def _day(moment: Any) -> str:
    """The date of a moment; a number as it is."""
    return moment[:10] if isinstance(moment, str) else number(moment)
