"""The report of a run: facts out of its record and its details, drawn by the package `report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fraudml.config.settings import Settings
from fraudml.data.clock import format_moment
from fraudml.decisions.costs import DEFAULT_REVIEW_COST, CostModel, describe
from fraudml.decisions.policies import Constraint
from fraudml.evaluation.fairness import fairness_sentence
from fraudml.evaluation.probabilities import CalibrationVerdict
from fraudml.evaluation.proof import sentence
from fraudml.metrics import find_metric
from fraudml.pipeline.evaluate import ReportData
from fraudml.report.document import Document, Text
from fraudml.report.facts import ModelFacts
from fraudml.report.html import to_html
from fraudml.report.markdown import to_markdown
from fraudml.report.sections import model_sections
from fraudml.report.study import study_document
from fraudml.report.summary import opening
from fraudml.report.walks import backtest_sentence, fold_sections, sweep_sections

if TYPE_CHECKING:
    from fraudml.records.results import Backtest, Run, Study


def write_report(document: Document, folder: Path) -> None:
    """Write a report as `report.html` and `report.md`."""
    (folder / "report.html").write_text(to_html(document), encoding="utf-8")
    (folder / "report.md").write_text(to_markdown(document), encoding="utf-8")


def document_of(run: Run | Backtest) -> Document:
    """Return the report of a training or of a backtest.

    Parameters
    ----------
    run : Run or Backtest
        Finished; its model may have been refused.
    """
    from fraudml.records.results import Run

    return run_document(run) if isinstance(run, Run) else backtest_document(run)


def run_document(run: Run) -> Document:
    """Return the report of a training that had a test block."""
    assert run.details is not None
    metrics, settings = run.metrics, run.settings
    facts = model_facts(
        settings,
        run.details,
        data=metrics["data"],
        blocks=metrics["data"]["blocks"],
        test=metrics["test"],
        policy=metrics["policy"],
        decided=metrics["policy"]["test"],
        calibration=metrics["calibration"],
        baselines=metrics["baselines"],
        proof=metrics["proof"],
        fairness=metrics["fairness"],
        guard=metrics["guard"],
        findings=[(one.severity, one.message) for one in run.findings],
        versions=metrics["run"]["versions"],
        delay_kept=metrics["development"]["label_delay_kept"],
    )
    subtitle = "A fraud model, judged on the test block of its training"
    return Document(_title(settings), subtitle, opening(facts), model_sections(facts))


def backtest_document(done: Backtest) -> Document:
    """Return the report of a backtest: fold by fold, then its last model."""
    metrics, settings, last = done.metrics, done.settings, done.metrics["folds"][-1]
    assert done.last.details is not None
    evaluation = done.last.evaluation
    facts = model_facts(
        settings,
        done.last.details,
        data=metrics["data"],
        blocks={"development": last["train"], "test": last},
        test=evaluation.metrics("test"),
        policy=last["policy"],
        decided=evaluation.metrics("policy"),
        calibration={**last["calibration"], "reliability": evaluation.reliability},
        baselines=last["baselines"],
        proof=None,
        fairness=done.last.fairness,
        guard=metrics["guard"],
        findings=None,
        versions=metrics["run"]["versions"],
        delay_kept=last["development"]["label_delay_kept"],
    )
    facts = replace(
        facts,
        over_time=_labelled(done.over_time, settings, last["start"]),
        words={**facts.words, "whole": "over the test period of the last fold"},
    )
    return Document(
        _title(settings),
        "Fraud models, walked through time by a backtest",
        (*opening(facts), Text(backtest_sentence(metrics))),
        [*fold_sections(metrics, facts.level), *model_sections(facts)],
    )


def study_report(done: Study, settings: Settings) -> Document:
    """Return the report of a study."""
    return study_document(
        done.metrics, settings.run_name, settings.evaluation.level, _repeat(settings.command)
    )


def sweep_document(
    chosen: Run | Backtest,
    record: Mapping[str, Any],
    trials: pl.DataFrame,
    importance: Mapping[str, float],
) -> Document:
    """Return the report of a sweep: what the chosen model can do, and how it was found.

    Parameters
    ----------
    chosen : Run or Backtest
        The model of the chosen settings.
    record, trials, importance
        The content of `sweep.json`, of `trials.parquet`, and what explains the spread.
    """
    document = document_of(chosen)
    lower = find_metric(record["objective"]).direction == "lower"
    search = sweep_sections(record, trials, importance, lower_is_better=lower)
    subtitle = f"{document.subtitle}; its settings were chosen by a sweep"
    return replace(document, subtitle=subtitle, sections=[*search, *document.sections])


def _title(settings: Settings) -> str:
    return f"{settings.run_name}: what the model can do"


def model_facts(
    settings: Settings, details: ReportData, *, delay_kept: bool, **record: Any
) -> ModelFacts:
    """Give the record of a model on a block its curves, its sentences and how to repeat it.

    Parameters
    ----------
    settings : Settings
        What decided it.
    details : ReportData
        Curves and drivers.
    delay_kept : bool
        Whether the out-of-fold steps kept the label delay.
    **record
        The parts of `metrics.json`, by the names of `ModelFacts`.
    """
    curves, drivers = details.curves, details.drivers
    return ModelFacts(
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
        words=_words(settings, details, record, delay_kept),
        proof_words={name: sentence(one) for name, one in (record["proof"] or {}).items()},
        repeat=_repeat(settings.command),
    )


def _labelled(periods: pl.DataFrame, settings: Settings, start: Any) -> pl.DataFrame:
    """Call periods by their start as the table has it: a date, with the hour if need be, or a
    number.
    """
    if not periods.height:
        return periods
    if isinstance(start, str):
        short = "%Y-%m-%d" if periods["days"].to_numpy().min() >= 1 else "%m-%d %H:%M"
        return periods.with_columns(label=pl.col("start").dt.strftime(short))
    unit = settings.data.time_unit
    moments = (format_moment(one, unit=unit, numeric=True) for one in periods["start"])
    return periods.with_columns(label=pl.Series([f"{one:.6g}" for one in moments]))


def _words(
    settings: Settings, details: ReportData, record: Mapping[str, Any], delay_kept: bool
) -> dict[str, str]:
    constraint, fairness = record["policy"]["constraint"], record["fairness"]
    words = {
        "costs": costs_sentence(details.costs),
        "calibration": _calibration(record["calibration"]),
        "clusters": _clusters(details.clusters),
        "cases": "" if settings.data.columns.entity is None else _CASES,
        "delay": _delay(settings, delay_kept),
        "whole": "over the whole block",
    }
    if constraint is not None:
        words["promise"] = Constraint(**constraint).sentence()
    if fairness["column"] is not None:
        words["fairness"] = fairness_sentence(fairness)
    if details.drivers.reason is not None:
        words["no_drivers"] = details.drivers.reason
    return words


_OUTCOMES = {
    "fp": "a false alert",
    "fn": "a missed fraud",
    "tp": "a caught fraud",
    "tn": "a legitimate row that is left alone",
}
_CASES = " A card or customer that is alerted several times on a day is one alert of that day."


def costs_sentence(costs: CostModel) -> str:
    """Say in words what the outcomes cost."""
    told = dict(describe(costs))
    kind = told.pop("kind")
    if kind == "card":
        review = told["review_cost"]
        cost = f"{DEFAULT_REVIEW_COST:g} (built in, not yours)" if review is None else f"{review}"
        return f"a missed fraud costs its amount and an alert {cost}"
    known = {name.partition("_")[0]: value for name, value in told.items() if value is not None}
    each = [f"{_OUTCOMES[name]} costs {_price(value)}" for name, value in known.items()]
    return ", ".join(each) + (" (columns of the table)" if kind == "columns" else "")


def _price(cost: Any) -> str:
    """A number, the name of a column, or a fixed sum and a share of the amount."""
    if not isinstance(cost, Mapping):
        return f"{cost:g}" if isinstance(cost, int | float) else f"'{cost}'"
    share = f" and {cost['share']:.0%} of the amount" if cost["share"] else ""
    return f"{cost['fixed']:g}{share}"


def _calibration(record: Mapping[str, Any]) -> str:
    facts = {each.name: record[each.name] for each in fields(CalibrationVerdict)}
    return CalibrationVerdict(**facts).sentence()


def _clusters(drawn: str) -> str:
    """`4,990 × entity` in words."""
    count, _, unit = drawn.partition(" × ")
    if not unit:
        return "nothing: intervals were left out (evaluation.replicates=0)"
    drawn_whole = {"entity": "entities (cards or customers)", "row": "rows"}
    return f"draws of whole {drawn_whole.get(unit, f'blocks of time ({unit})')}, {count} of them"


def _delay(settings: Settings, kept: bool) -> str:
    backtested = settings.command == "backtest"
    delay = settings.backtest.delay(settings.split) if backtested else settings.split.delay
    hours = delay.total_seconds() / 3600
    after = f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"
    told = f"labels arrive within {after}" if hours else "labels are known at once"
    return told if kept else f"{told} (the development window was too short to keep that)"


def _repeat(command: str) -> str:
    return (
        f"python -m fraudml {command} --config-dir RUN --config-name config output_dir=NEW\n"
        "# RUN is the folder of this report; config.yaml in it is the whole config"
    )
