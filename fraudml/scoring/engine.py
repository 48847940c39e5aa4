"""What computes the margins of a job: the learner's own library, or a graph in onnxruntime."""

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
    """Holds a graph against the learner that it was made of, on the first rows of a job.

    Parameters
    ----------
    native : DecisionBundle
        Decides by the learner's own library.
    tolerance : float
        How far a probability may be.
    found : Agreement, optional
        What was found; None until rows were seen.
    """

    native: DecisionBundle
    tolerance: float
    found: Agreement | None = field(default=None)

    def look(self, table: Dataset, X: DesignMatrix, made: Decisions) -> None:
        """Compare the first rows that come, once.

        Parameters
        ----------
        table : Dataset
            Some rows.
        X : DesignMatrix
            Their features.
        made : Decisions
            What the graph says of them.

        Raises
        ------
        RefusedError
            The graph differs by more than it may, or decides otherwise.
        """
        if self.found is not None or not len(table):
            return
        first = min(_CHECKED_ROWS, len(table))
        values = replace(X, values=X.values[:first])
        decided = self.native.decide(table.take(np.arange(first)), values)
        found = compare(decided, made.margin[:first], made.p[:first], self.tolerance)
        found.refuse("engine=onnx", "Score by engine=native, and report it.")
        self.found = found


def open_engine(
    name: Engine, bundle: DecisionBundle, tolerance: float, threads: int
) -> tuple[DecisionBundle, GraphCheck | None]:
    """Return a bundle that scores by an engine, and what checks it on the way.

    Parameters
    ----------
    name : str
        `native` or `onnx`.
    bundle : DecisionBundle
        As it was read.
    tolerance : float
        How far a probability may be from the native one.
    threads : int
        How many to score with.

    Raises
    ------
    ConfigError
        The extra `onnx` is not installed, or the learner is of a kind without a graph.
    """
    if name == "native":
        return bundle, None
    session = Session(onnx_graph(replace(bundle, offset=0.0)))
    learner = SessionLearner(bundle.learner, bundle.features.names, session, threads)
    return replace(bundle, learner=learner), GraphCheck(bundle, tolerance)


def engine_versions(name: Engine) -> dict[str, str]:
    """Return the versions that the scores of an engine depend on besides fraudml's own."""
    return {} if name == "native" else {one: version(one) for one in ("onnx", "onnxruntime")}
