"""Card precision on the Fraud Detection Handbook's test folds, against the published bounds."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fraudml.metrics import attainable_card_precision_at_k, card_precision_at_k

TABLE = Path(os.environ.get("FRAUDML_DATA", "data")) / "handbook.parquet"
pytestmark = pytest.mark.skipif(
    not TABLE.exists(), reason="needs handbook.parquet; set FRAUDML_DATA to its folder"
)
STARTS = [datetime(2018, 8, 15) - timedelta(days=7 * back) for back in range(4)]


def fold(start: datetime) -> pl.DataFrame:
    """Return the test week of a fold, less the customers whose fraud was known before each day."""
    first = pl.lit(start)
    table = (
        pl.scan_parquet(TABLE)
        .select("TX_DATETIME", "CUSTOMER_ID", "TX_FRAUD")
        .filter(pl.col("TX_DATETIME").is_between(first, first + timedelta(days=21), closed="left"))
        .with_columns(day=(pl.col("TX_DATETIME") - first).dt.total_days())
        .with_columns(pl.col("CUSTOMER_ID").cast(pl.Int64))
        .collect()
    )
    frauds = table.filter(pl.col("TX_FRAUD") == 1)
    kept = []
    for k in range(7):
        known = frauds.filter((pl.col("day") < 7) | pl.col("day").is_between(7, 7 + k - 1))
        test = table.filter(pl.col("day") == 14 + k)
        kept.append(test.join(known, on="CUSTOMER_ID", how="anti"))
    return pl.concat(kept)


def test_a_perfect_and_an_empty_score_get_the_published_values() -> None:
    perfect, chance = [], []
    for start in STARTS:
        test = fold(start)
        label, day, card = test["TX_FRAUD"], test["day"], test["CUSTOMER_ID"]
        perfect.append(attainable_card_precision_at_k(label, day, card, 100))
        chance.append(card_precision_at_k(label, np.zeros(len(test)), day, card, 100))
    assert np.round(perfect, 3).tolist() == [0.451, 0.420, 0.409, 0.397]
    assert np.mean(chance) == pytest.approx(0.017, abs=0.002)
