"""The trees of each kind of learner: the one list of what can be written in other formats."""

from __future__ import annotations

from dataclasses import dataclass

from fraudml.export import catboost, lightgbm, xgboost
from fraudml.export.forest import Forest
from fraudml.learners.bagged import FittedBagged
from fraudml.learners.catboost import FittedCatBoost
from fraudml.learners.lightgbm import FittedLightGBM
from fraudml.learners.protocol import FittedLearner
from fraudml.learners.xgboost import FittedXGBoost


@dataclass(frozen=True)
class Bag:
    """Forests whose margins, each with its offset, are averaged; mostly one.

    Parameters
    ----------
    forests : tuple of Forest
        At least one.
    offsets : tuple of float
        One each.
    """

    forests: tuple[Forest, ...]
    offsets: tuple[float, ...] = (0.0,)


def forests_of(learner: FittedLearner) -> Bag | None:
    """Return the trees of a learner; None where it has none that can be written down.

    Raises
    ------
    ConfigError
        It has trees, of a sort that no other format knows.
    """
    if isinstance(learner, FittedLightGBM):
        return Bag((lightgbm.read_forest(learner.text),))
    if isinstance(learner, FittedBagged):
        texts = (member.text for member in learner.models)
        return Bag(tuple(map(lightgbm.read_forest, texts)), learner.offsets)
    if isinstance(learner, FittedXGBoost):
        return Bag((xgboost.read_forest(learner.as_json()),))
    if isinstance(learner, FittedCatBoost):
        return Bag((catboost.read_forest(learner.as_json(), learner.order),))
    return None
