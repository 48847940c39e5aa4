"""Show: what a bundle is, for a person. Every byte of it is checked on the way."""

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
from fraudml.progress import Progress, silent
from fraudml.records.metrics import value_text
from fraudml.records.refit import judged_on

Row = tuple[str, str]


_NUMBERS = (
    "average_precision",
    "roc_auc",
    "card_precision_at_100",
    "precision_at_100",
    "value_recall",
    "cost",
    "savings",
    "brier",
    "calibration_in_the_large",
    "accuracy_of_never",
)


_OF_THE_POLICY = ("precision", "recall", "false_positive_rate", "alerts_per_day")


_DAY = 86_400.0


@dataclass(frozen=True)
class Shown:
    """What is shown of a bundle.

    Parameters
    ----------
    title : str
        What it is, in a line.
    rows : list of (str, str)
        All that there is to know.
    """

    title: str
    rows: list[Row]

    def summary(self) -> tuple[str, list[Row]]:
        """Return a title and the rows of the table."""
        return self.title, self.rows


def run(settings: Settings, *, progress: Progress = silent) -> Shown:
    """Run the command: read `bundle`, a bundle or the folder of a run, and say what it is.

    Parameters
    ----------
    settings : Settings
        Which one.
    progress : Progress
        Whom to tell where it is.
    """
    progress("read", 0.0)
    if settings.bundle is None:
        raise ConfigError("bundle is not set. Write: show bundle=runs/…/bundle")
    folder = bundle_folder(settings.bundle)
    refused = folder / "metrics.json"
    if refused.exists() and not (folder / "manifest.json").exists():
        return _refused_run(folder, json.loads(refused.read_text(encoding="utf-8")))
    bundle = read_bundle(folder)
    progress("read", 1.0)
    made = datetime.fromtimestamp((folder / "manifest.json").stat().st_mtime)
    rows = [
        ("folder", str(folder)),
        ("written", f"{made:%Y-%m-%d %H:%M} by {written_by(folder)}"),
        *_trained_on(bundle.record),
        *_refitted(bundle.record),
        *_numbers(bundle.record),
        *_decides(bundle),
        *_wants(bundle),
        *((f"feature {name}", said) for name, said in bundle.features.explained()),
        *((f"file {name}", f"{size:,} bytes") for name, size in bundle_files(folder).items()),
    ]
    return Shown(f"A {_learner(bundle)} model with its features, calibration and policy", rows)


def _refused_run(folder: Path, metrics: Mapping[str, Any]) -> Shown:
    reasons = metrics.get("guard", {}).get("reasons", [])
    rows = [
        ("folder", str(folder)),
        ("guard", "refused: " + "; ".join(reasons)),
        *_trained_on(metrics),
        *_numbers(metrics),
    ]
    return Shown("A run without a bundle: its model was refused", rows)


def _learner(bundle: DecisionBundle) -> str:
    rounds = bundle.learner.rounds
    return bundle.learner.kind if rounds is None else f"{bundle.learner.kind} ({rounds} rounds)"


def _trained_on(record: Mapping[str, Any]) -> Iterator[Row]:
    data = record.get("data")
    if data is None:
        return
    size = f"{data['rows']:,} rows, {data['frauds']:,} frauds ({data['prevalence']:.3%})"
    when = f", {data['start']} to {data['end']}" if data.get("start") is not None else ""
    yield "trained on a table of", f"{size}{when}"
    for name, block in data.get("blocks", {}).items():
        when = f", {block['start']} to {block['end']}" if block.get("start") is not None else ""
        yield f"{name} block", f"{block['rows']:,} rows, {block['frauds']:,} frauds{when}"
    yield "its fingerprint", data["fingerprint"]


def _refitted(record: Mapping[str, Any]) -> Iterator[Row]:
    refit = record.get("refit")
    if refit is not None:
        block = record["data"]["blocks"]["development"]
        until = f" up to {block['end']}" if block.get("end") is not None else ""
        yield "refitted on", f"{block['rows']:,} rows{until}; the numbers are {judged_on(refit)}"


def _numbers(record: Mapping[str, Any]) -> Iterator[Row]:
    test, decided = record.get("test", {}), record.get("policy", {}).get("test", {})
    for name in _NUMBERS:
        if test.get(name, {}).get("value") is not None:
            yield f"test: {name.replace('_', ' ')}", value_text(test[name])
    for name in _OF_THE_POLICY:
        if decided.get(name, {}).get("value") is not None:
            yield f"alerts on test: {name.replace('_', ' ')}", value_text(decided[name])


def _decides(bundle: DecisionBundle) -> Iterator[Row]:
    policy = bundle.policy
    each = "the threshold of each row follows from its costs"
    yield (
        "policy",
        f"{policy.kind}: {each if policy.threshold is None else f'p ≥ {policy.threshold:.6g}'}",
    )
    if isinstance(policy.constraint, Constraint):
        yield "promise", policy.constraint.sentence()
    if policy.value_floor:
        yield "value floor", f"rows of an amount below {policy.value_floor:g} are never alerted"
    costs = describe(bundle.costs)
    said = ", ".join(
        f"{name}={value}" for name, value in costs.items() if name != "kind" and value is not None
    )
    yield "costs", f"{costs['kind']}{f' ({said})' if said else ''}"
    yield "calibration", bundle.calibrator.kind


def _wants(bundle: DecisionBundle) -> Iterator[Row]:
    roles = bundle.schema.roles
    named = {
        "label": roles.label,
        "time": roles.time,
        "id": roles.id,
        "entity": roles.entity,
        "amount": roles.amount,
        "label_time": roles.label_time,
    }
    yield "roles", ", ".join(f"{role} {name}" for role, name in named.items() if name is not None)
    yield "needs the columns", ", ".join(sorted(bundle.needed_columns))
    if bundle.features.history.features:
        days = bundle.features.history_needed / _DAY
        yield "needs a history", f"{days:g} days of {', '.join(sorted(bundle.needed_history))}"
