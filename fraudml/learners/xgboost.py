"""Gradient-boosted trees by XGBoost, with defaults for rare events; an extra of fraudml.

docs/defaults.md has the measurements behind the defaults.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BundleError, ConfigError
from fraudml.learners.boosting import (
    Booster,
    FittedBooster,
    boost_rounds,
    check_extra_of_bundle,
    damaged,
    gradient_step,
    import_library,
    predict_in_threads,
    read_model,
    without_infinities,
)
from fraudml.learners.monotone import monotone_signs
from fraudml.learners.parameters import Choice, Number, parameter, reasons
from fraudml.learners.protocol import FitContext
from fraudml.learners.watch import shared_bins
from fraudml.learners.xgboost_model import model_problem
from fraudml.matrix import DesignMatrix

if TYPE_CHECKING:
    import xgboost as xgb

KIND = "xgboost"

REFUSED = reasons(
    (
        "fraudml fits two classes, with the loss of the loss group",
        "objective num_class num_target multi_strategy",
    ),
    ("use weighting=…", "scale_pos_weight"),
    ("use data.columns.categorical=[…]", "enable_categorical feature_types"),
    ("use monotone={feature: 1} or -1", "monotone_constraints"),
    ("use seed=…, from which every seed of a run is derived", "seed"),
    ("it is derived from seed=…", "seed_per_iteration"),
    ("use threads=…", "nthread"),
    ("use device=…", "device fail_on_invalid_gpu_id"),
    ("fraudml reports progress itself", "verbosity validate_parameters debug_synchronize"),
    (
        "rounds are chosen on out-of-fold scores, or set by n_estimators",
        "early_stopping_rounds eval_metric disable_default_eval_metric callbacks num_trees",
    ),
    (
        "only in plain boosting are the first rounds of a model themselves a model",
        "booster rate_drop skip_drop one_drop sample_type normalize_type process_type updater "
        "updater_seq refresh_leaf feature_selector",
    ),
    ("it follows from base_score", "boost_from_average"),
    ("a value is missing where it is NaN", "missing"),
    ("the number of features follows from the columns", "num_feature"),
    ("it is about reading a fitted model", "importance_type"),
    ("it has no effect on trees", "name specified_updater tolerance max_row_perbatch"),
    ("features have no weights here; rows have, by weighting=…", "feature_weights"),
)
"""XGBoost's parameters that cannot be set, each with the reason."""

_ALIASES = {
    "eta": "learning_rate",
    "lambda": "reg_lambda",
    "alpha": "reg_alpha",
    "min_split_loss": "gamma",
    "random_state": "seed",
    "n_jobs": "nthread",
    "num_boost_round": "n_estimators",
}

DEVICES: Mapping[str, str] = {
    "cpu": "",
    "cuda": (
        "It needs an NVIDIA card with its driver ('nvidia-smi' lists it) and XGBoost's own wheel, "
        "which brings CUDA; xgboost-cpu, which is imported by the same name, has none. Run: pip "
        "uninstall -y xgboost xgboost-cpu && pip install 'xgboost>=3.2,<4'"
    ),
}
"""The devices that XGBoost runs on, each with what it needs."""

_MARGIN_ZERO = 0.5
"""The base score whose margin is 0: with a loss the starting margin is added elsewhere."""


