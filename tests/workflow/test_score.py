"""The score command as a nightly job meets it: files, bits, rejects, exit codes, kills."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fraudml
from fraudml.cli import main
from fraudml.config.settings import Settings
from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate
from fraudml.decisions.policies import Constraint, TunedPolicy
from fraudml.scoring.checkpoint import checkpoint_folder
from fraudml.workflows.score import score_settings

CapSys = pytest.CaptureFixture[str]
SIMULATED = {"rows": 6000, "prevalence": 0.05, "cards": 400, "terminals": 60}
POSIX = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL; run it on Linux or macOS")


def table() -> pl.DataFrame:
    return simulate(SimulateSettings(**SIMULATED))  # type: ignore[arg-type]


def trained(folder: Path, features: str, *learner: str) -> Path:
    command = [
        *("train", f"features={features}", f"output_dir={folder}", "threads=1", "proof=false"),
        *(f"data.simulate.{key}={value}" for key, value in SIMULATED.items()),
        *(learner or ("learner.num_iterations=30",)),
        "evaluation.replicates=0",
    ]
    assert main(command) == 0
    return folder


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("columns") / "run", "columns")


@pytest.fixture(scope="module")
def looking_back(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("history") / "run", "transactions")


def blocks(run: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The test block's scores, its raw rows, and the rows before it."""
    expected = pl.read_parquet(run / "test_scores.parquet")
    whole = table()
    raw = whole.filter(pl.col("transaction_id").is_in(expected["id"].implode()))
    return expected, raw, whole.filter(pl.col("time") < raw["time"].min())


def write(frame: pl.DataFrame, path: Path) -> Path:
    {".csv": frame.write_csv, ".parquet": frame.write_parquet, ".arrow": frame.write_ipc}[
        path.suffix
    ](path)
    return path


def read(path: Path) -> pl.DataFrame:
    if path.suffix == ".csv":
        return pl.read_csv(path)
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ipc(path)


def score(run: Path, source: Path | str, output: Path, *more: str) -> int:
    command = ["score", f"bundle={run}", f"input={source}", f"output={output}", "threads=1"]
    return main([*command, *more])


def record(output: Path) -> dict[str, Any]:
    return json.loads(output.with_name(output.name + ".json").read_text())  # type: ignore[no-any-return]


def same_bits(made: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert made.columns == ["transaction_id", "score", "alert", "threshold"]
    assert made["transaction_id"].cast(pl.String).equals(expected["id"].cast(pl.String))
    assert made["score"].to_numpy().tobytes() == expected["score"].to_numpy().tobytes()
    assert made["alert"].equals(expected["alert"])


@pytest.mark.parametrize("chunk_rows", [25_000, 137])
@pytest.mark.parametrize("ending", ["parquet", "csv", "arrow"])
def test_the_test_block_scores_as_in_training(
    columns: Path, ending: str, chunk_rows: int, tmp_path: Path
) -> None:
    expected, raw, _ = blocks(columns)
    source, output = write(raw, tmp_path / f"in.{ending}"), tmp_path / f"out.{ending}"
    assert score(columns, source, output, f"chunk_rows={chunk_rows}") == 0
    same_bits(read(output), expected)
    told = record(output)
    assert told["rows"] == told["scored"] == len(raw)
    assert told["alerts"] == expected["alert"].sum()
    assert told["shift"]["score"]["psi"] == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        *(source.name, output.name, f"{output.name}.json"),
    }


@pytest.mark.parametrize("chunk_rows", [25_000, 137])
@pytest.mark.parametrize("endings", [("parquet", "csv"), ("csv", "parquet")])
def test_the_test_block_with_its_history_scores_as_in_training(
    looking_back: Path, endings: tuple[str, str], chunk_rows: int, tmp_path: Path
) -> None:
    expected, raw, earlier = blocks(looking_back)
    source = write(raw, tmp_path / f"in.{endings[0]}")
    history = write(earlier, tmp_path / f"before.{endings[1]}")
    output = tmp_path / "out.parquet"
    more = (f"history={history}", f"chunk_rows={chunk_rows}")
    assert score(looking_back, source, output, *more) == 0
    same_bits(read(output), expected)
    assert record(output)["history"]["gap_days"] > 0


