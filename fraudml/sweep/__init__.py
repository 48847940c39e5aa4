"""Sweeps: what is searched, how trials are run and capped, and where they are kept."""
