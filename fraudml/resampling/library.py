"""The one place that knows imbalanced-learn from the inside: runs samplers, finds parents.

A sampler of imbalanced-learn says which rows it kept (`sample_indices_`) but not what a synthetic
row was made of. SMOTE and its kin draw their parents in `_generate_samples`, which is listened to
here; ADASYN's draws are repeated. Neither is a public interface: the tests compare parents and
rows with the library's output, and the dependency is held below its next minor version.
"""

from __future__ import annotations

import copy
import logging
import warnings
from dataclasses import dataclass
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
class Made:
    """Synthetic rows, told by the rows they were made of.

    Parameters
    ----------
    label : ndarray of int64, shape (n_new,)
        Their class.
    first : ndarray of int64, shape (n_new,)
        The row each one started from.
    second : ndarray of int64, shape (n_new,), optional
        The row it was drawn towards.
    neighbours : ndarray of int64, shape (n_new, k), optional
        The neighbours of `first`, which vote on codes.
    shift : ndarray of float32, shape (n_new, n_view), optional
        How far it lies from `first` in the view; None is nowhere.
    """

    label: Labels
    first: Rows
    second: Rows | None = None
    neighbours: Rows | None = None
    shift: View | None = None

    def part(self, rows: slice) -> Made:
        """Return some of the rows."""
        return Made(
            self.label[rows],
            self.first[rows],
            None if self.second is None else self.second[rows],
            None if self.neighbours is None else self.neighbours[rows],
            None if self.shift is None else self.shift[rows],
        )


@dataclass(frozen=True)
class Change:
    """What a sampler does to the rows it saw.

    Parameters
    ----------
    kept : ndarray of int64, optional
        The rows that stay, increasing and each once; None is all.
    times : ndarray of float64, optional
        How many times each kept row counts; None is once.
    made : Made, optional
        The rows that come after them.
    prior_only : bool
        Whether it changes the share of frauds and nothing else about the two classes.
    """

    kept: Rows | None = None
    times: NDArray[np.float64] | None = None
    made: Made | None = None
    prior_only: bool = False


def is_library(sampler: object, *names: str) -> bool:
    """Tell whether a sampler is imbalanced-learn's own, and one of `names` where there are any."""
    kind = type(sampler)
    return kind.__module__.startswith("imblearn.") and (not names or kind.__name__ in names)


def changes(sampler: object) -> str | None:
    """Say which class a sampler makes more or fewer of: `frauds`, `legitimate`, or neither."""
    kinds = {"over-sampling": "frauds", "under-sampling": "legitimate"}
    return kinds.get(getattr(sampler, "_sampling_type", ""))


def prepared(
    sampler: Any, y: Labels, *, name: str, seed: int, threads: int, note: bool = True
) -> Any:
    """Return a fresh copy with its seed, its threads, and no more neighbours than there are.

    A `random_state` that is None is set, that of a nested estimator too, and the sampler's
    `n_jobs`; what the user has set stays.

    Raises
    ------
    DataError
        There are too few frauds for any neighbour.
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
        values.update(_fitting(fresh, y, name, note=note))
    return fresh.set_params(**values) if values else fresh


def _as_seed(value: Any, child: int) -> Any:
    """Keep a number; a generator gives one, so that its draws can be repeated."""
    if value is None:
        return child
    return int(value.randint(2**31 - 1)) if isinstance(value, np.random.RandomState) else value


def _fitting(sampler: Any, y: Labels, name: str, *, note: bool) -> dict[str, Any]:
    """Reduce what the counts do not allow, each with a note."""
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
                f"resampling by {name} found {frauds} fraud{'s' * (frauds != 1)} in {rows:,} "
                "rows, too few for one neighbour. It needs at least 2. Fit on more rows, or set "
                "resampling=random_over or resampling=none."
            )
        level = logging.INFO if note else logging.DEBUG
        _log.log(level, "%s: %s is %d, not %d: %d frauds", name, key, most[key], value, frauds)
        reduced[key] = most[key]
    if getattr(sampler, "cluster_balance_threshold", None) == "auto":
        # The library's 'auto' is a cluster that is half fraud, which rare frauds never fill.
        reduced["cluster_balance_threshold"] = frauds / rows
    return reduced


def run(
    sampler: Any, X: NDArray[Any], y: Labels, *, name: str, threads: int, note: bool = True
) -> tuple[NDArray[Any], Labels]:
    """Call `fit_resample`; warnings go to the log, refusals become errors in fraudml's words.

    Raises
    ------
    ConfigError
        A parameter is outside of its range.
    DataError
        The sampler cannot work on these rows.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    try:
        with threadpool_limits(threads), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made, label = sampler.fit_resample(X, y)
    except (ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())
        if isinstance(error, TypeError):  # how scikit-learn tells a parameter from the data
            raise ConfigError(f"resampling by {name}: {said}") from error
        raise DataError(
            f"resampling by {name} cannot work on {len(y):,} rows with "
            f"{np.count_nonzero(y == 1):,} frauds: {said} Change its arguments, or set "
            "resampling=none."
        ) from error
    for text in sorted({str(warning.message) for warning in caught}):
        _log.log(logging.WARNING if note else logging.DEBUG, "%s: %s", name, text)
    return _checked(np.asarray(made), np.asarray(label), X, name)


