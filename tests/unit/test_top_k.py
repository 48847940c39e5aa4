"""The best k cases of each day, against a slow loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudml.decisions.top_k import daily_top_k
from fraudml.errors import ConfigError, DataError

rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 3), st.booleans()), max_size=40
)


@given(rows=rows, k=st.integers(1, 4), by_entity=st.booleans())
@settings(max_examples=200, deadline=None)
def test_it_is_that_of_a_slow_loop(
    rows: list[tuple[int, int, int, bool]], k: int, by_entity: bool
) -> None:
    expected = [False] * len(rows)
    for day in {row[1] for row in rows}:
        today = [i for i, row in enumerate(rows) if row[1] == day and row[3]]
        seen: set[int] = set()
        for i in sorted(today, key=lambda i: (-rows[i][0], i)):
            case = rows[i][2] if by_entity else i
            if case not in seen and len(seen) < k:
                seen.add(case)
                expected[i] = True
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4)
    found = daily_top_k(
        columns[:, 0].astype(float),
        columns[:, 1],
        k=k,
        entity=columns[:, 2] if by_entity else None,
        reviewable=columns[:, 3] == 1,
    )
    assert found.tolist() == expected


def test_k_is_at_least_1() -> None:
    with pytest.raises(ConfigError, match="daily_top_k is 0"):
        daily_top_k(np.ones(2), np.zeros(2, dtype=np.int64), k=0)


def test_scores_that_are_none_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 scores are NaN"):
        daily_top_k(np.array([0.1, np.nan]), np.zeros(2, dtype=np.int64), k=1)
