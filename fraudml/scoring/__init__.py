"""Scoring: a bundle and a table make scores. The import is light: no Hydra, no Optuna, no plots."""

from fraudml.scoring.scorer import Scorer, load_bundle

__all__ = ["Scorer", "load_bundle"]
