"""The audit command as a user meets it: files, findings, exit codes, the table on the terminal."""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from builders import FEW_CARDS, CapSys, cards, execute, read_json, repeat, simulated
from fraudml.audit.finding import SEVERITIES
from fraudml.cli import main
from fraudml.config.settings import AuditSettings, Settings
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.workflows.audit import audit

MADE = cards(FEW_CARDS)


def words(path: Path, *more: str) -> list[str]:
    return [
        "audit",
        "data=table",
        f"data.path={path}",
        "data.columns.time=time",
        "data.columns.id=transaction_id",
        "data.columns.entity=card_id",
        "data.columns.amount=amount",
        "data.labels_complete=true",
        f"output_dir={path.parent / 'run'}",
        *more,
    ]


def audited(tmp_path: Path, frame: pl.DataFrame, *more: str, code: int = 0) -> list[dict[str, Any]]:
    path = tmp_path / "table.parquet"
    frame.write_parquet(path)
    assert main(words(path, *more)) == code
    content = read_json(tmp_path / "run" / "audit.json")
    return content["findings"]


def of_kind(findings: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in findings if one["kind"] == kind]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return execute(tmp_path_factory.mktemp("audit") / "run", "audit", *simulated())


def test_the_run_folder_is_complete(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {"audit.json", "config.yaml", "run.log"}


def test_the_findings_are_those_of_the_contract(run: Path) -> None:
    content = read_json(run / "audit.json")
    assert set(content) == {"schema_version", "run", "data", "findings"}
    assert content["schema_version"] == 1
    assert content["run"]["command"] == "audit"
    assert content["data"]["rows"] == 6000
    assert content["data"]["frauds"] > 200
    assert content["data"]["fingerprint"].startswith("sha256:")
    for one in content["findings"]:
        assert set(one) == {"kind", "column", "severity", "count", "message"}
        assert one["severity"] in SEVERITIES


def test_a_clean_table_gives_few_findings(run: Path) -> None:
    findings = read_json(run / "audit.json")["findings"]
    assert {one["severity"] for one in findings} == {"note"}
    assert {one["kind"] for one in findings} == {"missing", "shift"}
    assert len(findings) < 8


def test_the_config_of_an_audit_repeats_it(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    arguments = [*repeat(run), f"output_dir={again}"]
    assert main(["audit", *arguments]) == 0
    first, second = (read_json(path / "audit.json") for path in (run, again))
    del first["run"], second["run"]
    assert first == second


def test_the_table_on_the_terminal_has_the_worst_first(tmp_path: Path, capsys: CapSys) -> None:
    leak = MADE.with_columns(copy=pl.col("label") * 2, text=pl.lit("a"))
    findings = audited(tmp_path, leak.drop("label_time"))
    shown = capsys.readouterr().out
    order = [SEVERITIES.index(one["severity"]) for one in findings]
    assert order == sorted(order)
    assert "Audit of 4,000 rows" in shown
    assert ": 1 error, " in shown
    assert shown.index("column 'copy' alone") < shown.index("column 'text' holds the same")
    assert str(tmp_path / "run") in re.sub(r"\s", "", shown)


def test_of_many_findings_of_a_kind_five_are_shown(tmp_path: Path, capsys: CapSys) -> None:
    wide = MADE.with_columns(pl.lit(1).alias(f"one {i}") for i in range(30)).drop("label_time")
    findings = audited(tmp_path, wide)
    assert len(of_kind(findings, "constant")) == 30
    shown = capsys.readouterr().out
    assert "and 25 more like these" in shown
    assert "'one 4'" in shown
    assert "'one 5'" not in shown


def test_what_train_refuses_is_listed_as_an_error(tmp_path: Path) -> None:
    frame = MADE.with_columns(copy=pl.col("label")).drop("label_time")
    [leak] = of_kind(audited(tmp_path, frame), "leak")
    assert (leak["severity"], leak["column"]) == ("error", "copy")
    assert of_kind(audited_again(tmp_path, "audit.allow=[copy]"), "leak")[0]["severity"] == "note"


def audited_again(tmp_path: Path, *more: str) -> list[dict[str, Any]]:
    path = tmp_path / "table.parquet"
    assert main([*words(path)[:-1], f"output_dir={tmp_path / 'again'}", *more]) == 0
    content = read_json(tmp_path / "again" / "audit.json")
    return content["findings"]


REFUSED = {
    "a missing column": ({}, ["data.columns.amount=amuont"], "missing_column", "amuont"),
    "duplicate ids": ({"transaction_id": pl.lit(7)}, [], "duplicate_id", "transaction_id"),
    "infinite values": ({"ratio": pl.lit(float("inf"))}, [], "infinite", "ratio"),
    "labels of three kinds": ({"label": pl.int_range(4000) % 3}, [], "label", "label"),
    "times in words": ({"time": pl.lit("soon")}, [], "time", "time"),
    "gaps in time": (
        {"time": pl.when(pl.int_range(4000) > 3).then("time")},
        [],
        "time",
        "time",
    ),
}


@pytest.mark.parametrize(
    ("columns", "more", "kind", "column"), REFUSED.values(), ids=REFUSED.keys()
)
def test_a_refused_table_is_audited_as_far_as_that_goes(
    columns: dict[str, pl.Expr], more: list[str], kind: str, column: str, tmp_path: Path
) -> None:
    frame = MADE.drop("label_time").with_columns(**columns, same=pl.lit(1))
    given = [word for word in more if "amuont" in word]
    findings = audited(tmp_path, frame, *given)
    [refusal] = of_kind(findings, kind)
    assert (refusal["severity"], refusal["column"]) == ("error", column)
    assert of_kind(findings, "constant")
    assert of_kind(findings, "left_out")
    assert not of_kind(findings, "shift")


def test_a_table_that_cannot_be_cut_is_told(tmp_path: Path) -> None:
    rare = MADE.drop("label_time").with_columns(label=(pl.int_range(4000) == 7).cast(pl.Int8))
    findings = audited(tmp_path, rare)
    [refusal] = of_kind(findings, "blocks")
    assert refusal["severity"] == "error"
    assert "The test block has 0 frauds" in refusal["message"]
    assert "there are no blocks" in of_kind(findings, "left_out")[0]["message"]


def test_a_table_without_features_is_told(tmp_path: Path) -> None:
    bare = MADE.select("transaction_id", "time", "card_id", "label", amount=1.0)
    findings = audited(tmp_path, bare, "features.time_parts=[]")
    assert "No column is left" in of_kind(findings, "features")[0]["message"]
    assert of_kind(findings, "left_out")


def test_costs_that_train_would_refuse_are_told(tmp_path: Path) -> None:
    holed = MADE.drop("label_time").with_columns(
        amount=pl.when(pl.int_range(4000) != 7).then("amount")
    )
    [refusal] = of_kind(audited(tmp_path, holed), "costs")
    assert "column 'amount' is null in 1 " in refusal["message"]


def nasty() -> pl.DataFrame:
    """A table with something wrong in most of its columns, under names that are no easier."""
    generator = np.random.default_rng(0)
    rows = 3000
    fraud = np.arange(rows) % 25 == 0
    time = datetime(2026, 5, 4) + pl.Series(np.arange(rows)) * timedelta(hours=1)
    card = pl.Series(generator.integers(1, 300, rows)).cast(pl.String)
    month = time.dt.month()
    frame = pl.DataFrame(
        {
            "No.": [f"A{row:05d}" for row in range(rows)],
            "when (UTC)": time,
            "card #": pl.select(pl.when(pl.Series(fraud)).then("0" + card).otherwise(card)),
            "Amount, €": generator.lognormal(3, 1, rows),
            "is fraud?": np.where(fraud, "yes", "no"),
            "reason": [("04" if one else None) for one in fraud & (np.arange(rows) % 2 == 0)],
            "booked": time + timedelta(days=2),
            "opened": (time - timedelta(days=400)).dt.to_string("%d/%m/%Y"),
            "device": pl.select(pl.when(month != 7).then(pl.lit("x"))).to_series(),
            "version": "1.0",
            "score^": generator.normal(size=rows) + 3 * (np.arange(rows) > 2400),
            "shop": np.where(np.arange(rows) > 2500, "new", np.where(fraud, "a", "b")),
        }
    )
    cents = (pl.col("Amount, €") * 100).round().cast(pl.Int64)
    moved = frame.with_columns(cents.alias("amount in cents"))
    order = np.arange(rows)
    order[[100, 2000]] = order[[2000, 100]]
    return pl.concat([moved[order], moved[:60].with_columns(pl.col("No.") + "b")])


def test_a_nasty_file_is_read_and_told(tmp_path: Path) -> None:
    path = tmp_path / "nasty.csv"
    nasty().write_csv(path)
    roles = {
        "label": "'is fraud?'",
        "time": "'when (UTC)'",
        "id": "'No.'",
        "entity": "'card #'",
        "amount": "'Amount, €'",
    }
    assert (
        main(
            [
                "audit",
                "data=table",
                f"data.path={path}",
                "data.positive=yes",
                "data.as_of='2026-08-30'",
                "data.labels_complete=true",
                *(f"data.columns.{role}={name}" for role, name in roles.items()),
                f"output_dir={tmp_path / 'run'}",
            ]
        )
        == 0
    )
    findings = read_json(tmp_path / "run" / "audit.json")["findings"]
    assert {(one["kind"], one["column"]) for one in findings} >= {
        ("filled_for_frauds", "reason"),
        ("copied_rows", None),
        ("spelling", "card #"),
        ("late_date", "booked"),
        ("text_date", "opened"),
        ("future", "when (UTC)"),
        ("disorder", "when (UTC)"),
        ("missing_by_month", "device"),
        ("constant", "version"),
        ("twin", "amount in cents"),
        ("new_categories", "shop"),
        ("shift", None),
    }


def test_a_table_that_cannot_be_read_leaves_nothing(tmp_path: Path, capsys: CapSys) -> None:
    path = tmp_path / "table.csv"
    for content in (None, "", "a,b\n", "label,x\n1,2\n0,1,2\n"):
        if content is not None:
            path.write_text(content)
        assert main(words(path)) == 3
        assert "Traceback" not in capsys.readouterr().err
        assert not (tmp_path / "run").exists()
        assert not (tmp_path / "run.partial").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["split=time", "data.columns.time=null"], "split=time needs data.columns.time"),
        (["audit.alow=[x]"], "Did you mean 'allow'?"),
    ],
)
def test_a_wrong_config_ends_with_2(
    more: list[str], said: str, tmp_path: Path, capsys: CapSys
) -> None:
    path = tmp_path / "table.parquet"
    MADE.write_parquet(path)
    given = [
        word for word in words(path) if not any(word.startswith(m.split("=")[0]) for m in more)
    ]
    assert main([*given, *more]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_is_named_after_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["audit", *simulated()]) == 0
    [folder] = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("_audit")


