"""The record of a refitted model: what it inherits from its run, and what is its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fraudml.bundle import DecisionBundle
from fraudml.data.schema import Dataset
from fraudml.records.metrics import Fitted, block_record, data_record, development_record
from fraudml.split import Split

_INHERITED = ("test", "calibration", "fairness", "baselines", "proof", "guard")
_OLD_NAMES = {"baselines": "rivals"}
"""What earlier versions called a part of `metrics.json`."""


@dataclass(frozen=True)
class EvaluatedRun:
    """The run that a model is refitted from."""

    name: str
    metrics: Mapping[str, Any]
    bundle: DecisionBundle
    digest: str


def refit_record(
    source: EvaluatedRun, dataset: Dataset, table_hash: str, split: Split, fitted: Fitted
) -> dict[str, Any]:
    """Return `metrics.json` but for the header: new data and fit, the run's evaluation."""
    before, (bundle, scores) = source.metrics, fitted
    return {
        **{name: before[name if name in before else _OLD_NAMES[name]] for name in _INHERITED},
        "data": {
            **data_record(dataset, table_hash),
            "left_out": split.left_out,
            "blocks": {"development": block_record(split.development, dataset)},
        },
        "development": development_record(scores, split.folds, label_delay_kept=split.delay_kept),
        "calibration": {**before["calibration"], "kind": bundle.calibrator.kind},
        "policy": {**bundle.policy.to_dict(), "test": before["policy"]["test"]},
        "refit": {
            "run": source.name,
            "bundle": source.digest,
            "data": before["data"]["fingerprint"],
            "test_block": before["data"]["blocks"]["test"],
            "threshold": before["policy"]["threshold"],
        },
    }
