"""What a round costs with each loss beside LightGBM's built-in log loss: a ratio, side by side.

    python scripts/bench_losses.py [--rows 500000] [--columns 30] [--rounds 60] [--repeats 3]

The built-in objective is fitted before and after each loss, in one process; the ratio is that of
the medians of seconds a round. Both start from the base rate: from 0 the first rounds grow other
trees, and it is trees that take the time. The rows are random: only time is looked at.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
import record

from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.losses import ExpectedCost, Focal, Loss, Margin
from fraudml.learners.protocol import FitContext
from fraudml.matrix import DesignMatrix

LOSSES: dict[str, Loss] = {"focal": Focal(), "margin": Margin(), "expected_cost": ExpectedCost()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    record.add_option(parser)
    arguments = parser.parse_args()
    with record.recording(__file__, __doc__, arguments) as figures:
        _print_table(arguments, figures)


def _print_table(arguments: argparse.Namespace, figures: record.Figures) -> None:
    rows = _rows(arguments.rows, arguments.columns)
    print("| loss | ms a round | built-in, ms a round | ratio |\n|---|---|---|---|")
    for name, loss in LOSSES.items():
        own, plain = [], []
        for _ in range(arguments.repeats):
            plain.append(_milliseconds(rows, None, arguments.rounds, arguments.threads))
            own.append(_milliseconds(rows, loss, arguments.rounds, arguments.threads))
        mine, theirs = median(own), median(plain)
        print(
            f"| {name} | {mine:.0f} | {theirs:.0f} | {mine / theirs:.2f} |",
            flush=True,
        )
        figures.add(f"{name}, a round", mine, "ms", own)
        figures.add(f"built-in beside {name}, a round", theirs, "ms", plain)
        figures.add(f"{name}, ratio to the built-in", mine / theirs, "×")


def _rows(count: int, columns: int) -> DesignMatrix:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(count, columns)).astype(np.float32)
    label = (rng.random(count) < 0.005).astype(np.int8)
    values[label == 1, :5] += 1
    return DesignMatrix(
        values,
        tuple(f"x{number}" for number in range(columns)),
        label=label,
        miss_cost=rng.gamma(1.0, 80.0, count),
        false_alert_cost=np.full(count, 10.0),
    )


def _milliseconds(rows: DesignMatrix, loss: Loss | None, rounds: int, threads: int) -> float:
    """Time of a round: a longer fit less a shorter one, so that binning is left out."""
    context = FitContext(threads=threads, loss=loss)
    taken = []
    for count in (1, rounds + 1):
        started = time.perf_counter()
        LightGBM(boost_from_average=True).fit(rows, context, rounds=count)
        taken.append(time.perf_counter() - started)
    return 1000 * (taken[1] - taken[0]) / rounds


if __name__ == "__main__":
    main()
