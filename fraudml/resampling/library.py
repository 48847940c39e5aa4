"""Runs imbalanced-learn's samplers and finds what synthetic rows were made of.

A sampler of imbalanced-learn says which rows it selected (`sample_indices_`) but not the parents of
a synthetic row. SMOTE and its variants draw parents in `_generate_samples`, whose calls are
recorded here; ADASYN's draws are repeated. Neither is a public interface: only this module uses
them, the tests compare parents and rows with the library's output, and the dependency is held below
its next minor version.
"""

from __future__ import annotations

import copy
import logging
import warnings
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import ConfigError, DataError
from fraudml.resampling.matching import matching_rows
from fraudml.seeds import child_seed

_log = logging.getLogger(__name__)

Rows = NDArray[np.int64]
View = NDArray[np.float32]
Labels = NDArray[np.int64]

_CLASS_NEIGHBOURS = ("SMOTE", "BorderlineSMOTE", "SVMSMOTE", "KMeansSMOTE", "SMOTEN", "ADASYN")


@dataclass(frozen=True)
class Synthetic:
    """Synthetic rows, described by the rows that they were made of.

    Parameters
    ----------
    label : ndarray of int64, shape (n_new,)
        Their class.
    first : ndarray of int64, shape (n_new,)
        The first parent: the row that each starts from.
    second : ndarray of int64, shape (n_new,), optional
        The second parent: the row that it moves towards.
    neighbours : ndarray of int64, shape (n_new, k), optional
        The neighbours of the first parent, which vote on codes.
    shift : ndarray of float32, shape (n_new, n_view), optional
        Its distance from the first parent in the view; None is 0.
    """

    label: Labels
    first: Rows
    second: Rows | None = None
    neighbours: Rows | None = None
    shift: View | None = None

    def part(self, rows: slice) -> Synthetic:
        """Return some of the rows."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen = {name: array[rows] for name, array in arrays.items() if array is not None}
        return replace(self, **chosen)


@dataclass(frozen=True)
class Change:
    """What a sampler does to the rows.

    Parameters
    ----------
    selected : ndarray of int64, optional
        The rows that stay, increasing and each once; None is all.
    counts : ndarray of float64, optional
        How many times each selected row counts; None is once.
    synthetic : Synthetic, optional
        The rows that come after them.
    prior_only : bool
        Whether it changes the share of frauds and nothing else about the two classes.
    """

    selected: Rows | None = None
    counts: NDArray[np.float64] | None = None
    synthetic: Synthetic | None = None
    prior_only: bool = False


def is_library(sampler: object, *names: str) -> bool:
    """Return whether a sampler is imbalanced-learn's own, and one of `names` if there are any."""
    cls = type(sampler)
    return cls.__module__.startswith("imblearn.") and (not names or cls.__name__ in names)


def changed_class(sampler: object) -> str | None:
    """Return the class that a sampler changes the number of: `frauds`, `legitimate`, or None."""
    kinds = {"over-sampling": "frauds", "under-sampling": "legitimate"}
    return kinds.get(getattr(sampler, "_sampling_type", ""))


def prepare_sampler(
    sampler: Any, y: Labels, *, name: str, seed: int, threads: int, quiet: bool = False
) -> Any:
    """Return a fresh copy with its seed, its threads, and no more neighbours than there are.

    A `random_state` that is None is set, also of nested estimators, and the sampler's `n_jobs`;
    other values of the user stay. Refuses rows with too few frauds for any neighbour.
    """
    if not hasattr(sampler, "get_params"):
        return copy.deepcopy(sampler)
    from sklearn.base import clone

    fresh = clone(sampler, safe=False)
    values: dict[str, Any] = {}
    for key, value in sorted(fresh.get_params(deep=True).items()):
        if key.rpartition("__")[2] == "random_state":
            values[key] = _as_seed(value, child_seed(seed, f"{name}.{key}"))
        elif value is None and key == "n_jobs":
            values[key] = threads
    if is_library(fresh):
        values.update(_reduced(fresh, y, name, quiet=quiet))
    return fresh.set_params(**values) if values else fresh


def _as_seed(value: Any, child: int) -> Any:
    """Return a number that is set, or one from a generator, so that its draws can be repeated."""
    if value is None:
        return child
    return int(value.randint(2**31 - 1)) if isinstance(value, np.random.RandomState) else value


