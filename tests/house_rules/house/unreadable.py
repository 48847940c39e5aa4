"""A learner whose module has no `load`."""

from house.learner import Centroid


class Unreadable(Centroid):
    """As Centroid, but no bundle with it could be read."""
