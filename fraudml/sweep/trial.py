"""A trial: fits a recipe on each block, and measures the objectives on its scored rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.decisions.policies import TuningRows
from fraudml.errors import DataError
from fraudml.learners.protocol import FitContext
from fraudml.learners.watch import EvalCallback
from fraudml.matrix import mask_unseen_categories
from fraudml.metrics import Metric, ScoredRows, find_metric, measure
from fraudml.pipeline.components import Components
from fraudml.split import Fold
from fraudml.sweep.blocks import COSTS, SweepRows
from fraudml.sweep.intermediate import SHARES, IntermediateResult
from fraudml.sweep.margins import MarginCache

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoredBlock:
    """The rows of a part that a block scores, the days that they span, and their margins."""

    part: SweepRows
    block: Fold
    days: float | None
    margin: Floats

    @property
    def label(self) -> NDArray[Any]:
        """The labels of the scored rows."""
        return self.part.matrix.y[self.block.score]

    @property
    def costs(self) -> CostMatrix:
        """The costs of the scored rows."""
        return self.part.costs.take(self.block.score)

    def take(self, column: NDArray[Any] | None) -> NDArray[Any] | None:
        """Return the scored rows of a column of the part."""
        return None if column is None else column[self.block.score]


def trial_values(
    rows: Iterable[SweepRows],
    components: Components,
    objectives: Sequence[str],
    context: Callable[[int], FitContext],
    *,
    cache: MarginCache,
    report: Callable[[IntermediateResult], None],
) -> list[tuple[float, ...]]:
    """Fit on each block and return the objectives on its scored rows.

    Objectives of the ranking alone are reported during the fit on each block, and after it. Those
    that need probabilities or alerts are reported after each block, calibrated and tuned on the
    scores of the blocks so far; in the end on those of all blocks.

    Parameters
    ----------
    rows : iterable of SweepRows
        As from `read_rows`.
    components : Components
        Of the trial's model.
    objectives : sequence of str
        Names of metrics; the first is reported.
    context : callable
        From the number of a block to seed, threads, device and bins.
    cache : MarginCache
        Margins for and from other trials.
    report : callable
        Gets each intermediate result; what it raises ends the trial.

    Raises
    ------
    DataError
        An objective has no value on a block, or the recipe cannot be fitted there.
    """
    trial = _Trial(components, [find_metric(name) for name in objectives], cache, report)
    blocks = list(_unscored(rows))
    for number, block in enumerate(blocks):
        trial.run(block, context, last=number + 1 == len(blocks))
    return trial.values


def _unscored(rows: Iterable[SweepRows]) -> Iterator[ScoredBlock]:
    """Yield the blocks without margins; those without a fraud, as entities may leave some, not."""
    for part in rows:
        for fold, days in zip(part.blocks, part.days, strict=True):
            block = ScoredBlock(part, fold, days, np.empty(0))
            if np.any(block.label == 1):
                yield block


@dataclass
class _Trial:
    """A trial and its results so far."""

    components: Components
    metrics: Sequence[Metric]
    cache: MarginCache
    report: Callable[[IntermediateResult], None]
    scored: list[ScoredBlock] = field(default_factory=list)
    values: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def _rounds(self) -> int | None:
        return self.components.recipe.learner.max_rounds

    @property
    def _ranks(self) -> bool:
        """Whether all objectives need the ranking alone."""
        ranking = {"y_true", "y_score", "day", "entity"}
        return all(set(metric.needs) <= ranking for metric in self.metrics)

    def run(self, block: ScoredBlock, context: Callable[[int], FitContext], *, last: bool) -> None:
        """Fit on a block, or take its margins from the cache, and measure the objectives."""
        number = len(self.scored)
        margin = self.cache.read(number, self._rounds)
        if margin is None:
            margin = self._fit(block, context(number))
        self.scored.append(replace(block, margin=margin))
        if self._ranks:
            self.values.append(self._measure(_rows(self.scored[-1])))
        else:
            self.values = self._measure_decided(last=last)
        if self.values:
            self._report(number, 1.0, self._rounds, self.values[-1][0])

    def _fit(self, block: ScoredBlock, context: FitContext) -> Floats:
        """Fit on a block and return the margins of its scored rows; cache those of fewer rounds."""
        number, rounds = len(self.scored), self._rounds
        train = block.part.matrix.take(block.block.fit)
        rows = mask_unseen_categories(train, block.part.matrix.take(block.block.score))

        def report_rounds(done: int, margin: Floats) -> None:
            assert rounds is not None
            share = min(SHARES, key=lambda share: abs(share - done / rounds))
            value = _value(_rows(replace(block, margin=margin)), self.metrics[0])
            self._report(number, share, done, value)

        if self._ranks:
            context = replace(context, callback=EvalCallback(rows, SHARES, report_rounds))
        model = self.components.recipe.fit(train, context)
        # A round that found nothing to split left no tree: then the first trees are not those of a
        # fit with fewer rounds.
        if model.learner.rounds == rounds:
            for fewer in self.cache.fewer(rounds):
                self.cache.write(number, fewer, model.margin(rows, fewer))
        return model.margin(rows)

    def _report(self, number: int, share: float, rounds: int | None, value: float) -> None:
        mean = float(np.mean([*(first for first, *_ in self.values[:number]), value]))
        self.report(IntermediateResult(number, share, rounds, value, mean))

    def _measure(self, rows: ScoredRows) -> tuple[float, ...]:
        return tuple(_value(rows, metric) for metric in self.metrics)

    def _measure_decided(self, *, last: bool) -> list[tuple[float, ...]]:
        """Measure each block with probabilities and alerts; none while the blocks are too few."""
        try:
            return [self._measure(rows) for rows in _decided(self.scored, self.components)]
        except DataError:
            if last:
                raise
            return []


def _rows(
    block: ScoredBlock, *, p_fraud: Floats | None = None, alert: NDArray[np.bool_] | None = None
) -> ScoredRows:
    part = block.part
    return ScoredRows(
        block.label,
        y_score=block.margin,
        p_fraud=p_fraud,
        alert=alert,
        amount=block.take(part.amount),
        day=block.take(part.day),
        entity=block.take(part.entity),
        n_days=block.days,
        **block.costs.as_mapping(),
    )


def _decided(scored: Sequence[ScoredBlock], components: Components) -> Iterator[ScoredRows]:
    """Calibrate and tune on all scored blocks, and yield the rows of each with its alerts."""
    label = np.concatenate([block.label for block in scored])
    margin = np.concatenate([block.margin for block in scored])
    step = np.repeat(np.arange(len(scored)), [len(block.margin) for block in scored])
    calibrator = components.calibration.fit(margin, label, step)
    days = [block.days for block in scored if block.days is not None]
    tuning = TuningRows(
        calibrator.probability(margin),
        label,
        CostMatrix(**{name: _concatenated(scored, name) for name in COSTS}),
        **{name: _concatenated(scored, name) for name in ("amount", "day", "entity")},
        days=sum(days) if len(days) == len(scored) else None,
    )
    policy = components.policy.tune(tuning)
    for block in scored:
        p = calibrator.probability(block.margin)
        alert = policy.alerts(p, block.costs, block.take(block.part.amount))
        yield _rows(block, p_fraud=p, alert=alert)


def _concatenated(scored: Sequence[ScoredBlock], name: str) -> Any:
    columns = [
        block.take(getattr(block.part.costs if name in COSTS else block.part, name))
        for block in scored
    ]
    known = [column for column in columns if column is not None]
    return np.concatenate(known) if len(known) == len(columns) else None


def _value(rows: ScoredRows, metric: Metric) -> float:
    measured = measure(rows, metric)
    if measured.value is None:
        raise DataError(f"objective={metric.name} has no value here: {measured.reason}")
    return measured.value
