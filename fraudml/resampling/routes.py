"""How each kind of sampler is run, and how its result becomes a `Change`.

A sampler that is not listed here, of imbalanced-learn or not, gets the view of all rows, and what
it returns is matched with them bit by bit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import ConfigError, DataError
from fraudml.matrix import DesignMatrix
from fraudml.progress import Deadline
from fraudml.resampling import library
from fraudml.resampling.cost import check_cost
from fraudml.resampling.library import Change, Labels, Rows, Synthetic, is_library
from fraudml.resampling.steps import SamplerStep
from fraudml.resampling.view import ColumnStatistics, neighbour_view, nominal_view

_log = logging.getLogger(__name__)

_ONE_THREAD_ROWS = 5_000
"""Up to this many rows threads wait for each other longer than they work."""

_SLOW = (
    "ADASYN",
    "AllKNN",
    "BorderlineSMOTE",
    "ClusterCentroids",
    "CondensedNearestNeighbour",
    "EditedNearestNeighbours",
    "InstanceHardnessThreshold",
    "NearMiss",
    "NeighbourhoodCleaningRule",
    "OneSidedSelection",
    "RepeatedEditedNearestNeighbours",
    "SVMSMOTE",
    "TomekLinks",
)


@dataclass(frozen=True)
class Job:
    """One step with its rows and its execution context.

    `statistics` returns those of the columns, given whether numbers are scaled. A trial is only
    timed, and logs nothing.
    """

    step: SamplerStep
    matrix: DesignMatrix
    seed: int
    threads: int
    deadline: Deadline
    statistics: Callable[[bool], ColumnStatistics]
    trial: bool = False

    @cached_property
    def y(self) -> Labels:
        """The labels, in the type that every sampler takes."""
        return self.matrix.y.astype(np.int64)

    @property
    def name(self) -> str:
        """The sampler's name in messages."""
        return self.step.name

    @property
    def columns(self) -> ColumnStatistics:
        """The statistics of the columns, with the scale of the step."""
        return self.statistics(self.step.scale)

    def view(self, rows: Rows | slice = slice(None)) -> NDArray[np.float32]:
        """Return the view of some rows, or of all."""
        return neighbour_view(self.matrix.values[rows], self.columns)

    def run(self, sampler: Any, X: NDArray[Any], y: Labels) -> tuple[NDArray[Any], Labels]:
        """Run the sampler."""
        threads = self.threads if len(X) > _ONE_THREAD_ROWS else 1
        return library.run(sampler, X, y, name=self.name, threads=threads, quiet=self.trial)


def class_weights(matrix: DesignMatrix) -> tuple[float, float]:
    """Return the sums of the weights of legitimate rows and of frauds."""
    if matrix.weight is None:
        return float(len(matrix) - matrix.frauds), float(matrix.frauds)
    is_fraud = matrix.y == 1
    return float(matrix.weight[~is_fraud].sum()), float(matrix.weight[is_fraud].sum())


def _target_counts(job: Job) -> dict[int, int] | None:
    """Translate `fraud_share` into the number of rows of the class that the sampler changes."""
    share = job.step.fraud_share
    if share is None:
        return None
    odds = share / (1.0 - share)
    legitimate, fraud = class_weights(job.matrix)
    now = fraud / (legitimate + fraud)
    if share < now * (1.0 - 1e-9):
        raise DataError(
            f"resampling.fraud_share is {share}, but {now:.6g} of the rows that {job.name} gets "
            "are frauds already: reaching it would mean removing frauds. Set a share above "
            f"{now:.6g}, or resampling=none."
        )
    frauds = job.matrix.frauds
    others = len(job.matrix) - frauds
    # Shares count weights, samplers count rows: divide by the mean weight of the class.
    if library.changed_class(job.step.sampler) == "frauds":
        return {1: max(frauds, round(odds * legitimate / (fraud / frauds)))}
    return {0: min(others, max(1, round(fraud / odds / (legitimate / others))))}


def _prepared(job: Job) -> Any:
    sampler = library.prepare_sampler(
        job.step.sampler,
        job.y,
        name=job.name,
        seed=job.seed,
        threads=job.threads,
        quiet=job.trial,
    )
    counts = _target_counts(job)
    return sampler if counts is None else sampler.set_params(sampling_strategy=counts)


def change(job: Job) -> Change:
    """Run a step in the way that suits its sampler."""
    sampler = _prepared(job)
    if is_library(sampler, "RandomOverSampler"):
        return (
            _add_weight(job, sampler) if not sampler.shrinkage else _smoothed_copies(job, sampler)
        )
    if is_library(sampler, "RandomUnderSampler"):
        return _drop_rows(job, sampler)
    if is_library(sampler, "SMOTE"):
        return _smote(job, sampler)
    if is_library(sampler, "SMOTEN"):
        return _nominal(job, sampler)
    return _by_neighbours(job, sampler)


def _rows_to_add(job: Job, sampler: Any) -> dict[int, int]:
    """Return the number of rows of each class that imbalanced-learn's `sampling_strategy` adds."""
    if job.step.fraud_share is not None:
        new = sampler.sampling_strategy[1] - job.matrix.frauds
        return {1: new} if new else {}
    from imblearn.utils import check_sampling_strategy

    try:
        added = check_sampling_strategy(sampler.sampling_strategy, job.y, "over-sampling")
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"resampling by {job.name}: {reason} Change sampling_strategy.") from error
    return {int(label): int(rows) for label, rows in added.items() if rows}


