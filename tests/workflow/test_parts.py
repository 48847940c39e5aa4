"""Parts of a package outside of fraudml, one file each: `tests/house_rules` is such a package."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from builders import metrics_of, quick, read_json, repeat, simulated
from fraudml.data.settings import SimulateSettings

HOUSE_RULES = Path(__file__).parents[1] / "house_rules"
SCRIPTS = Path(__file__).parents[2] / "scripts"
TABLE = SimulateSettings(rows=12_000, prevalence=0.03, cards=1500)
SMALL = (*simulated(TABLE), *quick(None, replicates=0), "proof=false")

REFERENCE = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from write_reference import group_page, metrics_page
print(metrics_page(), group_page("policy", ["top_share"]))
"""


def python(*arguments: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, where the package is installed or not."""
    paths = [str(HOUSE_RULES)] * installed + os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )


def fraudml(*arguments: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
    return python("-m", "fraudml", *arguments, installed=installed)


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def error_of(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def config_of(run: Path) -> Any:
    return yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Trained:
    folder: Path
    terminal: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run with a learner, a sampler, a policy and a metric of the package."""
    folder = tmp_path_factory.mktemp("parts") / "run"
    parts = ("learner=centroid", "resampling=halved", "policy=top_share", "policy.share=0.02")
    run = ("train", *SMALL, *parts, "metrics=[top_decile]", f"output_dir={folder}")
    return Trained(folder, output_of(fraudml(*run)))


def test_a_run_is_made_of_parts_of_the_package(trained: Trained) -> None:
    config = config_of(trained.folder)
    assert config["learner"] == {"_target_": "house.learner.Centroid", "scale": 1.0}
    assert config["resampling"] == {"_target_": "house.sampler.Halved"}
    assert config["policy"]["_target_"] == "house.policy.TopShare"
    assert config["policy"]["share"] == 0.02
    metrics = metrics_of(trained.folder)
    assert metrics["policy"]["kind"] == "top_share"
    assert metrics["test"]["average_precision"]["value"] > 0.05


def test_a_metric_of_the_package_is_in_every_result(trained: Trained) -> None:
    metrics = metrics_of(trained.folder)
    value = metrics["test"]["top_decile"]["value"]
    assert 0 < value < 1
    assert f"{value:.3f}" in next(
        line for line in trained.terminal.splitlines() if "top decile" in line
    )
    assert "top decile" in (trained.folder / "report.html").read_text(encoding="utf-8")
    row = "`top_decile` | the higher the better | 0 to 1 | `y_true`, `y_score` | Return the share"
    reference = output_of(python("-c", REFERENCE))
    assert row in reference
    assert "Of house-rules 1.0.\n\n`house.policy.TopShare`" in reference
    assert "| `share` | `float` | `0.01` | Of all rows, above 0. |" in reference


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("top_decil", "no installed package registers. Did you mean 'top_decile'?"),
        ("house.policy.TopShare", "which is of the type type. Expected a fraudml.metrics.Metric"),
        ("os.sep", "metrics is 'os.sep'. It begins with one of 'fraudml.'"),
        ("house.metric.TOP_DECIL", "but house.metric has no 'TOP_DECIL'. Did you mean"),
        ("other.METRIC", "components.allow=[other]"),
    ],
)
def test_a_metric_that_is_none_is_refused(metrics: str, message: str) -> None:
    job = ("train", f"metrics=[{metrics}]", "components.allow=[house]", "--cfg", "job")
    assert message in error_of(fraudml(*job))


def test_a_metric_by_its_path_and_as_the_objective() -> None:
    job = ("train", "metrics=[house.metric.TOP_DECILE]", "components.allow=[house]", "--cfg", "job")
    assert "house.metric.TOP_DECILE" in output_of(fraudml(*job))
    message = error_of(fraudml(*job, "objective=top_decile"))
    assert "objective is 'top_decile'. Choose one of average_precision" in message


