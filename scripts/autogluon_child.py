"""Fit AutoGluon on a table in a folder and write its scores: run by bench_peers.py, in AutoGluon's
own environment.

PYTHON scripts/autogluon_child.py FOLDER SECONDS THREADS

Reads train.parquet and test.parquet, writes scores.npy. Imports nothing of fraudml.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np


def main() -> None:
    folder, seconds, threads = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    read = import_module("pandas").read_parquet
    predictor = import_module("autogluon.tabular").TabularPredictor(
        label="label",
        problem_type="binary",
        eval_metric="average_precision",
        path=str(folder / "models"),
        verbosity=1,
    )
    predictor.fit(read(folder / "train.parquet"), time_limit=seconds, num_cpus=threads, num_gpus=0)
    scores = predictor.predict_proba(read(folder / "test.parquet"))[1]
    np.save(folder / "scores.npy", scores.to_numpy(dtype=np.float64))


if __name__ == "__main__":
    main()
