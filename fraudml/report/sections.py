"""The sections of a model's report, in order, and those of them that are text and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fraudml.report.document import Block, Code, Section, Table, Text
from fraudml.report.facts import ModelFacts
from fraudml.report.numbers import NONE, column, number, ranged, signed
from fraudml.report.people import blocks, drivers, groups
from fraudml.report.plots import (
    by_rank,
    cost_over_threshold,
    over_time,
    precision_recall,
    reliability,
)


def model_sections(facts: ModelFacts) -> list[Section]:
    """Return every section about one model on its test block, in order.

    Parameters
    ----------
    facts : ModelFacts
        The numbers and words.
    """
    return [
        Section("Comparison with baselines", _baselines(facts)),
        Section("Beside doing without", _proof(facts)),
        Section("Precision and recall", precision_recall(facts)),
        Section("Cost over the threshold", cost_over_threshold(facts)),
        Section("Over time", over_time(facts)),
        Section("Are the probabilities right?", reliability(facts)),
        Section("Value caught by rank", by_rank(facts)),
        Section("What came of the rows", _outcomes(facts)),
        Section("What drives the score", drivers(facts)),
        Section("Groups", groups(facts)),
        Section("The blocks on a time line", blocks(facts)),
        Section("What the audit found", _findings(facts)),
        Section("All numbers of the test block", _all_numbers(facts)),
        Section("How to repeat it", _repeat(facts)),
    ]


def _baselines(facts: ModelFacts) -> tuple[Block, ...]:
    if not facts.baselines:
        return (Text("Baselines were not evaluated (evaluation.baselines=false)."),)
    model = facts.test["average_precision"]
    recall = ranged(facts.test["recall_at_fpr_0.01"])
    rows: list[tuple[str, ...]] = [("the model", ranged(model), NONE, recall, NONE)]
    for name, one in facts.baselines.items():
        rows.append((_baseline(name, one), *_baseline_cells(one)))
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


def _baseline(name: str, one: Mapping[str, Any]) -> str:
    column_name = f" '{one['column']}'" if "column" in one else ""
    return name.replace("_", " ") + column_name


def _baseline_cells(one: Mapping[str, Any]) -> tuple[str, ...]:
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
