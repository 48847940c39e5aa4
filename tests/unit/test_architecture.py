"""Which package may import which, no cycle between files, and what stays out of a light import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fraudml

PACKAGE = Path(fraudml.__file__).parent
LEAVES = {
    *("addresses", "cgroup", "errors", "files", "machine", "matrix", "openmp", "parts"),
    *("printable", "progress", "seeds", "version"),
}

ALLOWED: dict[str, set[str]] = {
    "version": set(),
    "addresses": {"errors"},
    "errors": set(),
    "matrix": set(),
    "parts": {"errors"},
    "printable": set(),
    "progress": set(),
    "seeds": set(),
    "shift": set(),
    "cgroup": set(),
    "openmp": set(),
    "machine": {"cgroup", "openmp"},
    "files": {"errors"},
    "metrics": {"errors"},
    "data": set(),
    "split": {"data"},
    "features": {"data"},
    "audit": {"data", "features", "learners", "metrics", "shift", "split"},
    "resampling": set(),
    "weighting": set(),
    "learners": set(),
    "recipe": {"decisions", "learners", "resampling", "weighting"},
    "decisions": {"metrics"},
    "evaluation": {"metrics", "data", "decisions", "learners", "recipe", "split"},
    "bundle": {"data", "decisions", "features", "learners", "shift"},
    "export": {"bundle", "decisions", "learners"},
    "scoring": {"bundle", "data", "decisions", "export", "features", "shift"},
    "report": set(),
    "config": {
        "audit", "data", "decisions", "evaluation", "export", "features", "learners", "metrics",
        "resampling", "split", "weighting",
    },
    "pipeline": {
        "audit", "bundle", "config", "data", "decisions", "evaluation", "features", "learners",
        "metrics", "recipe", "resampling", "scoring", "shift", "split",
    },
    "records": {
        "audit", "bundle", "config", "data", "decisions", "evaluation", "metrics", "pipeline",
        "report", "scoring", "split",
    },
    "sweep": {
        "config", "data", "decisions", "evaluation", "learners", "metrics", "pipeline", "recipe",
        "records", "split",
    },
    "workflows": {
        "audit", "bundle", "config", "data", "decisions", "evaluation", "export", "features",
        "learners", "metrics", "pipeline", "records", "report", "scoring", "split", "sweep",
    },
    "cli": {"config", "workflows"},
    "__init__": {"config", "metrics", "scoring", "workflows"},
    "__main__": {"cli"},
}  # fmt: skip
"""From package to package; the leaves besides are open to all that are no leaves themselves."""

ONLY_IN: dict[str, set[str]] = {
    "hydra": {"config"},
    "omegaconf": {"config"},
    "imblearn": {"resampling"},
    "lightgbm": {"learners"},
    "xgboost": {"learners"},
    "catboost": {"learners"},
    "onnx": {"export"},
    "onnxruntime": {"export"},
    "tl2cgen": {"export"},
    "treelite": {"export"},
    "psycopg": {"data"},
    "rich": {"cli"},
    "matplotlib": set(),
    "pandas": set(),
    "pickle": set(),
    "joblib": {"learners"},
    "cloudpickle": set(),
}
"""Libraries that one package alone may touch."""

LATE = {
    *("lightgbm", "xgboost", "catboost", "sklearn", "imblearn"),
    *("optuna", "skops", "pandas", "psycopg", "rich"),
    *("onnx", "onnxruntime", "tl2cgen", "treelite"),
}
"""Libraries that are imported inside functions, so that a command starts at once."""

FILES = sorted(PACKAGE.rglob("*.py"))


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in a file, for types alone or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            inside = node.module == "fraudml"
            yield from (f"fraudml.{name.name}" for name in node.names) if inside else [node.module]


def at_the_top(tree: ast.Module) -> Iterator[str]:
    """What runs when the module is imported: not in functions, not under TYPE_CHECKING."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(node)


