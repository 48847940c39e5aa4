"""What the command line shows."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import warnings

import pytest

from fraudml.cli import terminal

CapSys = pytest.CaptureFixture[str]
log = logging.getLogger("fraudml.some.package")


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_a_text_goes_to_its_stream(capsys: CapSys) -> None:
    terminal.write("result")
    terminal.write("about it", error=True)
    assert capsys.readouterr() == ("result\n", "about it\n")


def test_what_a_stream_cannot_encode_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.write("café – 5 €")
    stream.seek(0)
    assert stream.read() == "caf\\xe9 \\u2013 5 \\u20ac\n"


def test_a_table_shows_its_cells_as_they_are(capsys: CapSys) -> None:
    terminal.table("On the [test] block", [("savings", "0.4 [x]"), ("guard", "passed")])
    out = capsys.readouterr().out
    assert out.startswith("On the [test] block")
    for cell in ("savings", "0.4 [x]", "guard", "passed"):
        assert cell in out
    terminal.table("t", [("1", "2")], ("first", "second"))
    assert "second" in capsys.readouterr().out


def test_rows_of_records_are_a_growing_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.session() as progress, progress():
        for number in range(15):
            log.info("trial %d", number, extra={"row": {"trial": f"#{number}", "best": "[0.5]"}})
        log.info("a line of its own")
    shown = screen.getvalue()
    last = shown[shown.rindex("best") :]
    assert "#14" in last
    assert "[0.5]" in last
    assert "#2" not in last  # the latest twelve
    assert "and 3 before" in last
    assert "trial 14" not in shown
    assert "a line of its own" in shown


def test_rows_of_records_are_lines_elsewhere(capsys: CapSys) -> None:
    with terminal.session() as progress, progress():
        log.info("trial %d", 3, extra={"row": {"trial": "3"}})
    assert "INFO trial 3" in capsys.readouterr().err


def test_log_records_and_warnings_are_lines_without_a_terminal(capsys: CapSys) -> None:
    before = (warnings.showwarning, logging.getLogger("fraudml").handlers[:])
    with warnings.catch_warnings(), terminal.session():
        warnings.simplefilter("always")
        log.info("read %d rows", 5)
        log.debug("not shown")
        warnings.warn("something\n   over lines", UserWarning, stacklevel=1)
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert not out
    assert first[8:] == " INFO read 5 rows"
    assert " WARNING UserWarning: something over lines (test_terminal.py:" in second
    assert (warnings.showwarning, logging.getLogger("fraudml").handlers) == before
    log.info("after")
    assert not capsys.readouterr().err


def test_debug_shows_more(capsys: CapSys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUDML_DEBUG", "1")
    with terminal.session():
        log.debug("shown")
    assert "DEBUG shown" in capsys.readouterr().err


def test_a_stage_is_a_line_and_then_one_now_and_again(
    capsys: CapSys, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now)
    with terminal.session() as progress, progress() as show:
        for step in range(100):
            show("out of fold", step / 100)
            show("fit", step / 100)
            now += 0.2
        for _ in range(100):
            show("fit", 0.99)
            now += 0.2
    lines = [line[9:] for line in capsys.readouterr().err.splitlines()]
    assert lines[:2] == ["out of fold", "fit"]
    assert lines[2:] == [*("out of fold 25%", "out of fold 50%", "out of fold 75%"), "fit 99%"]


def test_stages_are_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.session() as progress, progress() as show:
        show("fit [0]", 0.0)
        log.warning("said between")
        show("fit [0]", 1.0)
        show("evaluate", 0.5)
    shown = screen.getvalue()
    for part in ("fit [0]", "100%", "evaluate", "50%", "said between"):
        assert part in shown


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes; run it on Linux or macOS")
@pytest.mark.parametrize("show", ["terminal.write('x')", "terminal.table('t', [('a', 'b')])"])
def test_a_reader_that_goes_away_ends_nothing(show: str) -> None:
    script = (
        f"from fraudml.cli import terminal\nfor _ in range(3):\n    {show}\n"
        "terminal.write('still here', error=True)"
    )
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"still here\n")
