"""What a run says about itself: `metrics.json`, and the closing table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from fraudml.config.settings import Settings
from fraudml.data.clock import format_moment
from fraudml.data.schema import Dataset
from fraudml.decisions.calibration import FittedCalibrator
from fraudml.decisions.policies import Constraint, TunedPolicy
from fraudml.evaluation.fairness import fairness_sentence
from fraudml.evaluation.guard import Verdict
from fraudml.evaluation.out_of_fold import OutOfFold
from fraudml.evaluation.probabilities import CalibrationVerdict, judge_calibration
from fraudml.evaluation.proof import sentence
from fraudml.evaluation.table import Evaluation
from fraudml.machine import peak_memory_mb, versions
from fraudml.pipeline.evaluate import HoldoutEvaluation
from fraudml.split import Block, Fold, Split

SCHEMA_VERSION = 1
"""Raised when a reader of `metrics.json` would misread it."""


def metrics_record(
    *,
    settings: Settings,
    dataset: Dataset,
    fingerprint: str,
    split: Split,
    scores: OutOfFold,
    calibrator: FittedCalibrator,
    policy: TunedPolicy,
    tested: HoldoutEvaluation,
    proof: dict[str, Any],
    verdict: Verdict,
    seconds: float,
    threads: int,
    device: str,
) -> dict[str, Any]:
    """Return the content of `metrics.json`: all but `run` is the same from run to run.

    Parameters
    ----------
    settings, dataset, fingerprint, split, scores, calibrator, policy, tested, proof, verdict
        What the run did and found.
    seconds : float
        Wall clock.
    threads : int
        How many were used.
    device : str
        Where the learner ran.
    """
    evaluation = tested.evaluation
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run_record(settings, seconds, threads, device),
        "data": {
            **data_record(dataset, fingerprint),
            "left_out": split.left_out,
            "blocks": {
                block.name: block_record(block, dataset)
                for block in (split.development, split.test)
            },
        },
        "development": {
            "label_delay_kept": split.delay_kept,
            **development_record(scores, split.folds),
        },
        "test": evaluation.metrics("test"),
        "calibration": {
            "kind": calibrator.kind,
            **calibration_record(evaluation, scores).to_dict(),
            "slope": evaluation.metrics("test")["calibration_slope"],
            "reliability": list(evaluation.reliability),
        },
        "policy": {**policy.to_dict(), "test": evaluation.metrics("policy")},
        "fairness": tested.fairness,
        "baselines": tested.baselines,
        "proof": proof,
        "guard": verdict.to_dict(),
    }


def run_record(
    settings: Settings, seconds: float, threads: int, device: str = "cpu"
) -> dict[str, Any]:
    """Return what differs from run to run: times, memory, the machine, versions."""
    return {
        "command": settings.command,
        "run_name": settings.run_name,
        "seed": settings.seed,
        "seconds": round(seconds, 2),
        "peak_memory_mb": peak_memory_mb(),
        "threads": threads,
        "device": device,
        "versions": versions(),
    }


def data_record(dataset: Dataset, fingerprint: str) -> dict[str, Any]:
    """Return how large a table is, how rare its frauds, and its fingerprint."""
    known = dataset.label >= 0
    frauds = int((dataset.label == 1).sum())
    unit, numeric = dataset.schema.time_unit, dataset.schema.numeric_time
    times = dataset.facts["time"]
    first, last = (times[0], times[-1]) if len(times) else (None, None)
    return {
        "rows": len(dataset),
        "frauds": frauds,
        "prevalence": frauds / max(int(known.sum()), 1),
        "fingerprint": fingerprint,
        "start": format_moment(first, unit=unit, numeric=numeric),
        "end": format_moment(last, unit=unit, numeric=numeric),
    }


def development_record(scores: OutOfFold, folds: Sequence[Fold]) -> dict[str, Any]:
    """Return what the out-of-fold scores are made of, and the rounds that they chose."""
    return {
        "steps": len(folds),
        "rows": len(scores.rows),
        "frauds": scores.frauds,
        "rounds": scores.rounds,
        "average_precision_by_rounds": {str(k): v for k, v in scores.tried.items()},
    }


def calibration_record(evaluation: Evaluation, scores: OutOfFold) -> CalibrationVerdict:
    """Say whether the probabilities are right on the rows that a model was tested on."""
    return judge_calibration(
        evaluation.metrics("test")["calibration_in_the_large"],
        fitted_frauds=scores.frauds,
        judged_frauds=int(evaluation.table["frauds"][0]),
    )


def block_record(block: Block, dataset: Dataset) -> dict[str, Any]:
    """Return the size of a block, and its first and last time as the table has it."""
    unit, numeric = dataset.schema.time_unit, dataset.schema.numeric_time
    return {
        "rows": len(block.rows),
        "frauds": int(np.count_nonzero(dataset.label[block.rows] == 1)),
        "start": format_moment(block.start, unit=unit, numeric=numeric),
        "end": format_moment(block.end, unit=unit, numeric=numeric),
    }


def closing_table(
    metrics: dict[str, Any], level: float, folder: str | None
) -> tuple[str, list[tuple[str, str]]]:
    """Return the title and the rows that end a run on the terminal.

    Parameters
    ----------
    metrics : dict
        The content of `metrics.json`.
    level : float
        Confidence of its intervals.
    folder : str, optional
        Where everything is.
    """
    test, policy, block = metrics["test"], metrics["policy"]["test"], metrics["data"]["blocks"]
    rows = [
        (
            "test block",
            f"{block['test']['rows']:,} rows, {block['test']['frauds']:,} frauds "
            f"({block['test']['frauds'] / block['test']['rows']:.3%})",
        ),
        (
            "average precision",
            f"{value_text(test['average_precision'])}; a random score reaches "
            f"{test['average_precision']['baseline']:.4f}",
        ),
        ("alerts per day", value_text(policy["alerts_per_day"], "{:,.1f}")),
        ("precision", value_text(policy["precision"])),
        ("recall", value_text(policy["recall"])),
        ("value recall", value_text(test["value_recall"])),
        ("savings", value_text(test["savings"])),
        ("probabilities", _calibration(metrics["calibration"])),
        (
            "accuracy of never alerting",
            f"{test['accuracy_of_never']['value']:.4f}; this is why accuracy says nothing here",
        ),
        *_promise(metrics["policy"]["constraint"]),
        *_beside(metrics["baselines"]),
        *_fairness(metrics["fairness"]),
        *((help_, sentence(one)) for help_, one in metrics["proof"].items()),
        ("guard", _verdict(metrics["guard"])),
    ]
    if folder is not None:
        rows.append(("everything is in", folder))
    return f"On the test block, with {100 * level:g} % intervals", rows


def _promise(constraint: dict[str, Any] | None) -> list[tuple[str, str]]:
    return [] if constraint is None else [("promise", Constraint(**constraint).sentence())]


def _beside(baselines: dict[str, Any]) -> list[tuple[str, str]]:
    """What the model adds to baselines, in average precision."""
    rows = []
    for name, one in baselines.items():
        entry, title = one["average_precision"], f"beside {name.replace('_', ' ')}"
        if name in ("constant", "random"):
            continue  # the baseline of average precision says the same
        if entry is None:
            rows.append((title, f"– ({one['reason']})"))
            continue
        column = f" '{one['column']}'" if "column" in one else ""
        ahead = {**entry["ahead"], "value": entry["ahead"]["difference"]}
        rows.append(
            (f"{title}{column}", f"{entry['value']:.3f}; the model {value_text(ahead, '{:+.3f}')}")
        )
    return rows


def value_text(entry: dict[str, Any], how: str = "{:.3f}") -> str:
    """Write a metric with its range, or why there is none."""
    if entry["value"] is None:
        return f"– ({entry['reason']})"
    text = how.format(entry["value"])
    if entry.get("low") is None:
        return text
    return f"{text} ({how.format(entry['low'])} to {how.format(entry['high'])})"


def _calibration(record: dict[str, Any]) -> str:
    facts = {each.name: record[each.name] for each in fields(CalibrationVerdict)}
    slope = value_text(record["slope"], "{:.2f}")
    return f"{CalibrationVerdict(**facts).sentence()}; slope {slope}"


def _fairness(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [] if record["column"] is None else [("fairness", fairness_sentence(record))]


def _verdict(guard: dict[str, Any]) -> str:
    return "passed" if guard["passed"] else "refused: " + "; ".join(guard["reasons"])
