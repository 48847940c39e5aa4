"""Time features on the Handbook's 1,754,155 rows: the book's 15 against a draft in plain polars,
and the default plan; and hold the book's to its authors' values.

    FRAUDML_DATA=… python scripts/bench_features.py

Each figure comes from a process of its own; reading the file and writing nothing are left aside.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import record

from fraudml.config import load_settings
from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.read import load_table
from fraudml.data.schema import Dataset
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.machine import granted_threads, peak_memory_mb

_EXPERIMENTS = {"book": "handbook_book", "default plan": "handbook"}
_TOLERANCE = 1e-9


def _loaded(experiment: str) -> tuple[Settings, Dataset, FittedFeatures]:
    settings = load_settings("backtest", [f"+experiment={experiment}"])
    dataset = check_table(load_table(settings.data, names=settings.features.keys), settings.data)
    delay = settings.backtest.delay(settings.split)
    rows = np.arange(len(dataset))
    return settings, dataset, fit_features(dataset, rows, settings.features, label_delay=delay)


def _polars_draft(dataset: Dataset) -> pl.DataFrame:
    """The 15 features as one would write them in polars: a rolling expression each."""
    card, terminal = "CUSTOMER_ID", "TERMINAL_ID"
    frame = dataset.frame.with_columns(
        time=pl.col("TX_DATETIME").cast(pl.Datetime("us")), one=pl.lit(1, pl.Int64)
    )
    when = pl.col("time")
    frame = frame.with_columns(
        weekend=(when.dt.weekday() >= 6).cast(pl.Float64),
        night=(when.dt.hour() <= 6).cast(pl.Float64),
    )

    def rolling(column: str, length: str, key: str) -> pl.Expr:
        return pl.col(column).rolling_sum_by("time", length, closed="right").over(key)

    frame = frame.sort(card, "time").with_columns(
        *(rolling("one", f"{days}d", card).alias(f"count {days}") for days in (1, 7, 30)),
        *(rolling("TX_AMOUNT", f"{days}d", card).alias(f"sum {days}") for days in (1, 7, 30)),
    )
    frame = frame.with_columns(
        pl.col(f"sum {days}") / pl.col(f"count {days}") for days in (1, 7, 30)
    )
    frame = frame.with_columns(fraud=pl.col("TX_FRAUD").cast(pl.Int64)).sort(terminal, "time")
    spans = (7, 8, 14, 37)
    frame = frame.with_columns(
        *(rolling("one", f"{days}d", terminal).alias(f"known {days}") for days in spans),
        *(rolling("fraud", f"{days}d", terminal).alias(f"frauds {days}") for days in spans),
    )
    return frame.with_columns(
        *(pl.col(f"known {days}") - pl.col("known 7") for days in spans[1:]),
        *(pl.col(f"frauds {days}") - pl.col("frauds 7") for days in spans[1:]),
    )


def _measure(what: str) -> dict[str, float]:
    _, dataset, features = _loaded(_EXPERIMENTS.get(what, "handbook_book"))
    threads = granted_threads()
    work: Callable[[], object] = (
        (lambda: _polars_draft(dataset))
        if what == "polars draft"
        else (lambda: features.matrix(dataset, threads=threads))
    )
    started = time.perf_counter()
    work()
    return {
        "seconds": time.perf_counter() - started,
        "features": 15.0 if what == "polars draft" else len(features.names),
        "peak_mb": peak_memory_mb() or 0.0,
    }


def _measured(what: str, repeats: int) -> list[dict[str, float]]:
    """What some processes took, the slowest last."""
    runs: list[dict[str, float]] = [
        json.loads(
            subprocess.run(
                [sys.executable, __file__, "--measure", what],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for _ in range(repeats)
    ]
    return sorted(runs, key=lambda run: run["seconds"])


def _compare_with_authors() -> tuple[int, int]:
    """Compare every value of the sample with the authors'; return how many there are and differ."""
    _, dataset, features = _loaded("handbook_book")
    sample = pl.read_parquet(Path(os.environ["FRAUDML_DATA"], "handbook_features_sample.parquet"))
    transformed = features.transform(dataset, threads=granted_threads()).with_columns(
        dataset.frame["TRANSACTION_ID"]
    )
    both = sample.join(transformed, on="TRANSACTION_ID", suffix=" here")
    differ = 0
    for name in sample.columns[1:]:
        theirs = both[name].cast(pl.Float64).to_numpy()
        ours = both[f"{name} here"].to_numpy()
        differ += int((np.abs(theirs - ours) > _TOLERANCE * np.abs(theirs)).sum())
    return both.height * (len(sample.columns) - 1), differ


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--measure", help=argparse.SUPPRESS)
    arguments.add_argument("--repeats", type=int, default=3)
    record.add_option(arguments)
    given = arguments.parse_args()
    if "FRAUDML_DATA" not in os.environ:
        sys.exit("Set FRAUDML_DATA to the folder that holds handbook.parquet.")
    if given.measure:
        print(json.dumps(_measure(given.measure)))
        return
    with record.recording(__file__, __doc__, given) as figures:
        _print_table(given.repeats, figures)


def _print_table(repeats: int, figures: record.Figures) -> None:
    draft_seconds = None
    print(f"{'':<16}{'features':>9}{'seconds':>9}{'peak MB':>9}{'ratio to the draft':>20}")
    for what in ("polars draft", "book", "default plan"):
        runs = _measured(what, repeats)
        median = runs[len(runs) // 2]
        draft_seconds = draft_seconds or median["seconds"]
        ratio = median["seconds"] / draft_seconds
        print(
            f"{what:<16}{median['features']:>9.0f}{median['seconds']:>9.2f}"
            f"{median['peak_mb']:>9,.0f}{ratio:>20.2f}"
        )
        figures.add(what, median["seconds"], "s", [run["seconds"] for run in runs])
        figures.add(f"{what}, peak", median["peak_mb"], "MB", [run["peak_mb"] for run in runs])
    values, differ = _compare_with_authors()
    print(f"{values:,} values of the authors, {differ:,} differ by more than 1e-9")
    figures.add("values that differ from the authors'", differ, "values")


if __name__ == "__main__":
    main()
