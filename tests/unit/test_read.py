"""Reading: every format in, and every refusal in words that can be acted on."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import logging
import os
from pathlib import Path

import polars as pl
import pytest

from fraudml.data.check import check_table
from fraudml.data.delimited import TextFile, _looks_ragged, read_text, scan_typed
from fraudml.data.fingerprint import fingerprint
from fraudml.data.read import load_table, read_table, reading, scan_table
from fraudml.data.settings import ColumnRoles, CsvSettings, DataSettings, SimulateSettings
from fraudml.errors import ConfigError, DataError, MachineError

FRAME = pl.DataFrame(
    {
        "label": [0, 1, 0],
        "amount": [1.5, None, 3.25],
        "shop": ["a, b", 'say "hi"', None],
        "when": [dt.datetime(2026, 1, day, 12, 30) for day in (1, 2, 3)],
    }
)
ROLES = ColumnRoles(label="label")


def settings(path: Path | str, *, columns: ColumnRoles = ROLES, **csv: object) -> DataSettings:
    return DataSettings(path=str(path), columns=columns, csv=CsvSettings(**csv))


def write(path: Path, text: str | bytes) -> Path:
    raw = text.encode() if isinstance(text, str) else text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def csv_text(frame: pl.DataFrame = FRAME, **how: object) -> str:
    return frame.write_csv(**how)


def refusal(of: DataSettings) -> str:
    with pytest.raises(DataError) as caught:
        read_table(of)
    return str(caught.value)


class TestFormats:
    @pytest.mark.parametrize("ending", [".parquet", ".pq", ".PARQUET"])
    def test_parquet(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"table{ending}"
        FRAME.write_parquet(path)
        assert read_table(settings(path)).equals(FRAME)

    @pytest.mark.parametrize("ending", [".arrow", ".ipc", ".feather"])
    @pytest.mark.parametrize("stream", [False, True])
    def test_arrow(self, tmp_path: Path, ending: str, stream: bool) -> None:
        path = tmp_path / f"table{ending}"
        (FRAME.write_ipc_stream if stream else FRAME.write_ipc)(path)
        assert read_table(settings(path)).equals(FRAME)

    @pytest.mark.parametrize("ending", [".csv", ".txt", ".csv.gz", ".txt.gz", ".CSV"])
    def test_csv(self, tmp_path: Path, ending: str) -> None:
        path = write(tmp_path / f"table{ending}", csv_text())
        assert read_table(settings(path)).equals(FRAME)

    @pytest.mark.parametrize("ending", [".tsv", ".tsv.gz"])
    def test_tsv_is_separated_by_tabs(self, tmp_path: Path, ending: str) -> None:
        path = write(tmp_path / f"table{ending}", csv_text(separator="\t"))
        assert read_table(settings(path)).equals(FRAME)

    def test_separator_of_the_settings_wins(self, tmp_path: Path) -> None:
        path = write(tmp_path / "table.tsv", csv_text(separator=";"))
        assert read_table(settings(path, separator=";")).equals(FRAME)
        path = write(tmp_path / "table.csv", csv_text(separator="\t"))
        assert read_table(settings(path, separator="tab")).equals(FRAME)

    def test_every_format_gives_the_same_fingerprint(self, tmp_path: Path) -> None:
        FRAME.write_parquet(tmp_path / "t.parquet", row_group_size=1)
        FRAME.write_ipc(tmp_path / "t.arrow")
        write(tmp_path / "t.csv", csv_text())
        found = {
            fingerprint(read_table(settings(tmp_path / name)))
            for name in ("t.parquet", "t.arrow", "t.csv")
        }
        assert found == {fingerprint(FRAME)}

    def test_brackets_in_a_name_are_no_glob(self, tmp_path: Path) -> None:
        for name in ("t[1].parquet", "t[1].csv", "t[1].arrow"):
            path = tmp_path / name
            {"parquet": FRAME.write_parquet, "csv": FRAME.write_csv, "arrow": FRAME.write_ipc}[
                name.rpartition(".")[2]
            ](path)
            assert read_table(settings(path)).equals(FRAME)


class TestFolders:
    def test_folder_in_the_order_of_names(self, tmp_path: Path) -> None:
        FRAME[2:].write_parquet(tmp_path / "part-2.parquet")
        FRAME[:2].write_parquet(tmp_path / "part-1.parquet")
        assert read_table(settings(tmp_path)).equals(FRAME)
        assert read_table(settings(tmp_path / "part-*.parquet")).equals(FRAME)
        assert read_table(settings(tmp_path / "part-1*")).equals(FRAME[:2])

    def test_nested_folders(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for day in (1, 2, 3):
            (tmp_path / f"day={day}").mkdir()
            FRAME[day - 1 : day].write_parquet(tmp_path / f"day={day}" / "part.parquet")
        assert read_table(settings(tmp_path)).equals(FRAME)
        assert "day=1" in caplog.text
        assert read_table(settings(tmp_path / "day=*")).equals(FRAME)
        assert read_table(settings(tmp_path / "**" / "*.parquet")).equals(FRAME)

    def test_hidden_files_and_marks_of_spark_are_ignored(self, tmp_path: Path) -> None:
        FRAME.write_parquet(tmp_path / "part.parquet")
        write(tmp_path / "_SUCCESS", "")
        write(tmp_path / ".part.parquet.crc", "x")
        write(tmp_path / "_delta" / "log.csv", "a\n1\n")
        assert read_table(settings(tmp_path)).equals(FRAME)

    def test_other_files_are_left_out_and_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        FRAME.write_parquet(tmp_path / "part.parquet")
        write(tmp_path / "README.md", "about")
        with caplog.at_level(logging.INFO):
            assert read_table(settings(tmp_path)).equals(FRAME)
        assert "README.md" in caplog.text

    def test_mixed_formats_are_refused(self, tmp_path: Path) -> None:
        FRAME.write_parquet(tmp_path / "a.parquet")
        FRAME.write_csv(tmp_path / "b.csv")
        said = refusal(settings(tmp_path))
        assert "several formats" in said
        assert "1 of Parquet" in said
        assert "1 of delimited text" in said

    def test_columns_may_stand_in_another_order(self, tmp_path: Path) -> None:
        for ending, how in (
            ("csv", pl.DataFrame.write_csv),
            ("parquet", pl.DataFrame.write_parquet),
        ):
            how(FRAME[:2], tmp_path / f"a.{ending}")
            how(FRAME[2:].select(reversed(FRAME.columns)), tmp_path / f"b.{ending}")
            assert read_table(settings(tmp_path / f"*.{ending}")).equals(FRAME)

    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_all_differing_columns_are_listed(self, tmp_path: Path, ending: str) -> None:
        def put(name: str, frame: pl.DataFrame) -> None:
            path = tmp_path / f"{name}.{ending}"
            (frame.write_csv if ending == "csv" else frame.write_parquet)(path)

        put("a", FRAME)
        put("b", FRAME.drop("shop"))
        put("c", FRAME.rename({"when": "at"}))
        roles = ColumnRoles(entity="shop", time="when")
        said = refusal(settings(tmp_path, columns=roles))
        assert "2 problems" in said
        assert f"b.{ending}' lacks 'shop', compared" in said
        assert f"c.{ending}' lacks 'when'" in said

    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_columns_without_a_role_that_some_files_lack_are_left_out(
        self, tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name, frame in (("a", FRAME), ("b", FRAME.drop("shop")), ("c", FRAME.drop("when"))):
            write = {"csv": frame.write_csv, "parquet": frame.write_parquet}[ending]
            write(tmp_path / f"{name}.{ending}")
        table = read_table(settings(tmp_path))
        assert table.columns == ["label", "amount"]
        assert table.height == 3 * len(FRAME)
        assert "Columns that some files lack are left out: 'shop (in 2 of 3)'" in caplog.text

    def test_types_that_differ_are_listed_and_numbers_widened(self, tmp_path: Path) -> None:
        FRAME.write_parquet(tmp_path / "a.parquet")
        FRAME.with_columns(pl.col("label").cast(pl.Int8)).write_parquet(tmp_path / "b.parquet")
        assert read_table(settings(tmp_path)).equals(pl.concat([FRAME, FRAME]))
        FRAME.with_columns(
            shop=pl.Series([1, 2, 3]), when=pl.lit("x"), amount=pl.lit(None)
        ).write_parquet(tmp_path / "c.parquet")
        said = refusal(settings(tmp_path))
        assert "2 columns differ in type" in said
        assert "column 'shop' is String" in said
        assert "column 'when' is Datetime" in said

    def test_types_of_text_files_are_found_together(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", "label,code\n0,1\n1,2\n")
        write(tmp_path / "b.csv", "label,code\n0,x\n")
        assert read_table(settings(tmp_path))["code"].to_list() == ["1", "2", "x"]

    def test_empty_folder_and_folder_without_tables(self, tmp_path: Path) -> None:
        assert "It is empty." in refusal(settings(tmp_path))
        write(tmp_path / "notes.docx", "x")
        said = refusal(settings(tmp_path))
        assert "notes.docx" in said
        assert ".parquet" in said


class TestText:
    def test_quotes_separators_and_line_breaks_in_fields(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "t.csv", "label;'shop name'\r\n0;'a;b'\r\n1;'x\ny'\r\n0;'it''s'\r\n"
        )
        table = read_table(settings(path, separator=";", quote="'"))
        assert table.columns == ["label", "shop name"]
        assert table["shop name"].to_list() == ["a;b", "x\ny", "it's"]

    def test_no_quote_character(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", 'label,shop\n0,5" pipe\n1,"x\n')
        assert read_table(settings(path, quote=""))["shop"].to_list() == ['5" pipe', '"x']

    def test_decimal_comma(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", "label;a;b;c\n0;3,14;1.234;-0,5\n1;2;1.000,5;00,5\n")
        table = read_table(settings(path, separator=";", decimal_comma=True))
        assert table["a"].to_list() == [3.14, 2.0]
        assert table["b"].to_list() == ["1.234", "1.000,5"]  # thousands are not decimals
        assert table["c"].dtype == pl.String
        path = write(tmp_path / "s.csv", "label;a;b\n0;1.234;1,5\n1;12;1.234\n")
        table = read_table(settings(path, separator=";", decimal_comma=True))
        assert table["a"].to_list() == ["1.234", "12"]
        assert table["b"].to_list() == ["1,5", "1.234"]
        path = write(tmp_path / "u.csv", "label;a\n0;3,14\n1;2,5\n")
        assert read_table(settings(path, separator=";"))["a"].dtype == pl.String

    def test_a_column_of_numbers_that_turns_to_text_late(self, tmp_path: Path) -> None:
        rows = [f"{i % 2},{i},{i}\n" for i in range(12_000)]
        path = write(tmp_path / "t.csv", "label,code,size\n" + "".join(rows) + "0,AB7,1.5\n")
        table = read_table(settings(path))
        assert table["code"].to_list()[-2:] == ["11999", "AB7"]
        assert table["size"].to_list()[-2:] == [11999.0, 1.5]

    def test_a_column_that_starts_empty(self, tmp_path: Path) -> None:
        rows = "".join("0,,,\n" for _ in range(3_000))
        path = write(tmp_path / "t.csv", f"label,a,b,c\n{rows}1,2.5,2026-01-31,true\n")
        table = read_table(settings(path))
        assert table.row(-1) == (1, 2.5, dt.datetime(2026, 1, 31), True)
        assert table["a"].null_count() == 3_000

    def test_names_survive_as_text(self, tmp_path: Path) -> None:
        text = (
            "id,card,shop,label,zip,serial\n007,12,1,0,01234,12345678901234567890\n8,13,2,1,9,1\n"
        )
        roles = ColumnRoles(label="label", id="id", entity="card", categorical=("shop",))
        table = read_table(settings(write(tmp_path / "t.csv", text), columns=roles))
        assert table["id"].to_list() == ["007", "8"]
        assert table["card"].to_list() == ["12", "13"]
        assert table["shop"].to_list() == ["1", "2"]
        assert table["zip"].to_list() == ["01234", "9"]
        assert table["serial"].to_list() == ["12345678901234567890", "1"]

    @pytest.mark.parametrize(
        ("fields", "values"),
        [
            (["1", "-2", "+3", " 4 "], [1, -2, 3, 4]),
            (["0.5", "1e-3", ".5", "-0.25"], [0.5, 0.001, 0.5, -0.25]),
            (["0.12345678901234567890", "1"], [0.12345678901234568, 1.0]),
            (["true", "FALSE", "True"], [True, False, True]),
            (["0", "00"], ["0", "00"]),
            (["yes", "no"], ["yes", "no"]),
            (["1", " "], [1, None]),
            (["a", " "], ["a", " "]),
            (["1", ""], [1, None]),
            (["1", "NA"], [1, None]),
            (["2026-01-31", "2024-02-29"], [dt.datetime(2026, 1, 31), dt.datetime(2024, 2, 29)]),
            (["2026-02-30", "2026-01-01"], ["2026-02-30", "2026-01-01"]),
            (
                ["2026-01-31 23:59", "2026-01-31 00:00"],
                [dt.datetime(2026, 1, 31, 23, 59), dt.datetime(2026, 1, 31)],
            ),
            (["2026-01-31T10:00:00.25"], [dt.datetime(2026, 1, 31, 10, 0, 0, 250_000)]),
            (
                ["2026-01-31T10:00:00+02:00", "2026-01-31T10:00:00Z"],
                [dt.datetime(2026, 1, 31, 8), dt.datetime(2026, 1, 31, 10)],
            ),
            (["03/04/2026", "12/31/2026"], ["03/04/2026", "12/31/2026"]),
        ],
    )
    def test_types(self, tmp_path: Path, fields: list[str], values: list[object]) -> None:
        body = "".join(f"{field},0\n" for field in fields)
        path = write(tmp_path / "t.csv", f"x,label\n{body}")
        assert read_table(settings(path))["x"].to_list() == values

    def test_time_format_leaves_times_as_text(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", "label,at,known\n0,20260131,20260201\n1,20260201,\n")
        roles = ColumnRoles(label="label", time="at", label_time="known")
        assert read_table(settings(path, columns=roles))["at"].dtype == pl.Int64
        table = read_table(settings(path, columns=roles, time_format="%Y%m%d"))
        assert table["at"].to_list() == ["20260131", "20260201"]
        assert table["known"].to_list() == ["20260201", None]

    def test_null_values(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", 'label,a,b\n0,-,""\n1,2,x\n')
        table = read_table(settings(path, null_values=("-",)))
        assert table["a"].to_list() == [None, 2]
        assert table["b"].to_list() == [None, "x"]

    def test_byte_order_mark_and_crlf(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", b"\xef\xbb\xbflabel,a\r\n0,1\r\n1,2\r\n")
        assert read_table(settings(path)).equals(pl.DataFrame({"label": [0, 1], "a": [1, 2]}))

    @pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "UTF-8"])
    def test_encodings(self, tmp_path: Path, encoding: str) -> None:
        text = "label,stadt\n0,Köln\n1,Zürich\n"
        path = write(tmp_path / "t.csv", text.encode(encoding))
        table = read_table(settings(path, encoding=encoding))
        assert table["stadt"].to_list() == ["Köln", "Zürich"]

    def test_wrong_encoding_is_said_with_its_line(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", "label,stadt\n0,Bonn\n1,Köln\n".encode("latin-1"))
        said = refusal(settings(path))
        assert "is not utf8 at line 3" in said
        assert "data.csv.encoding" in said
        path = write(tmp_path / "u.csv", "label,stadt\n0,Bonn\n".encode("utf-16"))
        assert "utf-16" in refusal(settings(path))

    def test_awkward_names(self, tmp_path: Path) -> None:
        names = ["label", "Größe (€)", "a.b", 'q"q', "^x", "x*", "x y ", "0", "empty"]
        frame = pl.DataFrame({name: [0, 1] for name in names})
        path = write(tmp_path / "t.csv", csv_text(frame))
        assert read_table(settings(path)).equals(frame)

    def test_empty_lines_are_left_out(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = write(tmp_path / "t.csv", "\nlabel,a\n0,1\n\n1,2\n\r\n\n")
        with caplog.at_level(logging.INFO):
            table = read_table(settings(path))
        assert table.rows() == [(0, 1), (1, 2)]
        assert "empty lines" in caplog.text

    def test_excluded_columns_are_not_looked_at(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", "label,name\n0,x\n1,y\n")
        roles = ColumnRoles(label="label", exclude=("name",))
        assert read_table(settings(path, columns=roles)).columns == ["label"]
        FRAME.write_parquet(tmp_path / "t.parquet")
        roles = ColumnRoles(label="label", exclude=("shop", "when"))
        scanned = scan_table(settings(tmp_path / "t.parquet", columns=roles))
        assert "PROJECT 2/4" in scanned.explain()

    @pytest.mark.parametrize(
        ("body", "where"),
        [
            ("0,1,2\n1,2\n0,1,3\n", "in 1 of 3 rows (first at line 3: 2)"),
            ("0,1,2\n1,2,3,4\n0,1\n", "in 2 of 3 rows (first at line 3: 4)"),
            ('0,"a\nb",2\n1\n\n0,1,2', "in 1 of 3 rows (first at line 4: 1)"),
            ('0,"a,2\n1,2,3\n0,1,2\n', "in 1 of 1 rows (first at line 2: 2)"),
        ],
    )
    @pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
    def test_ragged_rows(self, tmp_path: Path, body: str, where: str, ending: str) -> None:
        path = write(tmp_path / f"t{ending}", "label,a,b\n" + body)
        said = refusal(settings(path))
        assert str(path) in said
        assert "other than 3 fields" in said
        assert where in said

    def test_a_sparse_last_column_is_not_ragged(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", 'label,a,b\r\n0,"x, y",\r\n1,5 pipe,\r\n0,z,3\r\n\r\n')
        assert read_table(settings(path))["b"].to_list() == [None, None, 3]

    def test_a_quote_within_a_field(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", 'label,a\n0,"x, y"\n1,5" pipe\n')
        said = refusal(settings(path))
        assert "a quote within a field at line 3" in said
        assert "data.csv.quote=''" in said

    def test_pieces_of_a_large_file_are_counted_alike(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good = 'label,a,b\n0,"x,\n""y""",\r\n\r\n1,2,\n0,,3'
        for size in range(1, 12):
            monkeypatch.setattr("fraudml.data.delimited._PIECE", size)
            path = write(tmp_path / "t.csv", good)
            assert TextFile.open(path, CsvSettings()).ragged() is None
            path = write(tmp_path / "u.csv", good + "\n1,2\n")
            assert "in 1 of 4 rows (first at line 7: 2)" in str(
                TextFile.open(path, CsvSettings()).ragged()
            )

    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    def test_empty_lines_are_not_ragged(self, size: int) -> None:
        raw = b"a,b\r\n\r\n1,2\r\n\r\n\n3,4\r\n\r\n"
        pieces = (raw[start : start + size] for start in range(0, len(raw), size))
        assert not _looks_ragged(pieces, ",", '"', 2)

    def test_names_that_are_missing_or_stand_twice(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        said = refusal(settings(write(tmp_path / "t.csv", ",label,a,a, \n0,1,2,3,4\n")))
        assert "2 columns without a name (at '1', '5')" in caplog.text
        assert "index=False" in caplog.text
        assert "several columns of the name 'a'" in said
        table = read_table(settings(write(tmp_path / "i.csv", ",label,a\n0,1,2\n1,0,2\n")))
        assert table.rows() == [(1, 2), (0, 2)]
        said = refusal(settings(write(tmp_path / "u.csv", "label,*,^a$\n0,1,2\n")))
        assert "patterns: '*', '^a$'" in said

    def test_header_alone_and_nothing_at_all(self, tmp_path: Path) -> None:
        for ending in ("csv", "parquet", "arrow"):
            path = tmp_path / f"t.{ending}"
            frame = FRAME.clear()
            {"csv": frame.write_csv, "parquet": frame.write_parquet, "arrow": frame.write_ipc}[
                ending
            ](path)
            assert "no rows" in refusal(settings(path))
        assert "0 bytes" in refusal(settings(write(tmp_path / "e.csv", "")))
        assert "no columns" in refusal(settings(write(tmp_path / "f.csv", "\n\n")))
        assert "no columns" in refusal(settings(write(tmp_path / "g.csv.gz", "")))

    def test_carriage_returns_alone(self, tmp_path: Path) -> None:
        said = refusal(settings(write(tmp_path / "t.csv", "label,a\r0,1\r1,2\r")))
        assert "carriage return" in said


class TestRefusals:
    def test_neither_path_nor_simulation(self) -> None:
        with pytest.raises(ConfigError, match=r"data\.path is not set"):
            load_table(DataSettings())

    def test_both_path_and_simulation(self, tmp_path: Path) -> None:
        both = DataSettings(path=str(tmp_path), simulate=SimulateSettings())
        with pytest.raises(ConfigError, match="data=table"):
            load_table(both)

    def test_remote(self) -> None:
        with pytest.raises(ConfigError, match="on this machine"):
            read_table(settings("s3://bucket/t.parquet"))

    def test_no_such_file_with_the_nearest(self, tmp_path: Path) -> None:
        FRAME.write_parquet(tmp_path / "purchases.parquet")
        said = refusal(settings(tmp_path / "purchase.parquet"))
        assert f"there is no '{tmp_path / 'purchase.parquet'}'" in said
        assert "Did you mean 'purchases.parquet'?" in said
        assert "does not exist either" in refusal(settings(tmp_path / "no" / "t.parquet"))
        assert "there is no" in refusal(settings(tmp_path / "*.csv"))

    def test_absolute_path_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert f"there is no '{tmp_path / 'x.csv'}'" in refusal(settings("x.csv"))

    def test_the_folder_of_the_data_sets(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("FRAUDML_DATA", raising=False)
        assert "Set FRAUDML_DATA to the folder" in refusal(settings("data/ulb.parquet"))
        monkeypatch.setenv("FRAUDML_DATA", "elsewhere")
        assert "FRAUDML_DATA is 'elsewhere'" in refusal(settings("elsewhere/ulb.parquet"))

    def test_unknown_ending(self, tmp_path: Path) -> None:
        said = refusal(settings(write(tmp_path / "t.xlsx", "x")))
        assert "whose name does not say what it is" in said
        assert ".csv" in said
        assert "Rename it" in refusal(settings(write(tmp_path / "t.parquet.gz", "x")))

    def test_content_that_is_not_what_the_name_says(self, tmp_path: Path) -> None:
        held = io.BytesIO()
        FRAME.write_parquet(held)
        said = refusal(settings(write(tmp_path / "t.csv", held.getvalue())))
        assert "should be delimited text by its name and is Parquet by its content" in said
        assert "Parquet by its name" in refusal(
            settings(write(tmp_path / "t.parquet", "a,b\n1,2\n"))
        )
        assert "Arrow IPC by its name" in refusal(settings(write(tmp_path / "t.arrow", "a,b\n1\n")))
        (tmp_path / "t.csv.gz").write_bytes(b"a,b\n1,2\n")
        assert "gzip by its name" in refusal(settings(tmp_path / "t.csv.gz"))
        (tmp_path / "u.csv").write_bytes(gzip.compress(b"a,b\n"))
        assert "gzip by its content" in refusal(settings(tmp_path / "u.csv"))
        assert "Excel" in refusal(settings(write(tmp_path / "v.csv", b"PK\x03\x04rest")))

    def test_files_that_are_cut_short(self, tmp_path: Path) -> None:
        for ending in ("parquet", "arrow"):
            path = tmp_path / f"t.{ending}"
            (FRAME.write_parquet if ending == "parquet" else FRAME.write_ipc)(path)
            path.write_bytes(path.read_bytes()[:-9])
            assert "cut short" in refusal(settings(path))
        frame = pl.DataFrame({"label": [0, 1] * 500, "a": [f"{i * 7919}" for i in range(1000)]})
        path = write(tmp_path / "t.csv.gz", csv_text(frame))
        path.write_bytes(path.read_bytes()[:-600])
        assert "cut short or damaged" in refusal(settings(path))

    def test_damage_within(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.parquet", b"PAR1" + b"\0" * 64 + b"PAR1")
        said = refusal(settings(path))
        assert f"'{path}' cannot be read" in said

    def test_all_bad_files_are_named(self, tmp_path: Path) -> None:
        FRAME.write_parquet(tmp_path / "a.parquet")
        write(tmp_path / "b.parquet", "")
        write(tmp_path / "c.parquet", "label\n1\n")
        said = refusal(settings(tmp_path))
        assert "2 files cannot be read" in said
        assert "b.parquet" in said
        assert "c.parquet" in said

    def test_no_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(tmp_path / "t.csv", "label\n1\n")
        opened = Path.open

        def refuse(self: Path, *args: object, **kwargs: object) -> object:
            if self == path:
                raise PermissionError(13, "Permission denied")
            return opened(self, *args, **kwargs)

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(MachineError, match="may not be read by this user"):
            read_table(settings(path))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything; run as another user")
    def test_no_permission_on_disk(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", "label\n1\n")
        path.chmod(0)
        with pytest.raises(MachineError, match="may not be read by this user"):
            read_table(settings(path))

    def test_missing_columns_are_all_named(self, tmp_path: Path) -> None:
        FRAME.write_parquet(tmp_path / "t.parquet")
        roles = ColumnRoles(label="Lable", time="wen", exclude=("nmae",), categorical=("shop",))
        said = refusal(settings(tmp_path / "t.parquet", columns=roles))
        assert "3 problems" in said
        assert "data.columns.label is 'Lable'" in said
        assert "Did you mean 'label'?" in said
        assert "Did you mean 'when'?" in said
        assert "data.columns.exclude is 'nmae'" in said

    def test_a_wrong_separator_is_seen(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", csv_text(separator=";"))
        assert "set data.csv.separator=';'" in refusal(settings(path))

    def test_needed_columns_replace_the_roles(self, tmp_path: Path) -> None:
        FRAME.drop("label").write_parquet(tmp_path / "t.parquet")
        scoring = settings(tmp_path / "t.parquet")
        with reading(scoring):
            assert scan_table(scoring, needed=["amount"]).collect().height == 3
        with pytest.raises(DataError, match="'amout': this needed column is not in"):
            scan_table(scoring, needed=["amout"])

    def test_what_fails_late_is_a_data_error(self, tmp_path: Path) -> None:
        FRAME.write_parquet(tmp_path / "t.parquet")
        table = scan_table(settings(tmp_path / "t.parquet"))
        (tmp_path / "t.parquet").unlink()
        with pytest.raises(DataError, match="cannot be read"), reading(settings("t.parquet")):
            table.collect()


class TestSettings:
    def test_csv_settings_are_checked_together(self) -> None:
        with pytest.raises(ConfigError) as caught:
            CsvSettings(separator="||", quote="ab", encoding="utf-99")
        assert "3 problems in data.csv" in str(caught.value)

    @pytest.mark.parametrize("separator", ["", "\n", "€"])
    def test_separators(self, separator: str) -> None:
        with pytest.raises(ConfigError, match="one ASCII character"):
            CsvSettings(separator=separator)

    def test_decimal_comma_beside_a_comma(self) -> None:
        with pytest.raises(ConfigError, match="decimal_comma"):
            CsvSettings(separator=",", decimal_comma=True)


class TestFingerprint:
    def test_is_pinned(self) -> None:
        assert fingerprint(FRAME) == (
            "sha256:5da5f867110ae7482d04f72e6a4b3d5b4509f7860d15acbc546b29895f12f18d"
        )

    @pytest.mark.parametrize(
        "other",
        [
            FRAME.reverse(),
            FRAME.rename({"shop": "store"}),
            FRAME.select(reversed(FRAME.columns)),
            FRAME.with_columns(pl.col("label").cast(pl.Int8)),
            FRAME.with_columns(pl.col("amount").fill_null(0)),
            FRAME.with_columns(pl.col("shop").fill_null("")),
            FRAME.with_columns(pl.col("when").dt.cast_time_unit("ms")),
            FRAME[:2],
            FRAME.drop("shop"),
        ],
    )
    def test_changes_with_the_table(self, other: pl.DataFrame) -> None:
        assert fingerprint(other) != fingerprint(FRAME)

    def test_words_do_not_run_together(self) -> None:
        one = pl.DataFrame({"x": ["ab", "c"]})
        other = pl.DataFrame({"x": ["a", "bc"]})
        assert fingerprint(one) != fingerprint(other)

    def test_does_not_depend_on_layout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pieces = pl.concat([FRAME[:1], FRAME[1:]], rechunk=False)
        assert pieces.n_chunks() == 2
        assert fingerprint(pieces) == fingerprint(FRAME)
        sliced = pl.concat([FRAME, FRAME])[3:]
        assert fingerprint(sliced) == fingerprint(FRAME)
        named = FRAME.with_columns(pl.col("shop").cast(pl.Categorical))
        assert fingerprint(named) == fingerprint(FRAME)
        hidden = pl.DataFrame({"x": [1.0, 2.0]}).select(pl.when(pl.col("x") > 1).then("x"))
        assert fingerprint(hidden) == fingerprint(pl.DataFrame({"x": [None, 2.0]}))

    def test_every_type(self) -> None:
        day = dt.date(2026, 1, 2)
        columns = {
            "bool": [True, None],
            "binary": [b"\xff", None],
            "date": [day, None],
            "time": [dt.time(1, 2), None],
            "duration": [dt.timedelta(1), None],
            "zoned": pl.Series([dt.datetime(2026, 1, 2), None]).dt.replace_time_zone("UTC"),
            "list": [[1, None], None],
            "struct": [{"a": 1, "b": "x"}, None],
            "decimal": pl.Series(["1.50", None]).cast(pl.Decimal(10, 2)),
            "enum": pl.Series(["a", None], dtype=pl.Enum(["a", "b"])),
            "int128": pl.Series([2**100, None], dtype=pl.Int128),
            "float32": pl.Series([0.5, None], dtype=pl.Float32),
            "null": [None, None],
        }
        for name, values in columns.items():
            frame = pl.DataFrame({name: values})
            assert fingerprint(frame) == fingerprint(frame.clone())
            if name != "null":
                assert fingerprint(frame) != fingerprint(frame.reverse()), name


@pytest.mark.parametrize("size", [1, 7, 40, 16_777_216])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ('a,b\n1,2\n\n3,4\r\n"x\ny",5\n\n\n6,"7""q"\n', CsvSettings()),
        ('"a\nz",b\r\n"1,\n\n""2""",x\r\n,\r\n3,NA', CsvSettings(null_values=("NA",))),
        ('\ufeffa;b\n1;"\n;\n"\nü;ß\n', CsvSettings(separator=";")),
        ('a,b\n1,"2\n"3,4\n', CsvSettings(quote="")),
        ("a,b\nü,2\né,4\n", CsvSettings(encoding="latin-1")),
        ("a,b\n", CsvSettings()),
        ("a,b", CsvSettings()),
    ],
)
def test_text_in_pieces_is_the_text_in_one(
    text: str,
    settings: CsvSettings,
    ending: str,
    size: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, content = tmp_path / f"t{ending}", text.encode(settings.encoding)
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    monkeypatch.setattr("fraudml.data.delimited._ROWS_PIECE", size)
    file = TextFile.open(path, settings)
    whole = scan_typed([file], file.columns, file.columns).collect()
    frames = list(read_text([file], file.columns))
    assert pl.concat([whole.head(0), *frames]).equals(whole)
    if size < 40 and len(whole) > 2:
        assert len(frames) > 1


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows; run it elsewhere")
class TestLinks:
    def folder(self, tmp_path: Path) -> Path:
        """Three files, one of them below a linked folder, one a link."""
        (tmp_path / "there").mkdir()
        (tmp_path / "table" / "sub").mkdir(parents=True)
        FRAME[:1].write_parquet(tmp_path / "table" / "a.parquet")
        FRAME[1:2].write_parquet(tmp_path / "there" / "b.parquet")
        FRAME[2:3].write_parquet(tmp_path / "c.parquet")
        (tmp_path / "table" / "linked").symlink_to(tmp_path / "there")
        (tmp_path / "table" / "sub" / "c.parquet").symlink_to(tmp_path / "c.parquet")
        return tmp_path / "table"

    @pytest.mark.parametrize("pattern", ["", "**/*.parquet"])
    def test_links_are_followed(self, tmp_path: Path, pattern: str) -> None:
        assert read_table(settings(self.folder(tmp_path) / pattern)).height == 3

    def test_a_link_upwards_ends(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path)
        (folder / "sub" / "up").symlink_to(folder)
        assert read_table(settings(folder)).height == 3

    @pytest.mark.parametrize("name", ["gone.parquet", "gone"])
    def test_a_link_that_leads_nowhere(self, tmp_path: Path, name: str) -> None:
        folder = self.folder(tmp_path)
        (folder / ".hidden").symlink_to(tmp_path / "nowhere")
        assert read_table(settings(folder)).height == 3
        (folder / "sub" / name).symlink_to(tmp_path / "nowhere")
        for path in (folder, folder / "*", folder / "sub" / name):
            with pytest.raises(MachineError, match=f"{name}', a link to '.*nowhere', cannot be"):
                read_table(settings(path))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may enter all; run as another user")
    @pytest.mark.parametrize("pattern", ["", "*/*.parquet", "**"])
    def test_a_folder_that_may_not_be_entered(self, tmp_path: Path, pattern: str) -> None:
        folder = self.folder(tmp_path)
        (folder / "sub").chmod(0)
        try:
            with pytest.raises(MachineError, match="sub'"):
                read_table(settings(folder / pattern))
        finally:
            (folder / "sub").chmod(0o700)

    @pytest.mark.parametrize("pattern", ["", "*/*.parquet"])
    def test_a_folder_that_the_system_refuses(
        self, tmp_path: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = self.folder(tmp_path)
        entries = Path.iterdir

        def refuse(self: Path) -> object:
            if self.name == "sub":
                raise PermissionError(13, "Permission denied")
            return entries(self)

        def allowed(path: str, mode: int) -> bool:
            return not path.endswith("sub")

        monkeypatch.setattr(Path, "iterdir", refuse)
        monkeypatch.setattr(os, "access", allowed)
        with pytest.raises(MachineError, match="sub'"):
            read_table(settings(folder / pattern))

    def test_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "t.csv")
        assert "is a pipe or a device" in refusal(settings(tmp_path / "t.csv"))

    def test_a_name_that_is_not_text(self, tmp_path: Path) -> None:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.parquet"))
        FRAME.write_parquet(tmp_path / "t.parquet")
        (tmp_path / "t.parquet").rename(path)
        for given in (tmp_path, path):
            assert "is not written in UTF-8" in refusal(settings(given))
        good = tmp_path / "é漢.parquet"
        path.rename(good)
        assert read_table(settings(good)).height == len(FRAME)


class TestUsedColumns:
    """Columns that are not used are no reason to refuse a table."""

    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_what_differs_between_files_is_left_out(self, tmp_path: Path, ending: str) -> None:
        more = FRAME.with_columns(new=1, when=pl.lit("text"))
        for name, frame in (("a", FRAME), ("b", more.select(reversed(more.columns)))):
            write = {"csv": frame.write_csv, "parquet": frame.write_parquet}[ending]
            write(tmp_path / f"{name}.{ending}")
        of = settings(tmp_path)
        table = scan_table(of, (), as_text=True, used={"label", "shop"}).collect()
        assert table.height == 2 * len(FRAME)
        assert table["shop"].to_list() == 2 * FRAME["shop"].to_list()
        assert "new" not in table.columns
        with pytest.raises(DataError, match="'new'"):
            scan_table(of, (), as_text=True, used={"label", "new"})

    def test_names_that_are_missing_or_double(self, tmp_path: Path) -> None:
        write(tmp_path / "t.csv", ",label,a,a,*,\n7,0,1,2,3,\n8,1,1,2,3,4\n")
        of = settings(tmp_path / "t.csv")
        table = scan_table(of, (), as_text=True, used={"label"}).collect()
        assert table["label"].to_list() == ["0", "1"]
        assert table.columns == ["label"]
        with pytest.raises(DataError, match="several columns of the name 'a'"):
            scan_table(of, (), as_text=True, used={"label", "a"})

    def test_excluded_columns_may_differ(self, tmp_path: Path) -> None:
        FRAME.write_parquet(tmp_path / "a.parquet")
        FRAME.with_columns(new=1).write_parquet(tmp_path / "b.parquet")
        roles = ColumnRoles(exclude=("shop",))
        assert "new" not in read_table(settings(tmp_path, columns=roles)).columns
        FRAME.drop("shop").write_parquet(tmp_path / "b.parquet")
        table = read_table(settings(tmp_path, columns=roles))
        assert table.columns == [name for name in FRAME.columns if name != "shop"]

    def test_categories_and_text_are_one_column(self, tmp_path: Path) -> None:
        words = FRAME["shop"].cast(pl.String)
        for name, dtype in (
            ("a", pl.Categorical),
            ("b", pl.String),
            ("c", pl.Enum(words.drop_nulls().unique())),
        ):
            FRAME.with_columns(words.cast(dtype)).write_parquet(tmp_path / f"{name}.parquet")
        table = read_table(settings(tmp_path))
        assert table["shop"].to_list() == 3 * words.to_list()

    def test_keys_of_other_types_are_one_column(self, tmp_path: Path) -> None:
        frame = pl.DataFrame({"label": [0, 1], "card": [7, 8], "mcc": [1, 2]})
        later = frame.with_columns(
            pl.col("label").cast(pl.Boolean), pl.col("card").cast(pl.Float64), mcc=pl.lit(" 2.0")
        )
        frame.write_parquet(tmp_path / "a.parquet")
        later.write_parquet(tmp_path / "b.parquet")
        roles = ColumnRoles(entity="card", categorical=("mcc",))
        table = read_table(settings(tmp_path, columns=roles))
        assert table["card"].to_list() == ["7", "8", "7", "8"]
        assert table["mcc"].to_list() == ["1", "2", "2", "2"]
        assert check_table(table, settings(tmp_path, columns=roles)).label.tolist() == [0, 1, 0, 1]


class TestMarkers:
    """Words for 'missing' among numbers and dates."""

    @pytest.mark.parametrize("word", ["\\N", "N/A", "?", "-", "<NA>", "(null)", "NaT"])
    def test_usual_words_are_missing_and_said(
        self, tmp_path: Path, word: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        body = "".join(f"{i % 2},{i},{i / 4},2026-01-{i + 10}\n" for i in range(20))
        text = f"label,a,b,day\n{body}0,{word},{word},{word}\n"
        table = read_table(settings(write(tmp_path / "t.csv", text)))
        assert [table[name].dtype for name in ("a", "b")] == [pl.Int64, pl.Float64]
        assert table["day"].dtype == pl.Datetime("us")
        assert table.row(-1) == (0, None, None, None)
        told = f"holds numbers in all but 1 of 21 rows that are filled ('{word}' in 1 rows; first"
        assert caplog.text.count(told) == 2
        assert "column 'day' holds dates in all but 1" in caplog.text

    def test_other_words_name_the_key_that_reads_them(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        body = "".join(f"{i % 2},{i}\n" for i in range(40))
        path = write(tmp_path / "t.csv", f"label,a\n{body}0,keine\n1,absent\n1,absent\n")
        assert read_table(settings(path))["a"].dtype == pl.String
        assert "set data.csv.null_values=['absent','keine']" in caplog.text
        table = read_table(settings(path, null_values=("absent", "keine")))
        assert table["a"].to_list() == [*range(40), None, None, None]

    @pytest.mark.parametrize(
        "values", [["007", "-"], ["A1", "-"], ["12345678901234567890", "-"], ["1", "x", "y", "2"]]
    )
    def test_codes_and_words_stay_text(self, tmp_path: Path, values: list[str]) -> None:
        body = "".join(f"{i % 2},{value}\n" for i, value in enumerate(values * 12))
        table = read_table(settings(write(tmp_path / "t.csv", f"label,a\n{body}")))
        assert table["a"].dtype == pl.String
