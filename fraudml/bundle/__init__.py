"""Bundles: everything that a decision needs, as plain data that is hashed and never executed."""

from fraudml.bundle.decision import DecisionBundle
from fraudml.bundle.folder import bundle_digest, read_bundle, write_bundle
from fraudml.bundle.upgrade import FORMAT_VERSION

__all__ = ["FORMAT_VERSION", "DecisionBundle", "bundle_digest", "read_bundle", "write_bundle"]
