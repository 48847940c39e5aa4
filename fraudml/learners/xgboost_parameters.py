"""What XGBoost's parameters are called, and which of them are the learner's to set."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

from fraudml.errors import ConfigError
from fraudml.learners.boosting import import_extra
from fraudml.learners.parameters import Choice, Number, Vocabulary, reasons

REFUSED = reasons(
    (
        "fraudml fits two classes, with the loss of the loss group",
        "objective num_class num_target multi_strategy",
    ),
    ("set weighting=… instead", "scale_pos_weight"),
    (
        "set data.columns.categorical=[…] instead",
        "enable_categorical feature_types",
    ),
    ("set monotone={feature: 1} or -1 instead", "monotone_constraints"),
    ("set seed=… instead, which every part of a run derives its own from", "seed"),
    ("it follows from seed=…", "seed_per_iteration"),
    ("set threads=… instead", "nthread"),
    ("set device=… instead", "device fail_on_invalid_gpu_id"),
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
    ("it is missing where a value is NaN", "missing"),
    ("the number of features follows from the columns", "num_feature"),
    ("it is about reading a fitted model", "importance_type"),
    ("it says nothing about trees", "name specified_updater tolerance max_row_perbatch"),
    ("weigh rows by weighting=… instead; features have no weights here", "feature_weights"),
)
"""XGBoost's parameters that are not the learner's to set, each with the reason."""

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


def import_xgboost() -> Any:
    """Import XGBoost, or say how to install it; see `import_extra`."""
    return import_extra("xgboost")


def check_not_moved(booster: Any, device: str) -> None:
    """Refuse to go on where XGBoost has moved a fit from the GPU to the CPU by itself.

    Raises
    ------
    ConfigError
        It has: with `xgboost-cpu`, or without a GPU, it only warns.
    """
    if device == "cpu":
        return
    used: str = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    if not used.startswith(device):
        has_cuda = import_xgboost().build_info().get("USE_CUDA")
        why = "it finds no GPU" if has_cuda else "this build of it has no CUDA"
        raise ConfigError(f"learner: XGBoost refuses to fit: {why}.")


def parameter_names() -> dict[str, str]:
    """Return every name and alias that XGBoost knows, each with the one that is used here.

    XGBoost has no list of them: they are those of its classifier and of the configuration that a
    booster of each kind writes down.
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


XGBOOST = Vocabulary(
    "XGBoost",
    parameter_names,
    REFUSED,
    {
        "n_estimators": Number(1, whole=True),
        "learning_rate": Number(1e-6, 1),
        "max_depth": Number(0, whole=True),
        "max_leaves": Number(0, whole=True),
        "reg_lambda": Number(0),
        "max_bin": Number(2, 65535, whole=True),
        "colsample_bytree": Number(1e-6, 1),
        "base_score": Number(1e-9, 1 - 1e-9, optional=True),
        "grow_policy": Choice(("depthwise", "lossguide")),
        "tree_method": Choice(("hist", "exact", "approx")),
    },
)
"""What XGBoost's parameters are called, and which are fields of the learner."""
