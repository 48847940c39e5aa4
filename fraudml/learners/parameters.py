"""The parameters of a library of boosted trees: what they are called, and which may be set."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from fraudml.errors import ConfigError, all_problems, listing, nearest
from fraudml.learners.monotone import read_monotone


@dataclass(frozen=True)
class Number:
    """A parameter that is a number from `low` to `high`, both included, or None where it may."""

    low: float
    high: float = math.inf
    whole: bool = False
    optional: bool = False

    def __contains__(self, value: object) -> bool:
        if value is None:
            return self.optional
        right_sort = isinstance(value, int if self.whole else (int, float))
        return right_sort and not isinstance(value, bool) and self.low <= value <= self.high  # type: ignore[operator]

    def __str__(self) -> str:
        upper = "" if math.isinf(self.high) else f" to {self.high:g}"
        sort = "a whole number" if self.whole else "a number"
        return f"{sort} from {self.low:g}{upper}{', or null' if self.optional else ''}"


@dataclass(frozen=True)
class Choice:
    """A parameter that is one of a few words."""

    words: tuple[str, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.words

    def __str__(self) -> str:
        return f"one of {listing(self.words)}"


@dataclass(frozen=True)
class Switch:
    """A parameter that is on or off."""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class Vocabulary:
    """What a library calls its parameters.

    Parameters
    ----------
    library : str
        Its name, for people.
    names : callable
        Returns every name and alias that the library knows, each with the name that it documents.
    refused : mapping
        Parameters that are not the learner's to set, each with the reason.
    fields : mapping
        What the parameters that are the learner's own fields may be.
    """

    library: str
    names: Callable[[], Mapping[str, str]]
    refused: Mapping[str, str]
    fields: Mapping[str, Number | Choice | Switch]


def validate_and_set(
    learner: Any, vocabulary: Vocabulary, own: Mapping[str, Any], more: Mapping[str, Any]
) -> None:
    """Set the fields of a frozen learner, after a look at every parameter.

    Parameters
    ----------
    learner : dataclass instance
        With the fields of the vocabulary, `monotone` and `other`.
    vocabulary : Vocabulary
        Of the learner's library.
    own : mapping
        The fields as they were given, `monotone` and `other` among them.
    more : mapping
        Parameters that are no fields, by name or alias.

    Raises
    ------
    ConfigError
        Names that are unknown, refused or given twice, and values that are wrong: all at once.
    """
    named = {name: own[name] for name in vocabulary.fields}
    defaults = type(learner).__init__.__kwdefaults__ or {}
    given = {**dict(own["other"]), **more}
    named, rest, problems = translate(vocabulary, given, named, defaults)
    monotone, unclear = read_monotone(own["monotone"])
    problems += [*wrong_values(vocabulary.fields, named), *unclear]
    if problems:
        raise ConfigError(all_problems(f"{len(problems)} problems in learner.", problems))
    for name, value in {**named, "monotone": monotone}.items():
        object.__setattr__(learner, name, value)
    object.__setattr__(learner, "other", tuple(sorted(rest.items())))


def plain_parameters(learner: Any) -> dict[str, Any]:
    """Return what a learner's class makes an equal one from, as JSON."""
    own = {field.name: getattr(learner, field.name) for field in fields(learner)}
    del own["other"]
    rest = {name: as_json(value) for name, value in learner.other}
    return own | {"monotone": dict(learner.monotone)} | rest


def translate(
    vocabulary: Vocabulary,
    more: Mapping[str, Any],
    named: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Sort parameters that were given by any of their names.

    Parameters
    ----------
    vocabulary : Vocabulary
        Of the learner's library.
    more : mapping
        What was given beside the fields, by name or alias.
    named, defaults : mapping
        The fields as they are, and as they are when nobody sets them.

    Returns
    -------
    named, rest : dict
        The fields with what aliases of them say; the other parameters, values as tuples.
    problems : list of str
        Names that are unknown, refused or given twice, and values that are not plain.
    """
    if not more:
        return dict(named), {}, []
    names, refused = vocabulary.names(), vocabulary.refused
    fields, rest, problems = dict(named), dict[str, Any](), []
    for given, value in more.items():
        name = names.get(given)
        if name is None:
            known = _candidates(names, defaults)
            problems.append(
                f"learner.{given} is no parameter of {vocabulary.library}. {nearest(given, known)}"
            )
        elif name in refused:
            problems.append(f"learner.{given} is not the learner's to set: {refused[name]}.")
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


def wrong_values(
    fields: Mapping[str, Number | Choice | Switch], named: Mapping[str, Any]
) -> list[str]:
    """Say which of the fields have a value of the wrong sort or out of range."""
    return [
        f"learner.{name} is {named[name]!r}. It is {fit}."
        for name, fit in fields.items()
        if named[name] not in fit
    ]


def as_json(value: Any) -> Any:
    """Turn tuples back into lists."""
    return [as_json(item) for item in value] if isinstance(value, tuple) else value


def reasons(*groups: tuple[str, str]) -> dict[str, str]:
    """Spell out a table of refused parameters: a reason, and the names that it is for."""
    return {name: reason for reason, names in groups for name in names.split()}


def _candidates(names: Collection[str], defaults: Mapping[str, Any]) -> set[str]:
    return {*names, *defaults} - {"other"}


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, (str, int, float))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value
