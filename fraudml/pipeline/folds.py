"""The rows of prequential folds, prepared for a learner; what they share is computed once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fraudml.audit.leaks import refuse_leaks
from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.data.schema import Dataset
from fraudml.decisions.costs import CostModel
from fraudml.evaluation.out_of_fold import OutOfFold
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.pipeline.components import build_components
from fraudml.pipeline.evaluate import HoldoutEvaluation
from fraudml.pipeline.prepare import Prepared, Rows, prepare_rows
from fraudml.split import BacktestFold, Fold


@dataclass(frozen=True)
class FoldData:
    """One prepared fold: training rows, then test rows; `steps` are folds inside the training."""

    prepared: Prepared
    train: Rows
    test: Rows
    steps: tuple[Fold, ...]


@dataclass(frozen=True)
class SharedFolds:
    """What all folds share: the table, and aggregates of history, equal in every fold."""

    dataset: Dataset
    history_values: NDArray[np.float32]
    settings: Settings
    costs: CostModel

    @classmethod
    def of(
        cls, dataset: Dataset, folds: tuple[BacktestFold, ...], settings: Settings, threads: int
    ) -> SharedFolds:
        """Refuse leaks, and compute aggregates of history once for all folds."""
        costs = build_components(settings).costs
        shared = cls(dataset, np.empty((0, 0), np.float32), settings, costs)
        features = shared.fit_features(folds[-1])
        blocks = (folds[-1].train.rows, folds[-1].test.rows)
        refuse_leaks(dataset, blocks, sorted(features.columns), settings.audit)
        return replace(shared, history_values=features.compute_history(dataset, threads=threads))

    def fit_features(self, fold: BacktestFold) -> FittedFeatures:
        """Fit the feature plan on a training period."""
        return fit_features(
            self.dataset,
            fold.train.rows,
            self.settings.features,
            label_delay=self.settings.backtest.delay(self.settings.split),
            never=frozenset(self.costs.columns),
        )

    def prepare(self, rows: Rows, features: FittedFeatures) -> Prepared:
        """Prepare some rows of the table by features of any fold."""
        dataset = self.dataset.take(rows)
        matrix = features.matrix(dataset, history_values=self.history_values[rows])
        return prepare_rows(dataset, features, matrix, self.costs)

    def fold_data(self, fold: BacktestFold) -> FoldData:
        """Prepare the rows of a fold by features fitted on its training period."""
        train = fold.train.rows
        rows = np.concatenate([train, fold.test.rows])
        return FoldData(
            prepared=self.prepare(rows, self.fit_features(fold)),
            train=np.arange(len(train)),
            test=np.arange(len(train), len(rows)),
            steps=tuple(
                Fold(np.searchsorted(train, step.fit), np.searchsorted(train, step.score))
                for step in fold.steps
            ),
        )


@dataclass(frozen=True)
class FoldResult:
    """The model of a fold with its evaluation, and that of the first fold's model."""

    fold: BacktestFold
    scores: OutOfFold
    bundle: DecisionBundle
    holdout: HoldoutEvaluation
    without_refit: HoldoutEvaluation | None = None
