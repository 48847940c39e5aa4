"""`scripts/compare_checkouts.py`: what it calls a difference, and that a cell is run once."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

TOP = Path(__file__).parents[2]

FAKE = '''
"""Stands in for fraudml: numbers from `conf/numbers.yaml`, a line in RUNS for every command."""
import json, os, pathlib, sys
import polars as pl

command, *words = sys.argv[1:]
options = dict(word.lstrip("+").split("=", 1) for word in words)
top = pathlib.Path(__file__).parents[1]
numbers = json.loads((top / "conf" / "numbers.yaml").read_text())
steps = options.get("split.steps") or options.get("split.folds")
with open(os.environ["RUNS"], "a") as runs:
    runs.write(f"{top.name} {command} {steps}\\n")
scores = pl.DataFrame({"score": [0.25, numbers["score"]]})
if command == "train":
    run = pathlib.Path(options["output_dir"])
    run.mkdir()
    metrics = {"run": {"seconds": os.getpid()}, "test": {"cost": numbers["cost"]}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    scores.write_parquet(run / "test_scores.parquet")
    if numbers["exit_code"] == 0:
        (run / "bundle").mkdir()
        (run / "bundle" / "manifest.json").write_text(json.dumps(numbers))
    sys.exit(numbers["exit_code"])
manifest = options.get("bundle") and pathlib.Path(options["bundle"], "manifest.json")
value = json.loads(manifest.read_text())["score"] if manifest else 0.0
pl.DataFrame({"score": [value + numbers["error"]]}).write_parquet(options["output"])
'''
NUMBERS = {"score": 0.1, "cost": 7.0, "exit_code": 0, "error": 0.0}


@pytest.fixture(scope="module")
def script() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOP / "scripts"))
        return import_module("compare_checkouts")


Checkouts = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkouts and what they have computed, kept so that every test runs what is new."""
    return tmp_path_factory.mktemp("checkouts")


@pytest.fixture
def compare(script: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Checkouts:
    """Compare two checkouts that differ in these numbers; the exit code, and what has run."""
    runs = folder / "runs.txt"
    monkeypatch.setenv("RUNS", str(runs))

    def compared(*words: str, kept: str = "kept", **changes: Any) -> tuple[int, list[str]]:
        runs.write_text("", encoding="utf-8")
        for name, numbers in (("before", NUMBERS), ("after", NUMBERS | changes)):
            for path, text in {
                "fraudml/__init__.py": "",
                "fraudml/__main__.py": FAKE,
                "conf/numbers.yaml": json.dumps(numbers),
            }.items():
                (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / name / path).write_text(text, encoding="utf-8")
        folders = [str(folder / name) for name in ("before", "after")]
        cells = ["--data", "simulated", "--experiments", "baseline"]
        results = ["--results", str(folder / kept)]
        code: int = script.main([*folders, *results, *cells, *words])
        return code, runs.read_text(encoding="utf-8").splitlines()

    return compared


def test_equal_checkouts_end_with_0_and_are_not_run_again(compare: Checkouts) -> None:
    code, runs = compare(kept="new")
    assert code == 0
    assert [run.split()[:2] for run in runs] == [
        ["before", "train"],
        ["after", "train"],
        ["before", "simulate"],
        ["before", "score"],
        ["after", "score"],
    ]
    assert compare(kept="new") == (0, [])


def test_only_the_checkout_that_has_changed_is_run_again(compare: Checkouts) -> None:
    compare()
    code, runs = compare(cost=7.5)
    assert code == 1
    assert [run.split()[:2] for run in runs] == [["after", "train"], ["after", "score"]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cost": 7.000000000000001}, "metrics.json test/cost: 7.0 is now 7.000000000000001"),
        ({"cost": 7}, "metrics.json test/cost: 7.0 is now 7"),
        ({"score": 0.1 + 2**-56}, "test_scores.parquet column score, 1 rows, first 1: 0.1 is now"),
        ({"exit_code": 4}, "exit code: 0 is now 4"),
        ({"error": 2**-56}, "bundle's scores column score, 1 rows, first 0: 0.1 is now"),
    ],
)
def test_any_difference_ends_with_1_and_is_kept(
    compare: Checkouts,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    words: str,
) -> None:
    assert compare(**changes)[0] == 1
    assert words in capsys.readouterr().out
    kept = json.loads((folder / "kept/simulated-baseline/cell.json").read_text())
    assert words in kept["differences"][0]


def test_runs_that_both_fail_are_no_equality_and_are_tried_again(
    compare: Checkouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NUMBERS, "exit_code", 3)
    for _ in range(2):
        code, runs = compare()
        assert code == 1
        assert [run.split()[:2] for run in runs] == [["before", "train"], ["after", "train"]]


def test_a_model_that_both_refuse_is_compared_without_a_bundle(
    compare: Checkouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NUMBERS, "exit_code", 4)
    code, runs = compare()
    assert code == 0
    assert not [run for run in runs if "score" in run]
    assert compare(cost=8.0)[0] == 1


