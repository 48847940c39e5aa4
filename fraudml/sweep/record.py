"""What a sweep says about itself: `sweep.json`, the winner as an experiment, the closing table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fraudml.config.parse import dump
from fraudml.config.settings import Settings
from fraudml.config.text import to_yaml
from fraudml.records.metrics import value_text
from fraudml.records.results import Backtest, Run
from fraudml.sweep.trials import Trials

SCHEMA_VERSION = 1
"""Raised when a reader of `sweep.json` would misread it."""


def sweep_record(
    trials: Trials,
    overrides: Sequence[str],
    chosen: Run | Backtest,
    settings: Settings,
    seconds: float,
) -> dict[str, Any]:
    """Return the content of `sweep.json`."""
    best = trials.best
    assert best is not None, "a sweep without a value raises before"
    found = chosen.metrics
    objectives = settings.sweep.objectives(settings.objective)
    test = found["test"] if isinstance(chosen, Run) else found["mean"]
    return {
        "schema_version": SCHEMA_VERSION,
        "trials": trials.counts(),
        "objective": settings.objective,
        "best": {
            "trial": best.number,
            "value": best.values[0],
            "values": dict(zip(objectives, best.values, strict=True)),
            "blocks": best.user_attrs["values"],
            "overrides": list(overrides),
        },
        "pareto_front": [
            {
                "trial": one.number,
                "values": dict(zip(objectives, one.values, strict=True)),
                "overrides": list(one.user_attrs["overrides"]),
            }
            for one in trials.pareto_front
        ],
        "test": test,
        "guard": found["guard"],
        "spent": {"seconds": round(seconds, 2), "money": settings.budget.money(seconds)},
    }


def sweep_table(record: dict[str, Any], folder: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the title and the rows that end a sweep on the terminal."""
    best = record["best"]
    counts = ", ".join(f"{count} {state}" for state, count in record["trials"].items())
    spent = f"{record['spent']['seconds']:.0f} s"
    if record["spent"]["money"] is not None:
        spent += f", {record['spent']['money']:.2f} in money"
    guard, pareto_front = record["guard"], len(record["pareto_front"])
    rows = [
        ("trials", counts),
        ("chosen", " ".join(best["overrides"])),
        *(
            row
            for name, value in best["values"].items()
            for row in (
                (f"{name.replace('_', ' ')} of the trial", f"{value:.4f}"),
                ("the same on test", value_text(_entry(record["test"], name), "{:.4f}")),
            )
        ),
        *([("trials that none beats", f"{pareto_front}")] if len(best["values"]) > 1 else []),
        ("spent", spent),
        ("guard", "passed" if guard["passed"] else "refused: " + "; ".join(guard["reasons"])),
        ("everything is in", folder),
    ]
    return "The chosen of all trials; a winner's own value flatters it", rows


def _entry(test: dict[str, Any], name: str) -> dict[str, Any]:
    entry = test.get(name)
    return entry if isinstance(entry, dict) else {"value": entry, "reason": "not measured"}


def write_winner(folder: Path, base: Settings, winner: Settings) -> None:
    """Write what the chosen settings change, as an experiment."""
    before, after = dump(base), dump(winner)
    command = "backtest" if winner.sweep.blocks == "folds" else "train"
    changed = {name: part for name, part in after.items() if before[name] != part}
    text = to_yaml({"command": command, **changed})
    (folder / "winner.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")
