"""The boundary for tables: a polars or Arrow table in, a polars table with other rows out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.errors import DataError, nearest
from fraudml.matrix import FIRST_LEVEL_CODE, MISSING_CODE, DesignMatrix
from fraudml.progress import Deadline
from fraudml.resampling.boundary import Resampled, resample
from fraudml.resampling.steps import SamplerStep


def resample_frame(
    frame: Any,
    steps: Sequence[SamplerStep],
    *,
    label: str = "label",
    weight: str = "weight",
    seed: int,
    threads: int = 1,
    deadline: Deadline | None = None,
) -> pl.DataFrame:
    """Pass a table through one sampler or several.

    Selected rows keep every value in its own type. A synthetic row is a copy of its first parent
    with numbers moved and strings voted on, as in `resample`; dates, lists and other types are the
    parent's.

    Parameters
    ----------
    frame : polars.DataFrame or Arrow table
        Anything with `__arrow_c_stream__` is read without pandas. Only rows that are fitted on.
    steps : sequence of SamplerStep
        One after the other.
    label : str
        The column with 1 or true for fraud; without nulls.
    weight : str
        The column of weights; it is added if it is missing and the samplers give weights.
    seed, threads, deadline
        As in `resample`.

    Returns
    -------
    polars.DataFrame
        The same columns and types; selected rows in their order, then synthetic ones. Costs one
        float32 copy of the numbers.

    Raises
    ------
    DataError
        The label is missing, or not 0 and 1; a number is infinite; and as in `resample`.
    ConfigError, BudgetError
        As in `resample`.

    Examples
    --------
    >>> from fraudml.resampling import sampler_step
    >>> table = pl.DataFrame({"amount": range(20), "label": [1] * 3 + [0] * 17})
    >>> over = sampler_step("imblearn.over_sampling.RandomOverSampler", fraud_share=0.5)
    >>> resample_frame(table, [over], seed=0).group_by("label").agg(
    ...     pl.col("weight").sum().round(6)
    ... ).sort("label").rows()
    [(0, 17.0), (1, 17.0)]
    """
    table = frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame)
    features = table.drop(label, weight, strict=False)
    names = [column.name for column in features if _is_feature(column.dtype)]
    levels = {name: _levels(table[name]) for name in names if _is_text(table.schema[name])}
    train = DesignMatrix(
        _values(table, names, levels),
        tuple(names),
        categorical=tuple(names.index(name) for name in levels),
        label=_labels(table, label),
        weight=table[weight].cast(pl.Float64).to_numpy() if weight in table.columns else None,
    )
    resampled = resample(train, steps, seed=seed, threads=threads, deadline=deadline)
    return _rebuild(table, resampled, levels, weight)


def _is_text(dtype: pl.DataType) -> bool:
    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def _is_feature(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype == pl.Boolean or _is_text(dtype)


def _levels(column: pl.Series) -> pl.Series:
    return column.cast(pl.String).drop_nulls().unique().sort()


def _labels(table: pl.DataFrame, label: str) -> NDArray[np.int8]:
    if label not in table.columns:
        raise DataError(f"there is no label column '{label}'. {nearest(label, table.columns)}")
    column = table[label]
    known = column.drop_nulls().unique().to_list()
    if column.null_count() or not set(known) <= {0, 1}:
        raise DataError(
            f"column '{label}' has {column.null_count():,} nulls and the values "
            f"{sorted(map(str, known))[:5]}. A label is 0 or 1, or a boolean. Drop rows whose "
            "label is not known."
        )
    return column.cast(pl.Int8).to_numpy()


def _values(
    table: pl.DataFrame, names: list[str], levels: dict[str, pl.Series]
) -> NDArray[np.float32]:
    values = np.empty((table.height, len(names)), dtype=np.float32)
    for position, name in enumerate(names):
        if name in levels:
            codes = table[name].cast(pl.String).cast(pl.Enum(levels[name])).to_physical()
            numbers = (codes.cast(pl.Int64) + FIRST_LEVEL_CODE).fill_null(MISSING_CODE)
        else:
            numbers = table[name].cast(pl.Float32).fill_null(float("nan"))
        values[:, position] = numbers.to_numpy()
    infinite = np.isinf(values).any(axis=0)
    if infinite.any():
        name = names[int(infinite.argmax())]
        raise DataError(
            f"column '{name}' is infinite, or too large for float32, in "
            f"{int(np.isinf(values[:, names.index(name)]).sum()):,} rows. A sampler measures "
            "distances between finite numbers. Make them null, or cap them."
        )
    return values


def _rebuild(
    table: pl.DataFrame, resampled: Resampled, levels: dict[str, pl.Series], weight: str
) -> pl.DataFrame:
    """Take each row's parent, and overwrite what synthetic rows have of their own."""
    out, matrix = table[resampled.parents], resampled.matrix
    selected = out.height - resampled.synthetic
    if resampled.synthetic:
        parents = out[selected:]
        for position, name in enumerate(matrix.names):
            new = matrix.values[selected:, position]
            if name in levels:
                own = levels[name].gather(np.maximum(new.astype(np.int64) - FIRST_LEVEL_CODE, 0))
            else:
                own = pl.Series(new)
            tail = _with_parents(parents[name], own.cast(table.schema[name], strict=False))
            out = out.with_columns(pl.concat([out[name][:selected], tail]))
    if matrix.weight is not None:
        out = out.with_columns(pl.Series(weight, matrix.weight))
    return out


def _with_parents(parents: pl.Series, own: pl.Series) -> pl.Series:
    """Keep the parent's nulls, and its value where the new one does not fit the type."""
    fits = parents.is_not_null() & own.is_not_null()
    return own.zip_with(fits, parents).alias(parents.name)
