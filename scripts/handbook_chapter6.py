"""Chapter 6 of the Fraud Detection Handbook again: resampling before its tree of depth 5.

    FRAUDML_DATA=… python scripts/handbook_chapter6.py [--seeds 5]

Runs `backtest +experiment=handbook_resampling` on the validation and on the test folds, for each
seed of the samplers. As published, the ratio of each row is the best for its metric on the
validation folds, and its value is looked up in the test folds; verdicts are those of the validation
folds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import record

from fraudml.config import load_settings
from fraudml.config.components import Component
from fraudml.records.results import Study
from fraudml.workflows.backtest import run

FOLDS = {"validation": "2018-08-01", "test": "2018-09-05"}
PUBLISHED = {
    "none": (0.810, 0.600),
    "SMOTE": (0.845, 0.573),
    "under-sampling": (0.830, 0.594),
    "both": (0.847, 0.544),
}
METRICS = ("roc_auc", "average_precision")


def _seeded(value: Any, seed: int) -> Any:
    """Give every sampler below another seed."""
    if isinstance(value, Component):
        return Component(value.target, _seeded(value.arguments, seed))
    if isinstance(value, Mapping):
        seeded = {name: _seeded(item, seed) for name, item in value.items()}
        return {**seeded, "random_state": seed} if "random_state" in seeded else seeded
    if isinstance(value, list | tuple):
        return type(value)(_seeded(item, seed) for item in value)
    return value


def _study(end: str, seed: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Return what a study says of each sampler."""
    settings = load_settings(
        "backtest", ["+experiment=handbook_resampling", f"backtest.end={end}", "threads=1"]
    )
    samplers = {name: _seeded(item, seed) for name, item in settings.study.resampling.items()}
    study = replace(settings.study, resampling=samplers)
    done = run(replace(settings, study=study, output_dir=str(folder / f"{end}_{seed}")))
    assert isinstance(done, Study)
    return {variant["resampling"]: variant for variant in done.metrics["variants"]}


def _chosen(variants: dict[str, dict[str, Any]], family: str, metric: str) -> str:
    names = [name for name in variants if name.startswith(family)]
    return max(names, key=lambda name: float(variants[name]["mean"][metric]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    record.add_option(parser)
    arguments = parser.parse_args()
    if "FRAUDML_DATA" not in os.environ:
        sys.exit("Set FRAUDML_DATA to the folder that holds handbook.parquet.")
    with record.recording(__file__, __doc__, arguments) as figures:
        _print_table(arguments.seeds, figures)


def _print_table(seeds: int, figures: record.Figures) -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = [
            {name: _study(end, seed, Path(folder)) for name, end in FOLDS.items()}
            for seed in range(seeds)
        ]
    print(f"{'':<16}{'metric':<19}{'published':>10}{'seed 0':>8}{'mean':>7}  ratio, verdict")
    for family, published in PUBLISHED.items():
        for metric, wanted in zip(METRICS, published, strict=True):
            chosen = [_chosen(result["validation"], family, metric) for result in results]
            values = [
                result["test"][name]["mean"][metric]
                for result, name in zip(results, chosen, strict=True)
            ]
            change = results[0]["validation"][chosen[0]].get("difference", {})
            verdict = change[metric]["verdict"] if change else ""
            print(
                f"{family:<16}{metric:<19}{wanted:>10.3f}{values[0]:>8.3f}{np.mean(values):>7.3f}"
                f"  {chosen[0]} {verdict}"
            )
            figures.add(f"{family}, {metric}", float(np.mean(values)), metric, values)


if __name__ == "__main__":
    main()
