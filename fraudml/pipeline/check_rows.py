"""The rows that an export is checked on: those of a table, or of the test block of its run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle
from fraudml.bundle.decision import Decisions
from fraudml.config import load_settings
from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.fingerprint import fingerprint
from fraudml.data.read import load_table
from fraudml.errors import ConfigError, DataError, FraudmlError
from fraudml.matrix import DesignMatrix
from fraudml.scoring.job import open_job
from fraudml.scoring.settings import ScoreSettings
from fraudml.split import split_blocks

MOST_ROWS = 100_000
"""More rows would tell no more, and take memory."""


@dataclass(frozen=True)
class CheckRows:
    """Rows with what the bundle decides on them.

    Parameters
    ----------
    X : DesignMatrix
        Their features.
    decided : Decisions
        The bundle's.
    origin : str
        Where they are from, for people.
    """

    X: DesignMatrix
    decided: Decisions
    origin: str


def check_rows(settings: Settings, bundle: DecisionBundle, folder: Path, threads: int) -> CheckRows:
    """Find the rows to check an export on, at most `MOST_ROWS`.

    Parameters
    ----------
    settings : Settings
        `input`, `history` and how text is written.
    bundle : DecisionBundle
        What decides them.
    folder : Path
        Where it lies.
    threads : int
        How many to use.

    Raises
    ------
    ConfigError
        There is no `input`, and the bundle lies in no run whose table can be read.
    DataError
        The input cannot be scored, or has no row.
    """
    if settings.input is not None:
        rows = list(_of_input(settings, settings.input, bundle, threads))
        origin = "input"
    else:
        rows = [_of_test_block(bundle, folder, threads)]
        origin = "the test block"
    values = np.concatenate([np.empty((0, len(bundle.features.names)), np.float32), *_values(rows)])
    if not len(values):
        raise DataError(
            f"input '{settings.input}' has no row that can be scored, and an export is checked on "
            "rows. Pass a table that has some."
        )
    X = DesignMatrix(values, bundle.features.names, bundle.features.categorical)
    return CheckRows(X, _together([decided for _, decided in rows]), origin)


Rows = tuple[DesignMatrix, Decisions]


def _values(rows: list[Rows]) -> list[NDArray[np.float32]]:
    return [X.values for X, _ in rows]


def _together(decided: list[Decisions]) -> Decisions:
    return Decisions(
        margin=np.concatenate([one.margin for one in decided]),
        p=np.concatenate([one.p for one in decided]),
        threshold=np.concatenate([one.threshold for one in decided]),
        alert=np.concatenate([one.alert for one in decided]),
    )


def _of_input(
    settings: Settings, path: str, bundle: DecisionBundle, threads: int
) -> Iterator[Rows]:
    # Bundle and export see the same columns, whatever is known of the rows' past.
    how = ScoreSettings(allow_short_history=True, chunk_rows=settings.chunk_rows)
    job = open_job(bundle, (path, settings.history), settings.data.csv, how, threads)
    seen = 0
    for chunk in job.chunks():
        table = chunk.table.take(np.arange(min(len(chunk.table), MOST_ROWS - seen)))
        if len(table):
            X = bundle.features.matrix(table, history=chunk.history, threads=threads)
            yield X, bundle.decide(table, X)
        seen += len(table)
        if seen >= MOST_ROWS:
            return


def _of_test_block(bundle: DecisionBundle, folder: Path, threads: int) -> Rows:
    run = folder.parent
    if not (run / "config.yaml").is_file():
        raise ConfigError(
            f"input is not set, and '{folder}' lies in no folder of a run, whose test block would "
            "do. An export is checked on rows: pass input=new.parquet, and history=earlier.parquet "
            "where features look back."
        )
    try:
        told = load_settings("train", (), config_dir=str(run), config_name="config")
        table = load_table(told.data, names=told.features.keys)
        printed = fingerprint(table)
        dataset = check_table(table, told.data)
        split = split_blocks(dataset, told.split, told.data, told.seed)
    except FraudmlError as error:
        raise _no_test_block(run, str(error)) from error
    if printed != bundle.record.get("data", {}).get("fingerprint"):
        raise _no_test_block(run, "The table is not the one that the model was trained on.")
    rows = split.test.rows[:MOST_ROWS]
    X = bundle.features.matrix(dataset, rows, threads=threads)
    return X, bundle.decide(dataset.take(rows), X)


def _no_test_block(run: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"input is not set, and the test block of '{run}' cannot be made again: {reason} Pass the "
        "rows to check on by input=new.parquet, and history=earlier.parquet where features look "
        "back."
    )
