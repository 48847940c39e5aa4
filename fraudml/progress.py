"""How a long piece of work says where it is, and learns that its time is over.

Packages report by calling a `Progress`; what is drawn is the command line's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[str, float], None]
"""Called with the name of the stage and the share of it that is done, from 0 to 1."""


def silent(stage: str, share: float) -> None:
    """Say nothing; the default outside the command line."""


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock after which work stops.

    Parameters
    ----------
    seconds : float, optional
        How long from now; None is for ever.

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
        """Whether the time is over."""
        return self.left <= 0.0
