"""Gradient-boosted trees by CatBoost, with defaults for rare events; an extra of fraudml.

How the defaults were found is told in docs/defaults.md.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BundleError, ConfigError, DataError
from fraudml.learners.boosting import (
    ONE_THREAD_ROWS,
    accept_early_end,
    bins_within,
    check_extra,
    model_facts,
    needed_to_load,
    read_model,
    without_infinities,
)
from fraudml.learners.catboost_parameters import (
    CATBOOST,
    CUDA_BINS,
    DEVICES,
    check_cuda,
    import_catboost,
)
from fraudml.learners.monotone import Monotone, monotone_signs
from fraudml.learners.parameters import plain_parameters, validate_and_set
from fraudml.learners.protocol import (
    FitContext,
    check_device,
    check_fit_rows,
    check_score_columns,
    log_device_changes,
    refuse_loss,
)
from fraudml.matrix import DesignMatrix

if TYPE_CHECKING:
    import catboost as cb

KIND = "catboost"
MODEL_FILE = "model.cbm"


@dataclass(frozen=True, init=False)
class CatBoost:
    """Settings of gradient-boosted trees, under CatBoost's own names.

    The fields are the parameters that decide how rare events are learnt; every other parameter of
    CatBoost can be given beside them, by its name or an alias, and keeps CatBoost's default
    otherwise. docs/defaults.md has the numbers behind each default.

    Parameters
    ----------
    iterations : int
        Boosting rounds, where they are not chosen on out-of-fold scores.
    learning_rate : float
        Slow. CatBoost would guess one from the number of rows and rounds, and the first rounds of a
        fit would not be those of a shorter one; nor would they with its own choice of the two last
        parameters here.
    depth : int
        How deep a tree is, all splits of a level being the same; CatBoost's own.
    l2_leaf_reg : float
        L2 of the leaf values; CatBoost's own.
    border_count : int
        Fine bins: in histories of cards and terminals, frauds sit in tails that 254 bins merge.
    rsm : float
        Share of the features that a split may use. All of them is CatBoost's own; half was level.
    leaf_estimation_iterations : int
        Steps of Newton's method for the leaf values of a tree; CatBoost's own from 200 rounds on.
    max_ctr_complexity : int
        How many categorical features are combined into one; CatBoost's own from 200 rounds on.
    monotone : mapping, optional
        By name, features that may only raise the margin (1) or only lower it (-1). With one,
        `max_ctr_complexity` counts as 1: combinations of categories take splits of numbers in, and
        the direction would be lost.
    other : mapping, optional
        More parameters of CatBoost, as `**more`; for `dataclasses.replace`.
    **more
        Any other parameter of CatBoost.

    Raises
    ------
    ConfigError
        CatBoost is not installed; or a name that it does not have (with the nearest), a parameter
        that is not the learner's to set (with the reason), or a value out of range: all of them at
        once.

    Examples
    --------
    >>> CatBoost(max_depth=4).depth
    4
    """

    iterations: int
    learning_rate: float
    depth: int
    l2_leaf_reg: float
    border_count: int
    rsm: float
    leaf_estimation_iterations: int
    max_ctr_complexity: int
    monotone: Monotone
    other: tuple[tuple[str, Any], ...]

    def __init__(
        self,
        *,
        iterations: int = 400,
        learning_rate: float = 0.06,
        depth: int = 6,
        l2_leaf_reg: float = 3.0,
        border_count: int = 1023,
        rsm: float = 1.0,
        leaf_estimation_iterations: int = 10,
        max_ctr_complexity: int = 4,
        monotone: Mapping[str, Any] | Monotone = (),
        other: Mapping[str, Any] | tuple[tuple[str, Any], ...] = (),
        **more: Any,
    ) -> None:
        check_extra("catboost")
        own = {
            "iterations": iterations,
            "learning_rate": learning_rate,
            "depth": depth,
            "l2_leaf_reg": l2_leaf_reg,
            "border_count": border_count,
            "rsm": rsm,
            "leaf_estimation_iterations": leaf_estimation_iterations,
            "max_ctr_complexity": max_ctr_complexity,
            "monotone": monotone,
            "other": other,
        }
        validate_and_set(self, CATBOOST, own, more)

    devices = DEVICES
    rounds_key = "iterations"

    def on(self, device: str, *, deterministic: bool = False) -> CatBoost:
        """Return the learner as it runs on a device: on CUDA, with at most 254 bins.

        Raises
        ------
        ConfigError
            There is no OpenCL in CatBoost; and on CUDA no `rsm`, no `monotone`, no fit that comes
            out the same again, and no more bins where they were asked for by hand.
        """
        check_device("CatBoost", device, self.devices)
        if device != "cuda":
            return self
        check_cuda(rsm=self.rsm, monotone=self.monotone, deterministic=deterministic)
        bins = bins_within(self, "border_count", CUDA_BINS, device)
        return self if bins == self.border_count else replace(self, border_count=bins)

    @property
    def max_rounds(self) -> int:
        """How many rounds a fit makes where nothing else is said."""
        return self.iterations

    def to_dict(self) -> dict[str, Any]:
        """Return all parameters under CatBoost's names; `CatBoost(**…)` makes an equal learner."""
        return plain_parameters(self)

    def fit(
        self,
        train: DesignMatrix,
        context: FitContext,
        *,
        rounds: int | None = None,
    ) -> FittedCatBoost:
        """Fit on `train`, with its weights.

        On the CPU the same rows, seed, threads and version of CatBoost give the same model. On
        CUDA the last bits differ from fit to fit; and as CatBoost tells nobody about its rounds
        there, the deadline is looked at before the fit alone.

        Parameters
        ----------
        train : DesignMatrix
            With labels of both classes.
        context : FitContext
            Seed, threads, device, deadline, progress.
        rounds : int, optional
            How many rounds to make, instead of `iterations`.

        Raises
        ------
        BudgetError
            The deadline passed before a tenth of the rounds. Later, the fit ends early with a
            warning in the log.
        ConfigError
            CatBoost refuses a parameter, the device is not there, or there is a loss.
        DataError
            No feature, none that has two values, one class only, a weight that is negative or not
            finite, or a name in `monotone` that is no feature or a categorical one.
        """
        check_fit_rows(train)
        own = self.on(context.device, deterministic=context.deterministic)
        log_device_changes(self, own, context.device)
        refuse_loss("CatBoost", context.loss)
        library = import_catboost()
        rounds = self.iterations if rounds is None else rounds
        watch = _Watch(context, rounds)
        if context.deadline.expired:
            accept_early_end(0, rounds, "iterations")
        booster: cb.CatBoost = library.CatBoost(own._parameters(train, context, rounds))
        rows = _pool(train.values, train.categorical, label=train.y, weight=train.weight)
        try:
            booster.fit(rows, callbacks=[watch] if context.device == "cpu" else None)
        except library.CatBoostError as error:
            raise _refused(error) from error
        if context.device != "cpu":
            context.progress("fit", 1.0)
        elif watch.done < rounds:
            accept_early_end(watch.done, rounds, "iterations")
        return FittedCatBoost(_content(booster), train.names, train.categorical, context.threads)

    def _parameters(self, train: DesignMatrix, context: FitContext, rounds: int) -> dict[str, Any]:
        parameters = self.to_dict() | {"iterations": rounds}
        del parameters["monotone"]
        signs = monotone_signs(self.monotone, train)
        if any(signs):
            order = _order(train.categorical, len(train.names))
            parameters["monotone_constraints"] = [signs[column] for column in order]
            parameters["max_ctr_complexity"] = min(1, self.max_ctr_complexity)
        return parameters | {
            "loss_function": "Logloss",
            "random_seed": context.seed,
            "thread_count": context.threads,
            "task_type": "CPU" if context.device == "cpu" else "GPU",
            "model_shrink_rate": 0.0,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }


