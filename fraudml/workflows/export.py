"""Export: a bundle's model in another program's format, held against the bundle on real rows.

Read the bundle, find rows to check on, write the export beside its place, run it as its user would,
compare, and let it appear with its record, or not at all.
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
from fraudml.export.check import Agreement, compare
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
from fraudml.learners.lightgbm import FittedLightGBM, read_model
from fraudml.machine import granted_threads, versions
from fraudml.matrix import DesignMatrix
from fraudml.pipeline.check_rows import CheckRows, check_rows
from fraudml.progress import Progress, silent

Scores = tuple[NDArray[np.float64], NDArray[np.float64]]

SCHEMA_VERSION = 1
"""Raised when a reader of the record would misread it."""

RECORD = "export.json"
"""The record inside a folder; beside a file it is `<output>.json`."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Parameters
    ----------
    record : dict
        What the record holds.
    output : Path
        The file, or the folder.
    place : Path
        Of the record.
    """

    record: dict[str, Any]
    output: Path
    place: Path

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """Return a title and the rows of the closing table."""
        check = self.record["check"]
        rows = [
            ("checked on", f"{check['rows']:,} rows of {check['origin']}"),
            ("largest difference of p", f"{check['largest_difference']:.2g}"),
            ("alerts", f"{check['alerts']:,}, none flipped"),
            *(("not in it", one) for one in self.record["lacks"]),
            ("written to", str(self.output)),
            ("record", str(self.place)),
        ]
        return f"{self.record['learner']} as {self.record['format']}", rows


def run(settings: Settings, *, progress: Progress = silent) -> Exported:
    """Run the command: write the model of `bundle` as `format` to `output`.

    Parameters
    ----------
    settings : Settings
        Which bundle, how, where to, and the rows to check on.
    progress : Progress
        Whom to tell where it is.

    Raises
    ------
    RefusedError
        The export differs from the bundle by more than `tolerance`, or flips an alert.
    """
    started = time.perf_counter()
    how = ExportSettings(as_format(settings.format), settings.tolerance)
    folder, output = _places(settings, how)
    if how.format == "c":
        find_compiler()
    threads = settings.threads or granted_threads()
    progress("read", 0.0)
    bundle = read_bundle(folder, threads)
    _refuse_kind(bundle, how)
    rows = check_rows(settings, bundle, folder, threads)
    progress("read", 1.0)
    fingerprint = bundle_digest(folder)
    progress("write", 0.0)
    with _place(output, how, overwrite=settings.overwrite) as (made, record_path):
        margin, p = _write(bundle, how, made, rows.X, fingerprint)
        found = compare(rows.decided, margin, p, how.tolerance)
        found.refuse(f"format={how.format}", "Nothing is written. Take another format.")
        record = _record(bundle, how, made, (rows, found), fingerprint)
        record["run"] = {
            "bundle": str(folder),
            "input": settings.input,
            "output": str(output),
            "seconds": round(time.perf_counter() - started, 3),
            "versions": versions(),
        }
        write_json(record_path, record)
    progress("write", 1.0)
    return Exported(record, output, output / RECORD if how.format == "c" else _beside(output))


def _places(settings: Settings, how: ExportSettings) -> tuple[Path, Path]:
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
            "place."
        )
    for key in ("input", "history"):
        source = getattr(settings, key)
        if source is not None and Path(source).expanduser().resolve() == output.resolve():
            raise ConfigError(f"output: '{output}' is {key}. Choose another place.")
    if how.format == "c" and output.exists():
        raise ConfigError(
            f"output: '{output}' exists. format=c writes a folder, which is never overwritten: "
            "choose another name, or remove it first."
        )
    return folder, output


def _refuse_kind(bundle: DecisionBundle, how: ExportSettings) -> None:
    if how.format == "lightgbm" and not isinstance(bundle.learner, FittedLightGBM):
        raise ConfigError(
            f"format=lightgbm is for learner=lightgbm, and the bundle's learner is of the kind "
            f"'{bundle.learner.kind}'. Take format=onnx."
        )


def _beside(output: Path) -> Path:
    return output.with_name(f"{output.name}.json")


@contextmanager
def _place(output: Path, how: ExportSettings, *, overwrite: bool) -> Iterator[tuple[Path, Path]]:
    """Give what to fill, and where the record goes; both appear when the block ends well."""
    if how.format == "c":
        with atomic_folder(output) as folder:
            yield folder, folder / RECORD
        return
    with (
        atomic_file(output, overwrite=overwrite) as made,
        atomic_file(_beside(output), overwrite=overwrite) as record,
    ):
        yield made, record


def _write(
    bundle: DecisionBundle, how: ExportSettings, made: Path, X: DesignMatrix, fingerprint: str
) -> Scores:
    """Write the export, and return what it says of some rows once it is read back."""
    if how.format == "onnx":
        made.write_bytes(onnx_graph(bundle, fingerprint))
        return Session(made.read_bytes()).run(X.values)
    if how.format == "c":
        write_sources(bundle, made)
        text = readme(bundle, columns_of(bundle), LIBRARY)
        (made / "README.txt").write_text(text, encoding="utf-8")
        return library_scores(compile_library(made), X.values)
    assert isinstance(bundle.learner, FittedLightGBM)
    bundle.learner.write(made)
    margin = read_model(made, {"names": X.names}, bundle.learner.threads).margin(X) + bundle.offset
    return margin, bundle.calibrator.probability(margin)


def _record(
    bundle: DecisionBundle,
    how: ExportSettings,
    made: Path,
    checked: tuple[CheckRows, Agreement],
    fingerprint: str,
) -> dict[str, Any]:
    rows, found = checked
    return {
        "schema_version": SCHEMA_VERSION,
        "format": how.format,
        "learner": bundle.learner.kind,
        "bundle": {"fingerprint": fingerprint},
        "files": _digests(made),
        "check": found.to_dict() | {"origin": rows.origin},
        "columns": columns_of(bundle),
        "offset": bundle.offset,
        "calibrator": bundle.calibrator.to_dict(),
        "policy": bundle.policy.to_dict(),
        "lacks": lacks(how.format),
    }


def _digests(made: Path) -> dict[str, str] | str:
    """The SHA-256 of the file, or of each file of the folder."""
    if made.is_file():
        return sha256(made)
    files = sorted(path for path in made.rglob("*") if path.is_file())
    return {path.relative_to(made).as_posix(): sha256(path) for path in files}
