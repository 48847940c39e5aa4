"""Times that cannot be what they seem to be: units, the present of a table, arrival of labels."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.data.check import check_table, conform_table, inspect_table
from fraudml.data.clock import read_moments
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, CsvSettings, DataSettings
from fraudml.data.times import are_days, believable_end, check_unit
from fraudml.errors import ConfigError, DataError

START = datetime(2026, 1, 5, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ROWS = 400
TIME = pl.Series("t", [START + hour * HOUR for hour in range(ROWS)])
LABEL = pl.Series("label", [row % 2 for row in range(ROWS)])


def settings(time_format: str | None = None, **given: Any) -> DataSettings:
    roles = {"time": "t"} | given.pop("roles", {})
    csv = CsvSettings(time_format=time_format)
    return DataSettings(columns=ColumnRoles(**roles), csv=csv, **given)


def checked(time: pl.Series, asked: DataSettings | None = None, **columns: Any) -> Dataset:
    frame = pl.DataFrame({"label": LABEL, "t": time, **columns})
    return check_table(frame, settings() if asked is None else asked)


def refusal(time: pl.Series, asked: DataSettings | None = None, **columns: Any) -> str:
    with pytest.raises(DataError) as refused:
        checked(time, asked, **columns)
    return str(refused.value)


def numbers(values: Any) -> pl.Series:
    return pl.Series("t", np.asarray(values))


def written(form: str) -> pl.Series:
    return TIME.dt.strftime(form).cast(pl.Int64)


HOURS = np.arange(ROWS)
EPOCH = (TIME.dt.epoch("s")).to_numpy()
LOOKS_LIKE = {
    "hours": (HOURS * 5 + 1, "time_unit=h", "hours"),
    "days": (HOURS // 5, "time_unit=d", "days"),
    "minutes": (HOURS * 100, "time_unit=m", "minutes"),
    "Excel": (46_027 + HOURS / 24, "time_unit=excel", "Excel"),
    "days since 1970": (20_458 + HOURS // 24, "time_unit=d", "days"),
    "milliseconds": (EPOCH * 1_000, "time_unit=ms", "milliseconds"),
    "microseconds": (EPOCH * 1_000_000, "time_unit=us", "microseconds"),
    "nanoseconds": (EPOCH * 10**9, "time_unit=ns", "nanoseconds"),
    "YYYYMMDD": (written("%Y%m%d"), "time_format='%Y%m%d'", "digits"),
    "floats": (TIME.dt.strftime("%Y%m%d").cast(pl.Float64), "time_format='%Y%m%d'", "digits"),
    "to the hour": (written("%Y%m%d%H"), "time_format='%Y%m%d%H'", "digits"),
    "to the minute": (written("%Y%m%d%H%M"), "time_format='%Y%m%d%H%M'", "digits"),
    "to the second": (written("%Y%m%d%H%M%S"), "time_format='%Y%m%d%H%M%S'", "digits"),
}


@pytest.mark.parametrize("kind", LOOKS_LIKE)
def test_numbers_that_are_not_seconds_are_refused_and_the_key_works(kind: str) -> None:
    values, key, like = LOOKS_LIKE[kind]
    time = numbers(values)
    told = refusal(time)
    assert like in told
    assert f"Set data.csv.{key}" in told or f"Set data.{key}" in told
    value = key.rpartition("=")[2]
    form = value.strip("'") if "%" in value else None
    unit = None if form else {"time_unit": value}
    read = checked(time, settings(form, **(unit or {}))).facts["time"]
    assert read.is_sorted()
    if kind not in ("hours", "days", "minutes"):
        assert timedelta(0) <= read[0] - START.replace(hour=0) <= HOUR


@pytest.mark.parametrize(
    "values",
    [EPOCH, EPOCH.astype(float), HOURS * 3600, HOURS * 432.0, np.array([4, 3, 2, 1])],
)
def test_numbers_that_may_be_seconds_are(values: Any) -> None:
    assert check_unit(numbers(values)) is None


def test_a_unit_that_is_set_is_believed() -> None:
    time = checked(numbers(HOURS), settings(time_unit="s")).facts["time"]
    assert time.max() - time.min() == timedelta(seconds=ROWS - 1)  # type: ignore[operator]


@pytest.mark.parametrize("rows", [1, 2])
def test_a_row_of_a_far_future_is_not_the_present(rows: int) -> None:
    moments = TIME.to_list() * 5
    moments[7], moments[1200] = (
        START + 9000 * DAY,
        moments[1200] if rows == 1 else datetime(2062, 2, 1),
    )
    frame = pl.DataFrame({"label": [0, 1] * 1000, "t": moments})
    if rows == 2:
        frame = pl.concat([frame, frame.filter(pl.col("t") < datetime(2027, 1, 1))])
    seen = inspect_table(frame, settings())
    assert [(problem.kind, problem.rows) for problem in seen.problems] == [("time", rows)]
    [text] = [problem.text for problem in seen.problems]
    last = TIME.max()
    assert f"is later than {last} in {rows} of {len(frame):,} rows (at row 7" in text
    assert f"set data.as_of='{last}'" in text
    assert not inspect_table(frame, settings(as_of=str(last))).problems


def test_the_present_is_the_last_moment_of_rows_that_are_many() -> None:
    gap = pl.concat([TIME, TIME + 40 * DAY])
    assert believable_end(gap) is None
    assert believable_end(TIME) is None
    assert believable_end(pl.concat([TIME, pl.Series([START + 400 * DAY])])) == TIME.max()
    # A row of long ago does not make the span long enough for one of a far future.
    both = [*TIME.to_list(), datetime(1970, 1, 1), datetime(2062, 1, 1)]
    assert believable_end(pl.Series(both)) == TIME.max()


def known(**given: Any) -> DataSettings:
    return settings(roles={"label_time": "known"}, **given)


WRONG = {
    "1900": datetime(1900, 1, 1),
    "1970": datetime(1970, 1, 1),
    "9999": datetime(9999, 12, 31),
    "2262": datetime(2262, 4, 11, 23, 47, 16),
}


@pytest.mark.parametrize("kind", WRONG)
def test_moments_that_mean_not_known_are_refused_and_the_key_works(kind: str) -> None:
    arrival = pl.select(pl.when(LABEL == 1).then(TIME + 3 * DAY)).to_series()
    frame = {"known": arrival.fill_null(WRONG[kind])}
    told = refusal(TIME, known(), **frame)
    assert "in 200 of 400 rows (first at row 0" in told
    value = str(WRONG[kind])
    assert f"set data.label_time_unknown=['{value}']" in told
    read = checked(TIME, known(label_time_unknown=(value,)), **frame).facts["label_time"]
    assert read.equals(arrival.alias("label_time"), null_equal=True)


def test_labels_from_before_their_rows_are_refused_with_counts() -> None:
    early = TIME + pl.Series([-DAY * (row % 7 == 3) for row in range(ROWS)])
    told = refusal(TIME, known(), known=early)
    assert "lies before its own row in 57 of 400 rows (first at row 3: " in told
    assert "set data.columns.label_time=null split.label_delay=7d" in told
    assert checked(TIME, known(), known=TIME).facts["label_time"].equals(TIME.alias("label_time"))


DELAYS = {
    "d": (pl.Series(np.arange(ROWS) % 30), "days", 86_400),
    "h": (pl.Series(np.arange(ROWS) * 3.5), "hours", 3_600),
    "m": (pl.Series(np.arange(ROWS) * 100), "minutes", 60),
}


@pytest.mark.parametrize("unit", DELAYS)
def test_numbers_beside_date_times_are_refused_and_the_keys_work(unit: Any) -> None:
    delay, name, seconds = DELAYS[unit]
    told = refusal(TIME, known(), known=delay)
    assert f"These look like {name} after the row" in told
    keys = f"data.columns.label_time=null data.columns.label_delay='known' data.label_unit={unit}"
    assert keys in told
    asked = settings(roles={"label_delay": "known"}, label_unit=unit)
    read = checked(TIME, asked, known=delay)
    expected = TIME + delay.cast(pl.Float64) * seconds * timedelta(seconds=1)
    assert (read.facts["label_time"] - expected).abs().max() <= timedelta(microseconds=1)  # type: ignore[operator]
    asked = settings(roles={"label_delay": "known"})
    durations = checked(TIME, asked, known=expected - TIME)
    assert durations.facts["label_time"].equals(read.facts["label_time"])
    later = conform_table(read.frame, read.schema, frozenset(), labelled=True)
    assert later.facts["label_time"].equals(read.facts["label_time"])


def test_a_delay_needs_a_unit_and_a_number() -> None:
    asked = settings(roles={"label_delay": "known"})
    assert "Set data.label_unit" in refusal(TIME, asked, known=DELAYS["d"][0])
    assert "of type String" in refusal(TIME, asked, known=pl.Series(["3 days"] * ROWS))
    asked = settings(roles={"label_delay": "known"}, label_unit="d")
    told = refusal(TIME, asked, known=pl.Series([10**9] * ROWS))
    assert "more than 300 years in 400 of 400 rows" in told
    assert "before its own row" in refusal(TIME, asked, known=pl.Series([-1] * ROWS))
    with pytest.raises(ConfigError, match="set one of them to null"):
        ColumnRoles(label_time="a", label_delay="b")


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1_000), ("ns", 10**9)])
def test_a_label_time_in_epochs_is_read_by_its_unit(unit: Any, scale: int) -> None:
    arrival = pl.Series((EPOCH + 86_400) * scale)
    assert f"set data.label_unit={unit}" in refusal(TIME, known(), known=arrival)
    read = checked(TIME, known(label_unit=unit), known=arrival).facts["label_time"]
    assert (read == TIME + DAY).all()


def test_a_date_beside_numbers_is_refused() -> None:
    told = refusal(numbers(HOURS), known(time_unit="h"), known=TIME)
    assert "the time is a number" in told
    assert "set data.columns.label_time=null split.label_delay=7d" in told


def test_numbers_since_1970_have_the_calendar_of_the_dates_that_they_are() -> None:
    for values, unit in ((EPOCH, None), (EPOCH * 10**9, "ns"), (EPOCH / 86_400 + 25_569, "excel")):
        table = checked(numbers(values), settings(time_unit=unit))
        assert (table.schema.numeric_time, table.schema.calendar) == (True, True)
        assert ((table.facts["time"] - TIME).abs() <= timedelta(microseconds=1)).all()
    for hours in (numbers(HOURS), numbers(HOURS + 10_000)):
        assert not checked(hours, settings(time_unit="h")).schema.calendar


def test_a_label_of_a_day_is_known_when_the_day_is_over() -> None:
    days = (TIME + 2 * DAY).dt.truncate("1d")
    table = checked(TIME, known(), known=days)
    assert table.schema.label_days
    assert (table.facts["label_time"] == days + DAY).all()
    same_day = checked(TIME, known(), known=TIME.dt.date())
    assert (same_day.facts["label_time"] > TIME).all()
    later = conform_table(table.frame[:3], table.schema, frozenset(), labelled=True)
    assert (later.facts["label_time"] == days[:3] + DAY).all()
    midnights = TIME.dt.truncate("1d")
    assert not checked(midnights, known(), known=midnights + DAY).schema.label_days
    assert are_days(midnights)
    assert not are_days(TIME)


@pytest.mark.parametrize("stamps", [["39.987", "42.12"], ["39.987654", "42.120000"]])
def test_fractions_of_strftime_are_fractions(stamps: list[str]) -> None:
    text = pl.Series("t", [f"05/01/2026 01:00:{stamp}" for stamp in stamps])
    read = read_moments(text, "s", "%d/%m/%Y %H:%M:%S.%f")
    expected = [datetime(2026, 1, 5, 1) + timedelta(seconds=float(stamp)) for stamp in stamps]
    assert read.to_list() == expected


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.csv\.time_format is '%Y-%M', which"):
        read_moments(pl.Series(["2026-01"]), "s", "%Y-%M")


def test_stamps_of_which_some_name_a_zone_are_refused_in_these_words() -> None:
    text = TIME.dt.strftime("%Y-%m-%dT%H:%M:%S")
    zoned = pl.select(pl.when(pl.int_range(ROWS) % 4 == 1).then(text + "Z").otherwise(text))
    told = refusal(zoned.to_series())
    assert "names an offset (or Z) in 100 of 400 rows (first at row 1: " in told
    assert "and none in 300 (first at row 0: " in told
    assert (checked(text + "+02:00").facts["time"] == TIME - 2 * HOUR).all()
