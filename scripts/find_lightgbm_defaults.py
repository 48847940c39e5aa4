"""Compare settings of LightGBM on development data of four tables; print one table.

    python scripts/find_lightgbm_defaults.py                # the default beside a few neighbours
    python scripts/find_lightgbm_defaults.py --all          # every setting below
    python scripts/find_lightgbm_defaults.py leaves_16 l2_1 # these

Needs FRAUDML_DATA to hold `ulb.parquet`, `handbook.parquet` and `gmsc.parquet`; a table that is
not there is left out, with a word. Never looked at: the last 20 % of `ulb` and of the simulated
table by time, a fifth of `gmsc` at random, and the Handbook from August on.

On a machine that others use too, one thread is faster than two that wait for each other.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import record
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold

from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate
from fraudml.errors import listing, nearest
from fraudml.learners.bagged import BaggedLightGBM
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.protocol import FitContext
from fraudml.matrix import DesignMatrix

Fold = tuple[DesignMatrix, DesignMatrix]
Setting = tuple[dict[str, Any], tuple[int, ...]]

_LIBRARY = {
    "learning_rate": 0.1,
    "num_leaves": 31,
    "lambda_l2": 0.0,
    "max_bin": 255,
    "feature_fraction": 1.0,
    "boost_from_average": True,
}
"""What LightGBM does when nobody says otherwise."""

SETTINGS: dict[str, Setting] = {
    "library": (_LIBRARY, (100,)),
    "library_from_zero": (_LIBRARY | {"boost_from_average": False}, (100,)),
    "default": ({}, (150, 300, 450)),
    "from_average": ({"boost_from_average": True}, (150, 300, 450)),
    "rate_0.03": ({"learning_rate": 0.03}, (300, 600, 900)),
    "rate_0.1": ({"learning_rate": 0.1}, (100, 180)),
    "leaves_4": ({"num_leaves": 4}, (300, 450)),
    "leaves_16": ({"num_leaves": 16}, (150, 300)),
    "l2_1": ({"lambda_l2": 1.0}, (300,)),
    "l2_3": ({"lambda_l2": 3.0}, (300,)),
    "l2_30": ({"lambda_l2": 30.0}, (300,)),
    "from_average_l2_1": ({"boost_from_average": True, "lambda_l2": 1.0}, (300,)),
    "bins_255": ({"max_bin": 255}, (300,)),
    "bins_1023": ({"max_bin": 1023}, (300,)),
    "rows_in_leaf_100": ({"min_data_in_leaf": 100}, (300,)),
    "hessian_0.1": ({"min_sum_hessian_in_leaf": 0.1}, (300,)),
    "features_0.3": ({"feature_fraction": 0.3}, (300,)),
    "features_1": ({"feature_fraction": 1.0}, (300,)),
    "features_0.5_a_node": ({"feature_fraction": 1.0, "feature_fraction_bynode": 0.5}, (300,)),
    "bagging_legit_0.3": ({"neg_bagging_fraction": 0.3, "bagging_freq": 1}, (300,)),
    "path_smooth_1": ({"path_smooth": 1.0}, (300,)),
    "extra_trees": ({"extra_trees": True}, (300, 450)),
    "cat_smooth_50": ({"cat_smooth": 50.0}, (300,)),
    "cat_smooth_1": ({"cat_smooth": 1.0}, (300,)),
    "cat_l2_50": ({"cat_l2": 50.0}, (300,)),
    "cat_group_20": ({"min_data_per_group": 20}, (300,)),
    "cat_group_500": ({"min_data_per_group": 500}, (300,)),
    "cat_onehot_16": ({"max_cat_to_onehot": 16}, (300,)),
    "bagged": ({}, (150, 300)),
    "bagged_share_0.01": ({"fraud_share": 0.01}, (300,)),
    "bagged_share_0.05": ({"fraud_share": 0.05}, (300,)),
    "bagged_share_0.1": ({"fraud_share": 0.1}, (300,)),
    "bagged_share_0.5": ({"fraud_share": 0.5}, (300,)),
    "bagged_1": ({"n_members": 1}, (300,)),
    "bagged_10": ({"n_members": 10}, (300,)),
    "bagged_bins_1023": ({"max_bin": 1023}, (300,)),
    "bagged_leaves_16": ({"num_leaves": 16}, (300,)),
    "bagged_rate_0.1": ({"learning_rate": 0.1}, (100, 180)),
    "bagged_features_1": ({"feature_fraction": 1.0}, (300,)),
}
"""What differs from the defaults of `LightGBM`, or of `BaggedLightGBM` where the name says so, and
after how many rounds it is looked at."""

FEW = ("library", "default", "from_average", "leaves_16", "l2_1", "bins_255", "features_1")


def main() -> None:
    arguments = _arguments()
    with record.recording(__file__, __doc__, arguments) as figures:
        _print_table(arguments, figures)


def _print_table(arguments: argparse.Namespace, figures: record.Figures) -> None:
    tables = _tables(arguments.tables)
    names = arguments.settings or (SETTINGS if arguments.all else FEW)
    rows: list[dict[str, Any]] = []
    for name in names:
        rows += _measure(name, tables, arguments)
        print(*rows[-len(SETTINGS[name][1]) :], sep="\n", file=sys.stderr, flush=True)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=140, tbl_hide_dataframe_shape=True):
        print(_ranked(rows, list(tables)))
    for row in rows:
        for table in tables:
            figures.add(f"{table}, {row['setting']}, {row['rounds']} rounds", row[table], "AP")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("settings", nargs="*", help=f"of {', '.join(SETTINGS)}; by default a few")
    parser.add_argument("--all", action="store_true", help="all settings")
    parser.add_argument("--tables", nargs="+", default=list(_TABLES), choices=list(_TABLES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="fits a fold; the mean is taken")
    record.add_option(parser)
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.settings) - set(SETTINGS))
    if unknown:
        parser.error(f"{listing(unknown)}: no such setting. {nearest(unknown[0], SETTINGS)}")
    return arguments


def _tables(names: list[str]) -> dict[str, list[Fold]]:
    scores = {}
    for name in names:
        try:
            scores[name] = list(_TABLES[name]())
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        frauds = sum(score.frauds for _, score in scores[name])
        print(f"{name}: {len(scores[name])} folds, {frauds} frauds scored", file=sys.stderr)
    return scores


def _measure(
    name: str, tables: Mapping[str, list[Fold]], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """One row for each number of rounds of a setting."""
    different, checkpoints = SETTINGS[name]
    kind = BaggedLightGBM if name.startswith("bagged") else LightGBM
    learner = kind(**different, num_iterations=max(checkpoints))
    rows: list[dict[str, Any]] = [{"setting": name, "rounds": count} for count in checkpoints]
    start = time.process_time()
    for table, folds in tables.items():
        precision = _precision(learner, folds, checkpoints, arguments)
        for row, value in zip(rows, precision.mean(axis=0), strict=True):
            row[table] = round(float(value), 4)
    for row in rows:
        row["seconds"] = round(time.process_time() - start, 1)
    return rows


def _precision(
    learner: LightGBM | BaggedLightGBM,
    folds: list[Fold],
    checkpoints: tuple[int, ...],
    arguments: argparse.Namespace,
) -> NDArray[np.float64]:
    """Average precision, one row a fit, one column a number of rounds."""
    result = []
    for seed in range(arguments.seeds):
        for train, score in folds:
            model = learner.fit(train, FitContext(seed=seed, threads=arguments.threads))
            margins = (model.margin(score, rounds) for rounds in checkpoints)
            result.append([average_precision_score(score.y, margin) for margin in margins])
    return np.array(result)


def _ranked(rows: list[dict[str, Any]], tables: list[str]) -> pl.DataFrame:
    ranks = [pl.col(table).rank(descending=True).alias(f"rank {table}") for table in tables]
    return (
        pl.DataFrame(rows)
        .with_columns(pl.mean_horizontal(ranks).round(1).alias("mean rank"))
        .sort("mean rank")
    )


def _read(name: str) -> pl.DataFrame:
    path = Path(os.environ.get("FRAUDML_DATA", "data")) / name
    if not path.exists():
        raise FileNotFoundError(f"'{path}' does not exist; set FRAUDML_DATA")
    return pl.read_parquet(path)


def _matrix(
    frame: pl.DataFrame, features: list[str], label: str, categorical: tuple[str, ...] = ()
) -> DesignMatrix:
    values = frame.select(pl.col(features).cast(pl.Float32)).to_numpy(order="c")
    return DesignMatrix(
        np.ascontiguousarray(values),
        tuple(features),
        tuple(features.index(name) for name in categorical),
        label=frame[label].cast(pl.Int8).to_numpy(),
    )


def _forward(matrix: DesignMatrix, edges: tuple[float, ...]) -> Iterator[Fold]:
    cuts = [int(share * len(matrix)) for share in edges]
    rows = np.arange(len(matrix))
    for start, end in pairwise(cuts):
        yield matrix.take(rows[:start]), matrix.take(rows[start:end])


def _ulb() -> Iterator[Fold]:
    frame = _read("ulb.parquet").sort("Time", maintain_order=True)
    features = [*(f"V{number}" for number in range(1, 29)), "Amount"]
    development = _matrix(frame.head(int(0.8 * len(frame))), features, "Class")
    return _forward(development, (0.4, 0.6, 0.8, 1.0))


def _gmsc() -> Iterator[Fold]:
    frame = _read("gmsc.parquet")
    features = [name for name in frame.columns if name not in ("id", "label", "cost_fp", "cost_fn")]
    matrix = _matrix(frame, features, "label")
    development, _ = next(iter(_stratified(matrix, 5)))
    folds = list(_stratified(development, 4))
    return iter(folds[:2])


def _stratified(matrix: DesignMatrix, parts: int) -> Iterator[Fold]:
    cutter = StratifiedKFold(parts, shuffle=True, random_state=0)
    for fit, score in cutter.split(matrix.y, matrix.y):
        yield matrix.take(fit), matrix.take(score)


def _simulated() -> Iterator[Fold]:
    frame = simulate(SimulateSettings())
    words = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    categorical = tuple(name for name in words if name not in ("card_id", "terminal_id"))
    frame = frame.with_columns(
        pl.col(name).rank("dense").cast(pl.Int32).add(1).fill_null(0) for name in categorical
    ).with_columns(pl.col("time").dt.hour().alias("hour"), pl.col("time").dt.weekday().alias("day"))
    left_out = {"transaction_id", "time", "card_id", "terminal_id", "label", "label_time"}
    features = [name for name in frame.columns if name not in left_out]
    development = _matrix(
        frame.head(int(0.8 * len(frame))), features, "label", categorical=categorical
    )
    return _forward(development, (0.4, 0.6, 0.8, 1.0))


def _handbook() -> Iterator[Fold]:
    """Validation folds of the Handbook's protocol, with its 15 features."""
    frame = _read("handbook.parquet").filter(pl.col("TX_DATETIME") < datetime(2018, 8, 1))
    frame, features = _handbook_features(frame.sort("TX_DATETIME", maintain_order=True))
    for days in (0, 7, 14, 21):
        start = datetime(2018, 7, 11) - timedelta(days=days)
        yield _handbook_fold(frame, features, start)


