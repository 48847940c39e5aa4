"""fraudml beside its peers as they come, on the same rows, and beside what is published.

    FRAUDML_DATA=… python scripts/bench_peers.py ulb [--threads 2] [--autogluon PYTHON]
    FRAUDML_DATA=… python scripts/bench_peers.py handbook
    FRAUDML_DATA=… python scripts/bench_peers.py gmsc

One table each; losses are printed like wins, and nothing is chosen on test rows. Savings are those
of each model's own alerts, which come from .5 on where a library says nothing else. Differences, in
average precision, are those of fraudml's first learner less the peer, paired, with 95 % intervals
by cards, blocks of time or rows. `--autogluon` is the Python of an environment with
`autogluon.tabular[lightgbm,xgboost,catboost]`; it gets `--seconds` for each block, the same rows
and the same threads.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boosters
import numpy as np
import polars as pl
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
from fraudml.learners.protocol import FitContext
from fraudml.machine import granted_threads, versions
from fraudml.matrix import DesignMatrix, mask_unseen_categories
from fraudml.metrics import ScoredRows, savings
from fraudml.pipeline.components import build_components
from fraudml.pipeline.folds import SharedFolds
from fraudml.pipeline.prepare import prepare_rows
from fraudml.split import prequential_folds, split_blocks
from fraudml.workflows.train import train

Floats = NDArray[np.float64]
Costs = Mapping[str, Floats]
CHILD = Path(__file__).with_name("autogluon_child.py")
OURS = ("lightgbm", "bagged_lightgbm", "xgboost", "catboost")
"""fraudml's learners, each with its defaults; the first is what nobody has to choose."""


@dataclass(frozen=True)
class Block:
    """What is fitted, what is scored, and what each outcome costs on either, where it is known."""

    fit: DesignMatrix
    test: DesignMatrix
    rows: ScoredFrame
    fit_costs: Costs | None = None
    costs: Costs | None = None


@dataclass(frozen=True)
class Answer:
    """What a model says of the rows of a block."""

    score: Floats
    alert: NDArray[np.bool_] | None = None


Model = Callable[[Block, int, int], Answer]
"""A block, the seed and the threads; what the model says of the block's test rows."""


@dataclass(frozen=True)
class Task:
    """Blocks that are averaged, what fraudml's learners answer, and what others have published."""

    name: str
    blocks: Sequence[Block]
    ours: Callable[[str], Model]
    published: Mapping[str, float]


def ulb(threads: int) -> Iterator[Task]:
    review = ["data=ulb", "costs.review_cost=10", "evaluation.baselines=false", "proof=false"]
    by_time = [*review, "split.test_share=0.2"]
    published = {"AutoGluon 1.6, 240 s (measured here before)": 0.687}
    yield _command("ulb, last 20 % by time", by_time, threads, published)
    # As scikit-learn's train_test_split(test_size=.2, stratify=y, random_state=42), to the row.
    stratified = [*review, "split=stratified", "split.seed=42", "data.columns.time=null"]
    yield _command(
        "ulb, stratified 80/20, seed 42",
        stratified,
        threads,
        {"TabPFN 3.5": 0.9014, "random forest": 0.8734, "XGBoost": 0.838},
    )
    yield Task(
        "ulb, stratified 5-fold, seed 42",
        _five_folds(stratified),
        _learner,
        {"TabPFN": 0.8911, "random forest": 0.8453, "XGBoost": 0.8110},
    )


def handbook(threads: int) -> Iterator[Task]:
    settings = load_settings("backtest", ["+experiment=handbook_book"])
    dataset = check_table(load_table(settings.data, names=settings.features.keys), settings.data)
    folds = prequential_folds(dataset, settings.backtest, settings.split, settings.data)
    shared = SharedFolds.of(dataset, folds, settings, threads=threads)
    data = [shared.fold_data(fold) for fold in folds]
    yield Task(
        "handbook, four test folds, the book's 15 features",
        [_block(fold.prepared, fold.train, fold.test) for fold in data],
        _learner,
        {
            "XGBoost": 0.687,
            "weighted XGBoost": 0.687,
            "balanced bagging": 0.680,
            "random forest": 0.678,
            "logistic regression": 0.623,
        },
    )


