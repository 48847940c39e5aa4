"""Labels that are not known or came too early, and weeks whose rate of fraud is far off."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from fraudml.audit.finding import Finding
from fraudml.audit.labels import _two_sided, find_odd_weeks, find_unknown
from fraudml.data.schema import Schema
from fraudml.data.settings import ColumnRoles

WEEKS, EACH = 10, 1400
ROWS = WEEKS * EACH
# A Monday; so many rows a week that every week is whole.
TIME = (datetime(2026, 1, 5) + pl.Series(range(ROWS)) * timedelta(minutes=7.2)).cast(
    pl.Datetime("us")
)
WEEK = np.arange(ROWS) // EACH
CALENDAR = Schema(ColumnRoles(time="t"))


def labels(*rates: float) -> pl.Series:
    """Frauds evenly over each week, at the rate of that week."""
    place = np.arange(ROWS) % EACH
    wanted = np.resize(np.array(rates), WEEKS)[WEEK]
    return pl.Series(np.floor((place + 1) * wanted + 1e-9) > np.floor(place * wanted + 1e-9)).cast(
        pl.Int8
    )


def odd(label: pl.Series, time: pl.Series = TIME, schema: Schema = CALENDAR) -> list[Finding]:
    return list(find_odd_weeks(label, time, schema))


USUAL = (0.02,) * 9


def test_a_week_with_more_frauds_is_named_with_its_counts() -> None:
    [found] = odd(labels(*USUAL[:3], 0.06, *USUAL[3:]))
    assert (found.kind, found.column, found.severity) == ("odd_weeks", None, "warning")
    assert found.count == 1
    assert "1 of 10 weeks" in found.message
    assert "the week of 2026-01-26 6% (84 of 1,400)" in found.message
    assert "label_delay" not in found.message


def test_a_last_week_with_fewer_frauds_may_lack_its_labels() -> None:
    [found] = odd(labels(*USUAL, 0.002))
    assert "the week of 2026-03-09 0.143% (2 of 1,400)" in found.message
    assert "split.label_delay" in found.message


def test_the_furthest_weeks_are_shown_in_the_order_of_time() -> None:
    [found] = odd(labels(0.1, 0.005))
    assert found.count == 10
    assert "and 6 more" in found.message
    shown = re.findall(r"the week of (\S+)", found.message)
    assert len(shown) == 4
    assert shown == sorted(shown)


@pytest.mark.parametrize(
    "rates",
    [(0.02,), (0.02, 0.024), (*USUAL, 0.022), (0.0,)],
    ids=["the same", "a little more", "one a little more", "no frauds"],
)
def test_weeks_that_are_near_the_rate_are_not_named(rates: tuple[float, ...]) -> None:
    assert odd(labels(*rates)) == []


def test_chance_names_no_week() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        assert odd(pl.Series(generator.random(ROWS) < 0.01).cast(pl.Int8)) == []


def test_rows_without_a_label_do_not_count() -> None:
    label = labels(*USUAL, 0.02)
    unknown = pl.Series(WEEK == 9) & (label == 1)
    hidden = pl.select(pl.when(~unknown).then(label)).to_series()
    [found] = odd(hidden)
    assert "0% (0 of 1,372)" in found.message
    assert odd(pl.select(pl.when(pl.Series(WEEK < 9)).then(label)).to_series()) == []


def test_a_clock_of_numbers_counts_from_its_first_row() -> None:
    schema = Schema(ColumnRoles(time="t"), numeric_time=True, time_unit="d")
    days = pl.Series(np.arange(ROWS) / EACH * 7 + 3)
    time = (days * 86_400e6).round().cast(pl.Int64).cast(pl.Datetime("us"))
    [found] = odd(labels(*USUAL[:3], 0.06, *USUAL[3:]), time, schema)
    assert "the 7 days from 24 6% (84 of 1,400)" in found.message


def test_one_week_is_compared_with_none() -> None:
    assert odd(labels(0.02), TIME.dt.truncate("1y")) == []


@pytest.mark.parametrize("frauds", [0, 1, 3, 17, 50])
def test_the_tails_are_those_of_the_binomial_distribution(frauds: int) -> None:
    expected = 2 * min(
        binomtest(frauds, 50, 0.1, "less").pvalue, binomtest(frauds, 50, 0.1, "greater").pvalue
    )
    made = _two_sided(np.array([frauds]), np.array([50]), 0.1)
    assert made[0] == pytest.approx(min(expected, 1.0), rel=1e-9)


def test_unknown_labels_are_counted() -> None:
    [found] = find_unknown(pl.Series([0, 1, None, None], dtype=pl.Int8), "fraud")
    assert (found.kind, found.column, found.severity) == ("unknown_label", "fraud", "note")
    assert found.count == 2
    for values in ([0, 1], [None, None]):
        assert list(find_unknown(pl.Series(values, dtype=pl.Int8), "fraud")) == []
