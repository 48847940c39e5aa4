"""What all tests share: settings of Hypothesis, and runs that are made once a session.

A test that changes a run copies it: every run is checked at the end of the session.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from builders import TWO_MONTHS, execute, quick, simulated

# Other work on the machine would fail examples by the clock, not by what they show.
settings.register_profile("fraudml", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fraudml")


def _shared(folder: Path, command: str, *overrides: str) -> Iterator[Path]:
    """Give a run, and see at the end that no test has changed it."""
    run = execute(folder, command, *overrides)
    before = _snapshot(run)
    yield run
    assert _snapshot(run) == before, f"a test has changed {run.name}: it must copy the run"


def _snapshot(run: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in run.rglob("*")}


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def history_run(shared_folder: Path) -> Iterator[Path]:
    """Trees on features that look back."""
    more = ("features=transactions", "proof=false")
    yield from _shared(shared_folder / "trees", "train", *simulated(), *quick(), *more)


@pytest.fixture(scope="session")
def columns_run(shared_folder: Path) -> Iterator[Path]:
    """Trees on the columns by themselves."""
    more = ("features=columns", "proof=false")
    yield from _shared(shared_folder / "columns", "train", *simulated(), *quick(), *more)


@pytest.fixture(scope="session")
def logistic_run(shared_folder: Path) -> Iterator[Path]:
    """A logistic regression on the same table."""
    more = ("learner=logistic", "proof=false")
    yield from _shared(shared_folder / "line", "train", *simulated(), *quick(None), *more)


@pytest.fixture(scope="session")
def smote_run(shared_folder: Path) -> Iterator[Path]:
    """The first run of the README, smaller."""
    more = ("+experiment=smote", *simulated(), *quick())
    yield from _shared(shared_folder / "smote", "train", *more)


@pytest.fixture(scope="session")
def budget_run(shared_folder: Path) -> Iterator[Path]:
    """Two interventions, groups, and a policy with a constraint."""
    more = ("resampling=smote", "weighting=class_weight", "data.columns.group=entry_mode")
    policy = ("policy=alert_budget", "policy.alerts_per_day=5", "policy.unmet=closest")
    small = (*simulated(), *quick(), "features=transactions")
    yield from _shared(shared_folder / "budget", "train", *small, *more, *policy)


@pytest.fixture(scope="session")
def backtest_run(shared_folder: Path) -> Iterator[Path]:
    """Two folds, with a model that is never refitted."""
    more = ("features=transactions", "backtest.refit=never", "backtest.folds=2")
    small = (*simulated(TWO_MONTHS), *quick(replicates=100))
    yield from _shared(shared_folder / "backtest", "backtest", *small, *more)
