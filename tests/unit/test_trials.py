"""The trials of a study: which is best, which is a front, whose they are."""

from __future__ import annotations

import os
import time
from typing import Any

import optuna
import pytest

from fraudml.config.dimensions import Choice
from fraudml.config.sweep import SweepSettings
from fraudml.sweep.intermediate import IntermediateResult, learning_curve
from fraudml.sweep.owner import claim, is_alive, unclaimed
from fraudml.sweep.process import Outcome
from fraudml.sweep.trials import Trials

SPACE = (Choice("learner.num_leaves", ("4", "8")),)


def trials_of(*directions: str, **settings: Any) -> Trials:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=list(directions))
    return Trials(study, SweepSettings(**settings), SPACE, seed=0)


def told(trials: Trials, *worth: tuple[float, ...]) -> list[float] | None:
    asked = trials.ask(100)
    assert asked is not None
    return trials.tell(asked[0], Outcome("done", values=worth))


def test_the_front_is_what_no_other_beats_and_its_middle_is_chosen() -> None:
    trials = trials_of("maximize", "minimize", pruner="none", secondary_objectives=("log_loss",))
    for worth in ((0.9, 9.0), (0.5, 1.0), (0.8, 3.0), (0.7, 4.0), (0.8, 3.0)):
        told(trials, worth)
    # Shortfalls: 1 at either end; (0.1 / 0.4, 2 / 8) in the middle, twice, the first one first.
    assert [one.number for one in trials.pareto_front] == [2, 4, 0, 1]
    assert trials.best is not None
    assert trials.best.number == 2
    assert trials.since_best == 0


def test_a_lower_bound_is_on_the_bad_side() -> None:
    up = told(trials_of("maximize", choose="lower_bound"), (0.4,), (0.6,))
    down = told(trials_of("minimize", choose="lower_bound"), (0.4,), (0.6,))
    assert up == pytest.approx([0.5 - 1.645 * 0.1])
    assert down == pytest.approx([0.5 + 1.645 * 0.1])


def test_no_more_trials_begin_than_there_may_be() -> None:
    trials = trials_of("maximize")
    assert trials.ask(2) is not None
    assert trials.ask(2) is not None
    assert trials.begun == 2
    assert trials.ask(2) is None
    assert trials.begun == 2
    assert trials.counts() == {"total": 0}


def test_intermediate_results_rise_and_make_a_curve() -> None:
    results = [
        IntermediateResult(block, share, round(40 * share), block + share, 0.0)
        for block in (0, 1)
        for share in (0.25, 0.5, 0.75, 1.0)
    ]
    assert [result.step for result in results] == list(range(8))
    assert learning_curve(results) == [(10, 0.75), (20, 1.0), (30, 1.25), (40, 1.5)]


def test_a_trial_is_alive_with_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study()
    trial = study.ask()
    assert unclaimed(study.trials)  # somebody may be about to
    assert is_alive(study.trials[0], own=False)
    claim(trial)
    assert not unclaimed(study.trials)

    def seen(**attributes: Any) -> Any:
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        return study.trials[0]

    assert is_alive(seen(), own=True)
    assert not is_alive(seen(), own=False)
    host = str(trial.user_attrs["owner"]).rpartition(":")[0]
    assert is_alive(seen(owner=f"{host}:{os.getppid()}"), own=False)
    assert not is_alive(seen(owner=f"{host}:{2**22 + 1}"), own=False)
    assert is_alive(seen(owner="elsewhere:1"), own=False)
    assert not is_alive(seen(seen=time.time() - 600), own=False)
