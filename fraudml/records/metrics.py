"""The content of `metrics.json`, and the parts that it shares with other records."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.data.clock import format_moment
from fraudml.data.schema import Dataset
from fraudml.evaluation.out_of_fold import OutOfFold
from fraudml.evaluation.probabilities import judge_calibration
from fraudml.machine import peak_memory_mb, versions
from fraudml.pipeline.evaluate import HoldoutEvaluation
from fraudml.split import Block, Fold, Split

SCHEMA_VERSION = 1
"""Raised when a reader of a record of a run folder would misread it."""

Fitted = tuple[DecisionBundle, OutOfFold]


def record_header(
    settings: Settings, started: float, threads: int, device: str = "cpu"
) -> dict[str, Any]:
    """Return the schema version and `run`, which alone differs from run to run."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run": {
            "command": settings.command,
            "run_name": settings.run_name,
            "seed": settings.seed,
            "seconds": round(time.perf_counter() - started, 2),
            "peak_memory_mb": peak_memory_mb(),
            "threads": threads,
            "device": device,
            "versions": versions(settings.learner.target),
        },
    }


def metrics_record(
    dataset: Dataset, table_hash: str, split: Split, fitted: Fitted, holdout: HoldoutEvaluation
) -> dict[str, Any]:
    """Return the content of `metrics.json` but for `proof`, `guard` and the header."""
    test = holdout.evaluation.metrics("test")
    model = model_record(fitted, holdout, split.folds, label_delay_kept=split.delay_kept)
    return {
        "data": {
            **data_record(dataset, table_hash),
            "left_out": split.left_out,
            "blocks": {
                block.name: block_record(block, dataset)
                for block in (split.development, split.test)
            },
        },
        "test": test,
        "fairness": holdout.fairness,
        **model,
        "calibration": {
            **model["calibration"],
            "slope": test["calibration_slope"],
            "reliability": list(holdout.evaluation.reliability),
        },
        "policy": {**model["policy"], "test": holdout.evaluation.metrics("policy")},
    }


def model_record(
    fitted: Fitted, holdout: HoldoutEvaluation, folds: Sequence[Fold], *, label_delay_kept: bool
) -> dict[str, Any]:
    """Return how a model was tuned, its calibration and policy, and its baselines."""
    bundle, scores = fitted
    evaluation = holdout.evaluation
    calibration = judge_calibration(
        evaluation.metrics("test")["calibration_in_the_large"],
        fitted_frauds=scores.frauds,
        judged_frauds=int(evaluation.table["frauds"][0]),
    )
    return {
        "development": development_record(scores, folds, label_delay_kept=label_delay_kept),
        "calibration": {"kind": bundle.calibrator.kind, **calibration.to_dict()},
        "policy": bundle.policy.to_dict(),
        "baselines": holdout.baselines,
    }


def development_record(
    scores: OutOfFold, folds: Sequence[Fold], *, label_delay_kept: bool
) -> dict[str, Any]:
    """Return the size of the out-of-fold scores, and the rounds chosen by them."""
    return {
        "label_delay_kept": label_delay_kept,
        "steps": len(folds),
        "rows": len(scores.rows),
        "frauds": scores.frauds,
        "rounds": scores.rounds,
        "average_precision_by_rounds": {str(k): v for k, v in scores.tried.items()},
    }


def data_record(dataset: Dataset, table_hash: str) -> dict[str, Any]:
    """Return the size of a table, its prevalence, fingerprint and period."""
    known = int((dataset.label >= 0).sum())
    frauds = int((dataset.label == 1).sum())
    times = dataset.facts["time"]
    first, last = (times[0], times[-1]) if len(times) else (None, None)
    return {
        "rows": len(dataset),
        "frauds": frauds,
        "prevalence": frauds / max(known, 1),
        "fingerprint": table_hash,
        **_period(dataset, first, last),
    }


def block_record(block: Block, dataset: Dataset) -> dict[str, Any]:
    """Return the size of a block and its period."""
    return {
        "rows": len(block.rows),
        "frauds": int(np.count_nonzero(dataset.label[block.rows] == 1)),
        **_period(dataset, block.start, block.end),
    }


def _period(dataset: Dataset, start: Any, end: Any) -> dict[str, Any]:
    """First and last time, written as the table has them."""
    unit, numeric = dataset.schema.time_unit, dataset.schema.numeric_time
    return {
        "start": format_moment(start, unit=unit, numeric=numeric),
        "end": format_moment(end, unit=unit, numeric=numeric),
    }
