"""The work that commands share: components, prepared rows, fit, evaluation, folds, ablation."""
