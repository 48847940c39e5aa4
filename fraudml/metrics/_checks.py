"""Checks of the arrays of a metric, by the name of the argument.

All columns of one call are checked together, so that one error names every problem.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import ConfigError, DataError, all_problems

Float = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]


def checked(**columns: Any) -> list[Any]:
    """Return the columns as arrays of their dtypes, in the order given; None stays None.

    The name of an argument selects its rule. Costs may be scalars; every other column has one value
    a row.
    """
    arrays: list[Any] = []
    problems: list[str] = []
    for name, values in columns.items():
        try:
            arrays.append(None if values is None else _RULES[name](name, values))
        except DataError as error:
            problems.append(str(error))
    if not problems:
        problems = _length_problems(dict(zip(columns, arrays, strict=True)))
    if problems:
        raise DataError(all_problems(f"{len(problems)} problems in the input.", problems))
    return arrays


def in_range(name: str, value: float, low: float, high: float) -> float:
    """Return a number of [low, high], or say what was expected."""
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value!r}. A number from {low:g} to {high:g} was expected.")
    return float(value)


def in_open_range(name: str, value: float, high: float) -> float:
    """Return a number of (0, high], or say what was expected."""
    if not 0 < value <= high:
        raise ConfigError(
            f"{name} is {value!r}. A number above 0 and at most {high:g} was expected."
        )
    return float(value)


def at_least_one(name: str, value: int) -> int:
    """Return a whole number of 1 or more, or say what was expected."""
    if isinstance(value, bool) or value != int(value) or value < 1:
        raise ConfigError(f"{name} is {value!r}. A whole number of 1 or more was expected.")
    return int(value)


def weights_or_ones(weight: Float | None, rows: NDArray[Any]) -> Float:
    """Return the weights of some rows; 1 each where there are none."""
    return np.ones(len(rows)) if weight is None else weight


def known(value: float | Float | None, reason: str) -> float:
    """Return a number, or a `DataError` that says why there is none: it is None or NaN."""
    if value is None or np.isnan(value):
        raise DataError(reason)
    return float(value)


def _length_problems(arrays: dict[str, Any]) -> list[str]:
    lengths = {name: len(a) for name, a in arrays.items() if a is not None and a.ndim}
    first = next(iter(lengths.values()), 1)
    if first == 0:
        return ["The input has no rows. At least one row was expected."]
    if len(set(lengths.values())) <= 1:
        return []
    sizes = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
    return [f"The columns differ in length: {sizes}. One value a row was expected in each."]


def _column(name: str, values: Any) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{name} has shape {array.shape}. One dimension was expected.")
    return array


def _numbers(name: str, values: NDArray[Any]) -> Float:
    try:
        if values.dtype.kind not in "biufO":
            raise TypeError
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} has dtype {values.dtype}. Numbers were expected.") from None
    _refuse(name, array, np.isnan(array), "a number in every row")
    return array


def _refuse(name: str, array: NDArray[Any], invalid: Flags, expected: str) -> None:
    """Raise where any value is invalid: the first of them, their count, what was expected."""
    count = int(np.count_nonzero(invalid))
    if not count:
        return
    if not array.ndim:
        raise DataError(f"{name} is {array[()]}. Expected was {expected}.")
    first = int(np.argmax(invalid))
    raise DataError(
        f"{name} is {array[first]} in row {first:,} ({count:,} such of {len(array):,} rows). "
        f"Expected was {expected}."
    )


def _scores(name: str, values: Any) -> Float:
    return _numbers(name, _column(name, values))


def _flags(name: str, values: Any) -> Flags:
    column = _column(name, values)
    if column.dtype == np.bool_:
        return column
    array = _numbers(name, column)
    _refuse(name, array, (array != 0) & (array != 1), "0 or 1")
    flags: Flags = array == 1
    return flags


def _finite(name: str, values: Any) -> Float:
    array = _scores(name, values)
    _refuse(name, array, ~np.isfinite(array), "a finite number")
    return array


def _finite_or_scalar(name: str, values: Any) -> Float:
    array = np.asarray(values)
    if array.ndim:
        return _finite(name, array)
    number = _numbers(name, array)
    _refuse(name, number, ~np.isfinite(number), "a finite number")
    return number


def _probabilities(name: str, values: Any) -> Float:
    array = _scores(name, values)
    _refuse(name, array, (array < 0) | (array > 1), "a probability from 0 to 1")
    return array


def _weights(name: str, values: Any) -> Float:
    array = _finite(name, values)
    _refuse(name, array, array < 0, "a weight of 0 or more")
    if len(array) and not array.any():
        raise DataError(f"{name} is 0 in every row. At least one weight above 0 was expected.")
    return array


def _codes(name: str, values: Any) -> Codes:
    column = _column(name, values)
    if column.dtype.kind in "biu":
        return column.astype(np.int64)
    if column.dtype.kind != "f":
        raise DataError(
            f"{name} has dtype {column.dtype}. Whole numbers were expected. "
            "Code the values first, for instance with np.unique(values, return_inverse=True)."
        )
    array = _finite(name, column)
    _refuse(name, array, array != np.floor(array), "a whole number")
    # From here on a float no longer holds every whole number: two cards may have become one.
    limit = 2.0 ** (np.finfo(column.dtype).nmant + 1)
    _refuse(name, array, np.abs(array) >= limit, f"a whole number below {limit:.0f}, or an integer")
    return array.astype(np.int64)


_RULES: dict[str, Callable[[str, Any], NDArray[Any]]] = {
    "y_true": _flags,
    "alert": _flags,
    "y_score": _scores,
    "p_fraud": _probabilities,
    "amount": _finite,
    "weight": _weights,
    "day": _codes,
    "entity": _codes,
    "tp_cost": _finite_or_scalar,
    "fp_cost": _finite_or_scalar,
    "fn_cost": _finite_or_scalar,
    "tn_cost": _finite_or_scalar,
}
