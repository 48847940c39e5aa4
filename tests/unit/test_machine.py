"""What the machine is said to be."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fraudml import cgroup, machine


def group(root: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    """A container's root of the groups, with one limit."""
    mount = "35 24 0:30 / /group rw - cgroup2 cgroup2 rw\n"
    files = {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mount, f"group/{name}": text}
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content + "\n")
    monkeypatch.setattr(cgroup, "_ROOT", root)


@pytest.mark.parametrize(
    ("text", "cores"),
    [("150000 100000", 2), ("50000 100000", 1), ("400000 100000", 4), ("max 100000", 64)],
)
def test_a_containers_share_bounds_the_threads(
    text: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(tmp_path, monkeypatch, "cpu.max", text)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert machine.granted_threads() == cores


def test_the_process_keeps_to_its_own_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "_ROOT", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert machine.granted_threads() == 3


def test_without_an_affinity_the_cores_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "_ROOT", tmp_path)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.granted_threads() == 1


def test_versions_name_what_numbers_depend_on() -> None:
    found = machine.versions()
    assert {"python", "fraudml", "lightgbm", "numpy", "polars"} <= set(found)
    assert all(found.values())


def test_versions_name_the_learners_library_once_it_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for library in ("xgboost", "catboost", "mine"):
        monkeypatch.delitem(sys.modules, library, raising=False)
    targets = ("mine.learners.Own", "fraudml.learners.lightgbm.LightGBM", None)
    assert machine.versions(*targets) == machine.versions()
    assert not {"xgboost", "catboost", "mine"} & set(machine.versions())
    monkeypatch.setitem(sys.modules, "mine", ModuleType("mine"))
    monkeypatch.setitem(sys.modules, "xgboost", ModuleType("xgboost"))
    monkeypatch.setattr(sys.modules["xgboost"], "__version__", "3.2.1", raising=False)
    added = dict(machine.versions(*targets).items() - machine.versions("fraudml.x").items())
    assert added == {"mine": "unknown"}
    assert machine.versions()["xgboost"] == "3.2.1"


def test_memory_is_told_in_megabytes() -> None:
    held = machine.peak_memory_mb()
    assert held is None or 10 < held < 1e6


def test_a_containers_share_bounds_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "machine_memory_mb", lambda: 8192.0)
    monkeypatch.setattr(cgroup, "_ROOT", tmp_path)
    assert machine.granted_memory_mb() == 8192.0
    group(tmp_path, monkeypatch, "memory.max", str(2 * 1024**3))
    assert machine.granted_memory_mb() == 2048.0