def gmsc(threads: int) -> Iterator[Task]:
    words = ["data=gmsc", "split.seed=0", "evaluation.baselines=false", "proof=false"]
    yield _command("gmsc, stratified 80/20, seed 0", words, threads, {})


TABLES = {"ulb": ulb, "handbook": handbook, "gmsc": gmsc}


def _command(name: str, words: Sequence[str], threads: int, published: Mapping[str, float]) -> Task:
    """One block, and what `train` makes of it: rounds, calibration and policy included."""
    words = [*words, f"threads={threads}", "evaluation.replicates=0"]
    settings = load_settings("train", words)
    frame = load_table(settings.data, names=settings.features.keys)
    dataset = check_table(frame, settings.data)
    split = split_blocks(dataset, settings.split, settings.data, settings.seed)
    prepared = _prepared(settings, dataset, split.development.rows)
    block = _block(prepared, split.development.rows, split.test.rows)

    def ours(learner: str) -> Model:
        def model(block: Block, seed: int, _: int) -> Answer:
            own = load_settings("train", [*words, f"learner={learner}", f"seed={seed}"])
            scores = train(frame, own).test_scores
            same = np.array_equal(scores["label"].to_numpy(), block.rows.label)
            assert same, "the seed of the split is not set: these are other rows"
            return Answer(scores["score"].to_numpy(), scores["alert"].to_numpy())

        return model

    return Task(name, [block], ours, published)


def _five_folds(words: Sequence[str]) -> list[Block]:
    from sklearn.model_selection import StratifiedKFold

    settings = load_settings("train", words)
    dataset = check_table(load_table(settings.data, names=settings.features.keys), settings.data)
    folds = StratifiedKFold(5, shuffle=True, random_state=42).split(dataset.label, dataset.label)
    return [_block(_prepared(settings, dataset, fit), fit, test) for fit, test in folds]


def _prepared(settings: Any, dataset: Any, fit: NDArray[np.int64]) -> Any:
    features = fit_features(dataset, fit, settings.features)
    matrix = features.matrix(dataset, threads=1)
    return prepare_rows(dataset, features, matrix, build_components(settings).costs)


def _block(prepared: Any, fit: NDArray[np.int64], test: NDArray[np.int64]) -> Block:
    nothing = np.zeros(len(test))
    train_rows = prepared.matrix.take(fit)
    return Block(
        train_rows,
        mask_unseen_categories(train_rows, prepared.matrix.take(test)),
        score_rows(prepared.dataset, test, nothing, nothing),
        prepared.costs.take(fit).as_mapping(),
        prepared.costs.take(test).as_mapping(),
    )


def _learner(name: str) -> Model:
    """A learner of fraudml with its defaults, on rows that no single command cuts like this."""
    settings = load_settings("train", [f"learner={name}"])

    def model(block: Block, seed: int, threads: int) -> Answer:
        learner = build_components(settings).recipe.learner
        fitted = learner.fit(block.fit, FitContext(seed=seed, threads=threads))
        return Answer(np.asarray(fitted.margin(block.test)))

    return model


def _library(make: Callable[[int, int], Any]) -> Model:
    def model(block: Block, seed: int, threads: int) -> Answer:
        fitted = make(seed, threads).fit(block.fit.values, block.fit.y)
        score = np.asarray(fitted.predict_proba(block.test.values)[:, 1], dtype=np.float64)
        return Answer(score, score >= 0.5)

    return model


