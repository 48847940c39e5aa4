"""Time reading and checking a table of a million rows, as CSV and as Parquet.

    python scripts/bench_read.py
    python scripts/bench_read.py --against ../before --repeats 7

With `--against` the same files are read by another checkout too, in turns, each reading in a
process of its own, and the ratio of the medians of CPU seconds is shown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import record

from fraudml.data.check import check_table
from fraudml.data.read import load_table
from fraudml.data.settings import ColumnRoles, DataSettings, SimulateSettings
from fraudml.data.simulate import simulate

_ROLES = ColumnRoles(
    label="label",
    time="time",
    id="transaction_id",
    entity="card_id",
    amount="amount",
    label_time="label_time",
)
_HERE = Path(__file__).resolve().parent.parent


def _read(path: str) -> float:
    """Read and check a file once; return CPU seconds of all threads."""
    settings = DataSettings(path=path, columns=_ROLES, labels_complete=True)
    started = time.process_time()
    check_table(load_table(settings), settings)
    return time.process_time() - started


def _files(folder: Path, rows: int) -> list[Path]:
    frame = simulate(SimulateSettings(rows=rows, cards=max(rows // 40, 1)))
    files = [folder / "table.csv", folder / "table.parquet"]
    frame.write_csv(files[0])
    frame.write_parquet(files[1])
    return files


def _child(checkout: Path, path: Path) -> float:
    command = [sys.executable, str(Path(__file__).resolve()), "--child", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(result.stdout.splitlines()[-1])


def main() -> None:
    """Read the command line, and print a line a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    record.add_option(parser)
    arguments = parser.parse_args()
    if arguments.child is not None:
        print(_read(arguments.child))
        return
    checkouts = [_HERE, *([arguments.against.resolve()] if arguments.against else [])]
    with (
        record.recording(__file__, __doc__, arguments) as figures,
        tempfile.TemporaryDirectory() as folder,
    ):
        for path in _files(Path(folder), arguments.rows):
            medians = _medians(checkouts, path, arguments.repeats, figures)
            shown = ", ".join(f"{seconds:.2f} s" for seconds in medians)
            ratio = f", ratio {medians[0] / medians[-1]:.3f}" if len(medians) > 1 else ""
            print(f"{path.suffix[1:]:8} {arguments.rows:,} rows: {shown} of CPU{ratio}")


def _medians(
    checkouts: list[Path], path: Path, repeats: int, figures: record.Figures
) -> list[float]:
    """Read a file in turns by each checkout; the first is this one."""
    times: dict[Path, list[float]] = {checkout: [] for checkout in checkouts}
    for _ in range(repeats):
        for checkout in checkouts:
            times[checkout].append(_child(checkout, path))
    medians = [statistics.median(times[checkout]) for checkout in checkouts]
    own = times[checkouts[0]]
    figures.add(f"{path.suffix[1:]}, CPU", medians[0], "s", repeats=own)
    return medians


if __name__ == "__main__":
    main()