def imported_packages(path: Path) -> set[str]:
    names = imported(ast.parse(path.read_text(encoding="utf-8")))
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "fraudml" and len(part) > 1}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_between_packages(path: Path) -> None:
    here = package_of(path)
    assert here in ALLOWED, f"a new package, {here}: say what it may import"
    leaves = set() if here in LEAVES else LEAVES
    others = imported_packages(path) - {here, "__version__"}
    assert others <= ALLOWED[here] | leaves, others - ALLOWED[here] - leaves


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_is_used_by_one_package(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    libraries = {name.partition(".")[0] for name in imported(tree)}
    wrong = {name for name in libraries & set(ONLY_IN) if package_of(path) not in ONLY_IN[name]}
    assert not wrong
    early = {name.partition(".")[0] for name in at_the_top(tree)} & LATE
    assert not early, f"{early}: import it inside the function that needs it"


def test_the_table_has_every_package_and_no_cycle() -> None:
    assert set(ALLOWED) == {package_of(path) for path in FILES}
    below: set[str] = set()
    left = dict(ALLOWED)
    while left:
        done = {name for name, edges in left.items() if edges <= below}
        assert done, f"a cycle among {sorted(left)}"
        below |= done
        left = {name: edges for name, edges in left.items() if name not in done}


def module_name(path: Path) -> str:
    parts = ("fraudml", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_files(path: Path, modules: set[str]) -> set[str]:
    """The files that a file needs: imported for any purpose, or named as text to be started."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = {f"{node.module}.{name.name}" for name in node.names}
            names |= whole & modules or {str(node.module)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= {node.value} - {"fraudml"}  # the name of the logger
    return (names & modules) - {module_name(path)}


def cycle_among(edges: dict[str, set[str]]) -> set[str]:
    """What is left when files that need nothing that is left are taken away, from both ends."""
    left = {name: set(needs) for name, needs in edges.items()}
    while True:
        needed = set().union(*left.values())
        ends = {name for name, needs in left.items() if not needs or name not in needed}
        if not ends:
            return set(left)
        left = {name: needs - ends for name, needs in left.items() if name not in ends}


def test_there_is_no_cycle_between_files() -> None:
    modules = {module_name(path) for path in FILES}
    assert not cycle_among({module_name(path): imported_files(path, modules) for path in FILES})


def test_a_module_that_is_started_by_name_counts_as_an_import() -> None:
    started = PACKAGE / "sweep" / "process.py"
    assert "fraudml.sweep.worker" in imported_files(started, {"fraudml.sweep.worker"})
    assert cycle_among({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {"a", "b", "c"}
    assert not cycle_among({"a": {"b"}, "b": {"c"}, "c": set()})


VAGUE = {"made", "said", "told", "found", "one"}
"""Names that hide what they hold: a result, a message, options, matches, the item's own noun."""


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Every name that a file gives: to values, parameters, attributes, functions and classes."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(asname=str(name)) | ast.MatchAs(name=str(name)):
                yield name


@pytest.mark.parametrize(
    "path",
    [*FILES, *sorted((PACKAGE.parent / "scripts").glob("*.py"))],
    ids=lambda path: str(path.relative_to(PACKAGE.parent)),
)
def test_a_name_is_the_noun_of_what_it_holds(path: Path) -> None:
    names = set(bound_names(ast.parse(path.read_text(encoding="utf-8"))))
    assert not {name for name in names if name.strip("_") in VAGUE}


def test_vague_names_are_seen_wherever_they_are_bound() -> None:
    source = "one = 1\ndef said(told): found.made = [one for one in told]\n"
    assert set(bound_names(ast.parse(source))) == {"one", "said", "told", "made"}


def loaded(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return set(ended.stdout.split())


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import fraudml", "lightgbm sklearn polars numpy hydra omegaconf scipy rich"),
        (
            "import fraudml.scoring",
            "hydra omegaconf optuna imblearn matplotlib sklearn lightgbm pandas",
        ),
        ("import fraudml; fraudml.metrics", "polars sklearn hydra matplotlib lightgbm"),
        ("import fraudml; fraudml.train", "hydra omegaconf optuna imblearn matplotlib sklearn"),
        ("import fraudml.cli", "lightgbm sklearn imblearn optuna matplotlib polars hydra"),
    ],
)
def test_a_light_import_stays_light(statement: str, heavy: str) -> None:
    assert not loaded(statement) & set(heavy.split())


def test_the_public_names_are_there() -> None:
    assert set(fraudml.__all__) <= set(dir(fraudml))
    for name in fraudml.__all__:
        assert getattr(fraudml, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fraudml.nothing
