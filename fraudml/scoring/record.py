"""The record of a scoring job: the content of `<output>.json`, and the warnings for the log."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fraudml.bundle import DecisionBundle
from fraudml.machine import peak_memory_mb, versions
from fraudml.scoring.counts import ScoreCounts
from fraudml.scoring.job import Job
from fraudml.shift import MISSING_GAP, PSI_WARNING, Bins, population_stability

_log = logging.getLogger(__name__)

SCHEMA_VERSION = 2
"""Raised when a reader of the record would misread it."""

_SHOWN = 5
_DAY = 86_400.0


def score_record(
    job: Job,
    counts: ScoreCounts,
    *,
    key: Mapping[str, Any],
    repeated: int,
    new_rows: int,
    seconds: float,
    run: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of the record; times, memory, versions and paths are under `run` only.

    `repeated` counts rows whose id an earlier row has; `new_rows` those that this process scored,
    the others an earlier one that was killed.
    """
    span, policy = job.span, job.bundle.policy
    return {
        "schema_version": SCHEMA_VERSION,
        "run": {
            **run,
            "seconds": round(seconds, 3),
            "rows_per_second": round(new_rows / seconds, 1) if seconds > 0 else None,
            "rows_of_an_earlier_run": counts.rows - new_rows,
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
        "rows": counts.rows,
        "scored": counts.scored,
        "rejected": counts.rejected,
        "rejects": dict(sorted(counts.rejects.items())),
        "duplicate_ids": repeated,
        "refunds": counts.refunds,
        "without_key": dict(sorted(counts.without_key.items())),
        "alerts": counts.alerts,
        "alert_rate": counts.alerts / counts.scored if counts.scored else None,
        "policy": {
            "kind": policy.kind if job.settings.daily_top_k is None else "daily_top_k",
            "threshold": policy.threshold,
            "daily_top_k": job.settings.daily_top_k,
        },
        "shift": _shift(job.bundle, counts),
    }


def _engine_check(job: Job) -> dict[str, Any] | None:
    """The check against the native engine; None where there is none, or no row was scored."""
    return None if job.check is None or job.check.result is None else job.check.result.to_dict()


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
        "rows_without_time": past.without_time,
    }


def _shift(bundle: DecisionBundle, counts: ScoreCounts) -> dict[str, Any]:
    reference, names = bundle.reference_distribution, bundle.features.names
    nothing = [None] * len(names)
    features = {
        name: {
            **_stability(bins, now),
            "missing": missing or 0,
            "unseen": (unseen or 0) if position in bundle.features.categorical else None,
            "missing_in_training": None if bins is None else bins.missing_share,
        }
        for position, (name, bins, now, missing, unseen) in enumerate(
            zip(
                names,
                nothing if reference is None else reference.features,
                counts.features or nothing,
                counts.missing or nothing,
                counts.unseen or nothing,
                strict=True,
            )
        )
    }
    score = None if reference is None else _stability(reference.score, counts.score)
    reason = None if score else "the bundle was written before there were reference distributions"
    return {"score": score, "features": features, "reason": reason}


def _stability(bins: Bins | None, now: Sequence[int] | None) -> dict[str, Any]:
    training = () if bins is None else bins.counts
    return population_stability(training, now or [0] * len(training))


def log_drift(record: Mapping[str, Any]) -> None:
    """Log what an operator should look at: rejects, unseen categories, gaps, shift, copies."""
    for reason, count in record["rejects"].items():
        _log.warning("%s rows cannot be scored: %s.", f"{count:,}", reason)
    if repeated := record["duplicate_ids"]:
        _log.warning("%s rows have the id of an earlier row; all are scored.", f"{repeated:,}")
    if refunds := record["refunds"]:
        _log.info("%s rows are refunds (amount at most 0) and are scored.", f"{refunds:,}")
    for name, count in record["without_key"].items():
        _log.info(
            "%s rows have no '%s': scored, with the features of its past missing.",
            f"{count:,}",
            name,
        )
    features, score = record["shift"]["features"], record["shift"]["score"]
    scored = max(record["scored"], 1)
    unseen = {name: of["unseen"] for name, of in features.items() if of["unseen"]}
    _warn(
        "Categories that were not in the training (the model reads each as 'unseen')",
        (f"'{name}' in {count:,} rows ({count / scored:.2%})" for name, count in unseen.items()),
    )
    if score and score["trusted"] and score["psi"] > max(PSI_WARNING, score["null_95"]):
        _log.warning("Score distribution has drifted from the test block (PSI %.2f).", score["psi"])
    _warn("Missing more or less often than in training", _gaps(features, scored))
    _warn(f"Drifted from training (PSI above {PSI_WARNING})", _drifted(features, scored))


def _gap(feature: Mapping[str, Any], scored: int) -> float:
    return float(abs(feature["missing"] / scored - feature["missing_in_training"]))


def _changed(features: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    known = {name: of for name, of in features.items() if of["psi"] is not None}
    return {name: of for name, of in known.items() if of["psi"] > of["null_95"]}


def _gaps(features: Mapping[str, Any], scored: int) -> Iterator[str]:
    """The features with another share of missing values, largest difference first."""
    changed = {n: f for n, f in _changed(features).items() if _gap(f, scored) > MISSING_GAP}
    for name, feature in sorted(changed.items(), key=lambda item: -_gap(item[1], scored)):
        before, now = feature["missing_in_training"], feature["missing"] / scored
        yield f"'{name}' in {now:.1%}, before in {before:.1%}"


def _drifted(features: Mapping[str, Any], scored: int) -> Iterator[str]:
    """The features whose values have drifted, largest index first."""
    for name, feature in sorted(_changed(features).items(), key=lambda item: -item[1]["psi"]):
        drifted = feature["trusted"] and feature["psi"] > PSI_WARNING
        if drifted and _gap(feature, scored) <= MISSING_GAP:
            yield f"'{name}' ({feature['psi']:.2f})"


def _warn(subject: str, items: Iterable[str]) -> None:
    """Warn in one line, of the first few; the record has the rest."""
    listed = list(items)
    if listed:
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        _log.warning("%s: %s%s.", subject, "; ".join(listed[:_SHOWN]), more)
