"""The way each kind of sampler is shown the rows, and how its answer becomes a `Change`.

A sampler that is not listed here, of imbalanced-learn or not, is shown the view of all rows, and
what it returns is matched with them bit by bit.
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
from fraudml.resampling.library import Change, Labels, Made, Rows, is_library
from fraudml.resampling.steps import SamplerStep
from fraudml.resampling.view import ColumnFacts, neighbour_view, nominal_view

_log = logging.getLogger(__name__)

_ONE_THREAD_ROWS = 5_000
"""Up to here threads wait for each other longer than they work."""

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
    """One step with the rows it works on.

    Parameters
    ----------
    step : SamplerStep
        What to do.
    matrix : DesignMatrix
        The rows.
    seed : int
        The step's own seed.
    threads : int
        How many threads to use.
    deadline : Deadline
        When the work must be over.
    facts : callable
        Gives the facts of the columns, scaled or not.
    trial : bool
        Whether it is only to be timed, and says nothing.
    """

    step: SamplerStep
    matrix: DesignMatrix
    seed: int
    threads: int
    deadline: Deadline
    facts: Callable[[bool], ColumnFacts]
    trial: bool = False

    @cached_property
    def y(self) -> Labels:
        """The labels, in the type that every sampler takes."""
        return self.matrix.y.astype(np.int64)

    @property
    def name(self) -> str:
        """What messages call the sampler."""
        return self.step.name

    @property
    def columns(self) -> ColumnFacts:
        """The facts of the columns, as the step wants them."""
        return self.facts(self.step.scale)

    def view(self, rows: Rows | slice = slice(None)) -> NDArray[np.float32]:
        """Return the view of some rows, or of all."""
        return neighbour_view(self.matrix.values[rows], self.columns)

    def run(self, sampler: Any, X: NDArray[Any], y: Labels) -> tuple[NDArray[Any], Labels]:
        """Call the sampler with what it needs around it."""
        threads = self.threads if len(X) > _ONE_THREAD_ROWS else 1
        return library.run(sampler, X, y, name=self.name, threads=threads, note=not self.trial)


def class_weights(matrix: DesignMatrix) -> tuple[float, float]:
    """Sum the weights of legitimate rows and of frauds.

    Parameters
    ----------
    matrix : DesignMatrix
        With labels; a row without a weight counts 1.
    """
    if matrix.weight is None:
        return float(len(matrix) - matrix.frauds), float(matrix.frauds)
    is_fraud = matrix.y == 1
    return float(matrix.weight[~is_fraud].sum()), float(matrix.weight[is_fraud].sum())


def _wanted_counts(job: Job) -> dict[int, int] | None:
    """Translate `fraud_share` into the rows of the class that the sampler changes.

    Raises
    ------
    DataError
        The share is below the one there is.
    """
    share = job.step.fraud_share
    if share is None:
        return None
    odds = share / (1.0 - share)
    legitimate, fraud = class_weights(job.matrix)
    now = fraud / (legitimate + fraud)
    if share < now * (1.0 - 1e-9):
        raise DataError(
            f"resampling.fraud_share is {share}, but {now:.6g} of the rows that {job.name} is "
            "given are frauds already: reaching it would mean removing frauds. Set a share above "
            f"{now:.6g}, or resampling=none."
        )
    frauds = job.matrix.frauds
    rest = len(job.matrix) - frauds
    if library.changes(job.step.sampler) == "frauds":
        return {1: max(frauds, round(odds * legitimate / (fraud / frauds)))}
    return {0: min(rest, max(1, round(fraud / odds / (legitimate / rest))))}


def _prepared(job: Job) -> Any:
    sampler = library.prepared(
        job.step.sampler,
        job.y,
        name=job.name,
        seed=job.seed,
        threads=job.threads,
        note=not job.trial,
    )
    wanted = _wanted_counts(job)
    return sampler if wanted is None else sampler.set_params(sampling_strategy=wanted)


def change(job: Job) -> Change:
    """Run a step the way that suits its sampler.

    Parameters
    ----------
    job : Job
        The step and its rows.

    Raises
    ------
    DataError, ConfigError, BudgetError
        As in `resample`.
    """
    sampler = _prepared(job)
    if is_library(sampler, "RandomOverSampler"):
        return _more_weight(job, sampler) if not sampler.shrinkage else _smoothed(job, sampler)
    if is_library(sampler, "RandomUnderSampler"):
        return _fewer_rows(job, sampler)
    if is_library(sampler, "SMOTE"):
        return _between_frauds(job, sampler)
    if is_library(sampler, "SMOTEN"):
        return _nominal(job, sampler)
    return _by_neighbours(job, sampler)


def _wanted_new(job: Job, sampler: Any) -> dict[int, int]:
    """Say how many rows of each class a `sampling_strategy` adds, as imbalanced-learn reads it."""
    if job.step.fraud_share is not None:
        new = sampler.sampling_strategy[1] - job.matrix.frauds
        return {1: new} if new else {}
    from imblearn.utils import check_sampling_strategy

    try:
        added = check_sampling_strategy(sampler.sampling_strategy, job.y, "over-sampling")
    except ValueError as error:
        said = " ".join(str(error).split())
        raise DataError(f"resampling by {job.name}: {said} Change sampling_strategy.") from error
    return {int(label): int(rows) for label, rows in added.items() if rows}


def _more_weight(job: Job, sampler: Any) -> Change:
    """Give the rows of a class the weight that copies would have had, without drawing."""
    times = np.ones(len(job.matrix))
    share = job.step.fraud_share
    if share is not None:
        legitimate, fraud = class_weights(job.matrix)
        times[job.y == 1] = max(1.0, share / (1.0 - share) * legitimate / fraud)
    else:
        for label, rows in _wanted_new(job, sampler).items():
            own = job.y == label
            times[own] = 1.0 + rows / np.count_nonzero(own)
    return Change(times=times, prior_only=True)


def _smoothed(job: Job, sampler: Any) -> Change:
    """Copy rows with noise; here the library tells the parents."""
    view = job.view()
    out, label = job.run(sampler, view, job.y)
    first = np.asarray(sampler.sample_indices_, np.int64)[len(view) :]
    new = out[len(view) :].astype(np.float32)
    return Change(made=Made(label[len(view) :], first, shift=new - view[first]))


def _fewer_rows(job: Job, sampler: Any) -> Change:
    """Choose among row numbers, so that no matrix is copied."""
    job.run(sampler, np.arange(len(job.y))[:, np.newaxis], job.y)
    return replace(library.kept_rows(sampler), prior_only=True)


def _between_frauds(job: Job, sampler: Any) -> Change:
    """Show SMOTE the frauds and one legitimate row: it looks at nothing else."""
    wanted = _wanted_new(job, sampler)
    if set(wanted) - {1}:
        return _by_neighbours(job, sampler)
    if not wanted:
        return Change(prior_only=True)
    frauds = np.flatnonzero(job.y == 1)
    rows = np.append(frauds, np.flatnonzero(job.y == 0)[:1])
    sampler.set_params(sampling_strategy={1: len(frauds) + wanted[1]})
    view, y = job.view(rows), job.y[rows]
    draws = library.trace_draws(sampler)
    out, _ = job.run(sampler, view, y)
    made = library.made_by_draws(draws, out[len(view) :], view, y)
    return Change(made=_renumbered(made, rows))


def _renumbered(made: Made, rows: Rows) -> Made:
    """Turn positions among a selection of rows into positions among all."""
    return replace(
        made,
        first=rows[made.first],
        second=None if made.second is None else rows[made.second],
        neighbours=None if made.neighbours is None else rows[made.neighbours],
    )


def _by_neighbours(job: Job, sampler: Any) -> Change:
    """Show a sampler the view of all rows, and find out what it did."""
    view = job.view()
    if is_library(sampler, *_SLOW):
        _check_cost(job, view)
    if hasattr(sampler, "_generate_samples"):
        draws = library.trace_draws(sampler)
        out, _ = job.run(sampler, view, job.y)
        _check_made(job, len(draws))
        return Change(made=library.made_by_draws(draws, out[len(view) :], view, job.y))
    if is_library(sampler, "ADASYN"):
        return _adaptive(job, sampler, view)
    out, label = job.run(sampler, view, job.y)
    if is_library(sampler) and hasattr(sampler, "sample_indices_"):
        return library.kept_rows(sampler)
    return library.change_by_matching(out.astype(np.float32, copy=False), label, view, job.y)


def _adaptive(job: Job, sampler: Any, view: NDArray[np.float32]) -> Change:
    """Run ADASYN; a searcher of the user's own is not listened to, so parents are the nearest."""
    found = library.note_neighbours(sampler)
    out, label = job.run(sampler, view, job.y)
    new = out[len(view) :]
    if found:
        return Change(made=library.made_by_adasyn(sampler, found, new, view, job.y))
    return Change(made=library.made_from_nearest(new, label[len(view) :], view, job.y))


