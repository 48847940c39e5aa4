"""Benchmark records: what `--record` writes, and the page and pictures drawn from them."""

from __future__ import annotations

import argparse
import ast
import json
import sys
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from fraudml import __version__

SCRIPTS = Path(__file__).parents[2] / "scripts"
FOLDER = SCRIPTS.parent / "docs" / "benchmarks"
MEASURES = [
    path
    for path in sorted(SCRIPTS.glob("*.py"))
    if path.stem.split("_")[0] in ("bench", "simulate", "find", "handbook")
]
RECORDS = sorted(FOLDER.glob("*/*.json"))


@pytest.fixture(autouse=True)
def scripts_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


def script(name: str) -> Any:
    return import_module(name)


def record_of(folder: Path, variant: str = "", **measured: float) -> Any:
    """Record figures of these seconds as a script would, and read them again."""
    record = script("record")
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10)
    record.add_option(parser)
    arguments = parser.parse_args(["--record", str(folder)])
    with record.recording("bench_it.py", "What it\ncosts.\n\nMore.", arguments, variant) as figures:
        for name, seconds in measured.items():
            figures.add(name, seconds, "s", [seconds, seconds + 1])
    name = f"bench_it_{variant}.json" if variant else "bench_it.json"
    return record.read_record(folder / name)


def released(folder: Path, release: str, run: Any, **changes: Any) -> Any:
    """Keep a record as that of a release."""
    run = replace(run, versions={**run.versions, "fraudml": release}, **changes)
    path = folder / release / f"{run.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(run)), encoding="utf-8")
    return run


@pytest.mark.parametrize("path", MEASURES, ids=lambda path: path.stem)
def test_every_benchmark_takes_record_and_measures_inside_it(path: Path) -> None:
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert {"record.add_option", "record.recording", "figures.add"} <= calls


def test_a_record_has_what_was_measured_of_which_code_and_where(tmp_path: Path) -> None:
    run = record_of(tmp_path / "new" / "run", slow=2.0, fast=1.0)
    assert run.name == "bench_it"
    assert run.description == "What it costs."
    assert run.arguments == {"rows": 10}
    assert run.versions["fraudml"] == __version__
    assert run.machine["cpu"]
    assert run.machine["cores"] >= 1
    assert [figure.name for figure in run.figures] == ["slow", "fast"]
    assert [figure.value for figure in run.figures] == [2.0, 1.0]
    assert run.figures[0].repeats == [2.0, 3.0]
    assert run.load_before is None or len(run.load_before) == 3
    assert record_of(tmp_path, "variant", slow=1.0).name == "bench_it_variant"


def test_a_figure_that_is_no_number_or_stands_twice_is_refused() -> None:
    figures = script("record").Figures()
    figures.add("time", 1.0, "s")
    with pytest.raises(ValueError, match="'time' is added twice"):
        figures.add("time", 2.0, "s")
    with pytest.raises(ValueError, match="finite"):
        figures.add("other", float("nan"), "s")
    with pytest.raises(ValueError, match="finite"):
        figures.add("other", 1.0, "s", [1.0, float("inf")])


def test_a_run_that_measured_nothing_or_failed_leaves_no_record(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="measured nothing"):
        record_of(tmp_path)
    record = script("record")
    arguments = argparse.Namespace(record=tmp_path / "run.json")
    with (
        pytest.raises(ZeroDivisionError),
        record.recording("bench_it.py", None, arguments) as figures,
    ):
        figures.add("time", 1.0 / 0.0, "s")
    assert not list(tmp_path.iterdir())


def test_a_record_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"schema_version": 2}', encoding="utf-8")
    with pytest.raises(SystemExit, match="schema_version is 2"):
        script("record").read_record(path)


