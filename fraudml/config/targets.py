"""From a dotted path to the class or function that it names."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from types import ModuleType
from typing import Any

from fraudml.config.renamed import current_target
from fraudml.errors import ConfigError, MachineError, nearest
from fraudml.parts import targets

TARGET = "_target_"

ALLOWED = ("fraudml.", "imblearn.", "sklearn.", "lightgbm.", "xgboost.", "catboost.")
"""The packages of a target; the key `components.allow` adds to them."""

EXTRAS = {
    "xgboost": "xgboost",
    "catboost": "catboost",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "tl2cgen": "c",
    "treelite": "c",
    "dask": "dask",
    "distributed": "dask",
    "mlflow": "mlflow",
    "psycopg": "postgres",
}
"""The extra of fraudml that installs a library."""


def find_target(path: object, key_path: str, allowed: Collection[str] = ALLOWED) -> Any:
    """Import the class or function of a component; `key_path` is its dotted path in the config.

    The path is registered by an installed package, or both the path and the home of what it names
    begin with one of `allowed`. An old name of the table in `renamed` is understood.

    Raises
    ------
    ConfigError
        It is not allowed, not there (with the nearest names), cannot be called, or its library is
        not installed (with what to install).
    MachineError
        The library is installed and cannot be loaded.
    """
    key = f"{key_path}.{TARGET}"
    if not isinstance(path, str):
        raise ConfigError(f"{key} is {path!r}. It is a dotted path, or null.")
    path = current_target(path)
    target = find_object(path, key, allowed)
    module = path.rpartition(".")[0]
    home = f"{getattr(target, '__module__', module)}."
    if not callable(target) or not (path in targets() or home.startswith(_roots(allowed))):
        raise ConfigError(
            f"{key} is '{path}', which is no class or function of its library. "
            f"{_near_name('', importlib.import_module(module))}"
        )
    return target


def find_object(path: str, key: str, allowed: Collection[str]) -> Any:
    """Import what a dotted path names: a module, a dot, and a name in it; errors as above."""
    if path not in targets() and not path.startswith(_roots(allowed)):
        begins = ", ".join(f"'{root}'" for root in _roots(allowed))
        raise ConfigError(
            f"{key} is '{path}'. It begins with one of {begins}; add to them by "
            f"components.allow=[{path.partition('.')[0]}]."
        )
    module_name, _, name = path.rpartition(".")
    module = _import(module_name, key, path)
    target = getattr(module, name, _MISSING)
    if target is _MISSING:
        raise ConfigError(
            f"{key} is '{path}', but {module_name} has no '{name}'. {_near_name(name, module)}"
        )
    return target


def _roots(allowed: Collection[str]) -> tuple[str, ...]:
    return tuple(prefix.rstrip(".") + "." for prefix in allowed)


_MISSING = object()


def _import(name: str, key: str, path: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{key} is '{path}', {_missing(name, error.name or name)}") from error
    except ImportError as error:
        raise ConfigError(f"{key} is '{path}', and importing {name} fails: {error}.") from error
    except OSError as error:
        raise MachineError(
            f"{key} is '{path}', and {name.partition('.')[0]} cannot be loaded: {error}. It needs "
            "the OpenMP runtime: 'brew install libomp' on macOS, 'apt install libgomp1' on Debian."
        ) from error


def _missing(name: str, lacking: str) -> str:
    """Say which library or module is not there, when `name` was imported."""
    parent, _, module = lacking.rpartition(".")
    if not parent or not f"{name}.".startswith(f"{lacking}."):
        library = lacking.partition(".")[0]
        if library == name.partition(".")[0] and f"{library}." not in ALLOWED:
            return (
                f"and there is no module {library}. Put the folder that has it on PYTHONPATH, or "
                "install its package."
            )
        install = f"fraudml[{EXTRAS[library]}]" if library in EXTRAS else library
        return (
            f"which needs the library {library}, and it is not installed. "
            f'Run: pip install "{install}"'
        )
    package = importlib.import_module(parent)
    known = [module.name for module in pkgutil.iter_modules(getattr(package, "__path__", []))]
    public = [name for name in known if not name.startswith("_")]
    return f"but {parent} has no module '{module}'. {nearest(module, public)}"


def _near_name(name: str, module: ModuleType) -> str:
    public = [
        known
        for known in getattr(module, "__all__", None) or dir(module)
        if not known.startswith("_") and callable(getattr(module, known, None))
    ]
    return nearest(name, public)
