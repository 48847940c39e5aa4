"""From the components of the settings to the parts that do the work."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from fraudml.config.components import build
from fraudml.config.settings import Settings
from fraudml.decisions.calibration import Calibration
from fraudml.decisions.costs import DEFAULT_REVIEW_COST, Card, CostModel, Fixed
from fraudml.decisions.policies import Policy
from fraudml.learners.protocol import Learner
from fraudml.recipe import Recipe
from fraudml.resampling import sampler_steps

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Components:
    """What a run is made of.

    Parameters
    ----------
    recipe : Recipe
        Learner, samplers, weighting.
    calibration : Calibration
        How probabilities are made of margins.
    costs : CostModel
        What each outcome costs on each row.
    policy : Policy
        How alerts are made of both.
    """

    recipe: Recipe
    calibration: Calibration
    costs: CostModel
    policy: Policy

    @property
    def costs_count(self) -> bool:
        """Whether the user set costs, and a policy that goes by them."""
        return self.policy.uses_costs and not self.costs.is_default


def build_components(settings: Settings) -> Components:
    """Build every part of a run, so that what is wrong is found before any work is done."""
    samplers = sampler_steps(settings.resampling.target, settings.resampling.arguments)
    allowed = settings.components.allowed
    weighting = build(settings.weighting, where="weighting", allowed=allowed)
    loss = build(settings.loss, where="loss", allowed=allowed)
    learner = _learner(settings)
    return Components(
        recipe=Recipe(learner, samplers, weighting, settings.data.keep_legit, loss),
        calibration=build(settings.calibration, where="calibration", allowed=allowed),
        costs=_costs(settings),
        policy=build(settings.policy, where="policy", allowed=allowed),
    )


def _learner(settings: Settings) -> Learner:
    target = settings.learner.target
    if target is None or target.startswith("fraudml."):
        learner: Learner = build(
            settings.learner, where="learner", allowed=settings.components.allowed
        )
        return learner
    from fraudml.learners.sklearn import SklearnLearner

    return SklearnLearner(target, **settings.learner.plain_arguments())


def _costs(settings: Settings) -> CostModel:
    """Without an amount, card costs as they come become fixed ones, and that is said."""
    costs: CostModel = build(settings.costs, where="costs", allowed=settings.components.allowed)
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