def _add_weight(job: Job, sampler: Any) -> Change:
    """Give the rows of a class the weight that copies would have, without random draws."""
    counts = np.ones(len(job.matrix))
    share = job.step.fraud_share
    if share is not None:
        legitimate, fraud = class_weights(job.matrix)
        counts[job.y == 1] = max(1.0, share / (1.0 - share) * legitimate / fraud)
    else:
        for label, rows in _rows_to_add(job, sampler).items():
            own = job.y == label
            counts[own] = 1.0 + rows / np.count_nonzero(own)
    return Change(counts=counts, prior_only=True)


def _smoothed_copies(job: Job, sampler: Any) -> Change:
    """Copy rows with noise; here the library has the parents."""
    view = job.view()
    out, label = job.run(sampler, view, job.y)
    first = np.asarray(sampler.sample_indices_, np.int64)[len(view) :]
    new = out[len(view) :].astype(np.float32)
    return Change(synthetic=Synthetic(label[len(view) :], first, shift=new - view[first]))


def _drop_rows(job: Job, sampler: Any) -> Change:
    """Choose among row numbers, so that no matrix is copied."""
    job.run(sampler, np.arange(len(job.y))[:, np.newaxis], job.y)
    return replace(library.selected_rows(sampler), prior_only=True)


def _smote(job: Job, sampler: Any) -> Change:
    """Run SMOTE on the frauds and one legitimate row: it uses nothing else."""
    added = _rows_to_add(job, sampler)
    if set(added) - {1}:
        return _by_neighbours(job, sampler)
    if not added:
        return Change(prior_only=True)
    frauds = np.flatnonzero(job.y == 1)
    rows = np.append(frauds, np.flatnonzero(job.y == 0)[:1])
    sampler.set_params(sampling_strategy={1: len(frauds) + added[1]})
    view, y = job.view(rows), job.y[rows]
    draws = library.record_draws(sampler)
    out, _ = job.run(sampler, view, y)
    new = library.synthetic_from_draws(draws, out[len(view) :], view, y)
    return Change(synthetic=_renumbered(new, rows))


def _renumbered(new: Synthetic, rows: Rows) -> Synthetic:
    """Turn positions among a selection of rows into positions among all."""
    return replace(
        new,
        first=rows[new.first],
        second=None if new.second is None else rows[new.second],
        neighbours=None if new.neighbours is None else rows[new.neighbours],
    )


def _by_neighbours(job: Job, sampler: Any) -> Change:
    """Run a sampler on the view of all rows, and reconstruct what it did."""
    view = job.view()
    if is_library(sampler, *_SLOW):
        _check_cost(job, view)
    if hasattr(sampler, "_generate_samples"):
        draws = library.record_draws(sampler)
        out, _ = job.run(sampler, view, job.y)
        _check_any_row(job, len(draws))
        return Change(synthetic=library.synthetic_from_draws(draws, out[len(view) :], view, job.y))
    if is_library(sampler, "ADASYN"):
        return _adaptive(job, sampler, view)
    out, label = job.run(sampler, view, job.y)
    if is_library(sampler) and hasattr(sampler, "sample_indices_"):
        return library.selected_rows(sampler)
    return library.change_by_matching(out.astype(np.float32, copy=False), label, view, job.y)


def _adaptive(job: Job, sampler: Any, view: NDArray[np.float32]) -> Change:
    """Run ADASYN; with a searcher of the user's own, the nearest rows are taken as parents."""
    searches = library.record_neighbours(sampler)
    out, label = job.run(sampler, view, job.y)
    new = out[len(view) :]
    if searches:
        return Change(synthetic=library.synthetic_from_adasyn(sampler, searches, new, view, job.y))
    return Change(synthetic=library.synthetic_from_nearest(new, label[len(view) :], view, job.y))


def _check_cost(job: Job, view: NDArray[np.float32]) -> None:
    def trial(rows: Rows) -> None:
        few = replace(job, matrix=job.matrix.take(rows), trial=True)
        try:
            few.run(_prepared(few), view[rows], few.y)
        except (DataError, ConfigError):
            _log.debug("%s refuses a trial of %d rows", job.name, len(rows))

    check_cost(trial, job.y, job.deadline, job.name)


def _check_any_row(job: Job, draws: int) -> None:
    if not draws:
        raise DataError(
            f"resampling by {job.name} made no row: none of {np.count_nonzero(job.y == 1):,} "
            "frauds suits it (BorderlineSMOTE needs half of a fraud's m_neighbors to be "
            "legitimate, but not all). Change its arguments, or set resampling=smote."
        )


def _nominal(job: Job, sampler: Any) -> Change:
    """Run SMOTEN on categories: codes, and numbers as bins.

    Numbers are the first parent's; codes are voted on as for every sampler.
    """
    if not job.matrix.categorical:
        raise DataError(
            "resampling by SMOTEN votes on categorical columns, and there is none. "
            "Set resampling=smote, or name columns in data.columns.categorical."
        )
    draws = library.record_votes(sampler)
    job.run(sampler, nominal_view(job.matrix.values, job.columns), job.y)
    return Change(synthetic=library.synthetic_from_votes(draws, job.y), prior_only=not draws)
