"""Gradient-boosted trees by XGBoost, with defaults for rare events; an extra of fraudml.

How the defaults were found is told in docs/defaults.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BundleError, ConfigError
from fraudml.learners.boosting import (
    accept_early_end,
    check_extra,
    gradient_step,
    model_facts,
    needed_to_load,
    predict_in_threads,
    read_model,
    without_infinities,
)
from fraudml.learners.monotone import Monotone, monotone_signs
from fraudml.learners.parameters import plain_parameters, validate_and_set
from fraudml.learners.protocol import FitContext, check_device, check_fit_rows, check_score_columns
from fraudml.learners.watch import every_round
from fraudml.learners.xgboost_parameters import (
    DEVICES,
    XGBOOST,
    check_not_moved,
    import_xgboost,
)
from fraudml.matrix import DesignMatrix

if TYPE_CHECKING:
    import xgboost as xgb

KIND = "xgboost"
MODEL_FILE = "model.ubj"

_MARGIN_ZERO = 0.5
"""The base score whose margin is 0: what a loss of its own starts from is counted elsewhere."""


@dataclass(frozen=True, init=False)
class XGBoost:
    """Settings of gradient-boosted trees, under XGBoost's own names.

    The fields are the parameters that decide how rare events are learnt; every other parameter of
    XGBoost can be given beside them, by its name or an alias, and keeps XGBoost's default
    otherwise. docs/defaults.md has the numbers behind each default.

    Parameters
    ----------
    n_estimators : int
        Boosting rounds, where they are not chosen on out-of-fold scores. As `base_score` is far
        from the base rate, `learning_rate × n_estimators` should be 9 or more: until then margins
        have not come down to it, and p is too high before calibration.
    learning_rate : float
        Slow: XGBoost's .3 with its large trees learns a few hundred frauds by heart.
    max_depth : int
        How deep a tree may be; 0 is without a limit.
    max_leaves : int
        How many leaves a tree may have; 0 is without a limit.
    reg_lambda : float
        L2 of the leaf values. Rows that the model is sure of weigh next to nothing in Hessians:
        without L2 a leaf of them takes an enormous value.
    max_bin : int
        Fine bins: in histories of cards and terminals, frauds sit in tails that 256 bins merge.
    colsample_bytree : float
        Share of the features that a tree may use: trees that differ, and half the time.
    base_score : float, optional
        The probability that margins start from; None is the base rate of the rows, XGBoost's own
        default. From there, Hessians are tiny in the first rounds.
    grow_policy : str
        `lossguide` splits the leaf that gains most, `depthwise` all of a level.
    tree_method : str
        `hist` by bins, `exact` by every value, `approx` by bins made anew in each round. `exact`
        takes no categorical features.
    monotone : mapping, optional
        By name, features that may only raise the margin (1) or only lower it (-1).
    other : mapping, optional
        More parameters of XGBoost, as `**more`; for `dataclasses.replace`.
    **more
        Any other parameter of XGBoost.

    Raises
    ------
    ConfigError
        XGBoost is not installed; or a name that it does not have (with the nearest), a parameter
        that is not the learner's to set (with the reason), or a value out of range: all of them at
        once.

    Examples
    --------
    >>> XGBoost(max_depth=4).max_depth
    4
    """

    n_estimators: int
    learning_rate: float
    max_depth: int
    max_leaves: int
    reg_lambda: float
    max_bin: int
    colsample_bytree: float
    base_score: float | None
    grow_policy: str
    tree_method: str
    monotone: Monotone
    other: tuple[tuple[str, Any], ...]

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        learning_rate: float = 0.06,
        max_depth: int = 0,
        max_leaves: int = 8,
        reg_lambda: float = 10.0,
        max_bin: int = 1023,
        colsample_bytree: float = 0.5,
        base_score: float | None = 0.5,
        grow_policy: str = "lossguide",
        tree_method: str = "hist",
        monotone: Mapping[str, Any] | Monotone = (),
        other: Mapping[str, Any] | tuple[tuple[str, Any], ...] = (),
        **more: Any,
    ) -> None:
        check_extra("xgboost")
        own = {
            "n_estimators": n_estimators,
            "learning_rate": learning_rate,
            "max_depth": max_depth,
            "max_leaves": max_leaves,
            "reg_lambda": reg_lambda,
            "max_bin": max_bin,
            "colsample_bytree": colsample_bytree,
            "base_score": base_score,
            "grow_policy": grow_policy,
            "tree_method": tree_method,
            "monotone": monotone,
            "other": other,
        }
        validate_and_set(self, XGBOOST, own, more)

    devices = DEVICES
    rounds_key = "n_estimators"

    def on(self, device: str, *, deterministic: bool = False) -> XGBoost:  # noqa: ARG002 - it is
        """Return the learner; its histograms are the same bits on CUDA from run to run.

        Raises
        ------
        ConfigError
            There is no OpenCL in XGBoost, and no `tree_method=exact` on CUDA.
        """
        check_device("XGBoost", device, self.devices)
        if device == "cuda" and self.tree_method == "exact":
            raise ConfigError(
                "learner.tree_method is 'exact', and device is 'cuda'. XGBoost has it on the CPU "
                "alone. Set learner.tree_method=hist, or device=cpu."
            )
        return self

    @property
    def max_rounds(self) -> int:
        """How many rounds a fit makes where nothing else is said."""
        return self.n_estimators

    def to_dict(self) -> dict[str, Any]:
        """Return all parameters under XGBoost's names; `XGBoost(**…)` makes an equal learner."""
        return plain_parameters(self)

    def fit(
        self,
        train: DesignMatrix,
        context: FitContext,
        *,
        rounds: int | None = None,
    ) -> FittedXGBoost:
        """Fit on `train`, with its weights.

        The same rows, seed, threads and version of XGBoost give the same model.

        Parameters
        ----------
        train : DesignMatrix
            With labels of both classes.
        context : FitContext
            Seed, threads, device, deadline, progress, loss.
        rounds : int, optional
            How many rounds to make, instead of `n_estimators`.

        Raises
        ------
        BudgetError
            The deadline passed before a tenth of the rounds. Later, the fit ends early with a
            warning in the log.
        ConfigError
            XGBoost refuses a parameter, or the device is not there.
        DataError
            No feature, one class only, a weight that is negative or not finite, or a name in
            `monotone` that is no feature or a categorical one.
        """
        check_fit_rows(train)
        self.on(context.device)
        rounds = self.n_estimators if rounds is None else rounds
        parameters = self._parameters(train, context)
        try:
            booster, done = self._boost(train, context, parameters, rounds)
        except import_xgboost().core.XGBoostError as error:
            raise ConfigError(f"learner: XGBoost refuses to fit: {_reason(error)}") from error
        if done < rounds:
            accept_early_end(done, rounds, "n_estimators")
        return FittedXGBoost(bytes(booster.save_raw("ubj")), train.names, context.threads)

    def _boost(
        self, train: DesignMatrix, context: FitContext, parameters: dict[str, Any], rounds: int
    ) -> tuple[xgb.Booster, int]:
        library = import_xgboost()
        start = None if context.loss is None else context.loss.start(train)
        bins = {"max_bin": self.max_bin} if self.tree_method == "hist" else {}
        make = library.QuantileDMatrix if bins else library.DMatrix

        def laid_out() -> xgb.DMatrix:
            rows: xgb.DMatrix = make(
                without_infinities(train.values),
                train.y,
                weight=train.weight,
                base_margin=None if start is None else np.full(len(train), start, dtype=np.float32),
                feature_types=_feature_types(train),
                enable_categorical=True,
                nthread=context.threads,
                **bins,
            )
            return rows

        how, size = (KIND, self.tree_method, self.max_bin), train.values.nbytes
        rows = laid_out() if context.bins is None else context.bins.of(how, size, laid_out)
        # Where a GPU is missing it would warn, at once, whatever the parameters say; we refuse.
        with library.config_context(verbosity=0):
            booster: xgb.Booster = library.Booster(parameters, [rows])
            check_not_moved(booster, context.device)
        step = None if context.loss is None else gradient_step(context.loss, train)
        tell = every_round(context.watch, rounds, partial(_added, booster))
        for done in range(rounds):
            if context.deadline.expired:
                return booster, done
            booster.update(rows, done, fobj=step)
            context.progress("fit", (done + 1) / rounds)
            tell(done + 1)
        return booster, rounds

    def _parameters(self, train: DesignMatrix, context: FitContext) -> dict[str, Any]:
        parameters = self.to_dict()
        del parameters["n_estimators"], parameters["monotone"]
        if context.loss is not None:
            parameters["base_score"] = _MARGIN_ZERO
        elif self.base_score is None:
            del parameters["base_score"]
        signs = monotone_signs(self.monotone, train)
        if any(signs):
            parameters["monotone_constraints"] = tuple(signs)
        return parameters | {
            "objective": "binary:logistic",
            "disable_default_eval_metric": True,
            "seed": context.seed,
            "nthread": context.threads,
            "device": context.device,
            "verbosity": 0,
        }


