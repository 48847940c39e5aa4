"""What CatBoost's parameters are called, and which of them are the learner's to set."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from fraudml.errors import ConfigError, all_problems
from fraudml.learners.boosting import import_extra
from fraudml.learners.monotone import Monotone
from fraudml.learners.parameters import Number, Vocabulary, reasons

REFUSED = reasons(
    (
        "fraudml fits two classes, with the loss of the loss group",
        "loss_function objective classes_count class_names target_border allow_const_label",
    ),
    ("set weighting=… instead", "class_weights auto_class_weights scale_pos_weight"),
    ("set data.columns.categorical=[…] instead", "cat_features"),
    ("set data.columns.exclude=[…] instead", "ignored_features"),
    ("features are numbers and categories here", "text_features embedding_features"),
    (
        "features are numbers and categories here, and none is text",
        "tokenizers dictionaries feature_calcers text_processing",
    ),
    ("set monotone={feature: 1} or -1 instead", "monotone_constraints"),
    ("set seed=… instead, which every part of a run derives its own from", "random_seed"),
    ("set threads=… instead", "thread_count"),
    (
        "set device=… instead",
        "task_type device_config devices gpu_ram_part pinned_memory_size gpu_cat_features_storage "
        "data_partition",
    ),
    (
        "fraudml reports progress itself",
        "verbose silent logging_level metric_period callback name",
    ),
    (
        "rounds are chosen on out-of-fold scores, or set by iterations",
        "od_pval od_wait od_type use_best_model best_model_min_trees custom_metric eval_metric "
        "eval_fraction",
    ),
    (
        "only in plain boosting are the first rounds of a model themselves a model",
        "model_shrink_rate model_shrink_mode langevin diffusion_temperature posterior_sampling",
    ),
    (
        "fraudml puts numbers before categories, so that its positions would mean other features",
        "feature_weights penalties_coefficient first_feature_use_penalties "
        "per_object_feature_penalties per_float_feature_quantization fixed_binary_splits",
    ),
    (
        "fraudml reads and writes its files itself",
        "train_dir allow_writing_files save_snapshot snapshot_file snapshot_interval input_borders "
        "output_borders metadata",
    ),
    ("a row of the table is a row of the fit", "sampling_unit ctr_history_unit"),
)
"""CatBoost's parameters that are not the learner's to set, each with the reason."""


DEVICES: Mapping[str, str] = {
    "cpu": "",
    "cuda": (
        "CatBoost's wheel brings CUDA; it needs an NVIDIA card with a driver that is new enough "
        "for it ('nvidia-smi' lists both)."
    ),
}
"""The devices that CatBoost runs on, each with what it needs."""

CUDA_BINS = 254
"""CatBoost's histograms on CUDA count in one byte; 254 is what it advises there for quality."""


def check_cuda(*, rsm: float, monotone: Monotone, deterministic: bool) -> None:
    """Refuse what CatBoost does on the CPU alone.

    Raises
    ------
    ConfigError
        All of it at once.
    """
    problems = []
    if deterministic:
        problems.append(
            "device.deterministic is true, and device is 'cuda'. CatBoost adds up in no fixed "
            "order there, and no setting of it changes that. Set device.deterministic=false, or "
            "device=cpu."
        )
    if rsm != 1:
        problems.append(
            f"learner.rsm is {rsm}, and device is 'cuda'. CatBoost draws features on the CPU "
            "alone. Set learner.rsm=1, or device=cpu."
        )
    if monotone:
        problems.append(
            "learner.monotone is set, and device is 'cuda'. CatBoost keeps directions on the CPU "
            "alone. Leave it out, or set device=cpu."
        )
    if problems:
        raise ConfigError(all_problems(f"{len(problems)} problems in learner.", problems))


def import_catboost() -> Any:
    """Import CatBoost, or say how to install it; see `import_extra`."""
    return import_extra("catboost")


def parameter_names() -> dict[str, str]:
    """Return every name and alias that CatBoost knows, each with the one that it documents."""
    library = import_catboost()
    names = set(inspect.signature(library.CatBoostClassifier.__init__).parameters) - {"self"}
    return {name: _documented(library, name) for name in names}


def _documented(library: Any, name: str) -> str:
    """Ask CatBoost for the name that it turns an alias into."""
    given = {name: 1}
    library.core._process_synonyms_groups(given)
    (documented,) = given
    return documented


CATBOOST = Vocabulary(
    "CatBoost",
    parameter_names,
    REFUSED,
    {
        "iterations": Number(1, whole=True),
        "learning_rate": Number(1e-6, 1),
        "depth": Number(1, 16, whole=True),
        "l2_leaf_reg": Number(0),
        "border_count": Number(1, 65535, whole=True),
        "rsm": Number(1e-6, 1),
        "leaf_estimation_iterations": Number(1, whole=True),
        "max_ctr_complexity": Number(0, whole=True),
    },
)
"""What CatBoost's parameters are called, and which are fields of the learner."""
