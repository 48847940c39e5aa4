"""What LightGBM's parameters are called, and which of them are the learner's to set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fraudml.errors import ConfigError
from fraudml.learners.parameters import Number, Switch, Vocabulary, reasons

_TWO_CLASSES = "fraudml fits two classes, with the loss of the loss group"
REFUSED = reasons(
    (
        _TWO_CLASSES,
        "objective num_class sigmoid reg_sqrt alpha fair_c poisson_max_delta_step "
        "tweedie_variance_power auc_mu_weights multi_error_top_k label_gain eval_at objective_seed "
        "lambdarank_norm lambdarank_position_bias_regularization lambdarank_truncation_level "
        "bagging_by_query group_column",
    ),
    ("set weighting=… instead", "is_unbalance scale_pos_weight weight_column"),
    ("set data.columns.categorical=[…] instead", "categorical_feature"),
    ("set monotone={feature: 1} or -1 instead", "monotone_constraints"),
    ("set data.columns… instead", "label_column ignore_column header"),
    ("set seed=… instead, which every part of a run derives its own from", "seed"),
    (
        "it follows from seed=…",
        "bagging_seed data_random_seed drop_seed extra_seed feature_fraction_seed",
    ),
    ("set threads=… instead", "num_threads"),
    ("set device=… instead", "device_type"),
    ("set device.deterministic=true instead", "gpu_use_dp"),
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
        "a row has the same score however it is asked for",
        "num_iteration_predict start_iteration_predict pred_early_stop pred_early_stop_freq "
        "pred_early_stop_margin predict_contrib predict_disable_shape_check predict_leaf_index "
        "predict_raw_score",
    ),
)
"""LightGBM's parameters that are not the learner's to set, each with the reason."""


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

DEVICE_TYPES = {"cpu": "cpu", "opencl": "gpu", "cuda": "cuda"}
"""What LightGBM calls our devices."""

OPENCL_BINS = 255
"""LightGBM's OpenCL kernels count in one byte."""


def import_lightgbm() -> Any:
    """Import LightGBM, or say which runtime it lacks.

    Raises
    ------
    ConfigError
        Its library cannot be loaded, as on macOS without OpenMP.
    """
    try:
        import lightgbm
    except OSError as error:
        raise ConfigError(
            f"LightGBM is installed and cannot be loaded: {error}. It needs an OpenMP runtime: "
            "'brew install libomp' on macOS, 'apt-get install libgomp1' on Debian and Ubuntu."
        ) from error
    return lightgbm


def parameter_names() -> dict[str, str]:
    """Return every name and alias that LightGBM knows, each with the name that it documents."""
    basic = import_lightgbm().basic
    known: Mapping[str, list[str]] = basic._ConfigAliases._get_all_param_aliases()
    return {alias: name for name, aliases in known.items() for alias in aliases}


LIGHTGBM = Vocabulary(
    "LightGBM",
    parameter_names,
    REFUSED,
    {
        "num_iterations": Number(1, whole=True),
        "learning_rate": Number(1e-6),
        "num_leaves": Number(2, 131072, whole=True),
        "lambda_l2": Number(0),
        "max_bin": Number(2, 65535, whole=True),
        "min_data_in_leaf": Number(0, whole=True),
        "feature_fraction": Number(1e-6, 1),
        "boost_from_average": Switch(),
    },
)
"""What LightGBM's parameters are called, and which are fields of the learner."""
