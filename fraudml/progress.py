"""Progress callbacks and deadlines of long work.

Packages report by calling a `Progress`; what is shown is the command line's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Progress = Callable[[str, float], None]
"""Called with the name of the stage and the share of it that is done, from 0 to 1."""


def silent(stage: str, share: float) -> None:
    """Report nothing; the default outside the command line."""


@contextmanager
def stage(progress: Progress, name: str) -> Iterator[None]:
    """Report a stage as begun, and as done where the block ends without an error."""
    progress(name, 0.0)
    yield
    progress(name, 1.0)


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock after which work stops.

    Parameters
    ----------
    seconds : float, optional
        Seconds from now; None means no limit.

    Examples
    --------
    >>> Deadline(None).expired
    False
    >>> Deadline(0).expired
    True
    """

    seconds: float | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds that are left, never below 0; infinite without a limit."""
        if self.seconds is None:
            return float("inf")
        return max(0.0, self.started + self.seconds - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.left <= 0.0
