"""YAML files and overrides, composed by Hydra into one plain dict.

Hydra reads the files and chooses among groups. Single keys are laid on top here, so that a YAML
file need not list every key; whether a key exists is decided by the strict parse that follows.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from fraudml.config.overrides import no_option, read_overrides, sort_overrides, typed_texts
from fraudml.config.sources import EXPERIMENT, Files
from fraudml.config.targets import TARGET
from fraudml.errors import ConfigError, listing, nearest
from fraudml.parts import KINDS, parts

EXPERIMENT_AGNOSTIC = ("audit", "features", "sweep")
"""Commands that take the experiments of every other command."""


class Composed(dict[str, Any]):
    """A plain config, and what was typed for values that became something else than text."""

    def __init__(self, plain: Mapping[str, Any], typed: Mapping[str, str]) -> None:
        super().__init__(plain)
        self.typed = dict(typed)


def compose(
    command: str,
    overrides: Sequence[str] = (),
    *,
    config_dir: str | Path | None = None,
    config_name: str | None = None,
) -> Composed:
    """Compose a command's config from YAML files and overrides, every interpolation resolved.

    A primary config without a defaults list is taken as complete: a group chosen beside it replaces
    the section of that name. Parameters and errors are those of `load_settings`.

    Examples
    --------
    >>> compose("train", ["seed=3"])["seed"]
    3
    """
    files, chosen, keys = _sorted_overrides(overrides, config_dir)
    primary = _primary(command, config_name, files)
    _check_files(command, chosen, files)
    config = _compose_groups(primary, chosen, files)
    _apply_keys(config, keys)
    plain = _resolved(config)
    plain.typed |= typed_texts(keys)
    if _is_agnostic(command):
        plain["command"] = command
    _check_command(command, plain.setdefault("command", command), f"The config '{primary}'")
    if EXPERIMENT in plain and files.is_group(EXPERIMENT):
        raise ConfigError(
            f"'{EXPERIMENT}' would become a section of the config. An experiment file begins with "
            "the line '# @package _global_'."
        )
    return plain


def chosen_options(
    command: str,
    overrides: Sequence[str] = (),
    *,
    config_dir: str | Path | None = None,
    config_name: str | None = None,
) -> dict[str, str]:
    """Return the chosen option of each group; parameters are those of `compose`."""
    files, chosen, _ = _sorted_overrides(overrides, config_dir)
    primary = _primary(command, config_name, files)
    if "defaults" not in _loaded(primary, files):
        return {override.key_or_group: str(override.value()) for override in chosen}
    choices = _hydra(primary, _lines(chosen), files, whole=True).hydra.runtime.choices
    return {group: str(option) for group, option in choices.items() if "/" not in group}


def _sorted_overrides(
    overrides: Sequence[str], config_dir: str | Path | None
) -> tuple[Files, list[Override], list[Override]]:
    files = Files.of(config_dir)
    return files, *sort_overrides(read_overrides(overrides, files, swept=False), files)


def _primary(command: str, config_name: str | None, files: Files) -> str:
    """Return the primary config; a command of another package takes that of train by default."""
    own = command if files.find(command) or command not in parts("command") else "train"
    return files.primary(config_name or own, config_name is not None)


def _is_agnostic(command: str) -> bool:
    """Whether a command takes the configs and experiments of every other command."""
    return command in EXPERIMENT_AGNOSTIC or command in parts("command")


def _lines(chosen: Iterable[Override]) -> list[str]:
    return [override.input_line or "" for override in chosen]


def _check_files(command: str, chosen: Iterable[Override], files: Files) -> None:
    """Read what is chosen by name, and refuse an experiment of another command.

    Hydra would not name a file that is wrong, and would trip over the groups of another command.
    """
    for override in chosen:
        group, value = override.key_or_group, override.value()
        if override.is_delete():
            continue
        if group == EXPERIMENT and not override.is_add():
            raise ConfigError(
                f"'{override.input_line}' needs a plus, as no experiment is chosen by default. "
                f"Write '+{override.input_line}'."
            )
        for option in value if isinstance(value, list) else [value]:
            if files.find(f"{group}/{option}") is None:
                continue  # a part of an installed package
            content = _loaded(f"{group}/{option}", files)
            if group == EXPERIMENT:
                declared = content.get("command", command)
                _check_command(command, declared, f"{group}/{option}", override.input_line)


def _loaded(name: str, files: Files) -> DictConfig:
    """Read one file by the name of its config."""
    path = files.find(name)
    assert path is not None
    try:
        content = OmegaConf.load(path)
    except (OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"'{path}' cannot be read: {_first_line(error)}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"'{path}' is not UTF-8: {error}. Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        raise ConfigError(_broken_yaml(error)) from error
    if not isinstance(content, DictConfig):
        raise ConfigError(f"'{path}' holds no keys. It is a YAML file of KEY: VALUE lines.")
    return content


def _check_command(
    command: str, declared: object, subject: str, override: str | None = None
) -> None:
    if declared != command and not _is_agnostic(command):
        run = f"python -m fraudml {declared} {override or '…'}"
        raise ConfigError(f"{subject} is for the command '{declared}', not '{command}'. Run: {run}")


def _compose_groups(primary: str, chosen: list[Override], files: Files) -> DictConfig:
    """Let Hydra compose; beside a config without a defaults list, lay chosen sections over it."""
    if "defaults" in _loaded(primary, files):
        return _hydra(primary, _lines(chosen), files)
    config = _hydra(primary, [], files)
    for override in chosen:
        group = override.key_or_group
        if group == EXPERIMENT or override.package is not None or override.is_delete():
            raise ConfigError(
                f"'{override.input_line}' needs a primary config with a defaults list. Leave out "
                "--config-name, or set single keys."
            )
        section = _hydra(None, [f"+{(override.input_line or '').lstrip('+')}"], files)
        with open_dict(config):
            config.pop(group, None)
            config.merge_with(section)
    return config


def _hydra(
    primary: str | None, lines: list[str], files: Files, *, whole: bool = False
) -> DictConfig:
    first = str(files.roots[0])
    with (
        _plain_errors(files, lines),
        _own_hydra(files.roots[1:]),
        initialize_config_dir(first, job_name="fraudml", version_base="1.3"),
    ):
        return hydra_compose(primary, lines, return_hydra_config=whole)


class _Files(FileConfigSource):
    """Reads YAML files, whether or not they begin with a byte order mark."""

    def load_config(self, config_path: str) -> ConfigResult:
        result = super().load_config(config_path)
        path = Path(self.path, self._normalize_file_name(config_path))
        start = path.read_text(encoding="utf-8-sig")[:512]
        return replace(result, header=self._get_header_dict(start))


class _FollowingFolders(SearchPathPlugin):
    """Adds our folders after the first one; Hydra's own hydra.searchpath hides primary configs."""

    folders: ClassVar[tuple[Path, ...]] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.folders:
            search_path.append("fraudml", f"file://{folder.as_posix()}")