class _Watch:
    """What CatBoost calls after each round: counts, reports, and ends the fit at the deadline."""

    def __init__(self, context: FitContext, rounds: int) -> None:
        self._context = context
        self._rounds = rounds
        self.done = 0

    def after_iteration(self, _: object) -> bool:
        """Say whether there is time for another round."""
        self.done += 1
        self._context.progress("fit", self.done / self._rounds)
        return self.done == self._rounds or not self._context.deadline.expired


class FittedCatBoost:
    """Trees, made from CatBoost's own model file: what scores is what is saved.

    Parameters
    ----------
    content : bytes
        The model in CatBoost's binary format, without the parameters of its fit.
    names : tuple of str
        The columns of the fit, in their order.
    categorical : tuple of int
        Positions of the categorical ones.
    threads : int
        How many threads to score with; a few rows take one.
    """

    kind = KIND

    def __init__(
        self,
        content: bytes,
        names: tuple[str, ...],
        categorical: tuple[int, ...] = (),
        threads: int = 1,
    ) -> None:
        self.content = content
        self.names = names
        self.categorical = categorical
        self.threads = threads
        self._booster = import_catboost().CatBoost()
        self._booster.load_model(blob=content)

    @property
    def rounds(self) -> int:
        """How many boosting rounds there are."""
        return int(self._booster.tree_count_)

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        """Return the log-odds of fraud, one float64 a row.

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
        margin: NDArray[np.float64] = self._booster.predict(
            _pool(X.values, self.categorical),
            prediction_type="RawFormulaVal",
            ntree_end=end,
            thread_count=self._threads_for(X),
        )
        return margin

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        """Return Shapley values, shape (n_rows, n_features + 1), float64.

        A row sums to its margin up to rounding; the last column is the base, the same in each row.
        Costs about a hundred times a margin (TreeSHAP; Lundberg et al. 2020).
        """
        check_score_columns(self.names, X)
        columns = len(self.names)
        parts = np.empty((len(X), columns + 1))
        if len(X):
            order = [*_order(self.categorical, columns), columns]
            parts[:, order] = self._booster.get_feature_importance(
                _pool(X.values, self.categorical),
                type="ShapValues",
                thread_count=self._threads_for(X),
            )
        return parts

    @property
    def order(self) -> list[int]:
        """Which column of the design matrix each of CatBoost's own is: numbers come first."""
        return _order(self.categorical, len(self.names))

    def as_json(self) -> dict[str, Any]:
        """Return the model as CatBoost writes it in JSON: what exports read."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            self._booster.save_model(str(path), format="json")
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `model.cbm`, the same bytes for the same model; return its digest and columns."""
        (folder / MODEL_FILE).write_bytes(self.content)
        return model_facts(self.content, self.names, categorical=list(self.categorical))

    def _threads_for(self, X: DesignMatrix) -> int:
        return 1 if len(X) <= ONE_THREAD_ROWS else self.threads