def test_its_bundle_is_read_where_the_package_is_installed(
    trained: Trained, tmp_path: Path
) -> None:
    table = tmp_path / "new.parquet"
    output_of(fraudml("simulate", "data.simulate.rows=2000", f"output={table}"))
    scores = tmp_path / "scores.parquet"
    job = ("score", f"bundle={trained.folder / 'bundle'}", f"input={table}", f"output={scores}")
    output_of(fraudml(*job, "reasons=2"))
    assert pl.read_parquet(scores).height == 2000
    message = error_of(fraudml(*job, "overwrite=true", installed=False), 6)
    assert "of the kind 'centroid', which this fraudml does not know" in message
    assert "Install the package that has it" in message


def test_a_run_is_repeated_only_where_the_package_is_installed(trained: Trained) -> None:
    again = ("train", *repeat(trained.folder), "--cfg", "job")
    assert "house.learner.Centroid" in output_of(fraudml(*again))
    message = error_of(fraudml(*again, "metrics=[]", installed=False))
    assert "learner._target_ is 'house.learner.Centroid'. It begins with one of" in message


def test_a_loss_of_the_package(tmp_path: Path) -> None:
    run = ("train", *SMALL, "loss=heavy_fraud", "learner.num_iterations=30", "rounds.choose=false")
    output_of(fraudml(*run, "loss.weight=3", f"output_dir={tmp_path / 'run'}"))
    assert config_of(tmp_path / "run")["loss"] == {
        "_target_": "house.loss.HeavyFraud",
        "weight": 3.0,
    }


def test_a_command_of_the_package() -> None:
    assert "1,500" in output_of(fraudml("count", "data.simulate.rows=1500"))
    assert "count     count the rows of a table (house-rules 1.0)" in output_of(fraudml("--help"))
    described = output_of(fraudml("count", "--help"))
    assert described.startswith("python -m fraudml count: count the rows of a table")
    assert "data.simulate.rows=" in described
    message = error_of(fraudml("cuont"))
    assert "Unknown command 'cuont'. Did you mean 'count'" in message
    assert "Unknown command 'count'" in error_of(fraudml("count", installed=False))


def test_parts_are_options_of_their_groups_and_are_checked() -> None:
    listed = " ".join(output_of(fraudml("train", "--help")).split())
    for option in ("centroid", "halved", "heavy_fraud", "top_share"):
        assert f" {option}," in listed or f", {option}" in listed
    message = error_of(fraudml("train", "policy=top_shar"))
    assert "Did you mean 'top_share'" in message
    message = error_of(fraudml("train", "policy=top_share", "policy.share=much"))
    assert "policy.share is 'much', a text. It is a number." in message
    message = error_of(fraudml("train", "policy=top_share", "policy.shar=1"))
    assert "policy.shar is no argument of house.policy.TopShare. Did you mean 'share'?" in message


def test_a_part_is_imported_when_it_is_chosen_and_not_before() -> None:
    message = error_of(fraudml("train", *SMALL, "policy=broken"))
    assert "policy._target_ is 'house.broken.Broken', and importing house.broken fails" in message
    script = (
        "import sys, fraudml.parts as p; print(list(p.parts('policy')), 'house' in sys.modules)"
    )
    done = python("-c", script)
    assert done.stdout == "['broken', 'top_share'] False\n"


def test_a_learner_that_no_bundle_could_be_read_with_is_refused(tmp_path: Path) -> None:
    folder = f"output_dir={tmp_path / 'run'}"
    message = error_of(fraudml("train", *SMALL, "learner=unreadable", folder))
    assert "whose module has no load(files, metadata, threads)" in message
    (tmp_path / "loose.py").write_text(
        "from house.learner import Centroid\nclass Loose(Centroid):\n    pass\n", encoding="utf-8"
    )
    arguments = ("learner._target_=loose.Loose", "components.allow=[loose]")
    message = error_of(fraudml("train", *SMALL, *arguments, folder))
    assert "and there is no module loose. Put the folder that has it on PYTHONPATH" in message


@pytest.mark.slow
def test_a_sweep_chooses_among_parts_of_the_package(tmp_path: Path) -> None:
    space = "sweep.space=['policy=choice(minimum_cost,top_share)','resampling=choice(none,halved)']"
    run = ("sweep", *SMALL, "learner=centroid", space, "sweep.sampler=grid")
    output_of(fraudml(*run, f"output_dir={tmp_path / 'sweep'}"))
    assert read_json(tmp_path / "sweep" / "sweep.json")["trials"] == {"complete": 4, "total": 4}
