"""One JSON file for a run of a benchmark: figures, commit, machine, versions and load.

A benchmark adds the option, measures inside `recording`, and names its figures:

    record.add_option(parser)
    with record.recording(__file__, __doc__, arguments) as figures:
        figures.add("native, 1,000,000 rows", seconds, "s", repeats=all_seconds)

`docs/benchmarks/RELEASE/` keeps the files, and `draw_benchmarks.py` draws them over releases.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
_EXTRAS = ("xgboost", "xgboost-cpu", "catboost", "onnxruntime")
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Figure:
    """A number that was measured, its unit, and the repeats that it sums up."""

    name: str
    value: float
    unit: str
    repeats: Sequence[float]


@dataclass(frozen=True)
class Record:
    """A run of a benchmark."""

    schema_version: int
    name: str
    description: str
    arguments: Mapping[str, Any]
    commit: str
    modified: bool
    date: str
    seconds: float
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    load_before: Sequence[float] | None
    load_after: Sequence[float] | None
    figures: Sequence[Figure]


class Figures:
    """The figures of a run, in the order in which they are added."""

    def __init__(self) -> None:
        self.measured: list[Figure] = []

    def add(self, name: str, value: float, unit: str, repeats: Sequence[float] = ()) -> None:
        """Add a figure under a name of its own; without repeats it was measured once."""
        values = [float(number) for number in (value, *(repeats or [value]))]
        if not all(map(math.isfinite, values)):
            raise ValueError(f"Figure {name!r} is {values}. A figure is a finite number.")
        if any(figure.name == name for figure in self.measured):
            raise ValueError(f"Figure {name!r} is added twice. Each needs a name of its own.")
        first, *rest = (float(f"{number:.6g}") for number in values)
        self.measured.append(Figure(name, first, unit, rest))


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add `--record` to a command line."""
    parser.add_argument(
        "--record",
        type=Path,
        metavar="PATH",
        help="write what was measured to this .json file, or to NAME.json in this folder",
    )


@contextmanager
def recording(
    script: str, description: str | None, arguments: argparse.Namespace, variant: str = ""
) -> Iterator[Figures]:
    """Collect figures, and write the record at the end where `--record` asks for one.

    The record is named after the script, and its variant where it measures different things.
    """
    name = "_".join(part for part in (Path(script).stem, variant) if part)
    path = _file(arguments.record, name)
    figures, date, started = Figures(), datetime.now(UTC), time.perf_counter()
    before = {**_checkout(), "load_before": load_average()}
    yield figures
    if path is None:
        return
    if not figures.measured:
        raise SystemExit(f"--record: {name} measured nothing. {path} is not written.")
    run = Record(
        schema_version=SCHEMA_VERSION,
        name=name,
        description=" ".join((description or name).strip().split("\n\n")[0].split()),
        arguments=_plain(arguments),
        **before,
        date=date.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - started, 1),
        machine=machine(),
        versions=library_versions(),
        load_after=load_average(),
        figures=figures.measured,
    )
    path.write_text(json.dumps(asdict(run), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_record(path: Path) -> Record:
    """Read a record, refusing one whose keys are not those of this version."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("schema_version") != SCHEMA_VERSION:
        raise SystemExit(
            f"{path}: schema_version is {content.get('schema_version')!r}. "
            f"It must be {SCHEMA_VERSION}. Run the benchmark again with --record."
        )
    figures = [Figure(**figure) for figure in content.pop("figures")]
    return Record(**content, figures=figures)


def load_average() -> list[float] | None:
    """Return the load over 1, 5 and 15 minutes; None where the system keeps none."""
    if not hasattr(os, "getloadavg"):
        return None
    return [round(load, 2) for load in os.getloadavg()]


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, threads granted, memory and system."""
    from fraudml.machine import granted_threads, machine_memory_mb

    memory = machine_memory_mb()
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads_granted": granted_threads(),
        "memory_gb": None if memory is None else round(memory / 1024, 1),
        "platform": " ".join([platform.system(), platform.machine(), *platform.libc_ver()]),
    }


def library_versions() -> dict[str, str]:
    """Return the versions of Python, of fraudml's libraries, and of extras that are installed."""
    from fraudml import __version__
    from fraudml.machine import versions

    installed = {**versions(), "fraudml": __version__}
    for name in _EXTRAS:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def commit(*, short: bool = False) -> str:
    """Return the commit of the checkout that this script lies in, or 'unknown'."""
    return _git("rev-parse", *(["--short"] if short else []), "HEAD") or "unknown"


def _checkout() -> dict[str, Any]:
    return {"commit": commit(), "modified": bool(_git("status", "--porcelain", "-uno"))}


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_FOLDER), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return answer.stdout.strip()


def _file(path: Path | None, name: str) -> Path | None:
    """Return where the record goes, its folder there before anything is measured."""
    if path is None:
        return None
    file = path if path.suffix == ".json" else path / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _plain(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {key: value for key, value in vars(arguments).items() if key != "record"}
    return {
        key: str(value) if isinstance(value, Path) else value
        for key, value in given.items()
        if value is not None
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # only Linux has it
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
