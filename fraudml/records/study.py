"""The record and the table of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fraudml.machine import granted_threads
from fraudml.pipeline.folds import SharedFolds
from fraudml.pipeline.study import objective
from fraudml.records.metrics import SCHEMA_VERSION, block_record, data_record, run_record
from fraudml.split import BacktestFold


def study_record(
    shared: SharedFolds,
    folds: Sequence[BacktestFold],
    found: list[dict[str, Any]],
    fingerprint: str,
    seconds: float,
) -> dict[str, Any]:
    """Return the content of `study.json`; times stand under `run` alone."""
    settings, dataset = shared.settings, shared.dataset
    taken = {f"{one['learner']} with {one['resampling']}": one.pop("seconds") for one in found}
    used = {one["learner"]: one.pop("device") for one in found}
    device = ", ".join(sorted(set(used.values())))
    threads = settings.threads or granted_threads()
    return {
        "schema_version": SCHEMA_VERSION,
        "run": {
            **run_record(settings, seconds, threads, device),
            "device_by_learner": used,
            "seconds_by_variant": taken,
        },
        "data": data_record(dataset, fingerprint),
        "folds": [
            {**block_record(fold.test, dataset), "train": block_record(fold.train, dataset)}
            for fold in folds
        ],
        "objective": objective(settings),
        "variants": found,
    }


def study_table(
    metrics: dict[str, Any], folder: str | None
) -> tuple[str, list[tuple[str, ...]], tuple[str, ...]]:
    """Return the title, the rows and the header that end a study on the terminal.

    Parameters
    ----------
    metrics : dict
        The content of `study.json`.
    folder : str, optional
        Where everything is.
    """
    objective = metrics["objective"]
    header = ("learner", "resampling", *_SHORT.values(), f"change in {_SHORT[objective]}", "", "s")
    rows = []
    for one in metrics["variants"]:
        seconds = metrics["run"]["seconds_by_variant"][f"{one['learner']} with {one['resampling']}"]
        found = one.get("difference", {}).get(objective)
        says = ("", "") if found is None else (_change(found), found["verdict"])
        if "failed" in one:
            says = ("could not be fitted", "")
        values = (_number(one["mean"][name]) for name in _SHORT)
        rows.append((one["learner"], one["resampling"], *values, *says, f"{seconds:.1f}"))
    title = f"Means over {len(metrics['folds'])} folds; written to {folder}"
    return title, rows, header


_SHORT = {"average_precision": "AP", "roc_auc": "AUC", "card_precision_at_100": "CP@100"}


_SHORT |= {"recall_at_fpr_0.01": "R@1%"}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("0.", ".", 1)


def _change(found: dict[str, Any]) -> str:
    if found["low"] is None:
        return str(found.get("reason"))
    change, low, high = (f"{found[end]:+.3f}".replace("0.", ".") for end in _ENDS)
    return f"{change} ({low} to {high})"


_ENDS = ("difference", "low", "high")
