"""Gradient-boosted trees by LightGBM, with defaults for rare events.

docs/defaults.md has the measurements behind the defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BundleError, ConfigError, DataError
from fraudml.learners.boosting import (
    Booster,
    FittedBooster,
    boost_rounds,
    damaged,
    gradient_step,
    import_library,
    unreadable,
)
from fraudml.learners.lightgbm_text import model_problem
from fraudml.learners.monotone import monotone_signs
from fraudml.learners.parameters import Number, Switch, parameter, reasons
from fraudml.learners.protocol import FitContext
from fraudml.learners.watch import shared_bins
from fraudml.matrix import DesignMatrix

if TYPE_CHECKING:
    import lightgbm as lgb

KIND = "lightgbm"
MODEL_FILE = "model.txt"

REFUSED = reasons(
    (
        "fraudml fits two classes, with the loss of the loss group",
        "objective num_class sigmoid reg_sqrt alpha fair_c poisson_max_delta_step "
        "tweedie_variance_power auc_mu_weights multi_error_top_k label_gain eval_at objective_seed "
        "lambdarank_norm lambdarank_position_bias_regularization lambdarank_truncation_level "
        "bagging_by_query group_column",
    ),
    ("use weighting=…", "is_unbalance scale_pos_weight weight_column"),
    ("use data.columns.categorical=[…]", "categorical_feature"),
    ("use monotone={feature: 1} or -1", "monotone_constraints"),
    ("use data.columns…", "label_column ignore_column header"),
    ("use seed=…, from which every seed of a run is derived", "seed"),
    (
        "it is derived from seed=…",
        "bagging_seed data_random_seed drop_seed extra_seed feature_fraction_seed",
    ),
    ("use threads=…", "num_threads"),
    ("use device=…", "device_type"),
    ("use device.deterministic=true", "gpu_use_dp"),
    ("fraudml reports progress itself", "verbosity"),
    (
        "it is fixed, so that the same rows give the same model on any number of threads",
        "deterministic force_col_wise force_row_wise feature_pre_filter",
    ),
    (
        "rounds are chosen on out-of-fold scores, or set by num_iterations",
        "early_stopping_round early_stopping_min_delta metric metric_freq first_metric_only "
        "is_provide_training_metric",
    ),
    (
        "only in plain boosting are the first rounds of a model themselves a model",
        "boosting drop_rate max_drop skip_drop uniform_drop xgboost_dart_mode",
    ),
    ("such trees have no contributions and no export", "linear_tree linear_lambda"),
    (
        "fraudml reads and writes its files itself",
        "config convert_model convert_model_language data forcedbins_filename "
        "forcedsplits_filename input_model output_model output_result parser_config_file "
        "precise_float_parser refit_decay_rate save_binary saved_feature_importance_type "
        "snapshot_freq task two_round valid",
    ),
    (
        "fraudml fits on one machine",
        "local_listen_port machine_list_filename machines num_machines pre_partition time_out "
        "top_k tree_learner",
    ),
    (
        "a row has the same score however it is scored",
        "num_iteration_predict start_iteration_predict pred_early_stop pred_early_stop_freq "
        "pred_early_stop_margin predict_contrib predict_disable_shape_check predict_leaf_index "
        "predict_raw_score",
    ),
)
"""LightGBM's parameters that cannot be set, each with the reason."""

DEVICES: Mapping[str, str] = {
    "cpu": "",
    "opencl": (
        "LightGBM's wheel has OpenCL; it needs a loader and the driver of a device: on Debian and "
        "Ubuntu 'apt-get install ocl-icd-libopencl1 clinfo' and the OpenCL driver of the card's "
        "maker, after which 'clinfo -l' lists the card. ('pocl-opencl-icd' runs OpenCL on the "
        "processor: for tests, many times slower than device=cpu.)"
    ),
    "cuda": (
        "LightGBM's wheel has no CUDA: it needs an NVIDIA card with its driver ('nvidia-smi' lists "
        "it), and a build of its own. With a CUDA toolkit ('nvcc --version'), CMake from 3.28 and "
        "NCCL: pip install cmake nvidia-nccl-cu13, then NCCL_ROOT=$(python -c 'import nvidia.nccl; "
        "print(nvidia.nccl.__path__[0])') pip install --force-reinstall --no-deps lightgbm "
        "--no-binary lightgbm --config-settings=cmake.define.USE_CUDA=ON "
        "--config-settings=cmake.define.BUILD_WITH_SHARED_NCCL=ON"
    ),
}
"""The devices that LightGBM runs on, each with what it needs."""

_DEVICE_TYPES = {"cpu": "cpu", "opencl": "gpu", "cuda": "cuda"}
"""LightGBM's names of the devices."""

_OPENCL_BINS = 255
"""LightGBM's OpenCL kernels count in one byte."""


