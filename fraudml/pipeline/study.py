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
from fraudml.evaluation.paired import PairedComparison, compare_paired
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.evaluation.table import clusters_over
from fraudml.learners.devices import DeviceSettings, choose_device
from fraudml.learners.protocol import FitContext
from fraudml.matrix import mask_unseen_categories
from fraudml.metrics import ScoredRows
from fraudml.metrics.registry import names_in
from fraudml.pipeline.components import build_components
from fraudml.pipeline.folds import FoldData, SharedFolds
from fraudml.progress import silent
from fraudml.recipe import Recipe
from fraudml.seeds import child_seed
from fraudml.split import BacktestFold

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """One sampler with one learner, by their names in the study; each learner has its device."""

    learner: str
    resampling: str
    recipe: Recipe
    device: str = "cpu"

    @property
    def key(self) -> tuple[str, str]:
        """Identifies the variant."""
        return self.learner, self.resampling


def build_variants(settings: Settings) -> list[Variant]:
    """Build every sampler with every learner, so that a wrong one fails before any work."""
    learners = settings.study.learners or {"learner": settings.learner}
    variants = []
    for learner, component in learners.items():
        for name, sampler in settings.study.resampling.items():
            varied = replace(settings, learner=component, resampling=sampler)
            try:
                recipe = build_components(varied).recipe
            except ConfigError as error:
                raise ConfigError(f"study: {learner} with {name}: {error}") from error
            variants.append(Variant(learner, name, recipe))
    return variants


def place_variants(variants: Sequence[Variant], settings: DeviceSettings) -> list[Variant]:
    """Choose the device of each learner, before the table is read."""
    learners = {variant.learner: variant.recipe.learner for variant in variants}
    chosen = {name: choose_device(learner, settings) for name, learner in learners.items()}
    placed = []
    for variant in variants:
        learner, device = chosen[variant.learner]
        recipe = replace(variant.recipe, learner=learner)
        placed.append(replace(variant, recipe=recipe, device=device))
    return placed


@dataclass
class Outcome:
    """Scores of the test rows of each fold, seconds of all fits, and why a fit failed."""

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

    Returns rows from the best mean of the objective down: `learner`, `resampling`, `mean` and `sd`
    of every metric, `difference` from the first sampler, `seconds`, and `failed` where it did.
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
    finished = [outcome for outcome in outcomes if outcome.failed is None]
    paired = _compare(finished, tested, shared.settings, context)
    first = {outcome.variant.learner: outcome for outcome in reversed(finished)}
    rows = [_row(outcome, first[outcome.variant.learner], paired) for outcome in finished]
    name = objective(shared.settings)
    rows.sort(key=lambda row: -row["mean"][name] if row["mean"][name] is not None else 1.0)
    return rows + [_failed_row(outcome) for outcome in outcomes if outcome.failed is not None]


def _rows(data: FoldData) -> ScoredFrame:
    """The test rows of a fold, with no scores yet."""
    nothing = np.zeros(len(data.test))
    return score_rows(data.prepared.dataset, data.test, nothing, nothing)


def _fit_and_rank(outcome: Outcome, data: FoldData, context: FitContext) -> None:
    if outcome.failed is not None:
        return
    matrix, variant = data.prepared.matrix, outcome.variant
    train, test = matrix.take(data.train), matrix.take(data.test)
    started = time.perf_counter()
    try:
        model = variant.recipe.fit(train, replace(context, device=variant.device, progress=silent))
        outcome.margins.append(model.margin(mask_unseen_categories(train, test)))
    except (DataError, BudgetError) as error:
        outcome.failed = str(error)
        _log.warning("%s with %s is left out: %s", variant.learner, variant.resampling, error)
    outcome.seconds += time.perf_counter() - started


def _compare(
    outcomes: Sequence[Outcome],
    tested: Sequence[ScoredFrame],
    settings: Settings,
    context: FitContext,
) -> PairedComparison:
    """Evaluate each outcome on all folds, and on replicates of the entities of all folds."""
    models = {
        outcome.variant.key: [
            ScoredRows(rows.label, y_score=margin, entity=rows.entity, day=rows.day)
            for rows, margin in zip(tested, outcome.margins, strict=True)
        ]
        for outcome in outcomes
    }
    options = settings.evaluation.options(child_seed(settings.seed, "study"), context.threads)
    return compare_paired(models, clusters_over(tested), names_in("study"), options)


def _row(outcome: Outcome, first: Outcome, paired: PairedComparison) -> dict[str, Any]:
    key = outcome.variant.key
    blocks = [block.values for block in paired.samples[key]]
    row: dict[str, Any] = {
        **_named(outcome),
        "mean": dict(paired.mean(key).values),
        "sd": {name: _deviation([values[name] for values in blocks]) for name in blocks[0]},
        "folds": [dict(values) for values in blocks],
    }
    if outcome is not first and paired.options.replicates:
        differences = paired.differences(key, first.variant.key)
        row["difference"] = {name: difference.to_dict() for name, difference in differences.items()}
    return row


def _deviation(values: Sequence[float | None]) -> float | None:
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
    nothing = dict.fromkeys(names_in("study"))
    return {**_named(outcome), "mean": nothing, "sd": nothing, "failed": outcome.failed}


def objective(settings: Settings) -> str:
    """Return the metric that ranks the variants."""
    known = settings.objective in names_in("study")
    return settings.objective if known else "average_precision"
