"""What docstrings say of parameters is true of the calls; that there is one at all is ruff's."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import fraudml
from fraudml.config.describe import parameter_texts

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(fraudml.__path__, "fraudml.")
    if not module.name.endswith("__main__")
)


def public(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions and classes of a module, with the methods of these."""
    for name, made in vars(module).items():
        if name.startswith("_") or getattr(made, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(made):
            yield name, made
        elif inspect.isclass(made):
            yield name, made
            for inner, method in vars(made).items():
                if inspect.isfunction(method) and not inner.startswith("_"):
                    yield f"{name}.{inner}", method


@pytest.mark.parametrize("name", MODULES)
def test_every_parameter_that_is_documented_is_one(name: str) -> None:
    for path, made in public(importlib.import_module(name)):
        documented = parameter_texts(made)
        if documented:
            known = inspect.signature(made).parameters
            assert set(documented) <= set(known), f"{name}.{path}: {set(documented) - set(known)}"
