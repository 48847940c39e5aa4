"""The Handbook's own features and protocol on its own data, held to what its authors published."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fraudml.cli import main

DATA = Path(os.environ.get("FRAUDML_DATA", "data"))
FILES = [DATA / "handbook.parquet", DATA / "handbook_features_sample.parquet"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(path.exists() for path in FILES),
        reason="handbook.parquet and its sample are in the folder FRAUDML_DATA to run this",
    ),
]


def test_the_books_features_are_its_authors_values(tmp_path: Path) -> None:
    output = tmp_path / "features.parquet"
    assert main(["features", "+experiment=handbook_book", f"output={output}"]) == 0
    sample = pl.read_parquet(FILES[1])
    made = sample.select("TRANSACTION_ID").join(
        pl.read_parquet(output), on="TRANSACTION_ID", how="left", maintain_order="left"
    )
    for name in sample.columns[1:]:
        np.testing.assert_allclose(
            made[name].to_numpy(), sample[name].cast(pl.Float64).to_numpy(), rtol=1e-9, err_msg=name
        )


def means(tmp_path: Path, *overrides: str) -> dict[str, float]:
    folder = tmp_path / "run"
    command = ["backtest", *overrides, "evaluation.replicates=0", f"output_dir={folder}"]
    assert main(command) == 0
    return json.loads((folder / "backtest.json").read_text())["mean"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("learner", "auc", "ap", "cp"),
    [
        (["learner=logistic"], 0.8676, 0.6231, 0.2971),
        (["learner=random_forest", "learner.preprocess=impute_scale"], 0.8704, 0.6777, 0.2993),
    ],
    ids=["logistic", "random_forest"],
)
def test_published_models_are_reproduced(
    learner: list[str], auc: float, ap: float, cp: float, tmp_path: Path
) -> None:
    found = means(tmp_path, "+experiment=handbook_book", *learner)
    assert found["roc_auc"] == pytest.approx(auc, abs=0.005)
    assert found["average_precision"] == pytest.approx(ap, abs=0.005)
    assert found["card_precision_at_100"] == pytest.approx(cp, abs=0.005)


def test_looking_back_beats_the_best_published(tmp_path: Path) -> None:
    found = means(tmp_path, "+experiment=handbook")
    assert found["average_precision"] >= 0.74
    assert found["card_precision_at_100"] >= 0.308
