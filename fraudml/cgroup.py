"""What Linux's control groups, versions 1 and 2, grant this process: processors and memory.

A limit of any group above holds too, so the least of all counts. Elsewhere nothing is limited.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


def cpu_quota() -> float:
    """Return how many processors this process may keep busy; infinite without a limit."""
    return min(map(_cores, _groups("cpu")), default=math.inf)


def memory_limit() -> float:
    """Return how many bytes this process may hold; infinite without a limit."""
    return min(map(_bytes, _groups("memory")), default=math.inf)


def _cores(group: Path) -> float:
    """The quota of one group by its period; version 1 writes -1 for none, version 2 'max'."""
    texts = _words(group, "cpu.max") or [
        *_words(group, "cpu.cfs_quota_us"),
        *_words(group, "cpu.cfs_period_us"),
    ]
    if len(texts) != 2 or not all(text.isdecimal() and int(text) for text in texts):
        return math.inf
    return int(texts[0]) / int(texts[1])


def _bytes(group: Path) -> float:
    texts = _words(group, "memory.max") or _words(group, "memory.limit_in_bytes")
    return float(texts[0]) if len(texts) == 1 and texts[0].isdecimal() else math.inf


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's groups and of all above, as far as they are mounted.

    A container sees its own group as the root of the mount, while the group's path may begin
    further up: what stands above the mount cannot be read, and is cut off.
    """
    paths = _paths()
    for root, point, controllers in _mounts():
        for name in controllers & paths.keys() & {controller, ""}:
            path = PurePosixPath(paths[name])
            inside = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
            yield from (point / part for part in (inside, *inside.parents))


def _paths() -> dict[str, str]:
    """The path of this process's group by controller; '' is version 2, which has one for all."""
    lines = [line.split(":", 2) for line in _lines("proc/self/cgroup")]
    return {name: path for _, names, path in lines for name in names.split(",")}


def _mounts() -> Iterator[tuple[str, Path, set[str]]]:
    """Yield each mounted hierarchy: its root, where it is mounted, its controllers."""
    for line in _lines("proc/self/mountinfo"):
        mount, _, source = line.partition(" - ")
        root, point = (_unescape(text) for text in mount.split(" ")[3:5])
        kind, _, options = source.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            controllers = {""} if kind == "cgroup2" else {*options.split(",")}
            yield root, _ROOT / point.lstrip("/"), controllers


def _unescape(text: str) -> str:
    r"""Blanks and backslashes stand in `mountinfo` as \040 and \134."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _words(group: Path, name: str) -> list[str]:
    try:
        return (group / name).read_text(encoding="ascii").split()
    except (OSError, ValueError):  # not there, or not to be read
        return []


def _lines(path: str) -> list[str]:
    try:
        return os.fsdecode((_ROOT / path).read_bytes()).strip().split("\n")
    except OSError:  # not Linux, or hidden
        return []
