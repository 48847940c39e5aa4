"""The command line: help, flags, errors, exit codes, signals."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import fraudml
from fraudml import cli
from fraudml.cli.commands import COMMANDS, Command
from fraudml.config import load_settings
from fraudml.config.parse import dump
from fraudml.config.settings import Settings
from fraudml.errors import (
    BudgetError,
    BundleError,
    ConfigError,
    DataError,
    FraudmlError,
    MachineError,
    RefusedError,
)

CapSys = pytest.CaptureFixture[str]
Run = Callable[..., tuple[int, str, str]]
POSIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals; run it on Linux or macOS")


@dataclass
class Outcome:
    refusal: FraudmlError | None = None

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        return "How it went", [("guard", "refused" if self.refusal else "passed")]


@dataclass
class Work:
    """Stands for a workflow, and writes down what it was called with."""

    called: list[Settings]
    does: Callable[[Settings], Any] = lambda _: None

    def run(self, settings: Settings, *, progress: Callable[[str, float], None]) -> Any:
        self.called.append(settings)
        progress("work", 0.0)
        return self.does(settings)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Work:
    made = Work([])
    module = types.ModuleType("fraudml.work_of_a_test")
    module.run = made.run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    table = {"train": Command("do something", module.__name__)}
    monkeypatch.setattr("fraudml.cli.commands.COMMANDS", table)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FRAUDML_DEBUG", raising=False)
    return made


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save the time of composing where the config does not matter."""
    monkeypatch.setattr("fraudml.config.load_settings", lambda *_, **__: Settings())


@pytest.fixture
def run(work: Work, capsys: CapSys) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(list(arguments))
        return code, *capsys.readouterr()

    return call


def error_of(result: tuple[int, str, str], code: int = 2) -> str:
    """What an expected error printed: its message alone."""
    assert result[0] == code
    assert not result[1]
    assert result[2].startswith("error: ")
    assert "Traceback" not in result[2]
    return result[2].removeprefix("error: ").rstrip("\n")


def test_settings_reach_the_command(run: Run, work: Work) -> None:
    code, out, err = run("train", "seed=5", "+experiment=smote", "--resolve")
    assert (code, out) == (0, "")
    assert err.split()[1:] == ["work"]
    [settings] = work.called
    assert settings == load_settings("train", ["seed=5", "+experiment=smote"])
    assert (settings.seed, settings.run_name) == (5, "smote")


def test_options_may_stand_anywhere(run: Run, work: Work, tmp_path: Path) -> None:
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "mine.yaml").write_text("# @package _global_\nrun_name: mine\n", encoding="utf-8")
    for options in (["--config-dir", str(tmp_path)], [f"-cd={tmp_path}"]):
        assert run(*options, "train", "+experiment=mine")[0] == 0
        assert run("train", *options, "+experiment=mine")[0] == 0
        assert run("train", "+experiment=mine", *options)[0] == 0
    assert {settings.run_name for settings in work.called} == {"mine"}


@pytest.mark.usefixtures("composed")
def test_the_outcome_is_shown_on_standard_output(run: Run, work: Work) -> None:
    work.does = lambda _: Outcome()
    code, out, _ = run("train")
    assert code == 0
    assert "How it went" in out
    assert "passed" in out


@pytest.mark.usefixtures("composed")
def test_a_refused_model_is_shown_and_ends_with_its_code(run: Run, work: Work) -> None:
    work.does = lambda _: Outcome(RefusedError("The guard refused the model."))
    code, out, err = run("train")
    assert code == 4
    assert "refused" in out
    assert err.endswith("error: The guard refused the model.\n")


