"""Refit: a run that was judged, fitted once more on all that is known today, to go live.

The settings are the run's. Rounds, calibration and policy follow from out-of-fold scores, as they
did in the run, over a window that now holds its test block and what came since. So nothing is left
to judge the model on: its numbers are those of the run that it comes from, and it says so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from fraudml.bundle import DecisionBundle, bundle_digest, read_bundle
from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.fingerprint import fingerprint
from fraudml.data.schema import Dataset
from fraudml.decisions.policies import Constraint, TunedPolicy
from fraudml.errors import ConfigError, RefusedError
from fraudml.evaluation.guard import Verdict
from fraudml.evaluation.out_of_fold import OutOfFold
from fraudml.progress import Progress
from fraudml.split import Split, whole_window
from fraudml.workflows.model import fit_bundle, fit_context, on_device, prepare_split
from fraudml.workflows.parts import build_parts
from fraudml.workflows.record import (
    SCHEMA_VERSION,
    block_record,
    data_record,
    development_record,
    run_record,
    value_text,
)

_INHERITED = ("test", "calibration", "fairness", "rivals", "proof", "guard")


@dataclass(frozen=True)
class Refitted:
    """A model that was fitted on everything.

    Parameters
    ----------
    metrics : dict
        What `metrics.json` holds.
    verdict : Verdict
        Whether the policy still keeps its promise.
    bundle : DecisionBundle, optional
        The model; None where it does not.
    """

    metrics: dict[str, Any]
    verdict: Verdict
    bundle: DecisionBundle | None


@dataclass(frozen=True)
class _Judged:
    """The run that a model comes from."""

    name: str
    metrics: Mapping[str, Any]
    bundle: DecisionBundle
    digest: str


def refit_latest(
    read: Callable[[], pl.DataFrame], settings: Settings, run: str, progress: Progress
) -> Refitted:
    """Fit the settings of a run on every row whose label is known.

    Parameters
    ----------
    read : callable
        Gives the table.
    settings : Settings
        The run's.
    run : str
        Its folder.
    progress : Progress
        Whom to tell where it is.

    Raises
    ------
    ConfigError
        The folder is of no run of `train`, or of one that was itself refitted.
    RefusedError
        The run has no bundle: the guard refused its model.
    BundleError
        Its bundle is damaged.
    """
    started = time.perf_counter()
    judged = _judged_run(Path(run).expanduser())
    parts, context = on_device(
        build_parts(settings), fit_context(settings, progress), settings.device
    )
    progress("read", 0.0)
    table = read()
    progress("read", 1.0)
    printed = fingerprint(table)
    dataset = check_table(table, settings.data)
    del table
    progress("features", 0.0)
    split = whole_window(dataset, settings.split, settings.data, settings.seed)
    prepared = prepare_split(dataset, split, settings, parts.costs, context.threads)
    progress("features", 1.0)
    bundle, scores = fit_bundle(
        prepared, split.development.rows, split.folds, parts, context, rounds=settings.rounds
    )
    verdict = _promise_kept(bundle.policy)
    metrics = {
        "schema_version": SCHEMA_VERSION,
        "run": run_record(settings, time.perf_counter() - started, context.threads, context.device),
        **_record(
            judged,
            dataset=prepared.dataset,
            printed=printed,
            split=split,
            scores=scores,
            bundle=bundle,
        ),
    }
    if not verdict.passed:
        return Refitted({**metrics, "guard": verdict.to_dict()}, verdict, None)
    spread = bundle.spread
    if spread is not None and judged.bundle.spread is not None:
        # The scores of rows that a model of these settings had not seen: its test block's.
        spread = replace(spread, score=judged.bundle.spread.score)
    kept = ("data", "test", "policy", "guard", "refit")
    recorded = {name: metrics[name] for name in kept}
    return Refitted(metrics, verdict, replace(bundle, record=recorded, spread=spread))


def _judged_run(folder: Path) -> _Judged:
    place = folder / "metrics.json"
    if not place.is_file():
        raise ConfigError(
            f"from_run: there is no '{place}'. Expected the folder of a run of train."
        )
    metrics = json.loads(place.read_text(encoding="utf-8"))
    if "refit" in metrics:
        raise ConfigError(
            f"from_run: '{folder}' was itself refitted, on the settings of "
            f"'{metrics['refit']['run']}'. Name that run: it has the numbers."
        )
    if not (folder / "bundle").is_dir():
        reasons = "; ".join(metrics["guard"]["reasons"])
        raise RefusedError(
            f"from_run: '{folder}' has no bundle, as the guard refused its model: {reasons}. Only "
            "a model that was judged and passed is refitted."
        )
    bundle = read_bundle(folder / "bundle")
    name = folder.resolve().name
    return _Judged(name, metrics, bundle, bundle_digest(folder / "bundle"))


def _promise_kept(policy: TunedPolicy) -> Verdict:
    promise = policy.constraint
    if promise is None or not promise.refuses:
        return Verdict(passed=True)
    return Verdict(False, (f"on the longer window, {promise.sentence()}",))


def _record(
    judged: _Judged,
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
        **{name: before[name] for name in _INHERITED},
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
