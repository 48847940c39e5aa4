"""The space of a sweep: overrides in Hydra's grammar that stand for many values."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException

from fraudml.config.dimensions import Choice, Dimension, Interval
from fraudml.errors import ConfigError, all_problems

_IF = " if "


def read_space(texts: Sequence[str]) -> tuple[Dimension, ...]:
    """Read the dimensions of a space.

    Parameters
    ----------
    texts : sequence of str
        Each `key=choice(a,b)`, `key=range(1,4)`, `key=interval(0.1,1)`, `key=int(interval(4,64))`,
        or `key=tag(log,interval(0.1,100))`, as on Hydra's command line; `key` may be a group. With
        ` if other=value` or ` if other=one|two` behind it, it is searched only where another
        dimension has such a value.

    Raises
    ------
    ConfigError
        Something cannot be read, is empty, or names another dimension that is not there; or nothing
        is left to search.

    Examples
    --------
    >>> read_space(["learner.num_leaves=int(interval(4,64))"])
    (Interval(key='learner.num_leaves', low=4.0, high=64.0, log=False, whole=True, needs=None),)
    """
    parser = OverridesParser.create()
    found: list[Dimension] = []
    problems: list[str] = []
    for text in texts:
        body, _, condition = text.partition(_IF)
        try:
            found.append(_dimension(parser.parse_override(body.strip()), _needs(condition)))
        except (HydraException, ValueError) as error:
            problems.append(f"sweep.space: '{text}': {str(error).splitlines()[0]}")
    problems += _problems_between(found)
    if problems:
        raise ConfigError(all_problems(f"{len(problems)} problems in sweep.space.", problems))
    if not any(isinstance(one, Interval) or len(one.options) > 1 for one in found):
        raise ConfigError(
            "sweep.space has nothing to search: every dimension has one value alone. Choose a "
            "space (+sweep=lightgbm), or set sweep.space='[\"learner.num_leaves=choice(4,8,16)\"]'."
        )
    return tuple(found)


def _needs(condition: str) -> tuple[str, tuple[str, ...]] | None:
    if not condition:
        return None
    key, sign, value = condition.strip().partition("=")
    if not sign or not key or not value:
        raise ValueError(f"'if {condition}' is no condition. Expected 'if key=value'.")
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
        raise ValueError("it stands for no value at all.")
    return Choice(key, options, needs)


def _problems_between(found: Sequence[Dimension]) -> list[str]:
    problems: list[str] = []
    seen: dict[str, Dimension] = {}
    for one in found:
        if one.key in seen:
            problems.append(f"sweep.space: '{one.key}' stands there twice.")
        if one.needs is not None:
            other = seen.get(one.needs[0])
            if not isinstance(other, Choice) or not set(one.needs[1]) <= set(other.options):
                needed = f"{one.needs[0]}={'|'.join(one.needs[1])}"
                problems.append(
                    f"sweep.space: '{one.key}' depends on {needed}, which no dimension before it "
                    "offers."
                )
        seen[one.key] = one
    return problems
