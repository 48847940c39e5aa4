"""A scikit-learn estimator as plain data: its name and its arguments."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fraudml.errors import ConfigError, all_problems, nearest

ALLOWED = ("sklearn", "imblearn")
"""Packages that estimators come from; others could not be read back from a bundle."""

_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Estimator:
    """An estimator by the dotted name of its class and its arguments, sorted by name.

    Values are plain, tuples of values, or again an `Estimator`.
    """

    target: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return `{'_target_': …, argument: value, …}`, as JSON."""
        return {"_target_": self.target, **{name: to_plain(v) for name, v in self.arguments}}

    def build(self) -> Any:
        """Make the estimator, not fitted; refuse unknown classes and arguments."""
        cls = _import_class(self.target)
        accepted = set(cls._get_param_names())
        problems = [
            f"learner.{name} is no parameter of {cls.__name__}. {nearest(name, accepted)}"
            for name, _ in self.arguments
            if name not in accepted
        ]
        if problems:
            raise ConfigError(all_problems(f"{len(problems)} problems in learner.", problems))
        return cls(**{name: _as_argument(value) for name, value in self.arguments})


def describe_estimator(estimator: Any) -> Estimator:
    """Describe an estimator: a dotted name, a class, or an object that is not fitted.

    Of an object the arguments are kept that differ from the defaults of its class.
    """
    if isinstance(estimator, str):
        return Estimator(estimator)
    if isinstance(estimator, type):
        return Estimator(_public_name(estimator))
    if not hasattr(estimator, "get_params"):
        raise ConfigError(
            f"learner.classifier is {estimator!r}. It is the dotted name of a classifier, its "
            "class, or one that is not fitted."
        )
    given = estimator.get_params(deep=False)
    default = {name: p.default for name, p in inspect.signature(type(estimator)).parameters.items()}
    differs = {
        name: from_plain(value)
        for name, value in sorted(given.items())
        if value is not default[name] and from_plain(value) != default[name]
    }
    return Estimator(_public_name(type(estimator)), tuple(differs.items()))


def from_plain(value: Any) -> Any:
    """Return an argument as a value that can be compared, hashed and written as JSON."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(from_plain(item) for item in value)
    if isinstance(value, Mapping) and "_target_" in value:
        rest = {name: from_plain(item) for name, item in value.items() if name != "_target_"}
        return Estimator(str(value["_target_"]), tuple(sorted(rest.items())))
    if hasattr(value, "get_params"):
        return describe_estimator(value)
    raise ConfigError(
        f"learner has an argument {value!r} of type {type(value).__name__}. Arguments are text, "
        "numbers, lists of them, or an estimator as a mapping with '_target_'."
    )


def to_plain(value: Any) -> Any:
    """Return what `from_plain` made as JSON."""
    if isinstance(value, Estimator):
        return value.to_dict()
    return [to_plain(item) for item in value] if isinstance(value, tuple) else value


def _as_argument(value: Any) -> Any:
    if isinstance(value, Estimator):
        return value.build()
    return [_as_argument(item) for item in value] if isinstance(value, tuple) else value


def _import_class(target: str) -> Any:
    module, _, name = target.rpartition(".")
    if target.split(".", maxsplit=1)[0] not in ALLOWED or not module:
        raise ConfigError(
            f"learner.classifier is '{target}'. It is a classifier of {' or '.join(ALLOWED)}, "
            "by its dotted name, as in 'sklearn.linear_model.LogisticRegression'."
        )
    try:
        members = vars(importlib.import_module(module))
    except ImportError as error:
        raise ConfigError(f"learner.classifier is '{target}': {error}.") from error
    estimators = {key for key, item in members.items() if hasattr(item, "_get_param_names")}
    if name not in estimators:
        raise ConfigError(
            f"learner.classifier is '{target}'. There is no such estimator in '{module}'. "
            f"{nearest(name, estimators)}"
        )
    return members[name]


def _public_name(cls: type) -> str:
    """The dotted name without private modules, where the class can be imported from there."""
    public = cls.__module__.split("._")[0]
    exported = getattr(importlib.import_module(public), cls.__name__, None)
    return f"{public if exported is cls else cls.__module__}.{cls.__qualname__}"
