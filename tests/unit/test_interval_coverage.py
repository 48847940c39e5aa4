"""The short form of `scripts/simulate_intervals.py`: intervals hold the truth as often as said."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate_intervals.py"
SAMPLES = 200
ASKED = {120: (0.91, 0.98), 30: (0.88, 1.0)}
"""What is asked of .95 intervals by cards, by the number of compromised cards."""


def script() -> ModuleType:
    sys.path.insert(0, str(SCRIPT.parent))  # it imports what stands beside it
    spec = importlib.util.spec_from_file_location("simulate_intervals", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


def noise(share: float) -> float:
    """Three standard errors of a share of the samples."""
    return float(3 * np.sqrt(share * (1 - share) / SAMPLES))


@pytest.mark.slow
@pytest.mark.parametrize("compromised", ASKED)
def test_intervals_by_cards_hold_the_truth_and_those_by_rows_do_not(compromised: int) -> None:
    found = script().coverage(compromised, samples=SAMPLES, replicates=300, cards=800)
    low, high = ASKED[compromised]
    for one in found:
        if one.drawn == "cards":
            assert low - noise(low) <= one.share <= high + noise(high), one
        else:
            assert one.share < 0.85, one
