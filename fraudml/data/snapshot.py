"""Files that must not change while they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fraudml.errors import MachineError

_State = tuple[int, int, int]


@dataclass(frozen=True)
class Snapshot:
    """The files of a table, each with its inode, size and time of change when it was opened.

    `key` is the config key that names the table.
    """

    key: str
    files: tuple[Path, ...]
    states: tuple[_State | None, ...]

    @classmethod
    def of(cls, key: str, files: Sequence[Path]) -> Snapshot:
        """Note the state of files before they are read."""
        return cls(key, tuple(files), tuple(map(_state, files)))

    def check(self) -> None:
        """Raise a `MachineError` where a file is no longer as it was."""
        for path, before in zip(self.files, self.states, strict=True):
            now = _state(path)
            if now != before:
                raise MachineError(
                    f"{self.key}: '{path}' changed while it was read ({_size(before)}, then "
                    f"{_size(now)}). Expected a file that nobody writes to. Run the same command "
                    "again when it is finished."
                )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Check the files after a block, and before an error of the block is believed."""
        try:
            yield
        except Exception:
            self.check()
            raise
        self.check()


def _state(path: Path) -> _State | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _size(state: _State | None) -> str:
    return "gone" if state is None else f"{state[1]:,} bytes"