@contextmanager
def _own_hydra(folders: tuple[Path, ...]) -> Iterator[None]:
    """Set up Hydra with our folders and installed parts; leave that of an application as it was."""
    Plugins.instance().register(_FollowingFolders)
    theirs = GlobalHydra.instance().hydra
    GlobalHydra.instance().hydra = None
    _FollowingFolders.folders = folders
    sources = SourcesRegistry.instance().types
    their_files, sources["file"] = sources["file"], _Files
    store = ConfigStore.instance()
    their_configs, store.repo = store.repo, copy.deepcopy(store.repo)
    for kind in KINDS:
        for part in parts(kind).values():
            store.store(part.name, {TARGET: part.target}, group=kind, provider=part.package)
    try:
        yield
    finally:
        store.repo = their_configs
        sources["file"] = their_files
        _FollowingFolders.folders = ()
        GlobalHydra.instance().hydra = theirs


def _apply_keys(config: DictConfig, keys: Iterable[Override]) -> None:
    for override in keys:
        key = override.key_or_group
        try:
            with open_dict(config):
                if override.is_delete():
                    _delete(config, key)
                else:
                    OmegaConf.update(config, key, override.value(), merge=True, force_add=True)
        except (OmegaConfBaseException, ValueError, TypeError) as error:
            raise ConfigError(
                f"'{override.input_line}' cannot be applied to the config: {_first_line(error)}."
            ) from error


