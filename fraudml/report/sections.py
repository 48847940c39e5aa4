"""The sections of a model's report, in order, and those of them that are text and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fraudml.report.document import Block, Code, Section, Table, Text
from fraudml.report.model import ReportedModel
from fraudml.report.numbers import NONE, column, difference, label, number, point, ranged, signed
from fraudml.report.people import blocks, drivers, groups
from fraudml.report.plots import (
    cost_over_threshold,
    cumulative_gains,
    over_time,
    precision_recall,
    reliability,
)


def model_sections(model: ReportedModel) -> list[Section]:
    """Return every section about one model on its test block, in order."""
    return [
        Section("Comparison with baselines", _baselines(model)),
        Section("Ablation", tuple(_ablation(model))),
        Section("Precision and recall", precision_recall(model)),
        Section("Cost over the threshold", cost_over_threshold(model)),
        Section("Over time", over_time(model)),
        Section("Are the probabilities right?", reliability(model)),
        Section("Cumulative gains", cumulative_gains(model)),
        Section("Outcomes", _outcomes(model)),
        Section("What drives the score", drivers(model)),
        Section("Groups", groups(model)),
        Section("The blocks on a time line", blocks(model)),
        Section("What the audit found", _findings(model)),
        Section("All numbers of the test block", _all_numbers(model)),
        Section("How to repeat it", _repeat(model)),
    ]


def _baselines(model: ReportedModel) -> tuple[Block, ...]:
    if not model.baselines:
        return (Text("Baselines were not evaluated (evaluation.baselines=false)."),)
    first = next(iter(model.baselines.values()))
    metrics = [name for name in first if name in model.test]
    own = [cell for name in metrics for cell in (ranged(model.test[name]), NONE)]
    rows = [("the model", *own)]
    rows += [_baseline(name, baseline, metrics) for name, baseline in model.baselines.items()]
    titles = [_BASELINE_TITLES.get(name, label(name)) for name in metrics]
    return (
        Text(
            "Scores that cost next to nothing, on the same rows. A model that is not clearly ahead "
            "of all of them earns nothing. A difference whose interval includes 0 may be chance."
        ),
        Table(
            f"The model and its baselines; differences are paired, intervals are {model.interval}",
            ("score", *(cell for title in titles for cell in (title, "the model is ahead by"))),
            tuple(rows),
        ),
    )


_BASELINE_TITLES = {"recall_at_fpr_0.01": "recall at 1 % false-positive rate"}


def _baseline(name: str, baseline: Mapping[str, Any], metrics: Sequence[str]) -> tuple[str, ...]:
    column_name = f" '{baseline['column']}'" if "column" in baseline else ""
    title = f"{label(name)}{column_name}"
    if baseline[metrics[0]] is None:
        return title, f"{NONE} ({baseline['reason']})", *(NONE,) * (2 * len(metrics) - 1)
    cells = []
    for metric in metrics:
        cells += [point(baseline[metric]), difference(baseline[metric]["ahead"])]
    return title, *cells


def _ablation(model: ReportedModel) -> Iterator[Block]:
    if model.proof is None:
        return
    if not model.proof:
        yield Text(
            "There is nothing to leave out: the model has no sampler, weighting or custom loss, or "
            "the proof was switched off (proof=false)."
        )
    for name, proof in model.proof.items():
        yield Text(f"{name}: {model.verdicts[name]}.")
        yield Table(
            f"With {name} minus without, on out-of-fold scores; the test block is reported only",
            ("metric", f"difference ({model.interval})", "verdict", "on test"),
            tuple(
                (
                    label(metric),
                    difference(entry),
                    str(entry["verdict"]),
                    signed(entry["test_difference"]),
                )
                for metric, entry in proof["metrics"].items()
            ),
            words=(2,),
        )


def _outcomes(model: ReportedModel) -> tuple[Block, ...]:
    with_amount = model.outcomes["amount"].null_count() == 0
    columns = ("rows", *(("amount",) if with_amount else ()), "cost")
    rows = tuple(
        (row["outcome"], *(column(row, name) for name in columns))
        for row in model.outcomes.iter_rows(named=True)
    )
    constraint = model.texts.get("constraint")
    threshold = model.policy["threshold"]
    rule = "a threshold for each row" if threshold is None else f"a threshold of {threshold:.6g}"
    return (
        Text(f"The policy is {label(model.policy['kind'])}, with {rule}."),
        *([] if constraint is None else [Text(f"Constraint: {constraint}.")]),
        Table(
            f"Outcomes of the test rows under the policy, intervals {model.interval}",
            ("outcome", *columns),
            rows,
        ),
    )


def _findings(model: ReportedModel) -> tuple[Block, ...]:
    if model.findings is None:
        return ()
    note = Text(
        "Training looks for columns that leak the label, for dates after the fact and for "
        "duplicate rows. The command audit, with the same settings, looks for more."
    )
    if not model.findings:
        return (Text("Training found nothing."), note)
    return (Table("Findings", ("severity", "finding"), tuple(model.findings), words=(1,)), note)


def _all_numbers(model: ReportedModel) -> tuple[Block, ...]:
    rows = tuple(
        (
            label(name),
            ranged(entry),
            *(number(entry.get(key)) for key in ("baseline", "attainable")),
        )
        for name, entry in {**model.test, **model.alerts}.items()
    )
    caption = f"Intervals are {model.interval}; the baseline is what a random score reaches"
    return (Table(caption, ("metric", "value", "baseline", "attainable"), rows),)


def _repeat(model: ReportedModel) -> tuple[Block, ...]:
    versions = ", ".join(f"{name} {version}" for name, version in model.versions.items())
    return (
        Text(
            f"The table had {model.data['rows']:,} rows and the fingerprint "
            f"{model.data['fingerprint']}. The same table, config, versions and number of threads "
            f"give the same numbers. Made with {versions}."
        ),
        Code(model.repeat),
    )