@pytest.mark.usefixtures("composed")
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("said"), 2),
        (DataError("said"), 3),
        (RefusedError("said"), 4),
        (BudgetError("said"), 5),
        (BundleError("said"), 6),
        (MachineError("said"), 7),
        (MemoryError("said"), 7),
        (OSError(errno.ENOSPC, "said"), 7),
        (ConnectionResetError("said"), 7),
    ],
)
def test_an_expected_error_is_its_message_alone(
    run: Run, work: Work, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail(_: Settings) -> None:
        raise error

    work.does = fail
    got, out, err = run("train")
    assert (got, out) == (code, "")
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "said" in last
    assert "Traceback" not in err
    monkeypatch.setenv("FRAUDML_DEBUG", "1")
    got, _, err = run("train")
    assert got == code
    assert "Traceback (most recent call last)" in err
    assert "in fail" in err
    assert err.splitlines()[-1] == last


@pytest.mark.usefixtures("composed")
@pytest.mark.parametrize(
    "error", [ValueError("odd"), FileNotFoundError(2, "odd"), AssertionError()]
)
def test_a_defect_keeps_its_traceback_and_asks_for_a_report(
    run: Run, work: Work, error: Exception
) -> None:
    def fail(_: Settings) -> None:
        raise error

    work.does = fail
    code, out, err = run("train")
    assert (code, out) == (1, "")
    assert "in fail" in err
    last = err.splitlines()[-1]
    assert last.startswith(f"This is a defect of fraudml {fraudml.__version__}")
    assert "report" in last


@pytest.mark.usefixtures("composed")
def test_an_interruption_is_one_line(run: Run, work: Work) -> None:
    def interrupt(_: Settings) -> None:
        raise KeyboardInterrupt

    work.does = interrupt
    code, _, err = run("train")
    assert code == 130
    assert err.splitlines()[1:] == ["interrupted"]


def test_no_command_is_answered_with_help(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "Usage: python -m fraudml COMMAND" in err


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_the_commands(run: Run, flag: str) -> None:
    code, out, err = run(flag)
    assert (code, err) == (0, "")
    assert "  train  do something" in out
    for word in ("--config-dir, -cd", "--config-name, -cn", "--cfg, -c", "--multirun, -m", "130"):
        assert word in out


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"fraudml {fraudml.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "Unknown command 'trian'. Did you mean 'train'?"),
        (["zzz", "--help"], "Unknown command 'zzz'. Known are 'train'."),
        (["seed=3"], "'seed=3' stands where a command is expected: train."),
        (["+experiment=smote"], "Try: python -m fraudml train +experiment=smote"),
        (
            ["train", "--confg-dir", "x"],
            "Unknown option '--confg-dir'. Did you mean '--config-dir'",
        ),
        (["train", "--config-dir"], "--config-dir takes a value, and there is none."),
        (["train", "--config-dir="], "--config-dir takes a value, and there is none."),
        (["train", "-cn", "--multirun"], "-cn takes a value, and there is none."),
        (["train", "--cfg"], "--cfg takes the word 'job', and there is none."),
        (["train", "--cfg", "hydra"], "--cfg takes 'job', not 'hydra'."),
        (["train", "smote"], "'smote' is not an override."),
        (["train", "--config-dir", "nowhere"], "--config-dir: 'nowhere' does not exist."),
        (["train", "--config-name", "confg"], "--config-name: there is no config 'confg'."),
        (["train", "sede=3"], "sede is not a key. Did you mean 'seed'"),
        (["train", "test_share=0.3"], "test_share is not a key. Did you mean 'split.test_share'?"),
        (["train", "resampling=smot"], "there is no option 'smot' in the group 'resampling'."),
        (["train", "resampling=smot"], "Did you mean 'smote'"),
        (["train", "experiment=smote"], "Write '+experiment=smote'."),
        (["train", "+experiment=smoot"], "there is no option 'smoot' in the group 'experiment'."),
        (["train", "objective=accuracy"], "objective is 'accuracy', which is refused"),
        (["train", "objective=roc_auc"], "objective is 'roc_auc', which is refused"),
        (["train", "seed=-1"], "seed is -1."),
        (["train", "seed=x"], "seed is 'x', a text. It is a whole number."),
        (["train", "learner.num_leafs=3"], "num_leafs"),
        (["train", "learner.num_leafs=3"], "num_leaves"),
        (["train", "learner._target_=os.system"], "learner._target_ is 'os.system'"),
        (["train", "resampling=smote", "resampling.k_neighbours=3"], "k_neighbors"),
        (["train", "resampling=smote", "resampling.k_neighbors=-1"], "k_neighbors"),
        (["train", "resampling.k_neighbors=3"], "Choose an option of resampling first"),
        (["train", "seed=1,2"], "add --multirun"),
        (["train", "hydra.job.chdir=true"], "has no effect"),
    ],
)
def test_a_wrong_command_line_ends_with_2_before_any_work(
    run: Run, work: Work, arguments: list[str], message: str
) -> None:
    assert message in error_of(run(*arguments))
    assert not work.called


def test_all_problems_of_a_config_are_said_at_once(run: Run) -> None:
    message = error_of(run("train", "seed=x", "sede=3", "data.time_unit=weeks"))
    assert message.startswith("3 problems in the config.\n  - ")


def test_cfg_prints_what_composes_to_the_same_again(run: Run, work: Work, tmp_path: Path) -> None:
    code, out, err = run("train", "+experiment=smote", "seed=3", "--cfg", "job")
    assert (code, err) == (0, "")
    assert not work.called
    settings = load_settings("train", ["+experiment=smote", "seed=3"])
    assert OmegaConf.to_container(OmegaConf.create(out)) == dump(settings)
    (tmp_path / "config.yaml").write_text(out, encoding="utf-8")
    again = ["train", "--config-dir", str(tmp_path), "--config-name", "config"]
    assert run(*again, "-c", "job") == (0, out, "")
    assert run(*again, "output_dir=new")[0] == 0
    assert dump(work.called[-1]) == {**dump(settings), "output_dir": "new"}


def test_help_of_a_command_shows_groups_keys_and_examples(run: Run, work: Work) -> None:
    code, out, err = run("train", "--help")
    assert (code, err) == (0, "")
    assert not work.called
    assert "resampling=none " in out
    assert "experiment= " in out
    for text in ("smote", "baseline", "split.test_share=0.2", "learner.num_leaves=", "float. "):
        assert text in out
    assert "Share of the rows in the test block" in " ".join(out.split())