def _reduced(sampler: Any, y: Labels, name: str, *, quiet: bool) -> dict[str, Any]:
    """Arguments lowered to what the number of rows and frauds allows, each logged."""
    frauds, rows = int(np.count_nonzero(y == 1)), len(y)
    among = frauds - 1 if is_library(sampler, *_CLASS_NEIGHBOURS) else rows - 1
    most = {
        "k_neighbors": among,
        "n_neighbors": frauds if is_library(sampler, "NearMiss") else among,
        "n_neighbors_ver3": rows - frauds,
        "m_neighbors": rows - 1,
        "cv": frauds,
    }
    reduced: dict[str, Any] = {}
    for key, value in sampler.get_params(deep=False).items():
        if key not in most or not isinstance(value, int) or value <= most[key]:
            continue
        if most[key] < (2 if key == "cv" else 1):
            raise DataError(
                f"resampling by {name} got {frauds} fraud{'s' * (frauds != 1)} in {rows:,} rows, "
                "too few for one neighbour. It needs at least 2. Fit on more rows, or set "
                "resampling=random_over or resampling=none."
            )
        level = logging.DEBUG if quiet else logging.INFO
        _log.log(level, "%s: %s is %d, not %d: %d frauds", name, key, most[key], value, frauds)
        reduced[key] = most[key]
    if getattr(sampler, "cluster_balance_threshold", None) == "auto":
        # The library's 'auto' is a cluster that is half fraud, which rare frauds never fill.
        reduced["cluster_balance_threshold"] = frauds / rows
    return reduced


def run(
    sampler: Any, X: NDArray[Any], y: Labels, *, name: str, threads: int, quiet: bool = False
) -> tuple[NDArray[Any], Labels]:
    """Call `fit_resample`; log its warnings, and turn its errors into those of fraudml."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    try:
        with threadpool_limits(threads), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rows, label = sampler.fit_resample(X, y)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        # scikit-learn's error about a parameter is both a ValueError and a TypeError.
        if isinstance(error, TypeError):
            raise ConfigError(f"resampling by {name}: {reason}") from error
        raise DataError(
            f"resampling by {name} cannot work on {len(y):,} rows with "
            f"{np.count_nonzero(y == 1):,} frauds: {reason} Change its arguments, or set "
            "resampling=none."
        ) from error
    for text in sorted({str(warning.message) for warning in caught}):
        _log.log(logging.DEBUG if quiet else logging.WARNING, "%s: %s", name, text)
    return _checked(np.asarray(rows), np.asarray(label), X, name)


def _checked(
    rows: NDArray[Any], label: NDArray[Any], X: NDArray[Any], name: str
) -> tuple[NDArray[Any], Labels]:
    """Refuse a result that cannot be rows of the table."""
    same_shape = rows.ndim == 2 and rows.shape[1] == X.shape[1] and label.shape == (len(rows),)
    if not same_shape or not np.isfinite(rows).all() or not np.isin(label, (0, 1)).all():
        raise DataError(
            f"resampling by {name} was given rows of {X.shape[1]} columns and returned shape "
            f"{rows.shape} with {label.shape} labels. fit_resample returns finite rows of the same "
            "columns, and a label of 0 or 1 for each."
        )
    return rows, label.astype(np.int64)


def selected_rows(sampler: Any) -> Change:
    """Return the rows that a sampler selected in its run."""
    rows, counts = np.unique(np.asarray(sampler.sample_indices_, np.int64), return_counts=True)
    return Change(selected=rows, counts=_unless_once(counts))


def _unless_once(counts: NDArray[np.int64]) -> NDArray[np.float64] | None:
    return counts.astype(np.float64) if len(counts) and counts.max() > 1 else None


@dataclass(frozen=True)
class _Draw:
    """One call of `_generate_samples`."""

    base: View
    among: View
    nearest: Rows
    rows: Rows
    columns: Rows
    label: int


def record_draws(sampler: Any) -> list[_Draw]:
    """Make a SMOTE-like sampler append each of its draws to the list that is returned."""
    draws: list[_Draw] = []
    generate = sampler._generate_samples

    def recorded(
        X: View, nn_data: View, nn_num: Rows, rows: Rows, cols: Rows, *rest: Any, **named: Any
    ) -> Any:
        label = named["y_type"] if "y_type" in named else rest[1]
        draws.append(_Draw(X, nn_data, nn_num, rows, cols, int(label)))
        return generate(X, nn_data, nn_num, rows, cols, *rest, **named)

    sampler._generate_samples = recorded
    return draws


def synthetic_from_draws(draws: list[_Draw], new: View, view: View, y: Labels) -> Synthetic:
    """Describe the new rows of a sampler whose draws were recorded."""
    first, second, neighbours, label = [], [], [], []
    for draw in draws:
        own = np.flatnonzero(y == draw.label)
        base = _positions(draw.base, view, own)
        among = (
            np.arange(len(view))
            if len(draw.among) == len(view)
            else _positions(draw.among, view, own)
        )
        first.append(base[draw.rows])
        second.append(among[draw.nearest[draw.rows, draw.columns]])
        neighbours.append(among[draw.nearest[draw.rows]])
        label.append(np.full(len(draw.rows), draw.label))
    start = np.concatenate(first)
    assert len(start) == len(new), (len(start), len(new))
    return Synthetic(
        label=np.concatenate(label),
        first=start,
        second=np.concatenate(second),
        neighbours=np.concatenate(neighbours),
        shift=new - view[start],
    )


def _positions(rows: View, view: View, own: Rows) -> Rows:
    """Positions of rows of one class; copies of the same row are distinguished by their order."""
    if len(rows) == len(own):
        return own
    matches = matching_rows(rows, view[own])
    assert (matches >= 0).all()
    return own[matches]


def record_votes(sampler: Any) -> list[tuple[int, Rows, Rows]]:
    """Make SMOTEN record the class, the neighbours of its rows, and the rows it starts from."""
    votes: list[tuple[int, Rows, Rows]] = []
    make = sampler._make_samples

    def recorded(X_class: Any, klass: int, y_dtype: Any, nn_indices: Rows, n_samples: int) -> Any:
        draw = np.random.RandomState(sampler.random_state)
        votes.append((int(klass), nn_indices, draw.choice(len(X_class), n_samples)))
        return make(X_class, klass, y_dtype, nn_indices, n_samples)

    sampler._make_samples = recorded
    return votes


def synthetic_from_votes(votes: list[tuple[int, Rows, Rows]], y: Labels) -> Synthetic | None:
    """Describe the new rows of a SMOTEN whose votes were recorded; None where there are none."""
    if not votes:
        return None
    parts = [(np.flatnonzero(y == label), nearest, start) for label, nearest, start in votes]
    return Synthetic(
        label=np.repeat([vote[0] for vote in votes], [len(vote[2]) for vote in votes]),
        first=np.concatenate([own[start] for own, _, start in parts]),
        neighbours=np.concatenate([own[nearest[start][:, 1:]] for own, nearest, start in parts]),
    )


def record_neighbours(sampler: Any) -> list[Rows]:
    """Make ADASYN record the neighbours that it finds: of frauds among all, then among frauds.

    The list stays empty where the user has set a searcher, or a number that ADASYN will refuse.
    """
    from sklearn.neighbors import NearestNeighbors

    searches: list[Rows] = []

    class _Recorder(NearestNeighbors):  # type: ignore[misc]
        def kneighbors(self, *args: Any, **named: Any) -> Any:
            searches.append(super().kneighbors(*args, **named))
            return searches[-1]

    if isinstance(sampler.n_neighbors, int) and sampler.n_neighbors >= 1:
        sampler.set_params(n_neighbors=_Recorder(n_neighbors=sampler.n_neighbors + 1))
    return searches


def synthetic_from_adasyn(
    sampler: Any, searches: list[Rows], new: View, view: View, y: Labels
) -> Synthetic:
    """Repeat ADASYN's draws: parents by the share of other classes around them, then neighbours."""
    (label, count) = next((k, n) for k, n in sampler.sampling_strategy_.items() if n)
    own = np.flatnonzero(y == label)
    others = np.mean(y[searches[0][:, 1:]] != label, axis=1)
    nearest = searches[1][:, 1:]
    children = np.rint(others / others.sum() * count).astype(np.int64)
    base = np.repeat(np.arange(len(own)), children)
    assert len(base) == len(new), (len(base), len(new))
    columns = np.random.RandomState(sampler.random_state).choice(nearest.shape[1], len(base))
    return Synthetic(
        label=np.full(len(base), label),
        first=own[base],
        second=own[nearest[base, columns]],
        neighbours=own[nearest[base]],
        shift=new - view[own[base]],
    )


