"""The metrics by name and by group, and how one is measured.

To add a metric to fraudml: write its function, and add its entry to `METRICS` of `catalogue`. A
package of its own hands its metrics to `add`. The entry alone gives a metric its places in the
results (by its groups), an interval, and the tests of the laws that all metrics obey.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fraudml.errors import ConfigError, DataError, nearest
from fraudml.metrics.catalogue import FAMILIES, METRICS
from fraudml.metrics.metric import Metric, check_group
from fraudml.metrics.rows import ScoredRows

_ADDED: dict[str, Metric] = {}


def all_metrics() -> tuple[Metric, ...]:
    """Return every metric with a fixed name, those that were added last."""
    return (*METRICS, *_ADDED.values())


def add(metric: Metric) -> None:
    """Add a metric to the registry; adding the same one again changes nothing.

    Raises
    ------
    ConfigError
        Another metric has its name, or it follows one that is not in the group.
    """
    by_name = _by_name()
    if by_name.get(metric.name, metric) != metric:
        raise ConfigError(
            f"Two metrics are named '{metric.name}'. A name of its own was expected: rename the "
            "one that is added."
        )
    for group, name in metric.after.items():
        if name not in names_in(group):
            raise ConfigError(
                f"metric '{metric.name}' follows '{name}' in the group '{group}', where that is "
                f"not listed. Expected was one of {', '.join(names_in(group))}."
            )
    if metric.name not in by_name:
        _ADDED[metric.name] = metric


def metrics_in(group: str) -> tuple[Metric, ...]:
    """Return the metrics of a group, in the order in which they are shown there."""
    check_group(group)
    metrics = [metric for metric in all_metrics() if group in metric.groups]
    for metric in [metric for metric in metrics if group in metric.after]:
        metrics.remove(metric)
        names = [listed.name for listed in metrics]
        metrics.insert(names.index(metric.after[group]) + 1, metric)
    return tuple(metrics)


def names_in(group: str) -> tuple[str, ...]:
    """Return the names of the metrics of a group, in order."""
    return tuple(metric.name for metric in metrics_in(group))


@dataclass(frozen=True)
class Measured:
    """A value, or the reason that there is none, and the numbers to compare it with."""

    value: float | None
    reason: str | None = None
    reference_values: Mapping[str, float] = field(default_factory=dict)


def measure(rows: ScoredRows, metric: Metric | str) -> Measured:
    """Evaluate one metric; where it has no value, say why.

    Parameters
    ----------
    rows : ScoredRows
        At natural prevalence.
    metric : Metric or str
        A metric, or a name that `find_metric` knows.

    Examples
    --------
    >>> rows = ScoredRows([0, 1, 0, 1], y_score=[0.1, 0.4, 0.5, 0.8])
    >>> measure(rows, "roc_auc").value
    0.75
    >>> measure(rows, "value_recall").reason
    'value_recall needs alert and amount, which is not known here.'
    """
    metric = find_metric(metric) if isinstance(metric, str) else metric
    try:
        value = metric.value(rows)
    except DataError as error:
        return Measured(None, str(error))
    references = {name: number(rows) for name, number in metric.reference_values.items()}
    return Measured(value, None, references)


def find_metric(name: str) -> Metric:
    """Return the metric of a name; the numbers in `precision_at_50` and its kin may be any.

    Raises
    ------
    ConfigError
        There is no such metric, with the nearest names; or its number is out of range.

    Examples
    --------
    >>> find_metric("recall_at_fpr_0.02").needs
    ('y_true', 'y_score')
    """
    by_name = _by_name()
    if name in by_name:
        return by_name[name]
    match = re.fullmatch(r"(\w+?)_(\d+(?:\.\d+)?)", name)
    if match and match[1] in FAMILIES:
        return FAMILIES[match[1]](float(match[2]))
    if "accuracy" in name:
        raise ConfigError(
            f"{name!r} is not a metric here: never alerting is over 99 % accurate. "
            "Use 'average_precision', or 'cost' where costs are known."
        )
    raise ConfigError(f"{name!r} is not a metric. {nearest(name, by_name)}")


def find_metrics(metrics: Iterable[Metric | str]) -> tuple[Metric, ...]:
    """Return the metrics of names, in order; metrics pass as they are."""
    return tuple(find_metric(each) if isinstance(each, str) else each for each in metrics)


def _by_name() -> dict[str, Metric]:
    return {metric.name: metric for metric in all_metrics()}
