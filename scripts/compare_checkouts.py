"""Whether two checkouts of fraudml give the same numbers, to the bit.

    FRAUDML_DATA=… python scripts/compare_checkouts.py BEFORE AFTER --results DIR
    … --rows 60000                        # a small form: at most so many rows of each table
    … --rows handbook=200000              # or of one table
    … --data ulb gmsc --experiments smote # some of the cells
    … --renamed split.first_fit=split.initial_train_share --rename-file names.json

A cell is a data set and an experiment. Each checkout trains it in a process of its own; compared
are the exit code, metrics.json outside `run`, the content of test_scores.parquet, and the scores
of the bundle that BEFORE wrote, by BEFORE and by AFTER. A bit that differs ends the script with 1.

What has been computed stays in DIR and is computed again only where its command or the code of its
checkout has changed; `DIR/CELL/cell.json` has the result of a cell. The file of renames:

    {"keys": {"rivals": "baselines", "development/steps": "development/oof_folds"},
     "values": {"over": "budget_exhausted"}, "removed": ["test/cost"], "added": ["test/new_metric"]}

A key without a slash is renamed wherever it stands, columns of the scores included; a path with
slashes counts from the root, and what lies below it goes along. `values` are whole texts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

DATA = ("simulated", "ulb", "handbook", "gmsc")
EXPERIMENTS = ("baseline", "cost_sensitive", "smote", "undersample")
OVERRIDES = {"simulated": ("features=transactions",)}
"""What a data set is trained with besides: features of histories, where they take seconds."""
SIMULATED_ROWS = 200_000
ENTITIES = {"handbook": "CUSTOMER_ID"}
REFUSED = 4
"""The exit code of a run whose model the guard refused: whole, but without a bundle."""

KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class Renames:
    """Names that differ between the checkouts, from BEFORE's to AFTER's."""

    keys: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    removed: Sequence[str] = ()
    added: Sequence[str] = ()


@dataclass(frozen=True)
class Checkout:
    """A checkout: its folder, and the digest of its code and config files."""

    folder: Path
    digest: str


@dataclass(frozen=True)
class Step:
    """One command of one checkout: its exit code and what it took."""

    key: str
    exit_code: int
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Cell:
    """The result of one data set and experiment."""

    name: str
    differences: Sequence[str]
    before: Step
    after: Step


# Comparison: pure functions on documents and frames.


def leaves(document: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every value of a JSON document with its path; an empty container is a value."""
    items: Iterable[tuple[str, Any]] = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list):
        items = ((f"[{position}]", value) for position, value in enumerate(document))
    empty = True
    for name, value in items:
        empty = False
        yield from leaves(value, (*path, name))
    if empty:
        yield path, document


def renamed_path(path: KeyPath, keys: Mapping[str, str]) -> KeyPath:
    """Return a path by the new names: the longest path that is renamed, then single keys."""
    for size in range(len(path), 1, -1):
        new = keys.get("/".join(path[:size]))
        if new is not None:
            return (*new.split("/"), *(keys.get(key, key) for key in path[size:]))
    return tuple(keys.get(key, key) for key in path)


def without(values: Mapping[KeyPath, Any], paths: Iterable[str]) -> dict[KeyPath, Any]:
    """Return the values that lie at or below none of the paths."""
    dropped = {tuple(path.split("/")) for path in paths}
    return {
        path: value
        for path, value in values.items()
        if not any(path[:size] in dropped for size in range(1, len(path) + 1))
    }


