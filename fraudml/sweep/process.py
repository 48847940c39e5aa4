"""A worker process that runs one trial at a time, and its limits of time and memory."""

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

_POLL_SECONDS = 0.2
"""Time between looks at answers, time and memory."""

Ended = Literal["done", "pruned", "failed", "out of time", "out of memory", "budget_exhausted"]


@dataclass(frozen=True)
class Outcome:
    """The end of a trial.

    Parameters
    ----------
    state : {'done', 'pruned', 'failed', 'out of time', 'out of memory', 'budget_exhausted'}
        `budget_exhausted` where the time of the sweep ended.
    results : tuple of IntermediateResult
        What it reported.
    values : tuple of tuple of float
        All objectives on each block; empty unless it is done.
    error : str, optional
        The whole error of a trial that failed.
    """

    state: Ended
    results: tuple[IntermediateResult, ...] = ()
    values: tuple[tuple[float, ...], ...] = ()
    error: str | None = None

    @property
    def blocks(self) -> list[float]:
        """The first objective on each block that is done."""
        if self.values:
            return [first for first, *_ in self.values]
        return [result.value for result in self.results if result.block_done]


class Worker:
    """A process that runs trials: started for the first one, and again after it was ended.

    Parameters
    ----------
    folder : Path
        Has the sweep's `config.yaml`.
    threads : int
        For each fit.
    seconds : float
        Time limit of a trial.
    memory_mb : int
        Memory limit of a trial, where the system tells its use (Linux).
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
        """Run a trial to its end, its limits, or until it is pruned.

        Parameters
        ----------
        overrides : sequence of str
            Differences from the sweep's config.
        rows : Path
            The rows that it is scored on.
        seconds_left : callable
            How long the sweep still lasts.
        should_continue : callable
            Called with each intermediate result; false prunes the trial.
        heartbeat : callable
            Called now and again while the trial runs.
        """
        process = self._running()
        _order(process, {"overrides": [*overrides], "rows": str(rows)})
        started, unread = time.monotonic(), b""
        results: list[IntermediateResult] = []
        while True:
            answers, unread = self._answers(process, unread)
            for answer in answers:
                if "result" not in answer:
                    return _outcome(answer, tuple(results))
                results.append(IntermediateResult(**answer["result"]))
                _order(process, {"continue": should_continue(results[-1])})
            state = self._limit(process, started, seconds_left)
            if state is not None:
                self.end()
                return Outcome(state, tuple(results))
            if process.poll() is not None:
                self._process = None
                message = f"the process of the trial ended by {process.returncode}"
                return Outcome("failed", tuple(results), error=message)
            heartbeat()

    def end(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    assert stream is not None
                    stream.close()
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        return self._process

    def _answers(
        self, process: subprocess.Popen[bytes], unread: bytes
    ) -> tuple[list[dict[str, Any]], bytes]:
        """Read the answers that have arrived, and the beginning of the next one."""
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], _POLL_SECONDS)
        if not ready:
            return [], unread
        # Not by the stream: `select` knows nothing of its buffer.
        *lines, rest = (unread + os.read(process.stdout.fileno(), 65_536)).split(b"\n")
        return [json.loads(line) for line in lines], rest

    def _limit(
        self, process: subprocess.Popen[bytes], started: float, seconds_left: Callable[[], float]
    ) -> Ended | None:
        """Return the limit that the trial has reached, if any."""
        if seconds_left() <= 0:
            return "budget_exhausted"
        if time.monotonic() - started > self._seconds:
            return "out of time"
        return "out of memory" if _memory_mb(process.pid) > self._memory_mb else None


def _order(process: subprocess.Popen[bytes], order: dict[str, Any]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # `run` sees that the process has ended
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()


def _outcome(answer: dict[str, Any], results: tuple[IntermediateResult, ...]) -> Outcome:
    if "pruned" in answer:
        return Outcome("pruned", results)
    if "error" in answer:
        return Outcome("failed", results, error=str(answer["error"]))
    return Outcome("done", results, tuple(tuple(map(float, block)) for block in answer["values"]))


def _memory_mb(pid: int) -> float:
    """Return the memory that a process holds for itself; 0 where the system does not tell."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0
