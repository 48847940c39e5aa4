"""Every process of fraudml limits how its threads spin before a library is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fraudml
from fraudml.errors import RefusedError
from fraudml.openmp import SPIN_LIMITS

LIMITED = tuple(SPIN_LIMITS.values())
SMALL = (
    *("data.simulate.rows=3000", "data.simulate.prevalence=0.05", "data.simulate.cards=300"),
    *("learner.num_iterations=5", "evaluation.replicates=100", "evaluation.baselines=false"),
    *("rounds.choose=false", "threads=2"),
)
SIMULATE = ("simulate", "data.simulate.rows=3000", "output=cards.csv")
MODULE = ("-m", "fraudml")
CONSOLE_SCRIPT = ("-c", "import sys; from fraudml.cli import main; sys.exit(main(sys.argv[1:]))")
WORKER = ("-m", "fraudml.sweep.worker")

RECORDER = f"""
import os, sys

class Recorder:
    def find_spec(self, name, path=None, target=None):
        if name in ("numpy", "polars", "scipy", "sklearn", "lightgbm"):
            with open(os.environ["RECORD"], "a") as file:
                values = [os.environ.get(name) for name in {tuple(SPIN_LIMITS)!r}]
                print(*sys.orig_argv[1:3], name, *values, sep="|", file=file)

sys.meta_path.insert(0, Recorder())
"""

FROM_PYTHON = """
{first}
import logging
import fraudml
from fraudml.config import read_settings
from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate

roles = {{
    **{{name: name for name in ("time", "label_time", "amount")}},
    "id": "transaction_id", "entity": "card_id",
}}
settings = read_settings({{
    "data": {{"columns": roles, "labels_complete": True}}, "split": {{"label_delay": "7d"}},
    "features": {{"keys": ["terminal_id"]}},
    "learner": {{"num_iterations": 20}}, "evaluation": {{"replicates": 0, "baselines": False}},
    "rounds": {{"choose": False}}, "output_dir": "run", "threads": 2,
}})
logging.basicConfig()
table = simulate(SimulateSettings(rows=4000, prevalence=0.05, cards=300, terminals=50))
fraudml.train(table, settings)
fraudml.load_bundle("run/bundle", threads=2)
"""


def environment(**settings: str) -> dict[str, str]:
    """This process's own, as if nobody had set how threads wait."""
    waiting = ("OMP_WAIT_POLICY", *SPIN_LIMITS)
    own = {name: text for name, text in os.environ.items() if name not in waiting}
    return own | {"PYTHONPATH": str(Path(fraudml.__file__).parents[1])} | settings


def record(folder: Path, *words: str, **settings: str) -> set[tuple[str, str, tuple[str, ...]]]:
    """Run Python, and return each process, each library it imported, and what was set by then."""
    (folder / "sitecustomize.py").write_text(RECORDER, encoding="utf-8")
    own = environment(RECORD=str(folder / "record"), **settings)
    own["PYTHONPATH"] = os.pathsep.join([str(folder), own["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, *words], env=own, cwd=folder, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode in (0, RefusedError.exit_code)
    lines = [line.split("|") for line in (folder / "record").read_text().splitlines()]
    return {(f"{start} {what}", library, tuple(values)) for start, what, library, *values in lines}


@pytest.mark.slow
def test_a_command_and_the_process_that_tries_its_device(tmp_path: Path) -> None:
    seen = record(tmp_path, "-m", "fraudml", "train", *SMALL, "device=auto", "output_dir=run")
    command, probe = sorted({command for command, *_ in seen}, reverse=True)
    assert command == "-m fraudml"
    assert probe.startswith("-c from fraudml.learners.probe import ")
    assert {(command, "lightgbm") for command, *_ in seen} <= {line[:2] for line in seen}
    assert {values for *_, values in seen} == {LIMITED}


@pytest.mark.parametrize(
    "words",
    [(*MODULE, *SIMULATE), (*CONSOLE_SCRIPT, *SIMULATE), (*WORKER, ".", "2", "1000")],
    ids=["module", "console script", "process that runs trials"],
)
def test_every_way_to_start_a_process(words: tuple[str, ...], tmp_path: Path) -> None:
    seen = record(tmp_path, *words)
    assert {library for _, library, _ in seen} >= {"numpy", "polars"}
    assert {values for *_, values in seen} == {LIMITED}


def test_what_the_user_has_set_is_all_that_libraries_see(tmp_path: Path) -> None:
    seen = record(tmp_path, "-c", "import fraudml; fraudml.train", KMP_BLOCKTIME="7")
    own = tuple("7" if name == "KMP_BLOCKTIME" else "None" for name in SPIN_LIMITS)
    assert {values for *_, values in seen} == {own}


@pytest.mark.skipif("GOMP_SPINCOUNT" not in SPIN_LIMITS, reason="only on x86")
@pytest.mark.skipif(sys.platform != "linux", reason="the wheels for Linux bring GNU's runtime")
def test_the_runtimes_themselves_say_what_they_took() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import fraudml, sklearn.ensemble, lightgbm"],
        env=environment(OMP_DISPLAY_ENV="verbose"),
        capture_output=True,
        text=True,
        check=True,
    )
    taken = [line.strip() for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    assert set(taken) == {f"GOMP_SPINCOUNT = '{SPIN_LIMITS['GOMP_SPINCOUNT']}'"}


@pytest.mark.parametrize(
    ("first", "times"),
    [("import lightgbm", 1), pytest.param("import fraudml", 0, marks=pytest.mark.slow)],
)
def test_from_python_it_is_said_once_that_it_is_too_late(
    first: str, times: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FROM_PYTHON.format(first=first)],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("OpenMP was loaded before fraudml (") == times