def test_every_key_of_the_tree_is_in_the_help_with_words(run: Run) -> None:
    from fraudml.config.describe import keys

    listed = list(keys(load_settings("train")))
    assert not [key.path for key in listed if not key.text]
    out = run("train", "--help")[1]
    for key in listed:
        assert f"  {key.path}=" in out


def test_help_of_a_command_shows_what_this_command_line_chooses(run: Run, tmp_path: Path) -> None:
    (tmp_path / "learner").mkdir()
    (tmp_path / "learner" / "mine.yaml").write_text(
        "_target_: fraudml.learners.lightgbm.LightGBM\nnum_leaves: 5\n", encoding="utf-8"
    )
    out = run("train", "learner=mine", "--config-dir", str(tmp_path), "-h")[1]
    assert "learner=mine " in out
    assert "learner.num_leaves=5 " in out


def test_multirun_runs_each_in_its_own_folder(run: Run, work: Work) -> None:
    code, out, err = run(
        "train", "--multirun", "seed=1,2", "resampling=none,smote", "output_dir=all"
    )
    assert code == 0
    assert [settings.seed for settings in work.called] == [1, 1, 2, 2]
    folders = [Path(str(settings.output_dir)) for settings in work.called]
    assert folders == [Path("all", str(number)) for number in range(4)]
    assert "run 3 of 4: seed=2 resampling=smote output_dir=all" in err
    assert "seed=1 resampling=smote" in out
    assert "output_dir=all" not in out


def test_multirun_makes_one_parent_by_default(run: Run, work: Work) -> None:
    assert run("train", "-m", "seed=1,2", "run_name=trial")[0] == 0
    first, second = (Path(str(settings.output_dir)) for settings in work.called)
    assert first.parent == second.parent
    assert first.parent.parent == Path("runs")
    assert first.parent.name.endswith("_trial_multirun")
    assert (first.name, second.name) == ("0", "1")


def test_multirun_ends_with_the_first_code_that_is_not_0(run: Run, work: Work) -> None:
    def fail(settings: Settings) -> None:
        if settings.seed == 1:
            raise DataError("too few frauds")
        if settings.seed == 2:
            raise BudgetError("over")

    work.does = fail
    code, out, err = run("train", "-m", "seed=range(0,4)")
    assert code == 3
    assert len(work.called) == 4
    assert "error: too few frauds" in err
    assert "seed=3" in out


def test_multirun_checks_every_config_before_the_first_run(run: Run, work: Work) -> None:
    assert "objective" in error_of(run("train", "-m", "objective=average_precision,accuracy"))
    assert not work.called
    Path("all", "1").mkdir(parents=True)
    message = error_of(run("train", "-m", "seed=1,2", "output_dir=all"))
    assert f"'{Path('all', '1')}' exists" in message
    assert not work.called


@pytest.mark.usefixtures("composed")
def test_multirun_stops_at_an_interruption(run: Run, work: Work) -> None:
    def interrupt(_: Settings) -> None:
        raise KeyboardInterrupt

    work.does = interrupt
    assert run("train", "-m", "seed=1,2")[0] == 130
    assert len(work.called) == 1


def test_every_command_has_its_config_and_its_line() -> None:
    from fraudml.config.sources import Files

    for name, command in COMMANDS.items():
        assert Files.of(None).find(name) is not None
        assert command.text
        assert command.module.startswith("fraudml.workflows.")


def python(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **more
    )


@pytest.mark.parametrize("arguments", [["-m", "fraudml", "--help"], ["-m", "fraudml", "--version"]])
def test_help_answers_within_a_second(arguments: list[str]) -> None:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = python(*arguments)
        seconds.append(time.perf_counter() - started)
        assert (done.returncode, done.stderr) == (0, "")
    assert min(seconds) < 1.0


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import json, sys\nfrom fraudml.cli import main\ncode = main(['--help'])\n"
        "print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    code, modules = json.loads(python("-c", script).stderr)
    assert code == 0
    loaded = {name.partition(".")[0] for name in modules}
    heavy = {"lightgbm", "sklearn", "polars", "numpy", "hydra", "omegaconf", "rich", "imblearn"}
    assert not loaded & heavy


SCRIPT = """
import sys, time, types
from fraudml import cli
from fraudml.cli.commands import COMMANDS, Command
work = types.ModuleType("work_of_a_test")
def run(settings, *, progress):
    try:
        print("started", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
work.run = run
sys.modules["work_of_a_test"] = work
COMMANDS["train"] = Command("wait", "work_of_a_test")
sys.exit(cli.main(["train"]))
"""


@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_work_cleanly(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "cleaned up\n", "interrupted\n")


@POSIX
def test_a_reader_of_the_help_may_go_away() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fraudml", "train", "--help"],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
