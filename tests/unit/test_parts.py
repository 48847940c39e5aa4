"""The parts that installed packages register, read from metadata alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fraudml import parts
from fraudml.errors import ConfigError

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put the metadata of a package with entry points on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(package: str, *points: str, summary: str = "") -> None:
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\nSummary: {summary}\n"
        (folder / "METADATA").write_text(metadata, encoding="utf-8")
        text = "\n".join(("[fraudml.parts]", *points, ""))
        (folder / "entry_points.txt").write_text(text, encoding="utf-8")
        clear()

    def clear() -> None:
        parts.targets.cache_clear()
        parts._installed.cache_clear()

    yield write
    clear()


def test_parts_are_listed_by_kind_and_name(install: Install) -> None:
    install("ours", "policy.top = no_such.rules:Top", "command.count = no_such:run", summary="Sum.")
    [part] = [part for part in parts.parts("policy").values() if part.package == "ours 1.0"]
    assert (part.kind, part.name, part.target) == ("policy", "top", "no_such.rules.Top")
    assert part.summary == "Sum."
    assert "count" in parts.parts("command")
    assert "top" not in parts.parts("learner")
    assert {"no_such.rules.Top", "no_such.run"} <= parts.targets()


@pytest.mark.parametrize(
    "point", ["top = m:T", "polcy.top = m:T", "policy. = m:T", "policy.top = m"]
)
def test_an_entry_point_that_is_no_part_is_ignored_with_a_warning(
    install: Install, point: str, caplog: pytest.LogCaptureFixture
) -> None:
    install("ours", point)
    assert not any(part.package == "ours 1.0" for part in parts._installed())
    [message] = caplog.messages
    assert message.startswith(f"ours 1.0 registers '{point}' in fraudml.parts, which is ignored")
    assert "KIND.NAME" in message


def test_a_name_of_two_packages_is_refused_with_both(install: Install) -> None:
    install("ours", "policy.top = a:T")
    install("theirs", "policy.top = b:T")
    with pytest.raises(ConfigError, match=r"'top' is registered by ours 1\.0 and theirs 1\.0"):
        parts.parts("policy")
    assert parts.parts("loss") == {}


def test_what_cannot_be_loaded_names_its_package(install: Install) -> None:
    install("ours", "metric.lost = no_such.rules:X", "metric.gone = fraudml.errors:Gone")
    for name, reason in (("lost", "No module named 'no_such'"), ("gone", "no attribute 'Gone'")):
        with pytest.raises(ConfigError) as caught:
            parts.parts("metric")[name].load()
        message = str(caught.value)
        assert message.startswith(f"metric '{name}' of ours 1.0 cannot be loaded from ")
        assert reason in message
    install("more", "metric.there = fraudml.errors:ConfigError")
    assert parts.parts("metric")["there"].load() is ConfigError
