"""Evaluation: scores of rows that their model has not seen, what they are worth, and the guard."""