def test_an_input_out_of_order_is_read_at_once_and_keeps_its_order(
    looking_back: Path, tmp_path: Path, capsys: CapSys
) -> None:
    expected, raw, earlier = blocks(looking_back)
    shuffled = raw.sample(fraction=1.0, shuffle=True, seed=1)
    source = write(shuffled, tmp_path / "in.parquet")
    history = write(earlier, tmp_path / "before.parquet")
    output = tmp_path / "out.parquet"
    assert score(looking_back, source, output, f"history={history}", "chunk_rows=100") == 0
    assert "not in the order of 'time'" in capsys.readouterr().err
    made = read(output)
    assert made["transaction_id"].equals(shuffled["transaction_id"])
    same_bits(made.sort("transaction_id"), expected.sort("id"))


def test_a_history_that_starts_too_late_is_refused_unless_it_is_allowed(
    looking_back: Path, tmp_path: Path, capsys: CapSys
) -> None:
    _, raw, earlier = blocks(looking_back)
    source = write(raw, tmp_path / "in.parquet")
    history = write(earlier.tail(200), tmp_path / "late.parquet")
    output = tmp_path / "out.parquet"
    assert score(looking_back, source, output, f"history={history}") == 3
    assert "allow_short_history=true" in capsys.readouterr().err
    assert score(looking_back, source, output) == 3
    assert "there is none" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "late.parquet"]
    assert score(looking_back, source, output, "allow_short_history=true") == 0


def test_folders_and_globs_are_read_in_the_order_of_their_names(
    columns: Path, tmp_path: Path
) -> None:
    expected, raw, _ = blocks(columns)
    folder = tmp_path / "days"
    folder.mkdir()
    for number in range(3):
        write(
            raw[number * 500 : (number + 1) * 500 if number < 2 else None],
            folder / f"{number}.parquet",
        )
    for source in (folder, f"{folder}/*.parquet"):
        output = tmp_path / "out.parquet"
        assert score(columns, source, output, "overwrite=true", "chunk_rows=333") == 0
        same_bits(read(output), expected)


def test_files_are_the_same_bytes_whatever_the_chunks(columns: Path, tmp_path: Path) -> None:
    source = write(blocks(columns)[1], tmp_path / "in.parquet")
    for ending in ("parquet", "csv", "arrow"):
        digests = set()
        for rows in (25_000, 1000, 91):
            output = tmp_path / f"out_{rows}.{ending}"
            assert score(columns, source, output, f"chunk_rows={rows}") == 0
            digests.add(hashlib.sha256(output.read_bytes()).hexdigest())
        assert len(digests) == 1


def test_rows_that_cannot_be_scored_are_put_aside_with_the_reason(
    columns: Path, tmp_path: Path, capsys: CapSys
) -> None:
    expected, raw, _ = blocks(columns)
    text = raw.with_columns(pl.col("time").cast(pl.String), pl.col("amount").cast(pl.String))
    text = text.with_row_index("at").with_columns(
        time=pl.when(pl.col("at") == 5).then(pl.lit("05/06/2026")).otherwise("time"),
        amount=pl.when(pl.col("at") == 7)
        .then(pl.lit("12,x"))
        .when(pl.col("at") != 9)
        .then("amount"),
    )
    source = write(text.drop("at"), tmp_path / "in.csv")
    output = tmp_path / "out.csv"
    assert score(columns, source, output, "chunk_rows=6") == 0
    rejects = read(tmp_path / "out.rejects.csv")
    assert rejects["row"].to_list() == [5, 7, 9]
    assert rejects["reason"].to_list() == [
        "'time' is not a time",
        "'amount' is not a number",
        "no amount in 'amount'",
    ]
    assert record(output)["rejects"] == dict.fromkeys(sorted(rejects["reason"]), 1)
    left = [row for row in range(len(raw)) if row not in (5, 7, 9)]
    same_bits(read(output), expected[left])
    capsys.readouterr()
    assert score(columns, source, tmp_path / "no.csv", "max_rejected=0.002") == 3
    told = capsys.readouterr().err
    assert "3 of the first" in told
    assert "1 rows: 'amount' is not a number" in told
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("no.")]


