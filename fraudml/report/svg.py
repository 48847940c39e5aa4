"""Draws a chart as SVG that takes its colours from the page, for both light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fraudml.report.chart import Axis, Bar, Chart, Line, Mark, Number, Rule, Spot
from fraudml.report.escape import escape
from fraudml.report.numbers import short, short_percent

WIDTH = 460
"""Units from side to side; on a phone a unit is about three quarters of a pixel."""

_TOP, _RIGHT, _BOTTOM = 12, 22, 46
_LETTER = 7.4
_MOST_LETTERS, _WHOLE_LINE = 24, 54


@dataclass(frozen=True)
class _Scale:
    """From values to places along one axis."""

    axis: Axis
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        low, high, at = (self._placed(one) for one in (self.low, self.high, value))
        share = (at - low) / (high - low)
        # What lies far outside is cut off by the clip path of the chart.
        return round(self.start + min(max(share, -2.0), 3.0) * (self.end - self.start), 1)

    def _placed(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.axis.scale == "log" else value

    def ticks(self) -> list[tuple[float, str]]:
        """Return where ticks stand and what they say."""
        if self.axis.ticks is not None:
            return list(self.axis.ticks)
        found = _decades(self.low, self.high) if self.axis.scale == "log" else []
        found = found or _round_steps(self.low, self.high)
        write = short_percent if self.axis.form == "percent" else short
        return [(value, write(value)) for value in found]


def draw(chart: Chart, *, title: str, description: str, name: str) -> str:
    """Draw a chart.

    Parameters
    ----------
    chart : Chart
        What to draw; a value that is None, or not above 0 on a log axis, is left out.
    title, description : str
        What a screen reader says.
    name : str
        Unique on the page.

    Returns
    -------
    str
        An `<svg>` element that fills the width it is given.
    """
    _, bottom = _extent(chart, "x"), chart.height - _BOTTOM
    low, high = _extent(chart, "y")
    rough = _Scale(chart.y, low, high, bottom, _TOP).ticks()
    left = 30 + _LETTER * min(max((len(text) for _, text in rough), default=1), _MOST_LETTERS)
    x = _Scale(chart.x, *_extent(chart, "x"), left, WIDTH - _RIGHT)
    y = _Scale(chart.y, low, high, bottom, _TOP)
    marks = "".join(one for mark in chart.marks for one in _drawn(mark, x, y))
    room = f'x="{left - 6}" y="{_TOP - 6}" width="{x.end - left + 12}" height="{bottom - _TOP + 7}"'
    clip = f'<clipPath id="{name}-c"><rect {room}/></clipPath>'
    inside = f'{clip}<g clip-path="url(#{name}-c)">{marks}</g>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {chart.height}" role="img" '
        f'aria-labelledby="{name}-t {name}-d" focusable="false">'
        f'<title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc>{"".join(_grid(x, y))}{inside}</svg>'
    )


def legend(chart: Chart) -> list[tuple[str, int, str]]:
    """Return what the marks are called: the kind of each, its colour and its words."""
    found: list[tuple[str, int, str]] = []
    for mark in chart.marks:
        if isinstance(mark, Line) and mark.label:
            kind = "dashed" if mark.dashed else "line" if mark.joined else "spot"
            found.append((kind, mark.colour, mark.label))
        elif isinstance(mark, Spot):
            found.append(("spot", mark.colour, mark.label))
        elif isinstance(mark, Rule):
            found.append(("rule", mark.colour, mark.label))
    return found


def _extent(chart: Chart, side: str) -> tuple[float, float]:
    """The ends of an axis: as given, otherwise the marks' own with a little air."""
    axis: Axis = getattr(chart, side)
    seen = [
        value
        for mark in chart.marks
        for value in _values(mark, side)
        if value is not None and (axis.scale == "linear" or value > 0)
    ]
    low = min(seen, default=0.0) if axis.low is None else axis.low
    high = max(seen, default=1.0) if axis.high is None else axis.high
    if axis.high is None and axis.scale == "linear" and axis.ticks is None:
        high += 0.06 * abs(high - low)
    if not high > low:
        return (low / 2, low * 2) if axis.scale == "log" else (low - 0.5, low + 0.5)
    return low, high


def _values(mark: Mark, side: str) -> Iterator[Number]:
    if isinstance(mark, Line):
        yield from mark.x if side == "x" else (*mark.y, *mark.low, *mark.high)
    elif isinstance(mark, Spot):
        yield getattr(mark, side)
        yield from getattr(mark, f"{side}_ends") or ()
    elif isinstance(mark, Bar):
        yield from (mark.start, mark.end) if side == "x" else (mark.y - 0.5, mark.y + 0.5)
    elif mark.along == side:
        yield mark.at