@dataclass(frozen=True, init=False)
class LightGBM(Booster):
    """Settings of gradient-boosted trees, under LightGBM's own names.

    The settings listed decide how rare events are learnt; any other parameter of LightGBM can be
    given as well, by its name or an alias, and keeps LightGBM's default otherwise.

    On the CPU the same rows, seed and version of LightGBM give the same model with any number of
    threads; a GPU adds up in no fixed order, see docs/devices.md. A fit takes, besides the matrix,
    2 bytes a value (1 up to 255 bins) and about 60 a row.

    Examples
    --------
    >>> LightGBM(num_leaves=15).num_leaves
    15
    >>> LightGBM(colsample_bytree=0.8).feature_fraction
    0.8
    """

    num_iterations: int = parameter(
        300,
        Number(1, whole=True),
        "Boosting rounds, where they are not chosen on out-of-fold scores. With "
        "`boost_from_average=False`, `learning_rate × num_iterations` should be 9 or more: before "
        "that, margins have not come down to the base rate and p is too high before calibration.",
    )
    learning_rate: float = parameter(
        0.06,
        Number(1e-6),
        "Low: with LightGBM's default of .1 and its large trees, a few hundred frauds are learnt "
        "by heart.",
    )
    num_leaves: int = parameter(
        8,
        Number(2, 131072, whole=True),
        "Leaves of a tree: few, so that rare frauds are not learnt by heart.",
    )
    lambda_l2: float = parameter(
        10.0,
        Number(0),
        "L2 penalty on leaf values. The Hessians of rows that the model is certain of are close to "
        "0: without a penalty a leaf of such rows takes an enormous value.",
    )
    max_bin: int = parameter(
        4095,
        Number(2, 65535, whole=True),
        "Bins of a feature. Fine, as frauds lie in the tails of card and terminal histories, which "
        "255 bins merge.",
    )
    min_data_in_leaf: int = parameter(
        20, Number(0, whole=True), "Rows that a leaf must have; LightGBM's own default."
    )
    feature_fraction: float = parameter(
        0.5,
        Number(1e-6, 1),
        "Share of the features that a tree may use: trees that differ, in half the time.",
    )
    boost_from_average: bool = parameter(
        False,
        Switch(),
        "Whether margins start at the log-odds of the base rate. From there the first Hessians are "
        "tiny, which lowers average precision where L2 is low; from 0 they are not.",
    )

    title = "LightGBM"
    rounds_key = "num_iterations"
    devices = DEVICES
    refused = REFUSED

    @staticmethod
    def parameter_names() -> dict[str, str]:
        """Return every name and alias that LightGBM knows, each with the documented name."""
        known = import_lightgbm().basic._ConfigAliases._get_all_param_aliases()
        return {alias: name for name, aliases in known.items() for alias in aliases}

    def on(self, device: str, *, deterministic: bool = False) -> Self:
        """Return the learner as it runs on a device: on OpenCL, with at most 255 bins."""
        own = super().on(device, deterministic=deterministic)
        return own.with_bins(device, "max_bin", _OPENCL_BINS) if device == "opencl" else own

    def boost(
        self, train: DesignMatrix, context: FitContext, rounds: int
    ) -> tuple[lgb.Booster, int]:
        """Fit until the deadline; return LightGBM's booster and the number of rounds done."""
        library = import_lightgbm()
        parameters = self._parameters(train, context)
        step = gradient_step(context.loss, train)
        try:
            rows = shared_bins(
                context.bins,
                _bins_key(parameters),
                train,
                lambda: _dataset(train, context, parameters),
            )
            booster: lgb.Booster = library.Booster(parameters, rows)
            done = boost_rounds(
                context,
                rounds,
                lambda _: booster.update(fobj=step),
                partial(_added_margin, booster, context.threads),
            )
        except library.basic.LightGBMError as error:
            raise _refusal(error, train) from error
        return booster, done

    def fitted(self, booster: lgb.Booster, train: DesignMatrix, threads: int) -> FittedLightGBM:
        """Return the trees alone, without how they were fitted (threads, device)."""
        text: str = booster.model_to_string(num_iteration=-1)
        fit_parameters = r"\nparameters:\n.*?\nend of parameters\n"
        text = re.sub(fit_parameters, "", text, count=1, flags=re.DOTALL)
        return FittedLightGBM(text.encode(), train.names, threads)

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
            "device_type": _DEVICE_TYPES[context.device],
            "verbosity": -1,
            "deterministic": True,
            "force_col_wise": True,
            "feature_pre_filter": False,
        }


