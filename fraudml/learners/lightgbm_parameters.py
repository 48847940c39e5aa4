"""What LightGBM's parameters are called, and which of them are the learner's to set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fraudml.errors import ConfigError, nearest

_TWO_CLASSES = "fraudml fits two classes, with the loss of the loss group"
_REASONS: tuple[tuple[str, str], ...] = (
    (
        _TWO_CLASSES,
        "objective num_class sigmoid reg_sqrt alpha fair_c poisson_max_delta_step "
        "tweedie_variance_power auc_mu_weights multi_error_top_k label_gain eval_at objective_seed "
        "lambdarank_norm lambdarank_position_bias_regularization lambdarank_truncation_level "
        "bagging_by_query group_column",
    ),
    ("set weighting=… instead", "is_unbalance scale_pos_weight weight_column"),
    ("set data.columns.categorical=[…] instead", "categorical_feature"),
    ("set data.columns… instead", "label_column ignore_column header"),
    ("set seed=… instead, which every part of a run derives its own from", "seed"),
    (
        "it follows from seed=…",
        "bagging_seed data_random_seed drop_seed extra_seed feature_fraction_seed",
    ),
    ("set threads=… instead", "num_threads"),
    ("set device=… instead", "device_type"),
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
REFUSED = {name: reason for reason, names in _REASONS for name in names.split()}
"""LightGBM's parameters that are not the learner's to set, each with the reason."""

_WHOLE, _NUMBER = "a whole number", "a number"
_RANGES: dict[str, tuple[str, float, float]] = {
    "num_iterations": (_WHOLE, 1, math.inf),
    "learning_rate": (_NUMBER, 1e-6, math.inf),
    "num_leaves": (_WHOLE, 2, 131072),
    "lambda_l2": (_NUMBER, 0, math.inf),
    "max_bin": (_WHOLE, 2, 65535),
    "min_data_in_leaf": (_WHOLE, 0, math.inf),
    "feature_fraction": (_NUMBER, 1e-6, 1),
}


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


def translate(
    more: Mapping[str, Any], named: Mapping[str, Any], defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Sort parameters that were given by any of their names.

    Parameters
    ----------
    more : mapping
        What was given beside the fields, by name or alias.
    named, defaults : mapping
        The fields as they are, and as they are when nobody sets them.

    Returns
    -------
    named, rest : dict
        The fields with what aliases of them say; the other parameters, values as tuples.
    problems : list of str
        Names that are unknown, refused or given twice, and values that are not plain.
    """
    if not more:
        return dict(named), {}, []
    names = parameter_names()
    fields, rest, problems = dict(named), dict[str, Any](), []
    for given, value in more.items():
        name = names.get(given)
        if name is None:
            problems.append(f"learner.{given} is no parameter of LightGBM. {nearest(given, names)}")
        elif name in REFUSED:
            problems.append(f"learner.{given} is not the learner's to set: {REFUSED[name]}.")
        elif name in rest or (name in fields and fields[name] != defaults[name]):
            problems.append(f"learner.{given} and another name of '{name}' are both set.")
        elif not _is_plain(value):
            problems.append(
                f"learner.{given} is {value!r}. It is text, a number or a list of them."
            )
        elif name in fields:
            fields[name] = value
        else:
            rest[name] = _frozen(value)
    return fields, rest, problems


def wrong_values(named: Mapping[str, Any]) -> list[str]:
    """Say which of the fields have a value of the wrong sort or out of range."""
    problems = []
    for name, (sort, low, high) in _RANGES.items():
        value = named[name]
        right_sort = isinstance(value, int) or (sort == _NUMBER and isinstance(value, float))
        if not right_sort or isinstance(value, bool) or not low <= value <= high:
            span = f"from {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
            problems.append(f"learner.{name} is {value!r}. It is {sort} {span}.")
    if not isinstance(named["boost_from_average"], bool):
        problems.append(
            f"learner.boost_from_average is {named['boost_from_average']!r}. It is true or false."
        )
    return problems


def as_json(value: Any) -> Any:
    """Turn tuples back into lists."""
    return [as_json(item) for item in value] if isinstance(value, tuple) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, (str, int, float))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value
