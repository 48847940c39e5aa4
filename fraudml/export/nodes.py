"""The nodes of an ONNX graph, added one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.export.forest import Forest

ML_DOMAIN, ML_VERSION = "ai.onnx.ml", 5

_LEQ, _MEMBER = 0, 6


class Nodes:
    """Collects the nodes and constants of a graph, and names their outputs."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.items: list[Any] = []
        self.constants: list[Any] = []

    def put(
        self, op: str, *inputs: str, domain: str = "", output: str | None = None, **attributes: Any
    ) -> str:
        """Add a node with one output; return the name of the output."""
        output = output or f"{op.lower()}_{len(self.items)}"
        node = self._onnx.helper.make_node(op, inputs, [output], domain=domain, **attributes)
        self.items.append(node)
        return output

    def tensor(self, values: NDArray[Any], name: str = "") -> Any:
        """Return an array as an attribute."""
        return self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)

    def constant(self, values: NDArray[Any]) -> str:
        """Add a constant; return its name."""
        name = f"constant_{len(self.constants)}"
        # `ascontiguousarray` would give a number one dimension.
        self.constants.append(self._onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def squeeze(self, column: str) -> str:
        """Take (n, 1) to (n,)."""
        return self.put("Squeeze", column, self.constant(np.array([1])))

    def as_double(self, flags: str) -> str:
        """Cast to float64."""
        return self.put("Cast", flags, to=self._onnx.TensorProto.DOUBLE)

    def as_whole(self, numbers: str) -> str:
        """Cast to int64."""
        return self.put("Cast", numbers, to=self._onnx.TensorProto.INT64)

    def rounded(self, numbers: str) -> str:
        """Round float64 to the precision of float32."""
        return self.as_double(self.put("Cast", numbers, to=self._onnx.TensorProto.FLOAT))


def put_forest(nodes: Nodes, x: str, forest: Forest) -> str:
    """Add trees to a graph; their sums have the shape (n, 1)."""
    sides = {}
    for side, child in (("true", forest.true), ("false", forest.false)):
        sides[f"nodes_{side}nodeids"] = np.where(child < 0, ~child, child).tolist()
        sides[f"nodes_{side}leafs"] = (child < 0).astype(int).tolist()
    sets = {}
    if forest.sets:
        members = [np.append(codes.astype(np.float64), np.nan) for codes in forest.sets]
        sets["membership_values"] = nodes.tensor(np.concatenate(members))
    return nodes.put(
        "TreeEnsemble",
        x,
        domain=ML_DOMAIN,
        n_targets=1,
        aggregate_function=1,
        post_transform=0,
        tree_roots=forest.roots.tolist(),
        nodes_featureids=forest.feature.tolist(),
        nodes_modes=nodes.tensor(np.where(forest.is_set, _MEMBER, _LEQ).astype(np.uint8)),
        nodes_splits=nodes.tensor(forest.threshold),
        nodes_missing_value_tracks_true=forest.missing_true.astype(int).tolist(),
        leaf_targetids=[0] * len(forest.values),
        leaf_weights=nodes.tensor(forest.values),
        **sides,
        **sets,
    )