def metric_differences(before: Any, after: Any, renames: Renames) -> list[str]:
    """Return what differs between two metrics.json outside `run`, path by path."""
    old = without(dict(leaves(before)), ["run", *renames.removed])
    new = without(dict(leaves(after)), ["run", *renames.added])
    mapped: dict[KeyPath, Any] = {}
    for path, value in old.items():
        target = renamed_path(path, renames.keys)
        if target in mapped:
            raise SystemExit(f"Two keys are renamed to {'/'.join(target)!r}: mend --rename-file.")
        mapped[target] = renames.values.get(value, value) if isinstance(value, str) else value
    missing = "absent"
    pairs = {path: (mapped.get(path, missing), new.get(path, missing)) for path in mapped | new}
    return [
        f"{'/'.join(path)}: {was!r} is now {now!r}"
        for path, (was, now) in sorted(pairs.items())
        # As text, so that 1 is not 1.0, 0.0 is not -0.0, and NaN is NaN.
        if repr(was) != repr(now) or (path in mapped) != (path in new)
    ]


def frame_differences(before: pl.DataFrame, after: pl.DataFrame, renames: Renames) -> list[str]:
    """Return what differs between two tables: columns, types, rows, and the first unequal row."""
    before = before.rename({name: renames.keys.get(name, name) for name in before.columns})
    if before.schema != after.schema:
        return [f"columns: {dict(before.schema)} are now {dict(after.schema)}"]
    if before.height != after.height:
        return [f"rows: {before.height} are now {after.height}"]
    return [text for name in before.columns if (text := _moved(before[name], after[name]))]


def _moved(before: pl.Series, after: pl.Series) -> str | None:
    """Return the first row in which a column differs."""
    if before.dtype.is_float():
        before, after = _bits(before), _bits(after)
    unequal = before.ne_missing(after)
    row = unequal.arg_max()
    if row is None or not unequal[row]:
        return None
    values = f"{before[row]} is now {after[row]}"
    return f"column {before.name}, {unequal.sum()} rows, first {row}: {values}"


def _bits(column: pl.Series) -> pl.Series:
    """Return decimals as texts that differ where their bits do."""
    return column.cast(pl.String)


# Running: commands of a checkout, each kept in a folder with what it took.


def find_checkout(folder: Path) -> Checkout:
    """Return a checkout whose own package is the one that its commands import."""
    folder = folder.resolve()
    code = "import fraudml, pathlib; print(pathlib.Path(fraudml.__file__).resolve().parents[1])"
    answer = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.stdout.strip() != str(folder):
        raise SystemExit(
            f"{folder} is no checkout of fraudml: its commands would import "
            f"{answer.stdout.strip() or answer.stderr.strip()}. Name the folder above fraudml/."
        )
    return Checkout(folder, _digest(folder))


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which a checkout runs, leaving no trace in its folder."""
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def _digest(folder: Path) -> str:
    """Return the SHA-256 of all code and config of a checkout."""
    paths = [path for part in ("fraudml", "conf") for path in (folder / part).rglob("*")]
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.suffix in {".py", ".yaml"}):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def run_step(
    checkout: Checkout, folder: Path, command: Sequence[str], inputs: Sequence[Path] = ()
) -> Step:
    """Run a command in an empty folder, or return what it took where it has run like this."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs]
    key = json.dumps([checkout.digest, *command, *digests])
    record = folder / "step.json"
    if record.is_file():
        step = Step(**json.loads(record.read_text(encoding="utf-8")))
        # A failure may have been the machine's: it is tried again.
        if step.key == key and step.exit_code in {0, REFUSED}:
            return step
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    step = Step(key, *timed(checkout, folder, command))
    record.write_text(json.dumps(asdict(step), indent=1) + "\n", encoding="utf-8")
    return step


