"""The reports that the commands write, also as a browser sees them."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from builders import metrics_of, quick, repeat, simulated
from fraudml.cli import main

SMALL = (*simulated(), *quick())
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="apt-get install chromium runs it")


def page(folder: Path) -> str:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "report.md").read_text(encoding="utf-8").startswith("# ")
    assert not re.findall(r'(?:src|href)="(?!#|data:,")', text)
    return text


def test_train_writes_a_report_with_the_numbers_of_the_metrics(budget_run: Path) -> None:
    text, metrics = page(budget_run), metrics_of(budget_run)
    assert metrics["data"]["fingerprint"] in text
    assert f"counted on {metrics['data']['blocks']['test']['rows']:,} rows" in text
    recall = metrics["policy"]["test"]["recall"]["value"]
    assert f"It finds {100 * recall:.0f} % (" in text
    verdict = metrics["proof"]["resampling"]["verdict"]
    promise = "Constraint: alerts per day at most 5"
    for part in ("Ablation", f"resampling: {verdict}:", "entry_mode", promise):
        assert part in text, part


def test_the_report_is_the_same_from_run_to_run(budget_run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    command = ["train", *repeat(budget_run)]
    assert main([*command, f"output_dir={again}"]) == 0
    for name in ("report.html", "report.md"):
        assert (budget_run / name).read_bytes() == (again / name).read_bytes()


def test_a_refused_run_has_a_report_that_says_so_first(tmp_path: Path) -> None:
    folder = tmp_path / "refused"
    never = ("policy=fixed", "policy.threshold=1", "proof=false")
    assert main(["train", *SMALL, *never, f"output_dir={folder}"]) == 4
    text = page(folder)
    assert text.index("The guard refused this model") < text.index("<h2")
    assert "predicts the majority class" in text


def test_a_learner_without_contributions_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "forest"
    more = ("learner=random_forest", "learner.n_estimators=20", "proof=false")
    few = (*simulated(), *quick(None))
    assert main(["train", *few, *more, f"output_dir={folder}"]) in (0, 4)
    assert "There are no reasons for RandomForestClassifier" in page(folder)


def test_excluded_columns_and_ids_are_not_in_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "excluded"
    more = ("data.columns.exclude=[country,customer_age]", "proof=false")
    assert main(["train", *SMALL, *more, f"output_dir={folder}"]) == 0
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "country" not in text
        assert "customer_age" not in text


@pytest.mark.slow
def test_backtest_and_sweep_write_one(tmp_path: Path) -> None:
    walked, swept = tmp_path / "backtest", tmp_path / "sweep"
    rows = [*SMALL, "data.simulate.rows=12000"]
    more = ("backtest.refit=never", "backtest.folds=3")
    assert main(["backtest", *rows, *more, f"output_dir={walked}"]) == 0
    text = page(walked)
    for part in ("Fold by fold", "never refitted", "Over 3 folds", "fold 1: training"):
        assert part in text, part
    command = ["sweep", "+sweep=lightgbm", *SMALL, "budget.trials=3", f"output_dir={swept}"]
    assert main(command) == 0
    text = page(swept)
    for part in ("The search", "Trial after trial", "Comparison with baselines"):
        assert part in text, part


class Browser:
    """Chromium without a window, spoken to by its DevTools protocol over a pair of pipes."""

    def __init__(self) -> None:
        assert CHROMIUM is not None
        self._profile = tempfile.TemporaryDirectory()
        to_it, self._out = os.pipe()
        self._in, from_it = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4.
        wiring = f'exec 3<&{to_it} 4>&{from_it}; exec "$@"'
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")
        profile = f"--user-data-dir={self._profile.name}"
        self._process = subprocess.Popen(
            ["bash", "-c", wiring, "-", CHROMIUM, *flags, profile, "--remote-debugging-pipe"],
            pass_fds=(to_it, from_it),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_it)
        os.close(from_it)
        self._number, self._rest, self.events = 0, b"", list[dict[str, Any]]()
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        for domain in ("Page", "Network", "Runtime", "Log"):
            self(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        return self._ask(method, session=self._session["sessionId"], **params)

    def _ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        sent = message if session is None else {**message, "sessionId": session}
        os.write(self._out, json.dumps(sent).encode() + b"\0")
        for found in self._messages():
            if found.get("id") == self._number:
                assert "error" not in found, found
                return dict(found["result"])
            self.events.append(found)
        raise AssertionError("Chromium ended")

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            whole, end, rest = self._rest.partition(b"\0")
            if end:
                self._rest = rest
                yield json.loads(whole)
                continue
            piece = os.read(self._in, 1 << 20)
            if not piece:
                return
            self._rest += piece

    def show(self, path: Path, width: int = 1000, scheme: str = "light") -> None:
        """Open a file, and wait until everything in it is there."""
        self.events.clear()
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self("Emulation.setDeviceMetricsOverride", **size)
        scheme_ = [{"name": "prefers-color-scheme", "value": scheme}]
        self("Emulation.setEmulatedMedia", features=scheme_)
        self("Page.navigate", url=path.resolve().as_uri())
        self.value("new Promise(r => document.readyState == 'complete' ? r() : onload = r)")
        self.value("new Promise(r => setTimeout(r, 300))")

    def value(self, expression: str) -> Any:
        found = self(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, path: Path) -> None:
        """Take a picture of the whole page."""
        found = self("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def named(self, method: str) -> list[dict[str, Any]]:
        """Return the events of a name since the file was opened."""
        return [one["params"] for one in self.events if one.get("method") == method]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as made:
        yield made


COLOURS = """
(() => {
  const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
    .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const found = {};
  const text = 'p, a, th, td, caption, summary, svg text, .legend li';
  for (const e of document.querySelectorAll(text)) {
    const s = getComputedStyle(e), ink = light(e.closest('svg') ? s.fill : s.color);
    found[e.tagName] = Math.min(found[e.tagName] ?? 99,
      (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05));
  }
  return found;
})()"""


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 400])
def test_a_browser_shows_it_and_asks_for_nothing(
    budget_run: Path, browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    browser.show(budget_run / "report.html", width, scheme)
    asked = [one["request"]["url"] for one in browser.named("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [
        (budget_run / "report.html").resolve().as_uri()
    ]
    assert not browser.named("Log.entryAdded")
    assert not browser.named("Runtime.exceptionThrown")
    assert not browser.named("Runtime.consoleAPICalled")
    assert browser.value("document.querySelectorAll('svg').length") >= 8
    # The page never scrolls sideways: a wide table does, by itself.
    assert browser.value("document.documentElement.scrollWidth") <= width
    dark = browser.value("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    contrast = browser.value(COLOURS)
    assert len(contrast) >= 7
    assert all(found >= 4.5 for found in contrast.values()), contrast
    browser.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 20_000
    kept = os.environ.get("FRAUDML_PICTURES")
    if kept:
        shutil.copy(tmp_path / "page.png", Path(kept) / f"report_{width}_{scheme}.png")


@needs_chromium
@pytest.mark.slow
def test_the_browser_would_see_a_request_and_an_error(browser: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="gone.png"><script>console.error("no"); undefined_name()</script>')
    browser.show(bad)
    assert len(browser.named("Network.requestWillBeSent")) >= 2
    assert browser.named("Runtime.consoleAPICalled")
    assert browser.named("Runtime.exceptionThrown")


@needs_chromium
@pytest.mark.slow
def test_the_keyboard_reaches_the_report_first_and_then_its_plots(
    budget_run: Path, browser: Browser
) -> None:
    browser.show(budget_run / "report.html")
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    browser("Input.dispatchKeyEvent", type="keyDown", **key)
    assert browser.value("document.activeElement.className") == "skip"
    assert browser.value("document.querySelectorAll('details summary').length") >= 8
    browser.value("document.querySelector('details summary').click()")
    assert browser.value("document.querySelector('details').open") is True


@needs_chromium
@pytest.mark.slow
def test_a_comparison_fits_a_phone_and_asks_for_nothing(
    budget_run: Path, browser: Browser, tmp_path: Path
) -> None:
    copy = tmp_path / "another_run_with_a_rather_long_name_of_its_own"
    shutil.copytree(budget_run, copy)
    out = tmp_path / "out"
    few = ("threads=1", "evaluation.replicates=200")
    assert main(["compare", f"runs=[{budget_run},{copy}]", *few, f"output_dir={out}"]) == 0
    browser.show(out / "report.html", 400)
    assert len(browser.named("Network.requestWillBeSent")) <= 2  # the page, and its empty icon
    assert not browser.named("Log.entryAdded")
    assert browser.value("document.documentElement.scrollWidth") <= 400
