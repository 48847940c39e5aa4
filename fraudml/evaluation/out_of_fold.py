"""The out-of-fold engine: scores, forward in time, of rows that their model was not fitted on.

Rounds, calibration, policy and ablations all use these scores, so that the test block is reported
only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import ConfigError
from fraudml.learners.protocol import FitContext
from fraudml.matrix import DesignMatrix, mask_unseen_categories
from fraudml.metrics import average_precision
from fraudml.progress import Progress
from fraudml.recipe import FittedRecipe, Recipe
from fraudml.split import Fold

_log = logging.getLogger(__name__)

_CHECKPOINTS = (0.5, 1.0)


@dataclass(frozen=True)
class RoundsSettings:
    """How the number of boosting rounds is chosen.

    Parameters
    ----------
    choose : bool
        Whether out-of-fold average precision may choose fewer rounds than the learner's own.
    min_frauds : int
        With fewer scored frauds than this the learner's own number of rounds is kept, because a
        few dozen frauds cannot choose it.
    """

    choose: bool = True
    min_frauds: int = 500

    def __post_init__(self) -> None:
        if self.min_frauds < 1:
            raise ConfigError(f"rounds.min_frauds is {self.min_frauds}. It is at least 1.")


@dataclass(frozen=True)
class OutOfFold:
    """Scores of the development rows that some step scored, in the order of the dataset.

    `margin` is corrected for the prior where that is valid; `step` scored the row; `rounds` is what
    the final fit should make, None without rounds; `tried` has the mean average precision over the
    steps by number of rounds.
    """

    rows: NDArray[np.int64]
    margin: NDArray[np.float64]
    step: NDArray[np.int64]
    frauds: int
    rounds: int | None
    tried: dict[int, float]


def out_of_fold(
    matrix: DesignMatrix,
    folds: Sequence[Fold],
    recipe: Recipe,
    context: FitContext,
    rounds: RoundsSettings,
) -> OutOfFold:
    """Fit each step on its past and score its rows, with the seed of the final fit.

    Costs one fit a step; by default four, on 40 to 85 % of the development rows.
    """
    # In a table of few entities a step may have nobody left to score.
    folds = sorted((fold for fold in folds if len(fold.score)), key=lambda fold: int(fold.score[0]))
    models = [
        recipe.fit(
            matrix.take(fold.fit),
            replace(context, progress=_reporting(context.progress, done, len(folds))),
        )
        for done, fold in enumerate(folds)
    ]
    scored = [
        mask_unseen_categories(matrix.take(fold.fit), matrix.take(fold.score)) for fold in folds
    ]
    tried = _average_precision_by_rounds(models, scored, recipe, rounds)
    best = max(tried, key=lambda count: (tried[count], -count)) if tried else None
    margins = [model.margin(X, best) for model, X in zip(models, scored, strict=True)]
    rows = np.concatenate([fold.score for fold in folds])
    step = np.repeat(np.arange(len(folds)), [len(fold.score) for fold in folds])
    order = np.argsort(rows, kind="stable")
    return OutOfFold(
        rows[order],
        np.concatenate(margins)[order],
        step[order],
        sum(X.frauds for X in scored),
        best if best is not None else recipe.learner.max_rounds,
        tried,
    )


def _reporting(progress: Progress, done: int, steps: int) -> Progress:
    def report(_stage: str, share: float) -> None:
        progress("out-of-fold scores", (done + share) / steps)

    return report


def _average_precision_by_rounds(
    models: list[FittedRecipe], scored: list[DesignMatrix], recipe: Recipe, settings: RoundsSettings
) -> dict[int, float]:
    most = recipe.learner.max_rounds
    if most is None or not settings.choose:
        return {}
    frauds = sum(X.frauds for X in scored)
    if frauds < settings.min_frauds:
        _log.info(
            "Only %d out-of-fold frauds: keeping %d boosting rounds (rounds.min_frauds=%d).",
            *(frauds, most, settings.min_frauds),
        )
        return {}
    return {
        count: float(
            np.mean(
                [
                    average_precision(X.y, model.margin(X, count))
                    for model, X in zip(models, scored, strict=True)
                    if X.frauds
                ]
            )
        )
        for count in sorted({max(1, round(share * most)) for share in _CHECKPOINTS})
    }
