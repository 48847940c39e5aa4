"""Every block of commands and of Python in README and docs runs, page by page, on small tables.

A page runs from top to bottom in a folder of its own, where the files lie that its words suppose
(`purchases.csv` and so on). A block under `<!-- file: PATH -->` is the content of that file.
Commands of fraudml run in this process with `SMALLER` and `FASTER` behind them, which make tables
and models small and change nothing else; all other lines run in a shell. What cannot run here has
`<!-- not run: REASON -->` above it.
"""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fraudml.cli import main
from fraudml.cli.commands import COMMANDS
from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate

TOP = Path(__file__).parents[2]
PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((TOP / "docs").glob("*.md"))))
SLOW = {
    "README.md",
    *(f"docs/{name}.md" for name in ("extending", "python", "retraining", "sweeps", "tutorial")),
    *(f"docs/{name}.md" for name in ("export", "report", "refit")),
}
"""Pages that take over five seconds."""

SMALLER = {
    "data.simulate.rows": "12000",
    "data.simulate.prevalence": "0.04",
    "data.simulate.cards": "1500",
    "data.simulate.terminals": "100",
}
FASTER = {
    "evaluation.replicates": "100",
    "threads": "1",
    "budget.trials": "2",
    "backtest.folds": "2",
}
ROUNDS = {
    "lightgbm": "learner.num_iterations",
    "xgboost": "learner.num_boost_round",
    "catboost": "learner.iterations",
}
NUMBERS = itertools.count()
EXIT_CODES_OF_A_REFUSAL = (0, 4)
"""A tiny table may hold too little for a promise: the folder is whole all the same."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    not_run: str | None
    file: str | None


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, each with the reason above it where it is not to be run."""
    text = (TOP / page).read_text(encoding="utf-8")
    fence = re.compile(
        r"(?:<!-- (?:not run: (?P<why>[^>]+)|file: (?P<file>\S+)) -->\n)?"
        r"^```(?P<language>\w+)\n(?P<body>.*?)^```$",
        re.MULTILINE | re.DOTALL,
    )
    return [
        Block(
            found["language"],
            found["body"],
            text.count("\n", 0, found.start("body")) + 1,
            found["why"],
            found["file"],
        )
        for found in fence.finditer(text)
    ]


def runnable(page: str) -> list[Block]:
    return [
        block
        for block in blocks(page)
        if block.language in ("bash", "python") or block.file is not None
    ]


def command_lines(text: str) -> Iterator[str]:
    """Whole commands, each with the lines that it goes on over."""
    yield from (line for line in text.replace("\\\n", " ").splitlines() if line.strip())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Blocks of Python take no overrides; threads that wait for each other would take minutes.
    monkeypatch.setattr("fraudml.machine.granted_threads", lambda: 1)
    table = simulate(SimulateSettings(rows=12_000, prevalence=0.04, cards=1500, terminals=100))
    # Known labels alone, and a cut with a whole past before it: what a page calls new is later.
    earlier, new = table.head(11_000), table.tail(1_000)
    earlier.write_parquet("earlier.parquet")
    new.write_parquet("new.parquet")
    new.write_csv("new.csv")
    for name, part in (("purchases.csv", earlier), ("purchases_new.csv", new)):
        own(part).write_csv(name, datetime_format="%Y-%m-%d %H:%M:%S")
    return tmp_path


def own(table: pl.DataFrame) -> pl.DataFrame:
    """The table of the tutorial."""
    return table.select(
        number="transaction_id",
        booked_at="time",
        card="card_id",
        shop="terminal_id",
        total="amount",
        is_fraud="label",
    )


def smaller(arguments: list[str]) -> list[str]:
    """What makes a command small; what the page says itself of a table or a learner stays."""
    said = {word.partition("=")[0].lstrip("+"): word.partition("=")[2] for word in arguments}
    command = arguments[0]
    said_elsewhere = command in ("score", "export", "compare", "show", "doctor")
    if said_elsewhere or {"--help", "--cfg"} & set(arguments):
        return []
    if "from_run" in said:  # its settings are those of a run that was small
        return ["threads=1"]
    added = dict(SMALLER) if said.get("data", "simulated") == "simulated" else {}
    if command in ("train", "backtest", "sweep"):
        added |= FASTER
        rounds = ROUNDS.get(said.get("learner", "lightgbm"))
        if rounds is not None and "experiment" not in said and "sweep" not in said:
            added[rounds] = "20"
    if command in ("train", "backtest", "audit") and "output_dir" not in said:
        # By default a folder is named by the second, and small runs take less than one.
        added["output_dir"] = f"runs/{next(NUMBERS)}"
    always = {"budget.trials", "data.simulate.rows"}
    return [f"{key}={value}" for key, value in added.items() if key in always or key not in said]


def run_line(line: str, where: str) -> None:
    words = shlex.split(line, comments=True)
    if words[0] == "PYTHONPATH=.":  # the folder is on the path of this process
        words.pop(0)
    if words[:3] != ["python", "-m", "fraudml"]:
        done = subprocess.run(["bash", "-euc", line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{where}: {line}\n{done.stderr}"
        return
    arguments = words[3:]
    code = main([*arguments, *smaller(arguments)])
    assert code in EXIT_CODES_OF_A_REFUSAL, f"{where}: {line}\nended with {code}"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else [])
        for page in PAGES
        if runnable(page)
    ],
)
def test_the_blocks_of_a_page_run(page: str, folder: Path) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    for block in runnable(page):
        where = f"{page}:{block.line}"
        if block.not_run is not None:
            continue
        if block.file is not None:
            path = Path(block.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, where, "exec"), space)
        else:
            for line in command_lines(block.text):
                run_line(line, where)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_has_a_reason_and_is_a_command_all_the_same(page: str) -> None:
    text = (TOP / page).read_text(encoding="utf-8")
    reasons = re.findall(r"<!-- not run: (.+?) -->", text)
    assert len(reasons) == len([block for block in blocks(page) if block.not_run])
    assert all(len(reason) > 10 for reason in reasons)
    for command in re.findall(r"python -m fraudml ([a-z]+)\b", text):
        assert command in COMMANDS, f"{page}: {command}"


def test_the_pages_have_blocks_to_run() -> None:
    run = [block for page in PAGES for block in runnable(page) if block.not_run is None]
    assert len(run) > 20
