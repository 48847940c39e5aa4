"""How numbers are written: in a report, in Markdown and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

NONE = "–"
"""Written where there is no number."""

Write = Callable[[float | None], str]


def label(name: str) -> str:
    """Write the name of a metric or key in words."""
    return name.replace("_", " ")


def number(value: float | None) -> str:
    """Write a number with about three significant digits.

    Examples
    --------
    >>> number(12345.6), number(24.83), number(0.012345), number(None)
    ('12,346', '24.8', '0.0123', '–')
    """
    if value is None or not math.isfinite(value):
        return NONE
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 2 - math.floor(math.log10(size))
    return f"{value:,.{min(digits, 8)}f}"


def percent(value: float | None) -> str:
    """Write a share.

    Examples
    --------
    >>> percent(0.625), percent(0.0475), percent(0.00475), percent(1.0), percent(0.9993)
    ('62 %', '4.8 %', '0.47 %', '100 %', '99.93 %')
    """
    if value is None or not math.isfinite(value):
        return NONE
    hundredth = 100 * value
    if 99 < hundredth < 100:
        return f"{hundredth:.2f} %"
    size = abs(hundredth)
    digits = 0 if size >= 10 or size == 0 else 1 if size >= 1 else 2
    return f"{hundredth:.{digits}f} %"


def signed(value: float | None) -> str:
    """Write a difference with its sign.

    Examples
    --------
    >>> signed(0.1234), signed(-12.0), signed(0.0)
    ('+0.123', '−12', '0')
    """
    if value is None or value == 0:
        return NONE if value is None else "0"
    return ("+" if value > 0 else "−") + number(abs(value))


def probability(share: float | None) -> str:
    """Write the share of replicates that agree; replicates cannot show certainty.

    Examples
    --------
    >>> probability(0.874), probability(1.0), probability(None)
    ('87 %', 'over 99 %', '–')
    """
    return "over 99 %" if share is not None and share > 0.995 else percent(share)


def ranged(entry: Mapping[str, Any], write: Write = number, *, per: float = 1.0) -> str:
    """Write a value with its interval, whose width sets the digits, or why there is no value.

    `entry` has `value` and, where there are any, `low`, `high` and `reason`; values are multiplied
    by `per`.

    Examples
    --------
    >>> ranged({"value": 0.6213, "low": 0.5521, "high": 0.6907}, percent)
    '62 % (55 to 69)'
    >>> ranged({"value": 0.2101, "low": 0.0972, "high": 0.3361})
    '0.21 (0.10 to 0.34)'
    >>> ranged({"value": -0.1021, "low": -0.1411, "high": -0.0633}, signed)
    '−0.102 (−0.141 to −0.063)'
    >>> ranged({"value": None, "reason": "no amount"})
    '– (no amount)'
    """
    if entry.get("value") is None:
        return f"{NONE} ({entry['reason']})" if entry.get("reason") else NONE
    if entry.get("low") is None:
        return write(per * entry["value"])
    scale = per * (100 if write is percent else 1)
    numbers = [scale * entry[end] for end in ("value", "low", "high")]
    digits = _digits(numbers[2] - numbers[1])
    sign = "+" if write is signed else ""
    value, low, high = (f"{each:{sign},.{digits}f}".replace("-", "−") for each in numbers)
    return f"{value}{' %' if write is percent else ''} ({low} to {high})"


def _digits(width: float) -> int:
    """Decimals that show two digits of an interval."""
    return 0 if width <= 0 else min(max(1 - math.floor(math.log10(width)), 0), 8)


def point(entry: Mapping[str, Any], write: Write = number) -> str:
    """Write a value without its interval, or why there is none."""
    return ranged({**entry, "low": None}, write)


def difference(entry: Mapping[str, Any]) -> str:
    """Write a signed difference with its interval; its value stands under `difference`."""
    return ranged({**entry, "value": entry["difference"]}, signed)


def mean_sd(mean: float | None, sd: float | None, write: Write = number) -> str:
    """Write a mean with its standard deviation, whose size sets the digits.

    Examples
    --------
    >>> mean_sd(0.9312, 0.0197), mean_sd(0.156, 0.0748, percent), mean_sd(0.5, 0.0)
    ('0.931 ± 0.020', '15.6 ± 7.5 %', '0.500 ± 0')
    """
    if mean is None or not sd:
        return NONE if mean is None else f"{write(mean)} ± 0"
    scale, unit = (100, " %") if write is percent else (1, "")
    digits = _digits(scale * sd)
    return f"{scale * mean:,.{digits}f} ± {scale * sd:,.{digits}f}{unit}"


def column(row: Mapping[str, Any], name: str, write: Write = number) -> str:
    """Write a cell of a table with its interval, which stands in `<name>_low` and `<name>_high`."""
    return ranged(
        {"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}, write
    )


def short(value: float) -> str:
    """Write a tick.

    Examples
    --------
    >>> short(1500000), short(20000), short(0.25), short(-3000), short(0.001)
    ('1.5M', '20k', '0.25', '-3k', '0.001')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size or (letter == "k" and abs(value) >= 1e3 and value % 100 == 0):
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:g}"


def short_percent(value: float) -> str:
    """Write a tick of a share.

    Examples
    --------
    >>> short_percent(0.2), short_percent(0.00001)
    ('20 %', '0.001 %')
    """
    return f"{100 * value:g} %".replace("e-05", "e-5")
