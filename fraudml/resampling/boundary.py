"""The boundary to samplers: a design matrix in, a design matrix with other rows out.

Only the rows of a fit come here, out of fold and for the final model; none that is evaluated.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from fraudml.errors import DataError
from fraudml.matrix import DesignMatrix
from fraudml.progress import Deadline
from fraudml.resampling.library import Change, Rows, Synthetic, is_library
from fraudml.resampling.routes import Job, change, class_weights
from fraudml.resampling.steps import SamplerStep
from fraudml.resampling.synthetic import write_synthetic
from fraudml.resampling.view import ColumnStatistics, column_statistics
from fraudml.seeds import child_seed

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Counts:
    """The number of rows of each class, not their weights."""

    legitimate: int
    frauds: int


@dataclass(frozen=True)
class Resampled:
    """The result of a resampling.

    Parameters
    ----------
    matrix : DesignMatrix
        Selected rows in their order, then synthetic ones; with labels, weights and costs.
    beta : float, optional
        The realised share of legitimate weight for each unit of fraud weight, for the prior
        correction p = β p_s / (β p_s − p_s + 1). None where a step changed more than the share of
        frauds (SMOTE, cleaning …): recalibrate on untouched rows instead.
    before, after : Counts
        Rows of each class.
    synthetic : int
        The number of synthetic rows, which come last.
    parents : ndarray of int64, shape (n_rows,)
        For each row its position in the given matrix, or that of its first parent.
    """

    matrix: DesignMatrix
    beta: float | None
    before: Counts
    after: Counts
    synthetic: int
    parents: Rows


@dataclass(frozen=True)
class _State:
    """The rows between two steps."""

    matrix: DesignMatrix
    parents: Rows
    synthetic: int = 0
    prior_only: bool = True


def resample(
    train: DesignMatrix,
    steps: Sequence[SamplerStep],
    *,
    seed: int,
    threads: int = 1,
    deadline: Deadline | None = None,
) -> Resampled:
    """Pass the rows of a fit through one sampler or several.

    A sampler that searches neighbours gets a float32 view: missing values filled with the median,
    numbers of unit deviation, codes as points. Selected rows are the given rows bit for bit, with
    their weights and costs; synthetic rows have their first parent's weight, costs, flags and
    missing values. Repeated rows become weights. Random over-sampling is a weight alone, and copies
    nothing.

    Parameters
    ----------
    train : DesignMatrix
        With labels 0 and 1, without infinite values; it is not changed.
    steps : sequence of SamplerStep
        In order; without any, `train` itself is returned.
    seed : int
        Seeds of the samplers are derived from it by name; a `random_state` that is set stays.
    threads : int
        The number of threads to use.
    deadline : Deadline, optional
        When the work must be finished; slow samplers are tried on a few rows first.

    Returns
    -------
    Resampled
        Holds at most one more copy of the matrix than the sampler itself.

    Raises
    ------
    DataError
        One class alone, too few frauds, a share of frauds below the present one, or rows that the
        sampler cannot handle.
    ConfigError
        An argument outside of its range.
    BudgetError
        A slow sampler would take longer than the deadline leaves.

    Examples
    --------
    >>> from fraudml.resampling import sampler_step
    >>> values = np.arange(40, dtype=np.float32).reshape(20, 2)
    >>> label = (np.arange(20) < 2).astype(np.int8)
    >>> train = DesignMatrix(values, ("a", "b"), label=label)
    >>> step = sampler_step("imblearn.under_sampling.RandomUnderSampler", fraud_share=0.5)
    >>> resampled = resample(train, [step], seed=0)
    >>> resampled.after, round(resampled.beta, 3)
    (Counts(legitimate=2, frauds=2), 0.111)
    """
    steps = [part for step in steps for part in _expand(step)]
    state = _State(train, np.arange(len(train), dtype=np.int64))
    if steps:
        _check_classes(train, steps[0].name)

    @cache
    def statistics(scale: bool) -> ColumnStatistics:
        return column_statistics(train, scale=scale)

    for step, child in zip(steps, _step_seeds(steps, seed), strict=True):
        job = Job(step, state.matrix, child, threads, deadline or Deadline(), statistics)
        state = _apply(state, change(job), job)
        _check_classes(state.matrix, step.name, after=True)
        _log_counts(job, state)
    return Resampled(
        matrix=state.matrix,
        beta=_beta(train, state.matrix) if state.prior_only else None,
        before=_counts(train),
        after=_counts(state.matrix),
        synthetic=state.synthetic,
        parents=state.parents,
    )


def _expand(step: SamplerStep) -> Iterator[SamplerStep]:
    """Split SMOTEENN and SMOTETomek into their two samplers."""
    if step.sampler is None:
        return
    if not is_library(step.sampler, "SMOTEENN", "SMOTETomek"):
        yield step
        return
    from imblearn.over_sampling import SMOTE
    from imblearn.under_sampling import EditedNearestNeighbours, TomekLinks

    both = step.sampler
    smote, clean = both.smote, both.enn if is_library(both, "SMOTEENN") else both.tomek
    if smote is None:
        smote = SMOTE(sampling_strategy=both.sampling_strategy, random_state=both.random_state)
    if clean is None:
        cleaner = EditedNearestNeighbours if is_library(both, "SMOTEENN") else TomekLinks
        clean = cleaner(sampling_strategy="all", n_jobs=both.n_jobs)
    yield replace(step, sampler=smote, name=type(smote).__name__)
    yield SamplerStep(clean, type(clean).__name__, scale=step.scale)


def _step_seeds(steps: Sequence[SamplerStep], seed: int) -> list[int]:
    """One seed a step, derived from its name, so that further steps do not change it."""
    names = [step.name for step in steps]
    return [
        child_seed(seed, f"resampling.{name}.{names[:position].count(name)}")
        for position, name in enumerate(names)
    ]


def _check_classes(matrix: DesignMatrix, name: str, *, after: bool = False) -> None:
    count = _counts(matrix)
    if count.frauds and count.legitimate:
        return
    only = "no fraud" if not count.frauds else "no legitimate row"
    if after:
        raise DataError(
            f"resampling by {name} left {only} among {len(matrix):,} rows. "
            "Loosen its arguments, or set resampling=none."
        )
    raise DataError(
        f"resampling by {name} got {only} among {len(matrix):,} rows. It needs both classes. "
        "Fit on a longer window, or check the labels."
    )


def _counts(matrix: DesignMatrix) -> Counts:
    frauds = matrix.frauds
    return Counts(legitimate=len(matrix) - frauds, frauds=frauds)


def _beta(before: DesignMatrix, after: DesignMatrix) -> float:
    return 1.0 if after is before else _odds(before) / _odds(after)


def _odds(matrix: DesignMatrix) -> float:
    legitimate, fraud = class_weights(matrix)
    return fraud / legitimate


def _log_counts(job: Job, state: _State) -> None:
    before, after = _counts(job.matrix), _counts(state.matrix)
    legitimate, fraud = class_weights(state.matrix)
    _log.info(
        "%s: %s legitimate rows and %s frauds became %s and %s; fraud share %.4f",
        job.name,
        *(f"{n:,}" for n in (before.legitimate, before.frauds, after.legitimate, after.frauds)),
        fraud / (fraud + legitimate),
    )


def _apply(state: _State, change: Change, job: Job) -> _State:
    """Make the matrix that a change leads to, with one copy of its rows."""
    synthetic = change.synthetic
    before = len(state.matrix)
    rows = np.arange(before) if change.selected is None else change.selected
    # Synthetic rows come last, so that those of earlier steps are found by their position.
    earlier = int(np.count_nonzero(rows >= before - state.synthetic))
    base = state.matrix if change.selected is None else state.matrix.take(change.selected)
    if change.counts is not None:
        weight = np.ones(len(base)) if base.weight is None else base.weight
        base = base.with_weight(weight * change.counts)
    first = np.empty(0, dtype=np.int64) if synthetic is None else synthetic.first
    return _State(
        matrix=base if synthetic is None else _with_synthetic(base, state.matrix, synthetic, job),
        parents=state.parents[np.concatenate([rows, first])],
        synthetic=earlier + len(first),
        prior_only=state.prior_only and change.prior_only,
    )


def _with_synthetic(
    base: DesignMatrix, source: DesignMatrix, synthetic: Synthetic, job: Job
) -> DesignMatrix:
    """Append synthetic rows, which have the weights and costs of their first parents."""
    first = synthetic.first
    values = np.empty((len(base) + len(first), len(base.names)), dtype=np.float32)
    values[: len(base)] = base.values
    write_synthetic(values[len(base) :], source, job.columns, synthetic)

    def extended(name: str) -> Any:
        column, parents = getattr(base, name), getattr(source, name)
        if column is None:
            return None
        return np.concatenate([column, np.ones(len(first)) if parents is None else parents[first]])

    return replace(
        base,
        values=values,
        label=np.concatenate([base.y, synthetic.label.astype(np.int8)]),
        **{name: extended(name) for name in ("weight", "miss_cost", "false_alert_cost")},
    )
