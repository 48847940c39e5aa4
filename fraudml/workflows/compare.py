"""Compare: which of several models is better for what, and with what probability.

Read the scores of finished runs, or score a table by bundles; check that the rows are the same;
draw the same replicates for all, and write every difference with its interval.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from fraudml.config.settings import Settings
from fraudml.decisions.costs import CostMatrix
from fraudml.errors import ConfigError
from fraudml.evaluation.compare import compare_models
from fraudml.evaluation.curves import draw_curves
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.table import clusters_of, clusters_over, scored_rows
from fraudml.files import write_json
from fraudml.machine import thread_count
from fraudml.metrics.registry import names_in
from fraudml.progress import Progress, silent, stage
from fraudml.records.candidates import Candidate, from_bundles, from_runs
from fraudml.records.closing import comparison_table
from fraudml.records.documents import write_report
from fraudml.records.folder import run_folder
from fraudml.records.metrics import record_header
from fraudml.records.sentences import costs_sentence
from fraudml.records.table import ClosingTable
from fraudml.report.comparison import comparison_document
from fraudml.seeds import child_seed

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """A finished comparison; `record` is the content of `compare.json`."""

    record: dict[str, Any]
    folder: str

    def summary(self) -> ClosingTable:
        """Return the table of differences."""
        return comparison_table(self.record, self.folder)


def run(settings: Settings, *, progress: Progress = silent) -> Comparison:
    """Run the command: compare `runs`, or `bundles` on a table."""
    started = time.perf_counter()
    _check(settings)
    threads = thread_count(settings.threads)
    with run_folder(settings) as paths:
        with stage(progress, "read"):
            if settings.runs:
                candidates, notes = from_runs(settings.runs)
            else:
                candidates, notes = from_bundles(settings.bundles, settings.data, threads)
            for note in notes:
                _log.warning("%s", note)
        with stage(progress, "compare"):
            comparison = _compare(candidates, settings, threads)
            curves = _curves(candidates, settings, threads)
        header = record_header(settings, started, threads)
        header["run"]["folders"] = {each.name: each.folder for each in candidates}
        record = {**header, **comparison, "notes": notes}
        write_json(paths.partial / "compare.json", record)
        headlines = names_in("headline")
        document = comparison_document(record, curves, _repeat(settings), headlines)
        write_report(document, paths.partial)
    return Comparison(record, str(paths.final))


def _check(settings: Settings) -> None:
    folders = settings.runs or settings.bundles
    example = "Write: compare runs=[runs/A,runs/B], or compare bundles=[A/bundle,B/bundle] data=…"
    if settings.runs and settings.bundles:
        raise ConfigError(f"runs and bundles are both set, and only one is compared. {example}")
    if not folders:
        raise ConfigError(f"Neither runs nor bundles is set. {example}")
    key = "runs" if settings.runs else "bundles"
    if len(folders) < 2:
        raise ConfigError(f"{key} names '{folders[0]}' alone. Expected two or more. {example}")
    if len(set(folders)) < len(folders):
        raise ConfigError(f"{key} names the same folder twice: {', '.join(folders)}. {example}")
    if settings.evaluation.replicates == 0:
        raise ConfigError(
            "evaluation.replicates is 0, and a comparison needs intervals of differences. Leave it "
            "out, or set at least 100."
        )


def _compare(candidates: Sequence[Candidate], settings: Settings, threads: int) -> dict[str, Any]:
    first = candidates[0]
    frames = [block.scored for block in first.blocks]
    clusters = clusters_over(frames) if len(frames) > 1 else [clusters_of(frames[0])]
    # The costs of the first candidate's rows are used for all.
    costs = [
        None if first.costs is None else first.costs.costs(block.frame, block.scored.amount)
        for block in first.blocks
    ]
    models = {
        candidate.name: [
            scored_rows(block.scored, block.alert, matrix)
            for block, matrix in zip(candidate.blocks, costs, strict=True)
        ]
        for candidate in candidates
    }
    metrics = compare_models(models, clusters, _options(settings, threads))
    no_costs = "not known: they stand in columns that the scores lack"
    return {
        "models": list(models),
        "rows": sum(len(frame) for frame in frames),
        "frauds": sum(int(np.sum(frame.label)) for frame in frames),
        "blocks": len(frames),
        "clusters": clusters[0].text,
        "level": settings.evaluation.level,
        "costs": no_costs if first.costs is None else costs_sentence(first.costs),
        "metrics": metrics,
    }


def _options(settings: Settings, threads: int) -> BootstrapOptions:
    return settings.evaluation.options(child_seed(settings.seed, "compare"), threads)


def _curves(
    candidates: Sequence[Candidate], settings: Settings, threads: int
) -> Mapping[str, pl.DataFrame]:
    """Each model's metrics by threshold; none where there are several blocks."""
    if len(candidates[0].blocks) > 1:
        return {}
    curves = {}
    for candidate in candidates:
        [block] = candidate.blocks
        zeros = np.zeros(len(block.scored))
        curves[candidate.name] = draw_curves(
            block.scored,
            block.alert,
            CostMatrix(zeros, zeros, zeros, zeros),  # these curves show no costs
            _options(settings, threads),
            threshold=None,
        ).by_threshold
    return curves


def _repeat(settings: Settings) -> str:
    folders = settings.runs or settings.bundles
    key, data = ("runs", "") if settings.runs else ("bundles", " data=…")
    return f"python -m fraudml compare '{key}=[{','.join(folders)}]'{data} output_dir=NEW"
