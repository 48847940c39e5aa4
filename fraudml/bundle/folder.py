"""A bundle on disk: `manifest.json`, its digest, and the learner's own files.

Nothing in it is executed, and nothing that it names is imported. Every file is hashed, so that
damage is found; a forger who rewrites the hashes too is not: sign bundles outside of fraudml.

`FORMAT_VERSION` is raised when a reader of the old number could misread the new bundle; manifests
of all older numbers are brought to the present one by `upgrade`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fraudml.bundle.decision import DecisionBundle
from fraudml.bundle.upgrade import FORMAT_VERSION, upgrade
from fraudml.data.schema import Schema
from fraudml.decisions.calibration import FittedCalibrator
from fraudml.decisions.costs import COST_KINDS, CostModel, Line, describe
from fraudml.decisions.policies import TunedPolicy
from fraudml.errors import BundleError, ConfigError, FraudmlError, listing, nearest
from fraudml.features.plan import FittedFeatures
from fraudml.files import sha256, write_json
from fraudml.learners import is_known, known_kinds, load_learner
from fraudml.shift import ReferenceDistribution
from fraudml.version import __version__

_MANIFEST, _DIGEST, _LEARNER = "manifest.json", "manifest.sha256", "learner"

SIGNATURES = (".sig", ".minisig", ".sigstore.json")
"""Endings of detached signatures, which may lie beside the manifest."""

_MAX_MANIFEST = 256 * 2**20


def write_bundle(bundle: DecisionBundle, folder: Path) -> None:
    """Write a bundle into a new folder; `atomic_folder` of the caller makes it whole or nothing."""
    if not is_known(bundle.learner.kind):
        raise ConfigError(
            f"The kind of the learner is '{bundle.learner.kind}', which no bundle could be read "
            f"by. Expected one of {listing(known_kinds(), 20)}: of a learner of another package "
            "it is the name of its entry point."
        )
    folder.mkdir(parents=True)
    (folder / _LEARNER).mkdir()
    metadata = bundle.learner.save(folder / _LEARNER)
    reference = bundle.reference_distribution
    manifest = {
        "format_version": FORMAT_VERSION,
        "fraudml": __version__,
        "schema": bundle.schema.to_dict(),
        "features": bundle.features.to_dict(),
        "learner": {"kind": bundle.learner.kind, "metadata": metadata, "offset": bundle.offset},
        "calibrator": bundle.calibrator.to_dict(),
        "costs": describe(bundle.costs),
        "policy": bundle.policy.to_dict(),
        "record": bundle.record,
        "reference_distribution": None if reference is None else reference.to_dict(),
        "files": {
            path.relative_to(folder).as_posix(): sha256(path)
            for path in sorted((folder / _LEARNER).rglob("*"))
            if path.is_file()
        },
    }
    write_json(folder / _MANIFEST, manifest)
    (folder / _DIGEST).write_text(sha256(folder / _MANIFEST) + "\n", encoding="ascii")


def read_bundle(folder: str | Path, threads: int = 1) -> DecisionBundle:
    """Read a bundle of any known format after checking every byte of it.

    Raises a `BundleError` where a file is missing, not listed, damaged or a link, the format is
    unknown, or the content is not what the manifest says.
    """
    folder = _resolved(folder)
    manifest, digest = _checked_manifest(folder)
    files = _checked_files(folder, manifest)
    try:
        return _from_manifest(upgrade(manifest), files, threads, digest)
    except BundleError as error:
        raise BundleError(f"'{folder}': {error}") from error
    except (FraudmlError, ArithmeticError, *_WRONG_LAYOUT) as error:
        raise BundleError(
            f"'{folder / _MANIFEST}' does not have the layout of format "
            f"{manifest['format_version']}: {error!r}. Train again to get a bundle that this "
            "fraudml reads."
        ) from error


_WRONG_LAYOUT = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What readers of a manifest raise where its values are of other types than were written."""


def _from_manifest(
    manifest: Mapping[str, Any], files: Mapping[str, bytes], threads: int, digest: str
) -> DecisionBundle:
    learner = manifest["learner"]
    features = FittedFeatures.from_dict(manifest["features"])
    return DecisionBundle(
        schema=Schema.from_dict(manifest["schema"]),
        features=features,
        learner=load_learner(learner["kind"], files, learner["metadata"], threads=threads),
        offset=_finite(learner["offset"]),
        calibrator=FittedCalibrator.from_dict(manifest["calibrator"]),
        costs=_costs(manifest["costs"]),
        policy=TunedPolicy.from_dict(manifest["policy"]),
        record=manifest["record"],
        reference_distribution=_reference(manifest["reference_distribution"], len(features.names)),
        digest=digest,
    )


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a number is {number}")
    return number


def bundle_digest(folder: str | Path) -> str:
    """Return the digest of a bundle's manifest, which has the hash of every file."""
    return f"sha256:{sha256(Path(folder) / _MANIFEST)}"


