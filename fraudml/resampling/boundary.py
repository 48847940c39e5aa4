"""The boundary to samplers: a design matrix in, a design matrix with other rows out.

Only rows that are fitted on come here, in each out-of-fold step and for the final fit; nothing that
a number is reported on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import DataError
from fraudml.matrix import DesignMatrix
from fraudml.progress import Deadline
from fraudml.resampling.library import Change, Made, Rows, is_library
from fraudml.resampling.routes import Job, change, class_weights
from fraudml.resampling.steps import SamplerStep
from fraudml.resampling.synthetic import write_synthetic
from fraudml.resampling.view import ColumnFacts, column_facts
from fraudml.seeds import child_seed

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Counts:
    """How many rows of each class there are.

    Parameters
    ----------
    legitimate, frauds : int
        Rows, not weights.
    """

    legitimate: int
    frauds: int


@dataclass(frozen=True)
class Resampled:
    """What came out of a resampling.

    Parameters
    ----------
    matrix : DesignMatrix
        Kept rows in the order they had, then synthetic ones; with label, weight and amount.
    beta : float, optional
        The realised share of legitimate weight kept for each unit of fraud weight, for the prior
        correction p = β p_s / (β p_s − p_s + 1). None where a step changed more than the share of
        frauds (SMOTE, cleaning …): recalibrate on untouched rows instead.
    before, after : Counts
        Rows of each class.
    synthetic : int
        How many of the last rows are synthetic.
    parents : ndarray of int64, shape (n_rows,)
        For each row the one of the given matrix that it is, or was first made of.
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
    """Pass the rows that are fitted on through one sampler or several.

    A sampler that looks for neighbours sees a float32 view: missing values filled with the median,
    numbers of unit spread, codes as points. What it returns is told apart by row: kept rows are the
    given rows bit for bit, with their weight and amount; synthetic rows have their first parent's
    weight, amount, flags and missing values. Repeated rows become weights. Random over-sampling is
    a weight alone, and copies nothing.

    Parameters
    ----------
    train : DesignMatrix
        With labels 0 and 1, without infinite values; it is not changed.
    steps : sequence of SamplerStep
        One after the other; none returns `train` itself.
    seed : int
        Seeds of the samplers derive from it by name; a `random_state` that is set stays.
    threads : int
        How many threads to use.
    deadline : Deadline, optional
        When the work must be over; slow samplers are tried on a few rows first.

    Returns
    -------
    Resampled
        At most one more copy of the matrix than the sampler itself makes is held at a time.

    Raises
    ------
    DataError
        One class alone, too few frauds, a share of frauds below the one there is, or rows that the
        sampler cannot work on.
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
    >>> done = resample(train, [step], seed=0)
    >>> done.after, round(done.beta, 3)
    (Counts(legitimate=2, frauds=2), 0.111)
    """
    steps = [part for step in steps for part in _expanded(step)]
    state = _State(train, np.arange(len(train), dtype=np.int64))
    if steps:
        _check_classes(train, steps[0].name)
    known: dict[bool, ColumnFacts] = {}

    def facts(scale: bool) -> ColumnFacts:
        if scale not in known:
            known[scale] = column_facts(train, scale=scale)
        return known[scale]

    for step, child in zip(steps, _seeds(steps, seed), strict=True):
        job = Job(step, state.matrix, child, threads, deadline or Deadline(), facts)
        state = _applied(state, change(job), job)
        _check_classes(state.matrix, step.name, left=True)
        _say(job, state)
    return Resampled(
        matrix=state.matrix,
        beta=_beta(train, state.matrix) if state.prior_only else None,
        before=_counts(train),
        after=_counts(state.matrix),
        synthetic=state.synthetic,
        parents=state.parents,
    )


def _expanded(step: SamplerStep) -> Iterator[SamplerStep]:
    """Take SMOTEENN and SMOTETomek apart into the two samplers that they are made of."""
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


def _seeds(steps: Sequence[SamplerStep], seed: int) -> list[int]:
    """Derive one seed a step from its name, so that another step beside it does not move it."""
    names = [step.name for step in steps]
    return [
        child_seed(seed, f"resampling.{name}.{names[:position].count(name)}")
        for position, name in enumerate(names)
    ]


def _check_classes(matrix: DesignMatrix, name: str, *, left: bool = False) -> None:
    count = _counts(matrix)
    if count.frauds and count.legitimate:
        return
    only = "no fraud" if not count.frauds else "no legitimate row"
    if left:
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


def _say(job: Job, state: _State) -> None:
    before, after = _counts(job.matrix), _counts(state.matrix)
    legitimate, fraud = class_weights(state.matrix)
    _log.info(
        "%s: %s legitimate rows and %s frauds became %s and %s; fraud share %.4f",
        job.name,
        *(f"{n:,}" for n in (before.legitimate, before.frauds, after.legitimate, after.frauds)),
        fraud / (fraud + legitimate),
    )


def _applied(state: _State, change: Change, job: Job) -> _State:
    """Make the matrix that a change leads to, with one copy of its rows."""
    kept, made = change.kept, change.made
    before = len(state.matrix)
    rows = np.arange(before) if kept is None else kept
    still = int(np.count_nonzero(rows >= before - state.synthetic))
    base = state.matrix if kept is None else state.matrix.take(kept)
    if change.times is not None:
        weight = np.ones(len(base)) if base.weight is None else base.weight
        base = base.with_weight(weight * change.times)
    first = np.empty(0, dtype=np.int64) if made is None else made.first
    return _State(
        matrix=base if made is None else _with_made(base, state.matrix, made, job),
        parents=state.parents[np.concatenate([rows, first])],
        synthetic=still + len(first),
        prior_only=state.prior_only and change.prior_only,
    )


def _with_made(base: DesignMatrix, source: DesignMatrix, made: Made, job: Job) -> DesignMatrix:
    values = np.empty((len(base) + len(made.first), len(base.names)), dtype=np.float32)
    values[: len(base)] = base.values
    write_synthetic(values[len(base) :], source, job.columns, made)
    return replace(
        base,
        values=values,
        label=np.concatenate([base.y, made.label.astype(np.int8)]),
        weight=_extended(base.weight, source.weight, made),
        miss_cost=_extended(base.miss_cost, source.miss_cost, made),
        false_alert_cost=_extended(base.false_alert_cost, source.false_alert_cost, made),
    )


def _extended(
    kept: NDArray[np.float64] | None, source: NDArray[np.float64] | None, made: Made
) -> NDArray[np.float64] | None:
    if kept is None:
        return None
    given = np.ones(int(made.first.max()) + 1) if source is None else source
    return np.concatenate([kept, given[made.first]])
