"""Output of the command line: progress, log lines, tables. Nothing else writes to a stream.

Results go to standard output, everything else to standard error. A reader that goes away
(`fraudml … | head`) silences the output and never stops the work.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from fraudml.printable import PrintableFormatter, printable
from fraudml.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

_log = logging.getLogger("fraudml")

SECONDS_BETWEEN_LINES = 5.0
"""Shortest time between lines of a stage without a terminal."""

_LIVE_ROWS = 12
"""Number of rows that a growing table shows, the latest."""

_WIDTH = 100
"""Width of tables without a terminal."""


def write(text: str, *, error: bool = False) -> None:
    """Write a line to standard output or standard error.

    Control characters, and those that the stream cannot encode, are escaped.
    """
    _write(printable(text, lines=True), sys.stderr if error else sys.stdout)


def _write(text: str, stream: TextIO) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except BrokenPipeError:
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Redirect a stream without a reader to the null device, so that closing it does not fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, stream.fileno())
    except (OSError, ValueError):
        return
    finally:
        os.close(null)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    class _Quiet(Console):
        # rich would end the process here.
        def on_broken_pipe(self) -> None:
            self.quiet = True
            _silence(stream)

    return _Quiet(file=stream, highlight=False)


def table(title: str, rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> None:
    """Write a small table, its title above it, to standard output."""
    from rich.text import Text

    width = len(header) or max(map(len, rows), default=0)
    drawn = _table(rows, header or [""] * width, show_header=bool(header))
    drawn.title, drawn.title_justify = Text(printable(title)), "left"
    console = _console(sys.stdout)
    if not _is_terminal(sys.stdout):
        console.width = _WIDTH
    with console.capture() as captured:
        console.print(drawn)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    _write("\n".join(line for line in lines if line), sys.stdout)


def _table(
    rows: Iterable[Iterable[str]], header: Iterable[str], *, show_header: bool = True
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE, pad_edge=False, show_header=show_header)
    for name in header:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    return drawn


@contextmanager
def session() -> Iterator[Callable[[], Any]]:
    """Show log records and warnings while a command runs; yield what shows a `Progress`."""
    console = _console(sys.stderr) if _is_terminal(sys.stderr) else None
    live = _LiveRows() if console else None
    handler = _rich_handler(console, live) if console and live else _plain_handler()
    showwarning, level, propagate = warnings.showwarning, _log.level, _log.propagate
    warnings.showwarning = _log_warning
    _log.addHandler(handler)
    _log.setLevel(logging.DEBUG if os.environ.get("FRAUDML_DEBUG") == "1" else logging.INFO)
    _log.propagate = False
    try:
        yield lambda: _bars(console, live) if console and live else _lines()
    finally:
        warnings.showwarning = showwarning
        _log.removeHandler(handler)
        _log.setLevel(level)
        _log.propagate = propagate


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _rich_handler(console: Console, live: _LiveRows) -> logging.Handler:
    from rich.logging import RichHandler

    handler = RichHandler(console=console, show_path=False, markup=False, log_time_format="%X")
    handler.setFormatter(PrintableFormatter("%(message)s"))
    handler.addFilter(live.takes)
    return handler


class _LiveRows:
    """Rows that log records carry (`extra={"row": {column: cell}}`), as a table that grows."""

    def __init__(self) -> None:
        self._rows: list[dict[str, str]] = []
        self._shown = False

    def takes(self, record: logging.LogRecord) -> bool:
        """Take a record's row into the table; other records, or without a table, go to the log."""
        row = getattr(record, "row", None)
        if row is None or not self._shown:
            return True
        self._rows.append(row)
        return False

    def __rich__(self) -> RenderableType:
        self._shown = True
        if not self._rows:
            return ""
        header = list(self._rows[-1])
        latest = self._rows[-_LIVE_ROWS:]
        drawn = _table(([row.get(name, "") for name in header] for row in latest), header)
        if len(self._rows) > _LIVE_ROWS:
            drawn.caption = f"and {len(self._rows) - _LIVE_ROWS} before them"
        return drawn


def _plain_handler() -> logging.Handler:
    handler = _PlainHandler()
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    return handler


class _PlainHandler(logging.Handler):
    """Log records as lines on whatever standard error is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        write(self.format(record), error=True)


def _log_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    """Show a library's warning as one line, as `warnings.showwarning` is called."""
    text = " ".join(str(message).split())
    line = f"{os.path.basename(filename)}:{lineno}"  # noqa: PTH119 - may be no path at all
    _log.warning("%s: %s (%s)", category.__name__, text, line)


@contextmanager
def _bars(console: Console, live: _LiveRows) -> Iterator[Progress]:
    """Draw one bar a stage, below the rows that log records carry."""
    from rich import progress as rich
    from rich.console import Group
    from rich.live import Live

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TimeElapsedColumn(),
    )
    tasks: dict[str, rich.TaskID] = {}
    bars = rich.Progress(*columns, console=console)
    with Live(Group(live, bars), console=console, refresh_per_second=4):

        def show(stage: str, share: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=share)

        yield show


@contextmanager
def _lines() -> Iterator[Progress]:
    """Write a line when a stage begins, and then now and again."""
    shown: dict[str, str] = {}
    last = time.monotonic()

    def show(stage: str, share: float) -> None:
        nonlocal last
        now, done = time.monotonic(), f" {share:.0%}" if stage in shown else ""
        if stage in shown and (now - last < SECONDS_BETWEEN_LINES or shown[stage] == done):
            return
        write(f"{time.strftime('%H:%M:%S')} {stage}{done}", error=True)
        shown[stage] = done
        last = now

    yield show
