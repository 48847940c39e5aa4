"""What fraudml's train costs beside a bare script that does the same, and what honesty adds.

    FRAUDML_DATA=… python scripts/bench_train.py            # the Handbook's table, time
    python scripts/bench_train.py --memory 10000000         # rows × 30 columns, peak memory

Each side runs in a process of its own, in turns; compare ratios, not seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import record

_BARE = "bare script"
_ROUNDS = 300
"""Those of the default learner."""
_COLUMNS = ["TX_AMOUNT", "hour", "weekday"]


def bare(path: Path, out: Path) -> None:
    """Read, make the same three features, fit, predict and write, with nothing else."""
    import lightgbm as lgb
    import numpy as np
    import polars as pl

    frame = pl.read_parquet(path).sort("TX_DATETIME")
    time_of_day = pl.col("TX_DATETIME").dt
    features = frame.select(
        pl.col("TX_AMOUNT"),
        (time_of_day.hour() + time_of_day.minute() / 60).alias("hour"),
        time_of_day.weekday().alias("weekday"),
    )
    X = features.cast(pl.Float32).to_numpy()
    y = frame["TX_FRAUD"].to_numpy()
    cut = int(0.8 * len(X))
    rows = lgb.Dataset(np.ascontiguousarray(X[:cut]), y[:cut], params={"max_bin": _max_bin()})
    booster = lgb.train(_parameters(), rows, num_boost_round=_ROUNDS)
    p = np.asarray(booster.predict(np.ascontiguousarray(X[cut:])))
    frame[cut:].select("TRANSACTION_ID").with_columns(score=p).write_parquet(out)


def _max_bin() -> int:
    from fraudml.learners.lightgbm import LightGBM

    return LightGBM().max_bin


def _parameters() -> dict[str, object]:
    from fraudml.learners.lightgbm import LightGBM
    from fraudml.machine import granted_threads
    from fraudml.seeds import child_seed

    chosen = LightGBM().to_dict()
    del chosen["num_iterations"]
    fixed = {"objective": "binary", "verbosity": -1, "deterministic": True, "force_col_wise": True}
    # The same seed: trees that draw the amount, with its fine bins, cost more than others.
    seed = child_seed(0, "learner")
    return {**chosen, **fixed, "seed": seed, "num_threads": granted_threads()}


def stages(path: Path, out: Path) -> None:
    """Do the same through fraudml's packages: checks, roles, blocks, plan, recipe and all."""
    from dataclasses import replace

    from fraudml.data.check import check_table
    from fraudml.data.fingerprint import fingerprint
    from fraudml.data.read import load_table
    from fraudml.features.plan import fit_features
    from fraudml.learners.lightgbm import LightGBM
    from fraudml.learners.protocol import FitContext
    from fraudml.machine import granted_threads
    from fraudml.recipe import Recipe
    from fraudml.split import split_blocks

    settings = _settings(path, out)
    table = load_table(settings.data, names=settings.features.keys)
    fingerprint(table)
    dataset = check_table(table, settings.data)
    blocks = split_blocks(dataset, settings.split, settings.data, 0)
    features = fit_features(dataset, blocks.development.rows, settings.features)
    matrix = replace(features.matrix(dataset), label=dataset.label)
    recipe = Recipe(LightGBM(num_iterations=_ROUNDS))
    context = FitContext(threads=granted_threads())
    model = recipe.fit(matrix.take(blocks.development.rows), context)
    test = blocks.test.rows
    score = model.margin(matrix.take(test))
    dataset.frame[test].select("TRANSACTION_ID").with_columns(score=score).write_parquet(out)


def whole(path: Path, out: Path) -> None:
    """Run all of train: out-of-fold scores, calibration, policy, intervals, guard, bundle."""
    from dataclasses import replace

    from fraudml.workflows.train import run

    run(replace(_settings(path, out), output_dir=f"{out}.run"))


