"""Bundles of every kind of learner under attack: refused, nothing imported, nothing written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from builders import make_bundle
from fraudml.bundle import DecisionBundle, read_bundle, write_bundle
from fraudml.cli import main
from fraudml.data.check import check_table
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.errors import BundleError
from fraudml.features.plan import fit_features
from fraudml.features.settings import FeatureSettings
from fraudml.learners.catboost import CatBoost
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.sklearn import SklearnLearner
from fraudml.learners.xgboost import XGBoost

LEARNERS: dict[str, Any] = {
    "lightgbm": LightGBM(num_iterations=3),
    "xgboost": XGBoost(n_estimators=3),
    "catboost": CatBoost(iterations=3),
    "logistic": SklearnLearner("sklearn.linear_model.LogisticRegression"),
    "random_forest": SklearnLearner(
        "sklearn.ensemble.RandomForestClassifier", n_estimators=3, max_depth=3
    ),
}


def made(learner: Any) -> DecisionBundle:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"amount": rng.gamma(1.0, 60, 300), "x": rng.normal(size=300)})
    shop = pl.Series(rng.choice(["web", "till"], 300))
    frame = frame.with_columns(label=(pl.col("x") > 1).cast(pl.Int8), shop=shop)
    data = check_table(frame, DataSettings(columns=ColumnRoles(amount="amount")))
    fitted = fit_features(data, np.arange(300), FeatureSettings(texts={"x": "x, {value}, is odd"}))
    record = {"test": {"average_precision": {"value": 0.5}}}
    return make_bundle(data, fitted, learner, offset=-0.5, record=record)


@pytest.fixture(scope="module", params=LEARNERS)
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("stored") / "bundle"
    write_bundle(made(LEARNERS[request.param]), folder)
    return folder


@pytest.fixture
def copy(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "bundle"))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def sign(folder: Path, change: Callable[[dict[str, Any]], Any] = lambda manifest: None) -> None:
    """Put hashes and digest right, as a forger does."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files(folder / "learner")
    }
    change(manifest)
    text = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(text)
    (folder / "manifest.sha256").write_text(hashlib.sha256(text).hexdigest() + "\n")


def test_two_hundred_changed_bytes_are_found(copy: Path) -> None:
    rng = np.random.default_rng(0)
    whole = {path: path.read_bytes() for path in files(copy)}
    ends = np.cumsum([len(content) for content in whole.values()])
    for place in rng.integers(0, ends[-1], 200):
        number = int(np.searchsorted(ends, place, side="right"))
        path, content = list(whole.items())[number]
        at = int(place - (ends[number] - len(content)))
        other = bytes([content[at] ^ int(rng.integers(1, 256))])
        path.write_bytes(content[:at] + other + content[at + 1 :])
        with pytest.raises(BundleError):
            read_bundle(copy)
        path.write_bytes(content)
    read_bundle(copy)


def test_each_missing_file_is_found(copy: Path) -> None:
    for path in files(copy):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(BundleError, match=path.name):
            read_bundle(copy)
        path.write_bytes(content)
    read_bundle(copy)


def test_each_file_that_is_a_link_is_found(copy: Path, tmp_path: Path) -> None:
    for path in files(copy):
        away = tmp_path / "away"
        path.rename(away)
        path.symlink_to(away)
        with pytest.raises(BundleError, match=r"is a link|links: '"):
            read_bundle(copy)
        path.unlink()
        away.rename(path)
    read_bundle(copy)


def with_file(name: str) -> Callable[[Path], None]:
    def attack(folder: Path) -> None:
        told = hashlib.sha256(b"x").hexdigest()
        outside = folder.parent / "outside.txt"
        outside.write_text("x")
        place = name.format(outside)
        sign(folder, lambda manifest: manifest["files"].update({place: told}))

    return attack


def with_more(folder: Path) -> None:
    (folder / "learner" / "more.py").write_text("")


def with_link(folder: Path) -> None:
    (folder / "more").symlink_to(folder.parent)


def from_the_future(folder: Path) -> None:
    sign(folder, lambda manifest: manifest.update(format_version=99))


