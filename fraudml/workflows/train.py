"""Train: from a table to a model that has been judged.

Read the table, check it against the schema, cut it into the development window and the test block,
make the features, score out of fold and forward in time for rounds, calibration and policy, fit the
recipe on the whole development window, evaluate on the test block, ask the guard, write the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from fraudml.bundle import DecisionBundle
from fraudml.config.settings import Settings
from fraudml.data.audit import refuse_leaks
from fraudml.data.fingerprint import fingerprint
from fraudml.data.frames import as_polars
from fraudml.data.read import load_table
from fraudml.data.schema import Dataset, check_table
from fraudml.decisions.costs import CostMatrix, CostModel, check_amounts
from fraudml.errors import FraudmlError, RefusedError
from fraudml.evaluation.guard import GuardSettings, Verdict, judge
from fraudml.evaluation.out_of_fold import OutOfFold, out_of_fold
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.evaluation.table import Evaluation, evaluate
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.learners.protocol import FitContext
from fraudml.machine import granted_threads
from fraudml.matrix import DesignMatrix
from fraudml.progress import Deadline, Progress, silent
from fraudml.seeds import child_seed
from fraudml.split import Split, split_blocks
from fraudml.workflows.parts import Parts, build_parts
from fraudml.workflows.record import closing_table, metrics_record
from fraudml.workflows.run_folder import run_folder, write_run


@dataclass(frozen=True)
class Run:
    """A finished run.

    Parameters
    ----------
    settings : Settings
        What decided it, complete.
    metrics : dict
        What `metrics.json` holds.
    test_scores : DataFrame
        What `test_scores.parquet` holds.
    verdict : Verdict
        The guard's.
    bundle : DecisionBundle, optional
        The model; None where the guard refused it.
    folder : str, optional
        Where everything was written; None where nothing was.
    """

    settings: Settings
    metrics: dict[str, Any]
    test_scores: pl.DataFrame
    verdict: Verdict
    bundle: DecisionBundle | None
    folder: str | None = None

    @property
    def refusal(self) -> FraudmlError | None:
        """The error of a run whose model was refused."""
        if self.verdict.passed:
            return None
        return RefusedError(f"The guard refused the model: {'; '.join(self.verdict.reasons)}.")

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """Return a title and the rows of the closing table."""
        return closing_table(self.metrics, self.settings.evaluation.level, self.folder)


def train(frame: Any, settings: Settings | None = None) -> Run:
    """Train on a table from Python: the same run as the command's, with no Hydra and no output.

    Parameters
    ----------
    frame : polars or pandas DataFrame
        The table; `settings.data` says what its columns mean.
    settings : Settings, optional
        What decides the run. The run folder is written only where `output_dir` is set.

    Returns
    -------
    Run
        With the metrics, the test block's scores and, where the guard passed it, the bundle.

    Raises
    ------
    FraudmlError
        The config or the data are wrong; the class says which. A refused model raises nothing: see
        `Run.refusal`.

    Examples
    --------
    >>> import fraudml
    >>> from fraudml.config.settings import DataSettings
    >>> settings = fraudml.Settings(data=DataSettings(labels_complete=True))
    >>> settings.data.columns.label
    'label'
    """
    settings = Settings() if settings is None else settings
    if settings.output_dir is None:
        return _train(lambda: as_polars(frame), settings, silent)
    with run_folder(settings) as place:
        return write_run(_train(lambda: as_polars(frame), settings, silent), place)


def run(settings: Settings, *, progress: Progress = silent) -> Run:
    """Run the command: read the table that the settings name, train, and write the run folder.

    Parameters
    ----------
    settings : Settings
        What decides the run.
    progress : Progress
        Whom to tell where it is.
    """
    with run_folder(settings) as place:
        return write_run(_train(lambda: load_table(settings.data), settings, progress), place)


@dataclass(frozen=True)
class _Prepared:
    """A table that is ready to be learnt from; the columns behind its features are let go."""

    dataset: Dataset
    split: Split
    features: FittedFeatures
    matrix: DesignMatrix
    costs: CostMatrix
    fingerprint: str


def _train(read: Callable[[], pl.DataFrame], settings: Settings, progress: Progress) -> Run:
    started = time.perf_counter()
    parts = build_parts(settings)
    context = FitContext(
        seed=settings.seed,
        threads=settings.threads or granted_threads(),
        device=settings.device.kind,
        deadline=Deadline(settings.budget.seconds),
        progress=progress,
    )
    prepared = _prepare(read, settings, parts.costs, progress)
    scores = out_of_fold(
        prepared.matrix, prepared.split.folds, parts.recipe, context, settings.rounds
    )
    bundle = _fit(prepared, scores, parts, context)
    progress("evaluate", 0.0)
    test, alert = _score_test(prepared, bundle)
    evaluation = evaluate(
        test,
        alert,
        prepared.costs.take(prepared.split.test.rows),
        settings.evaluation,
        guard_level=settings.guard.level,
        seed=child_seed(settings.seed, "intervals"),
        threads=context.threads,
    )
    progress("evaluate", 1.0)
    verdict = _judge(evaluation, parts, settings.guard)
    metrics = metrics_record(
        settings=settings,
        dataset=prepared.dataset,
        fingerprint=prepared.fingerprint,
        split=prepared.split,
        scores=scores,
        policy=bundle.policy,
        evaluation=evaluation,
        verdict=verdict,
        seconds=time.perf_counter() - started,
        threads=context.threads,
    )
    recorded = {name: metrics[name] for name in ("data", "test", "policy", "guard")}
    kept = replace(bundle, record=recorded) if verdict.passed else None
    table = _test_table(prepared, test, alert)
    return Run(settings, metrics, table, verdict, kept)


def _prepare(
    read: Callable[[], pl.DataFrame], settings: Settings, cost_model: CostModel, progress: Progress
) -> _Prepared:
    progress("read", 0.0)
    table = read()
    progress("read", 1.0)
    printed = fingerprint(table)
    dataset = check_table(table, settings.data)
    del table
    progress("features", 0.0)
    split = split_blocks(dataset, settings.split, settings.data, settings.seed)
    blocks = (split.development.rows, split.test.rows)
    features = fit_features(
        dataset,
        blocks[0],
        settings.features,
        label_delay=settings.split.delay,
        never=frozenset(cost_model.columns),
    )
    refuse_leaks(dataset, blocks, sorted(features.columns), settings.audit)
    costs = _row_costs(cost_model, dataset)
    matrix = replace(
        features.matrix(dataset, threads=settings.threads or granted_threads()),
        label=dataset.label,
        amount=np.maximum(costs.fn_cost - costs.tp_cost, 0.0),
    )
    progress("features", 1.0)
    roles = dataset.schema.roles
    named = {
        *(roles.label, roles.id, roles.time, roles.entity, roles.amount),
        *cost_model.columns,
    }
    kept = dataset.frame.select(sorted(name for name in named if name is not None))
    slim = replace(dataset, frame=kept)
    return _Prepared(slim, split, features, matrix, costs, printed)


def _row_costs(cost_model: CostModel, dataset: Dataset) -> CostMatrix:
    if cost_model.needs_amount:
        roles, rows = dataset.schema.roles, dataset.facts["row"].to_numpy()
        check_amounts(dataset.amount, roles.amount, rows)
    return cost_model.costs(dataset.frame, dataset.amount)


def _fit(
    prepared: _Prepared, scores: OutOfFold, parts: Parts, context: FitContext
) -> DecisionBundle:
    label = prepared.matrix.y[scores.rows]
    calibrator = parts.calibration.fit(scores.margin, label, scores.step)
    p_fraud = calibrator.probability(scores.margin)
    tuned = parts.policy.tune(p_fraud, label, prepared.costs.take(scores.rows))
    development = prepared.matrix.take(prepared.split.development.rows)
    model = parts.recipe.fit(development, context, rounds=scores.rounds)
    return DecisionBundle(
        schema=prepared.dataset.schema,
        features=prepared.features,
        learner=model.learner,
        offset=model.offset,
        calibrator=calibrator,
        costs=parts.costs,
        policy=tuned,
    )


def _score_test(
    prepared: _Prepared, bundle: DecisionBundle
) -> tuple[ScoredFrame, np.ndarray[Any, np.dtype[np.bool_]]]:
    rows = prepared.split.test.rows
    made = bundle.decide(prepared.dataset.take(rows), prepared.matrix.take(rows))
    return score_rows(prepared.dataset, rows, made.margin, made.p), made.alert


def _judge(evaluation: Evaluation, parts: Parts, settings: GuardSettings) -> Verdict:
    return judge(
        average_precision_bound=evaluation.average_precision_bound,
        prevalence=evaluation.prevalence,
        alerts=evaluation.alerts,
        rows=evaluation.rows,
        settings=settings,
        cost=evaluation.cost if parts.costs_count else None,
        trivial_cost=evaluation.trivial_cost if parts.costs_count else None,
    )


def _test_table(
    prepared: _Prepared, test: ScoredFrame, alert: np.ndarray[Any, np.dtype[np.bool_]]
) -> pl.DataFrame:
    """The columns of `test_scores.parquet`, roles as they came."""
    roles, rows = prepared.dataset.schema.roles, prepared.split.test.rows
    raw = prepared.dataset.frame[rows]
    length = len(test)

    def role(name: str | None) -> pl.Series:
        return pl.Series([None]).new_from_index(0, length) if name is None else raw[name]

    return pl.DataFrame(
        {
            "id": test.frame["row"] if roles.id is None else raw[roles.id],
            "time": role(roles.time),
            "entity": role(roles.entity),
            "amount": role(roles.amount),
            "label": test.frame["label"],
            "margin": test.frame["margin"],
            "score": test.frame["p"],
            "alert": alert,
        }
    )
