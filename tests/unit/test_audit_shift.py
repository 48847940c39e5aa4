"""What differs between the development window and the test block."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.audit import shift as module
from fraudml.audit.finding import Finding
from fraudml.audit.shift import find_new_categories, find_shift
from fraudml.data.check import check_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.features.settings import FeatureSettings
from fraudml.split import Split, SplitSettings, split_blocks

ROWS, CUT = 1500, 1200
RNG = np.random.default_rng(0)
LATER = np.arange(ROWS) >= CUT
NOISE = RNG.normal(size=(ROWS, 2))
DATA = DataSettings(
    columns=ColumnRoles(time="t", id="id", entity="card", categorical=("code",)),
    labels_complete=True,
)
Cut = tuple[Dataset, Split, FittedFeatures]


def cut(**columns: Any) -> Cut:
    """A table whose last fifth is the test block, with its features."""
    frame = pl.DataFrame(
        {
            "label": (np.arange(ROWS) % 10 == 0).astype(int),
            "t": datetime(2026, 1, 1) + pl.Series(range(ROWS)) * timedelta(hours=1),
            "id": range(ROWS),
            "card": np.arange(ROWS) // 100,
            "terminal": np.arange(ROWS) // 50,
            "code": np.arange(ROWS) % 2,
            "noise": NOISE[:, 0],
            **columns,
        }
    )
    dataset = check_table(frame, DATA)
    split = split_blocks(dataset, SplitSettings(), DATA, 0)
    assert len(split.test.rows) == ROWS - CUT
    settings = FeatureSettings(keys=("terminal",), time_parts=("hour", "weekday"))
    return dataset, split, fit_features(dataset, split.development.rows, settings)


def new(**columns: Any) -> list[Finding]:
    return list(find_new_categories(*cut(**columns)))


@pytest.mark.parametrize(
    ("rows", "severity"), [(300, "warning"), (30, "warning"), (29, "note"), (3, "note")]
)
def test_categories_of_the_test_block_alone_are_found(rows: int, severity: str) -> None:
    words = np.where(np.arange(ROWS) >= ROWS - rows, "new", np.where(LATER, "old", "older"))
    words[:10] = "old"
    [found] = new(shop=words)
    assert (found.kind, found.column) == ("new_categories", "shop")
    assert (found.severity, found.count) == (severity, rows)
    assert "holds 1 value in the test block" in found.message
    assert f"in {rows} of 300 rows" in found.message


def test_numbers_that_are_named_categorical_count_too() -> None:
    [found] = new(code=np.where(LATER, np.arange(ROWS) % 3, np.arange(ROWS) % 2))
    assert (found.column, found.count) == ("code", 100)


PARITY = np.where(np.arange(ROWS) % 2, "a", "b")
KNOWN = {
    "known": {"shop": PARITY},
    "two rows": {"shop": np.where(np.arange(ROWS) >= ROWS - 2, "new", PARITY)},
    "missing": {"shop": [None if late else word for late, word in zip(LATER, PARITY, strict=True)]},
    "numbers": {"x": np.where(LATER, 2.5, NOISE[:, 1])},
}


@pytest.mark.parametrize("columns", KNOWN.values(), ids=KNOWN.keys())
def test_other_columns_hold_nothing_new(columns: dict[str, Any]) -> None:
    assert new(**columns) == []


def shift(*, seed: int = 0, **columns: Any) -> Finding:
    [found] = find_shift(*cut(**columns), seed)
    assert (found.kind, found.column) == ("shift", None)
    return found


def test_blocks_that_are_alike_give_a_note_with_the_auc() -> None:
    found = shift()
    assert (found.severity, found.count) == ("note", ROWS)
    assert "with an AUC of 0.4" in found.message or "with an AUC of 0.5" in found.message
    assert "Nothing to do" in found.message
    assert "moves" not in found.message


MOVED = {
    "a mean": (NOISE[:, 1] + 3 * LATER, "'x' (mean "),
    "gaps": (np.where(LATER & (NOISE[:, 1] > -1), np.nan, NOISE[:, 1]), "'x' (missing in 0%, then"),
    "shares": (np.where(LATER, "b", RNG.choice(["a", "b"], ROWS, p=[0.9, 0.1])), "'x' ('a' in"),
    "a new value": (np.where(LATER, "new", np.where(NOISE[:, 1] > 0, "a", "b")), "a new value in"),
    "missing words": (
        [None if late else word for late, word in zip(LATER, ["a", "b"] * 750, strict=True)],
        "'x' (missing in 0%, then 100%)",
    ),
}


@pytest.mark.parametrize(("values", "said"), MOVED.values(), ids=MOVED.keys())
def test_what_moves_is_named_with_a_number_for_each_block(values: Any, said: str) -> None:
    found = shift(x=values)
    assert found.severity == "warning"
    assert said in found.message
    assert "What moves most: 'x'" in found.message
    assert "'noise'" not in found.message


def test_neither_clock_nor_names_tell_the_blocks_apart() -> None:
    # The id, the card, the terminal and the hour of each row give its block away.
    assert shift().severity == "note"


def test_the_same_seed_gives_the_same_words() -> None:
    moved = NOISE[:, 1] + 0.8 * LATER
    assert shift(x=moved) == shift(x=moved)
    assert shift(x=moved, seed=1) != shift(x=moved)


def test_large_tables_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ROWS", 900)
    found = shift(x=NOISE[:, 1] + 3 * LATER)
    assert (found.severity, found.count) == ("warning", 900)


def test_of_wide_tables_fewer_rows_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CELLS", 3_000)
    monkeypatch.setattr(module, "_ALWAYS", 800)
    assert shift().count == ROWS  # two columns
    assert shift(x=NOISE[:, 1]).count == 1000
    assert shift(x=NOISE[:, 1], y=NOISE[:, 1] ** 2, z=NOISE[:, 1] > 0).count == 800


def test_small_blocks_and_tables_without_columns_are_not_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset, split, features = cut()
    [bare] = find_shift(dataset, split, FittedFeatures(()), 0)
    monkeypatch.setattr(module, "_FEWEST_ROWS", 301)
    [small] = find_shift(dataset, split, features, 0)
    for found in (bare, small):
        assert (found.severity, found.count) == ("note", None)
        assert "were not compared" in found.message
