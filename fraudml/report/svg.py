"""Draws charts as SVG: an element that takes its colours from the page, or a document."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from fraudml.report.chart import Axis, Bar, Chart, Line, Mark, Number, Rule, Spot
from fraudml.report.document import Plot
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
        low, high, at = (self._scaled(each) for each in (self.low, self.high, value))
        share = (at - low) / (high - low)
        # What lies far outside is cut off by the clip path of the chart.
        return round(self.start + min(max(share, -2.0), 3.0) * (self.end - self.start), 1)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.axis.scale == "log" else value

    def ticks(self) -> list[tuple[float, str]]:
        """Return the places and texts of ticks."""
        if self.axis.ticks is not None:
            return list(self.axis.ticks)
        values = _decades(self.low, self.high) if self.axis.scale == "log" else []
        values = values or _round_steps(self.low, self.high)
        write = short_percent if self.axis.form == "percent" else short
        return [(value, write(value)) for value in values]


def draw(chart: Chart, *, title: str, description: str, name: str) -> str:
    """Draw a chart as an `<svg>` element that fills the width it is given.

    A value that is None, or not above 0 on a log axis, is left out; `name` is unique on the page.
    """
    return (
        f'<svg viewBox="0 0 {WIDTH} {chart.height}" role="img" '
        f'aria-labelledby="{name}-t {name}-d" focusable="false">'
        f"{_titles(title, description, name)}{_contents(chart, name)}</svg>"
    )


def to_svg(plots: Sequence[Plot]) -> str:
    """Draw plots as one SVG document, one below the other, each with its title and legend."""
    panels, top = [], 0.0
    for position, plot in enumerate(plots):
        name = f"p{position}"
        legend_, height = _legend(plot.chart, 26 + plot.chart.height)
        panels.append(
            f'<g transform="translate(0 {top})" role="img" aria-labelledby="{name}-t {name}-d">'
            f"{_titles(plot.title, plot.description, name)}{_text(8, 18, plot.title, 'start', 'l')}"
            f'<g transform="translate(0 26)">{_contents(plot.chart, name)}</g>{legend_}</g>\n'
        )
        top += height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" '
        f'width="{2 * WIDTH}" height="{2 * top}">\n<style>\n{_style()}</style>\n'
        f'<rect class="paper" width="{WIDTH}" height="{top}"/>\n{"".join(panels)}</svg>\n'
    )


def css(name: str) -> str:
    """Return a style sheet: `page` has the colours, `plot` how each class of mark looks."""
    return files("fraudml.report").joinpath(f"{name}.css").read_text(encoding="utf-8")


def _style() -> str:
    """The style of marks in the light colours: not every viewer of SVG knows variables."""
    light = css("page").partition("}")[0]
    colours = dict(re.findall(r"(--\w+): (#\w+)", light))
    return re.sub(r"var\((--\w+)\)", lambda match: colours[match[1]], css("plot"))


def _titles(title: str, description: str, name: str) -> str:
    """What a screen reader reads."""
    return (
        f'<title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc>'
    )


def _contents(chart: Chart, name: str) -> str:
    bottom = chart.height - _BOTTOM
    low, high = _extent(chart, "y")
    y = _Scale(chart.y, low, high, bottom, _TOP)
    widest = max((len(text) for _, text in y.ticks()), default=1)
    left = 30 + _LETTER * min(widest, _MOST_LETTERS)
    x = _Scale(chart.x, *_extent(chart, "x"), left, WIDTH - _RIGHT)
    marks = "".join(part for mark in chart.marks for part in _mark(mark, x, y))
    size = f'x="{left - 6}" y="{_TOP - 6}" width="{x.end - left + 12}" height="{bottom - _TOP + 7}"'
    clip = f'<clipPath id="{name}-c"><rect {size}/></clipPath>'
    return f'{"".join(_grid(x, y))}{clip}<g clip-path="url(#{name}-c)">{marks}</g>'


def legend(chart: Chart) -> list[tuple[str, int, str]]:
    """Return the legend: the kind of each mark, its colour and its label."""
    return [
        (_kind(mark), mark.colour, mark.label)
        for mark in chart.marks
        if not isinstance(mark, Bar) and mark.label
    ]


def _kind(mark: Line | Spot | Rule) -> str:
    if isinstance(mark, Line):
        return "dashed" if mark.dashed else "line" if mark.joined else "spot"
    return "spot" if isinstance(mark, Spot) else "rule"


_CLASSES = {"line": "s", "dashed": "d", "rule": "r"}


def _legend(chart: Chart, top: float) -> tuple[str, float]:
    """A legend below a chart, in as many lines as it takes; with where it ends."""
    parts, x, y = [], 8.0, top + 10.0
    for kind, colour, words in legend(chart):
        width = 40 + _LETTER * len(words)
        if x > 8 and x + width > WIDTH:
            x, y = 8.0, y + 18
        if kind == "spot":
            parts.append(f'<circle class="p c{colour}" cx="{x + 10}" cy="{y - 4}" r="4"/>')
        else:
            line = f'd="M{x} {y - 4}H{x + 20}"'
            parts.append(f'<path class="{_CLASSES[kind]} c{colour}" {line}/>')
        parts.append(_text(x + 26, y, words, "start"))
        x = round(x + width, 1)
    return "".join(parts), y + 18


def _extent(chart: Chart, side: str) -> tuple[float, float]:
    """The ends of an axis: as given, otherwise the marks' own with a little air."""
    axis: Axis = getattr(chart, side)
    values = [
        value
        for mark in chart.marks
        for value in _values(mark, side)
        if value is not None and (axis.scale == "linear" or value > 0)
    ]
    low = min(values, default=0.0) if axis.low is None else axis.low
    high = max(values, default=1.0) if axis.high is None else axis.high
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
        yield from getattr(mark, f"{side}_interval") or ()
    elif isinstance(mark, Bar):
        yield from (mark.start, mark.end) if side == "x" else (mark.y - 0.5, mark.y + 0.5)
    elif mark.along == side:
        yield mark.at


