"""How long the report of 500,000 test rows takes, from scores to files, and how large it is.

    FRAUDML_DATA=… python scripts/bench_report.py   # rows of the Handbook, again and again
    python scripts/bench_report.py --simulated      # of the simulator

The model is fitted on the first rows, with few rounds: what is measured begins with its scores.
Prints one table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import record

from fraudml.config import load_settings
from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.read import load_table
from fraudml.evaluation.curves import draw_curves
from fraudml.evaluation.drivers import find_drivers
from fraudml.evaluation.scored import score_rows
from fraudml.pipeline.evaluate import ReportData
from fraudml.records.documents import run_document, write_report
from fraudml.records.results import Run
from fraudml.seeds import child_seed
from fraudml.workflows.train import train


def _settings(simulated: bool, rows: int, threads: int) -> Settings:
    few = ["proof=false", "evaluation.baselines=false", f"threads={threads}"]
    few += ["learner.num_iterations=300", "split.test_share=0.5"]
    data = [f"data.simulate.rows={2 * rows}"] if simulated else ["data=handbook"]
    return load_settings("train", [*data, *few])


def _details(run: Run, rows: int, threads: int) -> tuple[ReportData, dict[str, float]]:
    """Compute what the report draws of the last rows of the table, and how long each part takes."""
    settings = run.settings
    assert run.bundle is not None, "the guard refused the model"
    dataset = check_table(load_table(settings.data, names=settings.features.keys), settings.data)
    known = np.flatnonzero(dataset.label >= 0)[-rows:]
    tested = dataset.take(known)
    matrix = run.bundle.features.matrix(tested)
    decisions = run.bundle.decide(tested, matrix)
    scored = score_rows(dataset, known, decisions.margin, decisions.p)
    assert run.details is not None
    costs = run.bundle.costs.costs(tested.frame, tested.amount)
    spent = {}
    started = time.perf_counter()
    options = settings.evaluation.options(child_seed(settings.seed, "intervals"), threads)
    threshold = run.bundle.policy.threshold
    curves = draw_curves(scored, decisions.alert, costs, options, threshold=threshold)
    spent["curves"] = time.perf_counter() - started
    started = time.perf_counter()
    drivers = find_drivers(run.bundle.learner, matrix, decisions.alert, decisions.p)
    spent["drivers"] = time.perf_counter() - started
    return ReportData(curves, drivers, run.details.clusters, run.bundle.costs), spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--simulated", action="store_true")
    record.add_option(parser)
    given = parser.parse_args()
    with record.recording(__file__, __doc__, given) as figures:
        _print_table(given, figures)


def _print_table(given: argparse.Namespace, figures: record.Figures) -> None:
    settings = _settings(given.simulated, given.rows, given.threads)
    run = train(load_table(settings.data, names=settings.features.keys), settings)
    details, spent = _details(run, given.rows, given.threads)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write_report(run_document(replace(run, details=details)), Path(folder))
        spent["writing"] = time.perf_counter() - started
        size = {path.name: path.stat().st_size for path in Path(folder).iterdir()}
    print(f"{given.rows:,} test rows, {given.threads} threads")
    for name, seconds in spent.items():
        print(f"  {name:<12} {seconds:6.2f} s")
        figures.add(name, seconds, "s")
    print(f"  {'all':<12} {sum(spent.values()):6.2f} s (at most 5)")
    figures.add("all", sum(spent.values()), "s")
    for name, count in sorted(size.items()):
        print(f"  {name:<12} {count / 1e6:6.2f} MB")
        figures.add(name, count / 1e6, "MB")


if __name__ == "__main__":
    main()