def _checked(
    made: NDArray[Any], label: NDArray[Any], X: NDArray[Any], name: str
) -> tuple[NDArray[Any], Labels]:
    """Refuse an answer that cannot be rows of the table."""
    fits = made.ndim == 2 and made.shape[1] == X.shape[1] and label.shape == (len(made),)
    if not fits or not np.isfinite(made).all() or not np.isin(label, (0, 1)).all():
        raise DataError(
            f"resampling by {name} was given rows of {X.shape[1]} columns and returned shape "
            f"{made.shape} with {label.shape} labels. fit_resample returns finite rows of the same "
            "columns, and a label of 0 or 1 for each."
        )
    return made, label.astype(np.int64)


def kept_rows(sampler: Any) -> Change:
    """Read which rows a sampler kept, once it has run."""
    kept, times = np.unique(np.asarray(sampler.sample_indices_, np.int64), return_counts=True)
    return Change(kept=kept, times=_unless_once(times))


def _unless_once(times: NDArray[np.int64]) -> NDArray[np.float64] | None:
    return times.astype(np.float64) if len(times) and times.max() > 1 else None


@dataclass(frozen=True)
class _Draw:
    """One call of `_generate_samples`."""

    base: View
    among: View
    nearest: Rows
    rows: Rows
    columns: Rows
    label: int


def trace_draws(sampler: Any) -> list[_Draw]:
    """Make a SMOTE-like sampler note each of its draws in the list that is returned."""
    draws: list[_Draw] = []
    generate = sampler._generate_samples

    def noted(
        X: View, nn_data: View, nn_num: Rows, rows: Rows, cols: Rows, *rest: Any, **named: Any
    ) -> Any:
        label = named["y_type"] if "y_type" in named else rest[1]
        draws.append(_Draw(X, nn_data, nn_num, rows, cols, int(label)))
        return generate(X, nn_data, nn_num, rows, cols, *rest, **named)

    sampler._generate_samples = noted
    return draws


def made_by_draws(draws: list[_Draw], made: View, view: View, y: Labels) -> Made:
    """Say what the rows of a traced sampler were made of."""
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
    assert len(start) == len(made), (len(start), len(made))
    return Made(
        label=np.concatenate(label),
        first=start,
        second=np.concatenate(second),
        neighbours=np.concatenate(neighbours),
        shift=made - view[start],
    )


def _positions(rows: View, view: View, own: Rows) -> Rows:
    """Find rows of one class again; copies of the same row are told apart by their order."""
    if len(rows) == len(own):
        return own
    found = matching_rows(rows, view[own])
    assert (found >= 0).all()
    return own[found]


