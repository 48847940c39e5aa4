"""The arrows of the house: which room may import which, and what stays out of a light import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fraudml

HOUSE = Path(fraudml.__file__).parent
LEAVES = {"addresses", "errors", "matrix", "progress", "files", "seeds", "machine"}

ARROWS: dict[str, set[str]] = {
    "addresses": {"errors"},
    "errors": set(),
    "matrix": set(),
    "progress": set(),
    "seeds": set(),
    "machine": {"errors"},
    "files": {"errors"},
    "metrics": {"errors"},
    "data": set(),
    "split": {"data"},
    "features": {"data"},
    "audit": {"data", "features", "learners", "metrics", "split"},
    "resampling": set(),
    "weighting": set(),
    "learners": set(),
    "recipe": {"decisions", "learners", "resampling", "weighting"},
    "decisions": {"metrics"},
    "evaluation": {"metrics", "data", "decisions", "learners", "recipe", "split"},
    "bundle": {"data", "decisions", "features", "learners"},
    "export": {"bundle", "decisions", "learners"},
    "scoring": {"bundle", "data", "decisions", "export", "features"},
    "report": set(),
    "sweep": {"decisions", "split"},
    "config": {
        "audit", "data", "decisions", "evaluation", "export", "features", "learners", "resampling",
        "split", "sweep", "weighting",
    },
    "workflows": {
        "audit", "bundle", "config", "data", "decisions", "evaluation", "export", "features",
        "learners", "metrics", "recipe", "report", "resampling", "scoring", "split", "sweep",
        "weighting",
    },
    "terminal": set(),
    "commands": set(),
    "cli": {"commands", "config", "terminal", "workflows"},
    "__init__": {"config", "metrics", "scoring", "workflows"},
    "__main__": {"cli"},
}  # fmt: skip
"""From room to room; the leaves besides are open to all that are no leaves themselves."""

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
    "rich": {"terminal"},
    "matplotlib": {"report"},
    "pandas": set(),
    "pickle": set(),
    "joblib": {"learners"},
    "cloudpickle": set(),
}
"""Libraries that one room alone may touch."""

LATE = {
    *("lightgbm", "xgboost", "catboost", "sklearn", "imblearn"),
    *("matplotlib", "optuna", "skops", "pandas", "psycopg", "rich"),
    *("onnx", "onnxruntime", "tl2cgen", "treelite"),
}
"""Libraries that are imported inside functions, so that a command starts at once."""

FILES = sorted(HOUSE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


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


def rooms_of(path: Path) -> set[str]:
    names = imported(ast.parse(path.read_text(encoding="utf-8")))
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "fraudml" and len(part) > 1}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_the_arrows(path: Path) -> None:
    here = room(path)
    assert here in ARROWS, f"a new room, {here}: give it its arrows"
    leaves = set() if here in LEAVES else LEAVES
    others = rooms_of(path) - {here, "__version__"}
    assert others <= ARROWS[here] | leaves, others - ARROWS[here] - leaves


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_library_is_the_business_of_one_room(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    libraries = {name.partition(".")[0] for name in imported(tree)}
    wrong = {name for name in libraries & set(ONLY_IN) if room(path) not in ONLY_IN[name]}
    assert not wrong
    early = {name.partition(".")[0] for name in at_the_top(tree)} & LATE
    assert not early, f"{early}: import it inside the function that needs it"


def test_the_table_has_no_room_that_is_gone_and_no_cycle() -> None:
    assert set(ARROWS) == {room(path) for path in FILES}
    below: set[str] = set()
    left = dict(ARROWS)
    while left:
        done = {name for name, edges in left.items() if edges <= below}
        assert done, f"a cycle among {sorted(left)}"
        below |= done
        left = {name: edges for name, edges in left.items() if name not in done}


def loaded(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return set(made.stdout.split())


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
