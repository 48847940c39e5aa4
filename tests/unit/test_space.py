"""Spaces in Hydra's grammar, and what trials draw from them."""

from __future__ import annotations

import optuna
import pytest

from fraudml.config.dimensions import Choice, Interval, draw_overrides, first_overrides, grid
from fraudml.config.space import read_space
from fraudml.errors import ConfigError


def test_the_grammar() -> None:
    space = read_space(
        [
            "a=choice(x,y)",
            "b=1,2,3",
            "c=range(1,4)",
            "d=interval(0.5,2)",
            "e=int(interval(4,64))",
            "f=tag(log,interval(0.1,100))",
            "g=tag(log,int(interval(1,8)))",
            "h=7",
            "i=choice(1,2) if a=x|y",
        ]
    )
    assert space == (
        Choice("a", ("x", "y")),
        Choice("b", ("1", "2", "3")),
        Choice("c", ("1", "2", "3")),
        Interval("d", 0.5, 2.0),
        Interval("e", 4.0, 64.0, whole=True),
        Interval("f", 0.1, 100.0, log=True),
        Interval("g", 1.0, 8.0, log=True, whole=True),
        Choice("h", ("7",)),
        Choice("i", ("1", "2"), ("a", ("x", "y"))),
    )


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a=interval(3,3)"], "the interval from 3 to 3 is empty"),
        (["a=interval(5,3)"], "empty"),
        (["a=tag(log,interval(0,3))"], "begins above 0"),
        (["a=1,2", "a=3,4"], "'a' is there twice"),
        (["a=1,2 if b=3"], "no dimension before it offers"),
        (["a=1,2", "b=1,2 if a=3"], "no dimension before it offers"),
        (["a=1,2", "b=1,2 if a"], "is not a condition"),
        (["a=1", "b=choice(x)"], "nothing to search"),
        ([], "nothing to search"),
        (["a=choice(1,2"], "sweep.space"),
    ],
)
def test_what_is_wrong_is_said(texts: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_space(texts)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_space(["a=interval(3,3)", "b=tag(log,interval(-1,3))"])
    assert "from 3 to 3" in str(caught.value)
    assert "-1" in str(caught.value)


def test_draws_stay_inside_and_follow_conditions() -> None:
    space = read_space(
        ["a=choice(x,y)", "b=int(interval(2,5)) if a=x", "c=tag(log,interval(0.1,10))"]
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(60):
        drawn = dict(word.split("=") for word in draw_overrides(study.ask(), space))
        assert ("b" in drawn) == (drawn["a"] == "x")
        assert drawn.get("b", "2") in {"2", "3", "4", "5"}
        assert 0.1 <= float(drawn["c"]) <= 10


def test_the_first_value_of_each() -> None:
    space = read_space(["a=choice(x,y)", "b=int(interval(2,5)) if a=y", "c=interval(0.5,1)"])
    assert first_overrides(space) == ("a=x", "c=0.5")


def test_a_grid_leaves_out_what_does_not_hold() -> None:
    made = list(grid(read_space(["a=x,y", "b=1,2 if a=y", "c=3,4"])))
    assert len(made) == 6
    assert {"a": "x", "c": "3"} in made
    assert {"a": "y", "b": "2", "c": "4"} in made
