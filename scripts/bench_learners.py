"""Each learner with fraudml's defaults beside its library as it comes, on two public tables.

    FRAUDML_DATA=… python scripts/bench_learners.py [--tables ulb handbook] [--threads 1]

`ulb`: fitted on the first 80 % by time, tested on the rest, the mean of five seeds. `handbook`: the
book's 15 features and protocol, mean over its four test folds. Nothing is chosen here. Intervals
are 95 %, paired, by cards where there are any, otherwise by blocks of time. Seconds are those of
one processor, for all fits and scores of one seed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import boosters
import numpy as np
import record
from numpy.typing import NDArray

from fraudml.config import load_settings
from fraudml.data.check import check_table
from fraudml.data.read import load_table
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.paired import PairedComparison, Sample, bootstrap_blocks, mean_over_blocks
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.evaluation.table import clusters_over
from fraudml.features.plan import fit_features
from fraudml.learners.catboost import CatBoost
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.protocol import FitContext
from fraudml.learners.sklearn import SklearnLearner
from fraudml.learners.xgboost import XGBoost
from fraudml.matrix import DesignMatrix, mask_unseen_categories
from fraudml.metrics import ScoredRows
from fraudml.pipeline.components import build_components
from fraudml.pipeline.folds import SharedFolds
from fraudml.pipeline.prepare import prepare_rows
from fraudml.split import prequential_folds, split_blocks

Floats = NDArray[np.float64]
Block = tuple[DesignMatrix, DesignMatrix, ScoredFrame]
Fit = Callable[[DesignMatrix, DesignMatrix, int, int], Floats]
"""Training rows, test rows, seed and threads; a score of the test rows."""

SEEDS = {"ulb": 5, "handbook": 1}
"""Fits a block: ULB has one test block with 75 frauds, the Handbook four."""


def ulb() -> list[Block]:
    settings = load_settings("train", ["data=ulb", "split.test_share=0.2"])
    dataset = check_table(load_table(settings.data, names=settings.features.keys), settings.data)
    split = split_blocks(dataset, settings.split, settings.data, settings.seed)
    features = fit_features(dataset, split.development.rows, settings.features)
    matrix = features.matrix(dataset, threads=1)
    prepared = prepare_rows(dataset, features, matrix, build_components(settings).costs)
    return [_block(prepared, split.development.rows, split.test.rows)]


def handbook() -> list[Block]:
    settings = load_settings("backtest", ["+experiment=handbook_book"])
    dataset = check_table(load_table(settings.data, names=settings.features.keys), settings.data)
    folds = prequential_folds(dataset, settings.backtest, settings.split, settings.data)
    shared = SharedFolds.of(dataset, folds, settings, threads=1)
    data = [shared.fold_data(fold) for fold in folds]
    return [_block(fold.prepared, fold.train, fold.test) for fold in data]


def _block(prepared: Any, train: NDArray[np.int64], test: NDArray[np.int64]) -> Block:
    nothing = np.zeros(len(test))
    fit = prepared.matrix.take(train)
    score = mask_unseen_categories(fit, prepared.matrix.take(test))
    return fit, score, score_rows(prepared.dataset, test, nothing, nothing)


def _ours(make: Callable[[], Any]) -> Fit:
    def fit(train: DesignMatrix, test: DesignMatrix, seed: int, threads: int) -> Floats:
        model = make().fit(train, FitContext(seed=seed, threads=threads))
        return np.asarray(model.margin(test))

    return fit


def _library(make: Callable[[int, int], Any]) -> Fit:
    def fit(train: DesignMatrix, test: DesignMatrix, seed: int, threads: int) -> Floats:
        model = make(seed, threads).fit(train.values, train.y)
        return np.asarray(model.predict_proba(test.values)[:, 1], dtype=np.float64)

    return fit


def _logistic(seed: int, threads: int) -> Any:
    del threads
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(random_state=seed, max_iter=1000))


def _regression() -> Any:
    return SklearnLearner(
        "sklearn.linear_model.LogisticRegression", preprocess="impute_scale", max_iter=1000
    )


MODELS: dict[str, tuple[Fit, Fit]] = {
    "lightgbm": (_ours(LightGBM), _library(boosters.lightgbm)),
    "xgboost": (_ours(XGBoost), _library(boosters.xgboost)),
    "catboost": (_ours(CatBoost), _library(boosters.catboost)),
    "logistic": (_ours(_regression), _library(_logistic)),
}


def _measure(blocks: list[Block], fit: Fit, seeds: int, threads: int) -> tuple[Sample, float]:
    """Average precision by seed, and seconds of the processor a seed."""
    started, clusters = time.process_time(), clusters_over([rows for _, _, rows in blocks])
    drawn = []
    for seed in range(seeds):
        scores = [fit(train, test, seed, threads) for train, test, _ in blocks]
        drawn.append(
            [
                (ScoredRows(rows.label, y_score=score), own)
                for (_, _, rows), score, own in zip(blocks, scores, clusters, strict=True)
            ]
        )
    seconds = (time.process_time() - started) / seeds
    every = [pair for block in drawn for pair in block]
    options = BootstrapOptions(threads=threads)
    return bootstrap_blocks(every, ["average_precision"], options), seconds


def _difference(own: Sample, other: Sample) -> str:
    paired = PairedComparison({"own": own, "other": other}, BootstrapOptions())
    ahead = paired.differences("own", "other")["average_precision"]
    return f"{ahead.value:+.3f} ({ahead.low:+.3f} to {ahead.high:+.3f})"


def _precision(sample: Sample) -> float:
    value = mean_over_blocks(sample).values["average_precision"]
    assert value is not None, "a block without frauds"
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=list(SEEDS), choices=list(SEEDS))
    parser.add_argument("--learners", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--threads", type=int, default=1)
    record.add_option(parser)
    arguments = parser.parse_args()
    if "FRAUDML_DATA" not in os.environ:
        sys.exit("Set FRAUDML_DATA to the folder that holds ulb.parquet and handbook.parquet.")
    with record.recording(__file__, __doc__, arguments) as figures:
        _print_table(arguments, figures)


def _print_table(arguments: argparse.Namespace, figures: record.Figures) -> None:
    print("| table | learner | AP | as it comes | difference | from lightgbm | s | s |")
    print("|---|---|---|---|---|---|---|---|")
    for table in arguments.tables:
        blocks = {"ulb": ulb, "handbook": handbook}[table]()
        first: Sample | None = None
        for name in arguments.learners:
            (ours, plain) = (
                _measure(blocks, fit, SEEDS[table], arguments.threads) for fit in MODELS[name]
            )
            first = first or ours[0]
            for model, (sample, seconds) in ((name, ours), (f"{name} as it comes", plain)):
                figures.add(f"{table}, {model}", _precision(sample), "AP")
                figures.add(f"{table}, {model}, CPU", seconds, "s")
            print(
                f"| {table} | {name}",
                *(f"{_precision(sample):.3f}" for sample, _ in (ours, plain)),
                _difference(ours[0], plain[0]),
                "" if first is ours[0] else _difference(ours[0], first),
                f"{ours[1]:.0f} | {plain[1]:.0f} |",
                sep=" | ",
                flush=True,
            )


if __name__ == "__main__":
    main()
