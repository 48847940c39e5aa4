"""What a GPU saves: every learner on the CPU and on each device that it runs on, in one table.

    python scripts/bench_gpu.py                   # 1 M and 10 M rows with a GPU; 50,000 without
    python scripts/bench_gpu.py --rows 1000000    # so many, GPU or not
    python scripts/bench_gpu.py --opencl          # OpenCL without a GPU too, as PoCL has it

Every file of conf/learner/, with its defaults. A row is 30 columns, five of them with something to
tell, and 0.2 % are frauds; AP is on 200,000 other rows. Each fit has a process of its own:
`seconds` is the fit alone, `memory` its peak beyond the rows, `gpu` what nvidia-smi saw of the card
at most. What cannot be run is listed below the table, with the reason.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import record

from fraudml.config import load_settings
from fraudml.config.sources import packaged_conf
from fraudml.errors import ConfigError
from fraudml.learners.devices import DeviceSettings, choose_device
from fraudml.learners.protocol import FitContext, Learner
from fraudml.machine import granted_threads, peak_memory_mb
from fraudml.matrix import DesignMatrix
from fraudml.pipeline.components import build_components

LEARNERS = sorted(path.stem for path in Path(packaged_conf(), "learner").glob("*.yaml"))
KINDS = ("cpu", "opencl", "cuda")
_COLUMNS, _TELLING, _FRAUD, _TEST_ROWS = 30, 5, 0.002, 200_000
_WITH_GPU, _WITHOUT = (1_000_000, 10_000_000), (50_000,)


def make_rows(size: int, seed: int) -> DesignMatrix:
    """Return rows whose first columns rise with fraud."""
    rng = np.random.default_rng(seed)
    label = (rng.random(size) < _FRAUD).astype(np.int8)
    values = rng.standard_normal((size, _COLUMNS), dtype=np.float32)
    values[label == 1, :_TELLING] += 1.0
    return DesignMatrix(values, tuple(f"x{column:02d}" for column in range(_COLUMNS)), label=label)


def make_learner(name: str) -> Learner:
    return build_components(load_settings("train", [f"learner={name}"])).recipe.learner


def fit_once(name: str, device: str, size: int, rounds: int | None, threads: int) -> dict[str, Any]:
    """Fit and score in this process, and say what it took."""
    from sklearn.metrics import average_precision_score

    train, test = make_rows(size, 0), make_rows(_TEST_ROWS, 1)
    learner = make_learner(name).on(device)
    # What is loaded and compiled once is no part of a fit.
    learner.fit(make_rows(5_000, 2), FitContext(threads=threads, device=device), rounds=2)
    held = peak_memory_mb() or 0.0
    with _Card() as card:
        start = time.perf_counter()
        model = learner.fit(train, FitContext(threads=threads, device=device), rounds=rounds)
        seconds = time.perf_counter() - start
    return {
        "seconds": round(seconds, 2),
        "memory MB": round((peak_memory_mb() or 0.0) - held),
        "gpu MB": card.peak,
        "AP": round(float(average_precision_score(test.y, model.margin(test))), 4),
    }


class _Card:
    """Asks nvidia-smi how much of the card is taken, until the end of a fit."""

    def __init__(self) -> None:
        self.peak: int | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Card:
        if shutil.which("nvidia-smi"):
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            used = _nvidia("memory.used")
            if used:
                self.peak = max(self.peak or 0, int(used[0].split()[0]))


def _nvidia(what: str) -> list[str]:
    command = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return done.stdout.splitlines()


def possible(names: list[str], kinds: tuple[str, ...]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the pairs of a learner and a device that can be run, and why others cannot."""
    pairs, skipped = [], []
    for name in names:
        for kind in kinds:
            try:
                choose_device(make_learner(name), DeviceSettings(kind))  # type: ignore[arg-type]
                pairs.append((name, kind))
            except ConfigError as error:
                skipped.append(f"{name} on {kind}: {error}")
    return pairs, skipped


def bench(arguments: argparse.Namespace, figures: record.Figures) -> None:
    """Run every pair in a process of its own and print one table, then what was left out."""
    cards = _nvidia("name")
    with_opencl = arguments.opencl or bool(cards)
    kinds = tuple(kind for kind in KINDS if kind != "opencl" or with_opencl)
    pairs, skipped = possible(arguments.learners, kinds)
    has_gpu = bool(cards) and any(kind != "cpu" for _, kind in pairs)
    sizes = arguments.rows or (_WITH_GPU if has_gpu else _WITHOUT)
    if not with_opencl:
        skipped.append("OpenCL: there is no card; --opencl runs it on what there is")
    if not arguments.rows and not has_gpu:
        skipped.append(
            "1 M and 10 M rows: no learner runs on a GPU here; --rows 1000000 10000000 runs them"
        )
    table = []
    for size in sizes:
        for name, kind in pairs:
            measured = _in_a_process(name, kind, size, arguments)
            if isinstance(measured, str):
                skipped.append(f"{name} on {kind}, {size:,} rows: {measured}")
            else:
                table.append({"learner": name, "device": kind, "rows": size, **measured})
                add_figures(figures, f"{name} on {kind}, {size:,} rows", measured)
    card = ", ".join(cards) or "no NVIDIA card"
    print(f"{arguments.threads} threads; {card}; {_FRAUD:.1%} fraud, {_COLUMNS} columns")
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(pl.DataFrame(table))
    print("\n".join(["Skipped:", *(f"  {note}" for note in skipped)]))


def add_figures(figures: record.Figures, fit: str, measured: dict[str, Any]) -> None:
    figures.add(fit, measured["seconds"], "s")
    figures.add(f"{fit}, memory", measured["memory MB"], "MB")
    figures.add(f"{fit}, average precision", measured["AP"], "AP")
    if measured["gpu MB"] is not None:
        figures.add(f"{fit}, memory of the card", measured["gpu MB"], "MB")


def _in_a_process(
    name: str, kind: str, size: int, arguments: argparse.Namespace
) -> dict[str, Any] | str:
    task = [name, kind, size, arguments.rounds, arguments.threads]
    command = [sys.executable, __file__, "--task", json.dumps(task)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=arguments.limit
        )
    except subprocess.TimeoutExpired:
        return f"not done after {arguments.limit:g} s; raise --limit"
    try:
        measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        reason = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        return f"ended with code {done.returncode}: {reason}"
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, nargs="+", help="how many rows are fitted on")
    parser.add_argument("--rounds", type=int, help="instead of each learner's own number")
    parser.add_argument("--threads", type=int, default=granted_threads())
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds that a fit may take")
    parser.add_argument("--opencl", action="store_true", help="OpenCL too")
    parser.add_argument("--learners", nargs="+", choices=LEARNERS, default=LEARNERS, metavar="NAME")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    record.add_option(parser)
    arguments = parser.parse_args()
    if arguments.task:
        print("\n" + json.dumps(fit_once(*json.loads(arguments.task))))
        return
    with record.recording(__file__, __doc__, arguments) as figures:
        bench(arguments, figures)


if __name__ == "__main__":
    main()
