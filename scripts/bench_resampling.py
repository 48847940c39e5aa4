"""Compare fraudml's boundary with the bare library: time and memory, printed as one table.

    python scripts/bench_resampling.py --rows 1000000 --columns 30 --named-rows 200000

The first pair is SMOTE on numbers. The second has one categorical column, for which the library
has SMOTENC; its memory grows with rows × levels, so it is given fewer rows. Each measurement is a
process of its own, the best of some repetitions: seconds by the clock, and of processor time, which
other work on the machine moves less. Memory is the peak above what stood before.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import record

from fraudml.matrix import FIRST_LEVEL_CODE, DesignMatrix
from fraudml.resampling import resample, sampler_step

SHARE = 0.1
RATIO = SHARE / (1 - SHARE)
HEADS = {"rows": 9, "seconds": 8, "×": 5, "cpu s": 7, "× cpu": 6, "MB": 6, "copies": 7, "× MB": 5}
CASES = ("SMOTE", "fraudml", "SMOTENC", "fraudml, named")


def table(rows: int, columns: int, fraud: float, levels: int) -> DesignMatrix:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((rows, columns), dtype=np.float32)
    label = (rng.random(rows) < fraud).astype(np.int8)
    names = tuple(f"x{column}" for column in range(columns))
    if levels:
        values[:, 0] = FIRST_LEVEL_CODE + rng.integers(0, levels, rows)
    return DesignMatrix(values, names, (0,) if levels else (), label=label)


def work(case: str, train: DesignMatrix) -> Callable[[], Any]:
    """Return what is to be measured, with its imports done."""
    from imblearn.over_sampling import SMOTE, SMOTENC

    if case == "SMOTE":
        bare = SMOTE(sampling_strategy=RATIO, random_state=0)
        return lambda: bare.fit_resample(train.values, train.y)
    if case == "SMOTENC":
        named = SMOTENC(train.categorical, sampling_strategy=RATIO, random_state=0)
        return lambda: named.fit_resample(train.values, train.y)
    step = sampler_step("imblearn.over_sampling.SMOTE", fraud_share=SHARE)
    return lambda: resample(train, [step], seed=0, threads=2)


def warm_up(case: str) -> None:
    """Pay for imports and the first call of compiled code on a few rows."""
    work(case, table(2_000, 3, 0.05, 5 if "NC" in case or "named" in case else 0))()


def peak_mb() -> float:
    """Return the largest resident memory so far; macOS counts in bytes, Linux in kilobytes."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure(case: str, args: argparse.Namespace) -> dict[str, Any]:
    named = "NC" in case or "named" in case
    warm_up(case)
    rows = args.named_rows if named else args.rows
    train = table(rows, args.columns, args.fraud, args.levels if named else 0)
    call = work(case, train)
    before, seconds, processor = peak_mb(), [], []
    for _ in range(args.repeat):
        started, used = time.perf_counter(), time.process_time()
        call()
        seconds.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return {
        "rows": rows,
        "seconds": min(seconds),
        "cpu": min(processor),
        "every_seconds": seconds,
        "every_cpu": processor,
        "mb": peak_mb() - before,
        "matrix_mb": train.values.nbytes / 2**20,
    }


def measured(case: str) -> dict[str, Any]:
    command = [sys.executable, __file__, *sys.argv[1:], "--case", case]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def line(case: str, own: dict[str, Any], bare: dict[str, Any]) -> str:
    return (
        f"{case:<15} {own['rows']:>9,.0f} {own['seconds']:>8.2f} "
        f"{own['seconds'] / bare['seconds']:>5.2f} {own['cpu']:>7.2f} "
        f"{own['cpu'] / bare['cpu']:>6.2f} {own['mb']:>6,.0f} "
        f"{own['mb'] / own['matrix_mb']:>7.1f} {own['mb'] / bare['mb']:>5.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--fraud", type=float, default=0.002)
    parser.add_argument("--named-rows", type=int, default=200_000)
    parser.add_argument("--levels", type=int, default=5_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--case", choices=CASES)
    record.add_option(parser)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(measure(args.case, args)))
        return
    with record.recording(__file__, __doc__, args) as figures:
        print_table(figures)


def print_table(figures: record.Figures) -> None:
    print(f"{'':<15}", *(f"{head:>{width}}" for head, width in HEADS.items()))
    for bare, own in (CASES[:2], CASES[2:]):
        theirs, ours = measured(bare), measured(own)
        print(line(bare, theirs, theirs))
        print(line(own, ours, theirs))
        for case, result in ((bare, theirs), (own, ours)):
            figures.add(case, result["seconds"], "s", result["every_seconds"])
            figures.add(f"{case}, CPU", result["cpu"], "s", result["every_cpu"])
            figures.add(f"{case}, memory", result["mb"], "MB")


if __name__ == "__main__":
    main()
