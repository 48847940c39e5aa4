"""Gradient-boosted trees by CatBoost, with defaults for rare events; an extra of fraudml.

docs/defaults.md has the measurements behind the defaults.
"""

from __future__ import annotations

import inspect
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BundleError, ConfigError, DataError, all_problems
from fraudml.learners.boosting import (
    Booster,
    FittedBooster,
    accept_early_end,
    check_columns,
    check_extra_of_bundle,
    import_library,
    read_model,
    without_infinities,
)
from fraudml.learners.monotone import monotone_signs
from fraudml.learners.parameters import Number, parameter, reasons
from fraudml.learners.protocol import FitContext, refuse_loss
from fraudml.learners.quarantine import probing_rows, require_sound
from fraudml.matrix import DesignMatrix

if TYPE_CHECKING:
    import catboost as cb

KIND = "catboost"

REFUSED = reasons(
    (
        "fraudml fits two classes, with the loss of the loss group",
        "loss_function objective classes_count class_names target_border allow_const_label",
    ),
    ("use weighting=…", "class_weights auto_class_weights scale_pos_weight"),
    ("use data.columns.categorical=[…]", "cat_features"),
    ("use data.columns.exclude=[…]", "ignored_features"),
    ("features are numbers and categories here", "text_features embedding_features"),
    (
        "features are numbers and categories here, and none is text",
        "tokenizers dictionaries feature_calcers text_processing",
    ),
    ("use monotone={feature: 1} or -1", "monotone_constraints"),
    ("use seed=…, from which every seed of a run is derived", "random_seed"),
    ("use threads=…", "thread_count"),
    (
        "use device=…",
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
"""CatBoost's parameters that cannot be set, each with the reason."""

DEVICES: Mapping[str, str] = {
    "cpu": "",
    "cuda": (
        "CatBoost's wheel brings CUDA; it needs an NVIDIA card with a driver that is new enough "
        "for it ('nvidia-smi' lists both)."
    ),
}
"""The devices that CatBoost runs on, each with what it needs."""

_CUDA_BINS = 254
"""CatBoost's histograms on CUDA count in one byte; 254 is what it advises there for quality."""


@dataclass(frozen=True, init=False)
class CatBoost(Booster):
    """Settings of gradient-boosted trees, under CatBoost's own names.

    The settings listed decide how rare events are learnt; any other parameter of CatBoost can be
    given as well, by its name or an alias, and keeps CatBoost's default otherwise.

    On the CPU the same rows, seed, threads and version of CatBoost give the same model. On CUDA
    the last bits differ from fit to fit; and as CatBoost does not report its rounds there, the
    deadline is checked only before the fit. It minimises the log loss alone.

    Examples
    --------
    >>> CatBoost(max_depth=4).depth
    4
    """

    iterations: int = parameter(
        400,
        Number(1, whole=True),
        "Boosting rounds, where they are not chosen on out-of-fold scores.",
    )
    learning_rate: float = parameter(
        0.06,
        Number(1e-6, 1),
        "Low. CatBoost would derive one from the number of rows and rounds, so that the first "
        "rounds of a fit would not be those of a shorter one; nor would they with its own choice "
        "of `leaf_estimation_iterations` and `max_ctr_complexity`.",
    )
    depth: int = parameter(
        6,
        Number(1, 16, whole=True),
        "Depth of a tree, whose splits are the same on a level; CatBoost's own default.",
    )
    l2_leaf_reg: float = parameter(
        3.0, Number(0), "L2 penalty on leaf values; CatBoost's own default."
    )
    border_count: int = parameter(
        1023,
        Number(1, 65535, whole=True),
        "Bins of a feature. Fine, as frauds lie in the tails of card and terminal histories, which "
        "254 bins merge.",
    )
    rsm: float = parameter(
        1.0,
        Number(1e-6, 1),
        "Share of the features that a split may use. All of them is CatBoost's own default; half "
        "scored the same.",
    )
    leaf_estimation_iterations: int = parameter(
        10,
        Number(1, whole=True),
        "Newton steps for the leaf values of a tree; CatBoost's own default from 200 rounds on.",
    )
    max_ctr_complexity: int = parameter(
        4,
        Number(0, whole=True),
        "Number of categorical features that are combined into one; CatBoost's own default from "
        "200 rounds on. With `monotone` it is at most 1: combinations of categories include splits "
        "of numbers, and the direction would be lost.",
    )

    title = "CatBoost"
    extra = "catboost"
    rounds_key = "iterations"
    devices = DEVICES
    refused = REFUSED

    @staticmethod
    def parameter_names() -> dict[str, str]:
        """Return every name and alias that CatBoost knows, each with the documented name."""
        library = import_catboost()
        names = set(inspect.signature(library.CatBoostClassifier.__init__).parameters) - {"self"}
        return {name: _documented(library, name) for name in names}

    def on(self, device: str, *, deterministic: bool = False) -> Self:
        """Return the learner as it runs on a device: on CUDA, with at most 254 bins.

        Raises
        ------
        ConfigError
            On OpenCL; and on CUDA with `rsm`, `monotone`, more bins that were set explicitly, or a
            fit that must be reproducible.
        """
        own = super().on(device, deterministic=deterministic)
        if device != "cuda":
            return own
        problems = own._cuda_problems(deterministic)
        if problems:
            raise ConfigError(all_problems(f"{len(problems)} problems in learner.", problems))
        return own.with_bins(device, "border_count", _CUDA_BINS)

    def _cuda_problems(self, deterministic: bool) -> list[str]:
        problems = []
        if deterministic:
            problems.append(
                "device.deterministic is true, and device is 'cuda'. CatBoost adds up in no fixed "
                "order there, and no setting of it changes that. Set device.deterministic=false, "
                "or device=cpu."
            )
        if self.rsm != 1:
            problems.append(
                f"learner.rsm is {self.rsm}, and device is 'cuda'. CatBoost samples features on "
                "the CPU alone. Set learner.rsm=1, or device=cpu."
            )
        if self.monotone:
            problems.append(
                "learner.monotone is set, and device is 'cuda'. CatBoost has monotone constraints "
                "on the CPU alone. Leave it out, or set device=cpu."
            )
        return problems

    def boost(
        self, train: DesignMatrix, context: FitContext, rounds: int
    ) -> tuple[cb.CatBoost, int]:
        """Fit until the deadline; return CatBoost's booster and the number of rounds done."""
        refuse_loss("CatBoost", context.loss)
        if context.deadline.expired:
            accept_early_end(0, rounds, "iterations")
        library = import_catboost()
        booster: cb.CatBoost = library.CatBoost(self._parameters(train, context, rounds))
        rows = _pool(train.values, train.categorical, label=train.y, weight=train.weight)
        counter = _RoundCounter(context, rounds)
        on_cpu = context.device == "cpu"
        try:
            booster.fit(rows, callbacks=[counter] if on_cpu else None)
        except library.CatBoostError as error:
            raise _refusal(error) from error
        if not on_cpu:
            context.progress("fit", 1.0)
        return booster, counter.done if on_cpu else rounds

    def fitted(self, booster: cb.CatBoost, train: DesignMatrix, threads: int) -> FittedCatBoost:
        """Return the trees alone: when, where and how they were fitted is no part of the model."""
        metadata = booster.get_metadata()
        for name in list(metadata.keys()):
            del metadata[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / FittedCatBoost.file_name
            booster.save_model(str(path), format="cbm")
            content = path.read_bytes()
        return FittedCatBoost(content, train.names, threads, categorical=train.categorical)

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


class _RoundCounter:
    """CatBoost's callback after each round: counts, reports, and ends the fit at the deadline."""

    def __init__(self, context: FitContext, rounds: int) -> None:
        self._context = context
        self._rounds = rounds
        self.done = 0

    def after_iteration(self, _: object) -> bool:
        """Return whether to go on."""
        self.done += 1
        self._context.progress("fit", self.done / self._rounds)
        return self.done == self._rounds or not self._context.deadline.expired


class FittedCatBoost(FittedBooster):
    """Trees, read from CatBoost's own model file; see `FittedBooster`."""

    kind = KIND
    title = "CatBoost"
    file_name = "model.cbm"

    def __init__(
        self,
        content: bytes,
        names: tuple[str, ...],
        threads: int = 1,
        *,
        categorical: tuple[int, ...] = (),
    ) -> None:
        super().__init__(content, names, threads)
        self.categorical = categorical

    @property
    def rounds(self) -> int:
        """The number of boosting rounds."""
        return int(self._booster.tree_count_)

    @property
    def order(self) -> list[int]:
        """The column of the design matrix that each column of CatBoost's is: numbers first."""
        return _order(self.categorical, len(self.names))

    def as_json(self) -> dict[str, Any]:
        """Return the model as CatBoost writes it in JSON: what exports read."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            self._booster.save_model(str(path), format="json")
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model file, the same bytes for the same model; return what `load` needs."""
        return super().save(folder) | {"categorical": list(self.categorical)}

    def _read(self) -> cb.CatBoost:
        booster: cb.CatBoost = import_catboost().CatBoost()
        booster.load_model(blob=self.content)
        return booster

    def _margin(self, values: NDArray[np.float32], end: int, threads: int) -> NDArray[np.float64]:
        margin: NDArray[np.float64] = self._booster.predict(
            _pool(values, self.categorical),
            prediction_type="RawFormulaVal",
            ntree_end=end,
            thread_count=threads,
        )
        return margin

    def _contributions(self, values: NDArray[np.float32], threads: int) -> NDArray[np.float64]:
        parts = np.empty((len(values), len(self.names) + 1))
        parts[:, [*self.order, len(self.names)]] = self._booster.get_feature_importance(
            _pool(values, self.categorical), type="ShapValues", thread_count=threads
        )
        return parts


def load(
    files: Mapping[str, bytes], metadata: Mapping[str, Any], threads: int = 1
) -> FittedCatBoost:
    """Read back what `FittedCatBoost.save` wrote; margins are the same bits.

    Raises
    ------
    BundleError
        CatBoost is not installed; or the file is missing, damaged or no CatBoost model, or its
        columns are not those of the metadata.
    """
    check_extra_of_bundle("catboost")
    name = FittedCatBoost.file_name
    content, _ = read_model(files, name, metadata)
    require_sound(KIND, name, content, metadata, ("catboost",))
    return load_unchecked(files, metadata, threads)


def load_unchecked(
    files: Mapping[str, bytes], metadata: Mapping[str, Any], threads: int
) -> FittedCatBoost:
    """Read a model that may end the process; see `quarantine`."""
    name = FittedCatBoost.file_name
    content, names = read_model(files, name, metadata)
    try:
        categorical = tuple(map(int, metadata["categorical"]))
        if len(set(categorical) & set(range(len(names)))) != len(categorical):
            raise ValueError(f"the categorical columns are {categorical}")
        model = FittedCatBoost(content, names, threads, categorical=categorical)
    except (KeyError, TypeError, ValueError, import_catboost().CatBoostError) as error:
        raise BundleError(
            f"'{name}' is no CatBoost model: {error!r}. Write the bundle again."
        ) from error
    check_columns(name, len(model._booster.feature_names_), names)
    return model


def loaded_problem(model: FittedCatBoost) -> str | None:
    """Say which tree of a loaded model does not have a finite leaf for each way through it."""
    content = model.as_json()
    for number, tree in enumerate(content.get("oblivious_trees", ())):
        leaves = np.array(tree["leaf_values"], dtype=np.float64)
        if len(leaves) != 2 ** len(tree.get("splits") or ()):
            return f"tree {number} has {len(leaves)} leaves"
        if not np.isfinite(leaves).all():
            return f"a leaf of tree {number} is not finite"
    model.contributions(probing_rows(model.names, model.categorical))
    return None


def import_catboost() -> Any:
    """Import CatBoost; see `import_library`."""
    return import_library("catboost")


def _documented(library: Any, name: str) -> str:
    """The name that CatBoost turns an alias into."""
    given = {name: 1}
    library.core._process_synonyms_groups(given)
    (documented,) = given
    return documented


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
        cat_feature_data=_code_texts(values[:, list(categorical)]) if categorical else None,
    )
    return library.Pool(features, label=label, weight=weight)


def _columns(values: NDArray[np.float32], chosen: list[int]) -> NDArray[np.float32]:
    columns = values if len(chosen) == values.shape[1] else values[:, chosen]
    return np.ascontiguousarray(without_infinities(columns))


def _code_texts(codes: NDArray[np.float32]) -> NDArray[Any]:
    """Codes of categories as CatBoost takes them: bytes, one object for all rows of a code."""
    whole = codes.astype(np.int64)
    texts = np.array([b"%d" % code for code in range(int(whole.max()) + 1)], dtype=object)
    return texts[whole]


def _refusal(error: Exception) -> ConfigError | DataError:
    reason = re.sub(r"^\S+:\d+: ", "", str(error)).strip().rstrip(".")
    if "constant or ignored" in reason:
        return DataError(
            "No feature has two values among the rows of the fit, and CatBoost makes no model of "
            "that. Check data.columns and the features settings."
        )
    return ConfigError(f"learner: CatBoost refuses to fit: {reason}.")
