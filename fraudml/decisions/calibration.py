"""Probabilities from margins, without changing their order.

Every calibrator is a strictly increasing map of the margin onto the log-odds of fraud, fitted on
out-of-fold scores of untouched rows: average precision, card precision and alert budgets are the
same on margin and probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from fraudml.decisions import venn_abers
from fraudml.errors import DataError

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
Kind = Literal["identity", "sigmoid", "beta", "isotonic", "venn_abers"]

KNOTS = frozenset({"isotonic", "venn_abers"})
"""The kinds that interpolate between knots."""

MIN_SLOPE = 1e-3
"""The smallest slope of a calibrator: it keeps the order even of a model that ranks backwards."""

FEW_FRAUDS = 100
"""Below this, `Auto` takes the sigmoid without comparing."""

ENOUGH_FOR_STEPS = 1000
"""From here on, `Auto` compares isotonic regression too."""


@dataclass(frozen=True)
class FittedCalibrator:
    """A map from margin to probability; plain numbers.

    Parameters
    ----------
    kind : str
        `identity` (the margin is the log-odds), `sigmoid` (slope, intercept), `beta` (weight of
        log s, weight of -log(1 - s), intercept), `isotonic` or `venn_abers` (knots).
    parameters : tuple of float
        As the kind says; of knots first their margins, then their log-odds.
    """

    kind: Kind
    parameters: tuple[float, ...] = ()

    def log_odds(self, margin: Floats) -> Floats:
        """Return the calibrated log-odds, strictly increasing in the margin."""
        if self.kind == "identity":
            return margin
        if self.kind in KNOTS:
            return _interpolate(margin, *np.split(np.array(self.parameters), 2))
        *weights, intercept = self.parameters
        # No matrix product: BLAS rounds a row differently depending on how many there are.
        columns = zip(weights, _columns(self.kind, margin), strict=True)
        return np.asarray(sum(weight * column for weight, column in columns) + intercept)

    def probability(self, margin: Floats) -> Floats:
        """Return the probability of fraud, in [0, 1]."""
        return np.asarray(expit(self.log_odds(margin)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, which `from_dict` reads."""
        return {"kind": self.kind, "parameters": list(self.parameters)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> FittedCalibrator:
        """Read what `to_dict` returned; a ValueError where it is anything else."""
        kind, parameters = content["kind"], tuple(float(value) for value in content["parameters"])
        count = len(parameters)
        if kind in KNOTS:
            fits = count >= 4 and count % 2 == 0
        else:
            fits = count == {"identity": 0, "sigmoid": 2, "beta": 3}.get(kind)
        if not fits:
            raise ValueError(f"no calibrator is of the kind {kind!r} with {count} parameters")
        return cls(kind, parameters)


class Calibration(Protocol):
    """How a calibrator is chosen and fitted."""

    def fit(self, margin: Floats, y_true: Labels, step: NDArray[np.int64]) -> FittedCalibrator:
        """Fit on out-of-fold margins of untouched rows.

        Parameters
        ----------
        margin : ndarray of float64, shape (n_rows,)
            After prior correction, where that is valid.
        y_true : ndarray of int8, shape (n_rows,)
            1 = fraud; both classes are there.
        step : ndarray of int64, shape (n_rows,)
            Which out-of-fold step scored the row.
        """


@dataclass(frozen=True)
class Prior:
    """Prior correction alone: the margin is taken as the log-odds."""

    def fit(self, margin: Floats, y_true: Labels, step: NDArray[np.int64]) -> FittedCalibrator:
        """Return the identity."""
        del margin, y_true, step
        return FittedCalibrator("identity")


@dataclass(frozen=True)
class Sigmoid:
    """Platt's method: the log-odds are a line in the margin.

    A ridge worth about one fraud pulls the slope towards 1, so that separable scores do not run to
    infinity; the mean probability equals the base rate of the rows it was fitted on.

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines, section 2.
    """

    def fit(self, margin: Floats, y_true: Labels, step: NDArray[np.int64]) -> FittedCalibrator:
        """Fit slope and intercept."""
        del step
        return _fit_linear("sigmoid", margin, y_true)


@dataclass(frozen=True)
class Beta:
    """Beta calibration: the log-odds bend differently at the two ends.

    References
    ----------
    Kull, Silva Filho, Flach (2017), Beta calibration, section 4.
    """

    def fit(self, margin: Floats, y_true: Labels, step: NDArray[np.int64]) -> FittedCalibrator:
        """Fit the weights of log s and -log(1 - s), both above 0, and the intercept."""
        del step
        return _fit_linear("beta", margin, y_true)


@dataclass(frozen=True)
class Isotonic:
    """Isotonic regression, interpolated between its steps, so that it ties no scores."""

    def fit(self, margin: Floats, y_true: Labels, step: NDArray[np.int64]) -> FittedCalibrator:
        """Fit the steps, and join their middles by lines in log-odds."""
        del step
        return _fit_isotonic(margin, y_true)


@dataclass(frozen=True)
class VennAbers:
    """Inductive Venn–Abers: one probability of the two that a row would have with either label.

    At a score s, p0 and p1 are isotonic regressions with s added as legitimate and as fraud, and
    p = p1 / (1 - p0 + p1). So p is never 0 or 1: a step moves towards 1/2 by about one row. That
    shows at the highest scores, whose step is short: the k-th from the top gets about 1 / (k + 2)
    even where none of them was fraud. At up to about 1,000 scores p is that of the paper, but for a
    shift of all log-odds that brings its mean back to the base rate and a slope that ties no
    scores; between them it is a line in log-odds.

    References
    ----------
    Vovk and Petej (2014), Venn–Abers predictors, sections 4 and 5.
    """

    def fit(self, margin: Floats, y_true: Labels, step: NDArray[np.int64]) -> FittedCalibrator:
        """Evaluate both regressions, and join what they agree on by lines in log-odds."""
        del step
        return _fit_venn_abers(margin, y_true)


@dataclass(frozen=True)
class Auto:
    """The simplest calibrator that no other beats on held-out rows.

    With under `FEW_FRAUDS` frauds the sigmoid; otherwise beta, and from `ENOUGH_FOR_STEPS` frauds
    isotonic regression, are fitted without each step in turn and must lower the log loss there by
    more than its standard error.

    `VennAbers` is not among them, though its log loss is often below that of isotonic regression:
    its probabilities of the highest scores would surprise a user who did not choose it.
    """

    def fit(self, margin: Floats, y_true: Labels, step: NDArray[np.int64]) -> FittedCalibrator:
        """Choose, then fit the choice on all rows."""
        frauds = int((y_true == 1).sum())
        chosen: Calibration = Sigmoid()
        candidates: list[Calibration] = [Beta()] if frauds >= FEW_FRAUDS else []
        candidates += [Isotonic()] if frauds >= ENOUGH_FOR_STEPS else []
        best = _cross_fitted_loss(chosen, margin, y_true, step) if candidates else None
        for candidate in candidates:
            loss = _cross_fitted_loss(candidate, margin, y_true, step)
            if best is not None and loss is not None and _is_lower(loss, best):
                chosen, best = candidate, loss
        return chosen.fit(margin, y_true, step)


def prior_offset(beta: float | None) -> float:
    """Return the offset of a margin where the fit had a share `beta` of the legitimate rows.

    `beta` may also be 1 / weight of the frauds; None where the sampler changed more than the prior
    (SMOTE), which no offset undoes. Dal Pozzolo et al. (2015), Calibrating probability with
    undersampling, equation 4.

    Examples
    --------
    >>> round(prior_offset(0.1), 4)
    -2.3026
    """
    return 0.0 if beta is None else float(np.log(beta))


def _columns(kind: Kind, margin: Floats) -> list[Floats]:
    return [margin] if kind == "sigmoid" else [log_expit(margin), -log_expit(-margin)]


def _fit_linear(kind: Kind, margin: Floats, y_true: Labels) -> FittedCalibrator:
    _need_both(y_true)
    basis = np.column_stack(_columns(kind, margin))
    weights = np.full(basis.shape[1], MIN_SLOPE)
    free = np.ones(basis.shape[1], dtype=bool)
    while True:
        # Weights below their bound are fixed there, and the others are fitted again.
        fitted, intercept = _logistic(basis[:, free], y_true, basis[:, ~free] @ weights[~free])
        low = fitted < MIN_SLOPE
        if not low.any():
            weights[free] = fitted
            return FittedCalibrator(kind, (*map(float, weights), intercept))
        free[np.flatnonzero(free)[low]] = False


def _logistic(
    basis: Floats, y_true: Labels, offset: Floats, *, steps: int = 50
) -> tuple[Floats, float]:
    """Logistic regression by Newton's method with a ridge that pulls the weights towards 1."""
    design = np.column_stack([basis, np.ones(len(basis))])
    ridge = np.append(np.ones(basis.shape[1]), 0.0)
    centre = np.append(np.ones(basis.shape[1]), 0.0)
    rate = np.clip(y_true.mean(), 1e-9, 1 - 1e-9)
    theta = np.append(np.zeros(basis.shape[1]), np.log(rate / (1 - rate)) - np.mean(offset))

    def loss(weights: Floats) -> float:
        line = design @ weights + offset
        fit = -np.sum(np.where(y_true == 1, log_expit(line), log_expit(-line)))
        return float(fit + 0.5 * np.sum(ridge * (weights - centre) ** 2))

    current = loss(theta)
    for _ in range(steps):
        p = expit(design @ theta + offset)
        gradient = design.T @ (p - y_true) + ridge * (theta - centre)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(ridge)
        move = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        size, ahead = 1.0, loss(theta - move)
        while ahead > current and size > 1e-6:
            size /= 2
            ahead = loss(theta - size * move)
        theta = theta - size * move
        if abs(current - ahead) <= 1e-12 * max(1.0, abs(current)):
            break
        current = ahead
    return theta[:-1], float(theta[-1])


def _fit_isotonic(margin: Floats, y_true: Labels) -> FittedCalibrator:
    from scipy.optimize import isotonic_regression

    scores, rows, frauds = _by_score(margin, y_true)
    steps = isotonic_regression(frauds / rows, weights=rows)
    starts = steps.blocks[:-1]
    rows_in, frauds_in = np.add.reduceat(rows, starts), np.add.reduceat(frauds, starts)
    middle = np.add.reduceat(scores * rows, starts) / rows_in
    rate = (frauds_in + 0.5) / (rows_in + 1.0)
    # Half a fraud a step keeps log-odds finite and may swap neighbours: make them rise again.
    height = np.maximum.accumulate(np.log(rate / (1 - rate)))
    return _fit_knots("isotonic", middle, height, margin, y_true)


def _fit_venn_abers(margin: Floats, y_true: Labels) -> FittedCalibrator:
    scores, rows, frauds = _by_score(margin, y_true)
    chosen = venn_abers.choose(rows, frauds)
    low, high = venn_abers.pairs(rows, frauds, chosen)
    # log(p / (1 - p)) of p = p1 / (1 - p0 + p1).
    return _fit_knots("venn_abers", scores[chosen], np.log(high / (1 - low)), margin, y_true)


def _by_score(margin: Floats, y_true: Labels) -> tuple[Floats, Floats, Floats]:
    """The distinct scores, and how many rows and frauds each has."""
    _need_both(y_true)
    scores, inverse, rows = np.unique(margin, return_inverse=True, return_counts=True)
    frauds = np.bincount(inverse, weights=y_true, minlength=len(scores))
    return scores, rows.astype(np.float64), frauds.astype(np.float64)


def _fit_knots(
    kind: Kind, knots: Floats, height: Floats, margin: Floats, y_true: Labels
) -> FittedCalibrator:
    """Interpolate log-odds that do not fall by lines that rise, with the base rate as mean."""
    height = height + MIN_SLOPE * (knots - knots[0])
    knots, height = _to_the_ends(knots, height, margin.min(), margin.max())
    # Smoothing and lines between the steps move the mean.
    height = height + _logistic(margin[:, None][:, :0], y_true, np.interp(margin, knots, height))[1]
    return FittedCalibrator(kind, (*map(float, knots), *map(float, height)))


def _to_the_ends(
    middle: Floats, height: Floats, lowest: float, highest: float
) -> tuple[Floats, Floats]:
    """Hold the first and the last step out to the lowest and the highest score."""
    low, high = min(lowest, middle[0] - 1e-6), max(highest, middle[-1] + 1e-6)
    first = height[0] - MIN_SLOPE * (middle[0] - low)
    last = height[-1] + MIN_SLOPE * (high - middle[-1])
    return np.r_[low, middle, high], np.r_[first, height, last]


def _interpolate(margin: Floats, middle: Floats, height: Floats) -> Floats:
    inside = np.interp(margin, middle, height)
    before = np.minimum(margin - middle[0], 0.0)
    after = np.maximum(margin - middle[-1], 0.0)
    return np.asarray(inside + before + after)


def _need_both(y_true: Labels) -> None:
    if not 0 < (y_true == 1).sum() < len(y_true):
        raise DataError(
            f"The {len(y_true):,} out-of-fold rows hold one class alone, so nothing can be "
            "calibrated. Bring more rows, or fewer split.oof_folds."
        )


def _cross_fitted_loss(
    calibration: Calibration, margin: Floats, y_true: Labels, step: NDArray[np.int64]
) -> Floats | None:
    loss = np.empty(len(margin))
    for number in np.unique(step):
        inside = step == number
        if not 0 < (y_true[~inside] == 1).sum() < (~inside).sum():
            return None
        fitted = calibration.fit(margin[~inside], y_true[~inside], step[~inside])
        line = fitted.log_odds(margin[inside])
        loss[inside] = -np.where(y_true[inside] == 1, log_expit(line), log_expit(-line))
    return loss


def _is_lower(loss: Floats, other: Floats) -> bool:
    """Whether the mean loss is lower by more than its standard error."""
    difference = loss - other
    return bool(difference.mean() < -difference.std() / np.sqrt(len(difference)))
