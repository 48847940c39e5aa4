"""Bundles: everything that a decision needs, as plain data that is hashed and never executed."""

from fraudml.bundle.decision import DecisionBundle
from fraudml.bundle.folder import FORMAT_VERSION, read_bundle, write_bundle

__all__ = ["FORMAT_VERSION", "DecisionBundle", "read_bundle", "write_bundle"]
