"""The report of a run: its record and report data in the shape that the package `report` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from fraudml.config.settings import Settings
from fraudml.data.clock import format_moment
from fraudml.decisions.policies import Constraint
from fraudml.evaluation.fairness import fairness_sentence
from fraudml.metrics.registry import names_in
from fraudml.pipeline.evaluate import ReportData
from fraudml.records.results import Backtest, Run, Study
from fraudml.records.sentences import (
    ablation_sentence,
    calibration_sentence,
    costs_sentence,
)
from fraudml.report.backtest import backtest_sentence, fold_sections
from fraudml.report.document import Document, Plot, Section, Text
from fraudml.report.html import to_html
from fraudml.report.markdown import to_markdown
from fraudml.report.model import ReportedModel
from fraudml.report.sections import model_sections
from fraudml.report.study import study_document
from fraudml.report.summary import opening
from fraudml.report.svg import to_svg


def write_report(document: Document, folder: Path) -> None:
    """Write a report as `report.html` and `report.md`."""
    (folder / "report.html").write_text(to_html(document), encoding="utf-8")
    (folder / "report.md").write_text(to_markdown(document), encoding="utf-8")


def write_plots(plots: Sequence[Plot], path: Path) -> None:
    """Write plots of a report as one SVG file of their own."""
    path.write_text(to_svg(plots), encoding="utf-8")


def run_document(run: Run) -> Document:
    """Return the report of a training that had a test block."""
    assert run.details is not None
    metrics, settings = run.metrics, run.settings
    model = _reported_model(
        settings,
        run.details,
        data=metrics["data"],
        blocks=metrics["data"]["blocks"],
        test=metrics["test"],
        policy=metrics["policy"],
        alerts=metrics["policy"]["test"],
        calibration=metrics["calibration"],
        baselines=metrics["baselines"],
        proof=metrics["proof"],
        fairness=metrics["fairness"],
        guard=metrics["guard"],
        findings=[(finding.severity, finding.message) for finding in run.findings],
        versions=metrics["run"]["versions"],
        delay_kept=metrics["development"]["label_delay_kept"],
    )
    subtitle = "A fraud model, evaluated on the test block of its training"
    return Document(_title(settings), subtitle, opening(model), model_sections(model))


def backtest_document(backtest: Backtest) -> Document:
    """Return the report of a backtest: fold by fold, then its last model."""
    metrics, settings, holdout = backtest.metrics, backtest.settings, backtest.last
    last = metrics["folds"][-1]
    assert holdout.details is not None
    model = _reported_model(
        settings,
        holdout.details,
        data=metrics["data"],
        blocks={"development": last["train"], "test": last},
        test=holdout.evaluation.metrics("test"),
        policy=last["policy"],
        alerts=holdout.evaluation.metrics("policy"),
        calibration={**last["calibration"], "reliability": holdout.evaluation.reliability},
        baselines=last["baselines"],
        proof=None,
        fairness=holdout.fairness,
        guard=metrics["guard"],
        findings=None,
        versions=metrics["run"]["versions"],
        delay_kept=last["development"]["label_delay_kept"],
    )
    model = replace(
        model,
        over_time=_labelled(backtest.over_time, settings, last["start"]),
        texts={**model.texts, "period": "over the test period of the last fold"},
    )
    return Document(
        _title(settings),
        "Fraud models, evaluated period by period in a backtest",
        (*opening(model), Text(backtest_sentence(metrics))),
        [*fold_sections(metrics, model.level, names_in("folds")), *model_sections(model)],
    )


def study_report(study: Study, settings: Settings) -> Document:
    """Return the report of a study."""
    level, repeat = settings.evaluation.level, _repeat(settings.command)
    return study_document(study.metrics, settings.run_name, level, repeat)


def sweep_document(chosen: Run | Backtest, search: Section) -> Document:
    """Return the report of a sweep: the report of the chosen model, after that of the search."""
    document = run_document(chosen) if isinstance(chosen, Run) else backtest_document(chosen)
    subtitle = f"{document.subtitle}; its settings were chosen by a sweep"
    return replace(document, subtitle=subtitle, sections=[search, *document.sections])


def _title(settings: Settings) -> str:
    return f"{settings.run_name}: what the model can do"


def _reported_model(
    settings: Settings, details: ReportData, *, delay_kept: bool, **record: Any
) -> ReportedModel:
    """Add curves, sentences and the command that repeats it to the record of a model on a block."""
    curves, drivers = details.curves, details.drivers
    return ReportedModel(
        name=settings.run_name,
        level=settings.evaluation.level,
        **record,
        by_threshold=curves.by_threshold,
        over_time=_labelled(curves.over_time, settings, record["blocks"]["test"]["start"]),
        outcomes=curves.outcomes,
        cost_never=curves.cost_never,
        cost_always=curves.cost_always,
        drivers=drivers.table,
        explained=(drivers.rows, drivers.alerts),
        texts=_texts(settings, details, record, delay_kept),
        verdicts={
            name: ablation_sentence(proof) for name, proof in (record["proof"] or {}).items()
        },
        repeat=_repeat(settings.command),
    )


def _labelled(periods: pl.DataFrame, settings: Settings, start: Any) -> pl.DataFrame:
    """Label periods by their start: a date, with the hour if need be, or a number."""
    if not periods.height:
        return periods
    if isinstance(start, str):
        short = "%Y-%m-%d" if periods["days"].to_numpy().min() >= 1 else "%m-%d %H:%M"
        return periods.with_columns(label=pl.col("start").dt.strftime(short))
    unit = settings.data.time_unit or "s"
    moments = (format_moment(start, unit=unit, numeric=True) for start in periods["start"])
    return periods.with_columns(label=pl.Series([f"{moment:.6g}" for moment in moments]))


_CASES = " A card or customer that is alerted several times on a day is one alert of that day."


def _texts(
    settings: Settings, details: ReportData, record: Mapping[str, Any], delay_kept: bool
) -> dict[str, str]:
    constraint, fairness = record["policy"]["constraint"], record["fairness"]
    texts = {
        "costs": costs_sentence(details.costs),
        "calibration": calibration_sentence(record["calibration"]),
        "clusters": _clusters(details.clusters),
        "cases": "" if settings.data.columns.entity is None else _CASES,
        "delay": _delay(settings, delay_kept),
        "period": "over the whole block",
    }
    if constraint is not None:
        texts["constraint"] = Constraint(**constraint).sentence()
    if fairness["column"] is not None:
        texts["fairness"] = fairness_sentence(fairness)
    if details.drivers.reason is not None:
        texts["no_drivers"] = details.drivers.reason
    return texts


def _clusters(clusters: str) -> str:
    """`4,990 × entity` in words."""
    count, _, unit = clusters.partition(" × ")
    if not unit:
        return "nothing: intervals were left out (evaluation.replicates=0)"
    units = {"entity": "entities (cards or customers)", "row": "rows"}
    return f"draws of whole {units.get(unit, f'blocks of time ({unit})')}, {count} of them"


def _delay(settings: Settings, delay_kept: bool) -> str:
    delay = settings.split.delay
    if settings.command == "backtest":
        delay = settings.backtest.delay(settings.split)
    hours = delay.total_seconds() / 3600
    period = f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"
    text = f"labels arrive within {period}" if hours else "labels are known at once"
    return text if delay_kept else f"{text} (the development window was too short to keep that)"


def _repeat(command: str) -> str:
    return (
        f"python -m fraudml {command} --config-dir RUN --config-name config output_dir=NEW\n"
        "# RUN is the folder of this report; config.yaml in it is the whole config"
    )
