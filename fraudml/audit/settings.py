"""What the audit lets pass."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AuditSettings:
    """What the audit lets pass.

    Parameters
    ----------
    allow : tuple of str
        Columns that may look as if they were known only after the fact: that rank frauds perfectly,
        are filled for frauds alone, or hold dates after the row's own time.
    """

    allow: tuple[str, ...] = ()
