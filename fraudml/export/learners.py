"""The trees of each kind of learner: the list of what can be written in other formats."""

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
    """At least one forest, whose margins, each with its offset, are averaged."""

    forests: tuple[Forest, ...]
    offsets: tuple[float, ...] = (0.0,)


def forests_of(learner: FittedLearner) -> Bag | None:
    """Return the trees of a learner; None where it has none that can be exported.

    Raises a `ConfigError` where its trees are of a sort that no other format has.
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
