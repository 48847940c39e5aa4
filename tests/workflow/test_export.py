"""The export command and `score engine=onnx`: files, checks, exit codes."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest

from builders import CapSys, cards, errors, read_json, simulated
from fraudml.bundle import DecisionBundle, read_bundle
from fraudml.cli import main
from fraudml.data.check import conform_table
from fraudml.decisions.calibration import FittedCalibrator
from fraudml.export.graph import onnx_graph
from fraudml.files import sha256
from fraudml.matrix import DesignMatrix
from fraudml.scoring import load_bundle

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler; install gcc"
)


def trained(folder: Path, *more: str) -> Path:
    command = [
        *("train", f"output_dir={folder}", "threads=1", "proof=false", "evaluation.replicates=0"),
        *simulated(),
        *("rounds.choose=false", *more),
    ]
    assert main(command) == 0
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LightGBM with features that look back, undersampled, so that there is prior correction."""
    folder = tmp_path_factory.mktemp("lightgbm") / "run"
    more = ("features=transactions", "resampling=random_under", "learner.num_iterations=25")
    return trained(folder, *more)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "rows.parquet"
    cards().write_parquet(path)
    return path


def export(bundle: Path, form: str, output: Path, *more: str) -> int:
    command = ["export", f"bundle={bundle}", f"format={form}", f"output={output}", "threads=1"]
    return main([*command, *more])


