"""Rows prepared for a learner: features, labels and costs."""

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
    """Rows prepared for a learner; of the table, only the columns that are still needed."""

    dataset: Dataset
    features: FittedFeatures
    matrix: DesignMatrix
    costs: CostMatrix
    findings: tuple[Finding, ...] = ()


def prepare_rows(
    dataset: Dataset, features: FittedFeatures, matrix: DesignMatrix, cost_model: CostModel
) -> Prepared:
    """Add labels and costs to a matrix, and drop the columns it was computed from."""
    protected_groups(dataset)  # refuses too many groups before any model is fitted
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
    """Fit features on the development window, refuse leaks, and prepare all rows."""
    blocks = [block.rows for block in (split.development, split.test) if len(block.rows)]
    features = fit_features(
        dataset,
        blocks[0],
        settings.features,
        label_delay=settings.split.delay,
        never=frozenset(costs.columns),
    )
    findings = quick_audit(dataset, {*settings.features.drop, *settings.audit.allow})
    refuse_leaks(dataset, blocks, sorted(features.columns), settings.audit)
    prepared = prepare_rows(dataset, features, features.matrix(dataset, threads=threads), costs)
    return replace(prepared, findings=findings)


def drop_unused_columns(dataset: Dataset, cost_model: CostModel) -> Dataset:
    """Keep only the columns that scores, costs and groups are computed from."""
    roles = dataset.schema.roles
    needed = {
        *(roles.label, roles.id, roles.time, roles.entity, roles.amount, roles.group),
        *cost_model.columns,
    }
    columns = sorted(name for name in needed if name is not None)
    return replace(dataset, frame=dataset.frame.select(columns))


def row_costs(cost_model: CostModel, dataset: Dataset) -> CostMatrix:
    """Compute the cost of each outcome on each row; a bad amount or cost raises `DataError`."""
    if cost_model.needs_amount:
        roles, rows = dataset.schema.roles, dataset.facts["row"].to_numpy()
        check_amounts(dataset.amount, roles.amount, rows)
    return cost_model.costs(dataset.frame, dataset.amount)


def protected_groups(dataset: Dataset) -> Groups | None:
    """Return the protected attribute of each row; None where no column has that role."""
    name = dataset.schema.roles.group
    return None if name is None else read_groups(dataset.frame[name])
