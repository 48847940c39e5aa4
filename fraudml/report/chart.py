"""What a plot is, before it is drawn: two axes and marks on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Number = float | None
"""None leaves a gap."""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Parameters
    ----------
    label : str
        What it counts.
    scale : {'linear', 'log'}
        How values are placed; a log axis leaves out what is not above 0.
    form : {'number', 'percent'}
        How ticks are written.
    low, high : float, optional
        Where it ends; by default where the marks do.
    ticks : sequence of (float, str), optional
        Places and words, instead of round numbers; an axis of categories or dates.
    """

    label: str
    scale: Literal["linear", "log"] = "linear"
    form: Literal["number", "percent"] = "number"
    low: float | None = None
    high: float | None = None
    ticks: Sequence[tuple[float, str]] | None = None


@dataclass(frozen=True)
class Line:
    """A line through points, with a band where its ends are known.

    Parameters
    ----------
    x, y : sequence of float
        The points; a None in `y` is a gap.
    label : str
        For the legend.
    colour : int
        Which of the palette's colours, from 0.
    low, high : sequence of float, optional
        The ends of the band.
    dashed : bool
        For what is there for comparison.
    dots : bool
        Whether each point is marked, with its ends as a bar instead of a band.
    joined : bool
        Whether there is a line at all.
    """

    x: Sequence[float]
    y: Sequence[Number]
    label: str = ""
    colour: int = 0
    low: Sequence[Number] = ()
    high: Sequence[Number] = ()
    dashed: bool = False
    dots: bool = False
    joined: bool = True


@dataclass(frozen=True)
class Spot:
    """One point that stands out, with its ends both ways where they are known."""

    x: float
    y: float
    label: str
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None
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
    """A plot.

    Parameters
    ----------
    x, y : Axis
        Its axes.
    marks : sequence of Mark
        In the order they are drawn.
    height : int
        In the units of the drawing, which is 460 wide.
    """

    x: Axis
    y: Axis
    marks: Sequence[Mark] = field(default_factory=tuple)
    height: int = 270
