"""Bundles: the same bits after writing and reading, and nothing but plain data in between."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from builders import CALIBRATORS, COSTS, make_bundle
from fraudml.bundle import FORMAT_VERSION, DecisionBundle, read_bundle, write_bundle
from fraudml.data.check import check_table
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.decisions.calibration import FittedCalibrator
from fraudml.decisions.costs import CostModel
from fraudml.decisions.policies import TunedPolicy
from fraudml.errors import BundleError, DataError
from fraudml.features.plan import fit_features
from fraudml.features.settings import FeatureSettings
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.sklearn import SklearnLearner
from fraudml.scoring import Scorer, load_bundle

ROLES = ColumnRoles(time="time", id="ref", entity="card", amount="amount")


def table(size: int = 800, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    label = (rng.random(size) < 0.15).astype(np.int8)
    shop = np.where(rng.random(size) < 0.4 + 0.4 * label, "web", "till")
    return pl.DataFrame(
        {
            "ref": [f"t{i:05d}" for i in rng.permutation(size)],
            "time": [datetime(2026, 1, 1) + timedelta(minutes=31 * i) for i in range(size)],
            "card": rng.integers(0, 60, size),
            "amount": np.round(rng.gamma(1.0, 60, size) * (1 + label), 2),
            "shop": pl.Series(shop).replace("till", None) if seed else shop,
            "age": pl.Series(rng.normal(40, 9, size)).scatter(range(0, size, 9), None),
            "fee": rng.uniform(1, 3, size),
            "loss": rng.uniform(0, 90, size),
            "label": label,
        }
    )


def made(
    costs: CostModel = COSTS["card"],
    calibrator: FittedCalibrator = CALIBRATORS["sigmoid"],
    learner: Any = None,
    threshold: float | None = None,
) -> DecisionBundle:
    data = check_table(table(), DataSettings(columns=ROLES))
    fitted = fit_features(data, np.arange(600), FeatureSettings(), never=frozenset({"fee", "loss"}))
    if learner is None:
        learner = LightGBM(num_iterations=8, learning_rate=0.3, boost_from_average=True)
    return make_bundle(
        data,
        fitted,
        learner,
        rows=600,
        offset=-0.1234567890123456,
        calibrator=calibrator,
        costs=costs,
        policy=TunedPolicy("minimum_cost", threshold),
        record={"test": {"average_precision": {"value": 0.5}}},
    )


@pytest.fixture(scope="module")
def bundle() -> DecisionBundle:
    return made()


@pytest.fixture(scope="module")
def stored(bundle: DecisionBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "bundle"
    write_bundle(bundle, folder)
    return folder


@pytest.fixture
def copy(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "bundle"))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """What a forger, or a hand, does: change the manifest and put the digest right."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    text = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(text)
    digest = hashlib.sha256(text).hexdigest()
    (folder / "manifest.sha256").write_text(digest + "\n")


