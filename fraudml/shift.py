"""How far rows are from those of training: bins of features and scores, and their stability index.

Bins are made of at most 50,000 rows and hold shares of many rows each, never a row's own value:
inner quantiles of numbers, and codes of categories whose names the feature plan has already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fraudml.matrix import FIRST_LEVEL_CODE, DesignMatrix

Kind = Literal["number", "category"]

PSI_WARNING = 0.25
"""The stability index above which a feature has drifted, where sampling does not explain it."""

MISSING_GAP = 0.05
"""The difference of shares of missing values that is reported."""

TRUSTED_ROWS = 1_000
"""The fewest rows for which a population stability index is reported without a caveat."""

_MOST_ROWS = 50_000
_DECILES = tuple(k / 10 for k in range(1, 10))
_SCORE_QUANTILES = (*_DECILES, 0.95, 0.99)
_FEW_VALUES = 10
_MOST_LEVELS = 20


@dataclass(frozen=True)
class Bins:
    """The bins of a feature, with the rows of training in each.

    The bins of a `number` are: missing, then between the inner `edges`; a bin begins at its edge.
    Those of a `category`: missing, unseen, each level whose code is in `edges`, all other levels.
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

    @property
    def missing_share(self) -> float:
        """The share of missing values in training."""
        return self.counts[0] / max(sum(self.counts), 1)


@dataclass(frozen=True)
class ReferenceDistribution:
    """The distribution of features and scores in training, before any resampling.

    `features` are in the order of the design matrix; `score` is of calibrated probabilities of rows
    that the model did not see.
    """

    features: tuple[Bins, ...]
    score: Bins

    def with_score(self, p_fraud: NDArray[np.float64]) -> ReferenceDistribution:
        """Return the same with the bins of other scores."""
        return replace(self, score=_number_bins(p_fraud, _SCORE_QUANTILES))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; `from_dict` is the way back."""
        return {"features": list(map(_to_plain, self.features)), "score": _to_plain(self.score)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ReferenceDistribution:
        """Read what `to_dict` returned; raise a `ValueError` where counts and edges do not fit."""
        return cls(tuple(map(_from_plain, content["features"])), _from_plain(content["score"]))


def reference_distribution(
    matrix: DesignMatrix, p_fraud: NDArray[np.float64]
) -> ReferenceDistribution:
    """Bin the features of a development window and its out-of-fold probabilities.

    At most 50,000 rows of the window, evenly spaced, are used.
    """
    rows = np.unique(np.linspace(0, len(matrix) - 1, min(len(matrix), _MOST_ROWS)).astype(np.int64))
    values = matrix.values[rows]
    features = tuple(
        _code_bins(column.astype(np.int64))
        if position in matrix.categorical
        else _number_bins(column, _DECILES)
        for position, column in enumerate(values.T)
    )
    return ReferenceDistribution(features, _number_bins(p_fraud, _SCORE_QUANTILES))


def _number_bins(values: NDArray[np.floating[Any]], quantiles: tuple[float, ...]) -> Bins:
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) > _FEW_VALUES:
        cuts = np.unique(np.quantile(known, quantiles, method="higher"))
        edges = cuts[cuts > distinct[0]]
    else:
        edges = distinct[1:]
    bins = Bins("number", tuple(map(float, edges)), ())
    return replace(bins, counts=tuple(map(int, bins.count(values))))


def _code_bins(codes: NDArray[np.int64]) -> Bins:
    levels = np.bincount(codes, minlength=FIRST_LEVEL_CODE)[FIRST_LEVEL_CODE:]
    frequent = np.argsort(-levels, kind="stable")[:_MOST_LEVELS]
    edges = tuple(map(float, sorted(frequent[levels[frequent] > 0] + FIRST_LEVEL_CODE)))
    return Bins("category", edges, tuple(map(int, _count_codes(codes, edges))))


def _count_codes(codes: NDArray[np.int64], edges: tuple[float, ...]) -> NDArray[np.int64]:
    own = [*range(FIRST_LEVEL_CODE), *map(int, edges)]
    counts = np.bincount(codes, minlength=max(own) + 1)
    return np.append(counts[own], len(codes) - counts[own].sum()).astype(np.int64)


def _to_plain(bins: Bins) -> dict[str, Any]:
    return {**asdict(bins), "edges": list(bins.edges), "counts": list(bins.counts)}


def _from_plain(content: Mapping[str, Any]) -> Bins:
    kind, edges, counts = content["kind"], tuple(content["edges"]), tuple(content["counts"])
    if kind not in ("number", "category") or len(counts) != len(edges) + (
        2 if kind == "number" else FIRST_LEVEL_CODE + 1
    ):
        raise ValueError(f"no bins are of the kind {kind!r} with {len(counts)} counts")
    return Bins(kind, tuple(map(float, edges)), tuple(map(int, counts)))


def population_stability(training: Sequence[int], now: Sequence[int]) -> dict[str, Any]:
    """Return the population stability index (PSI) of counts in the same bins.

    The sum over bins of (a − e) · ln(a / e), of the shares now and in training: 0 where both are
    alike, and above. Half a row is added to each bin, so that an empty one stays finite.

    Parameters
    ----------
    training, now : sequence of int
        Rows by bin.

    Returns
    -------
    dict
        `psi` (None without rows), `null_95` (the 95 % quantile of the index of an input of this
        size without any shift), `rows`, `trusted` (whether there are at least 1,000) and `bins`.

    Notes
    -----
    Without a shift PSI / (1/n + 1/m) is about chi-squared with bins − 1 degrees of freedom
    (Yurdakul and Naranjo 2020, doi:10.21314/JRMV.2020.227), so that rules such as 'above 0.25' do
    not hold for small inputs.

    Examples
    --------
    >>> same = population_stability([500, 500], [500, 500])
    >>> same["psi"]
    0.0
    >>> bool(population_stability([500, 500], [900, 100])["psi"] > same["null_95"])
    True
    """
    from scipy.special import chdtri

    before, after = np.asarray(training, dtype=float), np.asarray(now, dtype=float)
    used = before + after > 0
    rows, filled = int(after.sum()), int(used.sum())
    psi = null_95 = None
    if rows and before.sum():
        e = (before[used] + 0.5) / (before.sum() + 0.5 * filled)
        a = (after[used] + 0.5) / (rows + 0.5 * filled)
        psi = round(float(np.sum((a - e) * np.log(a / e))), 6)
        scale = 1 / rows + 1 / before.sum()
        null_95 = round(float(chdtri(filled - 1, 0.05)) * scale, 6) if filled > 1 else 0.0
    trusted = rows >= TRUSTED_ROWS
    return {"psi": psi, "null_95": null_95, "rows": rows, "trusted": trusted, "bins": filled}
