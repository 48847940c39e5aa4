"""Fitted scikit-learn estimators as skops archives: the same bytes for the same model.

They are read back only if every type in them is in a list here.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from fraudml.errors import BundleError, ConfigError, listing

TRUSTED = (
    "imblearn.ensemble._bagging.BalancedBaggingClassifier",
    "imblearn.ensemble._easy_ensemble.EasyEnsembleClassifier",
    "imblearn.ensemble._forest.BalancedRandomForestClassifier",
    "imblearn.ensemble._weight_boosting.RUSBoostClassifier",
    "imblearn.pipeline.Pipeline",
    "imblearn.under_sampling._prototype_selection._random_under_sampler.RandomUnderSampler",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""Types beyond skops's own list (numpy, scipy, and the public estimators of scikit-learn)."""

CHECKED = (
    *("builtins.", "numpy.", "sklearn.tree.", "sklearn.utils.", "sklearn.preprocessing."),
    *(
        "sklearn.ensemble._forest.",
        "sklearn.ensemble._bagging.",
        "sklearn.ensemble._weight_boosting.",
    ),
    *("sklearn.linear_model._logistic.", "sklearn.linear_model._ridge.", "sklearn.naive_bayes."),
    *("sklearn.neural_network.", "sklearn.calibration.", "imblearn."),
)
"""Types that are checked here, or are numpy alone; others are loaded in a child process first."""

_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_archive(estimator: Any) -> bytes:
    """Return a fitted estimator as a skops archive without compression, times or addresses.

    One that could not be read back, with types that are not trusted, is refused.
    """
    import skops.io

    name = type(estimator).__name__
    try:
        archive = skops.io.dumps(estimator)
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"learner: {name} cannot be saved as plain data: {error}. Choose another estimator."
        ) from error
    unknown = _unknown_types(archive)
    if unknown:
        raise ConfigError(
            f"learner: {name} cannot be saved as plain data that is safe to read back: it holds "
            f"{listing(unknown)}. Choose another estimator."
        )
    return _canonical(archive)


def read_archive(archive: bytes) -> Any:
    """Read an estimator, importing and running nothing but the types that are trusted.

    Raises
    ------
    BundleError
        It is no such archive, or holds a type that is not trusted.
    """
    import skops.io

    check_archive(archive)
    try:
        return skops.io.loads(archive, trusted=list(TRUSTED))
    except Exception as error:
        raise BundleError(f"The estimator's archive cannot be read: {error!r}.") from error


def check_archive(archive: bytes) -> bool:
    """Refuse an archive that is none, too large, or holds types that are not trusted.

    Returns whether all that it holds can be checked before it is asked for scores.
    """
    try:
        _check_sizes(archive)
        unknown = _unknown_types(archive)
        with zipfile.ZipFile(io.BytesIO(archive)) as content:
            types = set(_types(json.loads(content.read(_SCHEMA))))
    except Exception as error:
        raise BundleError(f"The estimator's archive cannot be read: {error!r}.") from error
    if unknown:
        raise BundleError(
            f"The estimator's archive holds types that are not trusted: {listing(unknown)}. "
            "Nothing of it was loaded. Write the bundle again with this fraudml."
        )
    return all(name.startswith(CHECKED) for name in types)


def _types(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "__class__" in node:
            yield f"{node.get('__module__')}.{node['__class__']}"
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _types(item)


def _check_sizes(archive: bytes) -> None:
    """Refuse what would unpack to more than there is."""
    with zipfile.ZipFile(io.BytesIO(archive)) as content:
        entries = content.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it is compressed, and fraudml compresses none")
        if sum(entry.file_size for entry in entries) > len(archive):
            raise ValueError("its entries are larger than itself")
        for entry in entries:
            if entry.filename.endswith(".npy"):
                with content.open(entry) as file:
                    shape, dtype = _array_header(file)
                    if math.prod(shape) * dtype.itemsize > entry.file_size:
                        raise ValueError(f"'{entry.filename}' has fewer values than it says")


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    return shape, dtype


def _unknown_types(archive: bytes) -> list[str]:
    import skops.io

    return sorted(set(skops.io.get_untrusted_types(data=archive)) - set(TRUSTED))


def _canonical(archive: bytes) -> bytes:
    """Number objects and files in the order of the schema; skops uses their addresses."""
    with zipfile.ZipFile(io.BytesIO(archive)) as before:
        contents = {name: before.read(name) for name in before.namelist()}
    schema = json.loads(contents.pop(_SCHEMA))
    numbers: dict[int, int] = {}
    files: dict[str, str] = {}
    _renumber(schema, numbers, files)
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as after:
        for old, new in files.items():
            after.writestr(zipfile.ZipInfo(new, _EPOCH), _without_padding(contents[old], new))
        after.writestr(zipfile.ZipInfo(_SCHEMA, _EPOCH), json.dumps(schema))
    return result.getvalue()


def _without_padding(content: bytes, name: str) -> bytes:
    """Zero the bytes between the fields of a record, which are not initialised."""
    if not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, array.dtype)
    for field in array.dtype.names:
        clean[field] = array[field]
    result = io.BytesIO()
    np.save(result, clean, allow_pickle=False)
    return result.getvalue()


def _renumber(node: Any, numbers: dict[int, int], files: dict[str, str]) -> None:
    if isinstance(node, list):
        for item in node:
            _renumber(item, numbers, files)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
        if "__loader__" in node and isinstance(node.get("file"), str):
            suffix = node["file"].rpartition(".")[2]
            node["file"] = files.setdefault(node["file"], f"{len(files)}.{suffix}")
        for item in node.values():
            _renumber(item, numbers, files)