def _added(booster: xgb.Booster, values: NDArray[np.float32], start: int, end: int) -> NDArray[Any]:
    """What some rounds add to margins, up to the base score, which each part counts."""
    added: NDArray[Any] = booster.inplace_predict(
        without_infinities(values), iteration_range=(start, end), predict_type="margin"
    )
    return added


class FittedXGBoost:
    """Trees, made from XGBoost's own model file: what scores is what is saved.

    Parameters
    ----------
    content : bytes
        The model as UBJSON, without the parameters of its fit.
    names : tuple of str
        The columns of the fit, in their order.
    threads : int
        How many threads to score with; a few rows take one.
    """

    kind = KIND

    def __init__(self, content: bytes, names: tuple[str, ...], threads: int = 1) -> None:
        self.content = content
        self.names = names
        self.threads = threads
        self._library = import_xgboost()
        # XGBoost would start all its threads for a single row, which costs more than the trees.
        self._booster = self._library.Booster({"nthread": 1}, model_file=bytearray(content))

    @property
    def rounds(self) -> int:
        """How many boosting rounds there are."""
        return int(self._booster.num_boosted_rounds())

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        """Return the log-odds of fraud, one float64 a row, as exact as XGBoost's float32.

        The same row gives the same bits, whatever rows stand beside it and however many threads.

        Parameters
        ----------
        X : DesignMatrix
            The columns of the fit, in their order.
        rounds : int, optional
            Use only the first rounds, at least 1; more than there are means all.

        Raises
        ------
        DataError
            Other columns than those of the fit.
        """
        assert rounds is None or rounds >= 1, rounds
        check_score_columns(self.names, X)
        if not len(X):
            return np.empty(0)
        end = self.rounds if rounds is None else min(rounds, self.rounds)

        def score(values: NDArray[np.float32]) -> NDArray[Any]:
            margin: NDArray[np.float32] = self._booster.inplace_predict(
                values, iteration_range=(0, end), predict_type="margin"
            )
            return margin

        return predict_in_threads(score, X.values, self.threads)

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        """Return Shapley values, shape (n_rows, n_features + 1), float64.

        A row sums to its margin up to rounding in float32; the last column is the base, the same in
        each row. Costs about a hundred times a margin (TreeSHAP; Lundberg et al. 2020).
        """
        check_score_columns(self.names, X)
        if not len(X):
            return np.empty((0, len(self.names) + 1))

        def score(values: NDArray[np.float32]) -> NDArray[Any]:
            rows = self._library.DMatrix(
                without_infinities(values),
                feature_types=self._booster.feature_types,
                enable_categorical=True,
                nthread=1,
            )
            parts: NDArray[np.float32] = self._booster.predict(rows, pred_contribs=True)
            return parts

        return predict_in_threads(score, X.values, self.threads)

    def as_json(self) -> dict[str, Any]:
        """Return the model as XGBoost writes it in JSON: what exports read."""
        content: dict[str, Any] = json.loads(self._booster.save_raw("json"))
        return content

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `model.ubj`, the same bytes for the same model; return its digest and columns."""
        (folder / MODEL_FILE).write_bytes(self.content)
        return model_facts(self.content, self.names)


def load(folder: Path, facts: Mapping[str, Any], threads: int = 1) -> FittedXGBoost:
    """Read back what `FittedXGBoost.save` wrote; margins are the same bits.

    Parameters
    ----------
    folder : Path
        Holds `model.ubj`.
    facts : mapping
        What `save` returned.
    threads : int
        How many threads to score with.

    Raises
    ------
    BundleError
        XGBoost is not installed; or the file is missing, damaged or no model of XGBoost's, or its
        columns are not those of the facts.
    """
    needed_to_load("xgboost")
    path = folder / MODEL_FILE
    content, names = read_model(path, facts)
    try:
        model = FittedXGBoost(content, names, threads)
    except import_xgboost().core.XGBoostError as error:
        raise BundleError(f"'{path}' is no model of XGBoost's: {_reason(error)}") from error
    columns = model._booster.num_features()
    if columns != len(names):
        raise BundleError(
            f"'{path}' is for {columns} columns, and its manifest names {len(names)}. "
            "Write the bundle again."
        )
    return model


def _feature_types(matrix: DesignMatrix) -> list[str]:
    return ["c" if column in matrix.categorical else "q" for column in range(len(matrix.names))]


def _reason(error: Exception) -> str:
    """What XGBoost says, without the time, the source file and the stack."""
    first = re.sub(r"^\[[\d:]+\] \S+: ", "", str(error)).split("\nStack trace", maxsplit=1)[0]
    return first.strip().replace("\n", " ").rstrip(".") + "."
