"""A precision floor is kept as often as it says: scripts/simulate_precision_floor.py in short."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate_precision_floor.py"
RUNS = 150
VIOLATED = 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5
"""What a method that errs in 5 % of the runs exceeds once in a thousand tests."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(SCRIPT.parent))  # it imports what stands beside it
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("cards", [False, True])
@pytest.mark.parametrize("frauds", [60, 200])
@pytest.mark.parametrize("scorer", ["falling", "plateau"])
def test_a_floor_is_violated_as_rarely_as_it_says(
    script: ModuleType, scorer: str, frauds: int, cards: bool
) -> None:
    found = script.simulate(
        script.SCORERS[scorer](0.5),
        frauds=frauds,
        cards=cards,
        floor=0.5,
        confidence=0.95,
        runs=RUNS,
    )
    assert found["fixed sequence"].violated <= VIOLATED
    assert found["sample value"].violated > 0.3
    if scorer == "falling" and not cards:
        assert found["fixed sequence"].recall >= {60: 0.25, 200: 0.37}[frauds] - 0.02