def load(folder: Path, facts: Mapping[str, Any], threads: int = 1) -> FittedCatBoost:
    """Read back what `FittedCatBoost.save` wrote; margins are the same bits.

    Parameters
    ----------
    folder : Path
        Holds `model.cbm`.
    facts : mapping
        What `save` returned.
    threads : int
        How many threads to score with.

    Raises
    ------
    BundleError
        CatBoost is not installed; or the file is missing, damaged or no model of CatBoost's, or its
        columns are not those of the facts.
    """
    needed_to_load("catboost")
    path = folder / MODEL_FILE
    content, names = read_model(path, facts)
    try:
        categorical = tuple(map(int, facts["categorical"]))
        model = FittedCatBoost(content, names, categorical, threads)
    except (KeyError, TypeError, ValueError, import_catboost().CatBoostError) as error:
        raise BundleError(
            f"'{path}' is no model of CatBoost's: {error!r}. Write the bundle again."
        ) from error
    columns = len(model._booster.feature_names_)
    if columns != len(names):
        raise BundleError(
            f"'{path}' is for {columns} columns, and its manifest names {len(names)}. "
            "Write the bundle again."
        )
    return model


def _order(categorical: tuple[int, ...], columns: int) -> list[int]:
    """Numbers before categories, as CatBoost has them."""
    return [*(c for c in range(columns) if c not in categorical), *categorical]


def _pool(
    values: NDArray[np.float32],
    categorical: tuple[int, ...],
    *,
    label: NDArray[Any] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> Any:
    library = import_catboost()
    numbers = _order(categorical, values.shape[1])[: values.shape[1] - len(categorical)]
    features = library.FeaturesData(
        num_feature_data=_columns(values, numbers) if numbers else None,
        cat_feature_data=_words(values[:, list(categorical)]) if categorical else None,
    )
    return library.Pool(features, label=label, weight=weight)


def _columns(values: NDArray[np.float32], chosen: list[int]) -> NDArray[np.float32]:
    some = values if len(chosen) == values.shape[1] else values[:, chosen]
    return np.ascontiguousarray(without_infinities(some))


def _words(codes: NDArray[np.float32]) -> NDArray[Any]:
    """Codes of categories as CatBoost takes them: bytes, one object for all rows of a code."""
    whole = codes.astype(np.int64)
    words = np.array([b"%d" % code for code in range(int(whole.max()) + 1)], dtype=object)
    return words[whole]


def _content(booster: cb.CatBoost) -> bytes:
    """The trees alone: when, where and how they were fitted is no part of the model."""
    facts = booster.get_metadata()
    for name in list(facts.keys()):
        del facts[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL_FILE
        booster.save_model(str(path), format="cbm")
        return path.read_bytes()


def _refused(error: Exception) -> ConfigError | DataError:
    said = re.sub(r"^\S+:\d+: ", "", str(error)).strip().rstrip(".")
    if "constant or ignored" in said:
        return DataError(
            "No feature has two values among the rows of the fit, and CatBoost makes no model of "
            "that. Check data.columns and the features settings."
        )
    return ConfigError(f"learner: CatBoost refuses to fit: {said}.")
