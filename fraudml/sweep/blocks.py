"""The rows that trials are scored on: prepared once, then shared by all of them as files.

Arrays are mapped into memory, so that several workers hold them once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.matrix import DesignMatrix
from fraudml.split import Fold

COSTS = ("tp_cost", "fp_cost", "fn_cost", "tn_cost")


@dataclass(frozen=True)
class SweepRows:
    """Rows of one feature plan, and their blocks: rows to fit on and rows to score.

    `costs`, `amount`, `day` and `entity` are of the same rows, None where the role is not filled;
    `days` is the number of days that the scored rows of each block span.
    """

    matrix: DesignMatrix
    costs: CostMatrix
    amount: NDArray[np.float64] | None
    day: NDArray[np.int64] | None
    entity: NDArray[np.int64] | None
    blocks: tuple[Fold, ...]
    days: tuple[float | None, ...]


def write_rows(parts: Sequence[SweepRows], folder: Path) -> None:
    """Write rows into a new folder: one part with all blocks, or one a fold."""
    folder.mkdir(parents=True)
    for number, part in enumerate(parts):
        _write_part(part, folder / str(number))


def read_rows(folder: Path) -> Iterator[SweepRows]:
    """Map the rows of `write_rows` into memory, part for part."""
    for path in sorted(folder.iterdir(), key=lambda path: int(path.name)):
        yield _read_part(path)


def _write_part(part: SweepRows, folder: Path) -> None:
    folder.mkdir()
    matrix = part.matrix
    arrays: dict[str, NDArray[Any] | None] = {
        "values": matrix.values,
        "label": matrix.label,
        "miss_cost": matrix.miss_cost,
        "false_alert_cost": matrix.false_alert_cost,
        "amount": part.amount,
        "day": part.day,
        "entity": part.entity,
        **part.costs.as_mapping(),
    }
    for number, block in enumerate(part.blocks):
        arrays |= {f"fit_{number}": block.fit, f"score_{number}": block.score}
    for name, array in arrays.items():
        if array is not None:
            np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
    metadata = {
        "names": list(matrix.names),
        "categorical": list(matrix.categorical),
        "days": list(part.days),
    }
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")


def _read_part(folder: Path) -> SweepRows:
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))

    def array(name: str) -> Any:
        path = folder / f"{name}.npy"
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None

    matrix = DesignMatrix(
        array("values"),
        tuple(metadata["names"]),
        tuple(metadata["categorical"]),
        label=array("label"),
        miss_cost=array("miss_cost"),
        false_alert_cost=array("false_alert_cost"),
    )
    count = len(metadata["days"])
    return SweepRows(
        matrix=matrix,
        costs=CostMatrix(*(array(name) for name in COSTS)),
        amount=array("amount"),
        day=array("day"),
        entity=array("entity"),
        blocks=tuple(Fold(array(f"fit_{n}"), array(f"score_{n}")) for n in range(count)),
        days=tuple(metadata["days"]),
    )