def test_a_key_that_is_named_twice_is_told_once(tmp_path: Path) -> None:
    spelt = pl.when(pl.int_range(4000) % 2 == 0).then(pl.col("card_id").str.to_lowercase())
    frame = MADE.drop("label_time").with_columns(spelt.otherwise("card_id").alias("card_id"))
    findings = audited(tmp_path, frame, "features.keys=[card_id,terminal_id]")
    assert [one["column"] for one in of_kind(findings, "spelling")] == ["card_id"]


def test_excluded_columns_are_not_looked_at(tmp_path: Path) -> None:
    frame = MADE.drop("label_time").with_columns(secret=pl.col("label"), other=pl.lit(1))
    findings = audited(tmp_path, frame, "data.columns.exclude=[secret]")
    assert not [one for one in findings if "secret" in one["message"]]


def test_from_python_it_returns_the_findings_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    roles = ColumnRoles(time="time", id="transaction_id", entity="card_id", amount="amount")
    settings = Settings(data=DataSettings(columns=roles, labels_complete=True))
    frame = MADE.drop("label_time").with_columns(copy=pl.col("label"))
    done = audit(frame, settings)
    assert [one.kind for one in done.findings if one.severity == "error"] == ["leak"]
    assert done.folder is None
    assert list(tmp_path.iterdir()) == []
    allowed = Settings(data=settings.data, audit=AuditSettings(("copy",)))
    assert not [one for one in audit(frame, allowed).findings if one.severity == "error"]
    assert audit(frame[:0], settings).findings[0].kind == "empty_table"


