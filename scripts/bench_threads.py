"""What two threads cost beside one on a busy machine, by how OpenMP's threads wait.

    python scripts/bench_threads.py                              # alone and beside two busy loops
    python scripts/bench_threads.py --work train                 # the whole of `fraudml train`
    python scripts/bench_threads.py --preload libomp.so --settings KMP_BLOCKTIME=0 KMP_BLOCKTIME=1

Each run is a process of its own. All sides run in turns, `--repeats` times, and each turn begins
with another side. A line has the median of a side, its least and most, and its ratio to the medians
of `threads=1` and of several threads with the first of `--settings`. `--work fit` is LightGBM
alone, also by the seconds of its rounds, without imports and binning. Other work on the machine
counts as busy loops too: the load average is written before and after, and `--first` lets the runs
go before that work, which gets a pause after each.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import record

FIT = """
import sys, time
import lightgbm as lgb, numpy as np
rows, rounds, threads = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
X = rng.normal(size=(rows, 20)).astype(np.float32)
y = X[:, :5].sum(axis=1) + rng.normal(size=rows) > 4.5
fixed = {"objective": "binary", "verbosity": -1, "deterministic": True, "force_col_wise": True}
settings = {**fixed, "num_threads": threads}
data = lgb.Dataset(X, y, params=settings).construct()
start = time.perf_counter()
lgb.train(settings, data, rounds)
print(time.perf_counter() - start)
"""

AS_THEY_ARE = "GOMP_SPINCOUNT=300000 KMP_BLOCKTIME=200"
"""What the runtimes take where nothing is set; `fraudml train` would set its own."""

CANDIDATES = (
    AS_THEY_ARE,
    *(f"GOMP_SPINCOUNT={turns}" for turns in (100, 300, 1_000, 3_000, 10_000, 30_000)),
    "OMP_WAIT_POLICY=PASSIVE",
)
WAIT_SETTINGS = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY", "OMP_WAIT_POLICY")


@dataclass
class Side:
    """A number of threads, how they wait, and what its runs took."""

    threads: int
    settings: str
    whole: list[float] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def environment(self, preload: str | None) -> dict[str, str]:
        """The environment of this process, with this side's settings and no others."""
        own = {name: text for name, text in os.environ.items() if name not in WAIT_SETTINGS}
        own |= dict(text.split("=") for text in self.settings.split())
        return own | ({"LD_PRELOAD": preload} if preload else {})


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep so many processes busy."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(side: Side, options: argparse.Namespace) -> None:
    """Run one process and keep what it took."""
    size = [str(options.rows), str(options.rounds), str(side.threads)]
    with tempfile.TemporaryDirectory() as folder:
        train = [
            *("-m", "fraudml", "train", f"data.simulate.rows={options.rows}"),
            *(f"learner.num_iterations={options.rounds}", f"threads={side.threads}"),
            f"output_dir={folder}/run",
        ]
        command = ["-c", FIT, *size] if options.work == "fit" else train
        before, start = _children_seconds(), time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command],
            env=side.environment(options.preload),
            capture_output=True,
            text=True,
            check=True,
        )
    side.whole.append(time.perf_counter() - start)
    side.cpu.append(_children_seconds() - before)
    if options.work == "fit":
        side.rounds.append(float(done.stdout))


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_in_turns(busy: int, options: argparse.Namespace) -> list[Side]:
    """Run all sides so many times beside so many busy loops."""
    sides = [Side(1, options.settings[0])]
    sides += [Side(options.threads, settings) for settings in options.settings]
    for turn in range(options.repeats):
        first = turn % len(sides)
        for side in [*sides[first:], *sides[:first]]:
            with busy_loops(busy):
                measure(side, options)
            time.sleep(side.whole[-1] if options.first else 0)
    return sides


def go_first() -> None:
    """Put this process and its children, as one group, before all others: root on Linux alone."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    Path("/proc/self/autogroup").write_text("-20", encoding="ascii")


def report(
    sides: list[Side], measures: tuple[str, ...], busy: int, figures: record.Figures
) -> None:
    """Print one line a side: medians, and ratios to one thread and to the first settings."""
    for name in measures:
        single, first = (median(getattr(side, name)) for side in sides[:2])
        print(f"{name:<10}{'s':>7}{'least':>8}{'most':>8}{'to one':>9}{'to first':>10}")
        for side in sides:
            seconds = getattr(side, name)
            middle = median(seconds)
            case = f"{busy} busy loops, threads={side.threads} {side.settings}, {name}"
            figures.add(case, middle, "s", repeats=seconds)
            print(
                f"{'':<10}{middle:7.2f}{min(seconds):8.2f}{max(seconds):8.2f}"
                f"{middle / single:9.2f}{middle / first:10.2f}"
                f"  threads={side.threads} {side.settings}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", choices=["fit", "train"], default="fit")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 2], help="busy loops beside")
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--settings", nargs="+", default=list(CANDIDATES))
    parser.add_argument("--preload", type=Path, help="another OpenMP runtime, such as libomp.so")
    parser.add_argument("--first", action="store_true", help="go before other work; needs root")
    record.add_option(parser)
    options = parser.parse_args()
    if options.first:
        go_first()
    measures = ("whole", "cpu") if options.work == "train" else ("whole", "rounds", "cpu")
    with record.recording(__file__, __doc__, options) as figures:
        for busy in options.busy:
            before = os.getloadavg()[0]
            sides = run_in_turns(busy, options)
            after = os.getloadavg()[0]
            print(f"\n{busy} busy loops; load average {before:.1f} before, {after:.1f} after")
            report(sides, measures, busy, figures)


if __name__ == "__main__":
    main()
