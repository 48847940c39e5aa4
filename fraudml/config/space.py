"""The space of a sweep: overrides in Hydra's grammar, each with many values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException

from fraudml.config.dimensions import Choice, Dimension, Interval
from fraudml.config.problems import Collector
from fraudml.errors import ConfigError

_IF = " if "


def read_space(texts: Sequence[str]) -> tuple[Dimension, ...]:
    """Read the dimensions of a space; all problems are named at once.

    Each text is `key=choice(a,b)`, `key=range(1,4)`, `key=interval(0.1,1)`,
    `key=int(interval(4,64))` or `key=tag(log,interval(0.1,100))`, as on Hydra's command line; `key`
    may be a group. A condition ` if other=value` or ` if other=one|two` searches it only where
    another dimension has such a value.

    Examples
    --------
    >>> read_space(["learner.num_leaves=int(interval(4,64))"])
    (Interval(key='learner.num_leaves', low=4.0, high=64.0, log=False, whole=True, needs=None),)
    """
    parser = OverridesParser.create()
    space: list[Dimension] = []
    problems = Collector("{} problems in sweep.space.")
    for text in texts:
        body, _, condition = text.partition(_IF)
        try:
            space.append(_dimension(parser.parse_override(body.strip()), _condition(condition)))
        except (HydraException, ValueError) as error:
            problems.add(f"sweep.space: '{text}': {str(error).splitlines()[0]}")
    for problem in _problems_between(space):
        problems.add(problem)
    problems.raise_all()
    if not any(isinstance(part, Interval) or len(part.options) > 1 for part in space):
        raise ConfigError(
            "sweep.space has nothing to search: every dimension has a single value. Choose a "
            "space (+sweep=lightgbm), or set sweep.space='[\"learner.num_leaves=choice(4,8,16)\"]'."
        )
    return tuple(space)


def _condition(text: str) -> tuple[str, tuple[str, ...]] | None:
    if not text:
        return None
    key, sign, value = text.strip().partition("=")
    if not sign or not key or not value:
        raise ValueError(f"'if {text}' is not a condition. Expected 'if key=value'.")
    return key.strip(), tuple(option.strip() for option in value.split("|"))


def _dimension(override: Override, needs: tuple[str, tuple[str, ...]] | None) -> Dimension:
    key, value = override.key_or_group, override.value()
    if isinstance(value, IntervalSweep):
        low, high = float(value.start or 0), float(value.end or 0)
        log, whole = "log" in value.tags, isinstance(value.start, int)
        if not low < high:
            raise ValueError(f"the interval from {low:g} to {high:g} is empty.")
        if log and low <= 0:
            raise ValueError(f"an interval with the tag log begins above 0, not at {low:g}.")
        return Interval(key, low, high, log, whole, needs)
    if not override.is_sweep_override():
        return Choice(key, (str(override.get_value_element_as_str()),), needs)
    options = tuple(override.sweep_string_iterator())
    if not options:
        raise ValueError("it has no value.")
    return Choice(key, options, needs)


def _problems_between(space: Sequence[Dimension]) -> Iterator[str]:
    seen: dict[str, Dimension] = {}
    for part in space:
        if part.key in seen:
            yield f"sweep.space: '{part.key}' is there twice."
        if part.needs is not None:
            key, options = part.needs
            before = seen.get(key)
            if not isinstance(before, Choice) or not set(options) <= set(before.options):
                yield (
                    f"sweep.space: '{part.key}' depends on {key}={'|'.join(options)}, which no "
                    "dimension before it offers."
                )
        seen[part.key] = part
