"""A plot before it is drawn: two axes and marks on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Number = float | None
"""None leaves a gap."""

Interval = tuple[float, float]
Form = Literal["number", "percent"]


@dataclass(frozen=True)
class Axis:
    """One axis; without `low` and `high` it ends where the marks do, without `ticks` in steps.

    `ticks` are places and texts, for an axis of categories or dates. A log axis leaves out values
    that are not above 0.
    """

    label: str
    scale: Literal["linear", "log"] = "linear"
    form: Form = "number"
    low: float | None = None
    high: float | None = None
    ticks: Sequence[tuple[float, str]] | None = None


@dataclass(frozen=True)
class Line:
    """A line through points, with intervals as a band, or as bars where points have dots."""

    x: Sequence[float]
    y: Sequence[Number]
    label: str = ""
    colour: int = 0
    low: Sequence[Number] = ()
    high: Sequence[Number] = ()
    dashed: bool = False
    dots: bool = False
    joined: bool = True
    opacity: float = 1.0


@dataclass(frozen=True)
class Spot:
    """One highlighted point, with its intervals both ways where they are known."""

    x: float
    y: float
    label: str
    x_interval: Interval | None = None
    y_interval: Interval | None = None
    colour: int = 1


@dataclass(frozen=True)
class Rule:
    """A straight line across the plot at a value of `x` or of `y`."""

    at: float
    label: str
    along: Literal["x", "y"] = "y"
    colour: int = 2


@dataclass(frozen=True)
class Bar:
    """A bar from one value of `x` to another at `y`; `text` stands behind it, `name` above."""

    y: float
    start: float
    end: float
    colour: int = 0
    text: str = ""
    name: str = ""


Mark = Line | Spot | Rule | Bar


@dataclass(frozen=True)
class Chart:
    """A plot; `height` is in the units of the drawing, which is 460 wide."""

    x: Axis
    y: Axis
    marks: Sequence[Mark] = field(default_factory=tuple)
    height: int = 270


def ranked_bars(bars: Sequence[tuple[str, float, str, int]], axis: str) -> Chart:
    """Draw shares as named bars, the first on top; each has a name, a share, a text, a colour."""
    count = len(bars)
    marks = [
        Bar(count - 1 - position, 0.0, share, colour, text, name)
        for position, (name, share, text, colour) in enumerate(bars)
    ]
    longest = max(share for _, share, _, _ in bars)
    return Chart(
        # Room for a text behind the longest bar.
        Axis(axis, form="percent", low=0, high=1.3 * longest),
        Axis("", ticks=(), low=-0.5, high=count - 0.3),
        marks,
        height=66 + 38 * count,
    )
