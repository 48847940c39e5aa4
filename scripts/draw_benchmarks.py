"""Write docs/benchmarks/releases.md and its pictures from the records of every release.

python scripts/draw_benchmarks.py

A record is docs/benchmarks/RELEASE/NAME.json, as `--record` of a benchmark writes it. A test
compares the page and the pictures with what this writes: run it after every new record.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from record import Figure, Record, read_record

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"
NOTICE = "% Written by scripts/draw_benchmarks.py from the records beside it: run it again.\n\n"
INTRODUCTION = (
    "# Figures by release\n\n"
    "What each release measured with [its own scripts](../benchmarks.md), one record a run. A bar "
    "is one release; a line across its end spans the repeats. Bars are hollow where the arguments, "
    "the processor, the cores or the memory are not those of the latest record: their lengths do "
    "not compare. The load tells how busy the machine was besides: times on a busy machine are "
    "upper limits."
)
WIDTH, LEFT, RIGHT, BAR, TITLE, GAP = 760, 60, 110, 12, 16, 6
"""Pixels: of a picture, of the names of releases, of values, of a bar, of a title, and between."""

Runs = Mapping[str, Record]
"""The records of one benchmark by release, the latest last."""


def pages(folder: Path = FOLDER) -> dict[str, str]:
    """Return every file that is drawn: its name in the folder, and its text."""
    benchmarks = read_benchmarks(folder)
    pictures = {f"{name}.svg": picture(runs) for name, runs in benchmarks.items()}
    parts = [INTRODUCTION, *(section(name, runs) for name, runs in benchmarks.items())]
    return {"releases.md": NOTICE + "\n\n".join(parts) + "\n", **pictures}


def read_benchmarks(folder: Path) -> dict[str, dict[str, Record]]:
    """Return the records by benchmark and release."""
    benchmarks: dict[str, dict[str, Record]] = {}
    paths = sorted(folder.glob("*/*.json"), key=lambda path: (path.stem, order(path.parent.name)))
    for path in paths:
        run, release = read_record(path), path.parent.name
        place = f"{run.versions['fraudml']}/{run.name}.json"
        if place != f"{release}/{path.name}":
            raise SystemExit(f"{path} is the record {place}. Move it to {folder / place}.")
        benchmarks.setdefault(run.name, {})[release] = run
    return benchmarks


def order(release: str) -> tuple[int, ...]:
    """Return what sorts releases: by number, with 1.0rc1 before 1.0."""
    parts = re.findall(r"\d+|[a-z]+", release)
    return (*(int(part) if part.isdigit() else -1 for part in parts), 0)


def comparable(run: Record, other: Record) -> bool:
    """Whether two runs measured the same on the same machine."""
    parts = ("cpu", "cores", "threads_granted", "memory_gb")
    return run.arguments == other.arguments and all(
        run.machine[part] == other.machine[part] for part in parts
    )


def figures_of(runs: Runs) -> dict[tuple[str, str], dict[str, Figure]]:
    """Return figures by name and unit, and each by release; those of the latest run first."""
    latest_first = list(runs.values())[::-1]
    names = dict.fromkeys(
        (figure.name, figure.unit) for run in latest_first for figure in run.figures
    )
    return {
        (name, unit): {
            release: figure
            for release, run in runs.items()
            for figure in run.figures
            if (figure.name, figure.unit) == (name, unit)
        }
        for name, unit in names
    }


# The page.


def section(name: str, runs: Runs) -> str:
    """Return a benchmark's part of the page."""
    latest = list(runs.values())[-1]
    rows = [
        [figure, unit, *(cell(measured.get(release)) for release in runs)]
        for (figure, unit), measured in figures_of(runs).items()
    ]
    return "\n\n".join(
        [
            f"## {name}",
            latest.description,
            f"![Figures of {name} by release]({name}.svg)",
            table(["figure", "unit", *runs], rows),
            table(
                ["release", "commit", "date", "machine", "arguments", "load before", "after"],
                (run_row(name, release, run) for release, run in runs.items()),
            ),
        ]
    )


