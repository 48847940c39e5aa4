"""What a backtest says about itself: `backtest.json`, and the closing table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fraudml.config.settings import Settings
from fraudml.data.schema import Dataset
from fraudml.evaluation.guard import Verdict
from fraudml.evaluation.table import POLICY_METRICS, TEST_METRICS
from fraudml.records.metrics import (
    SCHEMA_VERSION,
    block_record,
    calibration_record,
    data_record,
    development_record,
    run_record,
    value_text,
)

if TYPE_CHECKING:
    from fraudml.pipeline.evaluate import HoldoutEvaluation
    from fraudml.pipeline.folds import FoldResult


def backtest_record(
    *,
    settings: Settings,
    dataset: Dataset,
    fingerprint: str,
    results: Sequence[FoldResult],
    verdict: Verdict,
    seconds: float,
    threads: int,
    device: str,
) -> dict[str, Any]:
    """Return the content of `backtest.json`: all but `run` is the same from run to run.

    Parameters
    ----------
    settings, dataset, fingerprint, results, verdict
        What the backtest did and found.
    seconds : float
        Wall clock.
    threads : int
        How many were used.
    device : str
        Where the learner ran.
    """
    folds = [_fold(one, dataset) for one in results]
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run": run_record(settings, seconds, threads, device),
        "data": data_record(dataset, fingerprint),
        "folds": folds,
        "folds_left_out": settings.backtest.folds - len(folds),
        **_over_folds([fold["metrics"] for fold in folds]),
        "guard": verdict.to_dict(),
    }
    if settings.backtest.refit == "never":
        kept = [fold["without_refit"] for fold in folds]
        content["without_refit"] = _over_folds(kept)
    return content


def _fold(result: FoldResult, dataset: Dataset) -> dict[str, Any]:
    fold = result.fold
    made: dict[str, Any] = {
        "fold": fold.number,
        **block_record(fold.test, dataset),
        "removed": fold.removed,
        "train": block_record(fold.train, dataset),
        "development": {
            "label_delay_kept": fold.delay_kept,
            **development_record(result.scores, fold.steps),
        },
        "calibration": {
            "kind": result.bundle.calibrator.kind,
            **calibration_record(result.tested.evaluation, result.scores).to_dict(),
        },
        "policy": result.bundle.policy.to_dict(),
        "metrics": _metrics(result.tested),
        "baselines": result.tested.baselines,
    }
    if result.without_refit is not None:
        made["without_refit"] = _metrics(result.without_refit)
    return made


def _metrics(tested: HoldoutEvaluation) -> dict[str, Any]:
    return tested.evaluation.metrics("test") | tested.evaluation.metrics("policy")


def _over_folds(folds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and population standard deviation of each metric; null where a fold has no value."""
    mean: dict[str, float | None] = {}
    spread: dict[str, float | None] = {}
    for name in (*TEST_METRICS, *POLICY_METRICS):
        values = [fold[name]["value"] for fold in folds]
        known = None not in values
        mean[name] = float(np.mean(values)) if known else None
        spread[name] = float(np.std(values)) if known else None
    return {"mean": mean, "sd": spread}


def over_time(metrics: dict[str, Any]) -> pl.DataFrame:
    """Return what the plot of a backtest draws, one row a fold and model.

    Parameters
    ----------
    metrics : dict
        The content of `backtest.json`.

    Returns
    -------
    DataFrame
        `model` (refitted or kept), `start` (text), `metric`, `value`, `low`, `high`, `baseline`.
    """
    rows = []
    for fold in metrics["folds"]:
        for model, key in _MODELS:
            for name in ("average_precision", "alerts_per_day") if key in fold else ():
                entry = fold[key][name]
                row = {part: entry.get(part) for part in ("value", "low", "high", "baseline")}
                rows.append({"model": model, "start": str(fold["start"]), "metric": name, **row})
    numbers = dict.fromkeys(("value", "low", "high", "baseline"), pl.Float64)
    return pl.DataFrame(rows, schema_overrides=numbers)


_MODELS = (("refitted in each fold", "metrics"), ("never refitted", "without_refit"))
_SHOWN = (
    "average_precision",
    "roc_auc",
    "card_precision_at_100",
    "recall_at_fpr_0.01",
    "precision",
    "recall",
    "alerts_per_day",
    "value_recall",
    "savings",
    "calibration_in_the_large",
)


def backtest_table(
    metrics: dict[str, Any], folder: str | None
) -> tuple[str, list[tuple[str, ...]], tuple[str, ...]]:
    """Return the title, the rows and the header that end a backtest on the terminal.

    Parameters
    ----------
    metrics : dict
        The content of `backtest.json`.
    folder : str, optional
        Where everything is.
    """
    folds = metrics["folds"]
    header = ("", "mean ± sd", *(f"from {str(fold['start'])[:10]}" for fold in folds))
    rows = [
        ("frauds of rows", "", *(f"{fold['frauds']:,} of {fold['rows']:,}" for fold in folds)),
        *_lines(metrics, [fold["metrics"] for fold in folds], ""),
    ]
    if "without_refit" in metrics:
        kept = [fold["without_refit"] for fold in folds]
        rows += _lines(metrics["without_refit"], kept, ", never refitted")
    if metrics["folds_left_out"]:
        rows.append(("folds left out", f"{metrics['folds_left_out']}: the budget ran out"))
    guard = metrics["guard"]
    rows.append(("guard", "passed" if guard["passed"] else "refused"))
    if folder is not None:
        rows.append(("written to", folder))
    width = len(header)
    padded = [row + ("",) * (width - len(row)) for row in rows]
    return f"{len(folds)} folds", padded, header


def _lines(
    over: dict[str, Any], folds: Sequence[dict[str, Any]], what: str
) -> list[tuple[str, ...]]:
    lines = []
    for name in _SHOWN:
        how = "{:,.1f}" if name == "alerts_per_day" else "{:.3f}"
        mean, spread = over["mean"][name], over["sd"][name]
        whole = "–" if mean is None else f"{how.format(mean)} ± {how.format(spread)}"
        attainable = folds[0][name].get("attainable")
        label = f"{name.replace('_', ' ')}{what}"
        if attainable is not None:
            best = np.mean([fold[name]["attainable"] for fold in folds])
            label += f" (at most {how.format(best)})"
        values = (value_text({**fold[name], "low": None}, how) for fold in folds)
        lines.append((label, whole, *values))
    return lines