def timed(checkout: Checkout, folder: Path, command: Sequence[str]) -> tuple[int, float, float]:
    """Run a command; return its exit code, its seconds and those of the CPU."""
    started, used = time.perf_counter(), _cpu_seconds()
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        process = subprocess.run(
            [sys.executable, "-m", "fraudml", *command],
            cwd=folder,
            env=environment(checkout.folder),
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    seconds = time.perf_counter() - started
    return process.returncode, round(seconds, 2), round(_cpu_seconds() - used, 2)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# Cells.


@dataclass(frozen=True)
class Comparison:
    """Two checkouts, where the results are, and what to vary."""

    before: Checkout
    after: Checkout
    results: Path
    renames: Renames
    override_names: Mapping[str, str]
    rows: Mapping[str, int]
    overrides: Sequence[str]

    def renamed(self, overrides: Iterable[str]) -> list[str]:
        """Return overrides by AFTER's names; a section that is renamed takes its keys along."""
        return [self._renamed_override(override) for override in overrides]

    def _renamed_override(self, override: str) -> str:
        key, equals, value = override.partition("=")
        plus, name = key[: len(key) - len(key.lstrip("+~"))], key.lstrip("+~")
        for old, new in self.override_names.items():
            if name == old or name.startswith(f"{old}."):
                name = f"{new}{name[len(old) :]}"
                break
        return f"{plus}{name}{equals}{value}"

    def table(self, data: str) -> Path | None:
        """Return a data set's table, thinned to the rows asked for; none where it is simulated."""
        if data == "simulated":
            return None
        source = Path(os.environ.get("FRAUDML_DATA", "data")).resolve() / f"{data}.parquet"
        scan, limit = pl.scan_parquet(source), self.rows.get(data)
        total = scan.select(pl.len()).collect().item()
        if limit is None or limit >= total:
            return source
        path = self.results / "tables" / f"{data}_{limit}.parquet"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            every = -(-total // limit)
            entity = ENTITIES.get(data)
            picked = pl.col(entity) % every == 0 if entity else pl.int_range(pl.len()) % every == 0
            scan.filter(picked).collect().write_parquet(path.with_suffix(".partial"))
            path.with_suffix(".partial").rename(path)
        return path

    def data_overrides(self, data: str) -> list[str]:
        """Return what names the data set and its rows."""
        table, rows = self.table(data), self.rows.get(data, SIMULATED_ROWS)
        source = f"data.path={table}" if table else f"data.simulate.rows={rows}"
        return [f"data={data}", source]

    def input(self, data: str) -> Path:
        """Return the table that the bundle scores."""
        table = self.table(data)
        if table is not None:
            return table
        path = self.results / "tables" / data / "table.parquet"
        command = ["simulate", *self.data_overrides(data), f"output={path}"]
        step = run_step(self.before, path.parent, command)
        if step.exit_code:
            raise SystemExit(f"simulate ended with {step.exit_code}: {path.parent / 'log.txt'}.")
        return path

    def run_cell(self, data: str, experiment: str) -> Cell:
        """Train a cell by both checkouts, score BEFORE's bundle by both, and compare."""
        folder = self.results / f"{data}-{experiment}"
        chosen = [*self.data_overrides(data), *OVERRIDES.get(data, ()), *self.overrides]
        command = ["train", f"+experiment={experiment}", *chosen, "output_dir=run"]
        before = run_step(self.before, folder / "before", command)
        after = run_step(self.after, folder / "after", self.renamed(command))
        differences = self.run_differences(folder, before, after)
        if before.exit_code == 0:
            differences += self.bundle_differences(folder, self.input(data))
        cell = Cell(f"{data} {experiment}", differences, before, after)
        text = json.dumps(asdict(cell), indent=1, ensure_ascii=False)
        (folder / "cell.json").write_text(text + "\n", encoding="utf-8")
        return cell

    def run_differences(self, folder: Path, before: Step, after: Step) -> list[str]:
        """Compare what two trainings left."""
        if before.exit_code not in {0, REFUSED} or before.exit_code != after.exit_code:
            codes = f"exit code: {before.exit_code} is now {after.exit_code}"
            return [f"{codes} ({folder}/*/log.txt)"]
        runs = folder / "before" / "run", folder / "after" / "run"
        old, new = (json.loads((run / "metrics.json").read_text("utf-8")) for run in runs)
        was, now = (pl.read_parquet(run / "test_scores.parquet") for run in runs)
        return [
            *(f"metrics.json {text}" for text in metric_differences(old, new, self.renames)),
            *(f"test_scores.parquet {text}" for text in frame_differences(was, now, self.renames)),
        ]

    def bundle_differences(self, folder: Path, table: Path) -> list[str]:
        """Score with BEFORE's bundle by both checkouts, and compare."""
        bundle = folder / "before" / "run" / "bundle"
        command = ["score", f"bundle={bundle}", f"input={table}", "output=scores.parquet"]
        command.append("allow_short_history=true")
        folders = folder / "before_scores", folder / "after_scores"
        inputs = [bundle / "manifest.json", table]
        steps = (
            run_step(self.before, folders[0], command, inputs),
            run_step(self.after, folders[1], self.renamed(command), inputs),
        )
        codes = [step.exit_code for step in steps]
        if any(codes):
            return [f"exit code of score: {codes[0]} is now {codes[1]} ({folder}/*_scores/log.txt)"]
        was, now = (pl.read_parquet(folder / "scores.parquet") for folder in folders)
        return [f"bundle's scores {text}" for text in frame_differences(was, now, self.renames)]


# Command line.


def pair(text: str) -> tuple[str, str]:
    """Read OLD=NEW."""
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise argparse.ArgumentTypeError(f"{text!r} is not OLD=NEW.")
    return old, new


def row_limits(texts: Iterable[str]) -> dict[str, int]:
    """Read N, for all data sets, and DATA=N."""
    limits: dict[str, int] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        if not number.isdecimal() or int(number) < 1 or (equals and name not in DATA):
            raise SystemExit(f"--rows: {text!r} is neither N nor DATA=N, DATA of {DATA}.")
        limits |= {data: int(number) for data in ([name] if equals else DATA)}
    return limits


def read_renames(path: Path | None) -> Renames:
    """Read the file of renames."""
    content = json.loads(path.read_text(encoding="utf-8")) if path else {}
    unknown = set(content) - {"keys", "values", "removed", "added"}
    if unknown:
        raise SystemExit(f"{path}: {sorted(unknown)} are not of keys, values, removed, added.")
    return Renames(**content)


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--results", type=Path, required=True, metavar="DIR")
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--experiments", nargs="+", default=EXPERIMENTS)
    parser.add_argument("--rows", nargs="+", default=(), metavar="[DATA=]N")
    parser.add_argument("--overrides", nargs="+", default=(), help="of train, by BEFORE's names")
    parser.add_argument("--renamed", nargs="+", type=pair, default=(), metavar="OLD=NEW")
    parser.add_argument("--rename-file", type=Path, metavar="JSON")
    return parser.parse_args(arguments)


def line(cell: Cell) -> str:
    """Return a cell's row of the table."""
    seconds = "".join(
        f"{step.seconds:>9.1f}{step.cpu_seconds:>9.1f}" for step in (cell.before, cell.after)
    )
    rest = len(cell.differences) - 1
    more = f" (and {rest} more)" if rest > 0 else ""
    result = f"{cell.differences[0]}{more}" if cell.differences else "equal"
    return f"{cell.name:26}{seconds}  {result}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of cells; return 1 where any differs."""
    chosen = options(arguments)
    comparison = Comparison(
        before=find_checkout(chosen.before),
        after=find_checkout(chosen.after),
        results=chosen.results.resolve(),
        renames=read_renames(chosen.rename_file),
        override_names=dict(chosen.renamed),
        rows=row_limits(chosen.rows),
        overrides=chosen.overrides,
    )
    print(f"{'cell':26}{'before s':>9}{'CPU s':>9}{'after s':>9}{'CPU s':>9}  result")
    differ = 0
    for data in chosen.data:
        for experiment in chosen.experiments:
            cell = comparison.run_cell(data, experiment)
            differ += bool(cell.differences)
            print(line(cell), flush=True)
    print(f"{differ} cells differ" if differ else "all cells are equal")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
