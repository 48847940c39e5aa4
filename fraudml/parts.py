"""Parts that installed packages add to fraudml, by entry points of the group `fraudml.parts`.

An entry point is named KIND.NAME, as `policy.top_share`; its value is a class, function or object,
as `house_rules:TopShare`. They are listed from the metadata of packages. A package is imported when
a config, a command line or a bundle chooses one of its parts, and not before.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from fraudml.errors import ConfigError, listing

_log = logging.getLogger(__name__)

GROUP = "fraudml.parts"
"""The group of entry points."""

KINDS = (
    *("learner", "resampling", "weighting", "loss", "calibration", "policy"),
    *("metric", "command"),
)
"""The kinds of parts: groups of the config, metrics and commands."""


@dataclass(frozen=True)
class Part:
    """A part of another package, by its metadata."""

    kind: str
    name: str
    module: str
    attribute: str
    package: str
    summary: str

    @property
    def target(self) -> str:
        """The dotted path of the class, function or object."""
        return f"{self.module}.{self.attribute}"

    def load_module(self) -> ModuleType:
        """Import the module; a `ConfigError` where that fails."""
        try:
            return importlib.import_module(self.module)
        except ImportError as error:
            raise self._missing(error) from error

    def load(self) -> Any:
        """Import what the entry point names; a `ConfigError` where that fails."""
        try:
            return getattr(self.load_module(), self.attribute)
        except AttributeError as error:
            raise self._missing(error) from error

    def _missing(self, error: Exception) -> ConfigError:
        return ConfigError(
            f"{self.kind} '{self.name}' of {self.package} cannot be loaded from {self.target}: "
            f"{error}. Install a version of {self.package} that has it."
        )


def parts(kind: str) -> Mapping[str, Part]:
    """Return the parts of a kind by name.

    Raises
    ------
    ConfigError
        Two packages have a part of the same name.
    """
    named: dict[str, Part] = {}
    for part in _installed():
        if part.kind == kind:
            other = named.setdefault(part.name, part)
            if other != part:
                raise ConfigError(
                    f"{kind} '{part.name}' is registered by {other.package} and {part.package}. A "
                    "name belongs to one package. Uninstall one of them."
                )
    return named


@functools.cache
def targets() -> frozenset[str]:
    """Return the dotted paths of all parts."""
    return frozenset(part.target for part in _installed())


@functools.cache
def _installed() -> tuple[Part, ...]:
    points = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    return tuple(part for point in points if (part := _part(point)) is not None)


def _part(point: EntryPoint) -> Part | None:
    kind, _, name = point.name.partition(".")
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
    if kind not in KINDS or not name or not point.attr:
        _log.warning(
            "%s registers '%s = %s' in %s, which is ignored: it is named KIND.NAME, its value is "
            "MODULE:NAME, and KIND is one of %s.",
            *(package, point.name, point.value, GROUP, listing(KINDS, len(KINDS))),
        )
        return None
    summary = point.dist.metadata["Summary"] if point.dist else None
    return Part(kind, name, point.module, point.attr, package, summary or "")
