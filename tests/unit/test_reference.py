"""The reference in docs/ is what the code has: nothing missing, nothing stale."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fraudml.cli.commands import COMMANDS
from fraudml.config.components import Component
from fraudml.config.describe import parameter_texts
from fraudml.config.settings import Settings
from fraudml.config.sources import groups

SCRIPT = Path(__file__).parents[2] / "scripts" / "write_reference.py"
FOLDER = SCRIPT.parents[1] / "docs" / "reference"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    for library in ("xgboost", "catboost"):
        if find_spec(library) is None:
            pytest.skip(f'needs pip install "fraudml[{library}]"')
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT.stem] = script
    spec.loader.exec_module(script)
    made: dict[str, str] = script.pages()
    return made


def test_the_pages_are_not_stale(pages: dict[str, str]) -> None:
    there = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.md")}
    assert there == set(pages), "run: python scripts/write_reference.py"
    for path, text in pages.items():
        found = (FOLDER / path).read_text(encoding="utf-8")
        assert found == text, f"{path}: run: python scripts/write_reference.py"


def test_every_command_is_there_with_its_examples(pages: dict[str, str]) -> None:
    for name, command in COMMANDS.items():
        assert f"## `{name}`" in pages["commands.md"]
        for example in command.examples:
            assert f"python -m fraudml {name} {example}".rstrip() in pages["commands.md"]


def test_every_option_of_every_group_is_there(pages: dict[str, str]) -> None:
    for group, options in groups().items():
        found = re.findall(rf"^## `\+?{group}=(.+)`$", pages[f"groups/{group}.md"], re.MULTILINE)
        assert found == options


def leaves(section: Any, path: str = "") -> Iterator[tuple[str, str]]:
    texts = parameter_texts(type(section))
    for one in dataclasses.fields(section):
        value = getattr(section, one.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, Component):
            yield from leaves(value, f"{path}{one.name}.")
        else:
            yield f"{path}{one.name}", texts[one.name]


def test_every_key_is_there_with_what_it_takes_and_is(pages: dict[str, str]) -> None:
    lines = {
        line.split(" | ")[0].removeprefix("| "): line for line in pages["keys.md"].splitlines()
    }
    for path, text in leaves(Settings()):
        cells = re.split(r" \| ", lines[f"`{path}`"].strip("| "))
        assert len(cells) == 4, path
        kind, said = cells[1], cells[3].replace("\\", "")
        assert kind, path
        assert text.removesuffix(".") in said, path
    for path in ("data.simulate.rows", "data.columns.label", "sweep.space", "budget.seconds"):
        assert f"`{path}`" in lines


def test_no_key_of_our_own_parts_is_without_words(pages: dict[str, str]) -> None:
    for path, text in pages.items():
        rows = re.findall(r"^\| `\w+` \|.*$", text, re.MULTILINE) if "groups/" in path else []
        silent = [row for row in rows if row.endswith("|  |")]
        assert not silent, f"{path}: {silent}"
