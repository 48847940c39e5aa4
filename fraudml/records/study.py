"""The content of `study.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fraudml.machine import thread_count
from fraudml.pipeline.folds import SharedFolds
from fraudml.pipeline.study import objective
from fraudml.records.metrics import block_record, data_record, record_header
from fraudml.report.study import variant_name
from fraudml.split import BacktestFold


def study_record(
    shared: SharedFolds,
    folds: Sequence[BacktestFold],
    variants: list[dict[str, Any]],
    table_hash: str,
    started: float,
) -> dict[str, Any]:
    """Return the content of `study.json`; seconds and devices are moved under `run`."""
    settings, dataset = shared.settings, shared.dataset
    seconds = {variant_name(row): row.pop("seconds") for row in variants}
    devices = {row["learner"]: row.pop("device") for row in variants}
    threads = thread_count(settings.threads)
    header = record_header(settings, started, threads, ", ".join(sorted(set(devices.values()))))
    header["run"] |= {"device_by_learner": devices, "seconds_by_variant": seconds}
    return {
        **header,
        "data": data_record(dataset, table_hash),
        "folds": [
            {**block_record(fold.test, dataset), "train": block_record(fold.train, dataset)}
            for fold in folds
        ],
        "objective": objective(settings),
        "variants": variants,
    }
