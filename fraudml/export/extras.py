"""Libraries that exports need and fraudml does not, by the extra that installs them."""

from __future__ import annotations

import importlib
from typing import Any

from fraudml.errors import ConfigError


def import_for(setting: str, library: str, extra: str) -> Any:
    """Import a library; raise a `ConfigError` that names what needs it, and what to install."""
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{setting} needs the library {error.name or library}, which is not installed. "
            f'Run: pip install "fraudml[{extra}]"'
        ) from error
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"{setting}: {library} is installed and cannot be loaded: {error}. Install it again: "
            f'pip install --force-reinstall "fraudml[{extra}]"'
        ) from error