def _round_steps(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(size for size in (1, 2, 2.5, 5, 10) if size * unit >= rough * 0.999)
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
    end_of_text = -1e9
    for value, text in x.ticks():
        at, half = x(value), _LETTER * len(text) / 2
        at_text = min(max(at, half), WIDTH - half)
        top = y.end if x.axis.ticks is None else bottom + 4
        yield f'<path class="g" d="M{at} {bottom}V{top}"/>'
        if at_text - half > end_of_text:
            yield _text(at_text, bottom + 17, text, "middle")
            end_of_text = at_text + half + 4
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
    css_class = f' class="{kind}"' if kind else ""
    anchored = f'text-anchor="{anchor}" x="{round(x, 1)}" y="{round(y, 1)}"'
    return f"<text{css_class} {anchored}>{whole}{escape(cut)}</text>"


def _mark(mark: Mark, x: _Scale, y: _Scale) -> Iterator[str]:
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
    intervals = [
        (x(at), _floor(y, low), y(high))
        for at, low, high in zip(mark.x, mark.low, mark.high, strict=bool(mark.low))
        if high is not None and low is not None and shown(at, high)
    ]
    if mark.dots:
        for at, low, high in intervals:
            yield f'<path class="e c{mark.colour}" d="M{at} {low}V{high}"/>'
    elif intervals:
        there = "L".join(f"{at} {high}" for at, _, high in intervals)
        back = "L".join(f"{at} {low}" for at, low, _ in reversed(intervals))
        yield f'<path class="b c{mark.colour}" d="M{there}L{back}Z"/>'
    runs = [[(x(a), y(b)) for a, b in run] for run in _runs(mark.x, mark.y, shown)]
    path = "".join("M" + "L".join(f"{a} {b}" for a, b in run) for run in runs)
    if path and mark.joined:
        kind = "d" if mark.dashed else "s"
        faint = f' opacity="{mark.opacity:.2g}"' if mark.opacity < 1 else ""
        yield f'<path class="{kind} c{mark.colour}"{faint} d="{path}"/>'
    if mark.dots:
        for a, b in (point for run in runs for point in run):
            yield f'<circle class="p c{mark.colour}" cx="{a}" cy="{b}" r="3"/>'


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
    if mark.x_interval is not None:
        start, end = map(x, mark.x_interval)
        yield f'<path class="e c{mark.colour}" d="M{start} {at_y}H{end}"/>'
    if mark.y_interval is not None:
        low, high = _floor(y, mark.y_interval[0]), y(mark.y_interval[1])
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