def test_the_rejects_of_an_earlier_run_do_not_stay(columns: Path, tmp_path: Path) -> None:
    raw = blocks(columns)[1]
    output = tmp_path / "out.parquet"
    bad = raw.with_columns(amount=pl.when(pl.int_range(pl.len()) > 3).then("amount"))
    assert score(columns, write(bad, tmp_path / "in.parquet"), output) == 0
    assert (tmp_path / "out.rejects.parquet").exists()
    assert score(columns, write(raw, tmp_path / "in.parquet"), output, "overwrite=true") == 0
    assert not (tmp_path / "out.rejects.parquet").exists()


def test_columns_that_are_missing_or_of_another_type_are_named_at_once(
    columns: Path, tmp_path: Path, capsys: CapSys
) -> None:
    raw = blocks(columns)[1]
    wrong = raw.rename({"transaction_id": "transaction"}).with_columns(
        pl.col("amount").cast(pl.String), pl.col("time").dt.epoch("s")
    )
    output = tmp_path / "out.parquet"
    assert score(columns, write(wrong, tmp_path / "in.parquet"), output) == 3
    told = capsys.readouterr().err
    assert "3 columns differ from those" in told
    assert "column 'transaction_id' is not in input" in told
    assert "column 'amount' is of type String" in told
    assert "column 'time' is of type Int64" in told
    assert not output.exists()


def test_unseen_categories_shift_and_copies_are_counted_and_said(
    columns: Path, tmp_path: Path, capsys: CapSys
) -> None:
    raw = blocks(columns)[1]
    name = next(
        one["column"] for one in manifest(columns)["features"]["own"] if one["kind"] == "category"
    )
    odd = raw.with_columns(
        pl.when(pl.int_range(pl.len()) < 40).then(pl.lit("new")).otherwise(name).alias(name),
        amount=pl.col("amount") * 50,
    )
    odd = pl.concat([odd, odd.head(3)])
    output = tmp_path / "out.parquet"
    assert score(columns, write(odd, tmp_path / "in.parquet"), output) == 0
    told = capsys.readouterr().err
    assert f"'{name}' in 43 rows" in told
    assert "Drifted from training" in told
    content = record(output)
    assert content["duplicate_ids"] == 3
    assert content["shift"]["features"][name]["unseen"] == 43
    assert content["shift"]["features"]["amount"]["psi"] > 1


