"""What a refitted model inherits from the run that it comes from, and what is its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fraudml.bundle import DecisionBundle
from fraudml.data.schema import Dataset
from fraudml.decisions.policies import Constraint
from fraudml.evaluation.out_of_fold import OutOfFold
from fraudml.records.metrics import (
    block_record,
    data_record,
    development_record,
    value_text,
)
from fraudml.split import Split

_INHERITED = ("test", "calibration", "fairness", "baselines", "proof", "guard")
_OLD_NAMES = {"baselines": "rivals"}
"""What earlier versions called a part of `metrics.json`."""


@dataclass(frozen=True)
class Judged:
    """The run that a model comes from."""

    name: str
    metrics: Mapping[str, Any]
    bundle: DecisionBundle
    digest: str


def record(
    judged: Judged,
    *,
    dataset: Dataset,
    printed: str,
    split: Split,
    scores: OutOfFold,
    bundle: DecisionBundle,
) -> dict[str, Any]:
    """What is new of the data and the fit, and what the run found on its test block."""
    before = judged.metrics
    return {
        **{name: before[name if name in before else _OLD_NAMES[name]] for name in _INHERITED},
        "data": {
            **data_record(dataset, printed),
            "left_out": split.left_out,
            "blocks": {"development": block_record(split.development, dataset)},
        },
        "development": {
            "label_delay_kept": split.delay_kept,
            **development_record(scores, split.folds),
        },
        "calibration": {**before["calibration"], "kind": bundle.calibrator.kind},
        "policy": {**bundle.policy.to_dict(), "test": before["policy"]["test"]},
        "refit": {
            "run": judged.name,
            "bundle": judged.digest,
            "data": before["data"]["fingerprint"],
            "test_block": before["data"]["blocks"]["test"],
            "threshold": before["policy"]["threshold"],
        },
    }


def judged_on(refit: Mapping[str, Any]) -> str:
    """Say whose numbers a refitted model has.

    Parameters
    ----------
    refit : mapping
        `refit` of `metrics.json`, or of a bundle's record.
    """
    block = refit["test_block"]
    when = f", {block['start']} to {block['end']}" if block.get("start") is not None else ""
    return (
        f"those of run {refit['run']} (bundle {refit['bundle'][:19]}…), judged on "
        f"{block['rows']:,} rows, {block['frauds']:,} frauds{when}"
    )


def refit_table(
    metrics: Mapping[str, Any], folder: str | None
) -> tuple[str, list[tuple[str, str]]]:
    """Return the title and the rows that end a refit on the terminal.

    Parameters
    ----------
    metrics : mapping
        The content of `metrics.json`.
    folder : str, optional
        Where everything is.
    """
    block, refit, policy = (
        metrics["data"]["blocks"]["development"],
        metrics["refit"],
        metrics["policy"],
    )
    rows = [
        ("refitted on", f"{block['rows']:,} rows, {block['frauds']:,} frauds, to {block['end']}"),
        ("rounds", str(metrics["development"]["rounds"])),
        ("threshold", f"{policy['threshold']}, in the run {refit['threshold']}"),
        ("the numbers are", judged_on(refit)),
        ("average precision", value_text(metrics["test"]["average_precision"])),
    ]
    if policy["constraint"] is not None:
        rows.append(("promise", Constraint(**policy["constraint"]).sentence()))
    if folder is not None:
        rows.append(("everything is in", folder))
    return "Fitted on everything that is known, and judged by nothing new", rows
