"""Gradient-boosted trees by LightGBM, with defaults for rare events.

How the defaults were found is told in docs/defaults.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BundleError, ConfigError, DataError
from fraudml.learners.boosting import (
    ONE_THREAD_ROWS,
    accept_early_end,
    bins_within,
    gradient_step,
)
from fraudml.learners.lightgbm_parameters import (
    DEVICE_TYPES,
    DEVICES,
    LIGHTGBM,
    OPENCL_BINS,
    import_lightgbm,
)
from fraudml.learners.monotone import Monotone, monotone_signs
from fraudml.learners.parameters import plain_parameters, validate_and_set
from fraudml.learners.protocol import (
    FitContext,
    check_device,
    check_fit_rows,
    check_score_columns,
    log_device_changes,
)
from fraudml.learners.watch import Bins, every_round
from fraudml.matrix import DesignMatrix

if TYPE_CHECKING:
    import lightgbm as lgb

KIND = "lightgbm"
MODEL_FILE = "model.txt"


@dataclass(frozen=True, init=False)
class LightGBM:
    """Settings of gradient-boosted trees, under LightGBM's own names.

    The fields are the parameters that decide how rare events are learnt; every other parameter of
    LightGBM can be given beside them, by its name or an alias, and keeps LightGBM's default
    otherwise. docs/defaults.md has the numbers behind each default.

    Parameters
    ----------
    num_iterations : int
        Boosting rounds, where they are not chosen on out-of-fold scores. With
        `boost_from_average=False`, `learning_rate × num_iterations` should be 9 or more: until
        then margins have not come down to the base rate, and p is too high before calibration.
    learning_rate : float
        Slow: LightGBM's .1 with its large trees learns a few hundred frauds by heart.
    num_leaves : int
        Small trees, for the same reason.
    lambda_l2 : float
        L2 of the leaf values. Rows that the model is sure of weigh next to nothing in Hessians:
        without L2 a leaf of them takes an enormous value.
    max_bin : int
        Fine bins: in histories of cards and terminals, frauds sit in tails that 255 bins merge.
    min_data_in_leaf : int
        Rows a leaf must have; LightGBM's own default.
    feature_fraction : float
        Share of the features that a tree may use: trees that differ, and half the time.
    boost_from_average : bool
        Whether margins start at the log-odds of the base rate. From there, Hessians are tiny in
        the first rounds, which costs AP wherever L2 is low; from 0, they are not.
    monotone : mapping, optional
        By name, features that may only raise the margin (1) or only lower it (-1).
    other : mapping, optional
        More parameters of LightGBM, as `**more`; for `dataclasses.replace`.
    **more
        Any other parameter of LightGBM.

    Raises
    ------
    ConfigError
        A name that LightGBM does not have (with the nearest), a parameter that is not the learner's
        to set (with the reason), or a value out of range: all of them at once.

    Examples
    --------
    >>> LightGBM(num_leaves=15).num_leaves
    15
    >>> LightGBM(colsample_bytree=0.8).feature_fraction
    0.8
    """

    num_iterations: int
    learning_rate: float
    num_leaves: int
    lambda_l2: float
    max_bin: int
    min_data_in_leaf: int
    feature_fraction: float
    boost_from_average: bool
    monotone: Monotone
    other: tuple[tuple[str, Any], ...]

    def __init__(
        self,
        *,
        num_iterations: int = 300,
        learning_rate: float = 0.06,
        num_leaves: int = 8,
        lambda_l2: float = 10.0,
        max_bin: int = 4095,
        min_data_in_leaf: int = 20,
        feature_fraction: float = 0.5,
        boost_from_average: bool = False,
        monotone: Mapping[str, Any] | Monotone = (),
        other: Mapping[str, Any] | tuple[tuple[str, Any], ...] = (),
        **more: Any,
    ) -> None:
        own = {
            "num_iterations": num_iterations,
            "learning_rate": learning_rate,
            "num_leaves": num_leaves,
            "lambda_l2": lambda_l2,
            "max_bin": max_bin,
            "min_data_in_leaf": min_data_in_leaf,
            "feature_fraction": feature_fraction,
            "boost_from_average": boost_from_average,
            "monotone": monotone,
            "other": other,
        }
        validate_and_set(self, LIGHTGBM, own, more)

    devices = DEVICES
    rounds_key = "num_iterations"

    def on(self, device: str, *, deterministic: bool = False) -> LightGBM:  # noqa: ARG002 - can all
        """Return the learner as it runs on a device: on OpenCL, with at most 255 bins.

        Raises
        ------
        ConfigError
            More bins were asked for by hand.
        """
        check_device("LightGBM", device, self.devices)
        if device != "opencl":
            return self
        bins = bins_within(self, "max_bin", OPENCL_BINS, device)
        return self if bins == self.max_bin else replace(self, max_bin=bins)

    @property
    def max_rounds(self) -> int:
        """How many rounds a fit makes where nothing else is said."""
        return self.num_iterations

    def to_dict(self) -> dict[str, Any]:
        """Return all parameters under LightGBM's names; `LightGBM(**…)` makes an equal learner."""
        return plain_parameters(self)

    def fit(
        self,
        train: DesignMatrix,
        context: FitContext,
        *,
        rounds: int | None = None,
    ) -> FittedLightGBM:
        """Fit on `train`, with its weights.

        On the CPU the same rows, seed and version of LightGBM give the same model, whatever the
        threads; a GPU's sums come in no fixed order, see docs/devices.md.
        Memory beside the matrix: 2 bytes a value (1 up to 255 bins) and about 60 a row.

        Parameters
        ----------
        train : DesignMatrix
            With labels of both classes.
        context : FitContext
            Seed, threads, device, deadline, progress.
        rounds : int, optional
            How many rounds to make, instead of `num_iterations`.

        Raises
        ------
        BudgetError
            The deadline passed before a tenth of the rounds. Later, the fit ends early with a
            warning in the log.
        ConfigError
            LightGBM refuses a parameter, or the device is not there.
        DataError
            No feature, one class only, a weight that is negative or not finite, a name in
            `monotone` that is no feature or a categorical one, or on OpenCL a categorical feature
            of too many categories.
        """
        check_fit_rows(train)
        rounds = self.num_iterations if rounds is None else rounds
        model, done = self.fit_in_time(train, context, rounds)
        if done < rounds:
            accept_early_end(done, rounds, "num_iterations")
        return model

    def fit_in_time(
        self, train: DesignMatrix, context: FitContext, rounds: int
    ) -> tuple[FittedLightGBM, int]:
        """Fit until the deadline, and leave it to the caller whether that was long enough.

        Parameters
        ----------
        train, context
            As for `fit`; the rows are checked.
        rounds : int
            How many rounds to make.

        Returns
        -------
        model : FittedLightGBM
            Of what there was time for.
        done : int
            After how many rounds the fit ended: 0 makes no model that can be used.
        """
        own = self.on(context.device)
        log_device_changes(self, own, context.device)
        booster, done = own._boost(train, context, rounds)
        return FittedLightGBM(_model_text(booster), train.names, context.threads), done

    def _boost(
        self, train: DesignMatrix, context: FitContext, rounds: int
    ) -> tuple[lgb.Booster, int]:
        library = import_lightgbm()
        parameters = self._parameters(train, context)
        start = None if context.loss is None else context.loss.start(train)

        def binned() -> lgb.Dataset:
            rows: lgb.Dataset = library.Dataset(
                train.values,
                label=train.y,
                weight=train.weight,
                init_score=None if start is None else np.full(len(train), start),
                categorical_feature=list(train.categorical),
                params=parameters,
                free_raw_data=True,
            )
            return rows.construct()

        try:
            rows = (
                binned() if context.bins is None else _kept(context.bins, binned, parameters, train)
            )
            booster: lgb.Booster = library.Booster(parameters, rows)
            step = None if context.loss is None else gradient_step(context.loss, train)
            tell = every_round(context.watch, rounds, partial(_added, booster, context.threads))
            for done in range(rounds):
                if context.deadline.expired:
                    return booster, done
                booster.update(fobj=step)
                context.progress("fit", (done + 1) / rounds)
                tell(done + 1)
        except library.basic.LightGBMError as error:
            raise _refused(error, train) from error
        return booster, rounds

    def _parameters(self, train: DesignMatrix, context: FitContext) -> dict[str, Any]:
        parameters = self.to_dict()
        del parameters["num_iterations"], parameters["monotone"]
        signs = monotone_signs(self.monotone, train)
        if any(signs):
            parameters["monotone_constraints"] = signs
        if context.deterministic and context.device != "cpu":
            parameters["gpu_use_dp"] = True
        return parameters | {
            "objective": "binary" if context.loss is None else "custom",
            "metric": "none",
            "seed": context.seed,
            "num_threads": context.threads,
            "device_type": DEVICE_TYPES[context.device],
            "verbosity": -1,
            "deterministic": True,
            "force_col_wise": True,
            "feature_pre_filter": False,
        }


