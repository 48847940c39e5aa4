"""The finished pieces of a job put together, in memory that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.decisions.top_k import daily_top_k
from fraudml.errors import MachineError
from fraudml.scoring.checkpoint import Checkpoint

ROWS_A_GROUP = 125_000
"""How many rows a group of a Parquet file, or a batch of an Arrow file, has at most."""

DAY, ENTITY = "\x00day", "\x00entity"
"""Kept with the scores of a piece where alerts are chosen by day."""

_IDS_AT_A_TIME = 2_000_000


def write_whole(table: pl.LazyFrame, path: Path, suffix: str) -> None:
    """Write a table in the format of a suffix, the same bytes however it comes in pieces.

    Parameters
    ----------
    table : LazyFrame
        The rows, in their order.
    path : Path
        A file inside the folder of parts.
    suffix : str
        One of `FORMATS`.

    Raises
    ------
    MachineError
        It cannot be written.
    """
    with _writing(path):
        if suffix == ".csv":
            table.sink_csv(path, engine="streaming")
        elif suffix == ".parquet":
            table.sink_parquet(path, row_group_size=ROWS_A_GROUP, engine="streaming")
        else:
            table.sink_ipc(path, record_batch_size=ROWS_A_GROUP, engine="streaming")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise MachineError(
            f"Cannot write '{path}': {said}. Free some space or choose another place, then run the "
            "same command again: it goes on from the rows that are scored."
        ) from error


def daily_alerts(parts: Checkpoint, k: int, *, by_entity: bool) -> pl.Series:
    """Choose the alerts of all pieces by day; takes 32 bytes of memory a row.

    Parameters
    ----------
    parts, k, by_entity
        As in `best_of_days`.
    """
    columns = ["score", "threshold", DAY, *([ENTITY] if by_entity else [])]
    scored = parts.frames("scored").select(columns).collect(engine="streaming")
    return pl.Series("alert", best_of_days(scored, k, by_entity=by_entity))


def best_of_days(scored: pl.DataFrame, k: int, *, by_entity: bool) -> NDArray[np.bool_]:
    """Say which rows are the best cases of their days.

    Parameters
    ----------
    scored : DataFrame
        With `score`, `threshold`, `DAY` and, where alerts are by entity, `ENTITY`.
    k : int
        How many cases a day.
    by_entity : bool
        Whether a case is an entity, rather than a row.
    """
    entity = None
    if by_entity:
        codes = scored[ENTITY].rank("dense").cast(pl.Int64) - 1
        alone = pl.int_range(len(codes), eager=True) + len(codes)
        entity = codes.fill_null(alone).to_numpy()
    return daily_top_k(
        scored["score"].to_numpy(),
        scored[DAY].to_numpy(),
        k=k,
        entity=entity,
        reviewable=np.isfinite(scored["threshold"].to_numpy()),
    )


def count_repeated(parts: Checkpoint, name: str) -> int:
    """Count the rows whose id an earlier row has; two million ids are in memory at a time."""
    passes = max(1, -(-parts.tally.scored // _IDS_AT_A_TIME))
    repeated = 0
    for share in range(passes):
        hashed = parts.frames("scored").select(pl.col(name).hash(seed=0).alias("hash"))
        some = hashed.filter(pl.col("hash") % passes == share).collect(engine="streaming")
        repeated += some.height - some["hash"].n_unique()
    return repeated