ATTACKS: dict[str, Callable[[Path], None]] = {
    "a file too many": with_more,
    "a link to a folder": with_link,
    "a manifest from the future": from_the_future,
    "an absolute path": with_file("{}"),
    "a path that leaves the folder": with_file("../outside.txt"),
    "a path that leaves from inside": with_file("learner/../../outside.txt"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_command_ends_with_6_and_writes_nothing(
    attack: str, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ATTACKS[attack](copy)
    source = tmp_path / "in.csv"
    source.write_text("amount,x,shop\n1.5,0.2,web\n")
    before = {path: path.read_bytes() for path in files(tmp_path)}
    assert main(["score", f"bundle={copy}", f"input={source}", f"output={tmp_path / 'o.csv'}"]) == 6
    assert main(["show", f"bundle={copy}"]) == 6
    assert str(copy) in capsys.readouterr().err
    assert {path: path.read_bytes() for path in files(tmp_path)} == before


def leaves(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every text in a manifest."""
    if isinstance(content, str):
        yield place
    elif isinstance(content, dict | list):
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        for name, inner in pairs:
            yield from leaves(inner, (*place, name))


WATCHED = """
import json, sys
from fraudml.errors import BundleError
from fraudml.scoring import load_bundle

folders = sys.argv[1:]
load_bundle(folders[0])  # the libraries of a sound bundle are there

class Watch:
    asked = []
    def find_spec(self, name, path=None, target=None):
        self.asked.append(name)

wrote = []
def hook(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        if isinstance(arguments[0], str):  # a number is an end of a pipe that is open already
            wrote.append(arguments[0])
    if event == "subprocess.Popen" and "fraudml.learners.quarantine" in arguments[1]:
        return  # the process that loads the model first
    if event in ("subprocess.Popen", "os.system", "os.exec", "socket.connect", "pickle.find_class"):
        wrote.append(event)

sys.meta_path.insert(0, Watch())
sys.addaudithook(hook)
refused = 0
for folder in folders[1:]:
    try:
        load_bundle(folder)
    except BundleError as error:
        refused += 1
        print(error, file=sys.stderr)
print(json.dumps({"asked": Watch.asked, "wrote": wrote, "refused": refused}))
"""


def watched(folders: list[Path], place: Path) -> dict[str, Any]:
    """Load bundles in a process of its own that notes what it looks for and what it writes."""
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, folders)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": f"{place}{os.pathsep}{Path(__file__).parents[2]}"},
    )
    told: dict[str, Any] = json.loads(ended.stdout)
    return told | {"said": ended.stderr}


def test_no_module_is_looked_for_that_a_bundle_names(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w').close()")
    manifest = json.loads((stored / "manifest.json").read_text())
    folders = [stored]
    for number, place in enumerate(leaves(manifest)):

        def change(content: Any, place: tuple[Any, ...] = place) -> None:
            for name in place[:-1]:
                content = content[name]
            content[place[-1]] = "evil"

        folders.append(Path(shutil.copytree(stored, tmp_path / f"forged{number}")))
        sign(folders[-1], change)
    told = watched(folders, tmp_path)
    assert told["refused"] >= 7
    assert not [name for name in told["asked"] if "evil" in name]
    assert told["wrote"] == []
    assert not (tmp_path / "owned").exists()


def test_no_module_is_looked_for_that_an_archive_names(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text(
        f"open({str(tmp_path / 'owned')!r}, 'w').close()\nclass RandomForestClassifier: pass\n"
    )
    sound = tmp_path / "sound"
    write_bundle(made(LEARNERS["random_forest"]), sound)
    folders = [sound]
    for number, module in enumerate(["evil", "os", "builtins"]):
        folder = Path(shutil.copytree(sound, tmp_path / f"forged{number}"))
        (archive,) = files(folder / "learner")
        with zipfile.ZipFile(archive) as given:
            content = {name: given.read(name) for name in given.namelist()}
        schema = content["schema.json"].decode()
        assert '"sklearn.ensemble._forest"' in schema
        content["schema.json"] = schema.replace(
            '"sklearn.ensemble._forest"', f'"{module}"'
        ).encode()
        with zipfile.ZipFile(archive, "w") as forged:
            for name, inner in content.items():
                forged.writestr(name, inner)
        sign(folder, _with_digest(archive))
        folders.append(folder)
    told = watched(folders, tmp_path)
    assert told["refused"] == told["said"].count("trust") == 3, told["said"]
    assert not [name for name in told["asked"] if "evil" in name]
    assert told["wrote"] == []
    assert not (tmp_path / "owned").exists()


def _with_digest(archive: Path) -> Callable[[dict[str, Any]], Any]:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()

    def change(manifest: dict[str, Any]) -> None:
        metadata = manifest["learner"]["metadata"]
        for name, value in metadata.items():
            if isinstance(value, str) and len(value.removeprefix("sha256:")) == 64:
                metadata[name] = value.replace(value.removeprefix("sha256:"), digest)

    return change
