"""Old names of keys, targets and arguments: they work, and the log gives the new one."""

from __future__ import annotations

import operator
import pkgutil

import pytest

from fraudml.config import load_settings, renamed
from fraudml.config.components import Component
from fraudml.config.settings import Settings
from fraudml.config.shape import shape_of
from fraudml.config.targets import find_target
from fraudml.errors import ConfigError


@pytest.mark.parametrize(("old", "new"), renamed.KEYS.items())
def test_an_old_key_is_gone_and_its_new_name_is_there(old: str, new: str) -> None:
    operator.attrgetter(new)(Settings())
    with pytest.raises(AttributeError):
        operator.attrgetter(old)(Settings())


@pytest.mark.parametrize(("old", "new"), renamed.TARGETS.items())
def test_a_target_that_has_moved_is_found_by_its_old_name(old: str, new: str) -> None:
    assert new not in renamed.TARGETS, "the table names the present target, not one in between"
    with pytest.raises((ImportError, AttributeError)):
        pkgutil.resolve_name(old)
    assert find_target(old, "part") is pkgutil.resolve_name(new)
    assert Component(old).target == new


@pytest.mark.parametrize(("target", "names"), renamed.ARGUMENTS.items())
def test_an_old_argument_is_gone_and_its_new_name_is_there(
    target: str, names: dict[str, str]
) -> None:
    known = shape_of(pkgutil.resolve_name(target)).parameters
    assert set(names.values()) <= set(known)
    assert not set(names) & set(known)


def test_an_old_key_gives_its_value_to_the_new_one(caplog: pytest.LogCaptureFixture) -> None:
    settings = load_settings("sweep", ["sweep.beside=[savings]", "sweep.startup=3"])
    assert settings.sweep.secondary_objectives == ("savings",)
    assert settings.sweep.startup_trials == 3
    assert caplog.messages == [
        "'sweep.beside' is now 'sweep.secondary_objectives'. Use the new name.",
        "'sweep.startup' is now 'sweep.startup_trials'. Use the new name.",
    ]


def test_an_old_argument_of_an_old_target_is_understood(caplog: pytest.LogCaptureFixture) -> None:
    part = Component.from_plain({"_target_": "fraudml.weighting.Stakes", "most": 3.0})
    assert part == Component("fraudml.weighting.ExampleCost", {"max_weight": 3.0})
    assert caplog.messages[-1] == "'most' is now 'max_weight'. Use the new name."


def test_an_old_name_beside_its_new_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"both are set\. Leave out sweep\.startup"):
        load_settings("sweep", ["sweep.startup=3", "sweep.startup_trials=4"])
    with pytest.raises(ConfigError, match=r"both are set\. Leave out most"):
        Component("fraudml.weighting.ExampleCost", {"most": 3.0, "max_weight": 3.0})


def test_a_config_without_old_keys_or_with_a_section_that_is_none_stays() -> None:
    for section in ({"startup_trials": 2}, 3, None):
        assert renamed.current_keys({"sweep": section})["sweep"] == section


def test_a_moved_key_goes_to_another_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renamed, "KEYS", {"old": "new.section.key"})
    assert renamed.current_keys({"old": 1, "seed": 2}) == {
        "seed": 2,
        "new": {"section": {"key": 1}},
    }
