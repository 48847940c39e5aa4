"""Evaluation of models on held-out rows, comparisons of models, and the guard."""
