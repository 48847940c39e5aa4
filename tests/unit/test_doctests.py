"""Every example in a docstring runs and prints what it says; none is skipped."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import fraudml

PACKAGE = Path(fraudml.__file__).parent
MODULES = sorted(
    ".".join(("fraudml", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    )
    for path in PACKAGE.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(import_module(name), report=False)
    assert result.attempted > 0
    assert result.failed == 0
