"""Scorers for scikit-learn's model selection: any metric of the list as `scoring=`.

    from fraudml.metrics.scorers import make_scorer

    cross_val_score(model, X, y, scoring=make_scorer("average_precision"))

scikit-learn is imported with the first scorer, not before. Beware of its defaults: random folds
look into the future and put a card into several of them; pass `TimeSeriesSplit`, or split by card.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from numpy.typing import ArrayLike

from fraudml.errors import ConfigError
from fraudml.metrics._checks import checked
from fraudml.metrics.metric import Metric
from fraudml.metrics.registry import find_metrics
from fraudml.metrics.rows import ScoredRows

_RESPONSES: dict[str, tuple[str, ...]] = {
    "y_score": ("decision_function", "predict_proba"),
    "p_fraud": ("predict_proba",),
    "alert": ("predict",),
}
"""The methods of an estimator that fill a column of a metric."""


def make_scorer(metric: Metric | str, **columns: ArrayLike) -> Any:
    """Return a scikit-learn scorer of a metric; the larger, the better.

    A metric that is better when lower (cost, Brier score) comes with its sign turned round, as in
    scikit-learn. What is needed of the estimator follows from the metric: a score
    (`decision_function`, else `predict_proba`), a probability, or `predict` as the alert, which by
    itself alerts from a probability of .5: wrap the model in `FixedThresholdClassifier`.

    Parameters
    ----------
    metric : Metric or str
        An entry of `METRICS`, or a name that `find_metric` knows; its labels are 0 and 1.
    **columns : float or array-like
        What holds for every row that will be scored, such as `tp_cost=10.0`. Columns that differ by
        row (`amount`, `day`, `entity`, a cost) are not named here: they come by metadata routing,
        `cross_validate(..., params={"amount": amount})`, which cuts them by fold.

    Returns
    -------
    callable
        A scorer of `sklearn.metrics.make_scorer`: `scorer(estimator, X, y, sample_weight=None)`;
        plain data, so that `n_jobs` can send it to other processes. The columns of the metric that
        were not named are requested already; `sample_weight` is not, as weights may be meant for
        the fit alone: call
        `scorer.set_score_request(sample_weight=True)`.

    Raises
    ------
    ConfigError
        The metric is not known or has no better direction; or it needs columns row by row while
        `sklearn.set_config(enable_metadata_routing=True)` is not set.

    Notes
    -----
    Where a metric has no value on a fold (no fraud in it), the scorer raises a `DataError`, which
    scikit-learn's `error_score` turns into NaN with a warning.

    Examples
    --------
    >>> make_scorer("brier")
    make_scorer(brier, greater_is_better=False, response_method='predict_proba')
    """
    import sklearn
    from sklearn import metrics

    (entry,) = find_metrics([metric])
    if entry.direction == "none":
        raise ConfigError(
            f"{entry.name} is better neither when higher nor when lower, so no model can be chosen "
            "by it. 'average_precision' or 'cost' was expected."
        )
    filled = next((name for name in _RESPONSES if name in entry.needs), None)
    if filled is None:
        raise ConfigError(f"{entry.name} asks nothing of a model, so none can be chosen by it.")
    _refuse_unknown(entry, columns)
    routed = [name for name in _columns_of(entry) if name not in columns]
    if routed and not sklearn.get_config()["enable_metadata_routing"]:
        raise ConfigError(
            f"{entry.name} needs {' and '.join(routed)} row by row, which scikit-learn passes on "
            "only after sklearn.set_config(enable_metadata_routing=True). Set it first"
            + (", or name what is the same on every row." if "cost" in entry.name else ".")
        )
    responses = _RESPONSES[filled]
    scorer = metrics.make_scorer(
        _Score(metric, filled),
        response_method=responses if len(responses) > 1 else responses[0],
        greater_is_better=entry.direction == "higher",
        **columns,
    )
    return scorer.set_score_request(**dict.fromkeys(routed, True)) if routed else scorer


@dataclass(frozen=True)
class _Score:
    """The function of a scorer; plain data, so that `n_jobs` can send it to other processes."""

    metric: Metric | str
    filled: str

    @property
    def __name__(self) -> str:
        return self.metric if isinstance(self.metric, str) else self.metric.name

    def __call__(
        self,
        y_true: ArrayLike,
        response: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        **columns: ArrayLike,
    ) -> float:
        rows = ScoredRows(y_true, **cast(dict[str, Any], columns | {self.filled: response}))
        (entry,) = find_metrics([self.metric])
        return entry.value(rows, checked(weight=sample_weight)[0])


def _columns_of(metric: Metric) -> list[str]:
    known = ("y_true", *_RESPONSES, "n_days")
    return [name for name in (*metric.needs, *metric.uses) if name not in known]


def _refuse_unknown(metric: Metric, columns: dict[str, ArrayLike]) -> None:
    unknown = sorted(set(columns) - set(_columns_of(metric)))
    if unknown:
        known = ", ".join(_columns_of(metric)) or "none"
        raise ConfigError(
            f"{metric.name} takes no {' and '.join(unknown)}. Columns that it takes: {known}."
        )
