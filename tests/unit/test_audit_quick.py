"""What `train` warns of, and how findings are put in words and order."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fraudml
from fraudml.audit.finding import Finding, downgrade_allowed, drop_redundant, percent, worst_first
from fraudml.audit.quick import quick_audit
from fraudml.data.check import check_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings


def dataset(rows: int = 300, *, copies: int = 0, late: bool = False, clock: bool = True) -> Dataset:
    moments = datetime(2026, 1, 1) + pl.Series(range(rows)) * timedelta(minutes=1)
    frame = pl.DataFrame(
        {
            "label": [0, 1] * (rows // 2),
            "t": moments,
            "booked": moments + timedelta(days=3 if late else -3),
            "x": np.arange(rows) * 0.5,
        }
    )
    frame = pl.concat([frame, frame[:copies]]).with_row_index("id")
    roles = ColumnRoles(time="t" if clock else None, id="id")
    return check_table(frame, DataSettings(columns=roles))


def warned(caplog: pytest.LogCaptureFixture, table: Dataset, *passed_over: str) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="fraudml"):
        quick_audit(table, passed_over)
    return [record.getMessage() for record in caplog.records]


def test_late_dates_and_many_copies_are_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    first, second = warned(caplog, dataset(copies=9, late=True))
    assert first.startswith("column 'booked' is later than the row's own time in 309 of the 309")
    assert second.startswith("9 of 309 rows (2.91%) repeat an earlier row")


def test_nothing_is_said_of_a_clean_table_or_of_a_few_copies(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert warned(caplog, dataset()) == []
    assert warned(caplog, dataset(copies=3)) == []


def test_columns_that_are_no_features_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    assert warned(caplog, dataset(late=True), "booked") == []
    assert warned(caplog, dataset(late=True, clock=False)) == []


def test_rows_are_counted_as_they_stand_in_the_file(caplog: pytest.LogCaptureFixture) -> None:
    table = dataset(late=True)
    reversed_ = replace(table, facts=table.facts.with_columns(row=299 - pl.col("row")))
    [said] = warned(caplog, reversed_)
    assert "first at row 299)" in said


def test_a_glance_is_cheap() -> None:
    table = dataset(200_000, late=True)
    started = time.perf_counter()
    quick_audit(table, ())
    assert time.perf_counter() - started < 1.0


def finding(kind: str, column: str | None = "x", severity: str = "warning") -> Finding:
    return Finding(kind, column, severity, 1, "column 'x' …")  # type: ignore[arg-type]


def test_the_worst_come_first_and_the_others_as_they_were_found() -> None:
    order = [("a", "note"), ("b", "error"), ("c", "note"), ("d", "warning")]
    found = worst_first(finding(kind, severity=severity) for kind, severity in order)
    assert [one.kind for one in found] == ["b", "d", "a", "c"]


def test_only_what_is_known_after_the_fact_can_be_allowed() -> None:
    found = [finding(kind) for kind in ("leak", "filled_for_frauds", "late_date", "missing")]
    spared = downgrade_allowed(found, ["x"])
    assert [one.severity for one in spared] == ["note", "note", "note", "warning"]


def test_a_leak_is_told_once() -> None:
    leak, filled, other = finding("leak"), finding("filled_for_frauds"), finding("late_date")
    assert drop_redundant([filled, leak, other]) == [leak, other]
    assert drop_redundant([filled, finding("leak", "y")])[0] == filled


def test_a_finding_is_plain_data() -> None:
    assert finding("leak").to_dict() == {
        "kind": "leak",
        "column": "x",
        "severity": "warning",
        "count": 1,
        "message": "column 'x' …",
    }


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (1e-7, "under 0.001%"), (0.5, "50%"), (0.9996, "99.96%"), (1, "100%")],
)
def test_shares_are_short(share: float, text: str) -> None:
    assert percent(share) == text


def test_every_kind_is_in_the_docs() -> None:
    package = Path(fraudml.__file__).parent
    told = (package.parent / "docs" / "audit.md").read_text(encoding="utf-8")
    sources = [*(package / "audit").glob("*.py"), package / "workflows" / "audit.py"]
    texts = [path.read_text(encoding="utf-8") for path in (*sources, package / "data" / "check.py")]
    kinds = {
        kind for text in texts for kind in re.findall(r'(?:Finding|Problem)\(\s*"(\w+)"', text)
    }
    assert len(kinds) > 20
    missing = {kind for kind in kinds if f"`{kind}`" not in told}
    assert not missing
