"""A worker process, its caps, and one trial at a time in it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fraudml.sweep.intermediate import IntermediateResult

_WATCH_SECONDS = 0.2
"""How often memory is looked at."""


Ended = Literal["done", "pruned", "failed", "out of time", "out of memory", "budget_exhausted"]


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Parameters
    ----------
    state : {'done', 'pruned', 'failed', 'out of time', 'out of memory', 'budget_exhausted'}
        `budget_exhausted` where the sweep's own time ended.
    stops : tuple of IntermediateResult
        What it said of itself.
    values : tuple of tuple of float
        All objectives on each block; empty where it did not come to its end.
    error : str, optional
        Why it failed, whole.
    """

    state: Ended
    stops: tuple[IntermediateResult, ...] = ()
    values: tuple[tuple[float, ...], ...] = ()
    error: str | None = None

    @property
    def blocks(self) -> list[float]:
        """The first objective on each block that is done."""
        if self.values:
            return [one[0] for one in self.values]
        return [stop.value for stop in self.stops if stop.whole]


class Worker:
    """A process that runs trials, started when the first one comes and again after one was ended.

    Parameters
    ----------
    folder : Path
        Holds the sweep's `config.yaml`.
    threads : int
        For each fit.
    seconds : float
        A trial is ended after this long.
    memory_mb : int
        A trial that holds more is ended, where the system tells (Linux).
    """

    def __init__(self, folder: Path, *, threads: int, seconds: float, memory_mb: int) -> None:
        self._command = [
            *(sys.executable, "-m", "fraudml.sweep.worker"),
            *(str(folder), str(threads), str(memory_mb)),
        ]
        self._seconds, self._memory_mb = seconds, memory_mb
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self,
        overrides: Sequence[str],
        rows: Path,
        *,
        seconds_left: Callable[[], float],
        should_continue: Callable[[IntermediateResult], bool],
        heartbeat: Callable[[], None],
    ) -> Outcome:
        """Run one trial to its end, its caps, or until it is pruned.

        Parameters
        ----------
        overrides : sequence of str
            What differs from the sweep's config.
        rows : Path
            What it is scored on.
        seconds_left : callable
            How long the sweep still lasts.
        should_continue : callable
            Asked after each intermediate result whether to go on.
        heartbeat : callable
            Called now and again while the trial runs.
        """
        process = self._alive()
        _order(process, {"overrides": [*overrides], "rows": str(rows)})
        started, waiting = time.monotonic(), b""
        stops: list[IntermediateResult] = []
        while True:
            lines, waiting = self._lines(process, waiting)
            for answer in lines:
                if "stop" not in answer:
                    return _outcome(answer, tuple(stops))
                stops.append(IntermediateResult(**answer["stop"]))
                _order(process, {"go_on": should_continue(stops[-1])})
            state = self._why_to_end(process, started, seconds_left)
            if state is not None:
                self.end()
                return Outcome(state, tuple(stops))
            if process.poll() is not None:
                self._process = None
                said = f"the process of the trial ended by {process.returncode}"
                return Outcome("failed", tuple(stops), error=said)
            heartbeat()

    def end(self) -> None:
        """End the process at once, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    assert stream is not None
                    stream.close()
            self._process = None

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        return self._process

    def _lines(
        self, process: subprocess.Popen[bytes], waiting: bytes
    ) -> tuple[list[dict[str, Any]], bytes]:
        """Read the answers that are there, and what has begun of the next one."""
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], _WATCH_SECONDS)
        if not ready:
            return [], waiting
        # Past the buffer of the stream, which `select` knows nothing of.
        read = os.read(process.stdout.fileno(), 65_536)
        *whole, rest = (waiting + read).split(b"\n")
        return [json.loads(line) for line in whole], rest

    def _why_to_end(
        self, process: subprocess.Popen[bytes], started: float, left: Callable[[], float]
    ) -> Ended | None:
        if left() <= 0:
            return "budget_exhausted"
        if time.monotonic() - started > self._seconds:
            return "out of time"
        return "out of memory" if _memory_mb(process.pid) > self._memory_mb else None


def _order(process: subprocess.Popen[bytes], order: dict[str, Any]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # that it has ended is seen by whoever waits for it
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()


def _outcome(answer: dict[str, Any], stops: tuple[IntermediateResult, ...]) -> Outcome:
    if "pruned" in answer:
        return Outcome("pruned", stops)
    if "error" in answer:
        return Outcome("failed", stops, error=str(answer["error"]))
    return Outcome("done", stops, tuple(tuple(map(float, one)) for one in answer["values"]))


def _memory_mb(pid: int) -> float:
    """What a process holds for itself; 0 where the system does not tell."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0