def _delete(config: DictConfig, key: str) -> None:
    section, _, name = key.rpartition(".")
    parent = OmegaConf.select(config, section) if section else config
    known = list(map(str, parent)) if OmegaConf.is_dict(parent) else []
    if name not in known:
        raise ConfigError(f"'~{key}': there is no such key. {nearest(name, known)}")
    del parent[name]


def _resolved(config: DictConfig) -> Composed:
    try:
        missing = sorted(OmegaConf.missing_keys(config))
        plain = None if missing else OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_interpolation(error)) from error
    if missing:
        are = "is" if len(missing) == 1 else "are"
        example = " ".join(f"{key}=…" for key in missing)
        raise ConfigError(f"{listing(missing, 10)} {are} required. Set: {example}")
    assert isinstance(plain, dict)
    typed: dict[str, str] = {}
    decoded = _decoded(plain, OmegaConf.to_container(config, resolve=False), "", typed)
    return Composed({str(key): value for key, value in decoded.items()}, typed)


_VARIABLE = re.compile(r"\$\{oc\.env:[^{}]*\}")


def _decoded(value: Any, written: Any, path: str, typed: dict[str, str]) -> Any:
    """Read what stands in an environment variable as it would be read on the command line."""
    if isinstance(value, dict):
        return {
            key: _decoded(part, written[key], f"{path}.{key}".lstrip("."), typed)
            if isinstance(written, dict)
            else part
            for key, part in value.items()
        }
    if isinstance(value, str) and isinstance(written, str) and _VARIABLE.fullmatch(written):
        read = yaml.safe_load(value) if value else value
        if isinstance(read, bool | int | float):
            typed[path] = value
            return read
    return value


def _interpolation(error: OmegaConfBaseException) -> str:
    key = f"{error.full_key}: " if error.full_key else ""
    variable = re.search(r"Environment variable '(.+?)' not found", str(error))
    if variable:
        return (
            f"{key}the environment variable {variable[1]} is not set. Set it, or set the key "
            "itself."
        )
    return f"{key}'${{…}}' cannot be resolved: {_first_line(error)}."


@contextmanager
def _plain_errors(files: Files, lines: Sequence[str]) -> Iterator[None]:
    """Turn what Hydra, OmegaConf and YAML raise into a `ConfigError`."""
    try:
        yield
    except yaml.YAMLError as error:
        raise ConfigError(_broken_yaml(error)) from error
    except HydraException as error:
        raise ConfigError(_composition(error, files, lines)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"A config file is not UTF-8: {error}. Save it as UTF-8.") from error
    except (OmegaConfBaseException, OSError, ValueError) as error:
        raise ConfigError(f"The config cannot be composed: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _broken_yaml(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or _first_line(error)
    subject = f"'{mark.name}', line {mark.line + 1}" if mark is not None else "A config file"
    return f"{subject} is not valid YAML: {reason}. Look at that line and the one before it."


def _composition(error: HydraException, files: Files, lines: Sequence[str]) -> str:
    message = str(error)
    parent = re.match(r"In '(.+?)': ", message)
    inside = f"In '{parent[1]}.yaml': " if parent else ""
    if isinstance(error, MissingConfigException):
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        if group and files.is_group(group):
            return no_option(group, option, files.options(group), inside)
        known = [path.stem for root in files.roots for path in root.glob("*.yaml")]
        return f"{inside}there is no config '{error.missing_cfg_file}'. {nearest(option, known)}"
    if match := re.search(r"Multiple values for (\S+?)\. ", message):
        group = match[1]
        for line in lines:
            if line.startswith(f"+{group}="):
                return f"'{line}': {group} is chosen already. Leave out the plus: '{line[1:]}'."
        return (
            f"{group} is chosen twice. A file that replaces a choice lists it as "
            f"'- override /{group}: …' in its defaults."
        )
    if match := re.search(r"Could not override '(.+?)'\.", message):
        return (
            f"{inside}'{match[1]}' is not in the defaults list of the primary config, so there is "
            "nothing to replace. Add it with a plus on the command line, or without 'override'."
        )
    return f"The config cannot be composed: {_first_line(error)}."