_OF_TREES_ALONE = {
    *("learning_rate", "num_leaves", "max_depth", "min_data_in_leaf", "min_gain_to_split"),
    *("lambda_l1", "lambda_l2", "min_sum_hessian_in_leaf", "path_smooth", "extra_trees"),
    *("feature_fraction", "feature_fraction_bynode", "bagging_fraction", "bagging_freq"),
    *("pos_bagging_fraction", "neg_bagging_fraction", "boost_from_average"),
}
"""Parameters that say nothing of bins, under LightGBM's own names; any other one may."""


def _kept(
    bins: Bins,
    binned: Callable[[], lgb.Dataset],
    parameters: Mapping[str, Any],
    train: DesignMatrix,
) -> lgb.Dataset:
    of_bins = {name: one for name, one in parameters.items() if name not in _OF_TREES_ALONE}
    rows: lgb.Dataset = bins.of(repr(sorted(of_bins.items())), train.values.nbytes, binned)
    return rows


def _added(
    booster: lgb.Booster, threads: int, values: NDArray[np.float32], start: int, end: int
) -> NDArray[Any]:
    """What some rounds add to margins."""
    added: Any = booster.predict(
        values,
        raw_score=True,
        start_iteration=start,
        num_iteration=end - start,
        num_threads=threads,
    )
    return np.asarray(added)


