"""The pieces of a job that are done, kept beside the output until it is whole.

A job that is killed leaves `<output>.partial/`. The same command goes on from there where bundle,
input, history and settings are the same, byte for byte; otherwise it starts anew.
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
from fraudml.scoring.tally import ScoreCounts

_log = logging.getLogger(__name__)

_KEY, _MOVING = "job.json", "moving"


class Checkpoint:
    """The pieces of one job, in a folder.

    Parameters
    ----------
    folder : Path
        `<output>.partial`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tally = ScoreCounts()
        self.count = 0

    def holds(self, number: int) -> bool:
        """Whether a piece is done; if so its counts are added."""
        place = self._place(number, "json")
        if number != self.count or not place.exists():
            return False
        self._count(ScoreCounts.from_dict(json.loads(place.read_text(encoding="utf-8"))))
        return True

    def add(
        self, number: int, scored: pl.DataFrame, rejects: pl.DataFrame, tally: ScoreCounts
    ) -> None:
        """Keep what a piece came to; it counts as done when its last file is there."""
        with machine_errors(self.folder):
            for what, frame in (("scored", scored), ("rejects", rejects)):
                beside = self.folder / f"new.{what}"
                frame.write_ipc(beside)
                beside.replace(self._place(number, what))
            beside = self.folder / "new.json"
            write_json(beside, asdict(tally))
            beside.replace(self._place(number, "json"))
        self._count(tally)

    def frames(self, what: str) -> pl.LazyFrame:
        """Scan what all pieces came to: `scored` or `rejects`."""
        return pl.scan_ipc([self._place(number, what) for number in range(self.count)], glob=False)

    def _count(self, tally: ScoreCounts) -> None:
        self.tally, self.count = self.tally + tally, self.count + 1

    def _place(self, number: int, what: str) -> Path:
        return self.folder / f"{number:08d}.{what}"


def parts_folder(output: Path) -> Path:
    """Where the pieces of an output are kept until it is whole."""
    return output.with_name(output.name + PARTIAL)


def was_moving(output: Path) -> bool:
    """Whether a job was killed after all was scored, while its files took their places."""
    return (parts_folder(output) / _MOVING).exists()


def move_in(folder: Path, whole: Mapping[Path, Path], gone: Path | None) -> None:
    """Let finished files take their places, the last one last; a job that is killed does so again.

    Parameters
    ----------
    folder : Path
        Of the parts.
    whole : mapping
        Each file, and its place.
    gone : Path, optional
        What a job before left behind that this one does not replace.
    """
    with machine_errors(folder):
        (folder / _MOVING).touch()
        if gone is not None:
            gone.unlink(missing_ok=True)
        for file, place in whole.items():
            file.replace(place)


@contextmanager
def open_checkpoint(output: Path, key: Mapping[str, Any]) -> Iterator[Checkpoint]:
    """Give the pieces of a job that are done, of this job alone; remove them when it is whole.

    They stay where the process is killed, interrupted, or the machine fails. Where the data or the
    config are refused they go, for nothing of them can be used.

    Parameters
    ----------
    output : Path
        Where the job writes.
    key : mapping
        What must be the same for the pieces to be used, as JSON.

    Raises
    ------
    ConfigError
        Another process is at the same job.
    MachineError
        The place cannot be written.
    """
    folder = parts_folder(output)
    with machine_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _clear_others(folder, key)
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
    """Remove the pieces, first what says whose they are: if this is cut short, none is used."""
    (folder / _KEY).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _clear_others(folder: Path, key: Mapping[str, Any]) -> None:
    place = folder / _KEY
    known: Any = None
    if place.exists():
        try:
            known = json.loads(place.read_text(encoding="utf-8"))
        except ValueError:
            known = {}
    if known == key:
        _log.info("Going on with what an earlier run of the same job has scored.")
        return
    if known is not None:
        differs = sorted(name for name in key if known.get(name) != key[name])
        _log.warning(
            "'%s' is of another job (%s differs): starting anew.", folder, ", ".join(differs)
        )
    with machine_errors(folder):
        place.unlink(missing_ok=True)
        for path in folder.iterdir():
            if path.name != LOCK:
                path.unlink()
        write_json(folder / "new.json", dict(key))
        (folder / "new.json").replace(place)
