"""Copies of rows, ids of several rows, and keys that are spelt in several ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.audit.keys import find_duplicate_rows, find_inconsistent_ids, find_key_variants


def table(rows: int = 200, **columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"id": range(rows), "x": np.arange(rows) * 0.5, **columns})


@pytest.mark.parametrize(("copies", "severity"), [(1, "note"), (2, "note"), (3, "warning")])
def test_rows_that_repeat_an_earlier_one_are_counted(copies: int, severity: str) -> None:
    frame = table()
    twice = pl.concat([frame, frame[:copies].with_columns(pl.col("id") + 1000)])
    [found] = find_duplicate_rows(twice, "id")
    assert (found.kind, found.column) == ("copied_rows", None)
    assert (found.severity, found.count) == (severity, copies)
    assert f"{copies} of {200 + copies} rows" in found.message
    assert "all columns but the id" in found.message


def test_without_an_id_all_columns_are_compared() -> None:
    frame = pl.concat([table(), table()[:5]])
    [found] = find_duplicate_rows(frame, None)
    assert found.count == 5
    assert "in all columns." in found.message
    assert list(find_duplicate_rows(table(), None)) == []


@pytest.mark.parametrize(
    "frame",
    [
        table(),
        pl.DataFrame({"id": [1, 2]}),
        pl.DataFrame({"id": [1, 2], "x": [0.5, None]}),
        pl.DataFrame({"id": [1, 2], "x": [[1], [2]], "y": [{"a": 1}] * 2}),
        pl.DataFrame({"id": [1, 2], "x": ["1", "1 "]}),
    ],
)
def test_rows_that_differ_are_no_copies(frame: pl.DataFrame) -> None:
    assert list(find_duplicate_rows(frame, "id")) == []


def test_an_id_of_rows_that_differ_is_found_with_the_columns() -> None:
    frame = pl.DataFrame(
        {
            "id": ["a", "a", "b", "b", "c", "c", "d", None, None],
            "x": [1, 2, 1, 1, 3, None, 1, 1, 2],
            "y": [1, 2, 1, 1, 1, 1, 1, 1, 2],
            "z": [1] * 9,
            "l": [[1]] * 9,
        }
    )
    [found] = find_inconsistent_ids(frame, "id")
    assert (found.kind, found.column) == ("inconsistent_id", "id")
    assert (found.severity, found.count) == ("warning", 2)
    assert "2 values of it stand on rows that differ in 'x', 'y'." in found.message


@pytest.mark.parametrize(
    "frame",
    [
        table(),
        pl.concat([table(), table()]),
        pl.DataFrame({"id": [1, 1]}),
        pl.DataFrame({"id": [1, 1], "l": [[1], [2]]}),
        pl.DataFrame({"id": [None, None], "x": [1, 2]}),
    ],
)
def test_copies_are_consistent(frame: pl.DataFrame) -> None:
    assert list(find_inconsistent_ids(frame, "id")) == []


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        (["AB12", "ab12", "CD"], 2),
        (["17", "0017", "18"], 2),
        (["17", " 17 ", "1 7", "18"], 3),
        (["é", "É", "e"], 2),
    ],
    ids=["case", "leading zeros", "blanks", "accents and case"],
)
@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
def test_spellings_of_one_key_are_found(values: list[str], kinds: int, dtype: Any) -> None:
    frame = pl.DataFrame({"card": pl.Series([*values, *values, None]).cast(dtype)})
    [found] = find_key_variants(frame, ["card"])
    assert (found.kind, found.column) == ("spelling", "card")
    assert (found.severity, found.count) == ("warning", kinds)
    assert f"{kinds} of its {len(values)} values are 1 when" in found.message
    assert f"in {2 * kinds} of {frame.height} rows" in found.message


@pytest.mark.parametrize(
    "values",
    [["17", "170", "1.7", "71"], [17, 170, 17, 71], [1.0, 1.5, 0.1, 1.0], [None] * 4, ["a"] * 4],
)
def test_keys_that_differ_otherwise_are_left_alone(values: list[Any]) -> None:
    assert list(find_key_variants(pl.DataFrame({"card": values}), ["card"])) == []


def test_no_value_of_a_key_is_told() -> None:
    [found] = find_key_variants(pl.DataFrame({"card": ["4111-X", "4111-x"]}), ["card"])
    assert "4111" not in found.message