def trace_votes(sampler: Any) -> list[tuple[int, Rows, Rows]]:
    """Make SMOTEN note the class, the neighbours of its rows, and the rows it starts from."""
    votes: list[tuple[int, Rows, Rows]] = []
    make = sampler._make_samples

    def noted(X_class: Any, klass: int, y_dtype: Any, nn_indices: Rows, n_samples: int) -> Any:
        draw = np.random.RandomState(sampler.random_state)
        votes.append((int(klass), nn_indices, draw.choice(len(X_class), n_samples)))
        return make(X_class, klass, y_dtype, nn_indices, n_samples)

    sampler._make_samples = noted
    return votes


def made_by_votes(votes: list[tuple[int, Rows, Rows]], y: Labels) -> Made | None:
    """Say what the rows of a traced SMOTEN were made of; None where there are none."""
    if not votes:
        return None
    parts = [(np.flatnonzero(y == label), nearest, start) for label, nearest, start in votes]
    return Made(
        label=np.repeat([vote[0] for vote in votes], [len(vote[2]) for vote in votes]),
        first=np.concatenate([own[start] for own, _, start in parts]),
        neighbours=np.concatenate([own[nearest[start][:, 1:]] for own, nearest, start in parts]),
    )


def note_neighbours(sampler: Any) -> list[Rows]:
    """Make ADASYN keep the neighbours that it finds: of frauds among all, then among frauds.

    The list stays empty where the user has set a searcher, or a number that ADASYN will refuse.
    """
    from sklearn.neighbors import NearestNeighbors

    found: list[Rows] = []

    class _Noted(NearestNeighbors):  # type: ignore[misc]
        def kneighbors(self, *args: Any, **named: Any) -> Any:
            found.append(super().kneighbors(*args, **named))
            return found[-1]

    if not isinstance(sampler.n_neighbors, int) or sampler.n_neighbors < 1:
        return found
    searcher = _Noted(n_neighbors=sampler.n_neighbors + 1)
    sampler.set_params(n_neighbors=searcher)
    return found


def made_by_adasyn(sampler: Any, found: list[Rows], made: View, view: View, y: Labels) -> Made:
    """Repeat ADASYN's draws: parents by the share of strangers around them, then a neighbour."""
    (label, wanted) = next((k, n) for k, n in sampler.sampling_strategy_.items() if n)
    own = np.flatnonzero(y == label)
    strangers = np.mean(y[found[0][:, 1:]] != label, axis=1)
    nearest = found[1][:, 1:]
    each = np.rint(strangers / strangers.sum() * wanted).astype(np.int64)
    base = np.repeat(np.arange(len(own)), each)
    assert len(base) == len(made), (len(base), len(made))
    columns = np.random.RandomState(sampler.random_state).choice(nearest.shape[1], len(base))
    return Made(
        label=np.full(len(base), label),
        first=own[base],
        second=own[nearest[base, columns]],
        neighbours=own[nearest[base]],
        shift=made - view[own[base]],
    )


def made_from_nearest(made: View, label: Labels, view: View, y: Labels) -> Made:
    """Take the nearest row of the same class for the parent, where nothing else is known."""
    from sklearn.neighbors import NearestNeighbors

    first = np.zeros(len(made), dtype=np.int64)
    for value in np.unique(label):
        own, new = np.flatnonzero(y == value), label == value
        nearest = NearestNeighbors(n_neighbors=1).fit(view[own])
        first[new] = own[nearest.kneighbors(made[new], return_distance=False)[:, 0]]
    return Made(label=label, first=first, shift=made - view[first])


def change_by_matching(made: View, label: Labels, view: View, y: Labels) -> Change:
    """Tell kept rows from new ones in what any sampler returned, by their bits and class."""
    source = np.full(len(made), -1, dtype=np.int64)
    for value in np.unique(label):
        own, out = np.flatnonzero(y == value), np.flatnonzero(label == value)
        found = matching_rows(made[out], view[own])
        source[out] = np.where(found >= 0, own[found], -1)
    kept, times = np.unique(source[source >= 0], return_counts=True)
    new = source < 0
    made_rows = made_from_nearest(made[new], label[new], view, y) if new.any() else None
    return Change(kept=kept, times=_unless_once(times), made=made_rows)
