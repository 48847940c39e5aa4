"""The closing tables of the commands that leave a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fraudml.audit.finding import SEVERITIES, Finding, plural
from fraudml.decisions.policies import Constraint
from fraudml.evaluation.fairness import fairness_sentence
from fraudml.metrics.registry import names_in
from fraudml.records.sentences import (
    ablation_sentence,
    calibration_sentence,
    evaluated_on,
    guard_sentence,
)
from fraudml.records.table import ClosingTable, Row, closing_table
from fraudml.report.comparison import comparison_cells
from fraudml.report.numbers import (
    NONE,
    difference,
    label,
    mean_sd,
    number,
    percent,
    point,
    ranged,
)
from fraudml.report.study import variant_name

Record = Mapping[str, Any]


def train_table(metrics: Record, level: float, folder: str | None) -> ClosingTable:
    """Lay out the closing table of `train`."""
    test, alerts, block = metrics["test"], metrics["policy"]["test"], metrics["data"]["blocks"]
    size, frauds = block["test"]["rows"], block["test"]["frauds"]
    precision, slope = test["average_precision"], metrics["calibration"]["slope"]
    rows: list[Row] = [
        ("test block", f"{size:,} rows, {frauds:,} frauds ({percent(frauds / size)})"),
        (
            "average precision",
            f"{ranged(precision)}; a random score reaches {number(precision['baseline'])}",
        ),
        *((label(name), ranged((test | alerts)[name])) for name in names_in("terminal")[1:]),
        (
            "probabilities",
            f"{calibration_sentence(metrics['calibration'])}; slope {ranged(slope)}",
        ),
        (
            "accuracy of never alerting",
            f"{percent(test['accuracy_of_never']['value'])}; so accuracy says nothing here",
        ),
        *_constraint(metrics["policy"]),
        *_baselines(metrics["baselines"]),
        *_fairness(metrics["fairness"]),
        *((name, ablation_sentence(proof)) for name, proof in metrics["proof"].items()),
        ("guard", guard_sentence(metrics["guard"])),
    ]
    title = f"On the test block, with {100 * level:g} % intervals"
    return closing_table(title, rows, folder=folder)


def _constraint(policy: Record) -> Iterator[Row]:
    if policy["constraint"] is not None:
        yield "constraint", Constraint(**policy["constraint"]).sentence()


def _fairness(record: dict[str, Any]) -> Iterator[Row]:
    if record["column"] is not None:
        yield "fairness", fairness_sentence(record)


def _baselines(baselines: Record) -> Iterator[Row]:
    """How far the model is ahead of each baseline, in average precision."""
    for name, baseline in baselines.items():
        if name in ("constant", "random"):
            continue  # the baseline of average precision says the same
        column = f" '{baseline['column']}'" if "column" in baseline else ""
        title = f"baseline {label(name)}{column}"
        entry = baseline["average_precision"]
        if entry is None:
            yield title, f"{NONE} ({baseline['reason']})"
        else:
            yield title, f"{point(entry)}; the model is ahead by {difference(entry['ahead'])}"


def refit_table(metrics: Record, folder: str | None) -> ClosingTable:
    """Lay out the closing table of a refit."""
    block, refit = metrics["data"]["blocks"]["development"], metrics["refit"]
    threshold, before = metrics["policy"]["threshold"], refit["threshold"]
    rows = [
        ("refitted on", f"{block['rows']:,} rows, {block['frauds']:,} frauds, to {block['end']}"),
        ("rounds", str(metrics["development"]["rounds"])),
        ("threshold", f"{threshold}, in the run {before}"),
        ("metrics", evaluated_on(refit)),
        ("average precision", ranged(metrics["test"]["average_precision"])),
        *_constraint(metrics["policy"]),
    ]
    title = "Fitted on all rows whose label is known; the metrics are those of its run"
    return closing_table(title, rows, folder=folder)


def backtest_table(metrics: Record, folder: str | None) -> ClosingTable:
    """Lay out the closing table of `backtest`: a column a fold."""
    folds = metrics["folds"]
    header = ("", "mean ± sd", *(f"from {str(fold['start'])[:10]}" for fold in folds))
    rows: list[Row] = [
        ("frauds of rows", "", *(f"{fold['frauds']:,} of {fold['rows']:,}" for fold in folds)),
        *_over_folds(metrics, [fold["metrics"] for fold in folds], ""),
    ]
    if "without_refit" in metrics:
        without = [fold["without_refit"] for fold in folds]
        rows += _over_folds(metrics["without_refit"], without, ", never refitted")
    if metrics["folds_left_out"]:
        rows.append(("folds left out", f"{metrics['folds_left_out']}: the budget ran out"))
    rows.append(("guard", "passed" if metrics["guard"]["passed"] else "refused"))
    return closing_table(f"{len(folds)} folds", rows, header, folder=folder)


def _over_folds(statistics: Record, folds: Sequence[Record], model: str) -> Iterator[Row]:
    for name in names_in("backtest"):
        title = f"{label(name)}{model}"
        if folds[0][name].get("attainable") is not None:
            attainable = np.mean([fold[name]["attainable"] for fold in folds])
            title += f" (at most {number(float(attainable))})"
        overall = mean_sd(statistics["mean"][name], statistics["sd"][name])
        yield title, overall, *(point(fold[name]) for fold in folds)


_SHORT = {
    "average_precision": "AP",
    "roc_auc": "AUC",
    "card_precision_at_100": "CP@100",
    "recall_at_fpr_0.01": "R@1%",
}


def study_table(metrics: Record, folder: str | None) -> ClosingTable:
    """Lay out the ranked table of a study."""
    objective, seconds = metrics["objective"], metrics["run"]["seconds_by_variant"]
    titles = {name: _SHORT.get(name, label(name)) for name in metrics["variants"][0]["mean"]}
    change = f"change in {titles[objective]}"
    header = ("learner", "resampling", *titles.values(), change, "verdict", "s")
    rows = [
        (
            variant["learner"],
            variant["resampling"],
            *(number(variant["mean"][name]) for name in titles),
            *_change(variant, objective),
            f"{seconds[variant_name(variant)]:.1f}",
        )
        for variant in metrics["variants"]
    ]
    return closing_table(f"Means over {len(metrics['folds'])} folds", rows, header, folder=folder)


def _change(variant: Record, objective: str) -> Row:
    if "failed" in variant:
        return "could not be fitted", ""
    entry = variant.get("difference", {}).get(objective)
    return ("", "") if entry is None else (difference(entry), entry["verdict"])


def comparison_table(record: Record, folder: str) -> ClosingTable:
    """Lay out the closing table of `compare`: a row a metric and pair."""
    models = record["models"]
    pairs = len(models) > 2
    rows = []
    for name, entry in record["metrics"].items():
        for pair in entry["pairs"]:
            first, second = pair["first"], pair["second"]
            rows.append(
                (
                    label(name),
                    *((f"{first} − {second}",) if pairs else ()),
                    *(point(entry["values"][model]) for model in (first, second)),
                    *comparison_cells(pair),
                )
            )
    columns = ("pair", "first", "second") if pairs else tuple(models)
    title = (
        f"On the same {record['rows']:,} rows, {record['frauds']:,} frauds, with "
        f"{100 * record['level']:g} % intervals"
    )
    header = ("", *columns, "difference", "better", "probability better")
    return closing_table(title, rows, header, folder=folder)


_MOST_OF_A_KIND = 5


def audit_table(findings: Sequence[Finding], data: Record, folder: str | None) -> ClosingTable:
    """Lay out the closing table of `audit`: of a kind, five findings at most."""
    rows, frauds = data["rows"], data["frauds"]
    share = "" if frauds is None else f", {frauds:,} frauds ({percent(frauds / max(rows, 1))})"
    severities = Counter(finding.severity for finding in findings)
    counts = ", ".join(plural(severities[severity], severity) for severity in SEVERITIES)
    title = f"Audit of {rows:,} rows{share}: {counts}"
    return closing_table(title, _findings(findings), ("", "kind", "finding"), folder=folder)


def _findings(findings: Sequence[Finding]) -> Iterator[Row]:
    total = Counter((finding.severity, finding.kind) for finding in findings)
    seen: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        group = (finding.severity, finding.kind)
        seen[group] += 1
        if seen[group] <= _MOST_OF_A_KIND:
            yield finding.severity, label(finding.kind), finding.message
        elif seen[group] == _MOST_OF_A_KIND + 1:
            left = total[group] - _MOST_OF_A_KIND
            yield finding.severity, label(finding.kind), f"and {left:,} more like these"


def sweep_table(record: Record, folder: str) -> ClosingTable:
    """Lay out the closing table of `sweep`."""
    best, money = record["best"], record["spent"]["money"]
    seconds = f"{record['spent']['seconds']:.0f} s"
    rows: list[Row] = [
        ("trials", ", ".join(f"{count} {state}" for state, count in record["trials"].items())),
        ("chosen", " ".join(best["overrides"])),
    ]
    for name, value in best["values"].items():
        rows += [
            (f"{label(name)} of the trial", number(value)),
            ("the same on test", _on_test(record["test"].get(name))),
        ]
    if len(best["values"]) > 1:
        rows.append(("Pareto-optimal trials", str(len(record["pareto_front"]))))
    rows += [
        ("spent", seconds if money is None else f"{seconds}, {money:.2f} in money"),
        ("guard", guard_sentence(record["guard"])),
    ]
    title = "Best trial (its validation score is optimistic: it was selected on it)"
    return closing_table(title, rows, folder=folder)


def _on_test(entry: Any) -> str:
    """A metric with its interval, or the mean over folds."""
    return ranged(entry) if isinstance(entry, Mapping) else number(entry)
