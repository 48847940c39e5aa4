"""Show: describe a bundle. Every byte of it is checked before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fraudml.bundle import DecisionBundle, read_bundle
from fraudml.bundle.folder import bundle_files, bundle_folder, written_by
from fraudml.config.settings import Settings
from fraudml.decisions.costs import describe
from fraudml.decisions.policies import Constraint
from fraudml.errors import ConfigError
from fraudml.metrics.registry import names_in
from fraudml.progress import Progress, silent, stage
from fraudml.records.sentences import block_sentence, evaluated_on, guard_sentence
from fraudml.records.table import ClosingTable, closing_table
from fraudml.report.numbers import label, ranged

Row = tuple[str, str]


_DAY = 86_400.0


@dataclass(frozen=True)
class BundleDescription:
    """What is shown of a bundle."""

    title: str
    rows: list[Row]

    def summary(self) -> ClosingTable:
        """Return the closing table."""
        return closing_table(self.title, self.rows)


def run(settings: Settings, *, progress: Progress = silent) -> BundleDescription:
    """Run the command: describe `bundle`, a bundle or the folder of a run."""
    if settings.bundle is None:
        raise ConfigError("bundle is not set. Write: show bundle=runs/…/bundle")
    folder = bundle_folder(settings.bundle)
    with stage(progress, "read"):
        refused = folder / "metrics.json"
        if refused.exists() and not (folder / "manifest.json").exists():
            return _refused_run(folder, json.loads(refused.read_text(encoding="utf-8")))
        bundle = read_bundle(folder)
    written = datetime.fromtimestamp((folder / "manifest.json").stat().st_mtime)
    rows = [
        ("folder", str(folder)),
        ("written", f"{written:%Y-%m-%d %H:%M} by {written_by(folder)}"),
        *_trained_on(bundle.record),
        *_refitted(bundle.record),
        *_metrics(bundle.record),
        *_decisions(bundle),
        *_inputs(bundle),
        *((f"feature {name}", text) for name, text in bundle.features.explained()),
        *((f"file {name}", f"{size:,} bytes") for name, size in bundle_files(folder).items()),
    ]
    title = f"A {_learner(bundle)} model with its features, calibration and policy"
    return BundleDescription(title, rows)


def _refused_run(folder: Path, metrics: Mapping[str, Any]) -> BundleDescription:
    reasons = metrics.get("guard", {}).get("reasons", [])
    rows = [
        ("folder", str(folder)),
        ("guard", guard_sentence({"passed": False, "reasons": reasons})),
        *_trained_on(metrics),
        *_metrics(metrics),
    ]
    return BundleDescription("A run without a bundle: its model was refused", rows)


def _learner(bundle: DecisionBundle) -> str:
    rounds = bundle.learner.rounds
    return bundle.learner.kind if rounds is None else f"{bundle.learner.kind} ({rounds} rounds)"


def _trained_on(record: Mapping[str, Any]) -> Iterator[Row]:
    data = record.get("data")
    if data is None:
        return
    size = f"{data['rows']:,} rows, {data['frauds']:,} frauds ({data['prevalence']:.3%})"
    period = f", {data['start']} to {data['end']}" if data.get("start") is not None else ""
    yield "trained on a table of", f"{size}{period}"
    for name, block in data.get("blocks", {}).items():
        yield f"{name} block", block_sentence(block)
    yield "its fingerprint", data["fingerprint"]


def _refitted(record: Mapping[str, Any]) -> Iterator[Row]:
    refit = record.get("refit")
    if refit is not None:
        block = record["data"]["blocks"]["development"]
        until = f" up to {block['end']}" if block.get("end") is not None else ""
        yield "refitted on", f"{block['rows']:,} rows{until}; metrics are {evaluated_on(refit)}"


def _metrics(record: Mapping[str, Any]) -> Iterator[Row]:
    policy = record.get("policy", {})
    blocks = (("test", record.get("test", {})), ("alerts on test", policy.get("test", {})))
    for title, entries in blocks:
        for name in names_in("show"):
            if entries.get(name, {}).get("value") is not None:
                yield f"{title}: {label(name)}", ranged(entries[name])


def _decisions(bundle: DecisionBundle) -> Iterator[Row]:
    policy = bundle.policy
    rule = "the threshold of each row follows from its costs"
    if policy.threshold is not None:
        rule = f"p ≥ {policy.threshold:.6g}"
    yield "policy", f"{policy.kind}: {rule}"
    if isinstance(policy.constraint, Constraint):
        yield "constraint", policy.constraint.sentence()
    if policy.value_floor:
        yield "value floor", f"rows of an amount below {policy.value_floor:g} are never alerted"
    costs = describe(bundle.costs)
    values = ", ".join(
        f"{name}={value}" for name, value in costs.items() if name != "kind" and value is not None
    )
    yield "costs", f"{costs['kind']}{f' ({values})' if values else ''}"
    yield "calibration", bundle.calibrator.kind


def _inputs(bundle: DecisionBundle) -> Iterator[Row]:
    roles = bundle.schema.roles
    names = ("label", "time", "id", "entity", "amount", "label_time")
    columns = {role: getattr(roles, role) for role in names}
    yield "roles", ", ".join(f"{role} {name}" for role, name in columns.items() if name is not None)
    yield "needs the columns", ", ".join(sorted(bundle.needed_columns))
    if bundle.features.history.features:
        days = bundle.features.history_needed / _DAY
        yield "needs a history", f"{days:g} days of {', '.join(sorted(bundle.needed_history))}"
