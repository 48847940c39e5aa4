"""The parameters of a booster: names, ranges and texts, each declared once.

`parameter` declares a field of a settings class. Its signature, its docstring, the checks and the
help of the command line follow from that field.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fraudml.errors import ConfigError, all_problems, listing, nearest
from fraudml.learners.monotone import read_monotone


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, or None where that is allowed."""

    low: float
    high: float = math.inf
    whole: bool = False
    optional: bool = False
    inclusive: bool = True

    @property
    def hint(self) -> Any:
        """The type hint."""
        number: Any = int if self.whole else float
        return number | None if self.optional else number

    def __contains__(self, value: object) -> bool:
        if value is None:
            return self.optional
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        if self.inclusive:
            return self.low <= value <= self.high
        return self.low < value < self.high

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if not self.inclusive:
            return f"{kind} above {self.low:g} and below {self.high:g}"
        upper = "" if math.isinf(self.high) else f" to {self.high:g}"
        return f"{kind} from {self.low:g}{upper}{', or null' if self.optional else ''}"


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]
    hint = str

    def __contains__(self, value: object) -> bool:
        return value in self.words

    def __str__(self) -> str:
        return f"one of {listing(self.words)}"


@dataclass(frozen=True)
class Switch:
    """On or off."""

    hint = bool

    def __contains__(self, value: object) -> bool:
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class Pairs:
    """A mapping, or the pairs of one; what is in it is checked elsewhere."""

    hint: Any

    def __contains__(self, value: object) -> bool:
        return True

    def __str__(self) -> str:
        return "a mapping"


@dataclass(frozen=True)
class Parameter:
    """One parameter: its default, what it accepts, and what it means."""

    default: Any
    accepts: Number | Choice | Switch | Pairs
    text: str


def parameter(default: Any, accepts: Number | Choice | Switch, text: str) -> Any:
    """Declare a field of a `Booster`; the help prints the first sentence of its text."""
    return field(default=default, metadata={"parameter": Parameter(default, accepts, text)})


def signature_of(parameters: Mapping[str, Parameter]) -> inspect.Signature:
    """Return the signature of an `__init__` that takes these by keyword, and any other."""
    kinds = inspect.Parameter
    named = [
        kinds(
            name, kinds.KEYWORD_ONLY, default=parameter.default, annotation=parameter.accepts.hint
        )
        for name, parameter in parameters.items()
    ]
    instance, more = kinds("self", kinds.POSITIONAL_ONLY), kinds("more", kinds.VAR_KEYWORD)
    return inspect.Signature([instance, *named, more])


def with_parameters(doc: str | None, parameters: Mapping[str, Parameter]) -> str:
    """Insert the section of the parameters into a docstring, before the section that follows."""
    lines = [
        f"{name} : {parameter.accepts}, default {parameter.default!r}\n    {parameter.text}"
        for name, parameter in parameters.items()
    ]
    section = "\n".join(["Parameters", "----------", *lines])
    head, mark, tail = inspect.cleandoc(doc or "").partition("\n\nExamples\n")
    return f"{head}\n\n{section}{mark}{tail}\n"


def validate_and_set(learner: Any, given: Mapping[str, Any]) -> None:
    """Set the fields of a frozen `Booster`, or refuse all wrong names and values at once."""
    cls = type(learner)
    defaults = {name: parameter.default for name, parameter in cls.parameters.items()}
    named = {name: given.get(name, default) for name, default in defaults.items()}
    monotone, unclear = read_monotone(named.pop("monotone"))
    more = dict(named.pop("extra_parameters"))
    more |= {name: value for name, value in given.items() if name not in defaults}
    named, rest, problems = _translate(cls, more, named, defaults)
    problems += _wrong_values(cls.parameters, named)
    problems += unclear
    if problems:
        raise ConfigError(all_problems(f"{len(problems)} problems in learner.", problems))
    for name, value in {**named, "monotone": monotone}.items():
        object.__setattr__(learner, name, value)
    object.__setattr__(learner, "extra_parameters", tuple(sorted(rest.items())))


def plain_parameters(learner: Any) -> dict[str, Any]:
    """Return the arguments that make an equal learner, as JSON."""
    own = {name: getattr(learner, name) for name in type(learner).parameters}
    del own["extra_parameters"]
    rest = {name: _as_json(value) for name, value in learner.extra_parameters}
    return own | {"monotone": dict(learner.monotone)} | rest


def _translate(
    cls: Any, more: Mapping[str, Any], named: Mapping[str, Any], defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Sort parameters given by any of their names: those of fields, others, and problems."""
    if not more:
        return dict(named), {}, []
    names: Mapping[str, str] = cls.parameter_names()
    fields, rest, problems = dict(named), dict[str, Any](), []
    for given, value in more.items():
        name = names.get(given)
        if name is None:
            known = {*names, *defaults} - {"extra_parameters"}
            problems.append(
                f"learner.{given} is no parameter of {cls.title}. {nearest(given, known)}"
            )
        elif name in cls.refused:
            problems.append(f"learner.{given} cannot be set here; {cls.refused[name]}.")
        elif name in rest or (name in fields and fields[name] != defaults[name]):
            problems.append(f"learner.{given} and another name of '{name}' are both set.")
        elif not _is_plain(value):
            problems.append(
                f"learner.{given} is {value!r}. It is text, a number or a list of them."
            )
        elif name in fields:
            fields[name] = value
        else:
            rest[name] = _frozen(value)
    return fields, rest, problems


def _wrong_values(parameters: Mapping[str, Parameter], named: Mapping[str, Any]) -> list[str]:
    return [
        f"learner.{name} is {value!r}. It is {parameters[name].accepts}."
        for name, value in named.items()
        if value not in parameters[name].accepts
    ]


def reasons(*groups: tuple[str, str]) -> dict[str, str]:
    """Expand a table of refused parameters: a reason, and the names that it is for."""
    return {name: reason for reason, names in groups for name in names.split()}


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, (str, int, float))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def _as_json(value: Any) -> Any:
    return [_as_json(item) for item in value] if isinstance(value, tuple) else value