def record_of(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(path)
    return content


def test_onnx_gives_the_test_blocks_scores(run: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    output = tmp_path / "new" / "model.onnx"
    assert export(run, "onnx", output) == 0
    assert sorted(one.name for one in output.parent.iterdir()) == ["model.onnx", "model.onnx.json"]
    record = record_of(tmp_path / "new" / "model.onnx.json")
    expected = pl.read_parquet(run / "test_scores.parquet")
    assert record["check"]["rows"] == expected.height
    assert record["check"]["alerts"] == expected["alert"].sum() > 0
    assert record["check"]["flipped_alerts"] == 0
    assert record["check"]["largest_difference"] < 1e-15
    assert record["check"]["origin"] == "the test block"
    assert record["files"] == sha256(output)
    assert record["offset"] == read_bundle(run / "bundle").offset < 0

    bundle = load_bundle(run / "bundle").bundle
    whole = cards()
    table = conform_table(whole, bundle.schema, bundle.needed_columns, labelled=True)
    last = np.flatnonzero(whole["transaction_id"].is_in(expected["id"].implode()).to_numpy())
    X = bundle.features.matrix(table, last)
    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    margin, p = session.run(["margin", "probability"], {"features": X.values})
    by_id = pl.DataFrame({"id": whole["transaction_id"].gather(last), "m": margin, "p": p})
    both = expected.join(by_id, on="id")
    # With threads of its own it adds up trees in another order.
    np.testing.assert_allclose(both["m"], both["margin"], rtol=0, atol=1e-13)
    np.testing.assert_allclose(both["p"], both["score"], rtol=0, atol=1e-15)


@needs_compiler
def test_c_is_a_folder_that_compiles_and_predicts(
    run: Path, source: Path, tmp_path: Path, capfd: CapSys
) -> None:
    output = tmp_path / "model_c"
    assert export(run, "c", output, f"input={source}") == 0
    assert "translation units" not in "".join(capfd.readouterr())
    record = record_of(output / "export.json")
    names = {one.relative_to(output).as_posix() for one in output.rglob("*") if one.is_file()}
    assert set(record["files"]) == names - {"export.json"}
    assert {"README.txt", "fraudml_model.h", "fraudml_model.c", "trees/main.c"} < names
    assert record["check"]["rows"] == 6000
    assert record["check"]["origin"] == "input"
    readme = (output / "README.txt").read_text(encoding="utf-8")
    assert "correction within (-" in readme
    assert record["calibrator"]["kind"] in readme
    library = ctypes.CDLL(str(output / "libfraudml_model.so"))
    library.fraudml_calibrate.restype = ctypes.c_double
    bundle = read_bundle(run / "bundle")
    p = library.fraudml_calibrate(ctypes.c_double(-1.5))
    assert p == pytest.approx(bundle.calibrator.probability(np.array([-1.5]))[0], rel=1e-13)
    assert export(run, "c", output, f"input={source}") == 2  # a folder is never overwritten


def test_lightgbm_is_its_own_text_and_says_what_it_lacks(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.txt"
    assert export(run, "lightgbm", output) == 0
    record = record_of(tmp_path / "model.txt.json")
    assert record["check"]["largest_difference"] == 0
    assert any("prior correction" in one for one in record["lacks"])
    assert any("calibration" in one for one in record["lacks"])
    bundle = read_bundle(run / "bundle")
    values = np.random.default_rng(0).gamma(1, 30, (50, len(bundle.features.names)))
    X = DesignMatrix(values.astype(np.float32), bundle.features.names, bundle.features.categorical)
    raw = lightgbm.Booster(model_file=str(output)).predict(X.values, raw_score=True)
    np.testing.assert_array_equal(raw, bundle.learner.margin(X))
    assert export(run, "lightgbm", output) == 2
    assert export(run, "lightgbm", output, "overwrite=true") == 0


def test_an_export_that_differs_is_refused_and_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CapSys
) -> None:
    output = tmp_path / "model.onnx"
    assert export(run, "onnx", output, "tolerance=0") == 4
    assert "is not the bundle's model" in capsys.readouterr().err

    def other(bundle: DecisionBundle, fingerprint: str) -> bytes:
        wrong = replace(bundle, calibrator=FittedCalibrator("sigmoid", (0.9, -1.0)))
        return onnx_graph(wrong, fingerprint)

    monkeypatch.setattr("fraudml.workflows.export.onnx_graph", other)
    assert export(run, "onnx", output, "tolerance=0.9") == 4  # alerts flip
    assert "alerts differ" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def alone(run: Path, tmp_path: Path) -> Path:
    """The bundle without its run."""
    return Path(shutil.copytree(run / "bundle", tmp_path / "alone"))


def of_another_table(run: Path, tmp_path: Path) -> Path:
    copied = Path(shutil.copytree(run, tmp_path / "copied"))
    text = (copied / "config.yaml").read_text(encoding="utf-8")
    changed = text.replace("prevalence: 0.05", "prevalence: 0.06")
    assert changed != text
    (copied / "config.yaml").write_text(changed, encoding="utf-8")
    return copied


@pytest.mark.parametrize(
    ("prepared", "said"),
    [
        (alone, "is in no folder of a run"),
        (of_another_table, "not the one that the model was trained on"),
    ],
)
def test_without_rows_it_says_what_to_pass(
    prepared: Callable[[Path, Path], Path],
    said: str,
    run: Path,
    source: Path,
    tmp_path: Path,
    capsys: CapSys,
) -> None:
    bundle = prepared(run, tmp_path)
    output = tmp_path / "model.onnx"
    assert export(bundle, "onnx", output) == 2
    error = errors(capsys)
    assert said in error
    assert "input=new.parquet" in error
    assert not output.exists()
    assert export(bundle, "onnx", output, f"input={source}") == 0


def test_wrong_commands_are_refused_before_any_work(
    run: Path, source: Path, tmp_path: Path, capsys: CapSys
) -> None:
    output = tmp_path / "model.onnx"
    inside = run / "bundle" / "model.onnx"
    empty = tmp_path / "empty.parquet"
    pl.read_parquet(source).head(0).write_parquet(empty)
    assert main(["export", f"bundle={run}", f"output={output}"]) == 2
    assert main(["export", f"bundle={run}", "format=onnx"]) == 2
    assert export(run, "onnnx", output) == 2
    assert export(run, "onnx", inside) == 2
    assert export(run, "onnx", output, "tolerance=2") == 2
    assert export(run, "onnx", source, f"input={source}", "overwrite=true") == 2
    assert export(tmp_path / "none", "onnx", output) == 6
    assert export(run, "onnx", output, f"input={empty}") == 3
    assert "has no row that can be scored" in capsys.readouterr().err
    assert not inside.exists()
    assert not output.exists()


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("learner", ["xgboost", "catboost", "logistic", "bagged_lightgbm"])
def test_other_learners(learner: str, source: Path, tmp_path: Path) -> None:
    rounds = {
        "xgboost": ("learner.n_estimators=25",),
        "catboost": (
            "learner.iterations=25",
            "features.drop=[merchant_category,entry_mode,country,device]",
        ),
        "bagged_lightgbm": ("learner.num_iterations=25",),
    }
    made = trained(tmp_path / "run", f"learner={learner}", *rounds.get(learner, ()))
    assert export(made, "onnx", tmp_path / "m.onnx") == 0
    assert export(made, "c", tmp_path / "c") == (2 if learner == "logistic" else 0)
    assert export(made, "lightgbm", tmp_path / "m.txt") == 2
    for engine in ("native", "onnx"):
        assert score(made, source, tmp_path / f"{engine}.parquet", f"engine={engine}") == 0
    one, other = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("native", "onnx"))
    assert one["alert"].equals(other["alert"])
    assert (one["score"] - other["score"]).abs().max() < 1e-6  # type: ignore[operator]


def score(bundle: Path, source: Path, output: Path, *more: str) -> int:
    command = ["score", f"bundle={bundle}", f"input={source}", f"output={output}", "threads=1"]
    return main([*command, *more])


def test_score_by_onnx_gives_the_same_bytes_and_says_so(
    columns_run: Path, source: Path, tmp_path: Path
) -> None:
    native, graph = tmp_path / "native.parquet", tmp_path / "graph.parquet"
    assert score(columns_run, source, native) == 0
    assert score(columns_run, source, graph, "engine=onnx", "chunk_rows=1700") == 0
    assert native.read_bytes() == graph.read_bytes()
    record = record_of(tmp_path / "graph.parquet.json")
    assert record["engine"] == "onnx"
    assert record["run"]["engine_check"]["rows"] == 1700
    assert record["run"]["engine_check"]["largest_difference"] == 0
    record = record_of(tmp_path / "native.parquet.json")
    assert (record["engine"], record["run"]["engine_check"]) == ("native", None)


def test_score_refuses_a_graph_that_is_not_the_model(
    columns_run: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CapSys
) -> None:
    def other(bundle: DecisionBundle) -> bytes:
        return onnx_graph(replace(bundle, offset=0.01))

    monkeypatch.setattr("fraudml.scoring.engine.onnx_graph", other)
    output = tmp_path / "scores.parquet"
    assert score(columns_run, source, output, "engine=onnx") == 4
    assert "engine=onnx is not the bundle's model: on 5,000 rows" in capsys.readouterr().err
    assert not output.exists()
    assert score(columns_run, source, output, "engine=onnnx") == 2


def test_a_job_of_one_engine_is_not_gone_on_with_by_another(
    columns_run: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fraudml.workflows import score as workflow

    keys = list[dict[str, Any]]()
    made = workflow.job_key

    def kept(*given: Any) -> dict[str, Any]:
        keys.append(made(*given))
        return keys[-1]

    monkeypatch.setattr(workflow, "job_key", kept)
    for engine in ("native", "onnx"):
        assert score(columns_run, source, tmp_path / f"{engine}.parquet", f"engine={engine}") == 0
    native, graph = keys
    assert native["settings"] != graph["settings"]
    assert "onnxruntime" in graph["versions"]
    assert "onnxruntime" not in native["versions"]
