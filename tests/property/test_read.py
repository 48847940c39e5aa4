"""Laws of reading: what was written comes back, and the fingerprint sees values alone."""

from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudml.data import fingerprint as fingerprints
from fraudml.data.delimited import TextFile, _looks_ragged
from fraudml.data.fingerprint import fingerprint
from fraudml.data.read import read_table
from fraudml.data.settings import ColumnRoles, CsvSettings, DataSettings

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], include_characters='\n",;'),
    min_size=1,
    max_size=6,
).map(lambda word: f"x{word}")
VALUES = {
    "whole": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "truth": st.booleans(),
    "word": WORDS,
    "when": st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)),
}
TYPES = {
    "whole": pl.Int64,
    "number": pl.Float64,
    "truth": pl.Boolean,
    "word": pl.String,
    "when": pl.Datetime("us"),
}


@st.composite
def tables(draw: st.DrawFn, least: int = 1) -> pl.DataFrame:
    rows = draw(st.integers(least, 12))
    columns = {"label": pl.Series(range(rows), dtype=pl.Int64)}
    for position, kind in enumerate(draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=4))):
        values = draw(st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows))
        if all(value is None for value in values):
            continue
        columns[f"{kind} {position}"] = pl.Series(values, dtype=TYPES[kind])
    return pl.DataFrame(columns)


@given(
    table=tables(),
    separator=st.sampled_from([",", ";", "tab", "|"]),
    encoding=st.sampled_from(["utf8", "utf-16", "utf-8-sig"]),
    comma=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=80, deadline=None)
def test_text_gives_back_what_was_written(
    table: pl.DataFrame, separator: str, encoding: str, comma: bool, ending: str
) -> None:
    comma = comma and separator != ","
    how = CsvSettings(separator=separator, encoding=encoding, decimal_comma=comma)
    text = table.write_csv(
        separator="\t" if separator == "tab" else separator,
        line_terminator=ending,
        decimal_comma=comma,
        float_scientific=None,
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(text.encode(encoding))
        read = read_table(DataSettings(path=str(path), csv=how, columns=ColumnRoles("label")))
    assert read.schema == table.schema
    assert read.equals(table)


@given(
    records=st.lists(st.lists(st.text('ab,"\n', max_size=4), min_size=1, max_size=4), max_size=8),
    ending=st.sampled_from(["\n", "\r\n"]),
    size=st.integers(1, 40),
)
@settings(max_examples=150, deadline=None)
def test_short_and_long_rows_are_seen(records: list[list[str]], ending: str, size: int) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows(records)
    raw = written.getvalue().encode()
    pieces = (raw[start : start + size] for start in range(0, len(raw), size))
    expected = any(len(record) != 3 for record in records)
    assert _looks_ragged(pieces, ",", '"', 3) == expected


@given(table=tables(least=3), cut=st.integers(0, 12), size=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_fingerprint_does_not_see_chunks(table: pl.DataFrame, cut: int, size: int) -> None:
    pieces = pl.concat([table[:cut], table[cut:]], rechunk=False)
    kept = fingerprints._SLICE
    try:
        fingerprints._SLICE = size
        assert fingerprint(pieces) == fingerprint(table.rechunk())
    finally:
        fingerprints._SLICE = kept


@given(table=tables(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_fingerprint_sees_every_value(table: pl.DataFrame, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(table.columns))
    row = data.draw(st.integers(0, table.height - 1))
    kind = name.split()[0]
    value = data.draw(st.none() | VALUES.get(kind, st.integers(-5, -1)))
    changed = table[name].to_list()
    same = changed[row] == value and str(changed[row]) == str(value)
    changed[row] = value
    other = table.with_columns(pl.Series(name, changed, dtype=table[name].dtype))
    assert (fingerprint(other) == fingerprint(table)) == same


def test_a_header_needs_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b")
    assert TextFile.open(path, CsvSettings()).columns == ("a", "b")
