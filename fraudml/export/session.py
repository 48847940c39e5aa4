"""Running a graph by onnxruntime, inside fraudml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.export.extras import import_for
from fraudml.export.graph import INPUT, MARGIN, PROBABILITY
from fraudml.learners.boosting import predict_in_threads
from fraudml.learners.protocol import FittedLearner, check_score_columns
from fraudml.matrix import DesignMatrix

_ERRORS_ALONE = 3


class Session:
    """The bytes of a graph, loaded by onnxruntime (a `ConfigError` where it is not installed)."""

    def __init__(self, graph: bytes) -> None:
        library = import_for("engine=onnx or format=onnx", "onnxruntime", "onnx")
        options = library.SessionOptions()
        # With threads of its own it adds up trees in another order where rows are few.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ALONE
        self._session: Any = library.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )

    def run(self, values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return margin and probability of each row."""
        margin, p = self._session.run([MARGIN, PROBABILITY], {INPUT: values})
        return margin, p

    def margin(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the margin of each row."""
        (margin,) = self._session.run([MARGIN], {INPUT: values})
        result: NDArray[np.float64] = margin
        return result


class SessionLearner:
    """A fitted learner whose margins come from a graph with the columns `names`.

    `native`, from which the graph was exported, still explains and saves itself.
    """

    def __init__(
        self, native: FittedLearner, names: tuple[str, ...], session: Session, threads: int
    ) -> None:
        self._native = native
        self._names = names
        self._session = session
        self._threads = threads

    @property
    def kind(self) -> str:
        """The kind of the learner that the graph was made of."""
        return self._native.kind

    @property
    def rounds(self) -> int | None:
        """How many boosting rounds there are."""
        return self._native.rounds

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        """Return one margin a row; the same bits in any batch and with any threads."""
        assert rounds is None, "a graph has all rounds"
        check_score_columns(self._names, X)
        if not len(X):
            return np.empty(0)
        return predict_in_threads(self._session.margin, X.values, self._threads)

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        """Return the contributions of the learner itself."""
        return self._native.contributions(X)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the learner itself."""
        return self._native.save(folder)