def bundle_files(folder: str | Path) -> dict[str, int]:
    """Return the names of a bundle's files and their sizes in bytes."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}


def written_by(folder: str | Path) -> str:
    """Return the version of fraudml that wrote a bundle, and in which format, once it was read."""
    manifest = json.loads((Path(folder) / _MANIFEST).read_text(encoding="utf-8"))
    return f"fraudml {manifest['fraudml']}, bundle format {manifest['format_version']}"


def _resolved(folder: str | Path) -> Path:
    """Follow a link to the folder once: a deployment may move it meanwhile."""
    path = Path(folder)
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise BundleError(
            f"'{path}' is not a folder that can be read ({error}). Expected a bundle: the folder "
            "'bundle' of a run."
        ) from error


def _checked_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """Read a manifest and its digest: what is hashed is what is parsed."""
    if not folder.is_dir():
        raise BundleError(
            f"'{folder}' is not a folder. Expected a bundle: the folder 'bundle' of a run."
        )
    content, written = (_read(folder, name) for name in (_MANIFEST, _DIGEST))
    digest = hashlib.sha256(content).hexdigest()
    if written != f"{digest}\n".encode():
        raise BundleError(
            f"'{folder / _MANIFEST}' does not match '{_DIGEST}': it was changed or damaged. "
            "Copy the bundle again from the run that wrote it."
        )
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"'{folder / _MANIFEST}' is not readable as JSON: {error}. Copy the bundle again."
        ) from error
    number = manifest.get("format_version") if isinstance(manifest, dict) else None
    if type(number) is not int or not 1 <= number <= FORMAT_VERSION:
        raise BundleError(
            f"'{folder}' is of format {str(number)[:40]}{_writer(manifest)}; this is fraudml "
            f"{__version__} and reads formats 1 to {FORMAT_VERSION}. Install the version that "
            "wrote it, or train again."
        )
    return manifest, f"sha256:{digest}"


def _writer(manifest: Any) -> str:
    version = manifest.get("fraudml") if isinstance(manifest, dict) else None
    return f", written by fraudml {version}" if isinstance(version, str) else ""


def _read(folder: Path, name: str) -> bytes:
    """Read a file of a bundle, which is none of the links that a deployment makes."""
    path = folder / name
    if path.is_symlink():
        raise BundleError(
            f"'{path}' is a link, and a bundle's files are no links. Copy what they lead to, and "
            f"name the copy: mkdir COPY && cp -rL {folder}/* COPY/"
        )
    try:
        if path.stat().st_size > _MAX_MANIFEST:
            raise BundleError(f"'{path}' is larger than a manifest can be. Copy the bundle again.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(
            f"'{path}' is missing: '{folder}' is not a complete bundle. Copy it again from the run "
            "that wrote it."
        ) from error
    except OSError as error:
        raise BundleError(f"'{folder}' cannot be read: {error}. Copy the bundle again.") from error


def _checked_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Read the learner's files once, each held against its hash, by their names in `learner`."""
    listed = manifest.get("files")
    if not isinstance(listed, dict):
        raise BundleError(f"'{folder / _MANIFEST}' lists no files. Train again.")
    present = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    links = sorted(name for name, path in present.items() if path.is_symlink())
    signatures = {name for name in present if "/" not in name and name.endswith(SIGNATURES)}
    extra = sorted(set(present) - set(listed) - {_MANIFEST, _DIGEST} - signatures)
    try:
        contents = {
            name: present[name].read_bytes()
            for name in sorted(set(listed) & set(present) - set(links))
        }
    except OSError as error:
        raise BundleError(f"'{folder}' cannot be read: {error}. Copy the bundle again.") from error
    changed = [
        name
        for name, content in contents.items()
        if hashlib.sha256(content).hexdigest() != listed[name]
    ]
    findings = {
        "links": links,
        "missing": sorted(set(listed) - set(present)),
        "not listed": extra,
        "changed": changed,
    }
    wrong = [f"{kind}: {listing(names)}" for kind, names in findings.items() if names]
    if wrong:
        only_extra = len(wrong) == 1 and bool(extra)
        step = "Remove them" if only_extra else "Copy the bundle again from the run that wrote it"
        raise BundleError(
            f"The files of '{folder}' are not those of its manifest; {'; '.join(wrong)}. {step}."
        )
    return {name.removeprefix(f"{_LEARNER}/"): content for name, content in contents.items()}


def _reference(content: Mapping[str, Any] | None, features: int) -> ReferenceDistribution | None:
    """Read the reference distribution, which the first bundles of format 1 do not have."""
    if content is None:
        return None
    reference = ReferenceDistribution.from_dict(content)
    if len(reference.features) != features:
        raise ValueError(
            f"the reference distribution has {len(reference.features)} features, not {features}"
        )
    return reference


def _costs(content: Mapping[str, Any]) -> CostModel:
    arguments = dict(content)
    kind = arguments.pop("kind")
    if kind not in COST_KINDS:
        raise BundleError(f"The bundle's costs are '{kind}'. {nearest(str(kind), COST_KINDS)}")
    lines = {k: Line(**v) if isinstance(v, dict) else v for k, v in arguments.items()}
    return COST_KINDS[kind](**lines)


def bundle_folder(path: str) -> Path:
    """Return the folder of a bundle, given that or the run that wrote it: the config's `bundle`."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise BundleError(f"bundle: there is no folder '{folder}'. Expected what `train` wrote.")
    inside = folder / "bundle"
    return inside if inside.is_dir() and not (folder / "manifest.json").exists() else folder
