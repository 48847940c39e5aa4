"""One row at a time, for a service: the same bits as in a table, without a table.

Plain values are computed here in Python: numbers, names, date-times, ISO 8601. Anything else (text
in a format of its own, odd floats as names, features that look back) is scored as a table, which
takes some twenty times longer and gives the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle
from fraudml.data.clock import MICROSECONDS
from fraudml.data.names import Spelling, name_of
from fraudml.features.columns import ColumnFeature
from fraudml.features.settings import TimePart
from fraudml.matrix import FIRST_LEVEL_CODE, MISSING_CODE, UNSEEN_CODE, DesignMatrix

_LARGEST = float(np.finfo(np.float32).max)
_DAYS_A_MICROSECOND = 1 / 86_400e6
_MICROSECOND = timedelta(microseconds=1)
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.(\d{3}|\d{6}))?)?([+-]\d\d:\d\d)?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1)
_FARTHEST = 6e16  # microseconds from 1970, within the years that a clock may show
_NO_COSTS = pl.DataFrame({"row": [0]})

Value = Callable[[Any], float]


class _NotPlainError(Exception):
    """A value that only a table can read."""


class SingleRow:
    """Decides single rows by a bundle; scoring changes no state, so that threads may share it."""

    def __init__(self, bundle: DecisionBundle) -> None:
        features, schema = bundle.features, bundle.schema
        self._bundle = bundle
        self._names = features.names
        self._categorical = features.categorical
        self._own = [
            (own.column, _converter(own, schema.spelling), own.kind == "age")
            for own in features.own
        ]
        self._parts = [_PARTS[part] for part in features.time_parts]
        self._time = schema.roles.time if features.uses_time else None
        self._unit = int(MICROSECONDS[schema.time_unit])
        exact = schema.time_unit not in ("ns", "excel")
        self._plain = exact and not features.history.features and schema.time_format is None

    def decide(self, row: Mapping[str, Any]) -> tuple[float, bool, float] | None:
        """Return score, alert and threshold of a row; None where it takes a table."""
        if not self._plain:
            return None
        try:
            values = self._values(row)
            amount = self._amount(row)
        except _NotPlainError:
            return None
        bundle, policy = self._bundle, self._bundle.policy
        X = DesignMatrix(values, self._names, self._categorical)
        p = bundle.calibrator.probability(bundle.learner.margin(X) + bundle.offset)
        if policy.threshold is not None and not policy.value_floor:
            threshold = policy.threshold
        else:
            columns = bundle.costs.columns
            frame = pl.DataFrame({name: [row[name]] for name in columns}) if columns else _NO_COSTS
            costs = bundle.costs.costs(frame, amount)
            threshold = float(policy.thresholds(costs, amount)[0])
        score = float(p[0])
        return score, score >= threshold, threshold

    def _values(self, row: Mapping[str, Any]) -> NDArray[np.float32]:
        values = np.empty((1, len(self._names)), dtype=np.float32)
        now = 0 if self._time is None else _microseconds(row[self._time], self._unit)
        for position, (column, convert, is_age) in enumerate(self._own):
            value = convert(row[column])
            values[0, position] = (now - value) * _DAYS_A_MICROSECOND if is_age else value
        if self._parts:
            moment = _EPOCH + timedelta(microseconds=now)
            values[0, len(self._own) :] = [part(moment) for part in self._parts]
        return values

    def _amount(self, row: Mapping[str, Any]) -> NDArray[np.float64] | None:
        """Return the amount where it is needed, as the costs take it."""
        name = self._bundle.schema.roles.amount
        if name is None or not self._bundle.needs_amount:
            return None
        value = _number(row[name])
        if math.isnan(value):
            raise _NotPlainError  # a table says what is wrong
        return np.array([max(value, 0.0)])


def _converter(feature: ColumnFeature, spelling: Spelling) -> Value:
    if feature.kind == "number":
        return _number
    if feature.kind == "age":
        return lambda value: math.nan if value is None else _microseconds(value, None)
    codes = {level: FIRST_LEVEL_CODE + k for k, level in enumerate(feature.levels)}
    return lambda value: _code(value, codes, spelling)


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, bool | int | float):
        raise _NotPlainError
    number = float(value)
    if abs(number) > _LARGEST:
        raise _NotPlainError
    return number


def _code(value: Any, codes: Mapping[str, int], spelling: Spelling) -> float:
    if value is not None and not isinstance(value, str | bool | int):
        raise _NotPlainError
    name = None if value is None else name_of(value, spelling)
    return MISSING_CODE if name is None else codes.get(name, UNSEEN_CODE)


def _microseconds(value: Any, unit: int | None) -> int:
    """Read a moment; a whole number counts units, where there is a unit."""
    if isinstance(value, int) and not isinstance(value, bool) and unit is not None:
        counted = value * unit
        if abs(counted) > _FARTHEST:
            raise _NotPlainError
        return counted
    if isinstance(value, str) and _ISO.fullmatch(value):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise _NotPlainError from error
    if not isinstance(value, datetime):
        raise _NotPlainError
    if value.tzinfo is not None:
        offset = value.utcoffset()
        assert offset is not None
        value = value.replace(tzinfo=None) - offset
    passed: timedelta = value - _EPOCH
    return passed // _MICROSECOND


def _hour(moment: datetime) -> float:
    return moment.hour + moment.minute * (1 / 60)


_PARTS: dict[TimePart, Callable[[datetime], float]] = {
    "hour": _hour,
    "weekday": lambda moment: moment.isoweekday(),
    "day_of_month": lambda moment: moment.day,
    "weekend": lambda moment: moment.isoweekday() >= 6,
    "night": lambda moment: moment.hour < 7,
    "hour_sin": lambda moment: math.sin(_hour(moment) * (math.tau / 24)),
    "hour_cos": lambda moment: math.cos(_hour(moment) * (math.tau / 24)),
    "weekday_sin": lambda moment: math.sin(moment.weekday() * (math.tau / 7)),
    "weekday_cos": lambda moment: math.cos(moment.weekday() * (math.tau / 7)),
}
"""The parts of the clock as `features.columns.time_part` has them."""
