"""What one check found, and how findings are put into words and in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

Severity = Literal["error", "warning", "note"]
"""`error`: train would stop; `warning`: it will hurt; `note`: good to know."""

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The worst first."""

AFTER_THE_FACT = frozenset({"leak", "filled_for_frauds", "late_date"})
"""Kinds of findings that `audit.allow` turns into notes."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Parameters
    ----------
    kind : str
        What sort of thing, the same word for each of its sort.
    column : str, optional
        The column, where it is about one.
    severity : str
        One of `SEVERITIES`.
    count : int, optional
        How many rows, columns, weeks or values it is about; None where nothing is counted.
    message : str
        Where, what and how many, and what to do.
    """

    kind: str
    column: str | None
    severity: Severity
    count: int | None
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def downgrade_allowed(findings: Iterable[Finding], allowed: Collection[str]) -> list[Finding]:
    """Turn what is known only after the fact into notes, where the user allowed the column.

    Parameters
    ----------
    findings : iterable of Finding
        All of them; those of other kinds stay.
    allowed : collection of str
        Columns, from `audit.allow`.
    """
    return [
        replace(finding, severity="note", message=f"Allowed by audit.allow: {finding.message}")
        if finding.kind in AFTER_THE_FACT and finding.column in allowed
        else finding
        for finding in findings
    ]


def drop_redundant(findings: Iterable[Finding]) -> list[Finding]:
    """Leave out what a worse finding on the same column says already."""
    unique = list(findings)
    leaks = {finding.column for finding in unique if finding.kind == "leak"}
    return [
        finding
        for finding in unique
        if finding.kind != "filled_for_frauds" or finding.column not in leaks
    ]


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Put findings in the order of their severity, and otherwise leave them as they were found."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def percent(share: float) -> str:
    """Write a share with three digits.

    Examples
    --------
    >>> percent(0.123456), percent(0.0083), percent(1.0), percent(0.0)
    ('12.3%', '0.83%', '100%', '0%')
    """
    if 0 < share < 1e-5:
        return "under 0.001%"
    return f"{100 * share:.3g}%" if share < 0.999 else f"{100 * share:.5g}%"


def rows_of(count: int, rows: int, first: int | None = None) -> str:
    """Write how many of all rows, what share, and where the first is.

    Examples
    --------
    >>> rows_of(1200, 48000)
    '1,200 of 48,000 rows (2.5%)'
    >>> rows_of(1200, 48000, first=17)
    '1,200 of 48,000 rows (2.5%; first at row 17)'
    """
    first_row = "" if first is None else f"; first at row {first:,}"
    return f"{count:,} of {rows:,} rows ({percent(count / max(rows, 1))}{first_row})"


def plural(count: int, word: str) -> str:
    """Write a number with its word.

    Examples
    --------
    >>> plural(1, "value"), plural(1200, "value")
    ('1 value', '1,200 values')
    """
    return f"{count:,} {word}{'s' * (count != 1)}"
