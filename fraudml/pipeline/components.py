"""Builds the components that the settings name."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from fraudml.config.components import build
from fraudml.config.settings import Settings
from fraudml.config.targets import find_target
from fraudml.decisions.calibration import Calibration
from fraudml.decisions.costs import DEFAULT_REVIEW_COST, Card, CostModel, Fixed
from fraudml.decisions.policies import Policy
from fraudml.learners import check_readable, is_learner
from fraudml.learners.protocol import Learner
from fraudml.recipe import Recipe
from fraudml.resampling import sampler_steps

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Components:
    """The components of a run; the recipe holds learner, samplers, weighting and loss."""

    recipe: Recipe
    calibration: Calibration
    costs: CostModel
    policy: Policy

    @property
    def costs_count(self) -> bool:
        """Whether the user set costs, and a policy that uses them."""
        return self.policy.uses_costs and not self.costs.is_default


def build_components(settings: Settings) -> Components:
    """Build every component, so that a wrong one fails before any work is done."""
    samplers = sampler_steps(settings.resampling.target, settings.resampling.arguments)
    weighting, loss = _build(settings, "weighting"), _build(settings, "loss")
    recipe = Recipe(_learner(settings), samplers, weighting, settings.data.keep_legit, loss)
    calibration, policy = _build(settings, "calibration"), _build(settings, "policy")
    return Components(recipe, calibration, _costs(settings), policy)


def _build(settings: Settings, key: str) -> Any:
    return build(getattr(settings, key), key_path=key, allowed=settings.components.allowed)


def _learner(settings: Settings) -> Learner:
    target = settings.learner.target
    if target is None or is_learner(find_target(target, "learner", settings.components.allowed)):
        if target is not None and not target.startswith("fraudml."):
            check_readable(target)
        learner: Learner = _build(settings, "learner")
        return learner
    from fraudml.learners.sklearn import SklearnLearner

    return SklearnLearner(target, **settings.learner.plain_arguments())


def _costs(settings: Settings) -> CostModel:
    """The cost model; without an amount, default card costs become fixed ones, which is logged."""
    costs: CostModel = _build(settings, "costs")
    if isinstance(costs, Card) and costs.is_default and settings.data.columns.amount is None:
        fixed = Fixed()
        _log.info(
            "No column has the role 'amount': using fixed costs of %g per alert and %g per missed "
            "fraud (costs=fixed). Set costs to your own.",
            fixed.fp_cost,
            fixed.fn_cost,
        )
        return fixed
    if costs.is_default:
        _log.info("Using default costs: %g per alert. Set costs.review_cost.", DEFAULT_REVIEW_COST)
    return costs
