"""The rows that an export is checked on: those of a table, or of the test block of its run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fraudml.bundle import DecisionBundle
from fraudml.bundle.decision import Decisions
from fraudml.config import load_settings
from fraudml.config.settings import Settings
from fraudml.errors import ConfigError, DataError, FraudmlError
from fraudml.matrix import DesignMatrix
from fraudml.pipeline.load import load_dataset, table_of
from fraudml.progress import silent
from fraudml.scoring.job import open_job
from fraudml.scoring.settings import ScoreSettings
from fraudml.split import split_blocks

MOST_ROWS = 100_000
"""More rows would show no more, and take memory."""


@dataclass(frozen=True)
class CheckRows:
    """Features of some rows, the bundle's decisions on them, and where they come from."""

    X: DesignMatrix
    decisions: Decisions
    origin: str


def check_rows(settings: Settings, bundle: DecisionBundle, folder: Path, threads: int) -> CheckRows:
    """Find the rows to check an export on, at most `MOST_ROWS`."""
    if settings.input is not None:
        chunks = list(_of_input(settings, settings.input, bundle, threads))
        origin = "input"
    else:
        chunks = [_of_test_block(bundle, folder, threads)]
        origin = "the test block"
    features = bundle.features
    empty = np.empty((0, len(features.names)), np.float32)
    values = np.concatenate([empty, *(X.values for X, _ in chunks)])
    if not len(values):
        raise DataError(
            f"input '{settings.input}' has no row that can be scored, and an export is checked on "
            "rows. Pass a table that has some."
        )
    X = DesignMatrix(values, features.names, features.categorical)
    return CheckRows(X, _concatenate([decisions for _, decisions in chunks]), origin)


Scored = tuple[DesignMatrix, Decisions]


def _concatenate(chunks: list[Decisions]) -> Decisions:
    return Decisions(
        margin=np.concatenate([chunk.margin for chunk in chunks]),
        p=np.concatenate([chunk.p for chunk in chunks]),
        threshold=np.concatenate([chunk.threshold for chunk in chunks]),
        alert=np.concatenate([chunk.alert for chunk in chunks]),
    )


def _of_input(
    settings: Settings, path: str, bundle: DecisionBundle, threads: int
) -> Iterator[Scored]:
    # Bundle and export see the same columns, however little is known of the rows' history.
    options = ScoreSettings(allow_short_history=True, chunk_rows=settings.chunk_rows)
    job = open_job(bundle, (path, settings.history), settings.data.csv, options, threads)
    seen = 0
    for chunk in job.chunks():
        table = chunk.table.take(np.arange(min(len(chunk.table), MOST_ROWS - seen)))
        if len(table):
            X = bundle.features.matrix(table, history=chunk.history, threads=threads)
            yield X, bundle.decide(table, X)
        seen += len(table)
        if seen >= MOST_ROWS:
            return


def _of_test_block(bundle: DecisionBundle, folder: Path, threads: int) -> Scored:
    run = folder.parent
    if not (run / "config.yaml").is_file():
        raise ConfigError(
            f"input is not set, and '{folder}' is in no folder of a run, whose test block would "
            "do. An export is checked on rows: pass input=new.parquet, and history=earlier.parquet "
            "where features look back."
        )
    try:
        config = load_settings("train", (), config_dir=str(run), config_name="config")
        dataset, table_hash = load_dataset(table_of(config), config.data, silent)
        split = split_blocks(dataset, config.split, config.data, config.seed)
    except FraudmlError as error:
        raise _no_test_block(run, str(error)) from error
    if table_hash != bundle.record.get("data", {}).get("fingerprint"):
        raise _no_test_block(run, "The table is not the one that the model was trained on.")
    rows = split.test.rows[:MOST_ROWS]
    X = bundle.features.matrix(dataset, rows, threads=threads)
    return X, bundle.decide(dataset.take(rows), X)


def _no_test_block(run: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"input is not set, and the test block of '{run}' cannot be rebuilt: {reason} Pass the "
        "rows to check on by input=new.parquet, and history=earlier.parquet where features look "
        "back."
    )
