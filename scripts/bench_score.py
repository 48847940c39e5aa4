"""What scoring costs: rows per second beside the bare loop, and the memory that it takes.

    python scripts/bench_score.py [--rows 1000000 10000000] [--trees 500] [--repeats 1] [--csv]

Trains a model of so many trees on 30 columns, then scores tables of so many rows, Parquet to
Parquet (with `--csv`, from text), each in a process of its own on one thread: the bare loop
`scan_parquet().collect_batches(25_000)` → `booster.predict`, and `fraudml score` with
`engine=native` and `engine=onnx`. Seconds are of the whole process, imports within, by the wall and
of the CPU, which other processes on the machine disturb less; each is the least of the repeats,
which take turns. Then single rows by `Scorer.score_one`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import polars as pl
import record

import fraudml

COLUMNS = 30
ENGINES = ("native", "onnx")

BARE = """
import sys
import lightgbm, polars as pl
booster = lightgbm.Booster(model_file=sys.argv[2] + "/learner/model.txt")
scored = []
scan = pl.scan_parquet(sys.argv[1]).select(pl.exclude("id", "label"))
for frame in scan.collect_batches(chunk_size=25_000, maintain_order=True, engine="streaming"):
    values = frame.cast(pl.Float32).to_numpy()
    scored.append(booster.predict(values, raw_score=True, num_threads=1))
"""


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds by the wall and of the CPU, megabytes at its peak."""

    wall: float
    cpu: float
    memory: float


def write_table(path: Path, rows: int, seed: int) -> None:
    """Write a table in pieces, so that this process stays small."""
    rng = np.random.default_rng(seed)
    frames = []
    for start in range(0, rows, 250_000):
        size = min(250_000, rows - start)
        values = rng.normal(size=(size, COLUMNS))
        risk = values[:, :5].sum(axis=1) - 7.5 + rng.normal(size=size)
        columns = {f"x{k:02d}": values[:, k] for k in range(COLUMNS)}
        label = (rng.random(size) < 1 / (1 + np.exp(-risk))).astype(np.int8)
        frames.append(
            pl.DataFrame({"id": np.arange(start, start + size), **columns, "label": label})
        )
        piece = path.with_name(f"{path.stem}_{start}.piece")
        frames.pop().write_parquet(piece)
    pieces = sorted(
        path.parent.glob(f"{path.stem}_*.piece"), key=lambda p: int(p.stem.split("_")[-1])
    )
    pl.scan_parquet(pieces).sink_parquet(path, row_group_size=125_000)
    for piece in pieces:
        piece.unlink()


def train(folder: Path, trees: int) -> Path:
    """Train the model through the command, as a user would."""
    write_table(folder / "train.parquet", 60_000, 0)
    command = [
        *(sys.executable, "-m", "fraudml", "train", "data=table"),
        *(f"data.path={folder / 'train.parquet'}", "data.columns.id=id", "costs=fixed"),
        *("rounds.choose=false", f"learner.num_iterations={trees}", "threads=1"),
        *("evaluation.replicates=0", "proof=false", f"output_dir={folder / 'run'}"),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / "run" / "bundle"


def measured(command: list[str]) -> Cost:
    """Run a process of its own and say what it took."""
    started = time.perf_counter()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    peak, ended, status = 0.0, 0, 0
    while not ended:
        # Not what `wait4` says of memory: that counts this process, before it became another.
        peak = max(peak, peak_mb(process.pid))
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    wall = time.perf_counter() - started
    return Cost(wall, used.ru_utime + used.ru_stime, peak)


def peak_mb(pid: int) -> float:
    """Return the most memory that a process has held so far; 0 when it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    held = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return held[0] / 1024 if held else 0.0


def least(costs: list[Cost]) -> Cost:
    """Return the least of each figure."""
    return Cost(*(min(column) for column in zip(*map(astuple, costs), strict=True)))


def faster(cost: Cost, base: Cost) -> str:
    """Return how many times as fast one is as another."""
    return f"{base.wall / cost.wall:.3f} wall, {base.cpu / cost.cpu:.3f} CPU"


def time_single_rows(bundle: Path, source: Path, figures: record.Figures) -> None:
    """Print how long one row takes."""
    scorer = fraudml.load_bundle(bundle)
    rows = pl.scan_parquet(source).head(5_000).collect().to_dicts()
    taken = []
    for row in rows:
        started = time.perf_counter()
        scorer.score_one(row)
        taken.append(time.perf_counter() - started)
    half, worst = 1e3 * np.percentile(taken[100:], [50, 99])
    print(f"one row: p50 {half:.3f} ms, p99 {worst:.3f} ms")
    figures.add("one row, median", half, "ms")
    figures.add("one row, 99th percentile", worst, "ms")


def add_figures(figures: record.Figures, side: str, rows: int, costs: list[Cost]) -> None:
    """Add seconds, those of the CPU and memory of one side: the least of the repeats."""
    name, best = f"{side}, {rows:,} rows", least(costs)
    figures.add(name, best.wall, "s", [cost.wall for cost in costs])
    figures.add(f"{name}, CPU", best.cpu, "s", [cost.cpu for cost in costs])
    figures.add(f"{name}, peak", best.memory, "MB", [cost.memory for cost in costs])


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="What scoring costs.")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--csv", action="store_true", help="score text instead of Parquet")
    record.add_option(parser)
    return parser.parse_args()


def main() -> None:
    chosen = options()
    with record.recording(__file__, __doc__, chosen) as figures:
        print_table(chosen, figures)


def print_table(chosen: argparse.Namespace, figures: record.Figures) -> None:
    """Print one table."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bundle = train(folder, chosen.trees)
        print(f"{chosen.trees} trees; rows a second by the wall and the CPU, and MB at the peak")
        heads = "".join(f" | {side:>9} wall{'CPU':>9}{'MB':>7}" for side in ("bare", *ENGINES))
        print(f"{'rows':>10}{heads} | native / bare | onnx / native")
        for rows in chosen.rows:
            source = folder / f"{rows}.parquet"
            write_table(source, rows, 1)
            text = folder / f"{rows}.csv"
            if chosen.csv:
                pl.scan_parquet(source).sink_csv(text)
            loop = [sys.executable, "-c", BARE, str(source), str(bundle)]
            command = [
                *(sys.executable, "-m", "fraudml", "score", f"bundle={bundle}", "threads=1"),
                *(f"input={text if chosen.csv else source}", f"output={folder / 'out.parquet'}"),
                "overwrite=true",
            ]
            ways = [loop, *([*command, f"engine={engine}"] for engine in ENGINES)]
            turns = [[measured(way) for way in ways] for _ in range(chosen.repeats)]
            sides = [list(side) for side in zip(*turns, strict=True)]
            for name, costs in zip(("bare", *ENGINES), sides, strict=True):
                add_figures(figures, name, rows, costs)
            bare, native, onnx = map(least, sides)
            cells = "".join(
                f" |{rows / cost.wall:>15,.0f}{rows / cost.cpu:>9,.0f}{cost.memory:>7.0f}"
                for cost in (bare, native, onnx)
            )
            print(
                f"{rows:>10,}{cells} | {faster(native, bare)} | {faster(onnx, native)}", flush=True
            )
        time_single_rows(bundle, source, figures)


if __name__ == "__main__":
    main()