def without_intervals(path: Path, out: Path) -> None:
    """Run train with no bootstrap."""
    from dataclasses import replace

    from fraudml.evaluation.intervals import IntervalSettings
    from fraudml.workflows.train import run

    settings = _settings(path, out)
    run(replace(settings, evaluation=IntervalSettings(replicates=0), output_dir=f"{out}.run"))


def _settings(path: Path, out: Path):  # type: ignore[no-untyped-def]
    from fraudml.config import load_settings

    del out
    return load_settings(
        "train", ["data=handbook", f"data.path={path}", f"learner.num_iterations={_ROUNDS}"]
    )


SIDES = {
    _BARE: bare,
    "fraudml: read, features, one fit, predict, write": stages,
    "+ out-of-fold scores, calibration, policy, guard, bundle": without_intervals,
    "+ intervals (1,000 replicates)": whole,
}


def compare(path: Path, repeats: int, figures: record.Figures) -> None:
    """Time all sides in turns, each in its own process, and print one table."""
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(repeats):
        for name in SIDES:
            with tempfile.TemporaryDirectory() as folder:
                seconds[name].append(_timed(name, path, Path(folder) / "scores.parquet")[0])
    base = sorted(seconds[_BARE])[repeats // 2]
    print(f"{path.name}, {_ROUNDS} rounds, {repeats} runs a side, medians")
    for name, taken in seconds.items():
        middle = sorted(taken)[repeats // 2]
        print(f"{name:60s} {middle:8.1f} s   {middle / base:5.2f} × bare")
        figures.add(name, middle, "s", taken)


def _timed(name: str, path: Path, out: Path) -> tuple[float, float]:
    started = time.perf_counter()
    code = (
        "import runpy, sys, pathlib; "
        f"sides = runpy.run_path({str(Path(__file__))!r})['SIDES']; "
        "sides[sys.argv[1]](pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))"
    )
    subprocess.run([sys.executable, "-c", code, name, str(path), str(out)], check=True)
    return time.perf_counter() - started, 0.0


def memory(rows: int, rounds: int, overrides: list[str], figures: record.Figures) -> None:
    """Train on rows × 30 columns and print the peak memory of the process."""
    import numpy as np
    import polars as pl

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        generator = np.random.default_rng(0)
        label = generator.random(rows) < 0.002
        columns = {
            f"x{i:02d}": generator.normal(size=rows) + (1.0 if i < 5 else 0.0) * label
            for i in range(30)
        }
        pl.DataFrame(
            {"label": label.astype("int8"), "time": np.arange(rows), **columns}
        ).write_parquet(path, row_group_size=125_000)
        del columns, label
        command = [
            *(sys.executable, "-m", "fraudml", "train", "data=table", f"data.path={path}"),
            *("data.columns.time=time", "data.labels_complete=true"),
            *(f"learner.num_iterations={rounds}", f"output_dir={folder}/run"),
            *overrides,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        run = json.loads((Path(folder) / "run" / "metrics.json").read_text())["run"]
    print(
        f"{rows:,} × 30 rows, {rounds} rounds: peak {run['peak_memory_mb'] / 1024:.2f} GiB, "
        f"{run['seconds']:.0f} s"
    )
    figures.add("peak memory", run["peak_memory_mb"], "MB")
    figures.add("train", run["seconds"], "s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, default=0, metavar="ROWS")
    parser.add_argument("--rounds", type=int, default=20, help="with --memory")
    parser.add_argument("overrides", nargs="*", help="more settings of the run, with --memory")
    record.add_option(parser)
    arguments = parser.parse_args()
    variant = "memory" if arguments.memory else ""
    with record.recording(__file__, __doc__, arguments, variant) as figures:
        if arguments.memory:
            memory(arguments.memory, arguments.rounds, arguments.overrides, figures)
        else:
            path = Path(os.environ.get("FRAUDML_DATA", "data")) / "handbook.parquet"
            compare(path, arguments.repeats, figures)


if __name__ == "__main__":
    main()
