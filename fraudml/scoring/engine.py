"""The engines that compute the margins of a job: the learner's own library, or onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version

import numpy as np

from fraudml.bundle import DecisionBundle
from fraudml.bundle.decision import Decisions
from fraudml.data.schema import Dataset
from fraudml.export.check import Agreement, compare
from fraudml.export.graph import onnx_graph
from fraudml.export.session import Session, SessionLearner
from fraudml.export.settings import Engine
from fraudml.matrix import DesignMatrix

_CHECKED_ROWS = 5_000


@dataclass
class GraphCheck:
    """Compares a graph with the learner that it was exported from, on the first rows of a job.

    `native` decides by the learner's own library; `result` is None until rows were compared.
    """

    native: DecisionBundle
    tolerance: float
    result: Agreement | None = field(default=None)

    def compare(self, table: Dataset, X: DesignMatrix, decisions: Decisions) -> None:
        """Compare the graph's decisions on the first rows with the native ones, once.

        Raises a `RefusedError` where probabilities differ by more than `tolerance`, or any alert.
        """
        if self.result is not None or not len(table):
            return
        first = min(_CHECKED_ROWS, len(table))
        values = replace(X, values=X.values[:first])
        native = self.native.decide(table.take(np.arange(first)), values)
        result = compare(native, decisions.margin[:first], decisions.p[:first], self.tolerance)
        result.refuse("engine=onnx", "Score by engine=native, and report it.")
        self.result = result


def open_engine(
    name: Engine, bundle: DecisionBundle, tolerance: float, threads: int
) -> tuple[DecisionBundle, GraphCheck | None]:
    """Return a bundle that scores by an engine (`native` or `onnx`), and the check of the latter.

    Raises a `ConfigError` where the extra `onnx` is not installed, or the learner has no graph.
    """
    if name == "native":
        return bundle, None
    session = Session(onnx_graph(replace(bundle, offset=0.0)))
    learner = SessionLearner(bundle.learner, bundle.features.names, session, threads)
    return replace(bundle, learner=learner), GraphCheck(bundle, tolerance)


def engine_versions(name: Engine) -> dict[str, str]:
    """Return the versions that the scores of an engine depend on besides fraudml's own."""
    return (
        {}
        if name == "native"
        else {library: version(library) for library in ("onnx", "onnxruntime")}
    )
