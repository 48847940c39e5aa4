"""What scoring costs: rows per second beside the bare loop, and the memory that it takes.

    python scripts/bench_score.py [rows ...]

Trains a model of 500 trees on 30 columns, then scores tables of as many rows as are named (by
default 100,000 and 1,000,000) Parquet to Parquet, each in a process of its own on one thread: the
bare loop `scan_parquet().collect_batches(25_000)` → `booster.predict`, and `fraudml score` with
`engine=native` and `engine=onnx`. Then single rows by `Scorer.score_one`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import fraudml

COLUMNS = 30
TREES = 500
REPEATS = 3

BARE = """
import resource, sys, time
import lightgbm, polars as pl
started = time.perf_counter()
booster = lightgbm.Booster(model_file=sys.argv[2] + "/learner/model.txt")
names = booster.feature_name()
scored = []
scan = pl.scan_parquet(sys.argv[1]).select(pl.exclude("id", "label"))
for frame in scan.collect_batches(chunk_size=25_000, maintain_order=True, engine="streaming"):
    values = frame.cast(pl.Float32).to_numpy()
    scored.append(booster.predict(values, raw_score=True, num_threads=1))
seconds = time.perf_counter() - started
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


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


def train(folder: Path) -> Path:
    """Train the model through the command, as a user would."""
    write_table(folder / "train.parquet", 60_000, 0)
    command = [
        *(sys.executable, "-m", "fraudml", "train", "data=table"),
        *(f"data.path={folder / 'train.parquet'}", "data.columns.id=id", "costs=fixed"),
        *("rounds.choose=false", f"learner.num_iterations={TREES}", "threads=1"),
        *("evaluation.replicates=0", "proof=false", f"output_dir={folder / 'run'}"),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / "run" / "bundle"


def measured(command: list[str], *, bare: bool) -> tuple[float, float]:
    """Return seconds and megabytes of a process of its own."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    if bare:
        seconds, memory = map(float, done.stdout.split())
        return seconds, memory
    output = next(word for word in command if word.startswith("output=")).partition("=")[2]
    run = json.loads(Path(f"{output}.json").read_text(encoding="utf-8"))["run"]
    return run["seconds"], run["peak_memory_mb"]


def time_single_rows(bundle: Path, source: Path) -> None:
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


def main() -> None:
    """Print one table; each figure is the best of the repeats, which take turns."""
    sizes = [int(one) for one in sys.argv[1:]] or [100_000, 1_000_000]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bundle = train(folder)
        print(
            "      rows   bare rows/s  native rows/s   share    onnx rows/s  onnx / native"
            "   MB: bare  native  onnx"
        )
        for rows in sizes:
            source, output = folder / f"{rows}.parquet", folder / f"{rows}.out.parquet"
            write_table(source, rows, 1)
            loop = [sys.executable, "-c", BARE, str(source), str(bundle)]
            command = [
                *(sys.executable, "-m", "fraudml", "score", f"bundle={bundle}", "threads=1"),
                *(f"input={source}", f"output={output}", "overwrite=true"),
            ]
            turns = [
                (
                    measured(loop, bare=True),
                    measured([*command, "engine=native"], bare=False),
                    measured([*command, "engine=onnx"], bare=False),
                )
                for _ in range(REPEATS)
            ]
            best = [
                tuple(min(one) for one in zip(*way, strict=True))
                for way in zip(*turns, strict=True)
            ]
            (bare, bare_mb), (native, native_mb), (graph, graph_mb) = best
            print(
                f"{rows:>10,}{rows / bare:>14,.0f}{rows / native:>15,.0f}{bare / native:>8.2f}"
                f"{rows / graph:>15,.0f}{native / graph:>15.2f}"
                f"{bare_mb:>11.0f}{native_mb:>8.0f}{graph_mb:>6.0f}",
                flush=True,
            )
        time_single_rows(bundle, source)


if __name__ == "__main__":
    main()
