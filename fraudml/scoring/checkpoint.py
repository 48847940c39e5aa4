"""The finished chunks of a job, stored beside the output until it is complete.

A job that is killed leaves `<output>.partial/`. The same command continues from there where bundle,
input, history and settings are the same, byte for byte; otherwise it starts again.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from fraudml.errors import FraudmlError, MachineError
from fraudml.files import LOCK, PARTIAL, locked, machine_errors, write_json
from fraudml.scoring.counts import ScoreCounts

_log = logging.getLogger(__name__)

_KEY, _MOVING = "job.json", "moving"


class Checkpoint:
    """The finished chunks of one job, in the folder `<output>.partial`, and their counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts = ScoreCounts()
        self.chunks = 0

    def holds(self, number: int) -> bool:
        """Whether a chunk is finished; if so its counts are added."""
        path = self._path(number, "json")
        if number != self.chunks or not path.exists():
            return False
        self._add(ScoreCounts.from_dict(json.loads(path.read_text(encoding="utf-8"))))
        return True

    def add(
        self, number: int, scored: pl.DataFrame, rejects: pl.DataFrame, counts: ScoreCounts
    ) -> None:
        """Store the results of a chunk; it counts as finished when its last file is there."""
        with machine_errors(self.folder):
            for kind, frame in (("scored", scored), ("rejects", rejects)):
                new = self.folder / f"new.{kind}"
                frame.write_ipc(new)
                new.replace(self._path(number, kind))
            new = self.folder / "new.json"
            write_json(new, asdict(counts))
            new.replace(self._path(number, "json"))
        self._add(counts)

    def frames(self, kind: str) -> pl.LazyFrame:
        """Scan the results of all chunks: `scored` or `rejects`."""
        return pl.scan_ipc([self._path(number, kind) for number in range(self.chunks)], glob=False)

    def _add(self, counts: ScoreCounts) -> None:
        self.counts, self.chunks = self.counts + counts, self.chunks + 1

    def _path(self, number: int, kind: str) -> Path:
        return self.folder / f"{number:08d}.{kind}"


def checkpoint_folder(output: Path) -> Path:
    """Return where the chunks of an output are stored until it is complete."""
    return output.with_name(output.name + PARTIAL)


def was_moving(output: Path) -> bool:
    """Whether a job was killed after all was scored, while its files were moved."""
    return (checkpoint_folder(output) / _MOVING).exists()


def move_in(folder: Path, targets: Mapping[Path, Path], stale: Path | None) -> None:
    """Move finished files to their targets, the last one last; a job that is killed does so again.

    `stale` is a file of an earlier job that this one does not replace.
    """
    with machine_errors(folder):
        (folder / _MOVING).touch()
        if stale is not None:
            stale.unlink(missing_ok=True)
        for file, target in targets.items():
            file.replace(target)


@contextmanager
def open_checkpoint(output: Path, key: Mapping[str, Any]) -> Iterator[Checkpoint]:
    """Open the finished chunks of this job alone; remove them when it is complete.

    They stay where the process is killed, interrupted, or the machine fails. Where the data or the
    config are refused they are removed: none of them can be used. `key` is what must be the same
    for a chunk to be used, as JSON.
    """
    folder = checkpoint_folder(output)
    with machine_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _clear_stale(folder, key)
        try:
            yield Checkpoint(folder)
        except MachineError:
            raise
        except FraudmlError:
            with suppress(OSError):
                _remove(folder)
            raise
        with machine_errors(folder):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove the chunks, first their key: if this is cut short, none is used."""
    (folder / _KEY).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _clear_stale(folder: Path, key: Mapping[str, Any]) -> None:
    path = folder / _KEY
    known: Any = None
    if path.exists():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            known = {}
    if known == key:
        _log.info("Resuming from the rows that an earlier run of the same job has scored.")
        return
    if known is not None:
        differs = ", ".join(sorted(name for name in key if known.get(name) != key[name]))
        _log.warning("'%s' belongs to another job (%s differs): starting again.", folder, differs)
    with machine_errors(folder):
        path.unlink(missing_ok=True)
        for stale in folder.iterdir():
            if stale.name != LOCK:
                stale.unlink()
        write_json(folder / "new.json", dict(key))
        (folder / "new.json").replace(path)
