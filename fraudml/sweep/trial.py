"""What a trial does: fit its recipe on each block, and say what its scores are worth there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.decisions.policies import TuningRows
from fraudml.errors import DataError
from fraudml.learners.protocol import FitContext
from fraudml.learners.watch import EvalCallback
from fraudml.matrix import DesignMatrix, mask_unseen_categories
from fraudml.metrics import Metric, ScoredRows, find_metric, measure
from fraudml.pipeline.components import Components
from fraudml.recipe import FittedRecipe
from fraudml.split import Fold
from fraudml.sweep.blocks import COSTS, SweepRows
from fraudml.sweep.intermediate import SHARES, IntermediateResult
from fraudml.sweep.margins import KeptMargins

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """The scored rows of one block.

    Parameters
    ----------
    part : SweepRows
        The rows that it is of.
    block : Fold
        Which of them are scored.
    days : float, optional
        How many days they span.
    margin : ndarray of float64
        Their scores.
    """

    part: SweepRows
    block: Fold
    days: float | None
    margin: Floats

    def of(self, column: NDArray[Any] | None) -> NDArray[Any] | None:
        """Return the scored rows of a column of the part."""
        return None if column is None else column[self.block.score]


def trial_values(
    rows: Iterable[SweepRows],
    parts: Components,
    objectives: Sequence[str],
    context: Callable[[int], FitContext],
    *,
    kept: KeptMargins,
    tell: Callable[[IntermediateResult], None],
) -> list[tuple[float, ...]]:
    """Fit on each block and return the objectives on its scored rows.

    Objectives of the ranking alone are told while each block is fitted, and after it. Those that
    need probabilities or alerts are told after each block, calibrated and tuned on the scores of
    the blocks so far; in the end on those of all blocks.

    Parameters
    ----------
    rows : iterable of SweepRows
        What `read_rows` gives.
    parts : Components
        What the trial's model is made of.
    objectives : sequence of str
        Names of metrics; the first is told.
    context : callable
        From the number of a block to seed, threads, device and bins.
    kept : KeptMargins
        Margins that other trials left, and where to leave some.
    tell : callable
        Gets each stop; what it raises ends the trial.

    Raises
    ------
    DataError
        An objective has no value on a block, or the recipe cannot be fitted there.
    """
    metrics = [find_metric(one) for one in objectives]
    ranked = all(map(_ranks, metrics))
    rounds = parts.recipe.learner.max_rounds
    blocks = list(_unscored(rows))
    scored: list[Scored] = []
    values: list[tuple[float, ...]] = []

    def stop(share: float, done: int | None, value: float) -> None:
        firsts = [one[0] for one in values[: len(scored)]]
        tell(IntermediateResult(len(scored), share, done, value, float(np.mean([*firsts, value]))))

    def watched(one: Scored, done: int, margin: Floats) -> None:
        assert rounds is not None
        share = min(SHARES, key=lambda share: abs(share - done / rounds))
        stop(share, done, _value(_facts(replace(one, margin=margin)), metrics[0]))

    for number, blank in enumerate(blocks):
        margin = kept.read(number, rounds)
        if margin is None:
            told = partial(watched, blank) if ranked else None
            model, matrix = _fitted(blank, parts, context(number), told)
            # A round that found nothing to split left no tree: then the first trees are not those
            # of a fit with fewer rounds.
            if model.learner.rounds == rounds:
                for fewer in kept.fewer(rounds):
                    kept.write(number, fewer, model.margin(matrix, fewer))
            margin = model.margin(matrix)
        one = replace(blank, margin=margin)
        if ranked:
            values.append(tuple(_value(_facts(one), metric) for metric in metrics))
        else:
            values = _decided_so_far([*scored, one], parts, metrics, last=number + 1 == len(blocks))
        if values:
            stop(1.0, rounds, values[-1][0])
        scored.append(one)
    return values


def _unscored(rows: Iterable[SweepRows]) -> Iterator[Scored]:
    """Blocks that are not scored yet; without a fraud, as entities may leave some, none."""
    for part in rows:
        for block, days in zip(part.blocks, part.days, strict=True):
            if np.any(part.matrix.y[block.score] == 1):
                yield Scored(part, block, days, np.empty(0))


def _ranks(metric: Metric) -> bool:
    return set(metric.needs) <= {"y_true", "y_score", "day", "entity"}


def _fitted(
    one: Scored,
    parts: Components,
    context: FitContext,
    told: Callable[[int, Floats], None] | None,
) -> tuple[FittedRecipe, DesignMatrix]:
    """Fit on a block; return the model and the rows that it is to score."""
    fit = one.part.matrix.take(one.block.fit)
    rows = mask_unseen_categories(fit, one.part.matrix.take(one.block.score))
    if told is not None:
        context = replace(context, callback=EvalCallback(rows, SHARES, told))
    return parts.recipe.fit(fit, context), rows


def _facts(
    one: Scored, *, p_fraud: Floats | None = None, alert: NDArray[np.bool_] | None = None
) -> ScoredRows:
    part, costs = one.part, one.part.costs.take(one.block.score)
    return ScoredRows(
        part.matrix.y[one.block.score],
        y_score=one.margin,
        p_fraud=p_fraud,
        alert=alert,
        amount=one.of(part.amount),
        day=one.of(part.day),
        entity=one.of(part.entity),
        n_days=one.days,
        tp_cost=costs.tp_cost,
        fp_cost=costs.fp_cost,
        fn_cost=costs.fn_cost,
        tn_cost=costs.tn_cost,
    )


def _decided_so_far(
    scored: Sequence[Scored], parts: Components, metrics: Sequence[Metric], *, last: bool
) -> list[tuple[float, ...]]:
    """As `_decided`; nothing where the blocks so far are too few, unless they are all."""
    try:
        return list(_decided(scored, parts, metrics))
    except DataError:
        if last:
            raise
        return []


def _decided(
    scored: Sequence[Scored], parts: Components, metrics: Sequence[Metric]
) -> Iterator[tuple[float, ...]]:
    """Calibrate and tune on all scored rows, then look at each block."""
    label = np.concatenate([one.part.matrix.y[one.block.score] for one in scored])
    margin = np.concatenate([one.margin for one in scored])
    step = np.repeat(np.arange(len(scored)), [len(one.margin) for one in scored])
    calibrator = parts.calibration.fit(margin, label, step)
    every = {name: _concatenated(scored, name) for name in ("amount", "day", "entity")}
    known = [one.days for one in scored if one.days is not None]
    tuning = TuningRows(
        calibrator.probability(margin),
        label,
        CostMatrix(**{name: _concatenated(scored, name) for name in COSTS}),
        **every,
        days=sum(known) if len(known) == len(scored) else None,
    )
    policy = parts.policy.tune(tuning)
    for one in scored:
        p = calibrator.probability(one.margin)
        alert = policy.alerts(p, one.part.costs.take(one.block.score), one.of(one.part.amount))
        facts = _facts(one, p_fraud=p, alert=alert)
        yield tuple(_value(facts, metric) for metric in metrics)


def _concatenated(scored: Sequence[Scored], name: str) -> Any:
    columns = [
        one.of(getattr(one.part.costs if name in COSTS else one.part, name)) for one in scored
    ]
    known = [column for column in columns if column is not None]
    return np.concatenate(known) if len(known) == len(columns) else None


def _value(rows: ScoredRows, metric: Metric) -> float:
    found = measure(rows, metric)
    if found.value is None:
        raise DataError(f"objective={metric.name} has no value here: {found.reason}")
    return found.value