def cell(figure: Figure | None) -> str:
    """Return a value with the range of its repeats."""
    if figure is None:
        return ""
    if len(figure.repeats) < 2:
        return number(figure.value)
    low, high = number(min(figure.repeats)), number(max(figure.repeats))
    return f"{number(figure.value)} ({low} to {high}, {len(figure.repeats)} runs)"


def run_row(name: str, release: str, run: Record) -> list[str]:
    """Return where and how a release was measured."""
    machine = run.machine
    arguments = " ".join(f"{key}={value}" for key, value in run.arguments.items())
    return [
        f"[{release}]({release}/{name}.json)",
        run.commit[:7] + (", modified" if run.modified else ""),
        run.date[:10],
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB",
        f"`{arguments}`" if arguments else "",
        *(" ".join(map(str, load or ())) for load in (run.load_before, run.load_after)),
    ]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    cells = ([text.replace("|", "\\|") for text in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def number(value: float) -> str:
    """Return a value in four digits, without an exponent where it is large."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


# The pictures: plain SVG, so that the same records give the same bytes everywhere.


def picture(runs: Runs) -> str:
    """Draw the figures of a benchmark, one below the other, a bar a release."""
    figures, latest = figures_of(runs), list(runs.values())[-1]
    solid = {release for release, run in runs.items() if comparable(run, latest)}
    scales = {unit: scale(figures.values(), unit) for _, unit in figures}
    lines, top = [], 0
    for (name, unit), measured in figures.items():
        top += TITLE
        lines.append(text(0, top - 4, f"{name}, {unit}" if unit else name, "title"))
        for release, figure in measured.items():
            lines += bar(top, release, figure, scales[figure.unit], release in solid)
            top += BAR + 2
        top += GAP
    return "\n".join([*head(top), *lines, "</svg>"]) + "\n"


def head(height: int) -> list[str]:
    """Return the beginning of a picture: its size, styles and ground."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -4 {WIDTH + 16} {height + 8}" '
        f'width="{WIDTH + 16}" height="{height + 8}" font-family="sans-serif" font-size="11">',
        "<style>.title{fill:#222}.value{fill:#444}.release{fill:#777;text-anchor:end}"
        ".bar{fill:#4878a8}.hollow{fill:none;stroke:#4878a8}.range{stroke:#222}</style>",
        f'<rect x="-8" y="-4" width="{WIDTH + 16}" height="{height + 8}" fill="#fff"/>',
    ]


def scale(figures: Iterable[Mapping[str, Figure]], unit: str) -> tuple[float, float]:
    """Return the least and the largest value of a unit, 0 within."""
    values = [
        value
        for measured in figures
        for figure in measured.values()
        if figure.unit == unit
        for value in (figure.value, *figure.repeats)
    ]
    return min(0.0, *values), max(0.0, *values)


def bar(
    top: int, release: str, figure: Figure, limits: tuple[float, float], solid: bool
) -> Iterator[str]:
    """Draw one release of a figure: its name, the bar, the range of repeats, the value."""
    low, high = limits
    width = WIDTH - LEFT - RIGHT

    def at(value: float) -> float:
        return LEFT + width * (value - low) / ((high - low) or 1.0)

    start, end = sorted((at(0.0), at(figure.value)))
    values = figure.repeats or [figure.value]
    first, last = at(min(values)), at(max(values))
    yield text(LEFT - 6, top + BAR - 2, release, "release")
    yield (
        f'<rect class="{"bar" if solid else "hollow"}" x="{start:.1f}" y="{top}" '
        f'width="{end - start:.1f}" height="{BAR}"/>'
    )
    if last > first:
        yield (f'<path class="range" d="M{first:.1f} {top + BAR / 2:g}H{last:.1f}"/>')
    yield text(max(end, last) + 5, top + BAR - 2, number(figure.value), "value")


def text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:g}">{escape(words)}</text>'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    drawn = pages(folder)
    for path in folder.glob("*.svg"):
        path.unlink()
    for name, content in drawn.items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
    print(f"{len(drawn)} files are in {folder}")


if __name__ == "__main__":
    main()
