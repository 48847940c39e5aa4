"""Columns for estimators that take no missing values or categories, from a design matrix.

What is learnt from the fit rows is plain numbers, and a row's result depends on that row alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fraudml.matrix import UNSEEN_CODE, DesignMatrix

Kind = Literal["impute_scale", "impute", "none"]
KINDS: tuple[Kind, ...] = ("impute_scale", "impute", "none")

_SAMPLE_ROWS = 1_000_000
"""Medians are taken over at most so many rows, evenly spaced."""


@dataclass(frozen=True)
class Preprocessing:
    """How the columns of an estimator are made; learnt by `fit_preprocessing`.

    Parameters
    ----------
    kind : str
        `none` passes the values on. The others impute numbers by the median of the fit rows, with
        a flag for each column that had missing values there, and give each frequent category a
        column of zeros and ones; other categories are all zeros. `impute_scale` also scales
        numbers to mean 0 and standard deviation 1.
    features : int
        The number of columns of the design matrix.
    numeric : tuple of int
        Positions of the numeric columns with any value in the fit rows.
    fill, shift, scale : tuple of float
        One for each numeric column: `(x or fill − shift) / scale`.
    flagged : tuple of int
        Positions of the numeric columns that get a flag.
    levels : tuple of (int, int)
        Position and code, one for each column of zeros and ones.
    """

    kind: Kind
    features: int
    numeric: tuple[int, ...] = ()
    fill: tuple[float, ...] = ()
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    flagged: tuple[int, ...] = ()
    levels: tuple[tuple[int, int], ...] = ()

    @property
    def sources(self) -> NDArray[np.int64]:
        """The position in the design matrix that each resulting column comes from."""
        if self.kind == "none":
            return np.arange(self.features)
        coded = (position for position, _ in self.levels)
        return np.array([*self.numeric, *self.flagged, *coded], dtype=np.int64)

    def transform(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """Return the estimator's columns: float64 if numbers are scaled, else float32."""
        if self.kind == "none":
            return values
        scaled = self.kind == "impute_scale"
        result = np.empty((len(values), len(self.sources)), np.float64 if scaled else np.float32)
        for column, position in enumerate(self.numeric):
            filled = values[:, position].astype(np.float64)
            filled[np.isnan(filled)] = self.fill[column]
            if scaled:
                filled = (filled - self.shift[column]) / self.scale[column]
            result[:, column] = filled
        for column, position in enumerate(self.flagged, len(self.numeric)):
            result[:, column] = np.isnan(values[:, position])
        for column, (position, code) in enumerate(
            self.levels, len(self.numeric) + len(self.flagged)
        ):
            result[:, column] = values[:, position] == code
        return result

    def named(self, names: Sequence[Any]) -> tuple[str, ...]:
        """Return the names of the design matrix's columns; a `ValueError` if the number differs."""
        if len(names) != self.features:
            raise ValueError(f"{len(names)} names for {self.features} columns")
        return tuple(map(str, names))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON; floats keep every bit."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Preprocessing:
        """Read the result of `to_dict`; a `TypeError`, `ValueError` or `KeyError` otherwise."""
        read = cls(
            kind=plain["kind"],
            features=int(plain["features"]),
            numeric=tuple(map(int, plain["numeric"])),
            fill=tuple(map(float, plain["fill"])),
            shift=tuple(map(float, plain["shift"])),
            scale=tuple(map(float, plain["scale"])),
            flagged=tuple(map(int, plain["flagged"])),
            levels=tuple((int(position), int(code)) for position, code in plain["levels"]),
        )
        same_length = len(read.numeric) == len(read.fill) == len(read.shift) == len(read.scale)
        in_range = all(0 <= source < read.features for source in read.sources)
        if read.kind not in KINDS or not same_length or not in_range:
            raise ValueError(f"not a preprocessing of {read.features} columns")
        return read


def fit_preprocessing(train: DesignMatrix, kind: Kind, max_levels: int) -> Preprocessing:
    """Learn medians, means, standard deviations and frequent categories; weights do not matter.

    The `max_levels` most frequent categories of a column get columns of their own, ties by the
    lower code.
    """
    features = train.values.shape[1]
    if kind == "none":
        return Preprocessing(kind, features)
    numbers = [position for position in range(features) if position not in train.categorical]
    learnt = {position: _statistics(train.values[:, position]) for position in numbers}
    used = {position: numeric for position, numeric in learnt.items() if numeric is not None}
    return Preprocessing(
        kind,
        features,
        numeric=tuple(used),
        fill=tuple(fill for fill, _, _, _ in used.values()),
        shift=tuple(shift for _, shift, _, _ in used.values()),
        scale=tuple(scale for _, _, scale, _ in used.values()),
        flagged=tuple(position for position, (*_, missing) in used.items() if missing),
        levels=tuple(
            (position, code)
            for position in train.categorical
            for code in _frequent_codes(train.values[:, position], max_levels)
        ),
    )


def _statistics(column: NDArray[np.float32]) -> tuple[float, float, float, bool] | None:
    """Median, mean and standard deviation after imputing, and whether anything was missing."""
    missing = np.isnan(column)
    if missing.all():
        return None
    step = -(-len(column) // _SAMPLE_ROWS)
    known = column[::step][~missing[::step]]
    fill = float(np.median(known if len(known) else column[~missing]))
    filled = column.astype(np.float64)
    filled[missing] = fill
    deviation = float(filled.std())
    return fill, float(filled.mean()), deviation if deviation > 0 else 1.0, bool(missing.any())


def _frequent_codes(column: NDArray[np.float32], max_levels: int) -> list[int]:
    counts = np.bincount(column.astype(np.int64))
    counts[UNSEEN_CODE : UNSEEN_CODE + 1] = 0
    order = np.argsort(-counts, kind="stable")[:max_levels]
    return sorted(int(code) for code in order if counts[code])
