"""From a dotted path to the class or function that it names."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from types import ModuleType
from typing import Any

from fraudml.config.renamed import current_target
from fraudml.errors import ConfigError, MachineError, nearest

TARGET = "_target_"

ALLOWED = ("fraudml.", "imblearn.", "sklearn.", "lightgbm.", "xgboost.", "catboost.")
"""What a target may begin with; the key `components.allow` adds to it."""

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
"""Which extra of fraudml brings a library."""


def find_target(path: object, where: str, allowed: Collection[str] = ALLOWED) -> Any:
    """Import what a dotted path names.

    Parameters
    ----------
    path : str
        A module, a dot, and a name in it; an old name stands for the new one.
    where : str
        The component's dotted path in the config, for messages.
    allowed : collection of str
        What the path may begin with, and where what is found must come from.

    Raises
    ------
    ConfigError
        It is not allowed, not there (with the nearest names), cannot be called, or its library is
        not installed (with what to install).
    MachineError
        The library is installed and cannot be loaded.
    """
    key = f"{where}.{TARGET}"
    if not isinstance(path, str):
        raise ConfigError(f"{key} is {path!r}. It is a dotted path, or null.")
    path = current_target(path)
    roots = tuple(prefix.rstrip(".") + "." for prefix in allowed)
    if not path.startswith(roots):
        begins = ", ".join(f"'{root}'" for root in roots)
        raise ConfigError(
            f"{key} is '{path}'. It begins with one of {begins}; add to them by "
            f"components.allow=[{path.partition('.')[0]}]."
        )
    module_name, _, name = path.rpartition(".")
    module = _import(module_name, key, path)
    try:
        target = getattr(module, name)
    except AttributeError:
        raise ConfigError(
            f"{key} is '{path}', but {module_name} has no '{name}'. {_near_name(name, module)}"
        ) from None
    home = f"{getattr(target, '__module__', module_name)}."
    if not callable(target) or not home.startswith(roots):
        raise ConfigError(
            f"{key} is '{path}', which is no class or function of its library. "
            f"{_near_name('', module)}"
        )
    return target


def _import(name: str, key: str, path: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(_not_found(name, error.name or name, key, path)) from error
    except ImportError as error:
        raise ConfigError(f"{key} is '{path}', and importing {name} fails: {error}.") from error
    except OSError as error:
        raise MachineError(
            f"{key} is '{path}', and {name.partition('.')[0]} cannot be loaded: {error}. It needs "
            "the OpenMP runtime: 'brew install libomp' on macOS, 'apt install libgomp1' on Debian."
        ) from error


def _not_found(name: str, lacking: str, key: str, path: str) -> str:
    library = lacking.partition(".")[0]
    if lacking == library or not f"{name}.".startswith(f"{lacking}."):
        install = f"fraudml[{EXTRAS[library]}]" if library in EXTRAS else library
        return (
            f"{key} is '{path}', which needs the library {library}, and it is not installed. "
            f'Run: pip install "{install}"'
        )
    parent = importlib.import_module(lacking.rpartition(".")[0])
    modules = [module.name for module in pkgutil.iter_modules(getattr(parent, "__path__", []))]
    public = [module for module in modules if not module.startswith("_")]
    wrong = lacking.rpartition(".")[2]
    said = f"{key} is '{path}', but {parent.__name__} has no module '{wrong}'."
    return f"{said} {nearest(wrong, public)}"


def _near_name(name: str, module: ModuleType) -> str:
    names = getattr(module, "__all__", None) or dir(module)
    public = [
        one for one in names if not one.startswith("_") and callable(getattr(module, one, None))
    ]
    return nearest(name, public)