VARIANTS = {
    **{f"costs {name}": {"costs": costs} for name, costs in COSTS.items()},
    **{f"calibrator {name}": {"calibrator": one} for name, one in CALIBRATORS.items()},
    "one threshold": {"threshold": 0.1734567890123456},
    "logistic": {"learner": SklearnLearner("sklearn.linear_model.LogisticRegression")},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_writing_and_reading_give_the_same_bits(name: str, tmp_path: Path) -> None:
    bundle = made(**VARIANTS[name])
    write_bundle(bundle, tmp_path / "bundle")
    again = read_bundle(tmp_path / "bundle")
    one, other = (Scorer(each).score(table(seed=1)) for each in (bundle, again))
    assert one.equals(other)
    assert one["score"].to_numpy().tobytes() == other["score"].to_numpy().tobytes()
    assert one["threshold"].to_numpy().tobytes() == other["threshold"].to_numpy().tobytes()
    assert 0 < one["alert"].sum() < 800
    for part in ("schema", "features", "calibrator", "costs", "policy", "record", "offset"):
        assert getattr(again, part) == getattr(bundle, part), part


def test_a_bundle_that_is_read_is_written_as_the_same_bytes(stored: Path, tmp_path: Path) -> None:
    write_bundle(read_bundle(stored), tmp_path / "again")
    for path in stored.rglob("*"):
        if path.is_file():
            twin = tmp_path / "again" / path.relative_to(stored)
            assert twin.read_bytes() == path.read_bytes(), path.name


def test_all_that_is_stored_is_text(stored: Path) -> None:
    files = [path for path in stored.rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files:
        path.read_text(encoding="utf-8")


def test_an_existing_folder_is_not_written_into(bundle: DecisionBundle, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        write_bundle(bundle, tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_changed_byte_is_found(copy: Path) -> None:
    rng = np.random.default_rng(0)
    for path in [path for path in copy.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        places = {0, len(whole) - 1, *rng.integers(0, len(whole), 25).tolist()}
        for place in places:
            other = int(rng.integers(1, 256)) ^ whole[place]
            path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
            with pytest.raises(BundleError):
                read_bundle(copy)
        for cut in (b"", whole[: len(whole) // 2], whole[:-1], whole + b"\n"):
            path.write_bytes(cut)
            with pytest.raises(BundleError):
                read_bundle(copy)
        path.write_bytes(whole)
    read_bundle(copy)


@pytest.mark.parametrize("space", [b"", b" ", b"\r\n", b"\t", b"\n\n"])
def test_the_end_of_the_digest_counts_too(copy: Path, space: bytes) -> None:
    path = copy / "manifest.sha256"
    path.write_bytes(path.read_bytes().rstrip() + space)
    with pytest.raises(BundleError, match=r"manifest\.sha256"):
        read_bundle(copy)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256", "learner/model.txt"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=Path(name).name):
        read_bundle(copy)


@pytest.mark.parametrize("name", ["extra.py", "learner/extra.pkl", "more/deep.txt", ".hidden"])
def test_a_file_too_many_is_named(copy: Path, name: str) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("")
    with pytest.raises(BundleError, match=f"not listed: '{name}'"):
        read_bundle(copy)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256", "learner/model.txt"])
def test_a_link_is_refused_though_it_leads_to_the_same_bytes(copy: Path, name: str) -> None:
    away = copy.parent / "away"
    shutil.move(copy / name, away)
    (copy / name).symlink_to(away)
    with pytest.raises(BundleError, match=r"is a link|links: '"):
        read_bundle(copy)


def test_a_folder_that_is_a_link_is_refused(copy: Path) -> None:
    away = copy.parent / "away"
    shutil.move(copy / "learner", away)
    (copy / "learner").symlink_to(away, target_is_directory=True)
    with pytest.raises(BundleError, match="links: 'learner'"):
        read_bundle(copy)


@pytest.mark.parametrize("what", ["nothing", "file", "empty"])
def test_what_is_no_bundle_is_refused(what: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if what == "file":
        place.write_text("")
    if what == "empty":
        place.mkdir()
    with pytest.raises(BundleError, match="place"):
        load_bundle(place)


def test_a_later_format_is_refused_with_both_versions(copy: Path) -> None:
    rewrite(copy, lambda manifest: manifest.update(format_version=FORMAT_VERSION + 1, fraudml="9"))
    with pytest.raises(BundleError, match=f"format {FORMAT_VERSION + 1}, written by fraudml 9"):
        read_bundle(copy)


def put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], Any]:
    def change(manifest: Any) -> None:
        for name in path[:-1]:
            manifest = manifest[name]
        manifest[path[-1]] = value

    return change


FORGED = {
    "no format": lambda manifest: manifest.pop("format_version"),
    "no files": put("files", value=None),
    "no learner": lambda manifest: manifest.pop("learner"),
    "no policy": lambda manifest: manifest.pop("policy"),
    "unknown learner": put("learner", "kind", value="os"),
    "learner of a path": put("learner", "kind", value="..evil"),
    "learner of a list": put("learner", "kind", value=["lightgbm"]),
    "unknown calibrator": put("calibrator", "kind", value="spline"),
    "calibrator of text": put("calibrator", "parameters", value=["a", "b"]),
    "unknown costs": put("costs", "kind", value="evil.Costs"),
    "wrong costs": put("costs", "review_cost", value=-1.0),
    "unknown argument of costs": put("costs", "path", value="/etc/passwd"),
    "unknown role": put("schema", "roles", "owner", value="card"),
    "threshold of text": put("policy", "threshold", value="high"),
    "offset of text": put("learner", "offset", value="none"),
    "a file outside": put("files", "../evil.py", value="0" * 64),
    "a list": None,
}


@pytest.mark.parametrize("name", FORGED)
def test_a_manifest_that_is_not_as_it_should_be_is_refused(copy: Path, name: str) -> None:
    change = FORGED[name]
    if change is None:
        (copy / "manifest.json").write_text("[]")
        digest = hashlib.sha256(b"[]").hexdigest()
        (copy / "manifest.sha256").write_text(digest + "\n")
    else:
        rewrite(copy, change)
    with pytest.raises(BundleError):
        read_bundle(copy)


def test_nothing_that_a_bundle_names_is_imported(copy: Path) -> None:
    evil = copy.parent / "evil.py"
    evil.write_text(f"open({str(copy.parent / 'owned')!r}, 'w').close()")
    rewrite(copy, put("learner", "kind", value="evil"))
    code = (
        "import sys; from fraudml.errors import BundleError\n"
        "from fraudml.scoring import load_bundle\n"
        "try: load_bundle(sys.argv[1])\n"
        "except BundleError: print('evil' in sys.modules)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(copy)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{copy.parent}:{Path(__file__).parents[2]}"},
        check=True,
    )
    assert ended.stdout.strip() == "False"
    assert not (copy.parent / "owned").exists()


def test_pieces_are_scored_as_the_whole(bundle: DecisionBundle) -> None:
    rows, scorer = table(seed=1), Scorer(bundle)
    whole = scorer.score(rows)
    for size in (1, 7, 333):
        pieces = [
            scorer.score(rows[start : start + size])
            for start in range(0, 40 if size == 1 else len(rows), size)
        ]
        made = pl.concat(pieces)
        assert made.equals(whole[: len(made)])
        assert (
            made["score"].to_numpy().tobytes() == whole["score"][: len(made)].to_numpy().tobytes()
        )


def test_a_decision_goes_from_margin_to_probability_to_alert(bundle: DecisionBundle) -> None:
    data = check_table(table(seed=1), DataSettings(columns=ROLES))
    decided = bundle.decide(data)
    margin = bundle.learner.margin(bundle.features.matrix(data)) + bundle.offset
    assert decided.margin.tobytes() == margin.tobytes()
    assert decided.p.tobytes() == bundle.calibrator.probability(margin).tobytes()
    amount = np.maximum(data.frame["amount"].to_numpy(), 1e-9)
    pays = amount > 4.0
    assert decided.threshold[pays] == pytest.approx(4.0 / amount[pays])
    assert np.isinf(decided.threshold[~pays]).all()
    assert (decided.alert == (decided.p >= decided.threshold)).all()


def test_rows_keep_their_order_and_their_id(bundle: DecisionBundle) -> None:
    rows = table(seed=1)
    order = np.random.default_rng(0).permutation(len(rows))
    whole, mixed = Scorer(bundle).score(rows), Scorer(bundle).score(rows[order])
    assert whole.columns == ["ref", "score", "alert", "threshold"]
    assert whole["ref"].to_list() == rows["ref"].to_list()
    assert mixed.equals(whole[order])


@pytest.mark.parametrize("missing", ["ref", "card", "label", "fee", "loss"])
def test_what_no_decision_needs_may_be_missing(bundle: DecisionBundle, missing: str) -> None:
    rows = table(seed=1)
    whole, made = Scorer(bundle).score(rows), Scorer(bundle).score(rows.drop(missing))
    assert made["score"].to_list() == whole["score"].to_list()
    if missing == "ref":
        assert made["row"].to_list() == list(range(800))


def test_all_missing_columns_are_named(bundle: DecisionBundle) -> None:
    with pytest.raises(DataError, match=r"(?s)'amount'.*'shop'"):
        Scorer(bundle).score(table().drop("amount", "shop"))


def test_an_amount_that_is_not_known_is_refused(bundle: DecisionBundle) -> None:
    rows = table().with_columns(
        amount=pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("amount")
    )
    with pytest.raises(DataError, match=r"'amount' is null in 1 of 800 rows \(first at row 5\)"):
        Scorer(bundle).score(rows)


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_no_row_has_no_score(threshold: float | None) -> None:
    made_of_none = Scorer(made(threshold=threshold)).score(table()[:0])
    assert made_of_none.shape == (0, 4)
    assert made_of_none.schema == Scorer(made()).score(table()).schema


def test_scores_are_what_their_columns_say(bundle: DecisionBundle) -> None:
    scores = Scorer(bundle).score(table(seed=1))
    assert scores["score"].is_between(0, 1).all()
    assert (scores["alert"] == (scores["score"] >= scores["threshold"])).all()
    free = table(seed=1).with_columns(amount=pl.lit(1.0))  # less than a review
    scores = Scorer(bundle).score(free)
    assert scores["threshold"].is_infinite().all()
    assert not scores["alert"].any()


def test_an_id_by_the_name_of_a_score_is_refused(bundle: DecisionBundle) -> None:
    roles = replace(ROLES, id="score")
    named = replace(bundle, schema=replace(bundle.schema, roles=roles))
    with pytest.raises(DataError, match="'score'"):
        Scorer(named).score(table().rename({"ref": "score"}))


def test_pandas_and_polars_score_alike(bundle: DecisionBundle) -> None:
    rows = table(seed=1)
    assert Scorer(bundle).score(rows.to_pandas()).equals(Scorer(bundle).score(rows))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_margins_that_are_not_finite_are_no_scores(bundle: DecisionBundle, wrong: float) -> None:
    class Damaged:
        def margin(self, X: Any, rounds: int | None = None) -> Any:
            return np.where(np.arange(len(X)) == 3, wrong, 0.0)

    damaged = replace(bundle, learner=Damaged())
    data = check_table(table(), DataSettings(columns=ROLES))
    with pytest.raises(BundleError, match=r"not finite in 1 of .* \(first at row 3\)"):
        damaged.decide(data)
