"""The boosters as they come, for the benchmarks beside them."""

from __future__ import annotations

from typing import Any


def lightgbm(seed: int, threads: int) -> Any:
    """Return LightGBM's classifier as it comes."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(random_state=seed, n_jobs=threads, verbosity=-1)


def xgboost(seed: int, threads: int) -> Any:
    """Return XGBoost's classifier as it comes."""
    from xgboost import XGBClassifier

    return XGBClassifier(random_state=seed, n_jobs=threads)


def catboost(seed: int, threads: int) -> Any:
    """Return CatBoost's classifier as it comes."""
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        random_seed=seed, thread_count=threads, verbose=False, allow_writing_files=False
    )