@dataclass(frozen=True, init=False)
class XGBoost(Booster):
    """Settings of gradient-boosted trees, under XGBoost's own names.

    The settings listed decide how rare events are learnt; any other parameter of XGBoost can be
    given as well, by its name or an alias, and keeps XGBoost's default otherwise.

    The same rows, seed, threads and version of XGBoost give the same model.

    Examples
    --------
    >>> XGBoost(max_depth=4).max_depth
    4
    """

    n_estimators: int = parameter(
        300,
        Number(1, whole=True),
        "Boosting rounds, where they are not chosen on out-of-fold scores. As `base_score` is far "
        "from the base rate, `learning_rate × n_estimators` should be 9 or more: before that, "
        "margins have not come down to it and p is too high before calibration.",
    )
    learning_rate: float = parameter(
        0.06,
        Number(1e-6, 1),
        "Low: with XGBoost's default of .3 and its large trees, a few hundred frauds are learnt by "
        "heart.",
    )
    max_depth: int = parameter(
        0, Number(0, whole=True), "Largest depth of a tree; 0 means no limit."
    )
    max_leaves: int = parameter(
        8, Number(0, whole=True), "Largest number of leaves of a tree; 0 means no limit."
    )
    reg_lambda: float = parameter(
        10.0,
        Number(0),
        "L2 penalty on leaf values. The Hessians of rows that the model is certain of are close to "
        "0: without a penalty a leaf of such rows takes an enormous value.",
    )
    max_bin: int = parameter(
        1023,
        Number(2, 65535, whole=True),
        "Bins of a feature. Fine, as frauds lie in the tails of card and terminal histories, which "
        "256 bins merge.",
    )
    colsample_bytree: float = parameter(
        0.5,
        Number(1e-6, 1),
        "Share of the features that a tree may use: trees that differ, in half the time.",
    )
    base_score: float | None = parameter(
        0.5,
        Number(1e-9, 1 - 1e-9, optional=True),
        "The probability that margins start from; null is the base rate of the rows, XGBoost's own "
        "default. From there the first Hessians are tiny.",
    )
    grow_policy: str = parameter(
        "lossguide",
        Choice(("depthwise", "lossguide")),
        "`lossguide` splits the leaf that gains most, `depthwise` all leaves of a level.",
    )
    tree_method: str = parameter(
        "hist",
        Choice(("hist", "exact", "approx")),
        "`hist` splits by bins, `exact` by every value, `approx` by bins made anew in each round. "
        "`exact` takes no categorical features.",
    )

    title = "XGBoost"
    extra = "xgboost"
    rounds_key = "n_estimators"
    devices = DEVICES
    refused = REFUSED

    @staticmethod
    def parameter_names() -> dict[str, str]:
        """Return every name and alias that XGBoost knows, each with the one that is used here.

        XGBoost has no list of them: they are those of its classifier and of the configuration that
        a booster of each kind writes.
        """
        library = import_xgboost()
        rows = library.DMatrix([[0.0], [1.0]], [0, 1], nthread=1)
        kinds: tuple[dict[str, str], ...] = (
            {"tree_method": "hist"},
            {"tree_method": "exact"},
            {"booster": "dart"},
            {"booster": "gblinear"},
        )
        names = set(inspect.signature(library.XGBModel.__init__).parameters)
        names |= set(_ALIASES)
        for kind in kinds:
            booster = library.Booster({"nthread": 1, "verbosity": 0, **kind}, [rows])
            names |= set(_keys(json.loads(booster.save_config())))
        names -= {"self", "kwargs"}
        return {name: _ALIASES.get(name, name) for name in names}

    def on(self, device: str, *, deterministic: bool = False) -> Self:
        """Return the learner; its histograms are the same bits on CUDA from run to run."""
        own = super().on(device, deterministic=deterministic)
        if device == "cuda" and self.tree_method == "exact":
            raise ConfigError(
                "learner.tree_method is 'exact', and device is 'cuda'. XGBoost has it on the CPU "
                "alone. Set learner.tree_method=hist, or device=cpu."
            )
        return own

    def boost(
        self, train: DesignMatrix, context: FitContext, rounds: int
    ) -> tuple[xgb.Booster, int]:
        """Fit until the deadline; return XGBoost's booster and the number of rounds done."""
        library = import_xgboost()
        parameters = self._parameters(train, context)
        step = gradient_step(context.loss, train)
        key = (KIND, self.tree_method, self.max_bin)
        try:
            rows = shared_bins(context.bins, key, train, lambda: self._rows(train, context))
            # Without a GPU it warns at once, whatever the parameters; the check below refuses.
            with library.config_context(verbosity=0):
                booster: xgb.Booster = library.Booster(parameters, [rows])
                _check_device_used(booster, context.device)
            done = boost_rounds(
                context,
                rounds,
                lambda round_number: booster.update(rows, round_number, fobj=step),
                partial(_added_margin, booster),
            )
        except library.core.XGBoostError as error:
            raise ConfigError(f"learner: XGBoost refuses to fit: {_reason(error)}") from error
        return booster, done

    def fitted(self, booster: xgb.Booster, train: DesignMatrix, threads: int) -> FittedXGBoost:
        """Return the trees alone, ready to score."""
        return FittedXGBoost(bytes(booster.save_raw("ubj")), train.names, threads)

    def _rows(self, train: DesignMatrix, context: FitContext) -> xgb.DMatrix:
        library = import_xgboost()
        start = None if context.loss is None else context.loss.start(train)
        bins = {"max_bin": self.max_bin} if self.tree_method == "hist" else {}
        make = library.QuantileDMatrix if bins else library.DMatrix
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


