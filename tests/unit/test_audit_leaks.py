"""Columns that give the label away are refused; honest ones are not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.audit.finding import Finding, downgrade_allowed
from fraudml.audit.leaks import find_filled_for_frauds, find_leaks, refuse_leaks
from fraudml.audit.settings import AuditSettings
from fraudml.data.check import check_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.errors import DataError

ROWS = 1000
LABEL = (np.arange(ROWS) % 20 == 0).astype(int)
BLOCKS = [np.arange(800), np.arange(800, ROWS)]
NOISE = np.random.default_rng(0).normal(size=ROWS)


def dataset(values: Any, name: str = "x") -> Dataset:
    frame = pl.DataFrame({"label": LABEL, name: values, "noise": NOISE})
    return check_table(frame, DataSettings(columns=ColumnRoles()))


def look(table: Dataset, *allow: str, blocks: Any = BLOCKS) -> None:
    columns = [name for name in table.frame.columns if name != "label"]
    refuse_leaks(table, blocks, columns, AuditSettings(allow))


def days(values: Any) -> pl.Series:
    return datetime(2026, 1, 1) + pl.Series(values) * timedelta(days=1)


LEAKS = {
    "the label": LABEL,
    "the label turned": 1 - LABEL,
    "booleans": LABEL == 1,
    "scaled": LABEL * -3.5 + 0.1 * NOISE.clip(-1, 1),
    "words": np.where(LABEL == 1, "chargeback", "ok"),
    "words that are missing on legitimate rows": [("x" if one else None) for one in LABEL],
    "numbers that are missing on legitimate rows": [(5.0 if one else None) for one in LABEL],
    "NaN on legitimate rows": np.where(LABEL == 1, NOISE, np.nan),
    "numbers that are missing on frauds": [
        (None if one else n) for one, n in zip(LABEL, NOISE, strict=True)
    ],
    "a date that only frauds have": pl.select(
        pl.when(pl.Series(LABEL == 1)).then(days(np.arange(ROWS)))
    ).to_series(),
    "a date that is late on frauds": days(LABEL * 500 + np.arange(ROWS) % 30),
    "categories": pl.Series(np.where(LABEL == 1, "b", "a"), dtype=pl.Categorical),
    "decimals": pl.Series(LABEL).cast(pl.Decimal(9, 2)),
    "huge whole numbers": LABEL.astype(np.int64) * 2**60 + np.arange(ROWS) % 3,
}


@pytest.mark.parametrize("values", LEAKS.values(), ids=LEAKS.keys())
def test_a_column_that_is_made_from_the_label_is_refused(values: Any) -> None:
    with pytest.raises(DataError, match="column 'x' alone ranks the frauds") as refused:
        look(dataset(values))
    assert refused.value.exit_code == 3
    assert "noise" not in str(refused.value)


def test_the_refusal_says_how_well_it_ranks_and_what_to_do() -> None:
    with pytest.raises(DataError) as refused:
        look(dataset(LABEL, "is fraud?"))
    told = str(refused.value)
    assert "average precision of 1.000 and 1.000" in told
    assert "data.columns.exclude" in told
    assert "audit.allow=['is fraud?']" in told


def test_all_leaks_are_told_together() -> None:
    table = dataset(LABEL)
    frame = table.frame.with_columns(y=pl.lit(1) - pl.col("label"))
    with pytest.raises(DataError, match="2 columns give the label away") as refused:
        look(check_table(frame, DataSettings()))
    assert "'x'" in str(refused.value)
    assert "'y'" in str(refused.value)


def test_a_column_that_is_allowed_passes_and_no_other() -> None:
    look(dataset(LABEL), "x")
    with pytest.raises(DataError, match="column 'x'"):
        look(dataset(LABEL), "y")


HONEST = {
    "noise": NOISE[::-1],
    "a good column": LABEL * 2.0 + NOISE,
    "constant": [1] * ROWS,
    "all missing": [None] * ROWS,
    "all NaN": [np.nan] * ROWS,
    "another word a row": [f"{row}" for row in range(ROWS)],
    "a leak in the first block alone": np.where(np.arange(ROWS) < 800, LABEL, 0),
    "a leak in the last block alone": np.where(np.arange(ROWS) < 800, 0, LABEL),
    "words of the development window alone": [
        f"{one} {row >= 800}" for row, one in enumerate(LABEL)
    ],
}


@pytest.mark.parametrize("values", HONEST.values(), ids=HONEST.keys())
def test_an_honest_column_passes(values: Any) -> None:
    look(dataset(values))


def test_a_column_that_is_missing_throughout_one_block_passes() -> None:
    for values in (np.where(np.arange(ROWS) < 800, NOISE, np.nan), [np.nan] * 800 + [1.0] * 200):
        look(dataset(values))


def test_thinning_hides_no_leak_and_finds_none_that_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fraudml.audit.leaks._LOOK", 50)
    with pytest.raises(DataError, match="column 'x'"):
        look(dataset(LABEL))
    hidden = np.where((LABEL == 0) & (np.arange(ROWS) % 16 == 3), 1, LABEL)
    look(dataset(hidden))


def test_only_the_columns_that_are_named_are_looked_at() -> None:
    refuse_leaks(dataset(LABEL), BLOCKS, ["noise"], AuditSettings())
    refuse_leaks(dataset(LABEL), BLOCKS, [], AuditSettings())


def filled_for(values: Any, label: Any = LABEL) -> list[Finding]:
    frame = pl.DataFrame({"x": values, "noise": NOISE})
    return list(find_filled_for_frauds(frame, pl.Series(label, dtype=pl.Int8), frame.columns))


SOME = (np.arange(ROWS) % 40 == 0) & (LABEL == 1)
FILLED_FOR_FRAUDS = {
    "text": [("chargeback" if one else None) for one in SOME],
    "blank text": np.where(SOME, "chargeback", "  "),
    "amounts": np.where(SOME, 12.5, 0.0),
    "NaN": np.where(SOME, 12.5, np.nan),
    "flags": SOME,
    "flags with gaps": [(True if one else None) for one in SOME],
    "dates": pl.select(pl.when(pl.Series(SOME)).then(days(np.arange(ROWS)))).to_series(),
    "missing for frauds": [(None if one else 1.0) for one in SOME],
}


@pytest.mark.parametrize("values", FILLED_FOR_FRAUDS.values(), ids=FILLED_FOR_FRAUDS.keys())
def test_a_column_that_is_filled_for_frauds_almost_only_is_found(values: Any) -> None:
    [found] = filled_for(values)
    assert (found.kind, found.column, found.severity) == ("filled_for_frauds", "x", "warning")
    assert found.count == SOME.sum()
    assert "25 of the 25 rows" in found.message
    assert "50% of all frauds" in found.message


@pytest.mark.parametrize(
    "values",
    [
        np.where(np.arange(ROWS) % 40 < 2, 1.0, np.nan),
        np.where(np.arange(ROWS) < 200, 1.0, np.nan),
        [1.0] * ROWS,
        [None] * ROWS,
    ],
    ids=["half of them frauds", "frauds as everywhere", "filled everywhere", "filled nowhere"],
)
def test_a_column_that_others_have_too_is_not_found(values: Any) -> None:
    assert filled_for(values) == []


def test_a_few_frauds_are_not_enough() -> None:
    assert filled_for([(1 if row in (0, 20, 40) else None) for row in range(ROWS)]) == []


def test_rows_without_a_label_do_not_count() -> None:
    unknown = [(1 if row % 40 == 0 else 0 if row % 2 else None) for row in range(ROWS)]
    values = [(1 if row % 4 == 0 else None) for row in range(ROWS)]
    [found] = filled_for(values, unknown)
    assert found.count == 25


def test_findings_of_leaks_are_those_that_train_refuses() -> None:
    [found] = find_leaks(dataset(LABEL), BLOCKS, ["noise", "x"])
    assert (found.kind, found.column, found.severity) == ("leak", "x", "error")
    with pytest.raises(DataError) as refused:
        look(dataset(LABEL))
    assert str(refused.value) == found.message


def test_what_is_allowed_becomes_a_note() -> None:
    found = list(find_leaks(dataset(LABEL), BLOCKS, ["x"]))
    [spared] = downgrade_allowed(found, ["x"])
    assert spared.severity == "note"
    assert spared.message == f"Allowed by audit.allow: {found[0].message}"
    assert downgrade_allowed(found, ["y"]) == found
