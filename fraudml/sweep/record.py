"""The content of `sweep.json`, and the winner as an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudml.config.parse import dump
from fraudml.config.settings import Settings
from fraudml.config.text import to_yaml
from fraudml.records.metrics import SCHEMA_VERSION
from fraudml.records.results import Backtest, Run
from fraudml.sweep.trials import Trials

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def sweep_record(
    trials: Trials,
    overrides: Sequence[str],
    chosen: Run | Backtest,
    settings: Settings,
    seconds: float,
) -> dict[str, Any]:
    """Return the content of `sweep.json`."""
    best, metrics = trials.best, chosen.metrics
    assert best is not None, "a sweep without a value raises before"
    objectives = settings.sweep.objectives(settings.objective)

    def values(trial: FrozenTrial) -> dict[str, float]:
        return dict(zip(objectives, trial.values, strict=True))

    return {
        "schema_version": SCHEMA_VERSION,
        "trials": trials.counts(),
        "objective": settings.objective,
        "best": {
            "trial": best.number,
            "value": best.values[0],
            "values": values(best),
            "blocks": best.user_attrs["values"],
            "overrides": list(overrides),
        },
        "pareto_front": [
            {
                "trial": trial.number,
                "values": values(trial),
                "overrides": list(trial.user_attrs["overrides"]),
            }
            for trial in trials.pareto_front
        ],
        "test": metrics["test"] if isinstance(chosen, Run) else metrics["mean"],
        "guard": metrics["guard"],
        "spent": {"seconds": round(seconds, 2), "money": settings.budget.money(seconds)},
    }


def write_winner(folder: Path, base: Settings, winner: Settings) -> None:
    """Write what the chosen settings change, as an experiment."""
    before, after = dump(base), dump(winner)
    command = "backtest" if winner.sweep.blocks == "folds" else "train"
    changed = {name: part for name, part in after.items() if before[name] != part}
    text = to_yaml({"command": command, **changed})
    (folder / "winner.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")
