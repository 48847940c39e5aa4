"""What is compared: the scores of finished runs, or those of bundles on one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.bundle import read_bundle
from fraudml.bundle.folder import bundle_folder
from fraudml.config import read_config
from fraudml.config.components import build
from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.clock import format_moment
from fraudml.data.read import load_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.decisions.costs import Card, CostModel, Fixed
from fraudml.errors import DataError
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.files import PARTIAL
from fraudml.scoring.scorer import Scorer

_SCORES = ("test_scores.parquet", "backtest_scores.parquet")
_ROW = ("id", "time", "entity", "amount", "label")


@dataclass(frozen=True)
class ScoredBlock:
    """Rows with one model's scores and alerts; `frame` has the columns that costs need."""

    frame: pl.DataFrame
    scored: ScoredFrame
    alert: NDArray[np.bool_]


@dataclass(frozen=True)
class Candidate:
    """One model with its scores of the rows that all are compared on.

    There is one block, or one a fold of a backtest; `costs` is None where they stand in columns
    that the scores lack.
    """

    name: str
    folder: str
    blocks: tuple[ScoredBlock, ...]
    costs: CostModel | None


def from_runs(folders: Sequence[str]) -> tuple[list[Candidate], list[str]]:
    """Read finished runs, with notes on how they differ; other rows are refused."""
    paths = [Path(folder).expanduser() for folder in folders]
    tables = [_read_scores(path) for path in paths]
    for folder, table in zip(folders[1:], tables[1:], strict=True):
        _refuse_other_rows(tables[0], table, folders[0], folder)
    settings = [read_config(path / "config.yaml") for path in paths]
    dataset = _dataset(tables[0], settings[0].data)
    candidates = [
        Candidate(name, folder, _blocks(dataset, table), _run_costs(config))
        for name, folder, table, config in zip(
            names(folders), folders, tables, settings, strict=True
        )
    ]
    refused = [
        f"The guard refused {candidate.name}: it has no bundle to score with."
        for candidate, path in zip(candidates, paths, strict=True)
        if not (path / "bundle").is_dir()
    ]
    return candidates, [*refused, *_cost_notes(candidates)]


def from_bundles(
    folders: Sequence[str], data: DataSettings, threads: int
) -> tuple[list[Candidate], list[str]]:
    """Score one table by several bundles; rows without a known label are left out."""
    bundles = [read_bundle(bundle_folder(folder), threads) for folder in folders]
    plans = [bundle.features for bundle in bundles]
    keys = {key for plan in plans for key in plan.columns - plan.history.numbers}
    own = {feature.column for plan in plans for feature in plan.own}
    table = load_table(data, names=keys - own)
    dataset = check_table(table, data)
    known = np.flatnonzero(dataset.label >= 0)
    order = dataset.facts["row"].to_numpy()[known]
    candidates, notes = [], []
    for name, folder, bundle in zip(names(folders), folders, bundles, strict=True):
        scores = Scorer(bundle).score(table)[order]
        p = scores["score"].to_numpy()
        scored = score_rows(dataset, known, p, p)
        block = ScoredBlock(dataset.frame[known], scored, scores["alert"].to_numpy())
        candidates.append(Candidate(name, folder, (block,), bundle.costs))
        notes += _overlap(name, bundle.record, dataset)
    return candidates, [*notes, *_cost_notes(candidates)]


def names(folders: Sequence[str]) -> list[str]:
    """Return the shortest ends of paths that differ; a bundle is named by its run.

    Examples
    --------
    >>> names(["runs/a/bundle", "runs/b/bundle"]), names(["x/run", "y/run"])
    (['a', 'b'], ['x/run', 'y/run'])
    """
    paths = [Path(folder) for folder in folders]
    paths = [
        path.parent if path.name == "bundle" and len(path.parts) > 1 else path for path in paths
    ]
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        short = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(short)) == len(short):
            return short
    return list(folders)


def _read_scores(folder: Path) -> pl.DataFrame:
    if not folder.is_dir():
        raise DataError(f"runs: there is no folder '{folder}'. Expected the folder of a run.")
    partial = folder.with_name(folder.name + PARTIAL)
    if folder.name.endswith(PARTIAL):
        raise DataError(f"runs: '{folder}' is not finished. Compare it when the run has ended.")
    paths = [folder / name for name in _SCORES if (folder / name).exists()]
    if not paths or not (folder / "config.yaml").exists():
        unfinished = f" '{partial}' is not finished." if partial.exists() else ""
        raise DataError(
            f"runs: '{folder}' is no finished run of train, backtest or sweep: it has no "
            f"{' or '.join(_SCORES)} beside a config.yaml.{unfinished} For bundles write "
            "bundles=[…]."
        )
    try:
        table = pl.read_parquet(paths[0])
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"'{paths[0]}' cannot be read: {error}. Run it again.") from error
    missing = {*_ROW, "margin", "score", "alert"} - set(table.columns)
    if missing:
        raise DataError(f"'{paths[0]}' lacks {', '.join(sorted(missing))}. Run it again.")
    return table


