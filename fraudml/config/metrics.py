"""Metrics of installed packages and of modules, chosen by the key `metrics`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from fraudml.config.targets import find_object
from fraudml.errors import ConfigError, listing, nearest
from fraudml.metrics.metric import Metric
from fraudml.parts import parts


def chosen_metrics(names: Iterable[str], allowed: Collection[str]) -> Iterator[Metric]:
    """Yield the metrics of names: of installed packages, or of dotted paths.

    Raises
    ------
    ConfigError
        There is none of that name, or it is no `Metric`.
    """
    for name in names:
        registered = parts("metric")
        if name not in registered and "." not in name:
            known = f"Installed packages have {listing(registered)}. " if registered else ""
            near = f"{nearest(name, registered)} " if registered else ""
            raise ConfigError(
                f"metrics names '{name}', which no installed package registers. {near}{known}"
                "Expected the name of such a metric, or the dotted path of a Metric."
            )
        part = registered.get(name)
        metric = part.load() if part else find_object(name, "metrics", allowed)
        if not isinstance(metric, Metric):
            raise ConfigError(
                f"metrics names '{name}', which is of the type {type(metric).__name__}. Expected a "
                "fraudml.metrics.Metric: docs/extending.md shows how."
            )
        yield metric
