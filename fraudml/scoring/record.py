"""What a job says about itself: the content of `<output>.json`, and the lines for the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fraudml.bundle import DecisionBundle
from fraudml.machine import peak_memory_mb, versions
from fraudml.scoring.job import Job
from fraudml.scoring.shift import population_stability
from fraudml.scoring.tally import ScoreCounts

_log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
"""Raised when a reader of the record would misread it."""

MOVED = 0.25
"""The stability index from which a feature is said to have moved, where chance does not reach."""

_GAP = 0.05
_SHOWN = 5
_DAY = 86_400.0


def score_record(
    job: Job,
    tally: ScoreCounts,
    *,
    key: Mapping[str, Any],
    repeated: int,
    new_rows: int,
    seconds: float,
    run: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of the record; times, memory, versions and paths stand under `run` only.

    Parameters
    ----------
    job : Job
        What was scored.
    tally : ScoreCounts
        Its counts.
    key : mapping
        The fingerprints, as `job_key` has them.
    repeated : int
        Rows whose id an earlier row has.
    new_rows : int
        How many rows this process scored; the others an earlier one that was killed.
    seconds : float
        Wall clock of this process.
    run : mapping
        Paths.
    """
    span, policy = job.span, job.bundle.policy
    return {
        "schema_version": SCHEMA_VERSION,
        "run": {
            **run,
            "seconds": round(seconds, 3),
            "rows_per_second": round(new_rows / seconds, 1) if seconds > 0 else None,
            "rows_of_an_earlier_run": tally.rows - new_rows,
            "peak_memory_mb": peak_memory_mb(),
            "threads": job.threads,
            "engine_check": _engine_check(job),
            "versions": versions(),
        },
        "bundle": {"fingerprint": key["bundle"]},
        "engine": job.engine,
        "input": {
            "fingerprint": key["input"],
            "first": None if span is None or span.first is None else str(span.first),
            "last": None if span is None or span.last is None else str(span.last),
            "in_order": None if span is None else span.in_order,
        },
        "history": _history(job, key),
        "rows": tally.rows,
        "scored": tally.scored,
        "rejected": tally.rejected,
        "rejects": dict(sorted(tally.rejects.items())),
        "duplicate_ids": repeated,
        "refunds": tally.refunds,
        "alerts": tally.alerts,
        "alert_rate": tally.alerts / tally.scored if tally.scored else None,
        "policy": {
            "kind": policy.kind if job.settings.daily_top_k is None else "daily_top_k",
            "threshold": policy.threshold,
            "daily_top_k": job.settings.daily_top_k,
        },
        "shift": _shift(job.bundle, tally),
    }


def _engine_check(job: Job) -> dict[str, Any] | None:
    """What another engine than the native one came to; None where this process scored no row."""
    return None if job.check is None or job.check.found is None else job.check.found.to_dict()


def _history(job: Job, key: Mapping[str, Any]) -> dict[str, Any] | None:
    if job.span is None:
        return None
    past = job.past
    return {
        "fingerprint": key["history"],
        "needed_days": job.bundle.features.history_needed / _DAY,
        "rows": 0 if past.rows is None else len(past.rows),
        "first": None if past.first is None else str(past.first),
        "last": None if past.last is None else str(past.last),
        "gap_days": None if job.gap is None else job.gap / _DAY,
        "rows_without_time": past.left_out,
    }


def _shift(bundle: DecisionBundle, tally: ScoreCounts) -> dict[str, Any]:
    spread = bundle.spread
    if spread is None:
        reason = "the bundle was written before bundles had the bins of their training"
        return {"score": None, "features": {}, "reason": reason}
    empty = [0] * len(spread.features)
    features = {
        name: {
            **population_stability(bins.counts, counts or [0] * len(bins.counts)),
            "missing": missing,
            "unseen": unseen if bins.kind == "category" else None,
            "missing_in_training": bins.counts[0] / max(sum(bins.counts), 1),
        }
        for name, bins, counts, missing, unseen in zip(
            bundle.features.names,
            spread.features,
            tally.features or [()] * len(empty),
            tally.missing or empty,
            tally.unseen or empty,
            strict=True,
        )
    }
    score = population_stability(spread.score.counts, tally.score or [0] * len(spread.score.counts))
    return {"score": score, "features": features, "reason": None}


def log_drift(bundle: DecisionBundle, tally: ScoreCounts, repeated: int) -> None:
    """Log what an operator should look at: rejects, unseen categories, gaps, shift, copies.

    Parameters
    ----------
    bundle : DecisionBundle
        What scored.
    tally : ScoreCounts
        The counts.
    repeated : int
        Rows whose id an earlier row has.
    """
    for reason, count in sorted(tally.rejects.items()):
        _log.warning("%s rows cannot be scored: %s.", f"{count:,}", reason)
    if repeated:
        _log.warning("%s rows have the id of an earlier row; all are scored.", f"{repeated:,}")
    if tally.refunds:
        _log.info("%s rows are refunds (at most 0) and are scored.", f"{tally.refunds:,}")
    scored = max(tally.scored, 1)
    unseen = [
        f"'{name}' in {count:,} rows ({count / scored:.2%})"
        for name, count in zip(bundle.features.names, tally.unseen, strict=False)
        if count
    ]
    _say("Values that the training did not have, to the model one unknown value", unseen)
    if bundle.spread is None or not tally.scored:
        return
    everything = zip(
        bundle.features.names, bundle.spread.features, tally.features, tally.missing, strict=True
    )
    moved, gaps = list[tuple[float, str]](), list[tuple[float, str]]()
    for name, bins, counts, missing in everything:
        found = population_stability(bins.counts, counts)
        before, now = bins.counts[0] / max(sum(bins.counts), 1), missing / scored
        if found["psi"] <= found["chance"]:
            continue
        if abs(now - before) > _GAP:
            gaps.append((abs(now - before), f"'{name}' in {now:.1%}, before in {before:.1%}"))
        elif found["trusted"] and found["psi"] > MOVED:
            moved.append((found["psi"], f"'{name}' ({found['psi']:.2f})"))
    score = population_stability(bundle.spread.score.counts, tally.score)
    if score["trusted"] and score["psi"] > max(MOVED, score["chance"]):
        _log.warning("The scores are spread otherwise than on the test block (%.2f).", score["psi"])
    _say("Missing more or less often than in training", _largest(gaps))
    _say(f"Spread otherwise than in training (stability index above {MOVED})", _largest(moved))


def _largest(found: list[tuple[float, str]]) -> list[str]:
    return [text for _, text in sorted(found, key=lambda one: -one[0])]


def _say(what: str, found: list[str]) -> None:
    """Warn of what was found in one line; the record has the rest."""
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        _log.warning("%s: %s%s.", what, "; ".join(found[:_SHOWN]), more)
