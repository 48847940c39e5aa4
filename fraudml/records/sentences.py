"""Sentences that records, closing tables and reports share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fraudml.decisions.costs import DEFAULT_REVIEW_COST, CostModel, describe
from fraudml.evaluation.probabilities import CalibrationVerdict
from fraudml.report.numbers import difference, label, signed

_OUTCOMES = {
    "fp": "a false alert",
    "fn": "a missed fraud",
    "tp": "a caught fraud",
    "tn": "a legitimate row that is left alone",
}


def costs_sentence(costs: CostModel) -> str:
    """Say what the outcomes cost."""
    values = dict(describe(costs))
    kind = values.pop("kind")
    if kind == "card":
        review = values["review_cost"]
        cost = f"{DEFAULT_REVIEW_COST:g} (built in, not yours)" if review is None else f"{review}"
        return f"a missed fraud costs its amount and an alert {cost}"
    known = {name.partition("_")[0]: value for name, value in values.items() if value is not None}
    prices = [f"{_OUTCOMES[name]} costs {_price(value)}" for name, value in known.items()]
    return ", ".join(prices) + (" (columns of the table)" if kind == "columns" else "")


def _price(cost: Any) -> str:
    """A number, the name of a column, or a fixed sum and a share of the amount."""
    if not isinstance(cost, Mapping):
        return f"{cost:g}" if isinstance(cost, int | float) else f"'{cost}'"
    share = f" and {cost['share']:.0%} of the amount" if cost["share"] else ""
    return f"{cost['fixed']:g}{share}"


def calibration_sentence(record: Mapping[str, Any]) -> str:
    """Give the verdict on the probabilities; `record` is `calibration` of `metrics.json`."""
    verdict = {field.name: record[field.name] for field in fields(CalibrationVerdict)}
    return CalibrationVerdict(**verdict).sentence()


def ablation_sentence(record: Mapping[str, Any]) -> str:
    """Give the verdict on an intervention; `record` is a part of `proof` of `metrics.json`."""
    name = label(record["metric"])
    if record["low"] is None:
        return f"undecided: {name} has no interval, {record.get('reason')}"
    test = record["test_difference"]
    on_test = "" if test is None else f"; on test {signed(test)}, reported only"
    change = f"{name} {difference(record)} out of fold, with minus without"
    return f"{record['verdict']}: {change}{on_test}"


def guard_sentence(guard: Mapping[str, Any]) -> str:
    """Give the guard's verdict with its reasons."""
    return "passed" if guard["passed"] else f"refused: {'; '.join(guard['reasons'])}"


def block_sentence(block: Mapping[str, Any]) -> str:
    """Say how large a block is, and its period where it has one."""
    period = f", {block['start']} to {block['end']}" if block.get("start") is not None else ""
    return f"{block['rows']:,} rows, {block['frauds']:,} frauds{period}"


def evaluated_on(refit: Mapping[str, Any]) -> str:
    """Say which run and test block the metrics of a refitted model are from."""
    return (
        f"those of run {refit['run']} (bundle {refit['bundle'][:19]}…), evaluated on "
        f"{block_sentence(refit['test_block'])}"
    )
