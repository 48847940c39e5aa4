"""Tables, commands, files and learners that many tests share."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fraudml.bundle import DecisionBundle
from fraudml.cli import main
from fraudml.data.schema import Dataset
from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate
from fraudml.decisions.calibration import FittedCalibrator
from fraudml.decisions.costs import Affine, Card, Columns, CostModel, Fixed, Line
from fraudml.decisions.policies import TunedPolicy
from fraudml.features.plan import FittedFeatures
from fraudml.learners.protocol import FitContext, Learner
from fraudml.matrix import DesignMatrix

CapSys = pytest.CaptureFixture[str]

CARDS = SimulateSettings(rows=6000, prevalence=0.05, cards=400, terminals=60)
"""A table on which a model trains in a second."""

FEW_CARDS = SimulateSettings(rows=4000, prevalence=0.06, cards=300, terminals=50)
"""A smaller one, for tests of the table itself."""

TWO_MONTHS = SimulateSettings(rows=9000, days=60, prevalence=0.04, cards=400, terminals=60)
"""Long enough for the folds of a backtest."""


@cache
def cards(settings: SimulateSettings = CARDS) -> pl.DataFrame:
    """Simulate a table, once a session."""
    return simulate(settings)


def simulated(settings: SimulateSettings = CARDS) -> tuple[str, ...]:
    """Return the overrides that make a command simulate a table."""
    default = asdict(SimulateSettings())
    changed = {name: value for name, value in asdict(settings).items() if value != default[name]}
    return tuple(f"data.simulate.{name}={value}" for name, value in changed.items())


def quick(rounds: int | None = 30, replicates: int = 200) -> tuple[str, ...]:
    """Return the overrides of a run that takes a second; learners without rounds have none."""
    learner = () if rounds is None else (f"learner.num_iterations={rounds}",)
    return (*learner, f"evaluation.replicates={replicates}", "threads=1")


def execute(folder: Path, command: str, *overrides: str, codes: tuple[int, ...] = (0,)) -> Path:
    """Run a command that writes a folder, and return the folder."""
    assert main([command, *overrides, f"output_dir={folder}"]) in codes
    return folder


def repeat(run: Path) -> tuple[str, ...]:
    """Return the arguments that repeat a run by its config."""
    return ("--config-dir", str(run), "--config-name", "config")


def read_json(path: Path) -> Any:
    """Read JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def metrics_of(run: Path) -> dict[str, Any]:
    """Read the metrics of a run."""
    metrics: dict[str, Any] = read_json(run / "metrics.json")
    return metrics


def without_run(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a record what differs from run to run."""
    return {name: part for name, part in record.items() if name != "run"}


def make_bundle(
    data: Dataset,
    features: FittedFeatures,
    learner: Learner | None,
    *,
    rows: int | None = None,
    **parts: Any,
) -> DecisionBundle:
    """Fit a learner on the first rows, all by default, and put it into a bundle of plain parts."""
    fitted: Any = None
    if learner is not None:
        matrix = replace(features.matrix(data), label=data.label)
        fitted = learner.fit(matrix.take(np.arange(rows or len(data))), FitContext())
    plain = {"offset": 0.0, "calibrator": FittedCalibrator("identity"), "costs": Fixed()}
    policy = {"policy": TunedPolicy("fixed", 0.5)}
    return DecisionBundle(data.schema, features, fitted, **{**plain, **policy, **parts})


COSTS: dict[str, CostModel] = {
    "card": Card(4.0),
    "fixed": Fixed(fn_cost=60.5),
    "columns": Columns("fee", "loss"),
    "affine": Affine(tp=Line(3, 0.01)),
}

CALIBRATORS = {
    "identity": FittedCalibrator("identity"),
    "sigmoid": FittedCalibrator("sigmoid", (0.7, -0.1234567890123456)),
    "beta": FittedCalibrator("beta", (0.9, 0.1, -0.3)),
    "venn_abers": FittedCalibrator("venn_abers", (-3.0, 0.5, -5.0, -2.0)),
    "isotonic": FittedCalibrator(
        "isotonic", (-3.0, -1.0, 0.5, 0.75, 2.0, -5.0, -4.0, -2.0, -1.9, 1.0)
    ),
}


def printed(capsys: CapSys) -> str:
    """Return what was written to standard output since the last call, on one line."""
    return " ".join(capsys.readouterr().out.split())


def errors(capsys: CapSys) -> str:
    """Return what was written to standard error since the last call, on one line."""
    return " ".join(capsys.readouterr().err.split())


def read_files(folder: Path) -> dict[str, bytes]:
    """Read the files of a saved model, as a learner is loaded from them."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


BOOSTERS = {
    "lightgbm": ("LightGBM", "num_iterations"),
    "bagged": ("BaggedLightGBM", "num_iterations"),
    "xgboost": ("XGBoost", "n_estimators"),
    "catboost": ("CatBoost", "iterations"),
}
"""Class and setting of the rounds, by the module in `fraudml.learners`."""


def booster_class(name: str) -> Any:
    """Return the class of a booster's settings."""
    return getattr(import_module(f"fraudml.learners.{name}"), BOOSTERS[name][0])


def booster(name: str, rounds: int | None = None, **parameters: Any) -> Any:
    """Make the settings of a booster."""
    own = {} if rounds is None else {BOOSTERS[name][1]: rounds}
    return booster_class(name)(**own, **parameters)


def needs(library: str) -> pytest.MarkDecorator:
    """Skip a test where an extra's library is not installed; others are always there."""
    missing = library in ("xgboost", "catboost") and find_spec(library) is None
    return pytest.mark.skipif(missing, reason=f'needs pip install "fraudml[{library}]"')


def each_learner(*names: str) -> pytest.MarkDecorator:
    """Run a test with each name, where its library is installed."""
    return pytest.mark.parametrize("name", [pytest.param(n, marks=needs(n)) for n in names])


def design_matrix(
    values: Any, label: Any = None, *, names: Any = "abcdefgh", **others: Any
) -> DesignMatrix:
    """Make a matrix of anything that numpy makes an array of; a letter names a column."""
    matrix = np.ascontiguousarray(values, dtype=np.float32)
    labels = None if label is None else np.asarray(label).astype(np.int8)
    return DesignMatrix(matrix, tuple(names)[: matrix.shape[1]], label=labels, **others)


class Countdown:
    """A deadline that passes after so many checks."""

    def __init__(self, checks: int) -> None:
        self.checks = checks

    @property
    def expired(self) -> bool:
        self.checks -= 1
        return self.checks < 0