def synthetic_from_nearest(new: View, label: Labels, view: View, y: Labels) -> Synthetic:
    """Take the nearest row of the same class as parent, where nothing else is known."""
    from sklearn.neighbors import NearestNeighbors

    first = np.zeros(len(new), dtype=np.int64)
    for value in np.unique(label):
        own, rows = np.flatnonzero(y == value), label == value
        nearest = NearestNeighbors(n_neighbors=1).fit(view[own])
        first[rows] = own[nearest.kneighbors(new[rows], return_distance=False)[:, 0]]
    return Synthetic(label=label, first=first, shift=new - view[first])


def change_by_matching(rows: View, label: Labels, view: View, y: Labels) -> Change:
    """Separate selected from new rows in the result of any sampler, by their bits and class."""
    source = np.full(len(rows), -1, dtype=np.int64)
    for value in np.unique(label):
        own, positions = np.flatnonzero(y == value), np.flatnonzero(label == value)
        matches = matching_rows(rows[positions], view[own])
        source[positions] = np.where(matches >= 0, own[matches], -1)
    selected, counts = np.unique(source[source >= 0], return_counts=True)
    new = source < 0
    synthetic = synthetic_from_nearest(rows[new], label[new], view, y) if new.any() else None
    return Change(selected=selected, counts=_unless_once(counts), synthetic=synthetic)