def _added_margin(
    booster: xgb.Booster, values: NDArray[np.float32], start: int, end: int
) -> NDArray[Any]:
    """What some rounds add to margins, up to the base score, which is part of each result."""
    margin: NDArray[Any] = booster.inplace_predict(
        without_infinities(values), iteration_range=(start, end), predict_type="margin"
    )
    return margin


def _check_device_used(booster: Any, device: str) -> None:
    """Refuse to go on where XGBoost has moved a fit from the GPU to the CPU with a warning."""
    if device == "cpu":
        return
    used: str = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    if not used.startswith(device):
        has_cuda = import_xgboost().build_info().get("USE_CUDA")
        reason = "it finds no GPU" if has_cuda else "this build of it has no CUDA"
        raise ConfigError(f"learner: XGBoost refuses to fit: {reason}.")


class FittedXGBoost(FittedBooster):
    """Trees, read from XGBoost's own model file (UBJSON); see `FittedBooster`.

    Margins are as exact as XGBoost's float32.
    """

    kind = KIND
    title = "XGBoost"
    file_name = "model.ubj"

    @property
    def rounds(self) -> int:
        """The number of boosting rounds."""
        return int(self._booster.num_boosted_rounds())

    def as_json(self) -> dict[str, Any]:
        """Return the model as XGBoost writes it in JSON: what exports read."""
        content: dict[str, Any] = json.loads(self._booster.save_raw("json"))
        return content

    def _read(self) -> xgb.Booster:
        # XGBoost would start all its threads for a single row, which costs more than the trees.
        booster: xgb.Booster = import_xgboost().Booster(
            {"nthread": 1}, model_file=bytearray(self.content)
        )
        return booster

    def _margin(self, values: NDArray[np.float32], end: int, threads: int) -> NDArray[np.float64]:
        score = partial(
            self._booster.inplace_predict, iteration_range=(0, end), predict_type="margin"
        )
        return predict_in_threads(score, values, threads)

    def _contributions(self, values: NDArray[np.float32], threads: int) -> NDArray[np.float64]:
        library = import_xgboost()

        def score(values: NDArray[np.float32]) -> NDArray[Any]:
            rows = library.DMatrix(
                without_infinities(values),
                feature_types=self._booster.feature_types,
                enable_categorical=True,
                nthread=1,
            )
            parts: NDArray[np.float32] = self._booster.predict(rows, pred_contribs=True)
            return parts

        return predict_in_threads(score, values, threads)


def load(
    files: Mapping[str, bytes], metadata: Mapping[str, Any], threads: int = 1
) -> FittedXGBoost:
    """Read back what `FittedXGBoost.save` wrote; margins are the same bits.

    Raises
    ------
    BundleError
        XGBoost is not installed; or the file is missing, damaged or no XGBoost model, or its
        columns are not those of the metadata.
    """
    check_extra_of_bundle("xgboost")
    name = FittedXGBoost.file_name
    content, names = read_model(files, name, metadata)
    problem = model_problem(content, len(names))
    if problem is not None:
        raise damaged(name, problem)
    try:
        return FittedXGBoost(content, names, threads)
    except import_xgboost().core.XGBoostError as error:
        raise BundleError(
            f"'{name}' is no XGBoost model: {_reason(error)} Write the bundle again."
        ) from error


def import_xgboost() -> Any:
    """Import XGBoost; see `import_library`."""
    return import_library("xgboost")


def _feature_types(matrix: DesignMatrix) -> list[str]:
    return ["c" if column in matrix.categorical else "q" for column in range(len(matrix.names))]


def _keys(node: Any) -> Iterator[str]:
    """The names in a configuration that have a plain value."""
    if isinstance(node, dict):
        for name, value in node.items():
            if isinstance(value, (dict, list)):
                yield from _keys(value)
            else:
                yield name
    elif isinstance(node, list):
        for value in node:
            yield from _keys(value)


def _reason(error: Exception) -> str:
    """XGBoost's message without the time, the source file and the stack."""
    first = re.sub(r"^\[[\d:]+\] \S+: ", "", str(error)).split("\nStack trace", maxsplit=1)[0]
    return first.strip().replace("\n", " ").rstrip(".") + "."
