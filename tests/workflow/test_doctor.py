"""What `doctor` says of the machine."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import fraudml
from builders import CapSys
from fraudml.cli import main
from fraudml.config.settings import Settings
from fraudml.config.targets import EXTRAS
from fraudml.workflows import doctor

NO_CARD = "there is no card."


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying a device is the business of the tests of `probe`."""
    answers = {"cuda": NO_CARD, "opencl": None}
    monkeypatch.setattr(doctor, "device_problem", lambda _, device: answers[device])


def found(**settings: Any) -> dict[str, str]:
    return dict(doctor.run(Settings(command="doctor", **settings)).rows)


def test_the_command_prints_what_one_pastes_into_an_issue(
    capsys: CapSys,
) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for part in (
        f"version of fraudml {fraudml.__version__}",
        "version of lightgbm",
        "cores",
        "GiB granted",
        "LightGBM on opencl works",
        f"LightGBM on cuda no: {NO_CARD}",
    ):
        assert part in " ".join(out.split()), part


def test_a_library_that_is_not_there_is_said_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "_is_there", lambda library: library == "lightgbm")
    monkeypatch.setattr(doctor, "_offered", lambda: {"catboost", "dev"})
    rows = found()
    assert rows["extra catboost"] == 'not installed: pip install "fraudml[catboost]"'
    assert rows["CatBoost on a device"] == rows["extra catboost"]
    assert "extra xgboost" not in rows
    assert "extra dev" not in rows


def test_an_extra_is_told_as_it_was_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_is_there", lambda library: library in ("xgboost", "lightgbm"))
    monkeypatch.setattr(doctor, "_distributions", lambda: {"xgboost": ["xgboost-cpu"]})
    monkeypatch.setattr(doctor, "version", {"xgboost-cpu": "3.2.0"}.__getitem__)
    assert found()["extra xgboost"] == "xgboost-cpu 3.2.0"


def test_without_metadata_every_extra_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "metadata", missing)
    monkeypatch.setattr(doctor, "_is_there", lambda _: False)
    assert {f"extra {name}" for name in EXTRAS.values()} <= set(found())


def test_doctor_knows_every_extra_of_the_package() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(extras) - {"dev", "docs"} <= set(EXTRAS.values())


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    assert "writable, " in found(output_dir=str(tmp_path / "new" / "run"))["folder for runs"]
    assert not (tmp_path / "new").exists()
    assert "not writable (" in found(output_dir=str(blocked / "run"))["folder for runs"]


def test_no_secret_and_no_name_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "somebody"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "somebody"))
    monkeypatch.setenv("FRAUDML_DATA", str(tmp_path / "somebody" / "tables"))
    monkeypatch.setenv("PGPASSWORD", "do-not-tell")
    monkeypatch.setenv("FRAUDML_TOKEN", "do-not-tell")
    rows = found()
    assert rows["folder for known data"] == "~/tables: is no folder"
    assert not [row for row in rows.items() if "somebody" in str(row) or "do-not-tell" in str(row)]