def _round_steps(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(one for one in (1, 2, 2.5, 5, 10) if one * unit >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten inside, thinned; with fewer than two, the ends of 1-2-5 steps inside."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = list(range(first, last + 1))
    if len(powers) >= 2:
        step = -(-len(powers) // 7)
        return [10.0**power for power in powers[::step]]
    around = range(math.floor(math.log10(low)), last + 1)
    return [
        digit * 10.0**power
        for power in around
        for digit in (1, 2, 5)
        if low <= digit * 10.0**power <= high
    ]


def _grid(x: _Scale, y: _Scale) -> Iterator[str]:
    right, bottom = x.end, y.start
    for value, text in y.ticks():
        at = y(value)
        if y.axis.ticks is None:
            yield f'<path class="g" d="M{x.start} {at}H{right}"/>'
        yield _text(x.start - 6, at + 4, text, "end")
    drawn = -1e9
    for value, text in x.ticks():
        at, half = x(value), _LETTER * len(text) / 2
        at_text = min(max(at, half), WIDTH - half)
        top = y.end if x.axis.ticks is None else bottom + 4
        yield f'<path class="g" d="M{at} {bottom}V{top}"/>'
        if at_text - half > drawn:
            yield _text(at_text, bottom + 17, text, "middle")
            drawn = at_text + half + 4
    yield f'<path class="a" d="M{x.start} {bottom}H{right}"/>'
    yield _text((x.start + right) / 2, bottom + 37, x.axis.label, "middle", "l")
    if y.axis.label:
        middle = (y.start + y.end) / 2
        turned = f' transform="rotate(-90 12 {middle})"'
        yield f'<text class="l" text-anchor="middle" x="12" y="{middle}"{turned}>'
        yield f"{escape(y.axis.label)}</text>"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    """Write a text; a longer one is cut, and whole where a pointer rests on it."""
    cut = _cut(text, _MOST_LETTERS if anchor == "end" else _WHOLE_LINE)
    whole = "" if cut == text else f"<title>{escape(text)}</title>"
    called = f' class="{kind}"' if kind else ""
    place = f'text-anchor="{anchor}" x="{round(x, 1)}" y="{round(y, 1)}"'
    return f"<text{called} {place}>{whole}{escape(cut)}</text>"


def _drawn(mark: Mark, x: _Scale, y: _Scale) -> Iterator[str]:
    if isinstance(mark, Line):
        yield from _line(mark, x, y)
    elif isinstance(mark, Spot):
        yield from _spot(mark, x, y)
    elif isinstance(mark, Bar):
        yield from _bar(mark, x, y)
    else:
        start, end = (x.start, x.end) if mark.along == "y" else (y.start, y.end)
        at = y(mark.at) if mark.along == "y" else x(mark.at)
        path = f"M{start} {at}H{end}" if mark.along == "y" else f"M{at} {start}V{end}"
        yield f'<path class="r c{mark.colour}" d="{path}"/>'


def _line(mark: Line, x: _Scale, y: _Scale) -> Iterator[str]:
    shown = _visible(x, y)
    ends = list(zip(mark.x, mark.low, mark.high, strict=True)) if len(mark.low) else []
    known = [
        (one, low, high)
        for one, low, high in ends
        if high is not None and low is not None and shown(one, high)
    ]
    if mark.dots:
        for one, low, high in known:
            path = f"M{x(one)} {_floor(y, low)}V{y(high)}"
            yield f'<path class="e c{mark.colour}" d="{path}"/>'
    elif known:
        there = "L".join(f"{x(one)} {y(high)}" for one, _, high in known)
        back = "L".join(f"{x(one)} {_floor(y, low)}" for one, low, _ in reversed(known))
        yield f'<path class="b c{mark.colour}" d="M{there}L{back}Z"/>'
    kind = "d" if mark.dashed else "s"
    runs = _runs(mark.x, mark.y, shown)
    path = "".join("M" + "L".join(f"{x(a)} {y(b)}" for a, b in run) for run in runs)
    if path and mark.joined:
        yield f'<path class="{kind} c{mark.colour}" d="{path}"/>'
    if mark.dots:
        for run in runs:
            for a, b in run:
                yield f'<circle class="p c{mark.colour}" cx="{x(a)}" cy="{y(b)}" r="3"/>'


def _floor(y: _Scale, value: float) -> float:
    return y(value) if y.axis.scale == "linear" or value > 0 else y.start


def _visible(x: _Scale, y: _Scale) -> Callable[[Number, Number], bool]:
    def shown(a: Number, b: Number) -> bool:
        across = a is not None and (x.axis.scale == "linear" or a > 0)
        return across and b is not None and (y.axis.scale == "linear" or b > 0)

    return shown


def _runs(
    x: Sequence[float], y: Sequence[Number], shown: Callable[[Number, Number], bool]
) -> list[list[tuple[float, float]]]:
    """The stretches of a line between its gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(x, y, strict=True):
        if b is not None and shown(a, b):
            runs[-1].append((a, b))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _spot(mark: Spot, x: _Scale, y: _Scale) -> Iterator[str]:
    at_x, at_y = x(mark.x), y(mark.y)
    if mark.x_ends is not None:
        start, end = (x(one) for one in mark.x_ends)
        yield f'<path class="e c{mark.colour}" d="M{start} {at_y}H{end}"/>'
    if mark.y_ends is not None:
        low, high = _floor(y, mark.y_ends[0]), y(mark.y_ends[1])
        yield f'<path class="e c{mark.colour}" d="M{at_x} {low}V{high}"/>'
    yield f'<circle class="o c{mark.colour}" cx="{at_x}" cy="{at_y}" r="5.5"/>'


def _bar(mark: Bar, x: _Scale, y: _Scale) -> Iterator[str]:
    start, end = sorted((x(mark.start), x(mark.end)))
    top, foot = sorted((y(mark.y - 0.34), y(mark.y + (0.08 if mark.name else 0.34))))
    width, height = round(max(end - start, 1.5), 1), round(foot - top, 1)
    yield (
        f'<rect class="k c{mark.colour}" x="{start}" y="{top}" width="{width}" '
        f'height="{height}" rx="2"/>'
    )
    if mark.text:
        yield _text(end + 5, (top + foot) / 2 + 4.5, mark.text, "start")
    if mark.name:
        yield _text(start, top - 4, mark.name, "start", "l")
