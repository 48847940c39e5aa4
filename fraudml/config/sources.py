"""Where config files are: fraudml's own, and a user's folder before them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fraudml.errors import ConfigError, nearest
from fraudml.parts import parts

EXPERIMENT = "experiment"
"""The group that every other group's choice can be bundled in; it is added with a plus."""


@functools.cache
def packaged_conf() -> Path:
    """Return the folder of fraudml's own files: in the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "conf", package.parent / "conf"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"fraudml's config files are neither in {package} nor beside it")


@dataclass(frozen=True)
class Files:
    """The folders that config files are looked for in; the first one wins."""

    roots: tuple[Path, ...]

    @classmethod
    def of(cls, config_dir: str | Path | None) -> Files:
        """Put the user's folder before fraudml's own."""
        own = packaged_conf()
        if config_dir is None:
            return cls((own,))
        folder = Path(config_dir).expanduser().resolve()
        if not folder.is_dir():
            problem = "is a file" if folder.exists() else "does not exist"
            raise ConfigError(
                f"--config-dir: '{config_dir}' {problem}. It is a folder of YAML files; name the "
                "file in it with --config-name."
            )
        return cls((folder,) if folder == own else (folder, own))

    def find(self, name: str) -> Path | None:
        """Return the file of a config by its name without ending."""
        paths = (root / f"{name}.yaml" for root in self.roots)
        return next((path for path in paths if path.is_file()), None)

    def has(self, group: str, option: str) -> bool:
        """Whether a group has an option, in a file or by an installed package."""
        return self.find(f"{group}/{option}") is not None or option in parts(group)

    def is_group(self, name: str) -> bool:
        """Whether any folder of that name holds YAML files."""
        folders = [root / name for root in self.roots] if name and "." not in name else []
        return any(True for folder in folders for _ in _yaml_files(folder))

    def options(self, group: str) -> list[str]:
        """Return the options of a group, sorted: files, and parts of installed packages."""
        paths = ((root / group, path) for root in self.roots for path in _yaml_files(root / group))
        files = {path.relative_to(base).with_suffix("").as_posix() for base, path in paths}
        return sorted(files | parts(group).keys())

    def primary(self, name: str, named: bool) -> str:
        """Check that a primary config is there, and return its name without ending."""
        name = name.removesuffix(".yaml")
        if self.find(name) is not None:
            return name
        known = {path.stem for root in self.roots for path in root.glob("*.yaml")}
        advice = "Give its folder with --config-dir." if named and len(self.roots) == 1 else ""
        option = "--config-name: " if named else ""
        message = f"{option}there is no config '{name}'. {nearest(name, known)} {advice}"
        raise ConfigError(message.strip())


def _yaml_files(folder: Path) -> Iterator[Path]:
    # Two levels, so that a huge folder of other things is not walked through.
    yield from folder.glob("*.yaml")
    yield from folder.glob("*/*.yaml")


def groups(config_dir: str | Path | None = None) -> dict[str, list[str]]:
    """Return the options of each group, sorted; those in the user's folder among fraudml's."""
    files = Files.of(config_dir)
    names = {folder.name for root in files.roots for folder in root.iterdir() if folder.is_dir()}
    return {name: files.options(name) for name in sorted(names) if files.is_group(name)}
