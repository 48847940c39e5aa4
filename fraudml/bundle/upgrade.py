"""Manifests of earlier formats brought to the present one: pure functions of plain data.

There is at most one new format a release. Each older one keeps its step here, and a bundle that was
written in it lies frozen in `tests/fixtures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fraudml.data.schema import upgrade_schema
from fraudml.features.history import upgrade_plan

FORMAT_VERSION = 2
"""The format that this fraudml writes, and the highest that it reads."""

Manifest = dict[str, Any]


def upgrade(manifest: Manifest) -> Manifest:
    """Return a manifest of any known format in the present one; the argument is not changed."""
    for number in range(manifest["format_version"], FORMAT_VERSION):
        manifest = {**_STEPS[number](manifest), "format_version": number + 1}
    return manifest


def _from_1(manifest: Manifest) -> Manifest:
    """Format 1, of fraudml 0.1.0."""
    learner = _renamed(manifest["learner"], {"facts": "metadata"})
    renamed = _renamed(manifest, {"spread": "reference_distribution"})
    schema, features = upgrade_schema(manifest["schema"]), upgrade_plan(manifest["features"])
    upgraded = {"learner": learner, "schema": schema, "features": features}
    return {"reference_distribution": None, **renamed, **upgraded}


def _renamed(content: Mapping[str, Any], names: Mapping[str, str]) -> Manifest:
    return {names.get(key, key): value for key, value in content.items()}


_STEPS: dict[int, Callable[[Manifest], Manifest]] = {1: _from_1}
