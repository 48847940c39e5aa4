"""The finished chunks of a job put together, in memory that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.data.names import names_of
from fraudml.data.schema import Schema
from fraudml.decisions.top_k import daily_top_k
from fraudml.errors import MachineError
from fraudml.scoring.checkpoint import Checkpoint

ROWS_A_GROUP = 125_000
"""How many rows a group of a Parquet file, or a batch of an Arrow file, has at most."""

DAY, ENTITY = "\x00day", "\x00entity"
"""Stored with the scores of a chunk where alerts are chosen by day."""

_IDS_AT_A_TIME = 2_000_000


def write_output(table: pl.LazyFrame, path: Path, suffix: str) -> None:
    """Write rows in the format of a suffix; the bytes do not depend on the chunks."""
    with _write_errors(path):
        if suffix == ".csv":
            table.sink_csv(path, engine="streaming")
        elif suffix == ".parquet":
            table.sink_parquet(path, row_group_size=ROWS_A_GROUP, engine="streaming")
        else:
            table.sink_ipc(path, record_batch_size=ROWS_A_GROUP, engine="streaming")


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        message = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise MachineError(
            f"Cannot write '{path}': {message}. Free some space or choose another folder, then run "
            "the same command again: it resumes from the rows that are scored."
        ) from error


def daily_alerts(checkpoint: Checkpoint, k: int, *, by_entity: bool) -> pl.Series:
    """Choose the alerts of all chunks by day; takes 32 bytes of memory a row."""
    columns = ["score", "threshold", DAY, *([ENTITY] if by_entity else [])]
    scored = checkpoint.frames("scored").select(columns).collect(engine="streaming")
    return pl.Series("alert", best_of_days(scored, k, by_entity=by_entity))


def best_of_days(scored: pl.DataFrame, k: int, *, by_entity: bool) -> NDArray[np.bool_]:
    """Mark the rows that are among the `k` best cases of their days.

    `scored` has `score`, `threshold`, `DAY` and, where a case is an entity rather than a row,
    `ENTITY`; a row without an entity is a case of its own.
    """
    entity = None
    if by_entity:
        codes = scored[ENTITY].rank("dense").cast(pl.Int64) - 1
        own = pl.int_range(len(codes), eager=True) + len(codes)
        entity = codes.fill_null(own).to_numpy()
    return daily_top_k(
        scored["score"].to_numpy(),
        scored[DAY].to_numpy(),
        k=k,
        entity=entity,
        reviewable=np.isfinite(scored["threshold"].to_numpy()),
    )


def hash_names(names: pl.Series) -> pl.Series:
    """Return a number for each name; null where there is none."""
    return pl.select(pl.when(names.is_not_null()).then(names.hash(seed=0))).to_series()


def count_repeated(checkpoint: Checkpoint, schema: Schema) -> int:
    """Count the rows whose id an earlier row has; two million ids are in memory at a time."""
    name = schema.roles.id
    if name is None:
        return 0
    passes = max(1, -(-checkpoint.counts.scored // _IDS_AT_A_TIME))
    repeated = 0
    hashed = pl.col(name).map_batches(
        lambda ids: hash_names(names_of(ids, schema.spelling)), pl.UInt64, is_elementwise=True
    )
    ids = checkpoint.frames("scored").select(hashed.alias("hash"))
    for share in range(passes):
        some = ids.filter(pl.col("hash") % passes == share).collect(engine="streaming")
        repeated += some.height - some["hash"].n_unique()
    return repeated
