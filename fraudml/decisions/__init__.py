"""Decisions: probabilities from margins, costs from rows, alerts from both."""