class FittedLightGBM:
    """Trees, made from LightGBM's own model text: what scores is what is saved.

    Parameters
    ----------
    text : str
        The model, without the parameters of its fit.
    names : tuple of str
        The columns of the fit, in their order.
    threads : int
        How many threads to score with; a few rows take one.
    """

    kind = KIND

    def __init__(self, text: str, names: tuple[str, ...], threads: int = 1) -> None:
        self.text = text
        self.names = names
        self.threads = threads
        self._booster = import_lightgbm().Booster(model_str=text)

    @property
    def rounds(self) -> int:
        """How many boosting rounds there are."""
        return int(self._booster.current_iteration())

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
        return self._predict(X, raw_score=True, num_iteration=-1 if rounds is None else rounds)

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        """Return Shapley values, shape (n_rows, n_features + 1), float64.

        A row sums to its margin up to rounding; the last column is the base, the same in each row.
        Costs about a hundred times a margin (TreeSHAP; Lundberg et al. 2020).
        """
        return self._predict(X, pred_contrib=True, num_iteration=-1)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `model.txt`, the same bytes for the same model; return the names of the columns."""
        self.write(folder / MODEL_FILE)
        return {"names": list(self.names)}

    def write(self, path: Path) -> None:
        """Write the model's text."""
        path.write_text(self.text, encoding="utf-8", newline="\n")

    def _predict(self, X: DesignMatrix, **how: Any) -> NDArray[np.float64]:
        check_score_columns(self.names, X)
        if not len(X):
            shape = (0, len(self.names) + 1) if "pred_contrib" in how else (0,)
            return np.empty(shape)
        threads = 1 if len(X) <= ONE_THREAD_ROWS else self.threads
        scores: NDArray[np.float64] = self._booster.predict(X.values, num_threads=threads, **how)
        return scores


def load(folder: Path, facts: Mapping[str, Any], threads: int = 1) -> FittedLightGBM:
    """Read back what `FittedLightGBM.save` wrote; margins are the same bits.

    Parameters
    ----------
    folder : Path
        Holds `model.txt`.
    facts : mapping
        What `save` returned.
    threads : int
        How many threads to score with.

    Raises
    ------
    BundleError
        The file is missing or is no model of LightGBM's, or its columns are not those of the facts.
    """
    return read_model(folder / MODEL_FILE, facts, threads)


def read_model(path: Path, facts: Mapping[str, Any], threads: int) -> FittedLightGBM:
    """Read a model's text that `FittedLightGBM.write` wrote; `load` with another file's name."""
    try:
        text = path.read_text(encoding="ascii")
        names = tuple(map(str, facts["names"]))
    except (OSError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise BundleError(f"Cannot read '{path}': {error!r}. Write the bundle again.") from error
    problem = _damage(text, len(names))
    if problem:
        raise BundleError(f"'{path}' is damaged: {problem}. Write the bundle again.")
    try:
        return FittedLightGBM(text, names, threads)
    except import_lightgbm().basic.LightGBMError as error:
        raise BundleError(f"'{path}' is no model of LightGBM's: {error}.") from error


def _damage(text: str, columns: int) -> str | None:
    """Say where a model text is not whole: LightGBM ends the process on one that is not."""
    header, _, trees = text.partition("\n\n")
    facts = dict(line.partition("=")[::2] for line in header.splitlines())
    if facts.get("max_feature_idx") != str(columns - 1):
        return f"it is not for the {columns} columns that its manifest names"
    sizes = facts.get("tree_sizes", "").split()
    start = 0
    for number, size in enumerate(sizes):
        if not size.isdigit() or not trees.startswith(f"Tree={number}\n", start):
            return f"tree {number} of {len(sizes)} is not where it should be"
        start += int(size)
    return None if trees.startswith("end of trees\n", start) else "it ends too early"


def _refused(error: Exception, train: DesignMatrix) -> ConfigError | DataError:
    said = str(error).splitlines()[0].rstrip(".")
    if "cannot run on GPU" not in said:
        return ConfigError(f"learner: LightGBM refuses to fit: {said}.")
    sizes = {train.names[c]: len(np.unique(train.values[:, c])) for c in train.categorical}
    many = [f"'{name}' has {size:,}" for name, size in sizes.items() if size >= OPENCL_BINS]
    return DataError(
        f"learner: LightGBM refuses to fit on OpenCL: {said}. A categorical column has fewer than "
        f"{OPENCL_BINS} categories there: {', '.join(many) or 'max_bin_by_feature asks for more'}. "
        "Set device=cpu, or leave such columns out by features.drop."
    )


def _model_text(booster: lgb.Booster) -> str:
    """The trees alone: how they were fitted (threads, device) is no part of the model."""
    text: str = booster.model_to_string(num_iteration=-1)
    return re.sub(r"\nparameters:\n.*?\nend of parameters\n", "", text, count=1, flags=re.DOTALL)
