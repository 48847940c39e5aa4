"""Doctor: describe this machine, for a person to paste into an issue.

It reads no table and no config of the user's, and of the environment's variables only those below:
none holds a credential. The home folder is written `~`.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, version
from pathlib import Path

from fraudml.config.settings import Settings
from fraudml.config.sources import packaged_conf
from fraudml.config.targets import EXTRAS
from fraudml.learners.probe import device_problem
from fraudml.learners.protocol import Learner
from fraudml.machine import granted_memory_mb, granted_threads, machine_memory_mb, versions
from fraudml.progress import Progress, silent, stage
from fraudml.records.table import ClosingTable, closing_table

Row = tuple[str, str]

_LEARNERS = {"lightgbm": "LightGBM", "xgboost": "XGBoost", "catboost": "CatBoost"}
"""The learners that may run on more than the CPU: their modules and names."""

_VARIABLES = (
    "FRAUDML_DEBUG",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "KMP_BLOCKTIME",
    "POLARS_MAX_THREADS",
    "CUDA_VISIBLE_DEVICES",
)


@dataclass(frozen=True)
class MachineReport:
    """What this machine is and has."""

    rows: list[Row]

    def summary(self) -> ClosingTable:
        """Return the closing table."""
        return closing_table("This machine, as fraudml sees it", self.rows)


def run(settings: Settings, *, progress: Progress = silent) -> MachineReport:
    """Run the command: report versions, devices, cores, memory, folders and extras.

    Each device of each learner is tried by a tiny fit in a process of its own: some seconds, and
    half a minute where OpenCL compiles its kernels for the first time.
    """
    with stage(progress, "look"):
        rows = [
            ("system", platform.platform()),
            ("config files", _anonymous(packaged_conf())),
            *((f"version of {name}", text) for name, text in versions().items()),
            *_extras(),
            *_size(settings.threads),
            *_folders(Path(settings.output_dir).parent if settings.output_dir else Path("runs")),
            *((f"variable {name}", _variable(name)) for name in _VARIABLES),
        ]
    return MachineReport([*rows, *_devices(progress)])


def _extras() -> Iterator[Row]:
    """Every extra that is installed or offered, with its libraries."""
    offered = _offered()
    for extra in dict.fromkeys(EXTRAS.values()):
        libraries = [library for library, brings in EXTRAS.items() if brings == extra]
        installed = [_installed(library) for library in libraries if _is_there(library)]
        if installed:
            yield f"extra {extra}", ", ".join(installed)
        elif extra in offered:
            yield f"extra {extra}", f'not installed: pip install "fraudml[{extra}]"'


def _offered() -> set[str]:
    """The extras by the package's metadata; all that are known where it is not installed."""
    try:
        return set(metadata("fraudml").get_all("Provides-Extra", []))
    except PackageNotFoundError:
        return set(EXTRAS.values())


def _is_there(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def _installed(library: str) -> str:
    """The library as it was installed: `xgboost` may be there as `xgboost-cpu`."""
    names = sorted(set(_distributions().get(library, [])))
    return ", ".join(f"{name} {version(name)}" for name in names) or f"{library}, by hand"


@cache
def _distributions() -> dict[str, list[str]]:
    return {name: list(names) for name, names in packages_distributions().items()}


def _size(threads: int | None) -> Iterator[Row]:
    granted, whole = granted_threads(), os.cpu_count() or 1
    used = "" if threads is None else f"; threads={threads} is set"
    yield "cores", f"{granted} granted of the machine's {whole}{used}"
    memory, machine = granted_memory_mb(), machine_memory_mb()
    of = "" if machine is None else f" of the machine's {machine / 1024:.1f} GiB"
    yield "memory", f"{memory / 1024:.1f} GiB granted{of}"


def _folders(runs: Path) -> Iterator[Row]:
    for name, folder in (("runs", runs), ("temporary files", Path(tempfile.gettempdir()))):
        yield f"folder for {name}", f"{_anonymous(folder)}: {_writable(folder)}"
    data = os.environ.get("FRAUDML_DATA")
    if data is not None:
        there = "is there" if Path(data).is_dir() else "is no folder"
        yield "folder for known data", f"{_anonymous(Path(data))}: {there}"


def _writable(folder: Path) -> str:
    """Try to write where the folder would be made: permissions alone do not show it everywhere."""
    path = folder.absolute()
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free / 1024**3
    except OSError as error:
        return f"not writable ({error.strerror or error})"
    return f"writable, {free:.1f} GiB free"


def _variable(name: str) -> str:
    value = os.environ.get(name)
    return "not set" if value is None else _anonymous(Path(value)) if os.sep in value else value


def _anonymous(path: Path) -> str:
    """A path without the name of whoever works here."""
    whole = path.absolute()
    with_home = whole.is_relative_to(home := Path.home()) and home != Path("/")
    return f"~/{whole.relative_to(home).as_posix()}" if with_home else str(whole)


def _devices(progress: Progress) -> Iterator[Row]:
    progress("try devices", 0.0)
    for done, (module, name) in enumerate(_LEARNERS.items(), 1):
        if not _is_there(module):
            yield f"{name} on a device", f'not installed: pip install "fraudml[{module}]"'
        else:
            kind = getattr(import_module(f"fraudml.learners.{module}"), name)
            yield from _tried(name, kind())
        progress("try devices", done / len(_LEARNERS))


def _tried(name: str, learner: Learner) -> Iterator[Row]:
    for device in learner.devices:
        if device == "cpu":
            continue
        problem = device_problem(learner.on(device), device)
        yield f"{name} on {device}", "works" if problem is None else f"no: {problem}"
