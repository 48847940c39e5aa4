"""Bundles of earlier releases score to the same bits; tests/fixtures has one of each format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fraudml.bundle import FORMAT_VERSION, read_bundle
from fraudml.cli import main

FIXTURES = Path(__file__).parent.parent / "fixtures"
BUNDLES = sorted(path.parent for path in FIXTURES.glob("bundle_format_*/*/manifest.json"))


def test_every_older_format_has_a_frozen_bundle() -> None:
    formats = {json.loads((one / "manifest.json").read_text())["format_version"] for one in BUNDLES}
    assert formats >= set(range(1, FORMAT_VERSION))


@pytest.mark.parametrize("chunk_rows", [25_000, 7])
@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_an_older_bundle_scores_to_the_same_bits(
    bundle: Path, chunk_rows: int, tmp_path: Path
) -> None:
    folder, output = bundle.parent, tmp_path / "scores.csv"
    looks_back = read_bundle(bundle).features.history.features
    history = [f"history={folder / 'history.csv'}"] if looks_back else []
    command = ["score", f"bundle={bundle}", f"input={folder / 'input.csv'}", f"output={output}"]
    assert main([*command, *history, f"chunk_rows={chunk_rows}", "threads=1"]) == 0
    assert output.read_text() == bundle.with_suffix(".csv").read_text()
