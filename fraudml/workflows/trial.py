"""What a trial does: fit its recipe on each block, and say what its scores are worth there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.decisions.policies import TuningRows
from fraudml.errors import DataError
from fraudml.learners.protocol import FitContext
from fraudml.matrix import hide_unseen
from fraudml.metrics import Metric, ScoredRows, find_metric, measure
from fraudml.split import Fold
from fraudml.sweep.blocks import COSTS, SweepRows
from fraudml.workflows.parts import Parts

Floats = NDArray[np.float64]


def block_values(
    rows: Iterable[SweepRows], parts: Parts, objective: str, context: FitContext
) -> Iterator[float]:
    """Fit on each block and yield the objective on its scored rows.

    An objective of the ranking alone is yielded block after block. One that needs probabilities or
    alerts has to wait for the scores of all blocks, on which they are tuned.

    Parameters
    ----------
    rows : iterable of SweepRows
        What `read_rows` gives.
    parts : Parts
        What the trial's model is made of.
    objective : str
        A metric's name.
    context : FitContext
        Seed, threads, device.

    Raises
    ------
    DataError
        The objective has no value on a block, or the recipe cannot be fitted there.
    """
    metric, scored = find_metric(objective), []
    for part in rows:
        for block, days in zip(part.blocks, part.days, strict=True):
            if not np.any(part.matrix.y[block.score] == 1):
                continue  # entities leave steps with nobody to score
            margin = _scores(part, block, parts, context)
            if _ranks(metric):
                yield _value(_facts(part, block, days, margin), metric)
            scored.append((part, block, days, margin))
    if not _ranks(metric):
        yield from _decided(scored, parts, metric)


def _ranks(metric: Metric) -> bool:
    return set(metric.needs) <= {"y_true", "y_score", "day", "entity"}


def _scores(part: SweepRows, block: Fold, parts: Parts, context: FitContext) -> Floats:
    fit, score = part.matrix.take(block.fit), part.matrix.take(block.score)
    return parts.recipe.fit(fit, context).margin(hide_unseen(fit, score))


def _facts(
    part: SweepRows,
    block: Fold,
    days: float | None,
    margin: Floats,
    *,
    p_fraud: Floats | None = None,
    alert: NDArray[np.bool_] | None = None,
) -> ScoredRows:
    def of(column: NDArray[np.generic] | None) -> NDArray[np.generic] | None:
        return None if column is None else column[block.score]

    costs = part.costs.take(block.score)
    return ScoredRows(
        part.matrix.y[block.score],
        y_score=margin,
        p_fraud=p_fraud,
        alert=alert,
        amount=of(part.amount),
        day=of(part.day),
        entity=of(part.entity),
        n_days=days,
        tp_cost=costs.tp_cost,
        fp_cost=costs.fp_cost,
        fn_cost=costs.fn_cost,
        tn_cost=costs.tn_cost,
    )


def _decided(
    scored: list[tuple[SweepRows, Fold, float | None, Floats]], parts: Parts, metric: Metric
) -> Iterator[float]:
    """Calibrate and tune on all scored rows, then look at each block."""
    label = np.concatenate([part.matrix.y[block.score] for part, block, _, _ in scored])
    margin = np.concatenate([one[-1] for one in scored])
    step = np.repeat(np.arange(len(scored)), [len(one[-1]) for one in scored])
    calibrator = parts.calibration.fit(margin, label, step)
    every = {name: _concatenated(scored, name) for name in ("amount", "day", "entity")}
    known = [days for _, _, days, _ in scored if days is not None]
    tuning = TuningRows(
        calibrator.probability(margin),
        label,
        CostMatrix(**{name: _concatenated(scored, name) for name in COSTS}),
        **every,
        days=sum(known) if len(known) == len(scored) else None,
    )
    policy = parts.policy.tune(tuning)
    for part, block, days, own in scored:
        p = calibrator.probability(own)
        amount = None if part.amount is None else part.amount[block.score]
        alert = policy.alerts(p, part.costs.take(block.score), amount)
        yield _value(_facts(part, block, days, own, p_fraud=p, alert=alert), metric)


def _concatenated(scored: list[tuple[SweepRows, Fold, float | None, Floats]], name: str) -> Any:
    columns = [getattr(part.costs if name in COSTS else part, name) for part, _, _, _ in scored]
    if any(column is None for column in columns):
        return None
    return np.concatenate(
        [column[block.score] for column, (_, block, _, _) in zip(columns, scored, strict=True)]
    )


def _value(rows: ScoredRows, metric: Metric) -> float:
    found = measure(rows, metric)
    if found.value is None:
        raise DataError(f"objective={metric.name} has no value here: {found.reason}")
    return found.value
