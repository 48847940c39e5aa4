"""What differs between the development window and the test block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fraudml.audit.finding import Finding, Severity, percent, plural, rows_of
from fraudml.data.schema import Dataset
from fraudml.features.columns import ColumnFeature
from fraudml.features.plan import FittedFeatures
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.protocol import FitContext, FittedLearner, Learner
from fraudml.matrix import FIRST_LEVEL_CODE, MISSING_CODE, DesignMatrix
from fraudml.metrics import roc_auc
from fraudml.seeds import child_generator, child_seed
from fraudml.shift import MISSING_GAP
from fraudml.split import Split

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

MOVED = 0.7
"""The AUC from which the blocks are told apart too well."""

_MANY_NEW, _SOME_NEW = 0.1, 0.01
_MOST_ROWS, _MOST_CELLS, _ALWAYS = 50_000, 6e6, 5_000
_FEWEST_ROWS = 30
_FOLDS = 3
_EXPLAINED = 500
_SHOWN, _WORTH_SHOWING = 5, 0.6
_COUNTS = 0.25


def find_new_categories(
    dataset: Dataset, split: Split, features: FittedFeatures
) -> Iterator[Finding]:
    """Find categories in the test block that the development window does not have.

    Parameters
    ----------
    dataset : Dataset
        The table.
    split : Split
        Its blocks.
    features : FittedFeatures
        Fitted on the development window.
    """
    for feature in features.own:
        if feature.kind != "category":
            continue
        names = dataset.names(feature.column)[split.test.rows]
        new = names.filter(~names.is_in(list(feature.levels)) & names.is_not_null())
        share = len(new) / max(len(names), 1)
        if share < _SOME_NEW:
            continue
        message = (
            f"column '{feature.column}' holds {plural(new.n_unique(), 'value')} in the test block "
            f"that the development window does not have, in {rows_of(len(new), len(names))}. To a "
            "model they are one unknown value. Train on a longer or later window, make coarser "
            "groups, or leave the column out."
        )
        severity: Severity = "warning" if share >= _MANY_NEW else "note"
        yield Finding("new_categories", feature.column, severity, len(new), message)


def find_shift(
    dataset: Dataset, split: Split, features: FittedFeatures, seed: int
) -> Iterator[Finding]:
    """Tell the test block from the development window by the columns (adversarial validation).

    LightGBM learns which block a row is from, on features of columns alone: no time, no id, no
    entity, no key. The AUC is out of fold, over three folds of at most 50,000 rows (fewer of a wide
    table); about .5 is no shift. Columns are ranked by their mean absolute Shapley values.

    Parameters
    ----------
    dataset : Dataset
        The table.
    split : Split
        Its blocks.
    features : FittedFeatures
        Fitted on the development window.
    seed : int
        The run's seed.
    """
    own = FittedFeatures(features.own)
    rows = _sample(split, len(own.names), seed)
    label = np.isin(rows, split.test.rows).astype(np.int8)
    if not own.names or min(np.bincount(label, minlength=2)) < _FEWEST_ROWS:
        yield Finding(
            "shift",
            None,
            "note",
            None,
            "The blocks were not compared: there is no feature of a column by itself, or a block "
            f"has fewer than {_FEWEST_ROWS} rows.",
        )
        return
    matrix = replace(own.matrix(dataset, rows), label=label)
    # On so few rows threads gain little, and wait for each other where the machine is busy.
    context = FitContext(seed=child_seed(seed, "audit shift"), threads=1)
    fold = child_generator(seed, "audit folds").permutation(len(matrix)) % _FOLDS
    models = [
        _quick().fit(matrix.take(np.flatnonzero(fold != number)), context)
        for number in range(_FOLDS)
    ]
    yield _shift(models, [np.flatnonzero(fold == k) for k in range(_FOLDS)], matrix, own.own)


def _quick() -> Learner:
    return LightGBM(
        num_iterations=100,
        learning_rate=0.1,
        num_leaves=16,
        max_bin=63,
        boost_from_average=True,
    )


def _sample(split: Split, columns: int, seed: int) -> Rows:
    """So many rows of both blocks as are looked at, in their order; of wide tables fewer."""
    rows = np.sort(np.concatenate([split.development.rows, split.test.rows]))
    most = int(min(_MOST_ROWS, max(_ALWAYS, _MOST_CELLS / max(columns, 1))))
    if len(rows) <= most:
        return rows
    generator = child_generator(seed, "audit sample")
    return np.sort(generator.choice(rows, most, replace=False))


def _shift(
    models: Sequence[FittedLearner],
    held_out: Sequence[Rows],
    matrix: DesignMatrix,
    own: tuple[ColumnFeature, ...],
) -> Finding:
    margin = np.empty(len(matrix))
    for model, rows in zip(models, held_out, strict=True):
        margin[rows] = model.margin(matrix.take(rows))
    auc = roc_auc(matrix.y, margin)
    summary = (
        f"A classifier that sees the columns alone tells the test block from the development "
        f"window with an AUC of {auc:.2f} (0.5 is no shift; {len(matrix):,} rows, out of fold)."
    )
    if auc < _WORTH_SHOWING:
        return Finding("shift", None, "note", len(matrix), f"{summary} Nothing to do.")
    moved = [
        _move(matrix, position, own[position]) for position in _heaviest(models, held_out, matrix)
    ]
    severity: Severity = "warning" if auc > MOVED else "note"
    step = (
        "What a model learns on one block may not hold on the other: leave out what moves without "
        "a reason (features.drop), train on later rows, and compare with backtest."
        if auc > MOVED
        else "Scores of the test block may not tell the future: compare with backtest."
    )
    message = f"{summary} What moves most: {'; '.join(moved)}. {step}"
    return Finding("shift", None, severity, len(matrix), message)


def _heaviest(
    models: Sequence[FittedLearner], held_out: Sequence[Rows], matrix: DesignMatrix
) -> list[int]:
    """Positions of the features that tell the blocks apart, by mean absolute Shapley values."""
    weight = np.zeros(len(matrix.names))
    for model, rows in zip(models, held_out, strict=True):
        few = rows[np.linspace(0, len(rows) - 1, min(_EXPLAINED, len(rows))).astype(np.int64)]
        weight += np.abs(model.contributions(matrix.take(few))[:, :-1]).mean(axis=0)
    top = np.argsort(-weight, kind="stable")[:_SHOWN]
    return [int(position) for position in top if weight[position] >= _COUNTS * weight.max()]


def _move(matrix: DesignMatrix, position: int, feature: ColumnFeature) -> str:
    """Say in one number for each block how a feature moved."""
    values = matrix.values[:, position].astype(np.float64)
    blocks = values[matrix.y == 0], values[matrix.y == 1]
    if feature.kind == "category":
        return f"'{feature.name}' ({_moved_level(blocks, feature.levels)})"
    gaps = [float(np.isnan(block).mean()) for block in blocks]
    if abs(gaps[1] - gaps[0]) > MISSING_GAP:
        return f"'{feature.name}' (missing in {percent(gaps[0])}, then {percent(gaps[1])})"
    means = [float(np.mean(block[~np.isnan(block)])) for block in blocks]
    return f"'{feature.name}' (mean {means[0]:.4g}, then {means[1]:.4g})"


def _moved_level(blocks: tuple[Floats, Floats], levels: tuple[str, ...]) -> str:
    """The category whose share moved most, with both shares."""
    codes = FIRST_LEVEL_CODE + len(levels)
    shares = [np.bincount(block.astype(np.int64), minlength=codes) / len(block) for block in blocks]
    code = int(np.argmax(np.abs(shares[1] - shares[0])))
    if code >= FIRST_LEVEL_CODE:
        level = f"'{levels[code - FIRST_LEVEL_CODE]}' in"
    else:
        level = "missing in" if code == MISSING_CODE else "a new value in"
    return f"{level} {percent(shares[0][code])}, then {percent(shares[1][code])}"
