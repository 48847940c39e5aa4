"""Bundles: everything that a decision needs, as plain data that is hashed and never executed."""

from fraudml.bundle.decision import DecisionBundle
from fraudml.bundle.folder import FORMAT_VERSION, bundle_digest, read_bundle, write_bundle
from fraudml.bundle.shift import Bins, TrainingSpread, spread_of

__all__ = [
    "FORMAT_VERSION",
    "Bins",
    "DecisionBundle",
    "TrainingSpread",
    "bundle_digest",
    "read_bundle",
    "spread_of",
    "write_bundle",
]
