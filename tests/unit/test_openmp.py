"""How threads of OpenMP wait: what is set, for whom, and what is said where it is too late."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fraudml import machine, openmp

GNU, LLVM = "GOMP_SPINCOUNT", "KMP_BLOCKTIME"
LIMITS = {GNU: "1000", LLVM: "1"}
LIBRARY = "7f1ae908f000-7f1ae90a5000 r-xp 00000000 fd:00 1311 {}"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A process in which nothing was set and nothing loaded."""
    monkeypatch.setattr(openmp, "SPIN_LIMITS", LIMITS)
    loaded(monkeypatch, tmp_path)
    for name in os.environ:
        if name.startswith((GNU, LLVM, "KMP_LIBRARY", "OMP_WAIT_POLICY")):
            monkeypatch.delenv(name)
    for name in LIMITS:  # so that it is gone afterwards
        monkeypatch.setenv(name, "")
    openmp.limit_spinning.cache_clear()
    openmp._warn.cache_clear()
    yield
    openmp.limit_spinning.cache_clear()
    openmp._warn.cache_clear()


def loaded(monkeypatch: pytest.MonkeyPatch, folder: Path, *files: str) -> None:
    """Let these libraries be loaded."""
    names = ["/usr/bin/python3.11", "[heap]", "/opt/my env/lib/libscipy_openblas64_.so", *files]
    (folder / "maps").write_text("".join(LIBRARY.format(name) + "\n" for name in names))
    monkeypatch.setattr(openmp, "_MAPS", folder / "maps")


def test_limits_are_set_where_the_user_has_set_none() -> None:
    assert openmp.limit_spinning() == ()
    assert {name: os.environ[name] for name in LIMITS} == LIMITS


@pytest.mark.parametrize(
    "setting",
    [
        *("OMP_WAIT_POLICY=passive", "OMP_WAIT_POLICY_ALL=ACTIVE", "GOMP_SPINCOUNT=300000"),
        *("KMP_BLOCKTIME=200", "KMP_BLOCKTIME=infinite", "KMP_LIBRARY=turnaround"),
    ],
)
def test_what_the_user_has_set_stays_alone(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, text = setting.split("=")
    monkeypatch.setenv(name, text)
    before = dict(os.environ)
    assert openmp.limit_spinning() == ()
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "file",
    [
        "/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0",
        "/opt/my env/scikit_learn.libs/libgomp-e985bcbb.so.1.0.0",
        "/usr/lib/llvm-14/lib/libomp-14.so.5",
        "/opt/homebrew/opt/libomp/lib/libomp.dylib",
        "/opt/conda/lib/libiomp5.so",
    ],
)
def test_a_runtime_that_was_loaded_before_is_too_late_for_it(
    file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded(monkeypatch, tmp_path, file, "/usr/lib/libomptarget.so.14", "/usr/lib/libgompx.so", file)
    assert openmp.limit_spinning() == (file,)
    assert {name: os.environ[name] for name in LIMITS} == LIMITS, "children still take them"


def test_a_runtime_that_reads_no_limit_of_ours_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(openmp, "SPIN_LIMITS", {LLVM: "1"})  # as on ARM
    loaded(monkeypatch, tmp_path, "/usr/lib/libgomp.so.1", "/usr/lib/libomp.so")
    assert openmp.limit_spinning() == ("/usr/lib/libomp.so",)
    assert os.environ[GNU] == ""


def test_without_proc_threadpoolctl_finds_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sklearn.ensemble  # noqa: F401

    monkeypatch.setattr(openmp, "_MAPS", tmp_path / "not there")
    by_threadpoolctl = openmp.limit_spinning()
    assert by_threadpoolctl
    if Path("/proc/self/maps").exists():
        monkeypatch.setattr(openmp, "_MAPS", Path("/proc/self/maps"))
        openmp.limit_spinning.cache_clear()
        for name in LIMITS:
            monkeypatch.setenv(name, "")
        by_maps = openmp.limit_spinning()
        assert {os.path.realpath(file) for file in by_threadpoolctl} == set(by_maps)


def test_it_is_said_once_and_of_several_threads_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded(monkeypatch, tmp_path, "/venv/scikit_learn.libs/libgomp-1.so.1", "/usr/lib/libomp.so")
    monkeypatch.setattr(machine, "granted_threads", lambda: 2)
    with caplog.at_level(logging.WARNING, "fraudml"):
        assert machine.thread_count(1) == 1
        assert not caplog.messages
        assert [machine.thread_count(3), machine.thread_count(None)] == [3, 2]
    (message,) = caplog.messages
    assert "(lib/libomp.so, scikit_learn.libs/libgomp-1.so.1)" in message
    assert "Import fraudml first, start Python with GOMP_SPINCOUNT=1000 KMP_BLOCKTIME=1" in message


def test_nothing_is_said_in_time(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "fraudml"):
        assert machine.thread_count(2) == 2
    assert not caplog.messages