def test_the_page_and_pictures_are_not_stale() -> None:
    drawn = script("draw_benchmarks").pages()
    there = {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert there == set(drawn), "run: python scripts/draw_benchmarks.py"
    for name, text in drawn.items():
        present = (FOLDER / name).read_text(encoding="utf-8")
        assert present == text, f"{name}: run: python scripts/draw_benchmarks.py"


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_records_kept_are_of_committed_code_and_hold_no_path(path: Path) -> None:
    run = script("record").read_record(path)
    assert len(run.commit) == 40
    assert not run.modified
    assert run.figures
    assert "/" not in json.dumps(asdict(run)["arguments"])


def test_a_figure_is_drawn_for_every_release_in_order(tmp_path: Path) -> None:
    run = record_of(tmp_path / "new" / "run", slow=2.0, fast=1.0)
    for release in ("0.10.0", "0.9.0", "1.0.0", "1.0.0rc1"):
        released(tmp_path, release, run)
    drawn = script("draw_benchmarks").pages(tmp_path)
    assert set(drawn) == {"releases.md", "bench_it.svg"}
    page = drawn["releases.md"]
    assert "| figure | unit | 0.9.0 | 0.10.0 | 1.0.0rc1 | 1.0.0 |" in page
    value = "2 (2 to 3, 2 runs)"
    assert f"| slow | s | {value} | {value} | {value} | {value} |" in page
    bars = bars_of(drawn["bench_it.svg"])
    assert [kind for kind, _ in bars] == ["bar"] * 8
    slow, fast = bars[0][1], bars[4][1]
    assert slow == pytest.approx(2 * fast, abs=0.2)


def test_runs_that_do_not_compare_with_the_latest_are_hollow(tmp_path: Path) -> None:
    run = record_of(tmp_path / "new" / "run", slow=2.0)
    released(tmp_path, "0.1.0", run, arguments={"rows": 20})
    released(tmp_path, "0.2.0", run, machine={**run.machine, "cores": 99})
    released(tmp_path, "0.3.0", run)
    released(tmp_path, "0.4.0", run)
    bars = bars_of(script("draw_benchmarks").pages(tmp_path)["bench_it.svg"])
    assert [kind for kind, _ in bars] == ["hollow", "hollow", "bar", "bar"]


def test_a_figure_that_a_release_lacks_is_an_empty_cell(tmp_path: Path) -> None:
    released(tmp_path, "0.1.0", record_of(tmp_path / "new" / "run", old=1.0, both=1.0))
    released(tmp_path, "0.2.0", record_of(tmp_path / "new" / "run", both=-1.0))
    drawn = script("draw_benchmarks").pages(tmp_path)
    assert "| both | s | 1 (1 to 2, 2 runs) | -1 (-1 to 0, 2 runs) |" in drawn["releases.md"]
    assert "| old | s | 1 (1 to 2, 2 runs) |  |" in drawn["releases.md"]
    assert all(width >= 0 for _, width in bars_of(drawn["bench_it.svg"]))


def test_a_record_in_the_folder_of_another_release_is_refused(tmp_path: Path) -> None:
    run = record_of(tmp_path / "new" / "run", slow=2.0)
    released(tmp_path, "0.1.0", run)
    (tmp_path / "0.1.0").rename(tmp_path / "0.2.0")
    with pytest.raises(SystemExit, match=r"is the record 0\.1\.0/bench_it\.json\. Move it"):
        script("draw_benchmarks").pages(tmp_path)


def bars_of(picture: str) -> list[tuple[str, float]]:
    """The kind and the width of each bar of a picture."""
    root = ElementTree.fromstring(picture)
    shapes = root.iter("{http://www.w3.org/2000/svg}rect")
    return [
        (shape.attrib["class"], float(shape.attrib["width"]))
        for shape in shapes
        if "class" in shape.attrib
    ]


SMALL = {
    "bench_losses": ["--rows", "4000", "--rounds", "2", "--repeats", "1"],
    "simulate_precision_floor": ["--runs", "2"],
    "bench_intervals": [
        *("--rows", "9000", "--frauds", "90", "--cards", "1000"),
        *("--replicates", "20", "--threads", "1"),
    ],
    "bench_score": ["--rows", "1000", "--trees", "5"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_small_run_is_recorded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    monkeypatch.setattr(sys, "argv", [name, *SMALL[name], "--record", str(path)])
    script(name).main()
    printed = capsys.readouterr().out
    run = script("record").read_record(path)
    assert run.name.startswith(name)
    assert len(run.figures) > 1
    assert printed