def manifest(run: Path) -> dict[str, Any]:
    return json.loads((run / "bundle" / "manifest.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("ending", ["parquet", "csv", "arrow"])
@pytest.mark.parametrize("which", ["columns", "looking_back"])
def test_an_empty_input_gives_an_empty_output(
    which: str, ending: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: CapSys
) -> None:
    run = request.getfixturevalue(which)
    source = write(blocks(run)[1].head(0), tmp_path / f"in.{ending}")
    output = tmp_path / f"out.{ending}"
    assert score(run, source, output) == 0
    assert "has no rows" in capsys.readouterr().err
    made = read(output)
    assert made.shape == (0, 4)
    assert record(output)["rows"] == 0


def test_an_output_that_exists_or_is_the_input_is_refused(
    columns: Path, tmp_path: Path, capsys: CapSys
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source = write(blocks(columns)[1], folder / "in.parquet")
    for given, output in (
        (source, source),
        (folder, folder / "out.parquet"),
        (f"{folder}/*.parquet", folder / "out.parquet"),
    ):
        assert score(columns, given, output, "overwrite=true") == 2
        assert "read as a part of it" in capsys.readouterr().err
    output = tmp_path / "out.parquet"
    output.write_text("mine")
    assert score(columns, source, output) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert score(columns, source, output, "overwrite=true") == 0


def test_what_is_wrong_with_the_command_is_said(
    columns: Path, tmp_path: Path, capsys: CapSys
) -> None:
    source = write(blocks(columns)[1], tmp_path / "in.parquet")
    output = tmp_path / "out.parquet"
    assert main(["score", f"input={source}", f"output={output}"]) == 2
    assert "bundle is not set" in capsys.readouterr().err
    assert main(["score", f"bundle={columns}", f"input={source}"]) == 2
    assert score(columns, source, tmp_path / "out.xlsx") == 2
    assert score(columns, source, output, "max_rejected=2") == 2
    assert score(tmp_path / "none", source, output) == 6
    capsys.readouterr()
    assert score(columns, tmp_path / "none.parquet", output) == 3
    assert "input is '" in capsys.readouterr().err


def test_the_best_of_each_day_do_not_depend_on_chunks(columns: Path, tmp_path: Path) -> None:
    source = write(blocks(columns)[1], tmp_path / "in.parquet")
    made = []
    for rows in (25_000, 91):
        output = tmp_path / f"{rows}.parquet"
        assert score(columns, source, output, "daily_top_k=4", f"chunk_rows={rows}") == 0
        made.append(read(output))
    assert made[0].equals(made[1])
    alerted = made[0].filter("alert").join(pl.read_parquet(source), on="transaction_id")
    days = alerted.group_by(pl.col("time").dt.date()).agg(
        pl.len(), pl.col("card_id").n_unique().alias("cards")
    )
    assert days["len"].max() == 4
    assert days["len"].equals(days["cards"])
    assert record(tmp_path / "91.parquet")["alerts"] == len(alerted)


@pytest.mark.parametrize("budget", [(), ("daily_top_k=3",)], ids=["policy", "daily_top_k"])
def test_reasons_stand_beside_alerts_whatever_the_chunks(
    looking_back: Path, budget: tuple[str, ...], tmp_path: Path
) -> None:
    _, raw, earlier = blocks(looking_back)
    source = write(raw, tmp_path / "in.parquet")
    history = write(earlier, tmp_path / "before.parquet")
    made = []
    for rows in (25_000, 61):
        output = tmp_path / f"{rows}.parquet"
        more = (f"history={history}", f"chunk_rows={rows}", "reasons=3", *budget)
        assert score(looking_back, source, output, *more) == 0
        made.append(read(output))
    assert made[0].equals(made[1])
    assert made[0].columns[-3:] == ["reason_1", "reason_2", "reason_3"]
    assert made[0]["reason_1"].is_not_null().equals(made[0]["alert"])
    assert 0 < made[0]["alert"].sum() < len(raw)
    scorer = fraudml.load_bundle(looking_back / "bundle")
    at = made[0].with_row_index().filter("alert")["index"].to_list()
    told = scorer.explain(raw, earlier, rows=at)
    for rank in (1, 2, 3):
        expected = told.filter(pl.col("rank") == rank)["text"]
        assert made[0][f"reason_{rank}"].drop_nulls().to_list() == expected.to_list()
    assert budget or scorer.explain(raw, earlier).equals(told)


def test_reasons_of_a_learner_without_them_are_refused_before_anything_is_scored(
    tmp_path: Path, capsys: CapSys
) -> None:
    run = trained(tmp_path / "run", "columns", "learner=random_forest", "learner.n_estimators=5")
    source, output = write(blocks(run)[1], tmp_path / "in.parquet"), tmp_path / "out.parquet"
    assert score(run, source, output, "reasons=3") == 2
    assert "no reasons for RandomForestClassifier" in capsys.readouterr().err
    assert score(run, source, output, "reasons=-1") == 2
    assert not output.exists()
    assert not checkpoint_folder(output).exists()


def test_true_takes_the_budget_of_the_policy(
    columns: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(blocks(columns)[1], tmp_path / "in.parquet")
    assert score(columns, source, tmp_path / "out.parquet", "daily_top_k=true") == 2
    assert "alert budget, and its policy is 'minimum_cost'" in capsys.readouterr().err
    promise = Constraint("alerts_per_day", "at most", 4.0, 0.95, True, 3.0, 2.0, 9, "day")
    settings = Settings(command="score", daily_top_k=True)
    assert score_settings(settings, TunedPolicy("alert_budget", 0.5, promise)).daily_top_k == 4


def interrupted(run: Path, source: Path, output: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "fraudml", "score", f"bundle={run}", f"input={source}"]
    return subprocess.Popen(
        [*command, f"output={output}", "threads=1", *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("which", ["columns", "looking_back"])
def test_a_job_that_is_killed_goes_on_and_gives_the_same_bytes(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(which)
    _, raw, earlier = blocks(run)
    if which == "columns":  # nobody's past: the same rows may come again
        raw = pl.concat([raw] * 12)
        more = ("chunk_rows=60",)
    else:
        more = (f"history={write(earlier, tmp_path / 'before.parquet')}", "chunk_rows=40")
    source = write(raw, tmp_path / "in.parquet")
    unbroken, output = tmp_path / "unbroken.parquet", tmp_path / "out.parquet"
    assert score(run, source, unbroken, *more) == 0
    rng, told = random.Random(0), b""
    for parts in (1, 60, 150, 0):
        job = interrupted(run, source, output, *more)
        if parts:
            wait_for(lambda least=parts: done(output) >= least, job)  # type: ignore[misc]
            time.sleep(rng.uniform(0, 0.01))
            job.send_signal(signal.SIGKILL)
        told += job.communicate(timeout=120)[1]
        assert not output.exists() or output.read_bytes() == unbroken.read_bytes()
        if output.exists() and not checkpoint_folder(output).exists():
            break
    assert b"Resuming from the rows that an earlier run" in told
    assert output.read_bytes() == unbroken.read_bytes()
    assert not checkpoint_folder(output).exists()


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("which", ["columns", "looking_back"])
def test_twenty_kills_at_random_points_never_show(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(which)
    _, raw, earlier = blocks(run)
    raw = raw.with_columns(amount=pl.when(pl.int_range(pl.len()) % 200 != 7).then("amount"))
    source = write(raw, tmp_path / "in.parquet")
    history = write(earlier, tmp_path / "before.parquet")
    more = (f"history={history}", "chunk_rows=40", "reasons=2")
    unbroken, output = tmp_path / "unbroken.csv", tmp_path / "out.csv"
    began = time.monotonic()
    assert ended(interrupted(run, source, unbroken, *more)) == 0
    whole, rng, kills = time.monotonic() - began, random.Random(1), 0
    while kills < 20:
        job = interrupted(run, source, output, *more)
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.wait(rng.uniform(0, 1.2 * whole))
        job.send_signal(signal.SIGKILL)
        kills += ended(job) == -signal.SIGKILL
        if output.exists():
            assert output.read_bytes() == unbroken.read_bytes()
            if not checkpoint_folder(output).exists():
                output.unlink()  # the next one begins anew
    assert ended(interrupted(run, source, output, *more, "overwrite=true")) == 0
    assert output.read_bytes() == unbroken.read_bytes()
    rejects = [path.with_name(f"{path.stem}.rejects.csv") for path in (unbroken, output)]
    assert rejects[0].read_bytes() == rejects[1].read_bytes()
    assert read(output)["transaction_id"].is_unique().all()
    assert read(output).height + read(rejects[1]).height == raw.height
    assert {path.name for path in tmp_path.iterdir()} == {
        *("in.parquet", "before.parquet", "unbroken.csv", "unbroken.csv.json"),
        *("unbroken.rejects.csv", "out.csv", "out.csv.json", "out.rejects.csv"),
    }


def ended(job: subprocess.Popen[bytes]) -> int:
    job.communicate(timeout=120)
    return job.returncode


def done(output: Path) -> int:
    return len(list(checkpoint_folder(output).glob("0*.json")))


def wait_for(happened: Callable[[], bool], job: subprocess.Popen[bytes]) -> None:
    while not happened() and job.poll() is None:
        time.sleep(0.002)


def test_a_job_that_is_killed_while_its_files_take_their_places_ends_well(
    columns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(blocks(columns)[1], tmp_path / "in.parquet")
    output = tmp_path / "out.parquet"
    with monkeypatch.context() as broken:
        broken.setattr("shutil.rmtree", stop)
        assert score(columns, source, output) == 130
    before = output.read_bytes()
    assert checkpoint_folder(output).exists()
    assert score(columns, source, output) == 0
    assert output.read_bytes() == before
    assert not checkpoint_folder(output).exists()


def stop(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_chunks_of_another_job_are_not_used(columns: Path, tmp_path: Path, capsys: CapSys) -> None:
    raw = blocks(columns)[1]
    source, output = write(raw, tmp_path / "in.parquet"), tmp_path / "out.parquet"
    folder = checkpoint_folder(output)
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps({"input": "another"}))
    (folder / "00000000.json").write_text("{}")
    assert score(columns, source, output) == 0
    assert "starting again" in capsys.readouterr().err
    same_bits(read(output), blocks(columns)[0])


def test_a_second_process_at_the_same_job_is_refused(columns: Path, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl", reason="file locks are POSIX's; run it on Linux or macOS")
    source = write(blocks(columns)[1], tmp_path / "in.parquet")
    output = tmp_path / "out.parquet"
    checkpoint_folder(output).mkdir()
    with (checkpoint_folder(output) / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert score(columns, source, output) == 2
    assert score(columns, source, output) == 0


def test_a_damaged_bundle_is_refused_and_nothing_is_written(columns: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(columns / "bundle", tmp_path / "bundle"))
    model = bundle / "learner" / "model.txt"
    model.write_text(model.read_text() + " ")
    source = write(blocks(columns)[1], tmp_path / "in.parquet")
    assert score(bundle, source, tmp_path / "out.parquet") == 6
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "in.parquet"}


def test_python_and_the_command_give_the_same_scores(columns: Path, tmp_path: Path) -> None:
    raw = blocks(columns)[1]
    output = tmp_path / "out.parquet"
    assert score(columns, write(raw, tmp_path / "in.parquet"), output) == 0
    assert read(output).equals(fraudml.load_bundle(columns / "bundle").score(raw))


def test_a_job_that_is_killed_while_its_chunks_are_removed_ends_well(
    columns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(blocks(columns)[1], tmp_path / "in.parquet")
    output = tmp_path / "out.parquet"

    def half(folder: Path, **_: Any) -> None:
        (folder / "00000000.scored").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("shutil.rmtree", half)
        assert score(columns, source, output) == 130
    before = output.read_bytes()
    assert score(columns, source, output) == 0
    assert output.read_bytes() == before


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(path.read_bytes()[-40:])


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def swap(path: Path) -> None:
    """Another file of the same size in its place."""
    copy = Path(shutil.copy(path, path.with_name("copy")))
    os.utime(copy, ns=(0, path.stat().st_mtime_ns))
    copy.replace(path)


@pytest.mark.parametrize("change", [append, shorten, swap, Path.unlink])
@pytest.mark.parametrize("ending", ["parquet", "csv", "arrow"])
def test_an_input_that_changes_while_it_is_scored_is_refused(
    columns: Path,
    ending: str,
    change: Callable[[Path], object],
    tmp_path: Path,
    capsys: CapSys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fraudml.scoring import job

    source, output = tmp_path / f"in.{ending}", tmp_path / "out.parquet"
    write(blocks(columns)[1], source)
    native, left = job._score, [change]

    def changing(*arguments: Any) -> Any:
        if left:
            left.pop()(source)
        return native(*arguments)

    monkeypatch.setattr(job, "_score", changing)
    assert score(columns, source, output, "chunk_rows=400") == 7
    message = capsys.readouterr().err
    assert f"input: '{source}' changed while it was read" in message
    assert "Run the same command again" in message
    assert not output.exists()
    write(blocks(columns)[1], source)
    assert score(columns, source, output, "chunk_rows=400") == 0
    same_bits(read(output), blocks(columns)[0])


def test_a_history_that_changes_before_its_fingerprint_is_refused(
    looking_back: Path, tmp_path: Path, capsys: CapSys, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fraudml.scoring import job

    _, raw, past = blocks(looking_back)
    source, history = write(raw, tmp_path / "in.csv"), write(past, tmp_path / "past.csv")
    native = job.check_past

    def changing(*arguments: Any, **options: Any) -> Any:
        append(history)
        return native(*arguments, **options)

    monkeypatch.setattr(job, "check_past", changing)
    assert score(looking_back, source, tmp_path / "out.csv", f"history={history}") == 7
    assert f"history: '{history}' changed while it was read" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_columns_that_the_bundle_does_not_want_are_not_looked_at(
    columns: Path, ending: str, tmp_path: Path
) -> None:
    """Files with other columns, an index without a name: the scores are as without."""
    expected, raw, _ = blocks(columns)
    folder = tmp_path / "in"
    folder.mkdir()
    write(raw[:500], folder / f"a.{ending}")
    write(raw[500:].with_columns(new=1, label=pl.lit("?")), folder / f"b.{ending}")
    if ending == "csv":
        (tmp_path / "linked").mkdir()
        index = raw[:500].select(pl.int_range(500).alias(""), pl.all(), pl.lit(1).alias(" "))
        write(index, tmp_path / "linked" / "a.csv")
        (folder / "a.csv").unlink()
        (folder / "a").symlink_to(tmp_path / "linked")
    output = tmp_path / "out.parquet"
    assert score(columns, folder, output) == 0
    same_bits(read(output), expected)


@POSIX
def test_a_link_that_leads_nowhere_is_refused(
    columns: Path, tmp_path: Path, capsys: CapSys
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(blocks(columns)[1], folder / "a.parquet")
    (folder / "b.parquet").symlink_to(tmp_path / "gone.parquet")
    assert score(columns, folder, tmp_path / "out.parquet") == 7
    message = capsys.readouterr().err
    assert f"'{folder / 'b.parquet'}', a link to '{tmp_path / 'gone.parquet'}'" in message
    assert "error: input: '" in message
    assert "run the same command again" in message


@pytest.mark.parametrize("dtype", [pl.Boolean, pl.Float64, pl.String, pl.Decimal(4, 1)])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_labels_of_a_history_mean_the_same_however_they_are_written(
    looking_back: Path, dtype: Any, ending: str, tmp_path: Path
) -> None:
    expected, raw, earlier = blocks(looking_back)
    history = write(earlier.cast({"label": dtype}), tmp_path / f"before.{ending}")
    source, output = write(raw, tmp_path / "in.parquet"), tmp_path / "out.parquet"
    assert score(looking_back, source, output, f"history={history}") == 0
    same_bits(read(output), expected)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_other_words_in_the_labels_of_a_history_are_refused(
    looking_back: Path, ending: str, tmp_path: Path, capsys: CapSys
) -> None:
    _, raw, earlier = blocks(looking_back)
    words = earlier.with_columns(pl.col("label").replace_strict({0: "n", 1: "fraud!"}))
    history = write(words, tmp_path / f"before.{ending}")
    source = write(raw, tmp_path / "in.parquet")
    assert score(looking_back, source, tmp_path / "out.csv", f"history={history}") == 3
    message = capsys.readouterr().err
    frauds = words["label"].eq("fraud!").sum()
    assert "history: column 'label'" in message
    assert f"'n' in {len(words) - frauds:,} rows, 'fraud!' in {frauds:,} rows" in message
    assert "Expected '1' for fraud, '0' for legitimate" in message
    assert not (tmp_path / "out.csv").exists()
