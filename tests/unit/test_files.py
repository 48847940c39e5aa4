"""Whole folders or none, JSON of the same bytes; and the seeds and deadlines beside them."""

from __future__ import annotations

import errno
import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from fraudml import errors
from fraudml.errors import ConfigError, DataError, FraudmlError, MachineError
from fraudml.files import PARTIAL, atomic_folder, machine_errors, sha256, write_json
from fraudml.progress import Deadline, silent
from fraudml.seeds import child_generator, child_seed


def test_a_folder_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "runs" / "one"
    with atomic_folder(place) as partial:
        assert partial == tmp_path / "runs" / ("one" + PARTIAL)
        (partial / "a.txt").write_text("a")
        assert not place.exists()
    assert [file.name for file in place.iterdir()] == ["a.txt"]
    assert [folder.name for folder in place.parent.iterdir()] == ["one"]


def write_half(place: Path, failure: BaseException) -> None:
    with atomic_folder(place) as partial:
        (partial / "half").write_text("half")
        raise failure


@pytest.mark.parametrize(
    "failure", [ValueError("a defect"), DataError("no"), KeyboardInterrupt(), SystemExit(1)]
)
def test_a_failure_leaves_nothing_and_stays_what_it_is(
    tmp_path: Path, failure: BaseException
) -> None:
    with pytest.raises(type(failure)) as raised:
        write_half(tmp_path / "run", failure)
    assert raised.value is failure
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_the_machines_fault_and_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "run"
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(MachineError) as raised:
        write_half(place, full)
    told = str(raised.value)
    assert f"'{place}': No space left on device" in told
    assert "Free some space" in told
    assert raised.value.__cause__ is full
    assert raised.value.exit_code == 7
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_exists_is_never_overwritten(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "run"
    if kind == "folder":
        place.mkdir()
    else:
        place.write_text("mine")
    with pytest.raises(ConfigError, match="never overwritten"), atomic_folder(place):
        pytest.fail("the block must not run")
    assert place.is_dir() if kind == "folder" else place.read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["run"]


def test_what_an_earlier_run_left_unfinished_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ("run" + PARTIAL)
    left.mkdir()
    (left / "old").write_text("old")
    with atomic_folder(tmp_path / "run") as partial:
        assert list(partial.iterdir()) == []


def test_a_place_that_cannot_be_made_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(MachineError, match="Cannot write"),
        atomic_folder(tmp_path / "file" / "run"),
    ):
        pytest.fail("the block must not run")


def test_no_other_error_becomes_the_machines(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), machine_errors(tmp_path):
        _ = 1 / 0


def test_json_has_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": 1, "a": {"é": [0.1, None, True]}})
    write_json(tmp_path / "b", {"a": {"é": [0.1, None, True]}, "b": 1})
    text = (tmp_path / "a").read_bytes()
    assert text == (tmp_path / "b").read_bytes()
    assert text.endswith(b"}\n")
    assert "é" in text.decode()
    assert json.loads(text) == {"a": {"é": [0.1, None, True]}, "b": 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_json_is_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a", {"a": value})
    assert not (tmp_path / "a").exists()


def test_a_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x00" * 300_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"\x00" * 300_000).hexdigest()


def test_children_of_a_seed_depend_on_the_seed_and_the_name_alone() -> None:
    drawn = {
        (seed, name): child_generator(seed, name).random(4).tobytes()
        for seed in (0, 1)
        for name in ("learner", "folds")
    }
    assert len(set(drawn.values())) == 4
    assert child_generator(0, "learner").random(4).tobytes() == drawn[0, "learner"]
    assert all(0 <= child_seed(seed, "x") < 2**31 - 1 for seed in range(50))
    assert len({child_seed(seed, "x") for seed in range(50)}) == 50
    assert isinstance(child_seed(0, "x"), int)


def test_a_child_follows_the_documented_rule() -> None:
    own = np.random.SeedSequence([7, zlib.crc32(b"learner")])
    expected = np.random.default_rng(own).random(4)
    np.testing.assert_array_equal(child_generator(7, "learner").random(4), expected)


def test_a_deadline_counts_from_when_it_was_made() -> None:
    assert Deadline(None).left == float("inf")
    assert 0 < Deadline(60).left <= 60
    passed = Deadline(1, started=Deadline().started - 2)
    assert passed.expired
    assert passed.left == 0.0
    assert silent("fit", 0.5) is None  # type: ignore[func-returns-value]


def test_each_refusal_has_an_exit_code_of_its_own() -> None:
    family = [one for one in vars(errors).values() if isinstance(one, type)]
    codes = {one: one.exit_code for one in family if issubclass(one, FraudmlError)}
    assert sorted(codes.values()) == [1, 2, 3, 4, 5, 6, 7]
    assert codes[ConfigError] == 2
    assert codes[DataError] == 3


@pytest.mark.parametrize(
    ("name", "known", "told"),
    [
        ("amonut", ["amount", "time"], "Did you mean 'amount'?"),
        ("AMOUNT", ["Amount"], "Did you mean 'Amount'?"),
        ("amount", ["Amount (€)", "time"], "Did you mean 'Amount (€)'?"),
        ("zzz", ["b", "a"], "Known are 'a', 'b'."),
        ("zzz", [], "There are none."),
    ],
)
def test_the_nearest_names(name: str, known: list[str], told: str) -> None:
    assert errors.nearest(name, known) == told
