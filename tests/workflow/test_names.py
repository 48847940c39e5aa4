"""Names and values of a table are data in every command: no markup, no format, no control."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from builders import cards, execute, quick
from fraudml.cli import main

HOSTILE = "a{b}{} %s $x$ [red]\x1b[31m<i>\"'\\|`\u202e\nz"
ROLES = {"entity": "card_id", "amount": "amount", "group": "entry_mode"}

pytestmark = pytest.mark.slow


def test_hostile_names_and_values_go_through_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {name: f"{name} {HOSTILE}" for name in ("card_id", "amount", "entry_mode", "country")}
    table = cards().with_columns(pl.col("country") + HOSTILE).rename(names)
    table.write_parquet(source := tmp_path / "cards.parquet")
    roles = {role: names[name] for role, name in ROLES.items()}
    columns = {"label": "label", "time": "time", "id": "transaction_id", **roles}
    config = {"data": {"path": str(source), "simulate": None, "columns": columns}}
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\n" + json.dumps(config)
    (tmp_path / "experiment" / "hostile.yaml").write_text(text, encoding="utf-8")
    words = ("--config-dir", str(tmp_path), "+experiment=hostile", "features=transactions")
    run = execute(
        tmp_path / "run", "train", *words, *quick(), "proof=false", "split.label_delay=3d"
    )
    assert main(["audit", *words, "data.columns.group=null", f"output_dir={tmp_path / 'a'}"]) == 0
    assert main(["show", f"bundle={run}"]) == 0
    scored = f"output={tmp_path / 'scores.csv'}"
    short = ("allow_short_history=true", "reasons=3", "threads=1")
    assert main(["score", f"bundle={run}", f"input={source}", scored, *short]) == 0
    printed = capsys.readouterr()
    assert "\\x1b[31m" in printed.out
    shown = [printed.out, printed.err, (tmp_path / "scores.csv").read_text(encoding="utf-8")]
    files = [run / name for name in ("report.html", "report.md", "run.log")]
    shown += [path.read_text(encoding="utf-8") for path in files]
    assert not [text for text in shown if "\x1b" in text or "\u202e" in text]
    reasons = pl.read_csv(tmp_path / "scores.csv")["reason_1"].drop_nulls()
    assert reasons.str.contains("a{b}{} %s $x$ [red]", literal=True).any()
