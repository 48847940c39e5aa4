"""Sweeps: what they write, that they go on after a kill, and that no trial outlives its caps."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from builders import CapSys, errors, execute, metrics_of, printed, quick, read_json, simulated
from fraudml.cli import main
from fraudml.data.settings import SimulateSettings

TABLE = SimulateSettings(rows=8000, prevalence=0.03, cards=1000, terminals=60)
FEW = (*quick(rounds=20, replicates=100), "evaluation.baselines=false", "rounds.choose=false")
SMALL = (*simulated(TABLE), *FEW)
LEAVES = "sweep.space=['learner.num_leaves=int(interval(2,16))','learner.lambda_l2=interval(1,30)']"
WEIGHTS = """
import time
import numpy as np

class Plain:
    def weigh(self, train):
        return train, None

class Sleeper:
    def weigh(self, train):
        time.sleep(3600)

class Hog:
    def weigh(self, train):
        held = []
        while True:
            held.append(np.ones(20_000_000))

class Broken:
    def weigh(self, train):
        raise ValueError("these weights are broken on purpose")
"""


def swept(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    record: dict[str, Any] = read_json(
        execute(folder, "sweep", *SMALL, *words, codes=(code,)) / "sweep.json"
    )
    return record


FIVE = (LEAVES, "budget.trials=5", "budget.price_per_hour=2")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return execute(tmp_path_factory.mktemp("sweep") / "sweep", "sweep", *SMALL, *FIVE)


def test_a_sweep_keeps_the_best_model_and_says_what_it_did(sweep: Path) -> None:
    folder, record = sweep, read_json(sweep / "sweep.json")
    assert record["trials"] == {"complete": 5, "total": 5}
    trials = pl.read_parquet(folder / "trials.parquet")
    assert trials.height == 5
    assert record["best"]["value"] == trials["value"].max()
    assert record["spent"]["money"] == pytest.approx(record["spent"]["seconds"] / 1800, rel=0.1)
    metrics = metrics_of(folder)
    assert record["test"] == metrics["test"]
    for name in (
        "bundle",
        "test_scores.parquet",
        "config.yaml",
        "run.log",
        "winner.yaml",
        "sweep.svg",
    ):
        assert (folder / name).exists(), name
    drawing = ElementTree.parse(folder / "sweep.svg").getroot()
    titles = {title.text for title in drawing.iter("{http://www.w3.org/2000/svg}title")}
    assert titles >= {"Trial after trial", "Learning curves", "Settings of the trials"}
    assert not (folder / "rows").exists()


def test_the_winner_is_an_experiment_of_train(sweep: Path, tmp_path: Path) -> None:
    own = tmp_path / "own" / "experiment"
    own.mkdir(parents=True)
    (own / "winner.yaml").write_text((sweep / "winner.yaml").read_text())
    words = ["+experiment=winner", "--config-dir", str(own.parent), *SMALL]
    words.remove("learner.num_iterations=20")
    run = execute(tmp_path / "run", "train", *words)
    assert metrics_of(sweep)["test"] == metrics_of(run)["test"]


def test_a_finished_sweep_is_done(sweep: Path, capsys: CapSys) -> None:
    before = read_json(sweep / "sweep.json")
    capsys.readouterr()
    assert swept(sweep, *FIVE) == before
    output = capsys.readouterr()
    assert "nothing is left to do" in output.err
    shown = " ".join(output.out.split())
    assert "5 complete" in shown
    assert "the same on test" in shown


@pytest.mark.slow
def test_conditions_and_groups(tmp_path: Path) -> None:
    space = (
        "sweep.space=['resampling=choice(none,random_under)',"
        "'resampling.fraud_share=interval(0.1,0.4) if resampling=random_under']"
    )
    swept(tmp_path / "sweep", space, "budget.trials=6", "sweep.sampler=random")
    for words in pl.read_parquet(tmp_path / "sweep" / "trials.parquet")["overrides"]:
        drawn = dict(word.split("=", 1) for word in words)
        assert ("resampling.fraud_share" in drawn) == (drawn["resampling"] == "random_under")


def test_a_grid_tries_every_combination_once(tmp_path: Path) -> None:
    space = "sweep.space=['learner.num_leaves=4,8','learner.lambda_l2=choice(1,10)']"
    record = swept(tmp_path / "sweep", space, "sweep.sampler=grid")
    assert record["trials"]["total"] == 4
    words = pl.read_parquet(tmp_path / "sweep" / "trials.parquet")["overrides"].to_list()
    assert len({tuple(one) for one in words}) == 4


def test_money_is_an_objective(tmp_path: Path) -> None:
    record = swept(tmp_path / "sweep", LEAVES, "budget.trials=2", "objective=savings")
    assert record["best"]["value"] == pytest.approx(sum(record["best"]["blocks"]) / 4)


@pytest.mark.slow
def test_trials_are_pruned_within_the_rounds_of_a_block(tmp_path: Path) -> None:
    space = "sweep.space=['learner.learning_rate=choice(0.1,1e-06)']"
    words = (space, "sweep.sampler=random", "sweep.startup_trials=2", "budget.trials=8", "seed=3")
    record = swept(tmp_path / "sweep", *words)
    trials = pl.read_parquet(tmp_path / "sweep" / "trials.parquet")
    pruned = trials.filter(pl.col("state") == "pruned")
    assert record["trials"]["pruned"] == pruned.height > 0
    assert pruned["value"].is_null().all()
    assert {tuple(words) for words in pruned["overrides"]} == {("learner.learning_rate=1e-06",)}
    assert pruned["blocks"].list.len().max() < 4
    curves = trials.filter(pl.col("state") == "complete")
    assert all(rounds == [5, 10, 15, 20] for rounds in curves["rounds"].to_list())
    assert curves["curve"].list.last().to_list() == pytest.approx(curves["value"].to_list())


def test_several_objectives_keep_a_front(tmp_path: Path, capsys: CapSys) -> None:
    words = (
        LEAVES,
        "sweep.secondary_objectives=[roc_auc,card_precision_at_100]",
        "budget.trials=6",
    )
    record = swept(tmp_path / "sweep", *words)
    trials = pl.read_parquet(tmp_path / "sweep" / "trials.parquet")
    worth = trials["value", "roc_auc", "card_precision_at_100"].to_numpy()
    unbeaten = [
        number
        for number, one in enumerate(worth)
        if not any((other >= one).all() and (other > one).any() for other in worth)
    ]
    assert sorted(one["trial"] for one in record["pareto_front"]) == unbeaten
    assert record["best"]["trial"] == record["pareto_front"][0]["trial"]
    assert record["best"]["values"]["roc_auc"] in trials["roc_auc"]
    assert "Pareto-optimal trials" in printed(capsys)


@pytest.mark.slow
def test_a_grid_of_rounds_costs_the_most_of_them_once(tmp_path: Path) -> None:
    # With all features in each round no round is without a tree, so that margins can be shared.
    grid = ("learner.feature_fraction=1", "sweep.sampler=grid", "sweep.pruner=none")
    found = {}
    for rounds in ("5,10,20", "5"):
        space = f"sweep.space=['learner.num_iterations=choice({rounds})','learner.num_leaves=4,8']"
        folder = tmp_path / f"of_{len(rounds)}"
        swept(folder, space, *grid)
        trials = pl.read_parquet(folder / "trials.parquet")
        told = trials["overrides", "rounds", "value"].iter_rows()
        found[rounds] = {tuple(words): (rounds, value) for words, rounds, value in told}
    shared, alone = found["5,10,20"], found["5"]
    for words, (_, value) in alone.items():
        assert shared[words] == ([5], value)  # nothing was fitted for it, and it is worth the same
    assert shared["learner.num_iterations=20", "learner.num_leaves=4"][0] == [5, 10, 15, 20]


def test_validation_folds_and_a_backtest_at_the_end(tmp_path: Path) -> None:
    words = ("sweep.blocks=folds", "backtest.folds=2", "backtest.test_days=14", "budget.trials=2")
    words += ("data.simulate.rows=20000", "learner.num_iterations=60", "backtest.train_days=10")
    record = swept(tmp_path / "sweep", LEAVES, *words, "sweep.folds_end=2026-02-28")
    assert (tmp_path / "sweep" / "backtest.json").exists()
    assert len(record["best"]["blocks"]) == 2


def test_validation_folds_that_reach_into_the_test_folds_are_refused(
    tmp_path: Path, capsys: CapSys
) -> None:
    words = [*SMALL, LEAVES, "sweep.blocks=folds", "backtest.folds=2", "backtest.test_days=14"]
    words.append(f"output_dir={tmp_path / 'sweep'}")
    assert main(["sweep", *words]) == 2
    assert "needs sweep.folds_end" in capsys.readouterr().err
    assert main(["sweep", *words, "sweep.folds_end=2026-03-20"]) == 3
    assert "Choices would have seen test rows" in errors(capsys)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of a user's own, with parts that behave badly."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "own_weights.py").write_text(WEIGHTS)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def of_weights(*names: str) -> list[str]:
    targets = ",".join(f"own_weights.{name}" for name in names)
    return [
        *SMALL,
        "components.allow=[own_weights]",
        f"sweep.space=['weighting._target_=choice({targets})','learner.num_leaves=choice(4,8)']",
        "sweep.sampler=grid",
        "proof=false",
    ]


@pytest.mark.slow
def test_trials_that_sleep_or_eat_all_memory_are_ended(weights: Path, tmp_path: Path) -> None:
    words = of_weights("Sleeper", "Hog", "Plain")
    words += ["sweep.trial_seconds=20", "sweep.trial_memory_mb=1500"]
    assert main(["sweep", *words, f"output_dir={tmp_path / 'sweep'}"]) == 0
    trials = pl.read_parquet(tmp_path / "sweep" / "trials.parquet")
    reasons = {
        (words[0].rpartition(".")[2], why) for words, why in trials["overrides", "reason"].rows()
    }
    assert reasons == {("Sleeper", "out of time"), ("Hog", "out of memory"), ("Plain", None)}
    record = read_json(tmp_path / "sweep" / "sweep.json")
    assert record["trials"] == {"complete": 2, "fail": 4, "total": 6}


def test_all_trials_failing_ends_with_5_and_the_first_error(
    weights: Path, tmp_path: Path, capsys: CapSys
) -> None:
    words = of_weights("Broken")
    assert main(["sweep", *words, f"output_dir={tmp_path / 'sweep'}"]) == 5
    assert "ValueError: these weights are broken on purpose" in capsys.readouterr().err
    assert not (tmp_path / "sweep").exists()


@pytest.mark.slow
def test_a_sweep_ends_in_time_with_a_model(tmp_path: Path) -> None:
    started = time.monotonic()
    words = (LEAVES, "budget.trials=100000", "budget.seconds=40", "sweep.patience=0")
    record = swept(tmp_path / "sweep", *words)
    assert time.monotonic() - started < 40 + 15
    assert 3 < record["trials"]["total"] < 1000
    assert (tmp_path / "sweep" / "bundle").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sweep.space=['learner.num_leafs=choice(4,8)']",), "num_leafs"),
        (("sweep.space=['learner.num_leaves=interval(8,8)']",), "empty"),
        (("sweep.space=['learner.num_leaves=8']",), "nothing to search"),
        ((), "nothing to search"),
        (("sweep.space=['a=choice(1,2) if b=3']",), "no dimension before it offers"),
        ((LEAVES, "sweep.sampler=grid"), "infinitely many"),
        ((LEAVES, "objective=accuracy"), "accuracy"),
        ((LEAVES, "objective=roc_auc"), "roc_auc"),
        ((LEAVES, "budget.max_money=3"), "price_per_hour"),
        ((LEAVES, "sweep.workers=0"), "sweep.workers is 0"),
        (
            (LEAVES, "sweep.secondary_objectives=[accuracy]"),
            "sweep.secondary_objectives names 'accuracy'",
        ),
        ((LEAVES, "sweep.secondary_objectives=[average_precision]"), "others than the objective"),
        ((LEAVES, "sweep.storage='postgresql://me:secret@host/db'"), "holds a password"),
    ],
)
def test_a_sweep_that_makes_no_sense_exits_2(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: CapSys
) -> None:
    assert main(["sweep", *SMALL, *words, f"output_dir={tmp_path / 'sweep'}"]) == 2
    assert said in errors(capsys)


def test_a_storage_that_is_not_there_is_said_at_once(tmp_path: Path, capsys: CapSys) -> None:
    words = [LEAVES, "sweep.storage='sqlite:////no/such/folder/trials.db'"]
    assert main(["sweep", *SMALL, *words, f"output_dir={tmp_path / 'sweep'}"]) == 7
    assert "cannot be reached" in capsys.readouterr().err


@pytest.fixture
def postgres() -> Iterator[str]:
    """A real PostgreSQL, from a wheel; its address."""
    pgserver = pytest.importorskip("pgserver", reason="no PostgreSQL for this Python")
    # Not in pytest's own folder, which another run of it closes to the server's user.
    with tempfile.TemporaryDirectory(prefix="postgres") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = pgserver.get_server(folder)
        yield str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


COMMAND = (sys.executable, "-m", "fraudml", "sweep", *SMALL, LEAVES, "sweep.startup_trials=3")


@pytest.mark.slow
def test_another_config_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    process = subprocess.Popen([*COMMAND, "budget.trials=50", f"output_dir={folder}"])
    journal = folder.with_name("sweep.partial") / "trials.journal"
    _wait_for(lambda: journal.exists() and b'"state"' in journal.read_bytes())
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = subprocess.run(
        [*COMMAND, "budget.trials=50", "seed=1", f"output_dir={folder}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 2
    assert "seed was 0 and is 1" in " ".join(again.stderr.split())


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_two_machines_make_so_many_trials_together(
    storage: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    addresses = {"sqlite": f"sqlite:///{tmp_path}/trials.db"}
    address = addresses[storage] if storage in addresses else request.getfixturevalue("postgres")
    shared = [*COMMAND, "budget.trials=11", f"sweep.storage='{address}'", "sweep.study_name=shared"]
    folders = [tmp_path / "first", tmp_path / "second"]
    both = [subprocess.Popen([*shared, f"output_dir={folder}"]) for folder in folders]
    assert [one.wait() for one in both] == [0, 0]
    first, second = (read_json(folder / "sweep.json") for folder in folders)
    assert first["trials"] == second["trials"]
    assert first["trials"]["total"] == 11
    assert first["best"] == second["best"]
    trials = pl.read_parquet(folders[0] / "trials.parquet")
    assert trials["overrides"].list.join(" ").n_unique() == 11, "both drew the same"


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["journal", "sqlite", "postgresql"])
def test_a_killed_sweep_ends_as_an_unbroken_one(
    storage: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    addresses = {"journal": None, "sqlite": f"sqlite:///{tmp_path}/trials.db"}
    address = addresses[storage] if storage in addresses else request.getfixturevalue("postgres")

    def words(name: str) -> list[str]:
        made = [*COMMAND, f"budget.trials={trials}", f"output_dir={tmp_path / name}"]
        return made if address is None else [*made, f"sweep.storage='{address}'"]

    trials, moments = 30, random.Random(7)
    assert subprocess.run(words("whole"), check=False).returncode == 0
    for _ in range(20):
        with subprocess.Popen(words("broken"), stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            # Somewhere in the first trial of this life, or in the second.
            until = moments.choice(("INFO At most", "INFO At most", "INFO trial"))
            next(line for line in process.stderr if until in line)
            time.sleep(moments.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "broken").exists(), "it ended before the last kill"
    assert subprocess.run(words("broken"), check=False).returncode == 0
    whole, broken = (read_json(tmp_path / name / "sweep.json") for name in ("whole", "broken"))
    assert broken["trials"] == whole["trials"]
    assert whole["trials"]["total"] == trials
    assert broken["best"]["value"] == whole["best"]["value"]
    assert broken["test"] == whole["test"]


def _wait_for(there: Any, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_sweep_that_was_killed_while_writing_its_model_writes_it_anew(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    half = folder.with_name("sweep.partial") / "bundle" / "learner"
    half.mkdir(parents=True)
    (half / "model.txt").write_text("half a model")
    swept(folder, LEAVES, "budget.trials=2")
    assert "half a model" not in (folder / "bundle" / "learner" / "model.txt").read_text()
