"""How features and scores were spread in training, as counts in bins: what shift is measured by.

Bins are made of at most 50,000 rows and hold shares of many rows each, never a row's own value:
inner quantiles of numbers, and codes of categories whose names the feature plan has already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fraudml.matrix import FIRST_LEVEL_CODE, DesignMatrix

Kind = Literal["number", "category"]

_MOST_ROWS = 50_000
_DECILES = tuple(k / 10 for k in range(1, 10))
_SCORE_QUANTILES = (*_DECILES, 0.95, 0.99)
_FEW_VALUES = 10
_MOST_LEVELS = 20


@dataclass(frozen=True)
class Bins:
    """One feature's bins, with how many rows of training fell into each.

    Parameters
    ----------
    kind : str
        Of a `number` the bins are: missing, then between the edges. Of a `category`: missing,
        unseen, each level that has a bin of its own, and all others.
    edges : tuple of float
        A number's inner edges, increasing; a bin begins at its edge. A category's codes.
    counts : tuple of int
        Rows of training, bin by bin.
    """

    kind: Kind
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def count(self, values: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """Count values into the bins; NaN is missing."""
        if self.kind == "category":
            return _count_codes(values.astype(np.int64), self.edges)
        # A comparison by edge is several times faster than a search by value; NaN is in none.
        edges = np.asarray(self.edges, dtype=values.dtype)
        known = len(values) - int(np.count_nonzero(np.isnan(values)))
        from_edge = [known, *(int(np.count_nonzero(values >= edge)) for edge in edges), 0]
        return np.array([len(values) - known, *-np.diff(from_edge)], dtype=np.int64)


@dataclass(frozen=True)
class TrainingSpread:
    """How the rows of a development window were spread, before any resampling.

    Parameters
    ----------
    features : tuple of Bins
        In the order of the design matrix.
    score : Bins
        Of calibrated probabilities of rows that the model did not see.
    """

    features: tuple[Bins, ...]
    score: Bins

    def with_score(self, p_fraud: NDArray[np.float64]) -> TrainingSpread:
        """Return the same with the bins of other scores."""
        return replace(self, score=_of_numbers(p_fraud, _SCORE_QUANTILES))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; `from_dict` is the way back."""
        return {
            "features": [_plain(one) for one in self.features],
            "score": _plain(self.score),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TrainingSpread:
        """Make a spread from what `to_dict` gave."""
        return cls(tuple(map(_bins, content["features"])), _bins(content["score"]))


def spread_of(matrix: DesignMatrix, p_fraud: NDArray[np.float64]) -> TrainingSpread:
    """Bin the features of a development window and its out-of-fold probabilities.

    Parameters
    ----------
    matrix : DesignMatrix
        The window, at natural prevalence. At most 50,000 rows of it are looked at, evenly.
    p_fraud : ndarray of float64
        Calibrated, one for each row that was scored out of fold.
    """
    rows = np.unique(np.linspace(0, len(matrix) - 1, min(len(matrix), _MOST_ROWS)).astype(np.int64))
    values = matrix.values[rows]
    features = tuple(
        _of_codes(column.astype(np.int64))
        if position in matrix.categorical
        else _of_numbers(column, _DECILES)
        for position, column in enumerate(values.T)
    )
    return TrainingSpread(features, _of_numbers(p_fraud, _SCORE_QUANTILES))


def _of_numbers(values: NDArray[np.floating[Any]], quantiles: tuple[float, ...]) -> Bins:
    known = values[~np.isnan(values)]
    different = np.unique(known)
    if len(different) > _FEW_VALUES:
        cuts = np.unique(np.quantile(known, quantiles, method="higher"))
        edges = cuts[cuts > different[0]]
    else:
        edges = different[1:]
    bins = Bins("number", tuple(map(float, edges)), ())
    return Bins("number", bins.edges, tuple(map(int, bins.count(values))))


def _of_codes(codes: NDArray[np.int64]) -> Bins:
    levels = np.bincount(codes, minlength=FIRST_LEVEL_CODE)[FIRST_LEVEL_CODE:]
    often = np.argsort(-levels, kind="stable")[:_MOST_LEVELS]
    kept = tuple(float(code) for code in sorted(often[levels[often] > 0] + FIRST_LEVEL_CODE))
    return Bins("category", kept, tuple(map(int, _count_codes(codes, kept))))


def _count_codes(codes: NDArray[np.int64], kept: tuple[float, ...]) -> NDArray[np.int64]:
    own = [int(code) for code in kept]
    most = max([FIRST_LEVEL_CODE - 1, *own])
    found = np.bincount(codes, minlength=most + 1)
    named = [*range(FIRST_LEVEL_CODE), *own]
    return np.append(found[named], len(codes) - found[named].sum()).astype(np.int64)


def _plain(bins: Bins) -> dict[str, Any]:
    return {**asdict(bins), "edges": list(bins.edges), "counts": list(bins.counts)}


def _bins(content: Mapping[str, Any]) -> Bins:
    kind, edges, counts = content["kind"], tuple(content["edges"]), tuple(content["counts"])
    if kind not in ("number", "category") or len(counts) != len(edges) + (
        2 if kind == "number" else FIRST_LEVEL_CODE + 1
    ):
        raise ValueError(f"no bins are of the kind {kind!r} with {len(counts)} counts")
    return Bins(kind, tuple(map(float, edges)), tuple(map(int, counts)))