def _check_cost(job: Job, view: NDArray[np.float32]) -> None:
    def trial(rows: Rows) -> None:
        few = replace(job, matrix=job.matrix.take(rows), trial=True)
        try:
            few.run(_prepared(few), view[rows], few.y)
        except (DataError, ConfigError):
            _log.debug("%s refuses a trial of %d rows", job.name, len(rows))

    check_cost(trial, job.y, job.deadline, job.name)


def _check_made(job: Job, draws: int) -> None:
    if not draws:
        raise DataError(
            f"resampling by {job.name} made no row: none of {np.count_nonzero(job.y == 1):,} "
            "frauds suits it (BorderlineSMOTE wants half of a fraud's m_neighbors to be "
            "legitimate, but not all). Change its arguments, or set resampling=smote."
        )


def _nominal(job: Job, sampler: Any) -> Change:
    """Show SMOTEN names alone: codes, and numbers by the sixteenth they fall into.

    Numbers are the first parent's; codes are voted on as everywhere.
    """
    if not job.matrix.categorical:
        raise DataError(
            "resampling by SMOTEN votes on categorical columns, and there is none. "
            "Set resampling=smote, or name columns in data.columns.categorical."
        )
    draws = library.trace_votes(sampler)
    job.run(sampler, nominal_view(job.matrix.values, job.columns), job.y)
    return Change(made=library.made_by_votes(draws, job.y), prior_only=not draws)
