"""The tree of settings, its strict reading, and Hydra, which is imported in `compose` alone."""
