"""Compare: which of some models is better for what, and with what probability.

Read the scores that finished runs left behind, or score a table by bundles; see that the rows are
the same; draw the same replicates for all, and write every difference with its interval.
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
from fraudml.decisions.costs import CostMatrix, CostModel
from fraudml.errors import ConfigError
from fraudml.evaluation.compare import compare_models
from fraudml.evaluation.curves import draw_curves
from fraudml.evaluation.scored import ScoredFrame
from fraudml.evaluation.table import clusters_of, clusters_over, scored_rows
from fraudml.files import write_json
from fraudml.machine import granted_threads
from fraudml.progress import Progress, silent
from fraudml.records.candidates import Candidate, from_bundles, from_runs
from fraudml.records.documents import costs_sentence, write_report
from fraudml.records.folder import run_folder
from fraudml.records.metrics import SCHEMA_VERSION, run_record
from fraudml.report.comparison import comparison_document
from fraudml.report.numbers import probability, ranged, signed
from fraudml.seeds import child_seed

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """A finished comparison.

    Parameters
    ----------
    record : dict
        What `compare.json` holds.
    folder : str
        Where everything was written.
    """

    record: dict[str, Any]
    folder: str

    def summary(self) -> tuple[str, list[tuple[str, ...]], tuple[str, ...]]:
        """Return the title, the rows and the header of the table of differences."""
        return comparison_table(self.record, self.folder)


def run(settings: Settings, *, progress: Progress = silent) -> Comparison:
    """Run the command: compare `runs`, or `bundles` on a table.

    Parameters
    ----------
    settings : Settings
        Which ones; intervals, seed, threads.
    progress : Progress
        Whom to tell where it is.

    Raises
    ------
    ConfigError
        Fewer than two, both kinds, or the same one twice.
    DataError
        A folder is no finished run, or the rows are not the same.
    BundleError
        A bundle is damaged or unknown.
    """
    started = time.perf_counter()
    _check(settings)
    threads = settings.threads or granted_threads()
    with run_folder(settings) as place:
        progress("read", 0.0)
        if settings.runs:
            contenders, notes = from_runs(settings.runs)
        else:
            contenders, notes = from_bundles(settings.bundles, settings.data, threads)
        for note in notes:
            _log.warning("%s", note)
        progress("read", 1.0)
        progress("compare", 0.0)
        record = _record(contenders, notes, settings, threads)
        curves = _curves(contenders, settings, threads)
        progress("compare", 1.0)
        record["run"] |= run_record(settings, time.perf_counter() - started, threads)
        write_json(place.partial / "compare.json", record)
        write_report(comparison_document(record, curves, _repeat(settings)), place.partial)
    return Comparison(record, str(place.final))


def _check(settings: Settings) -> None:
    given = settings.runs or settings.bundles
    how = "Write: compare runs=[runs/A,runs/B], or compare bundles=[A/bundle,B/bundle] data=…"
    if settings.runs and settings.bundles:
        raise ConfigError(f"runs and bundles are both set, and one of the two is compared. {how}")
    if not given:
        raise ConfigError(f"Neither runs nor bundles is set. {how}")
    what = "runs" if settings.runs else "bundles"
    if len(given) < 2:
        raise ConfigError(f"{what} names '{given[0]}' alone. Two or more are compared. {how}")
    if len(set(given)) < len(given):
        raise ConfigError(f"{what} names the same folder twice: {', '.join(given)}. {how}")
    if settings.evaluation.replicates == 0:
        raise ConfigError(
            "evaluation.replicates is 0. A comparison is about the ranges of differences: leave it "
            "out, or set at least 100."
        )


def _record(
    contenders: Sequence[Candidate], notes: list[str], settings: Settings, threads: int
) -> dict[str, Any]:
    first = contenders[0]
    frames = [block.scored for block in first.blocks]
    clusters = clusters_over(frames) if len(frames) > 1 else [clusters_of(frames[0])]
    models, costs = {}, _block_costs(first)
    for one in contenders:
        models[one.name] = [
            scored_rows(block.scored, block.alert, matrix)
            for block, matrix in zip(one.blocks, costs, strict=True)
        ]
    metrics = compare_models(
        models,
        clusters,
        replicates=settings.evaluation.replicates,
        level=settings.evaluation.level,
        seed=child_seed(settings.seed, "compare"),
        threads=threads,
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "run": {"folders": {one.name: one.folder for one in contenders}},
        "models": [one.name for one in contenders],
        "rows": sum(len(frame) for frame in frames),
        "frauds": sum(int(np.sum(frame.label)) for frame in frames),
        "blocks": len(frames),
        "clusters": f"{clusters[0].count:,} × {clusters[0].unit}",
        "level": settings.evaluation.level,
        "costs": _told(first.costs),
        "notes": notes,
        "metrics": metrics,
    }


def _told(costs: CostModel | None) -> str:
    return (
        "not known: they stand in columns that the scores lack"
        if costs is None
        else (costs_sentence(costs))
    )


def _block_costs(first: Candidate) -> list[CostMatrix | None]:
    """The costs of the first contender's rows, which count for all."""
    return [
        None if first.costs is None else first.costs.costs(block.frame, block.scored.amount)
        for block in first.blocks
    ]


def _curves(
    contenders: Sequence[Candidate], settings: Settings, threads: int
) -> Mapping[str, pl.DataFrame]:
    """What each gives threshold by threshold; not where there are several blocks."""
    if len(contenders[0].blocks) > 1:
        return {}
    made = {}
    for one in contenders:
        [block] = one.blocks
        made[one.name] = draw_curves(
            block.scored,
            block.alert,
            _nothing(block.scored),
            settings.evaluation,
            threshold=None,
            seed=child_seed(settings.seed, "compare"),
            threads=threads,
        ).by_threshold
    return made


def _nothing(scored: ScoredFrame) -> CostMatrix:
    """Costs of 0: these curves show none."""
    zeros = np.zeros(len(scored))
    return CostMatrix(zeros, zeros, zeros, zeros)


def _repeat(settings: Settings) -> str:
    given = settings.runs or settings.bundles
    what, rest = ("runs", "") if settings.runs else ("bundles", " data=…")
    return f"python -m fraudml compare '{what}=[{','.join(given)}]'{rest} output_dir=NEW"


def comparison_table(
    record: Mapping[str, Any], folder: str
) -> tuple[str, list[tuple[str, ...]], tuple[str, ...]]:
    """Return the title, the rows and the header that end a comparison on the terminal.

    Parameters
    ----------
    record : mapping
        The content of `compare.json`.
    folder : str
        Where everything is.
    """
    rows: list[tuple[str, ...]] = []
    models = record["models"]
    for name, entry in record["metrics"].items():
        for pair in entry["pairs"]:
            values = (entry["values"][pair[side]] for side in ("first", "second"))
            rows.append(
                (
                    name.replace("_", " "),
                    *((f"{pair['first']} − {pair['second']}",) if len(models) > 2 else ()),
                    *(ranged({**value, "low": None}) for value in values),
                    ranged({**pair, "value": pair["difference"]}, signed),
                    pair["better"]
                    or ("undecided" if pair["probability_better"] is not None else "–"),
                    probability(pair["probability_better"]),
                )
            )
    two = (models[0], models[1]) if len(models) == 2 else ("pair", "first", "second")
    header = ("", *two, "difference", "better", "probability better")
    width = len(header)
    rows.append(("everything is in", folder, *("",) * (width - 2)))
    where = f"{record['rows']:,} rows, {record['frauds']:,} frauds"
    return f"On the same {where}, with {100 * record['level']:g} % intervals", rows, header
