"""The content of `backtest.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fraudml.data.schema import Dataset
from fraudml.pipeline.evaluate import HoldoutEvaluation
from fraudml.pipeline.folds import FoldResult, SharedFolds
from fraudml.records.metrics import block_record, data_record, model_record


def backtest_record(
    shared: SharedFolds, table_hash: str, results: Sequence[FoldResult]
) -> dict[str, Any]:
    """Return the content of `backtest.json` but for `guard` and the header."""
    backtest = shared.settings.backtest
    folds = [_fold(result, shared.dataset) for result in results]
    content: dict[str, Any] = {
        "data": data_record(shared.dataset, table_hash),
        "folds": folds,
        "folds_left_out": backtest.folds - len(folds),
        **_over_folds([fold["metrics"] for fold in folds]),
    }
    if backtest.refit == "never":
        content["without_refit"] = _over_folds([fold["without_refit"] for fold in folds])
    return content


def _fold(result: FoldResult, dataset: Dataset) -> dict[str, Any]:
    fold = result.fold
    record: dict[str, Any] = {
        "fold": fold.number,
        **block_record(fold.test, dataset),
        "removed": fold.removed,
        "train": block_record(fold.train, dataset),
        **model_record(
            (result.bundle, result.scores),
            result.holdout,
            fold.steps,
            label_delay_kept=fold.delay_kept,
        ),
        "metrics": _metrics(result.holdout),
    }
    if result.without_refit is not None:
        record["without_refit"] = _metrics(result.without_refit)
    return record


def _metrics(holdout: HoldoutEvaluation) -> dict[str, Any]:
    return holdout.evaluation.metrics("test") | holdout.evaluation.metrics("policy")


def _over_folds(folds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and population standard deviation of each metric; null where a fold has no value."""
    values = {name: [fold[name]["value"] for fold in folds] for name in folds[0]}
    return {
        key: {
            name: None if None in column else float(statistic(column))
            for name, column in values.items()
        }
        for key, statistic in (("mean", np.mean), ("sd", np.std))
    }
