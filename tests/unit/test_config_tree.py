"""The tree of settings that all commands share, and every config file that comes with fraudml."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf

from fraudml.cli.commands import COMMANDS
from fraudml.config import load_settings, read_settings
from fraudml.config.components import Component
from fraudml.config.describe import Key, keys, parameter_texts
from fraudml.config.dimensions import Choice, first_overrides
from fraudml.config.parse import dump, parse
from fraudml.config.settings import Settings
from fraudml.config.shape import MISSING, shape_of
from fraudml.config.sources import groups, packaged_conf
from fraudml.config.space import read_space
from fraudml.config.text import to_yaml
from fraudml.errors import ConfigError

NEEDS = {"costs=columns": ["costs.fp=cost_fp", "costs.fn=cost_fn"]}
"""Options that cannot stand alone, with what they need; a policy may want its number, say."""


def leaves(section: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for one in dataclasses.fields(section):
        value = getattr(section, one.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, Component):
            yield from leaves(value, f"{path}{one.name}.")
        else:
            yield f"{path}{one.name}", value


def nested(path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


@pytest.mark.parametrize(
    "made", [Settings, lambda: load_settings("train")], ids=["bare", "composed"]
)
def test_the_whole_tree_goes_round(made: Callable[[], Settings]) -> None:
    settings = made()
    plain = dump(settings)
    assert parse(Settings, plain) == settings
    assert parse(Settings, OmegaConf.to_container(OmegaConf.create(to_yaml(plain)))) == settings


def test_every_key_of_the_tree_can_be_set_and_is_checked() -> None:
    found = list(leaves(Settings()))
    assert len(found) > 40
    for path, value in found:
        assert parse(Settings, nested(path, dump(value))) is not None
        with pytest.raises(ConfigError, match=r"is not a key|is no argument"):
            parse(Settings, nested(f"{path}_", dump(value)))


def test_no_key_takes_a_value_of_another_kind() -> None:
    for path, value in leaves(Settings()):
        if isinstance(value, Component):
            continue
        with pytest.raises(ConfigError) as caught:
            parse(Settings, nested(path, {"no": ["such", "thing"]}))
        assert path in str(caught.value)


def test_settings_need_no_hydra() -> None:
    script = (
        "import sys, fraudml\nfrom fraudml.config import read_settings\n"
        "fraudml.Settings()\nread_settings({})\n"
        "assert not {'hydra', 'omegaconf'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_settings_are_complete_after_loading() -> None:
    settings = load_settings("train")
    assert "num_leaves" in settings.learner.arguments
    assert read_settings(dump(settings)) == settings


OPTIONS = [(group, option) for group, options in groups().items() for option in options]
EXTRAS = {("learner", "xgboost"), ("learner", "catboost")}


def command_of(group: str, option: str) -> str:
    if group == "sweep":
        return "sweep"
    content = OmegaConf.load(packaged_conf() / group / f"{option}.yaml")
    return str(OmegaConf.select(content, "command", default="train"))


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=["=".join(pair) for pair in OPTIONS])
def test_every_option_composes_parses_and_is_checked(group: str, option: str) -> None:
    if (group, option) in EXTRAS and find_spec(option) is None:
        pytest.skip(f'needs pip install "fraudml[{option}]"')
    command = command_of(group, option)
    chosen = f"{'+' if group in ('experiment', 'sweep') else ''}{group}={option}"
    settings = load_settings(command, [chosen, *NEEDS.get(chosen, [])])
    assert settings.command == command
    assert read_settings(dump(settings)) == settings


@pytest.mark.parametrize("option", groups()["sweep"])
def test_every_key_of_a_space_is_one_that_the_config_takes(option: str) -> None:
    settings = load_settings("sweep", [f"+sweep={option}"])
    space = read_space(settings.sweep.space)
    assert load_settings("sweep", [f"+sweep={option}", *first_overrides(space)])
    for one in space:
        if isinstance(one, Choice):
            for value in one.options:
                assert load_settings("sweep", [f"+sweep={option}", f"{one.key}={value}"])


def test_an_experiment_opens_with_its_question_and_command() -> None:
    for path in (packaged_conf() / "experiment").rglob("*.yaml"):
        lines = path.read_text(encoding="utf-8").splitlines()
        command = command_of("experiment", path.stem)
        assert lines[0] == "# @package _global_", path
        assert "?" in "".join(line for line in lines[1:4] if line.startswith("#")), path
        assert f"#   python -m fraudml {command} +experiment={path.stem}" in lines, path
        assert f"command: {command}" in lines, path


@pytest.mark.parametrize("command", ["features", "audit"])
def test_commands_that_only_look_take_any_experiment(command: str) -> None:
    settings = load_settings(command, ["+experiment=handbook_book"])
    assert (settings.command, settings.run_name) == (command, "handbook_book")


def test_every_primary_config_has_its_command() -> None:
    for path in packaged_conf().glob("*.yaml"):
        assert path.stem in COMMANDS
        defaults = OmegaConf.load(path).defaults
        named = [next(iter(one)) for one in defaults if not isinstance(one, str)]
        assert "experiment" not in named
        assert "_self_" in defaults


@dataclass(frozen=True)
class Inner:
    """Inside.

    Parameters
    ----------
    rows, share : number
        How many; how much of them. Not more.
    names : tuple of str, optional
        What they
        are called, `a` or `b`.
    """

    rows: int = 3
    share: float = 0.5
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Outer:
    """Outside.

    Parameters
    ----------
    kind : str
        Which one.

    Raises
    ------
    ConfigError
        Never.
    """

    kind: Literal["a", "b"] = "b"
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None
    part: Component = field(
        default_factory=lambda: Component("sklearn.svm.SVC", {"C": 2.5, "more": 1})
    )


def test_keys_are_listed_with_kind_value_and_text() -> None:
    listed = {key.path: key for key in keys(Outer())}
    assert listed["kind"] == Key("kind", "a|b", "b", "Which one.")
    assert listed["inner.rows"] == Key("inner.rows", "int", 3, "How many.")
    assert listed["inner.share"].text == "How much of them."
    assert listed["inner.names"] == Key(
        "inner.names", "list of text|null", None, "What they are called, a or b."
    )
    assert listed["maybe"] == Key("maybe", "section|null", None, "")
    assert listed["part.C"].value == 2.5
    assert listed["part.kernel"].value == "rbf"
    assert listed["part.more"].value == 1
    assert "Raises" not in listed


def test_a_docstring_without_parameters_gives_no_texts() -> None:
    assert parameter_texts(Path) == {}
    assert parameter_texts(3.5) == {}


def test_the_shape_of_a_call_is_read_from_its_signature() -> None:
    def called(a: int, *rest: int, b: str = "x", **more: int) -> None: ...

    shape = shape_of(called)
    assert (list(shape.parameters), shape.open) == (["a", "b"], True)
    assert shape.parameters["a"].initial() is MISSING
    assert shape.parameters["b"].initial() == "x"