def _refuse_other_rows(
    table: pl.DataFrame, other_table: pl.DataFrame, folder: str, other_folder: str
) -> None:
    has_folds = "fold" in table.columns
    columns = [*_ROW, *(("fold",) if has_folds else ())]
    step = "Train both on the same table with the same split, then compare."
    if table.height != other_table.height or has_folds != ("fold" in other_table.columns):
        raise DataError(
            f"'{folder}' was tested on {table.height:,} rows and '{other_folder}' on "
            f"{other_table.height:,} others. Models are compared on the same rows. {step}"
        )
    for name in columns:
        if rows := _count_different(table[name], other_table[name]):
            raise DataError(
                f"'{folder}' and '{other_folder}' were not tested on the same rows: {name} differs "
                f"in {rows:,} of {table.height:,}. {step}"
            )


def _count_different(first: pl.Series, second: pl.Series) -> int:
    if first.dtype != second.dtype and pl.Null not in (first.dtype, second.dtype):
        return len(first)
    return int((~first.eq_missing(second)).sum())


def _dataset(table: pl.DataFrame, data: DataSettings) -> Dataset:
    """Rebuild the dataset of scored rows: their clock and entities."""
    known = [name for name in _ROW if table[name].null_count() < table.height]
    if not table["id"].is_unique().all():  # the folds of a backtest may overlap
        known = [name for name in known if name != "id"]
    time, id_, entity, amount = (
        name if name in known else None for name in ("time", "id", "entity", "amount")
    )
    roles = ColumnRoles(label="label", time=time, id=id_, entity=entity, amount=amount)
    return check_table(table, replace(data, columns=roles, positive=None, labels_complete=True))


def _blocks(dataset: Dataset, table: pl.DataFrame) -> tuple[ScoredBlock, ...]:
    """Join one run's scores to the rows, which all runs share; one block a fold."""
    own = table[dataset.facts["row"].to_numpy()]
    every = np.arange(len(dataset))
    blocks = [every]
    if "fold" in table.columns:
        folds = own["fold"].to_numpy()
        blocks = [every[folds == fold] for fold in np.unique(folds)]
    return tuple(_block(dataset, own, rows) for rows in blocks)


def _block(dataset: Dataset, own: pl.DataFrame, rows: NDArray[np.int64]) -> ScoredBlock:
    scores = own[rows]
    scored = score_rows(dataset, rows, scores["margin"].to_numpy(), scores["score"].to_numpy())
    return ScoredBlock(scores, scored, scores["alert"].to_numpy())


def _run_costs(settings: Settings) -> CostModel | None:
    allowed = settings.components.allowed
    costs: CostModel = build(settings.costs, key_path="costs", allowed=allowed)
    if costs.columns:
        return None
    if isinstance(costs, Card) and settings.data.columns.amount is None:
        return Fixed()
    return costs


def _cost_notes(candidates: Sequence[Candidate]) -> list[str]:
    first = candidates[0]
    others = [candidate.name for candidate in candidates[1:] if candidate.costs != first.costs]
    if not others:
        return []
    return [
        f"The costs of {', '.join(others)} are not those of {first.name}: all are counted by those "
        f"of {first.name}, and the alerts of the others were chosen by costs of their own."
    ]


def _overlap(name: str, record: dict[str, Any], dataset: Dataset) -> list[str]:
    """Note where a bundle may have been fitted on rows of the table."""
    end = record.get("data", {}).get("blocks", {}).get("development", {}).get("end")
    schema = dataset.schema
    first = dataset.facts["time"][0] if dataset.has_time else None
    start = format_moment(first, unit=schema.time_unit, numeric=schema.numeric_time)
    numbers = isinstance(start, float) and isinstance(end, int | float) and start <= end
    dates = isinstance(start, str) and isinstance(end, str) and start <= end
    if not (numbers or dates):
        return []
    return [
        f"{name} was fitted on rows up to {end}, and this table begins at {start}: rows that it "
        "has learnt from make it look better. Compare on later rows."
    ]
