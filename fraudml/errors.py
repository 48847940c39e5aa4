"""The errors that a user can act on, each with the exit code of the command line.

An error's text says where, what was wrong and with what value or count, what was expected, and one
next step. Anything that is not a `FraudmlError` is a defect of fraudml and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FraudmlError(Exception):
    """An expected refusal; the command line prints its message alone."""

    exit_code = 1


class ConfigError(FraudmlError):
    """The command or the config alone is wrong, whatever the data."""

    exit_code = 2


class DataError(FraudmlError):
    """The data are missing, malformed, too few, or give the label away."""

    exit_code = 3


class RefusedError(FraudmlError):
    """The guard refused the model, or a constraint could not be met."""

    exit_code = 4


class BudgetError(FraudmlError):
    """The budget ran out before there was a usable model."""

    exit_code = 5


class BundleError(FraudmlError):
    """A bundle is damaged, unknown, or not what its manifest says."""

    exit_code = 6


class MachineError(FraudmlError):
    """The machine or a service failed: a full disk, no permission, a lost database."""

    exit_code = 7


def listing(names: Iterable[object], limit: int = 5) -> str:
    """Write names in quotes, at most `limit` of them, then 'and n more'.

    Parameters
    ----------
    names : iterable
        What to list, in the order given.
    limit : int
        How many to spell out.

    Examples
    --------
    >>> listing(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    quoted = [repr(str(name)) for name in names]
    shown = ", ".join(quoted[:limit])
    return shown if len(quoted) <= limit else f"{shown} and {len(quoted) - limit} more"


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known names are closest to a wrong one, or list the known ones.

    Parameters
    ----------
    name : str
        The name that was not found.
    known : iterable of str
        The names that exist.

    Examples
    --------
    >>> nearest("lable", ["label", "time"])
    "Did you mean 'label'?"
    >>> nearest("zzz", ["label", "time"])
    "Known are 'label', 'time'."
    """
    names = sorted(set(known))
    folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(repr(folded[match]) for match in close) + "?"
    return f"Known are {listing(names, 12)}." if names else "There are none."


def all_problems(heading: str, problems: Iterable[str]) -> str:
    """Join the problems that one check found into one message.

    Parameters
    ----------
    heading : str
        What was checked; left out when there is one problem alone.
    problems : iterable of str
        One sentence or more each.

    Examples
    --------
    >>> print(all_problems("2 problems in the config.", ["a is wrong.", "b is wrong."]))
    2 problems in the config.
      - a is wrong.
      - b is wrong.
    """
    texts = list(problems)
    return texts[0] if len(texts) == 1 else "\n  - ".join([heading, *texts])
