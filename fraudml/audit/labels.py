"""Labels: where they are not known, when they arrived, and the rate of fraud week by week."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import betainc

from fraudml.audit.finding import Finding, percent, rows_of
from fraudml.audit.periods import period_name, period_starts
from fraudml.data.schema import Schema

_LEVEL = 0.01
_FAR = 1.5
_SHOWN = 4


def find_unknown(label: pl.Series, column: str) -> Iterator[Finding]:
    """Find rows without a label, where others have one.

    Parameters
    ----------
    label : Series of Int8
        1 = fraud, null = not known.
    column : str
        What it is called.
    """
    unknown = label.null_count()
    if 0 < unknown < len(label):
        message = (
            f"column '{column}' is not known in {rows_of(unknown, len(label))}. These rows are "
            "looked back on, and enter no block. Keep them null until the label arrives: a 0 would "
            "say that they are legitimate."
        )
        yield Finding("unknown_label", column, "note", unknown, message)


def find_odd_weeks(label: pl.Series, time: pl.Series, schema: Schema) -> Iterator[Finding]:
    """Find weeks whose rate of fraud is far from that of the whole table.

    A week is far where an exact two-sided binomial test refuses the overall rate at 1 % divided by
    the number of weeks, and the rates differ by a factor of 1.5: frauds come in bursts, so that the
    test alone would name weeks that differ by little.

    Parameters
    ----------
    label : Series of Int8
        1 = fraud; rows with null are not looked at.
    time : Series of Datetime('us')
        When each row happened, without nulls.
    schema : Schema
        What the time is.
    """
    weeks = (
        pl.DataFrame({"fraud": label, "start": period_starts(time, "week", schema)})
        .filter(pl.col("fraud").is_not_null())
        .group_by("start")
        .agg(pl.len().alias("rows"), pl.col("fraud").cast(pl.Int64).sum().alias("frauds"))
        .sort("start")
    )
    rows, frauds = weeks["rows"].to_numpy().astype(np.int64), weeks["frauds"].to_numpy()
    if weeks.height < 2 or not frauds.sum():
        return
    overall = frauds.sum() / rows.sum()
    chance, rate = _two_sided(frauds, rows, overall), frauds / rows
    beyond = (rate >= _FAR * overall) | (rate <= overall / _FAR)
    far = np.flatnonzero((chance <= _LEVEL / weeks.height) & beyond)
    if not len(far):
        return
    starts = weeks["start"].to_list()
    shown = np.sort(far[np.argsort(chance[far], kind="stable")][:_SHOWN])
    texts = [_week(starts[i], int(frauds[i]), int(rows[i]), schema) for i in shown]
    more = f" and {len(far) - len(texts)} more" if len(far) > len(texts) else ""
    message = (
        f"{len(far)} of {weeks.height} weeks have a rate of fraud far from the overall "
        f"{percent(overall)}: {'; '.join(texts)}{more}. Probabilities and thresholds of one time "
        f"do not hold in another. {_step(far, weeks.height, rate, overall)}"
    )
    yield Finding("odd_weeks", None, "warning", len(far), message)


def _two_sided(
    frauds: NDArray[np.int64], rows: NDArray[np.int64], rate: float
) -> NDArray[np.float64]:
    """Twice the smaller tail of the binomial distribution, at most 1."""
    # A tail of the binomial distribution is an incomplete beta function.
    lower = np.where(
        frauds < rows, betainc(np.maximum(rows - frauds, 1), frauds + 1, 1 - rate), 1.0
    )
    upper = np.where(frauds > 0, betainc(np.maximum(frauds, 1), rows - frauds + 1, rate), 1.0)
    chance: NDArray[np.float64] = np.minimum(2 * np.minimum(lower, upper), 1.0)
    return chance


def _week(start: datetime, frauds: int, rows: int, schema: Schema) -> str:
    return f"{period_name(start, 'week', schema)} {percent(frauds / rows)} ({frauds:,} of {rows:,})"


def _step(far: NDArray[np.int64], weeks: int, rate: NDArray[np.float64], overall: float) -> str:
    """What to do; low weeks at the very end are most often labels that have not arrived."""
    if weeks - 1 in far and rate[-1] < overall:
        return (
            "The last is low: if its labels had not all arrived, set data.labels_complete=false "
            "and split.label_delay."
        )
    return "Look at how frauds were labelled then, and compare with backtest."