def test_train_warns_of_what_is_cheap_to_see(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    late = MADE.drop("label_time").with_columns(booked=pl.col("time") + timedelta(days=2))
    copies = late[:100].with_columns(pl.col("transaction_id") + 10_000)
    pl.concat([late, copies]).write_parquet(path)
    few = ["learner.num_iterations=30", "evaluation.replicates=100", "threads=1"]
    assert main(["train", *words(path)[1:], *few]) == 0
    lines = (tmp_path / "run" / "run.log").read_text().splitlines()
    warned = [line for line in lines if "WARNING fraudml.audit" in line]
    assert len(warned) == 2
    assert "column 'booked' is later than the row's own time" in warned[0]
    assert "100 of 4,100 rows (2.44%) repeat an earlier row" in warned[1]


@pytest.mark.slow
@pytest.mark.parametrize("data", ["ulb", "handbook", "gmsc"])
def test_real_data_have_no_errors(data: str, tmp_path: Path) -> None:
    if not (Path(os.environ.get("FRAUDML_DATA", "data")) / f"{data}.parquet").exists():
        pytest.skip(f"needs {data}.parquet in FRAUDML_DATA")
    assert main(["audit", f"data={data}", f"output_dir={tmp_path / 'run'}"]) == 0
    findings = read_json(tmp_path / "run" / "audit.json")["findings"]
    assert not [one for one in findings if one["severity"] == "error"]
    assert len(findings) < 6


def test_a_time_in_a_format_of_its_own_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    text = pl.col("time").dt.strftime("%d.%m.%Y %H:%M")
    MADE.drop("label_time").with_columns(text).write_csv(path)
    shape = 'data.csv.time_format="%d.%m.%Y %H:%M"'
    assert main(words(path, shape)) == 0
    found = read_json(tmp_path / "run" / "audit.json")["findings"]
    assert not [one for one in found if one["severity"] == "error"]