def test_an_override_has_its_new_name_in_the_second_checkout(compare: Checkouts) -> None:
    words = ["--overrides", "split.steps=6", "--renamed", "split.steps=split.folds"]
    code, runs = compare(*words)
    assert code == 0
    assert "before train 6" in runs
    assert "after train 6" in runs


def test_a_folder_without_fraudml_is_refused(script: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is no checkout of fraudml"):
        script.find_checkout(tmp_path)


def test_what_is_renamed_is_compared_under_its_new_name(script: Any) -> None:
    before = {"rivals": {"amount": {"value": 1}}, "steps": {"steps": 4}, "ended": "over", "old": {}}
    after = {"baselines": {"amount": {"value": 1}}, "steps": {"folds": 4}, "ended": "exhausted"}
    after["extra"] = [1]
    renames = script.Renames(
        keys={"rivals": "baselines", "steps/steps": "steps/folds"},
        values={"over": "exhausted"},
        removed=["old"],
        added=["extra"],
    )
    assert script.metric_differences(before, after, renames) == []
    assert len(script.metric_differences(before, after, script.Renames())) == 7


def test_a_value_under_a_new_name_still_has_to_be_the_same(script: Any) -> None:
    found = script.metric_differences({"a": 1}, {"b": 2}, script.Renames(keys={"a": "b"}))
    assert found == ["b: 1 is now 2"]


def test_two_keys_under_one_new_name_are_refused(script: Any) -> None:
    with pytest.raises(SystemExit, match="Two keys are renamed to 'b'"):
        script.metric_differences({"a": 1, "b": 1}, {"b": 1}, script.Renames(keys={"a": "b"}))


def test_a_value_that_reads_absent_is_not_a_missing_key(script: Any) -> None:
    assert script.metric_differences({"a": "absent"}, {}, script.Renames())
    assert script.metric_differences({"a": None}, {}, script.Renames())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1.0], [1.0 + 2**-52]),
        ([0.0], [-0.0]),
        ([1.0], [None]),
        ([1.0], [float("nan")]),
        ([1.0, 2.0], [2.0, 1.0]),
        ([1.0], [1.0, 1.0]),
        ([1], [1.0]),
        (["a"], ["b"]),
    ],
)
def test_tables_that_differ(script: Any, before: list[Any], after: list[Any]) -> None:
    tables = [pl.DataFrame({"score": values}) for values in (before, after)]
    assert len(script.frame_differences(*tables, script.Renames())) == 1


def test_tables_that_are_equal_by_new_names(script: Any) -> None:
    values = [0.1, None, float("nan"), -0.0]
    before, after = pl.DataFrame({"p": values}), pl.DataFrame({"score": values})
    assert script.frame_differences(before, after, script.Renames(keys={"p": "score"})) == []
    assert len(script.frame_differences(before, after, script.Renames())) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values, json_values)
def test_documents_are_equal_where_their_texts_are(script: Any, before: Any, after: Any) -> None:
    documents = [json.dumps({"a": value}, sort_keys=True) for value in (before, after)]
    found = script.metric_differences(*map(json.loads, documents), script.Renames())
    assert (not found) == (documents[0] == documents[1])


def test_rows_are_limited_for_all_tables_or_for_one(script: Any) -> None:
    assert script.row_limits(["500", "ulb=70"]) == {
        "simulated": 500,
        "ulb": 70,
        "handbook": 500,
        "gmsc": 500,
    }
    for wrong in ("0", "few", "other=5", "=5"):
        with pytest.raises(SystemExit, match="--rows"):
            script.row_limits([wrong])


def test_a_table_is_thinned_by_whole_cards(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pl.DataFrame({"CUSTOMER_ID": [card % 10 for card in range(100)]})
    table.write_parquet(tmp_path / "handbook.parquet")
    monkeypatch.setenv("FRAUDML_DATA", str(tmp_path))
    checkout = script.Checkout(tmp_path, "")
    for limit, rows in ((20, 20), (35, 40), (100, 100)):
        comparison = script.Comparison(
            checkout, checkout, tmp_path / "results", script.Renames(), {}, {"handbook": limit}, ()
        )
        thinned = pl.read_parquet(comparison.table("handbook"))
        assert thinned.height == rows, limit
        assert thinned["CUSTOMER_ID"].value_counts()["count"].unique().to_list() == [10]


@pytest.mark.slow
def test_a_checkout_is_equal_to_itself(script: Any, tmp_path: Path) -> None:
    small = ["learner.num_iterations=10", "evaluation.replicates=100", "proof=false", "threads=1"]
    words = ["--data", "simulated", "--experiments", "baseline", "--rows", "20000"]
    results = ["--results", str(tmp_path)]
    assert script.main([str(TOP), str(TOP), *results, *words, "--overrides", *small]) == 0