def _dataset(
    train: DesignMatrix, context: FitContext, parameters: Mapping[str, Any]
) -> lgb.Dataset:
    """Bin the rows."""
    start = None if context.loss is None else np.full(len(train), context.loss.start(train))
    rows: lgb.Dataset = import_lightgbm().Dataset(
        train.values,
        label=train.y,
        weight=train.weight,
        init_score=start,
        categorical_feature=list(train.categorical),
        params=parameters,
        free_raw_data=True,
    )
    return rows.construct()


_OF_TREES_ALONE = {
    *("learning_rate", "num_leaves", "max_depth", "min_data_in_leaf", "min_gain_to_split"),
    *("lambda_l1", "lambda_l2", "min_sum_hessian_in_leaf", "path_smooth", "extra_trees"),
    *("feature_fraction", "feature_fraction_bynode", "bagging_fraction", "bagging_freq"),
    *("pos_bagging_fraction", "neg_bagging_fraction", "boost_from_average"),
}
"""Parameters that do not change bins, under LightGBM's own names; any other one may."""


def _bins_key(parameters: Mapping[str, Any]) -> str:
    return repr(sorted((k, v) for k, v in parameters.items() if k not in _OF_TREES_ALONE))


def _added_margin(
    booster: lgb.Booster, threads: int, values: NDArray[np.float32], start: int, end: int
) -> NDArray[Any]:
    """What the rounds from `start` to `end` add to margins."""
    margin: Any = booster.predict(
        values,
        raw_score=True,
        start_iteration=start,
        num_iteration=end - start,
        num_threads=threads,
    )
    return np.asarray(margin)


class FittedLightGBM(FittedBooster):
    """Trees, read from LightGBM's own model text; see `FittedBooster`."""

    kind = KIND
    title = "LightGBM"
    file_name = MODEL_FILE

    @property
    def text(self) -> str:
        """The model as LightGBM writes it, without the parameters of its fit."""
        return self.content.decode()

    @property
    def rounds(self) -> int:
        """The number of boosting rounds."""
        return int(self._booster.current_iteration())

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `model.txt`, the same bytes for the same model; return the names of the columns."""
        self.write(folder / self.file_name)
        return {"names": list(self.names)}

    def write(self, path: Path) -> None:
        """Write the model's text."""
        path.write_bytes(self.content)

    def _read(self) -> lgb.Booster:
        booster: lgb.Booster = import_lightgbm().Booster(model_str=self.text)
        return booster

    def _margin(self, values: NDArray[np.float32], end: int, threads: int) -> NDArray[np.float64]:
        margin: NDArray[np.float64] = self._booster.predict(
            values, raw_score=True, num_iteration=end, num_threads=threads
        )
        return margin

    def _contributions(self, values: NDArray[np.float32], threads: int) -> NDArray[np.float64]:
        parts: NDArray[np.float64] = self._booster.predict(
            values, pred_contrib=True, num_iteration=-1, num_threads=threads
        )
        return parts


def load(
    files: Mapping[str, bytes], metadata: Mapping[str, Any], threads: int = 1
) -> FittedLightGBM:
    """Read back what `FittedLightGBM.save` wrote; margins are the same bits."""
    return read_text(files, MODEL_FILE, metadata, threads)


def read_text(
    files: Mapping[str, bytes], name: str, metadata: Mapping[str, Any], threads: int
) -> FittedLightGBM:
    """Read the text that `FittedLightGBM.write` wrote.

    Raises
    ------
    BundleError
        The file is missing or no LightGBM model, or its columns are not those of the metadata.
    """
    try:
        content = files[name]
        text = content.decode("ascii")
        names = tuple(map(str, metadata["names"]))
    except (UnicodeDecodeError, KeyError, TypeError) as error:
        raise unreadable(name, error) from error
    problem = model_problem(text, len(names))
    if problem is not None:
        raise damaged(name, problem)
    try:
        return FittedLightGBM(content, names, threads)
    except import_lightgbm().basic.LightGBMError as error:
        raise BundleError(
            f"'{name}' is no LightGBM model: {error}. Write the bundle again."
        ) from error


def _refusal(error: Exception, train: DesignMatrix) -> ConfigError | DataError:
    reason = str(error).splitlines()[0].rstrip(".")
    if "cannot run on GPU" not in reason:
        return ConfigError(f"learner: LightGBM refuses to fit: {reason}.")
    sizes = {train.names[c]: len(np.unique(train.values[:, c])) for c in train.categorical}
    many = [f"'{name}' has {size:,}" for name, size in sizes.items() if size >= _OPENCL_BINS]
    return DataError(
        f"learner: LightGBM refuses to fit on OpenCL: {reason}. A categorical column has fewer "
        f"than {_OPENCL_BINS} categories there: "
        f"{', '.join(many) or 'max_bin_by_feature asks for more'}. "
        "Set device=cpu, or drop such columns with features.drop."
    )


def import_lightgbm() -> Any:
    """Import LightGBM; see `import_library`."""
    return import_library("lightgbm")
