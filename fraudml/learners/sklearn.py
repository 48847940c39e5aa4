"""Any scikit-learn classifier as a learner, with the preprocessing that it needs.

Nothing is pickled: linear models are saved as coefficients (`linear`), others as skops archives.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BudgetError, ConfigError, DataError, all_problems, nearest
from fraudml.learners.archive import check_archive, read_archive, write_archive
from fraudml.learners.boosting import damaged, unreadable
from fraudml.learners.estimator import Estimator, describe_estimator, from_plain, to_plain
from fraudml.learners.estimator_checks import estimator_problem
from fraudml.learners.linear import FittedLinear
from fraudml.learners.preprocessing import KINDS, Kind, Preprocessing, fit_preprocessing
from fraudml.learners.protocol import (
    CPU_ONLY,
    FitContext,
    FittedLearner,
    check_device,
    check_fit_rows,
    check_score_columns,
    refuse_loss,
)
from fraudml.learners.quarantine import probe, require_sound
from fraudml.matrix import DesignMatrix

_log = logging.getLogger(__name__)

KIND = "sklearn"
ESTIMATOR_FILE = "estimator.skops"

_FROM_THE_RUN = {"random_state": "use seed=…", "n_jobs": "use threads=…"}

_TILE_ROWS = 4096
"""An estimator always scores so many rows: the bits of a matrix product depend on its shape."""

_EPSILON = 1e-6
"""Keeps the log-odds of a share of 0 or 1 finite."""


@dataclass(frozen=True, init=False)
class SklearnLearner:
    """Settings of a scikit-learn classifier.

    Parameters
    ----------
    classifier : str, class or estimator
        A classifier of scikit-learn or imbalanced-learn: its dotted name, its class, or an object
        that is not fitted.
    preprocess : str
        `impute_scale`, `impute` or `none`; see `Preprocessing`.
    max_levels : int
        Largest number of categories of a column that get a column of zeros and ones.
    **arguments
        Of the estimator, by its own names. A nested estimator is an object, or a mapping with
        `_target_` and its arguments. The seed and the threads come from the run.

    Raises
    ------
    ConfigError
        The name is not that of a classifier, or the estimator does not have an argument.

    Examples
    --------
    >>> learner = SklearnLearner("sklearn.linear_model.LogisticRegression", C=0.1)
    >>> learner.to_dict()["C"]
    0.1
    """

    classifier: str
    preprocess: Kind
    max_levels: int
    arguments: tuple[tuple[str, Any], ...]

    def __init__(
        self,
        classifier: Any,
        *,
        preprocess: Kind = "impute_scale",
        max_levels: int = 50,
        **arguments: Any,
    ) -> None:
        spec = describe_estimator(classifier)
        own = {name: value for name, value in spec.arguments if name not in _FROM_THE_RUN}
        frozen = own | {name: from_plain(value) for name, value in arguments.items()}
        spec = Estimator(spec.target, tuple(sorted(frozen.items())))
        problems = [
            f"learner.{name} cannot be set here; {reason}."
            for name, reason in _FROM_THE_RUN.items()
            if name in arguments
        ]
        if preprocess not in KINDS:
            problems.append(
                f"learner.preprocess is {preprocess!r}. {nearest(str(preprocess), KINDS)}"
            )
        if not isinstance(max_levels, int) or max_levels < 1:
            problems.append(f"learner.max_levels is {max_levels!r}. It is a whole number from 1.")
        if problems:
            raise ConfigError(all_problems(f"{len(problems)} problems in learner.", problems))
        _check_classifier(spec.build())
        object.__setattr__(self, "classifier", spec.target)
        object.__setattr__(self, "preprocess", preprocess)
        object.__setattr__(self, "max_levels", max_levels)
        object.__setattr__(self, "arguments", spec.arguments)

    devices = CPU_ONLY

    def on(self, device: str, *, deterministic: bool = False) -> SklearnLearner:  # noqa: ARG002 - one device
        """Return the learner; refuse every device but the CPU."""
        check_device(_class_name(self.classifier), device)
        return self

    rounds_key = None

    @property
    def max_rounds(self) -> None:
        """None: there are no rounds to choose."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments that make an equal learner, as JSON."""
        own = {"preprocess": self.preprocess, "max_levels": self.max_levels}
        arguments = {name: to_plain(value) for name, value in self.arguments}
        return {"classifier": self.classifier, **own, **arguments}

    def fit(
        self,
        train: DesignMatrix,
        context: FitContext,
        *,
        rounds: int | None = None,  # noqa: ARG002 - nothing here has rounds
    ) -> FittedLearner:
        """Fit the preprocessing and the estimator on `train`, with its weights.

        Warnings of scikit-learn (no convergence, say) go to the log. A fit cannot be stopped: the
        deadline is checked only before it.
        """
        check_fit_rows(train)
        self.on(context.device)
        refuse_loss(_class_name(self.classifier), context.loss)
        if context.deadline.expired:
            raise BudgetError("Time budget exhausted before the fit began. Raise budget.seconds.")
        preprocessing = fit_preprocessing(train, self.preprocess, self.max_levels)
        context.progress("fit", 0.0)
        estimator = self._fitted_estimator(train, preprocessing, context)
        context.progress("fit", 1.0)
        if _is_linear(estimator):
            coefficients = np.ravel(estimator.coef_).astype(np.float64)
            intercept = float(np.ravel(estimator.intercept_)[0])
            return FittedLinear(preprocessing, coefficients, intercept, train.names)
        return FittedEstimator(preprocessing, estimator, train.names, context.threads)

    def _fitted_estimator(
        self, train: DesignMatrix, preprocessing: Preprocessing, context: FitContext
    ) -> Any:
        from joblib import parallel_config  # type: ignore[import-untyped]
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        estimator = Estimator(self.classifier, self.arguments).build()
        estimator.set_params(**_run_parameters(estimator, context))
        weights = _weights(estimator, train)
        columns = preprocessing.transform(train.values)
        # Processes would take longer to start than most fits last, and a copy of the rows each.
        with (
            parallel_config("threading"),
            threadpool_limits(context.threads),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            try:
                estimator.fit(columns, train.y, **weights)
            except ValueError as error:
                raise DataError(_refused(self, error)) from error
        for message in sorted({str(warning.message) for warning in caught}):
            _log.warning("learner: %s says: %s", _class_name(self.classifier), message)
        return _without_copies(estimator)


class FittedEstimator:
    """Any other fitted classifier; one that cannot be saved is refused after its first fit."""

    kind = KIND
    rounds = None

    def __init__(
        self,
        preprocessing: Preprocessing,
        estimator: Any,
        names: tuple[str, ...],
        threads: int = 1,
    ) -> None:
        one_thread = {"n_jobs": None} if "n_jobs" in estimator.get_params(deep=False) else {}
        self._estimator = estimator.set_params(**one_thread)
        self._votes = _weight_of_votes(estimator)
        self._archive = write_archive(self._estimator)
        self.preprocessing = preprocessing
        self.names = names
        self.threads = threads

    @property
    def estimator(self) -> Any:
        """The fitted classifier."""
        return self._estimator

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:  # noqa: ARG002
        """Return log-odds of the predicted share, or the decision function where there is one.

        One float64 a row, finite for a share of 0 or 1 too, strictly increasing in it.
        """
        check_score_columns(self.names, X)
        starts = range(0, len(X), _TILE_ROWS)
        # One thread within a tile: several would add up trees or products in any order.
        with _one_thread():
            if self.threads == 1 or len(starts) <= 1:
                tiles = [self._tile(X.values, start) for start in starts]
            else:
                with ThreadPoolExecutor(self.threads, initializer=_one_thread) as pool:
                    tiles = list(pool.map(lambda start: self._tile(X.values, start), starts))
        return np.concatenate([np.empty(0), *tiles])

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:  # noqa: ARG002
        """Refuse: only linear models and boosted trees have exact contributions."""
        raise ConfigError(
            f"There are no reasons for {type(self._estimator).__name__}: exact contributions exist "
            "for boosted trees (learner=lightgbm, xgboost, catboost) and linear models. Set "
            "reasons=0, or choose such a learner."
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `estimator.skops`; return the preprocessing and the names of the columns."""
        (folder / ESTIMATOR_FILE).write_bytes(self._archive)
        return {
            "names": list(self.names),
            "preprocessing": self.preprocessing.to_dict(),
        }

    def _tile(self, values: NDArray[np.float32], start: int) -> NDArray[np.float64]:
        rows = values[start : start + _TILE_ROWS]
        missing = _TILE_ROWS - len(rows)
        tile = np.pad(rows, ((0, missing), (0, 0)), mode="edge") if missing else rows
        margin = _scores(self._estimator, self.preprocessing.transform(tile))
        return self._votes * margin[: len(rows)]


def load(
    files: Mapping[str, bytes], metadata: Mapping[str, Any], threads: int = 1
) -> FittedEstimator:
    """Read back what `FittedEstimator.save` wrote; types that are not trusted are not loaded."""
    content = files.get(ESTIMATOR_FILE, b"")
    if not check_archive(content):
        libraries = ("scikit-learn", "skops", "imbalanced-learn")
        require_sound(KIND, ESTIMATOR_FILE, content, metadata, libraries)
    model = load_unchecked(files, metadata, threads)
    problem = loaded_problem(model) or probe(model)
    if problem is not None:
        raise damaged(ESTIMATOR_FILE, problem)
    return model


def load_unchecked(
    files: Mapping[str, bytes], metadata: Mapping[str, Any], threads: int
) -> FittedEstimator:
    """Read an estimator that may end the process; see `quarantine`."""
    try:
        preprocessing = Preprocessing.from_dict(metadata["preprocessing"])
        names = preprocessing.named(metadata["names"])
        estimator = read_archive(files[ESTIMATOR_FILE])
        if estimator.n_features_in_ != len(preprocessing.sources):
            raise ValueError(f"it is for {estimator.n_features_in_} columns")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unreadable(ESTIMATOR_FILE, error) from error
    return FittedEstimator(preprocessing, estimator, names, threads)


def loaded_problem(model: FittedEstimator) -> str | None:
    """Say which tree of a loaded estimator is none."""
    return estimator_problem(model.estimator)


def _is_linear(estimator: Any) -> bool:
    from sklearn.linear_model._base import LinearClassifierMixin

    return isinstance(estimator, LinearClassifierMixin)


def _check_classifier(estimator: Any) -> None:
    from sklearn.base import is_classifier

    scores = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    if not (is_classifier(estimator) and scores):
        raise ConfigError(
            f"learner.classifier is {type(estimator).__name__}, which is no classifier with "
            "predict_proba or decision_function. Choose one that is."
        )


def _class_name(target: str) -> str:
    return target.rpartition(".")[2]


def _run_parameters(estimator: Any, context: FitContext) -> dict[str, Any]:
    """The seed of the run for every nested estimator that has none, and its threads."""
    current = estimator.get_params(deep=True)
    seeds = {
        name: context.seed
        for name, value in current.items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    # Linear models ignore n_jobs since scikit-learn 1.8, with a warning.
    takes_threads = "n_jobs" in current and not _is_linear(estimator)
    return seeds | ({"n_jobs": context.threads} if takes_threads else {})


def _weights(estimator: Any, train: DesignMatrix) -> dict[str, NDArray[np.float64]]:
    from sklearn.utils.validation import has_fit_parameter

    if train.weight is None:
        return {}
    if not has_fit_parameter(estimator, "sample_weight"):
        raise ConfigError(
            f"learner: {type(estimator).__name__} takes no weights, and the rows have some. "
            "Set weighting=none and data.keep_legit=1, or choose an estimator that takes them."
        )
    return {"sample_weight": train.weight}


def _without_copies(estimator: Any) -> Any:
    """Drop what imbalanced-learn's ensembles hold twice: trees in pipelines, rows of each tree."""
    for name in ("pipelines_", "samplers_"):
        if hasattr(estimator, name):
            setattr(estimator, name, [])
    return estimator


def _refused(learner: SklearnLearner, error: ValueError) -> str:
    reason, hint = str(error).partition("\n")[0], ""
    if "increase the ratio" in reason:
        hint = (
            " Among the rows of the fit frauds are no rarer than learner.sampling_strategy (frauds "
            "for each legitimate row). Raise it, or set it to auto for equal classes."
        )
    elif learner.preprocess == "none":
        hint = " If it needs complete or scaled columns, set learner.preprocess=impute_scale."
    return f"learner: {_class_name(learner.classifier)} refuses the rows: {reason}{hint}"


def _one_thread() -> Any:
    """Limit OpenMP and BLAS to one thread, from now on or in a `with` block."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def _scores(estimator: Any, columns: NDArray[Any]) -> NDArray[np.float64]:
    if hasattr(estimator, "decision_function"):
        decision: NDArray[np.float64] = np.ravel(estimator.decision_function(columns))
        return decision.astype(np.float64)
    share: NDArray[np.floating[Any]] = estimator.predict_proba(columns)[:, 1]
    return _log_odds(share.astype(np.float64))


def _weight_of_votes(estimator: Any) -> float:
    """The factor from the decision of AdaBoost, or of a bag of such, to log-odds; otherwise 1.

    The sum of weighted votes, from −w to w, is on the scale of log-odds (Friedman, Hastie and
    Tibshirani 2000, Additive logistic regression, section 4); scikit-learn divides it by w / 2.
    """
    from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier

    if isinstance(estimator, AdaBoostClassifier):
        return float(estimator.estimator_weights_.sum()) / 2
    if isinstance(estimator, BaggingClassifier) and hasattr(estimator, "decision_function"):
        members = [getattr(member, "steps", [(None, member)])[-1][1] for member in estimator]
        return float(np.mean([_weight_of_votes(member) for member in members]))
    return 1.0


def _log_odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    margin: NDArray[np.float64] = np.log(share + _EPSILON) - np.log1p(_EPSILON - share)
    return margin
