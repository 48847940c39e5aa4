"""Row ranges on the as-of clock: blocks, out-of-fold steps, prequential folds."""

from fraudml.split.blocks import (
    MIN_FRAUDS,
    Block,
    Fold,
    Split,
    SplitSettings,
    split_blocks,
)
from fraudml.split.prequential import BacktestFold, BacktestSettings, prequential_folds
from fraudml.split.window import whole_window

__all__ = [
    "MIN_FRAUDS",
    "BacktestFold",
    "BacktestSettings",
    "Block",
    "Fold",
    "Split",
    "SplitSettings",
    "prequential_folds",
    "split_blocks",
    "whole_window",
]
