"""A decision bundle in memory: features, model, calibration, costs and policy, in this order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.data.schema import Dataset, Schema
from fraudml.decisions.calibration import FittedCalibrator
from fraudml.decisions.costs import CostModel, check_amounts
from fraudml.decisions.policies import TunedPolicy
from fraudml.errors import BundleError
from fraudml.features.plan import FittedFeatures
from fraudml.learners.protocol import FittedLearner
from fraudml.matrix import DesignMatrix
from fraudml.shift import ReferenceDistribution


@dataclass(frozen=True)
class Decisions:
    """The decisions of a bundle on some rows, in their order.

    `margin` is after prior correction, `p` the calibrated probability, `threshold` the row's own;
    `alert` is where the probability reaches it.
    """

    margin: NDArray[np.float64]
    p: NDArray[np.float64]
    threshold: NDArray[np.float64]
    alert: NDArray[np.bool_]


@dataclass(frozen=True)
class DecisionBundle:
    """Everything between a row and its alert.

    Parameters
    ----------
    schema : Schema
        The roles of the columns.
    features : FittedFeatures
        From columns to the design matrix.
    learner : FittedLearner
        From the design matrix to the margin.
    offset : float
        Prior correction, added to the margin.
    calibrator : FittedCalibrator
        From the margin to the probability.
    costs : CostModel
        The costs of a row.
    policy : TunedPolicy
        From probability and costs to the alert.
    record : dict
        Training data and metrics, for people.
    reference_distribution : ReferenceDistribution, optional
        The distribution of features and scores in training; the first bundles have none.
    digest : str, optional
        The digest of the manifest that was read; None before it is written.
    """

    schema: Schema
    features: FittedFeatures
    learner: FittedLearner
    offset: float
    calibrator: FittedCalibrator
    costs: CostModel
    policy: TunedPolicy
    record: dict[str, Any] = field(default_factory=dict)
    reference_distribution: ReferenceDistribution | None = None
    digest: str | None = field(default=None, compare=False)

    @property
    def needs_amount(self) -> bool:
        """Whether every row must have an amount."""
        return self.costs.needs_amount or self.policy.needs_amount

    @property
    def needed_columns(self) -> frozenset[str]:
        """The columns that a table must have."""
        roles = self.schema.roles
        clock = {roles.time} if self.features.uses_time and roles.time else set()
        stake = {roles.amount} if self.needs_amount and roles.amount else set()
        return frozenset({*self.features.columns, *self.costs.columns, *clock, *stake})

    @property
    def needed_history(self) -> frozenset[str]:
        """The columns that earlier rows must have; none where no feature looks back."""
        plan, roles = self.features.history, self.schema.roles
        if not plan.features:
            return frozenset()
        arrival = roles.label_time or roles.label_delay
        known = (roles.label, arrival) if plan.uses_labels else ()
        return plan.columns | {name for name in (roles.time, *known) if name is not None}

    def decide(
        self, table: Dataset, X: DesignMatrix | None = None, *, history: Dataset | None = None
    ) -> Decisions:
        """Decide each row of a table, by itself and its past; `X` are its features, if known.

        `history` has earlier rows, for features that look back. Raises a `DataError` where an
        amount or a cost is missing and the costs or the policy need one, and a `BundleError` where
        the model gives margins that are not finite.
        """
        X = self.features.matrix(table, history=history) if X is None else X
        if self.needs_amount:
            check_amounts(table.amount, table.schema.roles.amount, table.facts["row"].to_numpy())
        costs = self.costs.costs(table.frame, table.amount)
        margin = self.learner.margin(X) + self.offset
        finite = np.isfinite(margin)
        if not finite.all():
            raise BundleError(
                f"The model gives margins that are not finite in {np.count_nonzero(~finite):,} of "
                f"{len(margin):,} rows (first at row {np.argmin(finite):,}): it is damaged, or no "
                "model of fraudml's. Copy the bundle again, or train again."
            )
        p = self.calibrator.probability(margin)
        threshold = self.policy.thresholds(costs, table.amount)
        return Decisions(margin, p, threshold, p >= threshold)