def _handbook_features(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    when, fraud, unit = pl.col("TX_DATETIME"), pl.col("TX_FRAUD"), pl.lit(1.0)
    amount = pl.col("TX_AMOUNT")
    columns = [
        (when.dt.weekday() >= 6).alias("weekend"),
        (when.dt.hour() <= 6).alias("night"),
    ]
    for days in (1, 7, 30):
        for name, values in (("count", pl.col("one")), ("sum", amount)):
            window = values.rolling_sum_by("TX_DATETIME", f"{days}d", closed="right")
            columns.append(window.over("CUSTOMER_ID").alias(f"card {name} {days}"))
    for days in (0, 1, 7, 30):
        for name, values in (("count", pl.col("one")), ("frauds", fraud.cast(pl.Float64))):
            window = values.rolling_sum_by("TX_DATETIME", f"{days + 7}d", closed="right")
            columns.append(window.over("TERMINAL_ID").alias(f"terminal {name} {days}"))
    frame = frame.with_columns(unit.alias("one")).with_columns(columns)
    shares = []
    for days in (1, 7, 30):
        count = pl.col(f"terminal count {days}") - pl.col("terminal count 0")
        frauds = pl.col(f"terminal frauds {days}") - pl.col("terminal frauds 0")
        mean = pl.col(f"card sum {days}") / pl.col(f"card count {days}")
        risk = pl.when(count > 0).then(frauds / count).otherwise(0.0)
        shares += [
            mean.alias(f"mean {days}"),
            count.alias(f"seen {days}"),
            risk.alias(f"risk {days}"),
        ]
    counts = [f"card count {days}" for days in (1, 7, 30)]
    derived = [f"{name} {days}" for days in (1, 7, 30) for name in ("mean", "seen", "risk")]
    return frame.with_columns(shares), ["TX_AMOUNT", "weekend", "night", *counts, *derived]


def _handbook_fold(frame: pl.DataFrame, features: list[str], start: datetime) -> Fold:
    when, week = pl.col("TX_DATETIME"), timedelta(days=7)
    train = frame.filter(when >= start, when < start + week)
    known = set(train.filter(pl.col("TX_FRAUD") == 1)["CUSTOMER_ID"])
    parts = []
    for day in range(7):
        label_day = start + week + timedelta(days=day - 1)
        frauds = frame.filter(
            when >= label_day, when < label_day + timedelta(days=1), pl.col("TX_FRAUD") == 1
        )
        known |= set(frauds["CUSTOMER_ID"])
        test_day = start + 2 * week + timedelta(days=day)
        today = frame.filter(when >= test_day, when < test_day + timedelta(days=1))
        parts.append(today.filter(~pl.col("CUSTOMER_ID").is_in(list(known))))
    return _matrix(train, features, "TX_FRAUD"), _matrix(pl.concat(parts), features, "TX_FRAUD")


_TABLES: dict[str, Callable[[], Iterator[Fold]]] = {
    "ulb": _ulb,
    "handbook": _handbook,
    "gmsc": _gmsc,
    "simulated": _simulated,
}

if __name__ == "__main__":
    main()
