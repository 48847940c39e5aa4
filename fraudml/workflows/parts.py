"""From the components of the settings to the parts that do the work."""

from __future__ import annotations

import logging
from typing import Any

from fraudml.config.components import build
from fraudml.config.settings import Settings
from fraudml.decisions.costs import DEFAULT_REVIEW_COST, Card, CostModel, Fixed
from fraudml.learners.protocol import Learner
from fraudml.recipe import Recipe
from fraudml.resampling import sampler_steps

_log = logging.getLogger(__name__)


def build_recipe(settings: Settings) -> Recipe:
    """Build what fits a model: the learner, the samplers, the weighting."""
    samplers = sampler_steps(settings.resampling.target, settings.resampling.arguments)
    weighting = build(settings.weighting, where="weighting")
    return Recipe(_learner(settings), samplers, weighting, settings.data.keep_legit)


def _learner(settings: Settings) -> Learner:
    target = settings.learner.target
    if target is None or target.startswith("fraudml."):
        learner: Learner = build(settings.learner, where="learner")
        return learner
    from fraudml.learners.sklearn import SklearnLearner

    return SklearnLearner(target, **settings.learner.arguments)


def build_costs(settings: Settings) -> CostModel:
    """Build the cost model; without an amount, untouched card costs become fixed ones, said."""
    costs: CostModel = build(settings.costs, where="costs")
    if isinstance(costs, Card) and costs.is_default and settings.data.columns.amount is None:
        fixed = Fixed()
        _log.info(
            "No column plays the role 'amount': an alert costs %g and a missed fraud %g on every "
            "row (costs=fixed). Set costs to your own.",
            fixed.fp_cost,
            fixed.fn_cost,
        )
        return fixed
    if costs.is_default:
        _log.info("Costs are the built-in ones: an alert costs %g.", DEFAULT_REVIEW_COST)
    return costs


def build_decisions(settings: Settings) -> tuple[Any, Any]:
    """Build how probabilities are calibrated, and the policy that decides by them."""
    return build(settings.calibration, where="calibration"), build(settings.policy, where="policy")
