"""Rows that are ready to be learnt from: features, labels and costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fraudml.audit.finding import Finding
from fraudml.audit.leaks import refuse_leaks
from fraudml.audit.quick import quick_audit
from fraudml.config.settings import Settings
from fraudml.data.schema import Dataset
from fraudml.decisions.costs import CostMatrix, CostModel, check_amounts
from fraudml.evaluation.fairness import Groups, read_groups
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.matrix import DesignMatrix
from fraudml.split import Split

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Prepared:
    """Rows that are ready to be learnt from.

    Parameters
    ----------
    dataset : Dataset
        What is still needed of the table: roles and costs.
    features : FittedFeatures
        What made the matrix.
    matrix : DesignMatrix
        One row a row of the dataset, with labels and the costs of mistakes.
    costs : CostMatrix
        Of the same rows.
    findings : tuple of Finding
        What was found at a glance at the table.
    """

    dataset: Dataset
    features: FittedFeatures
    matrix: DesignMatrix
    costs: CostMatrix
    findings: tuple[Finding, ...] = ()


def prepare_rows(
    dataset: Dataset, features: FittedFeatures, matrix: DesignMatrix, cost_model: CostModel
) -> Prepared:
    """Give a matrix its labels and costs, and let go the columns behind it."""
    protected_groups(dataset)  # too many levels are said before any work is done
    costs = row_costs(cost_model, dataset)
    matrix = replace(
        matrix,
        label=dataset.label,
        miss_cost=np.maximum(costs.fn_cost - costs.tp_cost, 0.0),
        false_alert_cost=costs.fp_cost - costs.tn_cost,
    )
    return Prepared(drop_unused_columns(dataset, cost_model), features, matrix, costs)


def prepare_split(
    dataset: Dataset, split: Split, settings: Settings, costs: CostModel, threads: int
) -> Prepared:
    """Make the features of a split, after a look for columns that give the label away.

    Parameters
    ----------
    dataset : Dataset
        The table.
    split : Split
        Its blocks; the feature plan is fitted on the development window.
    settings : Settings
        Features, delay, audit.
    costs : CostModel
        What each outcome costs on each row.
    threads : int
        For features that look back.
    """
    blocks = [one.rows for one in (split.development, split.test) if len(one.rows)]
    features = fit_features(
        dataset,
        blocks[0],
        settings.features,
        label_delay=settings.split.delay,
        never=frozenset(costs.columns),
    )
    found = quick_audit(dataset, {*settings.features.drop, *settings.audit.allow})
    refuse_leaks(dataset, blocks, sorted(features.columns), settings.audit)
    prepared = prepare_rows(dataset, features, features.matrix(dataset, threads=threads), costs)
    return replace(prepared, findings=found)


def drop_unused_columns(dataset: Dataset, cost_model: CostModel) -> Dataset:
    """Keep those columns of a table alone that scores, costs and groups are made of."""
    roles = dataset.schema.roles
    named = {
        *(roles.label, roles.id, roles.time, roles.entity, roles.amount, roles.group),
        *cost_model.columns,
    }
    kept = dataset.frame.select(sorted(name for name in named if name is not None))
    return replace(dataset, frame=kept)


def row_costs(cost_model: CostModel, dataset: Dataset) -> CostMatrix:
    """Say what each outcome costs on each row of a table.

    Raises
    ------
    DataError
        An amount or a cost is missing, or makes no sense.
    """
    if cost_model.needs_amount:
        roles, rows = dataset.schema.roles, dataset.facts["row"].to_numpy()
        check_amounts(dataset.amount, roles.amount, rows)
    return cost_model.costs(dataset.frame, dataset.amount)


def protected_groups(dataset: Dataset) -> Groups | None:
    """Return the protected attribute of each row, or None where no column plays that role."""
    name = dataset.schema.roles.group
    return None if name is None else read_groups(dataset.frame[name])
