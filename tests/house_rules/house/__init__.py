"""A package outside of fraudml that adds one part of each kind by entry points."""
