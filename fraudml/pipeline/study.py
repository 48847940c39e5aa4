"""A study: every sampler with every learner over the folds of a backtest, in one ranked table.

Each is fitted on a fold's training period and ranks the rows of its test period; the differences
from doing without are paired, and replicates draw an entity with all that it did in any fold.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.config.settings import Settings
from fraudml.errors import BudgetError, ConfigError, DataError
from fraudml.evaluation.proof import Drawn, differences, draw
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.evaluation.table import clusters_over
from fraudml.learners.devices import DeviceSettings, choose_device
from fraudml.learners.protocol import FitContext
from fraudml.matrix import mask_unseen_categories
from fraudml.metrics import ScoredRows
from fraudml.pipeline.components import build_components
from fraudml.pipeline.folds import FoldData, SharedFolds
from fraudml.progress import silent
from fraudml.recipe import Recipe
from fraudml.seeds import child_seed
from fraudml.split import BacktestFold

_log = logging.getLogger(__name__)


STUDY_METRICS = ("average_precision", "roc_auc", "card_precision_at_100", "recall_at_fpr_0.01")
"""What a ranking is worth; a study calibrates nothing."""


@dataclass(frozen=True)
class Variant:
    """One sampler with one learner.

    Parameters
    ----------
    learner, resampling : str
        Their names in the study.
    recipe : Recipe
        How it is fitted.
    device : str
        Where; each learner has its own.
    """

    learner: str
    resampling: str
    recipe: Recipe
    device: str = "cpu"


def build_variants(settings: Settings) -> list[Variant]:
    """Build every sampler with every learner, so that what is wrong is found before any work.

    Raises
    ------
    ConfigError
        A sampler or learner is wrong; all problems of the first one that is.
    """
    learners = settings.study.learners or {"learner": settings.learner}
    variants = []
    for learner, chosen in learners.items():
        for name, sampler in settings.study.resampling.items():
            one = replace(settings, learner=chosen, resampling=sampler)
            try:
                recipe = build_components(one).recipe
            except ConfigError as error:
                raise ConfigError(f"study: {learner} with {name}: {error}") from error
            variants.append(Variant(learner, name, recipe))
    return variants


def place_variants(variants: Sequence[Variant], settings: DeviceSettings) -> list[Variant]:
    """Settle where each learner runs, before the table is read.

    Raises
    ------
    ConfigError
        A device that was asked for by name is not there for one of them.
    """
    chosen = {
        one.learner: choose_device(one.recipe.learner, settings)
        for one in {one.learner: one for one in variants}.values()
    }
    placed = []
    for one in variants:
        learner, device = chosen[one.learner]
        recipe = replace(one.recipe, learner=learner)
        placed.append(replace(one, recipe=recipe, device=device))
    return placed


@dataclass
class Outcome:
    """What a variant did, fold by fold.

    Parameters
    ----------
    variant : Variant
        The sampler and the learner.
    margins : list of ndarray
        Its scores of the test rows of each fold.
    seconds : float
        How long all of its fits took.
    failed : str, optional
        Why it could not be fitted in some fold.
    """

    variant: Variant
    margins: list[NDArray[np.float64]] = field(default_factory=list)
    seconds: float = 0.0
    failed: str | None = None


def run_study(
    shared: SharedFolds,
    folds: Sequence[BacktestFold],
    variants: Sequence[Variant],
    context: FitContext,
) -> list[dict[str, Any]]:
    """Fit every variant in every fold, and compare each with the first sampler of its learner.

    Parameters
    ----------
    shared : SharedFolds
        The table, and what its rows look back on.
    folds : sequence of BacktestFold
        In the order of time.
    variants : sequence of Variant
        From `build_variants`.
    context : FitContext
        Seed, threads, device, deadline, progress.

    Returns
    -------
    list of dict
        From the best mean of the objective down: `learner`, `resampling`, `mean` and `sd` of every
        metric, `difference` from the first sampler, `seconds`, and `failed` where it did.
    """
    outcomes = [Outcome(variant) for variant in variants]
    tested = []
    for number, fold in enumerate(folds):
        data = shared.fold_data(fold)
        tested.append(_rows(data))
        for done, outcome in enumerate(outcomes):
            context.progress("study", (number + done / len(outcomes)) / len(folds))
            _fit_and_rank(outcome, data, context)
    context.progress("study", 1.0)
    finished = [one for one in outcomes if one.failed is None]
    drawn = _drawn(finished, tested, shared.settings, context)
    first = {one.variant.learner: at for at, one in reversed(list(enumerate(finished)))}
    found = [
        _row(one, drawn[at], drawn[first[one.variant.learner]], shared.settings)
        for at, one in enumerate(finished)
    ]
    name = objective(shared.settings)
    found.sort(key=lambda row: -row["mean"][name] if row["mean"][name] is not None else 1.0)
    return found + [_failed_row(one) for one in outcomes if one.failed is not None]


def _rows(data: FoldData) -> ScoredFrame:
    """The test rows of a fold, with no scores yet."""
    nothing = np.zeros(len(data.test))
    return score_rows(data.prepared.dataset, data.test, nothing, nothing)


def _fit_and_rank(outcome: Outcome, data: FoldData, context: FitContext) -> None:
    if outcome.failed is not None:
        return
    matrix = data.prepared.matrix
    train, test = matrix.take(data.train), matrix.take(data.test)
    started = time.perf_counter()
    try:
        own = replace(context, device=outcome.variant.device, progress=silent)
        model = outcome.variant.recipe.fit(train, own)
        outcome.margins.append(model.margin(mask_unseen_categories(train, test)))
    except (DataError, BudgetError) as error:
        outcome.failed = str(error)
        _log.warning(
            "%s with %s is left out: %s", outcome.variant.learner, outcome.variant.resampling, error
        )
    outcome.seconds += time.perf_counter() - started


def _drawn(
    outcomes: Sequence[Outcome],
    tested: Sequence[ScoredFrame],
    settings: Settings,
    context: FitContext,
) -> list[Drawn]:
    """Evaluate each outcome on all folds, and on replicates of the entities of all folds."""
    clusters = clusters_over(tested)
    return [
        draw(
            [
                (_scored(rows, margin), own)
                for rows, margin, own in zip(tested, outcome.margins, clusters, strict=True)
            ],
            metrics=STUDY_METRICS,
            replicates=max(settings.evaluation.replicates, 1),
            seed=child_seed(settings.seed, "study"),
            threads=context.threads,
        )
        for outcome in outcomes
    ]


def _scored(rows: ScoredFrame, margin: NDArray[np.float64]) -> ScoredRows:
    return ScoredRows(
        y_true=rows.label,
        y_score=margin,
        entity=rows.entity,
        day=rows.day,
    )


def _row(outcome: Outcome, drawn: Drawn, first: Drawn, settings: Settings) -> dict[str, Any]:
    mean, level = drawn.mean(), settings.evaluation.level
    made: dict[str, Any] = {
        **_named(outcome),
        "mean": {name: mean.values[name] for name in STUDY_METRICS},
        "sd": {name: _spread(drawn, name) for name in STUDY_METRICS},
        "folds": [dict(block.values) for block in drawn.blocks],
    }
    if drawn is not first and settings.evaluation.replicates:
        found = differences(drawn, first, level=level)
        made["difference"] = {name: one.to_dict() for name, one in found.items()}
    return made


def _spread(drawn: Drawn, name: str) -> float | None:
    values = [block.values[name] for block in drawn.blocks]
    known = [value for value in values if value is not None]
    return float(np.std(known)) if len(known) == len(values) else None


def _named(outcome: Outcome) -> dict[str, Any]:
    variant = outcome.variant
    return {
        "learner": variant.learner,
        "resampling": variant.resampling,
        "device": variant.device,
        "seconds": round(outcome.seconds, 2),
    }


def _failed_row(outcome: Outcome) -> dict[str, Any]:
    nothing = dict.fromkeys(STUDY_METRICS)
    return {**_named(outcome), "mean": nothing, "sd": nothing, "failed": outcome.failed}


def objective(settings: Settings) -> str:
    """Return the metric that ranks the variants."""
    return settings.objective if settings.objective in STUDY_METRICS else "average_precision"
