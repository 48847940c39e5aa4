"""The recipe of a fit: thin, resample, weight, learn; the same out of fold and in the final fit.

Nothing else changes the rows that a model is fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fraudml.decisions.calibration import prior_offset
from fraudml.learners.losses import Loss
from fraudml.learners.protocol import FitContext, FittedLearner, Learner, check_fit_rows
from fraudml.matrix import DesignMatrix
from fraudml.resampling import SamplerStep, resample
from fraudml.seeds import child_generator, child_seed
from fraudml.weighting import Weighting, thin


@dataclass(frozen=True)
class FittedRecipe:
    """A fitted learner, the rows and frauds that it was fitted on, and what that did to the prior.

    `beta` is the realised share of legitimate rows, weights included; None where no prior
    correction is valid. `start` is the margin that a loss started from.
    """

    learner: FittedLearner
    beta: float | None
    rows: int
    frauds: int
    start: float = 0.0

    @property
    def offset(self) -> float:
        """What is added to a margin: the start of a loss, or the prior correction.

        Elkan (2001); Dal Pozzolo et al. (2015).
        """
        return prior_offset(self.beta) + self.start

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        """Return margins after prior correction, one a row."""
        return self.learner.margin(X, rounds) + self.offset


@dataclass(frozen=True)
class Recipe:
    """How a model is fitted: on a share of the legitimate rows, resampled, then weighted."""

    learner: Learner
    samplers: tuple[SamplerStep, ...] = ()
    weighting: Weighting | None = None
    keep_legit: float = 1.0
    loss: Loss | None = None

    def ablations(self) -> dict[str, Recipe]:
        """Return the recipe without each of its interventions, by the key of the config."""
        without = {}
        if self.samplers:
            without["resampling"] = replace(self, samplers=())
        if self.weighting is not None:
            without["weighting"] = replace(self, weighting=None)
        if self.loss is not None:
            without["loss"] = replace(self, loss=None)
        return without

    def fit(
        self, train: DesignMatrix, context: FitContext, *, rounds: int | None = None
    ) -> FittedRecipe:
        """Fit on the rows of one block; `rounds` replaces the learner's own number."""
        thinned = thin(train, self.keep_legit, child_generator(context.seed, "thinning"))
        beta: float | None = 1.0
        if self.samplers:
            resampled = resample(
                thinned,
                self.samplers,
                seed=child_seed(context.seed, "resampling"),
                threads=context.threads,
                deadline=context.deadline,
            )
            thinned, beta = resampled.matrix, resampled.beta
        if self.weighting is not None:
            check_fit_rows(thinned)
            thinned, share = self.weighting.weigh(thinned)
            # Weights and sampling multiply, so that the prior is corrected for both, once.
            beta = None if beta is None or share is None else beta * share
        own = replace(context, seed=child_seed(context.seed, "learner"), loss=self.loss)
        model = self.learner.fit(thinned, own, rounds=rounds)
        if self.loss is None:
            return FittedRecipe(model, beta, len(thinned), thinned.frauds)
        # The scores of a loss are no log-odds, so that there is no prior to correct.
        start = self.loss.start(thinned)
        return FittedRecipe(model, None, len(thinned), thinned.frauds, start)
