"""Export: a bundle's model in another program's format, compared with the bundle on real rows.

Read the bundle, find rows to check on, write the export to a temporary path, run it as its user
would, compare, and move it into place with its record, or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.bundle import DecisionBundle, bundle_digest, read_bundle
from fraudml.bundle.folder import bundle_folder
from fraudml.config.settings import Settings
from fraudml.errors import ConfigError
from fraudml.export.check import compare
from fraudml.export.graph import columns_of, onnx_graph
from fraudml.export.notes import lacks, readme
from fraudml.export.session import Session
from fraudml.export.settings import ExportSettings, as_format
from fraudml.export.sources import (
    LIBRARY,
    compile_library,
    find_compiler,
    library_scores,
    write_sources,
)
from fraudml.files import atomic_file, atomic_folder, sha256, write_json
from fraudml.learners.lightgbm import FittedLightGBM, read_text
from fraudml.machine import thread_count, versions
from fraudml.matrix import DesignMatrix
from fraudml.pipeline.check_rows import check_rows
from fraudml.progress import Progress, silent, stage
from fraudml.records.metrics import SCHEMA_VERSION
from fraudml.records.table import ClosingTable, closing_table

Scores = tuple[NDArray[np.float64], NDArray[np.float64]]

RECORD = "export.json"
"""The record inside a folder; of a file it is `<output>.json`."""


@dataclass(frozen=True)
class Exported:
    """What was written: the content of the record, the file or folder, the path of the record."""

    record: dict[str, Any]
    output: Path
    record_path: Path

    def summary(self) -> ClosingTable:
        """Return the closing table."""
        check = self.record["check"]
        rows = [
            ("checked on", f"{check['rows']:,} rows of {check['origin']}"),
            ("largest difference of p", f"{check['largest_difference']:.2g}"),
            ("alerts", f"{check['alerts']:,}, none flipped"),
            *(("not in it", part) for part in self.record["lacks"]),
            ("record", str(self.record_path)),
        ]
        title = f"{self.record['learner']} as {self.record['format']}"
        return closing_table(title, rows, folder=str(self.output))


def run(settings: Settings, *, progress: Progress = silent) -> Exported:
    """Run the command: write the model of `bundle` as `format` to `output`.

    An export that differs from the bundle by more than `tolerance`, or flips an alert, is refused.
    """
    started = time.perf_counter()
    options = ExportSettings(as_format(settings.format), settings.tolerance)
    folder, output = _paths(settings, options)
    if options.format == "c":
        find_compiler()
    threads = thread_count(settings.threads)
    with stage(progress, "read"):
        bundle = read_bundle(folder, threads)
        _refuse_kind(bundle, options)
        rows = check_rows(settings, bundle, folder, threads)
    fingerprint = bundle_digest(folder)
    with (
        stage(progress, "write"),
        _staged(output, options, overwrite=settings.overwrite) as (staged, record_path),
    ):
        margin, p = _write(bundle, options, staged, rows.X, fingerprint)
        agreement = compare(rows.decisions, margin, p, options.tolerance)
        agreement.refuse(f"format={options.format}", "Nothing is written. Take another format.")
        record = {
            "schema_version": SCHEMA_VERSION,
            **_record(bundle, options, fingerprint),
            "files": _digests(staged),
            "check": agreement.to_dict() | {"origin": rows.origin},
            "run": {
                "bundle": str(folder),
                "input": settings.input,
                "output": str(output),
                "seconds": round(time.perf_counter() - started, 3),
                "versions": versions(),
            },
        }
        write_json(record_path, record)
    return Exported(
        record, output, output / RECORD if options.format == "c" else _record_of(output)
    )


def _paths(settings: Settings, options: ExportSettings) -> tuple[Path, Path]:
    if settings.bundle is None or settings.output is None:
        missing = [key for key in ("bundle", "output") if getattr(settings, key) is None]
        raise ConfigError(
            f"{' and '.join(missing)} is not set. Write: export bundle=runs/…/bundle format=onnx "
            "output=model.onnx"
        )
    folder, output = bundle_folder(settings.bundle), Path(settings.output).expanduser()
    if folder.resolve() in (output.resolve(), *output.resolve().parents):
        raise ConfigError(
            f"output: '{output}' is in the bundle, which may hold nothing else. Choose another "
            "path."
        )
    for key in ("input", "history"):
        source = getattr(settings, key)
        if source is not None and Path(source).expanduser().resolve() == output.resolve():
            raise ConfigError(f"output: '{output}' is {key}. Choose another path.")
    if options.format == "c" and output.exists():
        raise ConfigError(
            f"output: '{output}' exists. format=c writes a folder, which is never overwritten: "
            "choose another name, or remove it first."
        )
    return folder, output


def _refuse_kind(bundle: DecisionBundle, options: ExportSettings) -> None:
    if options.format == "lightgbm" and not isinstance(bundle.learner, FittedLightGBM):
        raise ConfigError(
            f"format=lightgbm is for learner=lightgbm, and the bundle's learner is of the kind "
            f"'{bundle.learner.kind}'. Take format=onnx."
        )


def _record_of(output: Path) -> Path:
    return output.with_name(f"{output.name}.json")


@contextmanager
def _staged(
    output: Path, options: ExportSettings, *, overwrite: bool
) -> Iterator[tuple[Path, Path]]:
    """Give paths for the export and its record; both are moved into place when the block ends."""
    if options.format == "c":
        with atomic_folder(output) as folder:
            yield folder, folder / RECORD
        return
    with (
        atomic_file(output, overwrite=overwrite) as staged,
        atomic_file(_record_of(output), overwrite=overwrite) as record,
    ):
        yield staged, record


def _write(
    bundle: DecisionBundle, options: ExportSettings, staged: Path, X: DesignMatrix, fingerprint: str
) -> Scores:
    """Write the export, read it back, and return its scores of some rows."""
    if options.format == "onnx":
        staged.write_bytes(onnx_graph(bundle, fingerprint))
        return Session(staged.read_bytes()).run(X.values)
    if options.format == "c":
        write_sources(bundle, staged)
        text = readme(bundle, columns_of(bundle), LIBRARY)
        (staged / "README.txt").write_text(text, encoding="utf-8")
        return library_scores(compile_library(staged), X.values)
    assert isinstance(bundle.learner, FittedLightGBM)
    bundle.learner.write(staged)
    files = {staged.name: staged.read_bytes()}
    model = read_text(files, staged.name, {"names": X.names}, bundle.learner.threads)
    margin = model.margin(X) + bundle.offset
    return margin, bundle.calibrator.probability(margin)


def _record(bundle: DecisionBundle, options: ExportSettings, fingerprint: str) -> dict[str, Any]:
    return {
        "format": options.format,
        "learner": bundle.learner.kind,
        "bundle": {"fingerprint": fingerprint},
        "columns": columns_of(bundle),
        "offset": bundle.offset,
        "calibrator": bundle.calibrator.to_dict(),
        "policy": bundle.policy.to_dict(),
        "lacks": lacks(options.format),
    }


def _digests(staged: Path) -> dict[str, str] | str:
    """The SHA-256 of the file, or of each file of the folder."""
    if staged.is_file():
        return sha256(staged)
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    return {path.relative_to(staged).as_posix(): sha256(path) for path in files}