def _forest(seed: int, threads: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(random_state=42 + seed, n_jobs=threads)


def _smote(seed: int, threads: int) -> Any:
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline

    return make_pipeline(SMOTE(random_state=seed), boosters.lightgbm(seed, threads))


def _under(seed: int, threads: int) -> Any:
    from imblearn.pipeline import make_pipeline
    from imblearn.under_sampling import RandomUnderSampler

    return make_pipeline(RandomUnderSampler(random_state=seed), boosters.lightgbm(seed, threads))


def _tuned(block: Block, seed: int, threads: int) -> Answer:
    """LightGBM as it comes, its one threshold tuned by scikit-learn for the costs of the rows."""
    import sklearn
    from sklearn.metrics import make_scorer
    from sklearn.model_selection import TunedThresholdClassifierCV

    assert block.fit_costs is not None
    names = ("tp_cost", "fp_cost", "fn_cost", "tn_cost")
    known = dict(zip(names, (block.fit_costs[name] for name in names), strict=True))
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(_earned).set_score_request(**dict.fromkeys(names, True))
        tuner = TunedThresholdClassifierCV(boosters.lightgbm(seed, threads), scoring=scorer)
        fitted = tuner.fit(block.fit.values, block.fit.y, **known)
    score = np.asarray(fitted.predict_proba(block.test.values)[:, 1], dtype=np.float64)
    return Answer(score, np.asarray(fitted.predict(block.test.values) == 1))


def _earned(y_true: Any, y_pred: Any, **costs: Floats) -> float:
    """What the alerts earn: the cost with its sign turned."""
    alert, fraud = np.asarray(y_pred) == 1, np.asarray(y_true) == 1
    paid = np.where(
        fraud,
        np.where(alert, costs["tp_cost"], costs["fn_cost"]),
        np.where(alert, costs["fp_cost"], costs["tn_cost"]),
    )
    return -float(paid.sum())


def _autogluon(python: str, seconds: float) -> Model:
    def model(block: Block, _: int, threads: int) -> Answer:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            names = [f"column_{number}" for number in range(len(block.fit.names))]
            fit = pl.DataFrame(block.fit.values, schema=names)
            fit.with_columns(label=pl.Series(block.fit.y)).write_parquet(folder / "train.parquet")
            pl.DataFrame(block.test.values, schema=names).write_parquet(folder / "test.parquet")
            free = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            subprocess.run(
                [python, str(CHILD), place, str(seconds), str(threads)],
                check=True,
                env=free,
                stdout=subprocess.DEVNULL,
            )
            score = np.load(folder / "scores.npy")
        return Answer(score, score >= 0.5)

    return model


PEERS: dict[str, Model] = {
    "LightGBM": _library(boosters.lightgbm),
    "LightGBM, scikit-learn's threshold tuner": _tuned,
    "XGBoost": _library(boosters.xgboost),
    "CatBoost": _library(boosters.catboost),
    "random forest": _library(_forest),
    "imbalanced-learn, SMOTE + LightGBM": _library(_smote),
    "imbalanced-learn, under-sampling + LightGBM": _library(_under),
}


@dataclass(frozen=True)
class Result:
    """What a model reached on the blocks of a task."""

    sample: Sample
    savings: float | None
    seconds: float

    @property
    def precision(self) -> float:
        """Average precision, the mean over the blocks."""
        value = mean_over_blocks(self.sample).values["average_precision"]
        assert value is not None, "a block without frauds"
        return value


def measure(task: Task, model: Model, seeds: int, threads: int) -> Result:
    """Average precision and savings, the mean over blocks and seeds; seconds of one seed."""
    started = time.perf_counter()
    blocks = [block for _ in range(seeds) for block in task.blocks]
    answers = [model(block, seed, threads) for seed in range(seeds) for block in task.blocks]
    seconds = (time.perf_counter() - started) / seeds
    clusters = clusters_over([block.rows for block in task.blocks]) * seeds
    pairs = [
        (ScoredRows(block.rows.label, y_score=answer.score), own)
        for block, answer, own in zip(blocks, answers, clusters, strict=True)
    ]
    sample = bootstrap_blocks(pairs, ["average_precision"], BootstrapOptions(threads=threads))
    saved = [
        savings(block.rows.label, answer.alert, **block.costs).value
        for block, answer in zip(blocks, answers, strict=True)
        if answer.alert is not None and block.costs is not None
    ]
    whole = len(saved) == len(blocks)
    mean = float(np.mean(np.array(saved, dtype=np.float64))) if whole else None
    return Result(sample, mean, seconds)


def rows(
    task: Task, arguments: argparse.Namespace, peers: Mapping[str, Model], figures: record.Figures
) -> Iterator[str]:
    """The lines of a task: fraudml's learners, their peers, and what is published."""
    seeds, threads, ours = arguments.seeds, arguments.threads, arguments.ours
    results = {name: measure(task, task.ours(name), seeds, threads) for name in ours}
    own = results[ours[0]]
    for name, result in results.items():
        _add_figures(figures, f"{task.name}: fraudml, {name}", result)
        yield _line(task.name, f"**fraudml**, {name}", result.precision, "", result)
    for name, model in peers.items():
        if model is _tuned and own.savings is None:
            continue  # it moves the threshold alone: without money it is LightGBM again
        measured = measure(task, model, seeds, threads)
        _add_figures(figures, f"{task.name}: {name}", measured)
        samples = {"own": own.sample, "peer": measured.sample}
        paired = PairedComparison(samples, BootstrapOptions())
        ahead = paired.differences("own", "peer")["average_precision"]
        text = f"{ahead.value:+.3f} ({ahead.low:+.3f} to {ahead.high:+.3f})"
        yield _line(task.name, name, measured.precision, text, measured)
    for name, theirs in task.published.items():
        yield _line(task.name, f"published: {name}", theirs, f"{own.precision - theirs:+.3f}", None)


def _add_figures(figures: record.Figures, model: str, result: Result) -> None:
    figures.add(model, result.precision, "AP")
    figures.add(f"{model}, time of a seed", result.seconds, "s")
    if result.savings is not None:
        figures.add(f"{model}, money", result.savings, "savings")


def _line(task: str, name: str, value: float, ahead: str, result: Result | None) -> str:
    saved = "" if result is None or result.savings is None else f"{result.savings:.3f}"
    seconds = "" if result is None else f"{result.seconds:.0f}"
    return f"| {task} | {name} | {value:.4f} | {ahead} | {saved} | {seconds} |"


def _where(threads: int) -> str:
    """The commit and the machine, for whoever reads the table later."""
    names = ("python", "fraudml", "lightgbm", "scikit-learn")
    installed = ", ".join(f"{name} {versions()[name]}" for name in names)
    return (
        f"Commit {record.commit(short=True)}, {platform.machine()} with {granted_threads()} cores, "
        f"threads={threads}, {installed}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=list(TABLES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="fits of every model, averaged")
    parser.add_argument("--ours", nargs="+", default=list(OURS), choices=list(OURS))
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--blocks", default="", help="only blocks whose name has this word")
    parser.add_argument("--autogluon", metavar="PYTHON")
    parser.add_argument("--seconds", type=float, default=240.0)
    record.add_option(parser)
    arguments = parser.parse_args()
    if "FRAUDML_DATA" not in os.environ:
        sys.exit(f"Set FRAUDML_DATA to the folder that holds {arguments.table}.parquet.")
    peers = {name: PEERS[name] for name in arguments.peers}
    if arguments.autogluon:
        name = f"AutoGluon, {arguments.seconds:g} s a block"
        peers[name] = _autogluon(arguments.autogluon, arguments.seconds)
    print(_where(arguments.threads), end="\n\n")
    print("| rows | model | AP | fraudml less it | savings | s |\n|---|---|---|---|---|---|")
    with record.recording(__file__, __doc__, arguments, arguments.table) as figures:
        for task in TABLES[arguments.table](arguments.threads):
            if arguments.blocks in task.name:
                for line in rows(task, arguments, peers, figures):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
