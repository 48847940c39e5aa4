"""Places that cannot be written: a full disk, a read-only one, a file where a folder should be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from fraudml.cli import main
from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate

CapSys = pytest.CaptureFixture[str]
ROWS = SimulateSettings(rows=6000, prevalence=0.05, cards=400, terminals=60)
SMALL = (
    *("threads=1", "proof=false", "learner.num_iterations=30", "evaluation.replicates=0"),
    *("data.simulate.rows=6000", "data.simulate.prevalence=0.05"),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    simulate(ROWS).write_parquet(folder / "cards.parquet")
    assert main(["train", *SMALL, f"output_dir={folder / 'run'}"]) == 0
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a real, small disk with options of one's own."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounts a disk: run it as root on Linux")
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("mounts a disk: run it where root may")
        return place

    yield mount
    subprocess.run(["umount", str(place)], check=False, capture_output=True)


def score(model: Path, output: Path, *more: str) -> int:
    places = [f"bundle={model / 'run'}", f"input={model / 'cards.parquet'}", f"output={output}"]
    return main(["score", *places, "threads=1", *more])


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("size", ["20k", "260k"])
def test_a_full_disk_exits_7_and_the_job_goes_on(
    model: Path, size: str, ending: str, disk: Callable[[str], Path], capsys: CapSys
) -> None:
    place = disk(f"size={size}")
    output = place / f"scores.{ending}"
    assert score(model, output, "chunk_rows=1000") == 7
    said = capsys.readouterr().err
    assert "Cannot write" in said
    assert "o space left on device" in said
    assert "run the same command again" in " ".join(said.split())
    assert not output.exists()
    subprocess.run(["mount", "-o", "remount,size=4m", str(place)], check=True)
    assert score(model, output, "chunk_rows=1000") == 0
    assert [path.name for path in sorted(place.iterdir())] == [output.name, f"{output.name}.json"]


def test_a_full_disk_leaves_nothing_of_a_run(disk: Callable[[str], Path], capsys: CapSys) -> None:
    place = disk("size=40k")
    assert main(["train", *SMALL, f"output_dir={place / 'run'}"]) == 7
    assert "o space left on device" in capsys.readouterr().err
    assert not list(place.iterdir())


def test_a_full_disk_leaves_nothing_of_a_table(disk: Callable[[str], Path], capsys: CapSys) -> None:
    place = disk("size=40k")
    for ending in ("parquet", "csv", "arrow"):
        assert main(["simulate", f"output={place / 'cards'}.{ending}"]) == 7
        assert "o space left on device" in capsys.readouterr().err
        assert not list(place.iterdir())


def test_a_place_that_may_not_be_written_exits_7(
    model: Path, disk: Callable[[str], Path], capsys: CapSys
) -> None:
    place = disk("ro")
    for command in (
        lambda: score(model, place / "scores.parquet"),
        lambda: main(["train", *SMALL, f"output_dir={place / 'run'}"]),
        lambda: main(["simulate", f"output={place / 'cards.parquet'}"]),
    ):
        assert command() == 7
        assert "Read-only file system" in capsys.readouterr().err


def test_a_file_where_a_folder_should_be_exits_7(
    model: Path, tmp_path: Path, capsys: CapSys
) -> None:
    (tmp_path / "file").write_text("")
    assert score(model, tmp_path / "file" / "scores.parquet") == 7
    assert "Not a directory" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == ""


def test_no_permission_is_said(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CapSys
) -> None:
    """As root nothing is forbidden, so that the refusal of the system is played."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pl.DataFrame, "write_ipc", refuse)
    assert score(model, tmp_path / "scores.parquet") == 7
    said = capsys.readouterr().err
    assert "Cannot write" in said
    assert "Permission denied" in said
