"""One ONNX graph from the design matrix to the margin and the probability.

All of it is float64 behind the float32 input, as in the libraries themselves: thresholds are never
rounded, and leaves are added in the same order.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle
from fraudml.errors import ConfigError
from fraudml.export.calibration import add_probability
from fraudml.export.extras import import_for
from fraudml.export.forest import Forest
from fraudml.export.learners import Bag, forests_of
from fraudml.export.nodes import ML_DOMAIN, ML_VERSION, Nodes, put_forest
from fraudml.learners.linear import FittedLinear
from fraudml.matrix import FIRST_LEVEL_CODE, MISSING_CODE, UNSEEN_CODE
from fraudml.version import __version__

INPUT, MARGIN, PROBABILITY = "features", "margin", "probability"
"""The names of the input and the outputs."""

_IR_VERSION, _OPSET = 10, 21
"""ONNX 1.16 of 2024, the first with the trees of `ai.onnx.ml` 5."""

_ZERO = float(np.float32(1e-35))
"""The largest number that is 0 to LightGBM."""


def onnx_graph(bundle: DecisionBundle, fingerprint: str | None = None) -> bytes:
    """Return a bundle's model, prior correction and calibration as one graph.

    Input: `features`, float32 of shape (n, features), columns in the bundle's order, NaN is
    missing, categories are codes. Outputs: `margin` and `probability`, float64 of shape (n,). The
    metadata describes the columns and has the fingerprint of the bundle. The model is of IR version
    10 with the operators of `ai.onnx` 21 and `ai.onnx.ml` 5: the same bytes for the same bundle and
    version of onnx. Raises a `ConfigError` where the extra `onnx` is not installed, or the learner
    has no graph.
    """
    onnx = import_for("format=onnx or engine=onnx", "onnx", "onnx")
    nodes = Nodes(onnx)
    x = nodes.put("Cast", INPUT, to=onnx.TensorProto.DOUBLE)
    margin = _margin(nodes, x, bundle)
    margin = nodes.put("Add", margin, nodes.constant(np.array(bundle.offset)), output=MARGIN)
    add_probability(nodes, margin, bundle.calibrator, output=PROBABILITY)
    float32, float64 = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes.items,
        "fraudml",
        [tensor(INPUT, float32, ["rows", len(bundle.features.names)])],
        [tensor(MARGIN, float64, ["rows"]), tensor(PROBABILITY, float64, ["rows"])],
        initializer=nodes.constants,
    )
    opset = onnx.helper.make_opsetid
    model = onnx.helper.make_model(
        graph,
        opset_imports=[opset("", _OPSET), opset(ML_DOMAIN, ML_VERSION)],
        ir_version=_IR_VERSION,
        producer_name="fraudml",
        producer_version=__version__,
    )
    onnx.helper.set_model_props(model, _metadata(bundle, fingerprint))
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def _metadata(bundle: DecisionBundle, fingerprint: str | None) -> dict[str, str]:
    about = {
        "features": list(bundle.features.names),
        "columns": columns_of(bundle),
        "calibrator": bundle.calibrator.to_dict(),
        "policy": bundle.policy.to_dict(),
        "bundle": fingerprint,
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in about.items()}


def columns_of(bundle: DecisionBundle) -> list[dict[str, Any]]:
    """Describe each column: what it is made of, and the codes of the levels of a category."""
    columns: list[dict[str, Any]] = [
        {"name": name, "from": text} for name, text in bundle.features.explained()
    ]
    for position in bundle.features.categorical:
        levels = bundle.features.own[position].levels
        codes = dict(zip(levels, itertools.count(FIRST_LEVEL_CODE), strict=False))
        columns[position] |= {"missing": MISSING_CODE, "unseen": UNSEEN_CODE, "levels": codes}
    return columns


def _margin(nodes: Nodes, x: str, bundle: DecisionBundle) -> str:
    learner = bundle.learner
    if isinstance(learner, FittedLinear):
        return _linear(nodes, x, learner)
    bag = forests_of(learner)
    if bag is None:
        raise ConfigError(
            f"The bundle's learner is of the kind '{learner.kind}', which has no ONNX graph. There "
            "is one for boosted trees (learner=lightgbm, bagged_lightgbm, xgboost, catboost) and "
            "linear models (learner=logistic)."
        )
    return _bag(nodes, x, bag)


def _bag(nodes: Nodes, x: str, bag: Bag) -> str:
    total: str | None = None
    for forest, offset in zip(bag.forests, bag.offsets, strict=True):
        margin = _trees(nodes, x, forest)
        if offset:
            margin = nodes.put("Add", margin, nodes.constant(np.array(offset)))
        total = margin if total is None else nodes.put("Add", total, margin)
    assert total is not None, "a bag has at least one member"
    if len(bag.forests) == 1:
        return total
    return nodes.put("Div", total, nodes.constant(np.array(float(len(bag.forests)))))


def _trees(nodes: Nodes, x: str, forest: Forest) -> str:
    if forest.zero_is_missing:
        x = _zeros_missing(nodes, x, sorted(forest.zero_is_missing))
    total = nodes.squeeze(put_forest(nodes, x, forest))
    return nodes.put("Add", total, nodes.constant(np.array(forest.base))) if forest.base else total


def _zeros_missing(nodes: Nodes, x: str, columns: list[int]) -> str:
    """Turn the zeros of some columns into NaN."""
    given = _columns(nodes, x, columns)
    zero = nodes.put("LessOrEqual", nodes.put("Abs", given), nodes.constant(np.array(_ZERO)))
    changed = nodes.put("Where", zero, nodes.constant(np.array(np.nan)), given)
    rows = nodes.put("Transpose", x, perm=[1, 0])
    index = nodes.constant(np.array(columns)[:, None])
    swapped = nodes.put("ScatterND", rows, index, nodes.put("Transpose", changed, perm=[1, 0]))
    return nodes.put("Transpose", swapped, perm=[1, 0])


def _linear(nodes: Nodes, x: str, model: FittedLinear) -> str:
    """The sum of coefficient × column, where a column is a number, a flag or a level."""
    steps = model.preprocessing
    if steps.kind == "none":
        return _weighted(nodes, x, model.coefficients, model.intercept)
    parts = list[str]()
    if steps.numeric:
        given = _columns(nodes, x, steps.numeric)
        filled = nodes.put("Where", nodes.put("IsNaN", given), _row(nodes, steps.fill), given)
        if steps.kind == "impute_scale":
            shifted = nodes.put("Sub", filled, _row(nodes, steps.shift))
            filled = nodes.put("Div", shifted, _row(nodes, steps.scale))
        else:
            filled = nodes.rounded(filled)
        parts.append(filled)
    if steps.flagged:
        parts.append(nodes.as_double(nodes.put("IsNaN", _columns(nodes, x, steps.flagged))))
    if steps.levels:
        given = _columns(nodes, x, [position for position, _ in steps.levels])
        code = _row(nodes, [float(code) for _, code in steps.levels])
        parts.append(nodes.as_double(nodes.put("Equal", given, code)))
    columns = parts[0] if len(parts) == 1 else nodes.put("Concat", *parts, axis=1)
    return _weighted(nodes, columns, model.coefficients, model.intercept)


def _weighted(nodes: Nodes, x: str, weights: NDArray[np.float64], intercept: float) -> str:
    total = nodes.squeeze(nodes.put("MatMul", x, nodes.constant(weights[:, None])))
    return nodes.put("Add", total, nodes.constant(np.array(intercept)))


def _columns(nodes: Nodes, x: str, positions: Any) -> str:
    return nodes.put("Gather", x, nodes.constant(np.array(positions, dtype=np.int64)), axis=1)


def _row(nodes: Nodes, numbers: Any) -> str:
    return nodes.constant(np.array(numbers, dtype=np.float64)[None, :])
