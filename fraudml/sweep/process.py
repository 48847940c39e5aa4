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

_WATCH_SECONDS = 0.2
"""How often memory is looked at."""


Ended = Literal["done", "pruned", "failed", "out of time", "out of memory", "over"]


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Parameters
    ----------
    state : {'done', 'pruned', 'failed', 'out of time', 'out of memory', 'over'}
        `over` where the sweep's own time ended.
    values : tuple of float
        The objective on each block that was scored.
    error : str, optional
        Why it failed, whole.
    """

    state: Ended
    values: tuple[float, ...]
    error: str | None = None


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
            *(sys.executable, "-m", "fraudml.workflows.sweep_worker"),
            *(str(folder), str(threads)),
        ]
        self._seconds, self._memory_mb = seconds, memory_mb
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self,
        overrides: Sequence[str],
        rows: Path,
        *,
        seconds_left: Callable[[], float],
        goes_on: Callable[[Sequence[float]], bool],
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
        goes_on : callable
            Asked after each block, with the values so far, whether to go on.
        """
        process = self._alive()
        assert process.stdin is not None
        process.stdin.write(
            json.dumps({"overrides": [*overrides], "rows": str(rows)}).encode() + b"\n"
        )
        process.stdin.flush()
        started, values, waiting = time.monotonic(), [], b""
        while True:
            lines, waiting = self._lines(process, waiting)
            for answer in lines:
                if "value" in answer:
                    values.append(float(answer["value"]))
                elif "error" in answer:
                    return Outcome("failed", tuple(values), str(answer["error"]))
                else:
                    return Outcome("done", tuple(values))
            state: Ended | None = self._why_to_end(process, started, seconds_left)
            if state is None and any("value" in one for one in lines) and not goes_on(values):
                state = "pruned"
            if state is not None:
                self.end()
                return Outcome(state, tuple(values))
            if process.poll() is not None:
                self._process = None
                said = f"the process of the trial ended by {process.returncode}"
                return Outcome("failed", tuple(values), said)

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
            return "over"
        if time.monotonic() - started > self._seconds:
            return "out of time"
        return "out of memory" if _memory_mb(process.pid) > self._memory_mb else None


def _memory_mb(pid: int) -> float:
    """What a process holds for itself; 0 where the system does not tell."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0
