"""Steps that commands share: load, components, prepared rows, fit, evaluation, folds."""
