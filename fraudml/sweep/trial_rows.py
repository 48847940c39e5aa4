"""The rows that trials are scored on, prepared once for each set of settings that decides them."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from fraudml.config import load_settings
from fraudml.config.parse import dump
from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.errors import DataError
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.machine import thread_count
from fraudml.pipeline.components import build_components
from fraudml.pipeline.folds import SharedFolds
from fraudml.pipeline.prepare import Prepared, prepare_split
from fraudml.split import BacktestFold, Fold, prequential_folds, split_blocks
from fraudml.sweep.blocks import SweepRows, write_rows
from fraudml.sweep.margins import MARGINS

_ROWS = "rows"
_DECISIVE = ("data", "split", "features", "backtest", "costs", "sweep", "audit", "seed")


def settings_with(folder: Path, overrides: Sequence[str]) -> Settings:
    """Return the settings of a sweep's folder with the overrides of a trial."""
    return load_settings("sweep", overrides, config_dir=folder, config_name="config")


class TrialRows:
    """The rows of trials in the folder of a sweep; safe to ask from threads."""

    def __init__(self, frame: pl.DataFrame, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._dataset = check_table(frame, settings.data)
        self._lock = threading.Lock()
        self.cleanup()

    def rows_of(self, overrides: Sequence[str]) -> Path:
        """Return the folder with the rows of a trial."""
        settings = settings_with(self.folder, overrides)
        plain = dump(settings)
        decisive = {name: plain[name] for name in _DECISIVE}
        text = json.dumps(decisive, sort_keys=True, default=str)
        path = self.folder / _ROWS / hashlib.sha256(text.encode()).hexdigest()[:16]
        with self._lock:
            if not path.exists():
                write_rows(self._prepare(settings), path)
        return path

    def cleanup(self) -> None:
        """Remove all rows."""
        for name in (_ROWS, MARGINS):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _prepare(self, settings: Settings) -> list[SweepRows]:
        threads = thread_count(settings.threads)
        if settings.sweep.blocks == "steps":
            split = split_blocks(self._dataset, settings.split, settings.data, settings.seed)
            costs = build_components(settings).costs
            prepared = prepare_split(self._dataset, split, settings, costs, threads)
            return [_sweep_rows(prepared, split.folds)]
        cut = replace(settings.backtest, end=settings.sweep.folds_end)
        folds = prequential_folds(self._dataset, cut, settings.split, settings.data)
        tested = prequential_folds(self._dataset, settings.backtest, settings.split, settings.data)
        _refuse_overlap(folds[-1], tested[0], settings)
        shared = SharedFolds.of(self._dataset, folds, settings, threads)
        parts = [shared.fold_data(fold) for fold in folds]
        return [_sweep_rows(part.prepared, [Fold(part.train, part.test)]) for part in parts]


def _refuse_overlap(last: BacktestFold, first: BacktestFold, settings: Settings) -> None:
    """Refuse validation folds whose labels are not all known when the test folds begin."""
    ends, begins = last.test.end, first.test.start
    assert ends is not None
    assert begins is not None
    if ends + settings.backtest.delay(settings.split) >= begins:
        raise DataError(
            f"sweep.folds_end={settings.sweep.folds_end}: the labels of the last validation fold, "
            f"which ends with {ends}, are not all known when the first test fold begins with "
            f"{begins}. Choices would have seen test rows. Set an earlier sweep.folds_end."
        )


def _sweep_rows(prepared: Prepared, folds: Sequence[Fold]) -> SweepRows:
    every = np.arange(len(prepared.matrix))
    nothing = np.zeros(len(every))
    scored = score_rows(prepared.dataset, every, nothing, nothing)
    days = [
        ScoredFrame(scored.frame[fold.score]).days if len(fold.score) else 0.0 for fold in folds
    ]
    return SweepRows(
        prepared.matrix,
        prepared.costs,
        scored.amount,
        scored.day,
        scored.entity,
        tuple(folds),
        tuple(days),
    )
