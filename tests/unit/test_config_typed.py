"""What was typed: texts as they are, numbers of the environment, files with a byte order mark."""

from __future__ import annotations

from pathlib import Path

import pytest

from fraudml.config import load_settings
from fraudml.config.parse import dump


@pytest.mark.parametrize("text", ["2026_11_29", "1e5", "007", "true", "1.50", "0x1F"])
def test_where_a_text_is_expected_it_is_what_was_typed(text: str) -> None:
    settings = load_settings("train", [f"run_name={text}", f"output_dir={text}"])
    assert (settings.run_name, settings.output_dir) == (text, text)
    columns = load_settings("train", [f"data.columns.exclude=[a,{text},b]"]).data.columns
    assert columns.exclude == ("a", text, "b")


def test_a_number_of_the_environment_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["learner.num_leaves=${oc.env:LEAVES,6}", "run_name=${oc.env:DAY}"]
    monkeypatch.setenv("DAY", "2026_01_02")
    settings = load_settings("train", overrides)
    assert settings.run_name == "2026_01_02"
    assert dump(settings)["learner"]["num_leaves"] == 6
    monkeypatch.setenv("LEAVES", "12")
    assert dump(load_settings("train", overrides))["learner"]["num_leaves"] == 12


def test_an_experiment_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ncommand: train\nrun_name: marked\n"
    (tmp_path / "experiment" / "marked.yaml").write_text(text, encoding="utf-8-sig")
    settings = load_settings("train", ["+experiment=marked"], config_dir=tmp_path)
    assert settings.run_name == "marked"
